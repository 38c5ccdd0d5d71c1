"""What is told: a subject is wrong, or well again.

Belongs here: what an alert is about, and the event that says so. Does not belong here: whether an event is news
(``state``), how it reads (``messages``), where it comes from (``orchestration.alerting``).
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

Kind = Literal["check", "run", "asset", "sensor", "test"]
"""What can be wrong: an asset check, the runs of a job, an overdue asset, a sensor or schedule; ``test`` is a trial."""
EventState = Literal["failed", "recovered"]
Severity = Literal["warning", "error"]


@dataclass(frozen=True)
class Subject:
    """What an alert is about; while it is wrong there is one incident of it.

    Attributes
    ----------
    kind
        What sort of thing it is.
    name
        What a person reads, without the partition; of a run the job, of a sensor its name. It tells subjects apart
        where no asset is given.
    asset, check, partition
        Asset key (``a/b``), name of the check, and partition, where it has them; of a run its partition or range.
    """

    kind: Kind
    name: str
    asset: str | None = None
    check: str | None = None
    partition: str | None = None

    def __post_init__(self) -> None:
        if self.kind == "check" and (self.asset is None or self.check is None):
            raise ValueError(f"the subject {self.name!r} is a check: it needs the names of asset and check")

    @property
    def key(self) -> str:
        """Give the stable name, as ``check:split_manifest:promise_target:cpjump1_official_representation``."""
        identity = (self.name,) if self.asset is None else (self.asset, self.check)
        return ":".join(_escaped(part) for part in (self.kind, *identity, self.partition) if part is not None)


@dataclass(frozen=True)
class AlertEvent:
    """A subject failed, or is well again.

    Attributes
    ----------
    key
        Unique: the subject's key and what made the event (time of an evaluation, run id, tick id). An event that is
        collected again has the same key, and a message that is delivered again carries it.
    subject, state, severity
        What it is about, what became of it, and how bad a failure is.
    what
        One sentence: what failed.
    numbers
        Names and values that say how much.
    link
        Where the web UI shows it.
    advice
        What to do.
    happened_at
        Time in UTC, ISO 8601 with an offset; orders the events of a subject.
    """

    key: str
    subject: Subject
    state: EventState
    severity: Severity
    what: str
    numbers: tuple[tuple[str, str], ...]
    link: str | None
    advice: str
    happened_at: str

    def __post_init__(self) -> None:
        if datetime.fromisoformat(self.happened_at).tzinfo is None:
            raise ValueError(f"event {self.key} happened at {self.happened_at}, which says no offset from UTC")

    @property
    def time(self) -> datetime:
        """When it happened, in UTC."""
        return datetime.fromisoformat(self.happened_at).astimezone(UTC)

    def happened_after(self, moment: str) -> bool:
        """Tell whether it happened at a moment (ISO 8601 with an offset) or after it."""
        return self.time >= datetime.fromisoformat(moment)


def _escaped(part: str) -> str:
    """Keep the parts of a key apart when one of them holds a colon."""
    return part.replace("%", "%25").replace(":", "%3A")
