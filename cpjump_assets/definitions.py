"""The code location that Dagster loads: the definitions for the settings of the environment."""

from cpjump_assets.build import build_defs

defs = build_defs()
