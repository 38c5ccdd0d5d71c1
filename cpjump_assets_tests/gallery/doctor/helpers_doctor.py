"""A set-up to be looked over: a simulated gallery in a bucket of its own, its reference root, a store to be made."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cpjump_assets.gallery.doctor.examine import examine
from cpjump_assets.gallery.doctor.findings import Finding, Status
from cpjump_assets.imaging.tiff import require_image
from cpjump_assets.science.plates import MAIN_PLATES, PLATES, PlateKey
from cpjump_assets.simulate.config import Size
from cpjump_assets.simulate.s3.server import S3Server
from cpjump_assets.simulate.s3.service import RecordedRequest
from cpjump_assets.simulate.writer import GALLERY, SimulatedGallery

OTHER_BATCH = "2020_11_19_TimepointDay4"
# Each in its own form of image sets: addresses, old addresses below broad/, and names with folders of a laboratory.
FIRST, MOVED, LAB = (
    next(plate for plate in MAIN_PLATES if plate.barcode == barcode)
    for barcode in ("BR00116991", "BR00117010", "BR00117020")
)
ELSEWHERE = next(plate for plate in PLATES if plate.batch == OTHER_BATCH)
SIZE = Size("doctor", n_features=20, plates=(FIRST, MOVED, LAB, ELSEWHERE), backends=(FIRST,), image_wells=2)

Problem = tuple[str, str, str, Status]
"""Area, what, where and status of a finding that is not as it should be."""


class Patient(NamedTuple):
    """A set-up; tests may break what lies in its bucket.

    Attributes
    ----------
    sound
        Folder of the gallery as it was simulated; nobody may change it.
    bucket
        Folder of a copy of its bucket, which ``server`` serves.
    server
        Serves other buckets too.
    store
        The folder that is configured as the store.
    """

    sound: Path
    bucket: Path
    server: S3Server
    store: Path

    @property
    def gallery_url(self) -> str:
        return f"s3://{self.bucket.name}/{GALLERY.prefix}"

    @property
    def given(self) -> dict[str, str]:
        return {
            "CPJUMP_GALLERY": self.gallery_url,
            "CPJUMP_S3_ENDPOINT": self.server.endpoint,
            "CPJUMP_REFERENCE": str(SimulatedGallery(self.sound, SIZE, 0).reference_root),
            "CPJUMP_STORE": str(self.store),
            "CPJUMP_PULL_BUDGET": "1MB",
        }

    @property
    def requests(self) -> list[RecordedRequest]:
        """What was asked of its bucket so far."""
        return [request for request in self.server.requests if request.bucket == self.bucket.name]

    def examine(self, *, quick: bool = False, **settings: str) -> tuple[Finding, ...]:
        return examine(self.given | settings, open_image=require_image, quick=quick)

    def put(self, key: str, content: bytes) -> None:
        path = self.bucket / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def read(self, key: str) -> bytes:
        return (self.bucket / key).read_bytes()

    def remove(self, prefix: str) -> None:
        shutil.rmtree(self.bucket / prefix)

    def measurement(self, plate: PlateKey) -> Path:
        (folder,) = (self.bucket / GALLERY.images_prefix(plate.batch)).glob(f"{plate.barcode}__*")
        return folder


def problems(findings: Sequence[Finding]) -> set[Problem]:
    """Give what is not in order, but for what is not looked at."""
    bad = (Status.WARNING, Status.ERROR)
    return {(row.area, row.what, row.where, row.status) for row in findings if row.status in bad}


def the(findings: Sequence[Finding], area: str, what: str) -> Finding:
    """Give the one finding of this name."""
    (found,) = (row for row in findings if (row.area, row.what) == (area, what))
    return found
