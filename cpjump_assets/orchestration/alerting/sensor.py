"""The sensor that tells alerts.

Belongs here: when it runs and what it watches. Does not belong here: a round of alerts (``telling``).

It is a sensor so that whoever runs the platform's daemon has alerts. What it cannot tell is that no daemon runs, or
that the definitions do not load: ``cpjump alerts status`` and a watch from outside do.
"""

import threading
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING

import dagster as dg

from cpjump_assets.settings import Settings

if TYPE_CHECKING:
    from cpjump_assets.alerts.channels import Channel

NAME = "alerts"
EVERY_SECONDS = 30


def alerts_sensor(settings: Settings, *, every: int = EVERY_SECONDS) -> dg.SensorDefinition:
    """Make the sensor that tells what failed, what is overdue, and what is well again.

    Parameters
    ----------
    settings
        Channels, address of the web UI, and the least severity that is told.
    every
        Seconds between two looks.
    """
    # A tick that Dagster gave up waiting for goes on in its thread; another one beside it would send twice.
    at_work = threading.Lock()

    @cache
    def channels() -> Sequence["Channel"]:
        from cpjump_assets.alerts.channels import open_channels

        return open_channels(settings.alert_urls, folder=settings.folder)

    @dg.sensor(
        name=NAME,
        minimum_interval_seconds=every,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Tells failed checks and runs, overdue assets and failing sensors, and the recovery of each, by the "
            "channels of CPJUMP_ALERT_URLS, a JSON-lines file in the store, and the log."
        ),
    )
    def alerts(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        if not at_work.acquire(blocking=False):
            return dg.SkipReason("The tick before is still sending.")
        try:
            return dg.SkipReason(_tell(context, settings, channels))
        finally:
            at_work.release()

    return alerts


def _tell(context: dg.SensorEvaluationContext, settings: Settings, channels: Callable[[], Sequence["Channel"]]) -> str:
    from cpjump_assets.orchestration.alerting.collecting import Watched
    from cpjump_assets.orchestration.alerting.telling import tell

    graph = context.repository_def.asset_graph
    watched = Watched(graph.asset_check_keys, graph.get_all_asset_keys(), settings.ui_url, settings.alert_on)
    state = tell(context.instance, watched, channels())
    return f"{len(state.incidents)} incidents are open; {len(state.outbox)} messages wait for a channel."
