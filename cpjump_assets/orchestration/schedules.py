"""When the platform runs by itself.

Belongs here: cron and default status. Does not belong here: what a refresh is (``jobs``).
"""

import dagster as dg


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
