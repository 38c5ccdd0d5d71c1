"""The definitions as they are, but that automation looks every five seconds and a score is overdue after a minute."""

from dataclasses import replace

from cpjump_assets.build import build_defs
from cpjump_assets.orchestration import automation
from cpjump_assets.settings import Settings

MINUTE = 1 / (24 * 60)

automation.TICK_SECONDS = 5
defs = build_defs(replace(Settings.from_environment(), fresh_days=MINUTE))
