"""When the platform runs by itself.

Belongs here: cron and default status. Does not belong here: what a refresh is (``refresh``), which assets a job makes
(``jobs``), what follows from an observation (``automation``).

All times are in UTC, and every schedule is stopped until somebody turns it on in the web UI.
"""

from typing import TYPE_CHECKING

import dagster as dg
from dagster._utils.schedules import is_valid_cron_schedule

from cpjump_assets.orchestration import jobs
from cpjump_assets.orchestration.partitions import PLATE_KEYS
from cpjump_assets.science.errors import SettingsError
from cpjump_assets.settings import Settings

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

_MONTHLY = "0 5 1 * *"
_WEEKLY = "0 6 * * 0"
_ALL_PLATES = {
    "dagster/asset_partition_range_start": PLATE_KEYS[0],
    "dagster/asset_partition_range_end": PLATE_KEYS[-1],
}
"""Run tags with which a job over plates takes all of them in one run."""


def settings_schedules(
    settings: Settings, *, refresh: dg.JobDefinition, prune: dg.JobDefinition, verify: dg.JobDefinition
) -> list[dg.ScheduleDefinition]:
    """Give all schedules, at the times that the settings say.

    Parameters
    ----------
    settings
        Says when.
    refresh
        The job of a whole refresh.
    prune, verify
        The jobs that forget old runs, and that read again what is held.

    Raises
    ------
    SettingsError
        If a time is no cron expression, in one line that names its variable.
    """
    observe_cron = _checked("CPJUMP_OBSERVE_CRON", settings.observe_cron)
    return [
        _schedule(
            refresh,
            _checked("CPJUMP_REFRESH_CRON", settings.refresh_cron),
            "Looks at gallery and reference tables, pulls and normalizes what changed, and scores again.",
        ),
        _schedule(
            jobs.observe_reference,
            observe_cron,
            "Looks at the reference tables; automation then makes again what a change touches.",
        ),
        _schedule(
            jobs.observe_gallery,
            observe_cron,
            "Lists the profiles of all plates in the gallery; automation then makes again what a change touches.",
            tags=_ALL_PLATES,
        ),
        _schedule(
            jobs.observe_images,
            _MONTHLY,
            "Looks at the images of all plates in the gallery: some 3,000 requests, five minutes of one core.",
            tags=_ALL_PLATES,
        ),
        _schedule(
            prune,
            _WEEKLY,
            "Deletes runs and events older than CPJUMP_KEEP_DAYS, but none by which the state of an asset is told.",
        ),
        _schedule(
            verify,
            _checked("CPJUMP_VERIFY_CRON", settings.verify_cron),
            "Reads again all that is held, and fails when a file is not what was pulled or made.",
        ),
    ]


def _checked(variable: str, cron: str) -> str:
    if not is_valid_cron_schedule(cron):
        raise SettingsError(f"{variable} must be a cron expression, for example '0 3 * * 1', found {cron!r}")
    return cron


def _schedule(
    job: "dg.JobDefinition | UnresolvedAssetJobDefinition",
    cron: str,
    description: str,
    *,
    tags: dict[str, str] | None = None,
) -> dg.ScheduleDefinition:
    """Make the schedule of a job, ``<job>_schedule``; the tags are those of its runs."""
    return dg.ScheduleDefinition(
        name=f"{job.name}_schedule",
        job=job,
        cron_schedule=cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description=description,
        # Dagster refuses tags of a schedule that select partitions, and takes those of a run.
        execution_fn=lambda _: dg.RunRequest(tags=tags),
    )
