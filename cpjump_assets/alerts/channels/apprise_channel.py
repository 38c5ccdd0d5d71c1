"""Any service that apprise knows, by one address: mail, Slack, Teams, ntfy, webhooks.

Belongs here: the one place that uses apprise. Does not belong here: what a message says (``messages``), when it is
tried again (``delivery``).

Addresses hold passwords and tokens. Neither they nor a part of them reaches a name, an error, a log or the state:
apprise and the HTTP client below it write addresses to their logs, which end here.
"""

import hashlib
import logging
import re
import sys
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote

from cpjump_assets.alerts.channels.channel import ChannelError
from cpjump_assets.alerts.messages import Message

if TYPE_CHECKING:
    from apprise import Apprise, NotifyBase
    from apprise.result import AppriseResult

TRY_SECONDS = 15.0
"""A service that takes longer did not take the message, as far as anybody knows."""
_READ_SECONDS = 10.0
"""Wait for an answer, where the address says no ``rto``; apprise's own 4 s are little for a busy webhook, and a message
that is taken after that time comes twice."""
_PACE_SECONDS = 6.0
"""Time for the pauses that apprise makes between the parts of a long message; a try has room for as much again."""
_PART_NUMBER = 20
"""Characters that apprise adds to a part, to number it."""
_SHORTEST_SECRET = 3
_TYPES = {"error": "failure", "warning": "warning", "recovered": "success", "test": "info"}
_LOGS_WITH_ADDRESSES = ("apprise", "urllib3.connectionpool", "urllib3.util.retry")

_sending: ContextVar["AppriseChannel | None"] = ContextVar("sending an alert", default=None)
"""Whose message is being sent; apprise hands it on to the threads that it sends in."""


@dataclass(frozen=True, repr=False)
class AppriseChannel:
    """A channel by its apprise address; the name is its scheme with a tag that tells two of one scheme apart.

    Attributes
    ----------
    url
        Apprise address.
    twin
        How many addresses before this one have the same tag by chance: the name must be the channel's alone.
    """

    url: str
    twin: int = 0

    def __repr__(self) -> str:
        return f"AppriseChannel({self.name})"

    @cached_property
    def name(self) -> str:
        """As ``slack-1f2e``: stays when addresses are put in another order, and does not give the address away."""
        # Two bytes of a slow sum: too little to tell whether a guessed password is the right one.
        tag = hashlib.scrypt(self.url.encode(), salt=b"cpjump alerts", n=2**13, r=8, p=1, dklen=2)
        return f"{self.scheme}-{tag.hex()}{f'-{self.twin}' if self.twin else ''}"

    @property
    def scheme(self) -> str:
        """Name of the service in the address."""
        return self.url.partition("://")[0]

    def send(self, message: Message) -> None:
        """Hand a message to the service, and wait until it is taken.

        An address may name several receivers, as of a mail; when one of them fails, all get the message again.

        Raises
        ------
        ChannelError
            If apprise cannot use such an address, or the service refused, did not answer or took too long.
        """
        token = _sending.set(self)
        try:
            result = self._services.notify(
                title=message.title,
                body=self._fitting(message),
                notify_type=_TYPES[message.level],
                body_format="text",
                timeout=TRY_SECONDS,
            )
        finally:
            _sending.reset(token)
        if not result:
            # Not all of it came through a log that was blotted already: apprise notes some failures by itself.
            raise ChannelError(self.without_secrets(_reason(result)))

    @cached_property
    def _services(self) -> "Apprise":
        """Give what apprise makes of the address; kept, because some services limit the rate of one sender."""
        _guard_logs()
        from apprise import Apprise, AppriseAsset
        from apprise.common import OverflowMode

        services = Apprise(asset=AppriseAsset(app_id="CPJUMP1", app_desc="CPJUMP1 data platform", async_mode=False))
        if not services.add(self.url):
            raise ChannelError(f"apprise cannot use the address: see {self.scheme}:// in CPJUMP_ALERT_URLS")
        for service in services:
            # By default a digest that is too long for a service is refused by it, for ever.
            if "overflow=" not in self.url:
                service.overflow_mode = OverflowMode.SPLIT
            if "rto=" not in self.url:
                service.socket_read_timeout = _READ_SECONDS
        return services

    def _fitting(self, message: Message) -> str:
        """Give the text, cut where it has more parts than a try has time for: all of them would come again."""
        room = min((_room(service, message.title) for service in self._services), default=len(message.body))
        if len(message.body) <= room or "overflow=" in self.url:
            return message.body
        rest = f"\n\n... {len(message.keys)} events, all of them in alerts.jsonl; the first is {message.keys[0]}"
        return message.body[: max(room - len(rest), 0)] + rest

    def without_secrets(self, text: str) -> str:
        """Blot out whatever of the address a service repeats."""
        for part in _parts(self.url):
            text = re.sub(re.escape(part), "***", text, flags=re.IGNORECASE)
        return text


def _room(service: "NotifyBase", title: str) -> int:
    """Give the characters that a service takes in the parts for which there is time."""
    of_a_part = max(service.body_maxlen - len(title) - _PART_NUMBER, 1)
    pause = service.request_rate_per_sec
    return of_a_part * (1 + int(_PACE_SECONDS / pause)) if pause > 0 else sys.maxsize


def _parts(url: str) -> list[str]:
    """Give everything that an address consists of, as written and decoded, but its scheme; the longest first."""
    rest = url.partition("://")[2]
    pieces = re.split(r"[/:@?&=,;+\s]+", rest)
    values = [value for _, value in parse_qsl(rest.partition("?")[2])]
    found = {piece for part in (rest, *pieces, *values) for piece in (part, unquote(part))}
    return sorted((part for part in found if len(part) >= _SHORTEST_SECRET), key=len, reverse=True)


def _reason(result: "AppriseResult") -> str:
    """Give what the service said last, or how the try ended."""
    said = [" ".join(entry.message.split()) for entry in result.logs()]
    return said[-1] if said else result.status.name.lower()


def _guard_logs() -> None:
    """Keep addresses out of the logs below, at every level; what they say of a failure is in the error."""
    apprise = logging.getLogger("apprise")
    apprise.propagate = False
    if not apprise.handlers:
        apprise.addHandler(logging.NullHandler())
    for name in _LOGS_WITH_ADDRESSES:
        logging.getLogger(name).addFilter(_blotted)  # one that is there already is not added again


def _blotted(record: logging.LogRecord) -> bool:
    """Drop what is said for debugging while a message is sent, and blot out the address in all else."""
    channel = _sending.get()
    if channel is None:
        return True
    record.msg, record.args = channel.without_secrets(record.getMessage()), None
    record.exc_info = record.exc_text = None
    return record.levelno >= logging.WARNING
