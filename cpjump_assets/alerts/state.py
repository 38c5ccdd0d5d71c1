"""The state of alerts: what was collected, what is wrong, which messages are on their way. One document.

Belongs here: how events change it, as a pure function, and its text. Does not belong here: collecting events
(``orchestration.alerting``), sending messages (``delivery``), keeping the text (``keeping``).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Literal

from cpjump_assets.alerts.events import AlertEvent, Severity, Subject
from cpjump_assets.alerts.messages import Message
from cpjump_assets.alerts.outbox import ChannelRecord, Queued
from cpjump_assets.science.errors import StoreError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

DIGEST_ABOVE = 5
"""More messages than these at once become one digest."""
REMINDED_AFTER = timedelta(days=1)
"""A run that fails again so long after its last failure is told again: it may have been mended under another job."""
REMEMBERED = 2000
"""Keys of events that are remembered, so that one that is collected again is no news."""


@dataclass(frozen=True)
class Incident:
    """Something is wrong, and was told.

    Attributes
    ----------
    subject, severity, what, link
        As in the event that was told of it last.
    opened_by
        Key of that event.
    since, last_failure
        When it began, and when it failed last.
    failures
        How often it failed.
    """

    subject: Subject
    severity: Severity
    what: str
    link: str | None
    opened_by: str
    since: str
    last_failure: str
    failures: int = 1


@dataclass(frozen=True)
class AlertState:
    """All that alerts remember; a change gives a new one.

    Attributes
    ----------
    version
        Of the document.
    cursor
        How far events were collected; the collector's own words.
    incidents
        What is wrong now, by the subject's key.
    outbox
        Messages that not all channels took, in their order.
    channels
        How the channels do, by name.
    seen
        Keys of the events that opened, continued or closed an incident, the newest last.
    next_number
        Number of the next message.
    """

    version: Literal[1] = 1
    cursor: str | None = None
    incidents: dict[str, Incident] = field(default_factory=dict)
    outbox: tuple[Queued, ...] = ()
    channels: dict[str, ChannelRecord] = field(default_factory=dict)
    seen: tuple[str, ...] = ()
    next_number: int = 1

    def receive(self, events: Iterable[AlertEvent], cursor: str | None) -> "AlertState":
        """Take in what was collected, and put what is news into the outbox.

        A failure opens an incident; a further failure of an open one is no news, unless a warning has become an error,
        or a run fails again after ``REMINDED_AFTER``. A recovery closes the incident; one without an incident, or from
        before its last failure, is no news. An event that was seen before is none either, so events may be collected
        again. More than ``DIGEST_ABOVE`` at once become one digest.

        Parameters
        ----------
        events
            In any order: they are taken in the order in which they happened.
        cursor
            How far they were collected; kept together with what they changed.
        """
        incidents, seen = dict(self.incidents), dict.fromkeys(self.seen)
        news: list[AlertEvent] = []
        for event in sorted(events, key=lambda event: event.time):
            if event.key in seen or not _concerns(event, incidents.get(event.subject.key)):
                continue
            seen[event.key] = None
            told = _apply(event, incidents)
            if told is not None:
                news.append(told)
        state = replace(self, cursor=cursor, incidents=incidents, seen=tuple(seen)[-REMEMBERED:])
        return state._told(news)

    def _told(self, news: list[AlertEvent]) -> "AlertState":
        parts = [tuple(news)] if len(news) > DIGEST_ABOVE else [(event,) for event in news]
        queued = (Queued(Message(number, part)) for number, part in enumerate(parts, self.next_number))
        return replace(self, outbox=(*self.outbox, *queued), next_number=self.next_number + len(parts))

    def waiting_for(self, channel: str) -> int:
        """Count the messages that a channel has neither taken nor given up."""
        return sum(not queued.at(channel).over for queued in self.outbox)

    def to_text(self) -> str:
        """Write the document; it holds no secret."""
        return _document().dump_json(self).decode()

    @classmethod
    def from_text(cls, text: str) -> "AlertState":
        """Read the document.

        Raises
        ------
        StoreError
            If it is not one of this version.
        """
        from pydantic import ValidationError

        try:
            return _document().validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "the whole"
            raise StoreError(f"the state of alerts cannot be read: {where}: {first['msg']}") from error


def _concerns(event: AlertEvent, incident: Incident | None) -> bool:
    """Tell whether an event changes anything."""
    if event.state == "failed":
        return True
    return incident is not None and event.happened_after(incident.last_failure)


def _apply(event: AlertEvent, incidents: dict[str, Incident]) -> AlertEvent | None:
    """Open, continue or close the incident of an event; give what is told of it, if anything."""
    key = event.subject.key
    incident = incidents.get(key)
    if event.state == "recovered":
        closed = incidents.pop(key)
        since = (("failed since", closed.since), ("failures", str(closed.failures)))
        return replace(event, numbers=(*event.numbers, *since))
    if incident is None:
        incidents[key] = Incident(
            subject=event.subject,
            severity=event.severity,
            what=event.what,
            link=event.link,
            opened_by=event.key,
            since=event.happened_at,
            last_failure=event.happened_at,
        )
        return event
    last = event.happened_at if event.happened_after(incident.last_failure) else incident.last_failure
    told = event if _is_worse(event, incident) or _is_due_again(event, incident) else None
    now = incident if told is None else replace(incident, severity=told.severity, what=told.what, link=told.link)
    incidents[key] = replace(now, failures=incident.failures + 1, last_failure=last)
    return told


def _is_worse(event: AlertEvent, incident: Incident) -> bool:
    return (incident.severity, event.severity) == ("warning", "error")


def _is_due_again(event: AlertEvent, incident: Incident) -> bool:
    """Tell whether a run is to be told again: it recovers under its own job and partitions alone.

    Who mends a plate by a refresh leaves the incident of the run that automation asked for; its next failure is news.
    """
    passed = event.time - datetime.fromisoformat(incident.last_failure)
    return event.subject.kind == "run" and passed >= REMINDED_AFTER


@cache
def _document() -> "TypeAdapter[AlertState]":
    from pydantic import TypeAdapter

    return TypeAdapter(AlertState)
