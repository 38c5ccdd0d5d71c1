"""The one place that assembles the Dagster definitions.

Belongs here: which assets, checks, jobs, schedules and resources there are. Does not belong here: any of them. Building
opens no file and no connection; it reads the environment only where no settings are given.
"""

from typing import Any

import dagster as dg

from cpjump_assets.orchestration import checks, jobs, schedules
from cpjump_assets.orchestration.abandoned import abandoned_runs_sensor
from cpjump_assets.orchestration.alerting.sensor import alerts_sensor
from cpjump_assets.orchestration.assets import assets_of
from cpjump_assets.orchestration.automation import automation_sensor
from cpjump_assets.orchestration.backfills import with_plates_per_run
from cpjump_assets.orchestration.freshness import with_freshness
from cpjump_assets.orchestration.pruning import prune_job
from cpjump_assets.orchestration.refresh import RefreshRequest, refresh_job
from cpjump_assets.orchestration.resources import Platform
from cpjump_assets.orchestration.verifying import verify
from cpjump_assets.settings import Settings


def build_defs(settings: Settings | None = None, **resources: Any) -> dg.Definitions:
    """Assemble fresh definitions.

    Parameters
    ----------
    settings
        What the platform reads and writes; by default from the environment.
    **resources
        Resources that stand in for the ones made from the settings.

    Raises
    ------
    SettingsError
        If a setting of the environment cannot be used.
    """
    settings = Settings.from_environment() if settings is None else settings
    refresh = refresh_job(
        lambda name: definitions.resolve_job_def(name),
        RefreshRequest(plates_per_run=settings.plates_per_run, preset=settings.preset),
    )
    prune = prune_job(lambda: definitions.resolve_asset_graph().asset_check_keys, keep_days=settings.keep_days)
    assets = with_plates_per_run(assets_of(settings.preset), plates_per_run=settings.plates_per_run)
    definitions = dg.Definitions(
        assets=with_freshness(assets, days=settings.fresh_days),
        asset_checks=checks.all_checks,
        jobs=[*jobs.asset_jobs, refresh, prune, verify],
        schedules=schedules.settings_schedules(settings, refresh=refresh, prune=prune, verify=verify),
        sensors=[automation_sensor(), alerts_sensor(settings), abandoned_runs_sensor(settings)],
        resources={"platform": Platform.from_settings(settings), **resources},
        executor=dg.in_process_executor,
    )
    return definitions
