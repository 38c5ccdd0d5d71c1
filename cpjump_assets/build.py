"""The one place that assembles the Dagster definitions.

Belongs here: which assets, checks, jobs, schedules and resources there are. Does not belong here: any of them. Building
opens no file and no connection; it reads the environment only where no settings are given.
"""

from typing import Any

import dagster as dg

from cpjump_assets.orchestration import checks, jobs, schedules
from cpjump_assets.orchestration.assets import assets_of
from cpjump_assets.orchestration.refresh import RefreshRequest, refresh_job
from cpjump_assets.orchestration.resources import Platform
from cpjump_assets.science.errors import SettingsError
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
    definitions = dg.Definitions(
        assets=assets_of(settings.preset),
        asset_checks=checks.all_checks,
        jobs=[*jobs.asset_jobs, refresh],
        schedules=[_refresh_schedule(refresh, settings), schedules.observe_images_schedule],
        resources={"platform": Platform.from_settings(settings), **resources},
        executor=dg.in_process_executor,
    )
    return definitions


def _refresh_schedule(refresh: dg.JobDefinition, settings: Settings) -> dg.ScheduleDefinition:
    try:
        return schedules.refresh_schedule(refresh, settings.refresh_cron)
    except dg.DagsterInvalidDefinitionError as error:
        raise SettingsError(
            f"CPJUMP_REFRESH_CRON must be a cron expression, for example '0 3 * * 1', found {settings.refresh_cron!r}"
        ) from error
