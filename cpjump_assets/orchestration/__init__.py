"""Dagster: assets, checks, jobs and schedules.

Belongs here: when a thing is made, from what, where it is recorded and how it is shown. Does not belong here: any
computation; that is ``science``. This is the only folder below ``build`` that imports Dagster. Heavy imports stand
inside the functions that need them, because every process that loads the definitions pays for those at the top.
"""

import warnings

import dagster as dg

# Partitioned checks and observable sources are marked preview and beta; the lock file pins the release they were tried
# on.
warnings.filterwarnings("ignore", category=dg.PreviewWarning)
warnings.filterwarnings("ignore", category=dg.BetaWarning)
