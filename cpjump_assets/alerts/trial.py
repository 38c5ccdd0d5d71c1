"""A marked message to every channel, to see whether alerts arrive before one is needed.

Belongs here: the message and one try of each channel. Does not belong here: words of the terminal.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from cpjump_assets.alerts.channels.channel import Channel, ChannelError
from cpjump_assets.alerts.events import AlertEvent, Subject
from cpjump_assets.alerts.messages import Message


@dataclass(frozen=True)
class Tried:
    """What became of the trial at a channel; ``reason`` is why it failed, None when it was taken."""

    channel: str
    reason: str | None


def trial_message(now: datetime, *, link: str | None = None) -> Message:
    """Give a message that says of itself that nothing is wrong; each has a key of its own."""
    subject = Subject(kind="test", name="a test of the alerts")
    event = AlertEvent(
        key=f"{subject.key}:{uuid4().hex[:12]}",
        subject=subject,
        state="failed",
        severity="warning",
        what="This message was asked for by cpjump alerts test. Nothing is wrong.",
        numbers=(),
        link=link,
        advice="nothing: the alerts of the platform arrive here",
        happened_at=now.isoformat(),
    )
    return Message(0, (event,))


def try_channels(channels: Sequence[Channel], message: Message) -> Iterator[Tried]:
    """Hand a message to each channel once, and say of each what became of it, as it is known."""
    for channel in channels:
        try:
            channel.send(message)
        except ChannelError as error:
            yield Tried(channel.name, str(error))
        else:
            yield Tried(channel.name, None)
