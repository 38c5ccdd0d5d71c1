"""The code location that Dagster loads: the definitions for the settings of the environment."""

import warnings

import dagster as dg

# Partitioned checks and observable sources are marked preview and beta; the lock file pins the release they were tried on.
warnings.filterwarnings("ignore", category=dg.PreviewWarning)
warnings.filterwarnings("ignore", category=dg.BetaWarning)

from cpjump_assets.build import build_defs  # noqa: E402 - the filters come first

defs = build_defs()
