"""Whether the configured endpoint serves the configured gallery: the rungs between a name and a listing.

Belongs here: one small listing, the rung that it reached, the server's clock, and whether the gallery is a simulated
one. Does not belong here: what a failure means (``troubles``), what the gallery holds (``holdings``).
"""

import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple
from urllib.parse import urlsplit

from cpjump_assets.gallery.doctor.findings import Finding, Status, skipped
from cpjump_assets.gallery.doctor.troubles import (
    BUCKET,
    CONNECTION,
    HOST,
    LISTING,
    PREFIX,
    RUNGS,
    S3,
    TLS,
    Trouble,
    elsewhere,
    trouble_of,
)
from cpjump_assets.gallery.failures import clear_errors, endpoint_name, without_credentials
from cpjump_assets.gallery.gallery import PUBLIC_ORIGIN, Gallery
from cpjump_assets.science.errors import GalleryError

AREA = "endpoint"
_CLOCK = "clock"
_KIND = "kind of gallery"
_LARGEST_SKEW = 300.0
"""Seconds. Reading without an account stands any clock; certificates, and an S3 store of one's own, do not."""


class Endpoint(NamedTuple):
    """What was found of the endpoint.

    Attributes
    ----------
    findings
        Row by row.
    usable
        Whether the gallery can be listed.
    simulated
        Whether the gallery says of itself that it is simulated.
    """

    findings: tuple[Finding, ...]
    usable: bool
    simulated: bool


class _Answer(NamedTuple):
    """What one listing of one key told."""

    keys: int
    milliseconds: float
    date: str | None


def examine_endpoint(gallery: Gallery) -> Endpoint:
    """Climb from the name of the host to a listing; the first rung that breaks is the error, the rest is skipped."""
    try:
        answer = _ask(gallery)
    except GalleryError as error:
        return Endpoint(_ladder(gallery, trouble_of(error, gallery)), usable=False, simulated=False)
    if not answer.keys:
        advice = f"set CPJUMP_GALLERY to the folder of bucket {gallery.root.bucket} that holds images/ and workspace/"
        trouble = Trouble(PREFIX, f"nothing below {gallery.root}", advice)
        return Endpoint(_ladder(gallery, trouble), usable=False, simulated=False)
    ladder = _ladder(gallery, None, took=answer.milliseconds)
    clock = clock_finding(answer.date, now=datetime.now(UTC))
    try:
        origin = gallery.origin()
    except GalleryError as error:
        advice = (
            f"objects must be readable without an account, not only listed: take another bucket, {elsewhere(gallery)}"
        )
        unread = Finding(AREA, _KIND, Status.ERROR, str(error), advice=advice)
        return Endpoint((*ladder, clock, unread), usable=True, simulated=False)
    return Endpoint((*ladder, clock, _kind(origin)), usable=True, simulated=origin != PUBLIC_ORIGIN)


def clock_finding(date: str | None, *, now: datetime) -> Finding:
    """Compare this machine's clock with the server's.

    Parameters
    ----------
    date
        The ``Date`` header of an answer, if it had one.
    now
        By this machine.
    """
    told = _moment(date)
    if told is None:
        return Finding(AREA, _CLOCK, Status.OK, "the server does not tell the time")
    skew = (now - told).total_seconds()
    if abs(skew) <= _LARGEST_SKEW:
        return Finding(AREA, _CLOCK, Status.OK, "agrees with the server's to 5 minutes")
    return Finding(
        AREA,
        _CLOCK,
        Status.WARNING,
        f"{abs(skew) / 60:,.0f} minutes {'ahead of' if skew > 0 else 'behind'} the server's",
        expected="5 minutes at most",
        advice="set the clock of this machine: certificates are judged by it, and records carry its time",
    )


def _moment(date: str | None) -> datetime | None:
    try:
        return None if date is None else parsedate_to_datetime(date).astimezone(UTC)
    except ValueError:
        return None


def _ask(gallery: Gallery) -> _Answer:
    """List one key of the gallery."""
    root = gallery.root
    what = f"the listing of {root}"
    started = time.monotonic()
    with clear_errors(gallery.client, what):
        page = gallery.client.list_objects_v2(Bucket=root.bucket, Prefix=_below(gallery), MaxKeys=1)
    took = (time.monotonic() - started) * 1000
    if page.get("Name") != root.bucket:  # botocore takes any well-formed page for a listing of nothing
        raise GalleryError(f"{what} cannot be read: {endpoint_name(gallery.client)} does not answer as an S3 server")
    date = page["ResponseMetadata"]["HTTPHeaders"].get("date")
    return _Answer(keys=len(page.get("Contents", ())), milliseconds=took, date=date)


def _below(gallery: Gallery) -> str:
    return f"{gallery.root.prefix}/" if gallery.root.prefix else ""


def _ladder(gallery: Gallery, trouble: Trouble | None, *, took: float | None = None) -> tuple[Finding, ...]:
    """Give a finding for each rung: those below the trouble held, those above it were not reached."""
    url = urlsplit(gallery.client.meta.endpoint_url)
    said = {
        HOST: url.hostname or "",
        CONNECTION: "answers" if took is None else f"answers in {took:,.0f} ms",
        TLS: "certificate accepted",
        S3: without_credentials(url.geturl()),
        BUCKET: gallery.root.bucket,
        LISTING: "granted",
        PREFIX: gallery.root.prefix or "the whole bucket",
    }
    rungs = [rung for rung in RUNGS if url.scheme == "https" or rung != TLS or (trouble and trouble.rung == TLS)]
    reached = len(rungs) if trouble is None else rungs.index(trouble.rung)
    held = [Finding(AREA, rung, Status.OK, said[rung]) for rung in rungs[:reached]]
    if trouble is None:
        return tuple(held)
    broken = Finding(AREA, trouble.rung, Status.ERROR, trouble.found, advice=trouble.advice)
    rest = skipped(AREA, *rungs[reached + 1 :], _CLOCK, _KIND, because=f"needs: {trouble.rung}")
    return (*held, broken, *rest)


def _kind(origin: str) -> Finding:
    if origin == PUBLIC_ORIGIN:
        return Finding(AREA, _KIND, Status.OK, "no marker of a simulated one: taken for the public gallery")
    return Finding(AREA, _KIND, Status.OK, f"{origin}; every score made of it will say so")
