"""Messages on their way: which channel took which, which waits, and for how long.

Belongs here: what is recorded of a message and a channel, as values. Does not belong here: sending (``delivery``), what
becomes a message (``state``).
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from cpjump_assets.alerts.messages import Message

_FIRST_WAIT = timedelta(seconds=30)
_LONGEST_WAIT = timedelta(minutes=15)
GIVEN_UP_AFTER = timedelta(days=7)
"""After so long without success a message is dropped for a channel, which is logged as an error with all its keys."""


@dataclass(frozen=True)
class Attempts:
    """What became of a message at one channel.

    Attributes
    ----------
    accepted_at
        When the channel took it; None while it has not.
    tries
        How often it was tried in vain.
    first_try, next_try
        When it was first tried in vain, and before when it is not tried again.
    given_up
        Dropped for this channel.
    """

    accepted_at: datetime | None = None
    tries: int = 0
    first_try: datetime | None = None
    next_try: datetime | None = None
    given_up: bool = False

    @property
    def over(self) -> bool:
        """Nothing more is tried."""
        return self.accepted_at is not None or self.given_up

    def failed(self, now: datetime) -> "Attempts":
        """Count a try in vain; given up when the first one is too long ago."""
        first, tries = self.first_try or now, self.tries + 1
        return replace(
            self,
            tries=tries,
            first_try=first,
            next_try=now + wait_after(tries),
            given_up=now - first >= GIVEN_UP_AFTER,
        )


@dataclass(frozen=True)
class Queued:
    """A message and what became of it at each channel, by name."""

    message: Message
    attempts: dict[str, Attempts] = field(default_factory=dict)

    def at(self, channel: str) -> Attempts:
        """Give what became of it at a channel."""
        return self.attempts.get(channel, Attempts())

    def with_attempts(self, channel: str, attempts: Attempts) -> "Queued":
        """Note what became of it at a channel."""
        return replace(self, attempts={**self.attempts, channel: attempts})


@dataclass(frozen=True)
class ChannelRecord:
    """How a channel does.

    Attributes
    ----------
    accepted, accepted_at
        Messages that it took, and when it took the last one.
    latest
        Highest number of the messages that it took: one that failed and has a lower number was overtaken, so that it
        is the message that the channel refuses, not the channel that is down.
    failures, next_try
        How often in a row it took nothing, and before when it is not tried again.
    reason
        Why it failed last; None while it does well.
    given_up
        Messages that were dropped.
    """

    accepted: int = 0
    accepted_at: datetime | None = None
    latest: int = 0
    failures: int = 0
    next_try: datetime | None = None
    reason: str | None = None
    given_up: int = 0

    def took(self, number: int, now: datetime) -> "ChannelRecord":
        """Count a message that it took: it is not down."""
        return replace(
            self,
            accepted=self.accepted + 1,
            accepted_at=now,
            latest=max(self.latest, number),
            failures=0,
            next_try=None,
            reason=None,
        )

    def is_down(self, now: datetime) -> "ChannelRecord":
        """Count a round in which it took nothing: it is left alone for a while, which grows."""
        failures = self.failures + 1
        return replace(self, failures=failures, next_try=now + wait_after(failures))


def wait_after(failures: int) -> timedelta:
    """Give the wait after so many failures in a row: 30 s, twice that each time, a quarter of an hour at most."""
    return min(_FIRST_WAIT * 2 ** min(failures - 1, 16), _LONGEST_WAIT)


def queue_for(outbox: tuple[Queued, ...], channel: str, record: ChannelRecord, now: datetime) -> list[Queued]:
    """Give the messages that are tried now at a channel: in their order, those that were overtaken at the end.

    A channel that is down holds the order of its messages, however long it is down; a message that a channel refuses
    while it takes others does not stop these, and is tried at growing intervals.
    """
    if record.next_try is not None and now < record.next_try:
        return []
    waiting = [queued for queued in outbox if not queued.at(channel).over]
    overtaken = [queued for queued in waiting if is_overtaken(queued, channel, record)]
    due = [queued for queued in overtaken if (next_try := queued.at(channel).next_try) is None or next_try <= now]
    return [*(queued for queued in waiting if queued not in overtaken), *due]


def is_overtaken(queued: Queued, channel: str, record: ChannelRecord) -> bool:
    """Tell whether a channel refused a message and took a later one."""
    return queued.at(channel).tries > 0 and queued.message.number < record.latest
