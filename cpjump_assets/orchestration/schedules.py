"""When the platform runs by itself.

Belongs here: cron and default status. Does not belong here: what a refresh is (``jobs``).
"""

import dagster as dg

from cpjump_assets.orchestration.jobs import observe_images
from cpjump_assets.orchestration.partitions import PLATE_KEYS

_MONTHLY = "0 5 1 * *"


def refresh_schedule(refresh: dg.JobDefinition, cron: str) -> dg.ScheduleDefinition:
    """Refresh at the times of ``CPJUMP_REFRESH_CRON``, in UTC; stopped until somebody turns it on in the UI."""
    return dg.ScheduleDefinition(
        name="refresh_schedule",
        job=refresh,
        cron_schedule=cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description="Looks at gallery and reference tables, pulls and normalizes what changed, and scores again.",
    )


@dg.schedule(
    job=observe_images,
    cron_schedule=_MONTHLY,
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Looks at the images of all plates in the gallery: some 3,000 requests, five minutes of one core.",
)
def observe_images_schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """Ask for one run over all plates."""
    first, last = PLATE_KEYS[0], PLATE_KEYS[-1]
    return dg.RunRequest(tags={"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last})
