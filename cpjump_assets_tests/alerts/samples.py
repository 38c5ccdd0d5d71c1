"""Events of tests, a clock that is moved by hand, a keeper of states. Loads fast: a test starts processes with it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from cpjump_assets.alerts.events import AlertEvent, EventState, Severity, Subject
from cpjump_assets.alerts.messages import Message

START = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
STRATEGY = "cpjump1_official_representation"
CHECK = Subject("check", "promise_target on split_manifest", "split_manifest", "promise_target", STRATEGY)


def plate_check(number: int) -> Subject:
    """Give the subject of a check of one plate."""
    plate = f"2020_11_04_CPJUMP1.BR{number:08d}"
    return Subject("check", "plate_quality on normalized_profiles", "normalized_profiles", "plate_quality", plate)


def event(
    subject: Subject = CHECK, state: EventState = "failed", *, minute: float = 0, severity: Severity = "error"
) -> AlertEvent:
    """Give an event of a minute after the start; its key tells the subject and the minute."""
    return AlertEvent(
        key=f"{subject.key}@{minute:g}",
        subject=subject,
        state=state,
        severity=severity,
        what=f"{subject.name} {state}.",
        numbers=(("wells that cross", "12"),),
        link="http://127.0.0.1:3000/runs/1234",
        advice="Open the check's metadata: it lists the wells.",
        happened_at=(START + timedelta(minutes=minute)).isoformat(),
    )


def message(*events: AlertEvent, number: int = 1) -> Message:
    """Give a message of events."""
    return Message(number, events or (event(),))


class Clock:
    """The time, moved by hand."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> None:
        """Let time pass, as ``minutes=2``."""
        self.now += timedelta(**by)


class FileKeeper:
    """Keeps the state in a file."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "state.json"

    def load(self) -> str | None:
        return self.path.read_text() if self.path.exists() else None

    def save(self, text: str) -> None:
        part = self.path.with_suffix(".part")
        part.write_text(text)
        part.replace(self.path)
