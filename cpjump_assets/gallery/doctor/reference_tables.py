"""The reference tables that the configured root holds, and whether they are as released.

Belongs here: which file of each kind is taken, and its sum against those of all known releases. Does not belong here:
finding and reading files (``reference.root``), the sums (``reference.digests``).
"""

from functools import partial

from cpjump_assets.gallery.doctor.findings import Finding, Status, attempt, skipped
from cpjump_assets.gallery.reference.digests import KNOWN_SHA256
from cpjump_assets.gallery.reference.root import PLACES, ReferenceRoot
from cpjump_assets.gallery.reference.tables import ReferenceFile, ReferenceKind
from cpjump_assets.science.errors import GalleryError, SettingsError

AREA = "reference"
ROOT, SUMS = "root", "released sums"
# Which plate maps there are is said by the barcode files, so that these two come together.
_TOGETHER = (ReferenceKind.PLATE_MAP, ReferenceKind.BARCODES)
_ADVICE = "set CPJUMP_REFERENCE to a root that has the tables, or unset it for the public repository"


def reference_findings(url: str, *, endpoint: str | None) -> tuple[Finding, ...]:
    """Read every reference table, kind by kind, and compare the sums with the released ones.

    Parameters
    ----------
    url
        Address of the root; of one that ends in a known commit, the sums of this commit are enforced.
    endpoint
        S3 endpoint, for an ``s3://`` address.
    """
    try:
        root = ReferenceRoot.parse(url, endpoint=endpoint)
        root.transport.read(PLACES[ReferenceKind.OFFICIAL][0])  # there or not: the root answers, or else no table will
    except (SettingsError, GalleryError) as error:
        unread = skipped(AREA, "tables", SUMS, because=f"needs: {ROOT}")
        advice = "set CPJUMP_REFERENCE to a folder with a copy of the tables, or look after the network"
        return (Finding(AREA, ROOT, Status.ERROR, str(error), advice=advice), *unread)
    files: list[ReferenceFile] = []

    def read(*kinds: ReferenceKind) -> list[Finding]:
        found = root.files(*kinds)
        files.extend(found)
        paths = found[0].path if len(found) == 1 else f"{len(found)} files, barcodes included"
        return [Finding(AREA, kinds[0], Status.OK, paths)]

    kinds = [*((kind,) for kind in ReferenceKind if kind not in _TOGETHER), _TOGETHER]
    findings = [row for some in kinds for row in attempt(AREA, some[0], partial(read, *some), advice=_ADVICE)]
    return (*findings, sums_finding(files))


def sums_finding(files: list[ReferenceFile]) -> Finding:
    """Compare files with all known releases, by path."""
    known: dict[str, set[str]] = {}
    for sums in KNOWN_SHA256.values():
        for path, sha256 in sums.items():
            known.setdefault(path, set()).add(sha256)
    compared = [file for file in files if file.path in known]
    others = tuple(file.path for file in compared if file.sha256 not in known[file.path])
    found = f"{len(compared) - len(others)} of {len(compared)} files as released, {len(files) - len(compared)} without"
    if not others:
        return Finding(AREA, SUMS, Status.OK, f"{found} a known sum")
    advice = "reference tables that differ from every release give splits and scores that are not the paper's"
    return Finding(AREA, SUMS, Status.WARNING, f"{found} a known sum", names=others, advice=advice)
