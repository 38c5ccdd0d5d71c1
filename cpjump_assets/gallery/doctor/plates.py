"""The plates and profile files of the gallery, against the published list and the levels that the platform knows.

Belongs here: counts by batch, with the names of what is missing, unknown or there twice. Does not belong here: listing
(``holdings``), opening any object (``samples``).
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from cpjump_assets.gallery.doctor.findings import Finding, Status, attempt
from cpjump_assets.gallery.doctor.holdings import IMAGES, KINDS, LOAD_DATA, PROFILES, Holdings, Kind, Shelf
from cpjump_assets.gallery.gallery import Gallery
from cpjump_assets.gallery.images.measurements import resolve_measurements
from cpjump_assets.gallery.layout import LEVEL_SUFFIXES
from cpjump_assets.science.levels import Level
from cpjump_assets.science.plates import BATCHES, DEEP_PROFILER_BATCH, MAIN_BATCH, PlateKey

PLATES = "plates"
FILES = "profile files"
WHOLE_BATCH = "whole batch"
"""What a finding is of when a batch is absent with all that belongs to it."""
MEASUREMENTS = "measurement folders"

_FORMAT = ".csv.gz"
_LEVELS: Mapping[str, Level] = {suffix + _FORMAT: level for level, suffix in LEVEL_SUFFIXES.items()}
# Published as well, by documents, and read by nothing here: selected after normalization to the whole plate.
_WITHOUT_LEVEL = ("_normalized_feature_select_batch" + _FORMAT, "_normalized_feature_select_plate" + _FORMAT)


@dataclass(frozen=True)
class Expected:
    """What is asked of a gallery.

    Attributes
    ----------
    needed
        The kind of object without which the main job has nothing to begin with.
    simulated
        Whether it is a simulated one, of which nobody expects everything.
    """

    needed: Kind
    simulated: bool


def level_of(ending: str) -> Level | None:
    """Give the level of the profile files whose names end so behind the barcode, such as ``_augmented.csv.gz``."""
    return _LEVELS.get(ending)


def plate_findings(gallery: Gallery, holdings: Holdings, expected: Expected) -> Iterator[Finding]:
    """Count plates against the published list, by batch and kind.

    Parameters
    ----------
    gallery
        Is asked once more for each plate with several measurement folders.
    holdings
        What was listed of it.
    expected
        What is asked of it.
    """
    for batch in BATCHES:
        shelves = [holdings.shelf(batch, kind) for kind in KINDS]
        if batch != MAIN_BATCH and not any(shelf.folders or shelf.failure for shelf in shelves):
            yield _absent_batch(batch, expected)
            continue
        for shelf in shelves:
            yield _shelf_finding(holdings, shelf, expected)
        yield from _several_measurements(gallery, holdings.shelf(batch, IMAGES))
        yield from _unknown_plates(batch, shelves)
    unknown = set(holdings.batches) - set(BATCHES) - {DEEP_PROFILER_BATCH}
    if unknown:
        yield _unknown("unknown batches", unknown, where="")


def file_findings(holdings: Holdings) -> Iterator[Finding]:
    """Count the plates that have each kind of profile file, by batch."""
    for batch in BATCHES:
        folders = holdings.shelf(batch, PROFILES).folders
        files = [(barcode, key.rpartition("/")[2]) for barcode, keys in folders.items() for key in keys]
        plates = Counter(name.removeprefix(barcode) for barcode, name in files)
        for ending in sorted(plates, key=_by_level):
            yield _file_finding(batch, ending, plates[ending], len(folders))


def _absent_batch(batch: str, expected: Expected) -> Finding:
    advice = (
        "nothing to do: a simulated gallery has the batches that it was made with"
        if expected.simulated
        else f"`cpjump refresh --batch {batch}` has nothing to take from this gallery"
    )
    plates = f"{len(BATCHES[batch])}"
    return Finding(PLATES, WHOLE_BATCH, Status.WARNING, "0", where=batch, expected=plates, advice=advice)


def _shelf_finding(holdings: Holdings, shelf: Shelf, expected: Expected) -> Finding:
    batch, kind = shelf.batch, shelf.kind
    if shelf.failure is not None:
        advice = "other folders of the gallery can be listed: run `cpjump doctor` again, then ask its owner"
        return Finding(PLATES, kind.name, Status.ERROR, str(shelf.failure), where=batch, advice=advice)
    there = [plate.barcode for plate in holdings.plates(batch, kind)]
    missing = tuple(sorted(set(BATCHES[batch]).difference(there)))
    status, advice = _judged(holdings, shelf, missing, expected)
    counts = (f"{len(there)}", batch, f"{len(BATCHES[batch])}")
    return Finding(PLATES, kind.name, status, *counts, names=missing, advice=advice)


def _judged(holdings: Holdings, shelf: Shelf, missing: tuple[str, ...], expected: Expected) -> tuple[Status, str]:
    """Say what it means that a batch lacks this kind of object of some plates, and what to do."""
    if not missing:
        return Status.OK, ""
    whole_batch = len(missing) == len(BATCHES[shelf.batch])
    if shelf.kind is expected.needed and shelf.batch == MAIN_BATCH and whole_batch:
        others = ", ".join(holdings.batches) or "no batch at all"
        wanted = f"{shelf.kind.name} of {MAIN_BATCH}"
        return Status.ERROR, f"set CPJUMP_GALLERY to a root with {wanted}; this one has profiles of {others}"
    if expected.simulated and shelf.kind not in (PROFILES, LOAD_DATA):
        scarce = "images, illumination functions and backends of some plates only"
        return Status.WARNING, f"nothing to do: a simulated gallery has {scarce}"
    return Status.WARNING, shelf.kind.lacking


def _several_measurements(gallery: Gallery, shelf: Shelf) -> Iterator[Finding]:
    """Tell of each plate with several measurement folders whether its image sets say which one counts."""
    for barcode, folders in sorted(shelf.folders.items()):
        if len(folders) > 1:
            plate = PlateKey(shelf.batch, barcode)
            advice = f"images of {plate} cannot be pulled until its image sets name one measurement folder"
            look = partial(_resolved, gallery, plate, folders)
            yield from attempt(PLATES, MEASUREMENTS, look, where=str(plate), advice=advice)


def _resolved(gallery: Gallery, plate: PlateKey, folders: tuple[str, ...]) -> Iterator[Finding]:
    resolved = resolve_measurements(gallery.client, gallery.root, plate.batch, [plate])
    taken = resolved.get(plate, "none that is still there")
    found = f"{len(folders)}; its image sets name {taken}"
    yield Finding(PLATES, MEASUREMENTS, Status.OK, found, where=str(plate), expected="1")


def _unknown_plates(batch: str, shelves: list[Shelf]) -> Iterator[Finding]:
    unknown = {barcode for shelf in shelves for barcode in shelf.folders}.difference(BATCHES[batch])
    if unknown:
        yield _unknown("unknown plates", unknown, where=batch)


def _unknown(what: str, names: set[str], *, where: str) -> Finding:
    advice = f"{what} are not of the published list, and are left alone"
    return Finding(
        PLATES, what, Status.WARNING, f"{len(names)}", where=where, names=tuple(sorted(names)), advice=advice
    )


def _file_finding(batch: str, ending: str, n_files: int, n_plates: int) -> Finding:
    counts = (f"{n_files}", batch, f"{n_plates}")
    if ending in _LEVELS or ending in _WITHOUT_LEVEL:
        return Finding(FILES, ending, Status.OK, *counts)
    advice = f"profile files that end in {ending} are of no level known here: they are pulled on demand, and not read"
    return Finding(FILES, ending, Status.WARNING, f"{n_files}", where=batch, advice=advice)


def _by_level(ending: str) -> tuple[int, str]:
    known = list(_LEVELS)
    return (known.index(ending) if ending in known else len(known), ending)
