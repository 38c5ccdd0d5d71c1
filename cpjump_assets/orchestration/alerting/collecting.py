"""All that happened since the last look, and how far that look went.

Belongs here: the collectors in one, and the text of their cursors. Does not belong here: any of them.
"""

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

import dagster as dg

from cpjump_assets.alerts.events import AlertEvent
from cpjump_assets.orchestration.alerting.checks import SeenChecks, look_at_checks
from cpjump_assets.orchestration.alerting.freshness import look_at_freshness
from cpjump_assets.orchestration.alerting.runs import SeenRuns, look_at_runs
from cpjump_assets.orchestration.alerting.ticks import SeenTicks, look_at_ticks

_VERSION = 1


@dataclass(frozen=True)
class Seen:
    """How far the records were told; empty before the first look, which gives what is wrong now and no history."""

    checks: SeenChecks | None = None
    runs: SeenRuns | None = None
    ticks: SeenTicks | None = None
    freshness: dict[str, str] = field(default_factory=dict)

    def to_text(self) -> str:
        """Write it, for the state of alerts."""
        return json.dumps({"version": _VERSION, **asdict(self)})

    @classmethod
    def from_text(cls, text: str | None) -> "Seen":
        """Read it; what cannot be read counts as nothing, so that the next look is a first one.

        That tells nothing twice: what is wrong, and was told, is in the incidents.
        """
        try:
            found = json.loads(text or "{}")
            checks, runs, ticks = found["checks"], found["runs"], found["ticks"]
            read = cls(
                SeenChecks(checks["settled"], tuple(checks["told"])),
                SeenRuns(runs["until"], tuple(runs["told"])),
                SeenTicks(ticks["looked_at"], {name: tuple(last) for name, last in ticks["last"].items()}),
                found["freshness"],
            )
        except (ValueError, TypeError, KeyError):
            return cls()
        return read if found.get("version") == _VERSION else cls()

    @property
    def looked_at(self) -> datetime | None:
        """When the last look was: long ago, no daemon runs."""
        return None if self.ticks is None else datetime.fromtimestamp(self.ticks.looked_at, UTC)


@dataclass(frozen=True)
class Watched:
    """What is looked at: the checks and assets of a code location, and how alerts speak of them.

    Attributes
    ----------
    checks, assets
        Their keys.
    ui_url
        Address of the web UI, for links.
    alert_on
        Least severity of a failed check that counts.
    """

    checks: Collection[dg.AssetCheckKey]
    assets: Collection[dg.AssetKey]
    ui_url: str
    alert_on: str


def collect(instance: dg.DagsterInstance, watched: Watched, seen: Seen, *, now: float) -> tuple[list[AlertEvent], Seen]:
    """Give what happened since the last look.

    Parameters
    ----------
    now
        Time of this look, in seconds since 1970.
    """
    ui_url = watched.ui_url
    checks, seen_checks = look_at_checks(
        instance, watched.checks, seen.checks, ui_url=ui_url, alert_on=watched.alert_on, now=now
    )
    runs, seen_runs = look_at_runs(instance, seen.runs, ui_url=ui_url, now=now)
    ticks, seen_ticks = look_at_ticks(instance, seen.ticks, ui_url=ui_url, now=now)
    overdue, freshness = look_at_freshness(instance, watched.assets, seen.freshness, ui_url=ui_url, now=now)
    return [*checks, *runs, *ticks, *overdue], Seen(seen_checks, seen_runs, seen_ticks, freshness)
