"""Messages are handed to channels until every channel took every message.

Belongs here: one round of tries, and the record right after each acceptance. Does not belong here: how a channel sends
(``channels``), which messages there are (``state``).

Delivery is at least once: between the moment in which a channel accepts a message and the one in which that is saved,
a crash makes the next round hand it over again, with the same event keys.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from cpjump_assets.alerts.channels.channel import Channel, ChannelError
from cpjump_assets.alerts.outbox import GIVEN_UP_AFTER, Attempts, ChannelRecord, Queued, is_overtaken, queue_for
from cpjump_assets.alerts.state import AlertState

_log = logging.getLogger("cpjump.alerts.delivery")


def utc_now() -> datetime:
    """Give the time, in UTC."""
    return datetime.now(UTC)


def deliver(
    state: AlertState,
    channels: Sequence[Channel],
    *,
    save: Callable[[AlertState], None],
    clock: Callable[[], datetime] = utc_now,
    seconds: float = 20.0,
) -> AlertState:
    """Try each message that is due at each channel once.

    Parameters
    ----------
    state
        What is on its way.
    channels
        Where to; a message is done when each of them took it or gave it up. One that does well comes before one that
        is down.
    save
        Keeps a state; called right after each acceptance, and once at the end of a channel that failed.
    clock
        The time, in UTC.
    seconds
        No try begins later than this; the channels share the time, and what is left waits for the next round. A try
        takes as long as its channel allows (apprise: 10 s).

    Returns
    -------
    AlertState
        The state as it was saved last.
    """
    round_ = _Round(names=tuple(channel.name for channel in channels), save=save, clock=clock)
    deadline = clock() + timedelta(seconds=seconds)
    ordered = sorted(channels, key=lambda channel: state.channels.get(channel.name, ChannelRecord()).failures)
    for place, channel in enumerate(ordered):
        now = clock()
        state = round_.try_channel(state, channel, until=now + (deadline - now) / (len(ordered) - place))
    settled = round_.settled(state)
    if settled != state:
        save(settled)
    return settled


@dataclass(frozen=True)
class _Round:
    """What all tries of one round share."""

    names: tuple[str, ...]
    save: Callable[[AlertState], None]
    clock: Callable[[], datetime]

    def try_channel(self, state: AlertState, channel: Channel, *, until: datetime) -> AlertState:
        """Hand over what is due at one channel; note that it is down if it took nothing that it had not refused."""
        record = state.channels.get(channel.name, ChannelRecord())
        taken, reason, is_down = 0, "", False
        for queued in queue_for(state.outbox, channel.name, record, self.clock()):
            if self.clock() >= until:
                break
            try:
                channel.send(queued.message)
            except ChannelError as error:
                reason, is_down = str(error), is_down or not is_overtaken(queued, channel.name, record)
                state = self._refused(state, channel.name, queued, reason)
            else:
                state, taken = self._accepted(state, channel.name, queued), taken + 1
        if not reason:
            return state
        state = self._note_failure(state, channel.name, reason, is_down=is_down and not taken)
        self.save(state)
        return state

    def settled(self, state: AlertState) -> AlertState:
        """Let go of the messages that are done at all channels; without channels, of none."""
        if not self.names:
            return state
        left = tuple(queued for queued in state.outbox if not all(queued.at(name).over for name in self.names))
        return state if len(left) == len(state.outbox) else replace(state, outbox=left)

    def _accepted(self, state: AlertState, channel: str, queued: Queued) -> AlertState:
        """Record an acceptance, at once: until this is saved, a crash would repeat the message."""
        now = self.clock()
        attempts = replace(queued.at(channel), accepted_at=now)
        record = state.channels.get(channel, ChannelRecord()).took(queued.message.number, now)
        state = self.settled(_with(state, channel, queued, attempts, record))
        self.save(state)
        return state

    def _refused(self, state: AlertState, channel: str, queued: Queued, reason: str) -> AlertState:
        attempts = queued.at(channel).failed(self.clock())
        record = state.channels.get(channel, ChannelRecord())
        if attempts.given_up:
            record = replace(record, given_up=record.given_up + 1)
            _log.error(
                "alert given up: %s did not take it in %d tries over %d days (%s); events: %s",
                channel,
                attempts.tries,
                GIVEN_UP_AFTER.days,
                reason,
                ", ".join(queued.message.keys),
            )
        return _with(state, channel, queued, attempts, record)

    def _note_failure(self, state: AlertState, channel: str, reason: str, *, is_down: bool) -> AlertState:
        record = replace(state.channels.get(channel, ChannelRecord()), reason=reason)
        if is_down:
            record = record.is_down(self.clock())
        waiting = state.waiting_for(channel)
        _log.warning("alerts: %s failed (%s); waiting for it, and tried again: %d", channel, reason, waiting)
        return replace(state, channels={**state.channels, channel: record})


def _with(state: AlertState, channel: str, queued: Queued, attempts: Attempts, record: ChannelRecord) -> AlertState:
    """Note what became of a message at a channel, and how the channel does."""
    number = queued.message.number
    outbox = tuple(
        other.with_attempts(channel, attempts) if other.message.number == number else other for other in state.outbox
    )
    return replace(state, outbox=outbox, channels={**state.channels, channel: record})
