"""What a channel is.

Belongs here: the one interface that delivery knows, and its error. Does not belong here: any channel.
"""

from typing import Protocol

from cpjump_assets.alerts.messages import Message
from cpjump_assets.science.errors import CpjumpError


class ChannelError(CpjumpError):
    """A channel did not take a message; the text says why, and holds no secret."""


class Channel(Protocol):
    """Takes messages to where somebody reads them."""

    @property
    def name(self) -> str:
        """Stable name without secrets: the record of what was delivered is kept by it."""
        ...

    def send(self, message: Message) -> None:
        """Hand a message over; returns once it is accepted.

        Raises
        ------
        ChannelError
            If it was not accepted, or if nobody knows whether it was.
        """
        ...
