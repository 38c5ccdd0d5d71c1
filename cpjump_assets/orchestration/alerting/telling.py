"""One round of alerts: collect, decide what is news, save, deliver.

Belongs here: the order in which these happen, on which it rests that nothing is lost. Does not belong here: each of
them.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial

import dagster as dg

from cpjump_assets.alerts.channels.channel import Channel
from cpjump_assets.alerts.delivery import deliver, utc_now
from cpjump_assets.alerts.keeping import load_state, save_state
from cpjump_assets.alerts.state import AlertState
from cpjump_assets.orchestration.alerting.collecting import Seen, Watched, collect
from cpjump_assets.orchestration.alerting.keeping import InstanceKeeper

ROUND_SECONDS = 35.0
"""No try begins later in a round: Dagster gives a sensor 60 s, and a try may take 15 s."""
_LEAST_SECONDS = 5.0


def tell(
    instance: dg.DagsterInstance,
    watched: Watched,
    channels: Sequence[Channel],
    *,
    clock: Callable[[], datetime] = utc_now,
) -> AlertState:
    """Tell what happened since the last round, and what a channel did not take then.

    How far the records were read and the messages that came of it are saved together, before the first of them is
    sent: a crash at any moment loses nothing.

    Raises
    ------
    StoreError
        If what the instance keeps is not a state of alerts.
    """
    keeper = InstanceKeeper(instance)
    started = clock()
    state = load_state(keeper)
    events, seen = collect(instance, watched, Seen.from_text(state.cursor), now=started.timestamp())
    state = state.receive(events, seen.to_text())
    save_state(keeper, state)
    left = started + timedelta(seconds=ROUND_SECONDS) - clock()
    seconds = max(left.total_seconds(), _LEAST_SECONDS)
    return deliver(state, channels, save=partial(save_state, keeper), clock=clock, seconds=seconds)
