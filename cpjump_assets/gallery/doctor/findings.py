"""Findings: what an examination says of one thing, as a row.

Belongs here: the form of a finding, errors turned into findings, and what follows from all of them. Does not belong
here: any examination.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from cpjump_assets.science.errors import CpjumpError


class Status(StrEnum):
    """What a finding means for the work to come."""

    OK = "ok"
    WARNING = "warning"
    """Something is not there, or not as it should be, that the main job can do without."""
    ERROR = "error"
    """The main job cannot be done, or something that is there cannot be used."""
    SKIPPED = "skipped"
    """Not looked at, because something that it needs was not found."""


@dataclass(frozen=True)
class Finding:
    """One row of what was found.

    Attributes
    ----------
    area
        Part of the set-up, one of those of ``examine.AREAS``.
    what
        What was looked at.
    where
        The batch, plate or file of which there are several; empty where there is one thing only.
    status
        What it means.
    found, expected
        In words or counts; ``expected`` is empty where ``found`` says all.
    names
        The plates, files or folders that the status is about.
    advice
        What to do, or why there is nothing to do; one line, empty where that is plain.
    """

    area: str
    what: str
    status: Status
    found: str
    where: str = ""
    expected: str = ""
    names: tuple[str, ...] = ()
    advice: str = ""


def attempt(
    area: str, what: str, look: Callable[[], Iterable[Finding]], *, advice: str, where: str = ""
) -> tuple[Finding, ...]:
    """Examine something; what a user can cure becomes a finding instead of an error.

    Parameters
    ----------
    look
        The examination.
    area, what, where, advice
        Of the finding that stands for the error.
    """
    try:
        return tuple(look())
    except CpjumpError as error:
        return (Finding(area, what, Status.ERROR, str(error), where=where, advice=advice),)


def skipped(area: str, *things: str, because: str) -> tuple[Finding, ...]:
    """Say what was not looked at."""
    return tuple(Finding(area, what, Status.SKIPPED, because) for what in things)


def has_errors(findings: Iterable[Finding]) -> bool:
    """Tell whether the main job cannot be done."""
    return any(finding.status is Status.ERROR for finding in findings)


def what_follows(findings: Iterable[Finding]) -> dict[str, Status]:
    """Give the things to do, most pressing first: what errors need, what warnings tell, then the next steps.

    Returns
    -------
    dict
        Status of the findings that lead there, by advice.
    """
    rows = tuple(findings)
    steps: dict[str, Status] = {}
    for status in (Status.ERROR, Status.WARNING, Status.OK):
        for row in rows:
            if row.status is status and row.advice:
                steps.setdefault(row.advice, status)
    return steps
