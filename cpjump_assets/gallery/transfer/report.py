"""After a pull: what came, how fast, what had to be tried again, and what did not come.

Belongs here: the sums, their names, and the error that a pull with failed objects ends in. Does not belong here: how a
report looks in a terminal (``terminal.pull``).
"""

from dataclasses import dataclass
from typing import Any

from cpjump_assets.gallery.transfer.etag import Verification
from cpjump_assets.gallery.transfer.inventory import InventoryRow
from cpjump_assets.science.errors import GalleryError

NAMED_FAILURES = 20
"""Failed objects that an error names, with their reasons."""
_NAMED_WHEN_GIVEN_UP = 3
"""Of a pull that was given up: they all failed alike."""


@dataclass(frozen=True)
class FailedObject:
    """An object that could not be pulled, and why, in one line that names it."""

    key: str
    reason: str


@dataclass(frozen=True)
class PullReport:
    """What a pull did.

    Attributes
    ----------
    pulled
        The rows recorded, by key.
    skipped
        Objects that were held before, in the listed version.
    retries
        Tries besides the first, over all objects.
    resumed_bytes
        Bytes that earlier, interrupted tries had left, and that were not asked for again.
    as_released
        Objects whose sha256 is the released one.
    not_as_released
        Keys of objects of the released size, and with another sha256.
    changed
        Keys of objects that changed between the listing and the reading; their new version was pulled.
    absent
        Keys of objects that were gone between the listing and the reading.
    failed
        Objects that could not be pulled, by key.
    seconds
        Time taken.
    """

    pulled: tuple[InventoryRow, ...]
    skipped: int
    retries: int
    resumed_bytes: int
    as_released: int
    not_as_released: tuple[str, ...]
    changed: tuple[str, ...]
    absent: tuple[str, ...]
    failed: tuple[FailedObject, ...]
    seconds: float

    @property
    def bytes(self) -> int:
        """Bytes of the objects pulled."""
        return sum(row.size for row in self.pulled)

    @property
    def unverified(self) -> tuple[str, ...]:
        """Keys of the objects pulled whose bytes nothing could prove."""
        return tuple(row.key for row in self.pulled if row.verification is Verification.UNVERIFIED)

    @property
    def megabytes_per_second(self) -> float:
        """Bytes of the objects pulled over the time taken, in 10^6 bytes a second."""
        return self.bytes / self.seconds / 1e6 if self.seconds > 0 else 0.0

    def sums(self) -> dict[str, int | float]:
        """Give the numbers by name."""
        return {
            "objects": len(self.pulled),
            "bytes": self.bytes,
            "seconds": round(self.seconds, 3),
            "megabytes_per_second": round(self.megabytes_per_second, 1),
            "held": self.skipped,
            "retries": self.retries,
            "resumed_bytes": self.resumed_bytes,
            "unverified": len(self.unverified),
            "as_released": self.as_released,
            "not_as_released": len(self.not_as_released),
            "changed": len(self.changed),
            "absent": len(self.absent),
            "failed": len(self.failed),
        }

    def findings(self) -> dict[str, Any]:
        """Give the keys behind the numbers, by name, and why objects failed."""
        return {
            "unverified_keys": self.unverified,
            "not_as_released_keys": self.not_as_released,
            "changed_keys": self.changed,
            "absent_keys": self.absent,
            "failures": {item.key: item.reason for item in self.failed},
        }


class IncompletePullError(GalleryError):
    """Some objects could not be pulled; the others are in place and recorded.

    Parameters
    ----------
    report
        What was done, the failed objects among it.
    given_up
        Whether the pull ended before all objects were tried, as each one failed.
    """

    def __init__(self, report: PullReport, *, given_up: bool) -> None:
        self.report = report
        self.given_up = given_up
        reasons = [item.reason for item in report.failed]
        if given_up:
            what = f"the pull was given up when {len(reasons):,} objects had failed one after another"
            super().__init__(f"{what}: {_first(reasons, _NAMED_WHEN_GIVEN_UP)}")
        elif len(reasons) == 1:
            super().__init__(reasons[0])
        else:
            others = len(report.pulled) + report.skipped
            what = f"{len(reasons):,} objects could not be pulled, the other {others:,} are in place"
            super().__init__(f"{what}: {_first(reasons, NAMED_FAILURES)}")


def _first(reasons: list[str], named: int) -> str:
    more = f"; and {len(reasons) - named:,} more" if len(reasons) > named else ""
    return "; ".join(reasons[:named]) + more
