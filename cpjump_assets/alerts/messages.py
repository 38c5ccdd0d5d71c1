"""What a channel hands over: one event, or a digest of many, and how it reads.

Belongs here: messages and their words. Does not belong here: whether an event becomes a message (``state``), markup of
a service (apprise makes it of plain text).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import groupby

from cpjump_assets.alerts.events import AlertEvent, Subject

_PLATFORM = "CPJUMP1"
_NAMED = 10
"""Events that a digest shows of each group; the keys of all stand at its end."""


@dataclass(frozen=True)
class Message:
    """One event, or a digest of several; ``number`` counts the messages of a platform, in their order."""

    number: int
    events: tuple[AlertEvent, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys of its events: a message that comes again has the same ones."""
        return tuple(event.key for event in self.events)

    @property
    def level(self) -> str:
        """How bad it is: ``error`` or ``warning`` as the worst of its failures, ``recovered`` without any."""
        return min((level_of(event) for event in self.events), key=_LEVELS.index)

    @property
    def title(self) -> str:
        """One line: how bad, and what it is about."""
        if len(self.events) == 1:
            event = self.events[0]
            return f"{_PLATFORM} {level_of(event)}: {label_of(event.subject)}"
        counts = [(level, sum(level_of(event) == level for event in self.events)) for level in _LEVELS]
        return f"{_PLATFORM}: {', '.join(f'{count} {_COUNTED[level]}' for level, count in counts if count)}"

    @property
    def body(self) -> str:
        """Plain text: what, how much, what to do, where to look, when, and the keys."""
        if len(self.events) == 1:
            return _text(self.events[0])
        groups = [_group_text(group) for group in _groups(self.events)]
        return "\n\n".join([*groups, "\n".join(["Events:", *self.keys])])


_LEVELS = ("error", "warning", "test", "recovered")
_COUNTED = {"error": "failed", "warning": "with a warning", "test": "to try the channel", "recovered": "recovered"}


def level_of(event: AlertEvent) -> str:
    """Say how bad an event is: its severity, ``recovered``, or ``test`` for a message that only tries a channel."""
    if event.subject.kind == "test":
        return "test"
    return event.severity if event.state == "failed" else "recovered"


def label_of(subject: Subject) -> str:
    """Give the name of a subject with its partition."""
    return subject.name if subject.partition is None else f"{subject.name} ({subject.partition})"


def _text(event: AlertEvent) -> str:
    numbers = [f"{name}: {value}" for name, value in event.numbers]
    return "\n\n".join(
        "\n".join(lines) for lines in ([event.what], numbers, [*_guidance(event), *_origin(event)]) if lines
    )


def _guidance(event: AlertEvent) -> list[str]:
    advice = [f"What to do: {event.advice}"] if event.advice else []
    return [*advice, *([f"Where to look: {event.link}"] if event.link else [])]


def _origin(event: AlertEvent) -> list[str]:
    return [f"When: {event.time:%Y-%m-%d %H:%M:%S} UTC", f"Event: {event.key}"]


def _groups(events: Iterable[AlertEvent]) -> list[list[AlertEvent]]:
    """Put together what differs only in its partition, the worst first."""
    ordered = sorted(events, key=_group_of)
    return [list(group) for _, group in groupby(ordered, key=_group_of)]


def _group_of(event: AlertEvent) -> tuple[int, str, str, str]:
    subject = event.subject
    of_asset = subject.asset is not None
    name = "" if of_asset else subject.name
    return _LEVELS.index(level_of(event)), subject.kind, f"{subject.asset or ''} {name}", subject.check or ""


def _group_text(group: list[AlertEvent]) -> str:
    """Write a group: one event as it is; several with lines of their own, and what they share once."""
    first = group[0]
    if len(group) == 1:
        heading, said, shared = label_of(first.subject), [first.what, *_numbers_line(first)], first
    else:
        heading = f"{first.subject.name}, {len(group)} of them:"
        shown, shared = group[:_NAMED], replace(first, link=None)
        if len({event.link for event in group}) == 1:
            shown, shared = [replace(event, link=None) for event in shown], first
        said = [line for event in shown for line in _lines_in_group(event)]
        said += [f"- and {len(group) - _NAMED} more"] if len(group) > _NAMED else []
    return "\n".join([f"[{level_of(first)}] {heading}", *said, *_guidance(shared)])


def _lines_in_group(event: AlertEvent) -> list[str]:
    below = [f"  {line}" for line in (*_numbers_line(event), event.link) if line]
    return [f"- {event.subject.partition or event.subject.name}: {event.what}", *below]


def _numbers_line(event: AlertEvent) -> list[str]:
    return ["; ".join(f"{name}: {value}" for name, value in event.numbers)] if event.numbers else []
