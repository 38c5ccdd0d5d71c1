"""Write a simulated gallery: a folder that stands in for the public bucket, its reference root, and the planted truth.

Belongs here: what goes into which file, and putting the whole in place at once. Does not belong here: what the files
say (the other modules of this package) and serving them (``server``).
"""

import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from cpjump_assets.gallery.layout import GalleryRoot
from cpjump_assets.science.errors import StoreError
from cpjump_assets.science.features import Profiles
from cpjump_assets.science.levels import Level
from cpjump_assets.science.plates import PlateKey
from cpjump_assets.simulate.backends import SimulatedCells, write_backend
from cpjump_assets.simulate.config import SIZES, SimulationConfig, Size
from cpjump_assets.simulate.design import Design, read_design
from cpjump_assets.simulate.image_sets import LAB_PATHS_PLATE, OLD_ADDRESSES_PLATE, image_key, load_data
from cpjump_assets.simulate.image_wells import wells_with_images
from cpjump_assets.simulate.images import site_images
from cpjump_assets.simulate.profile_files import profile_csv_gz
from cpjump_assets.simulate.profiles import ProfileModel
from cpjump_assets.simulate.published_levels import (
    batch_selected,
    normalized_to_negcon,
    plate_levels,
    published_text,
)
from cpjump_assets.simulate.reference_files import PLATE_MAPS_FOLDER, copy_reference, write_invented_reference
from cpjump_assets.simulate.truth import Truth, plant

GALLERY = GalleryRoot(bucket="cellpainting-gallery", prefix="cpg0000-jump-pilot/source_4")
"""Bucket and prefix of the public gallery; a simulated one has the same."""
_N_PLATES_WITH_MORE_LEVELS = 2
_N_WELLS_OF_OTHER_PLATES = 2
_PROFILE_KEYS = ["Metadata_Plate", "Metadata_Well"]


@dataclass(frozen=True)
class SimulatedGallery:
    """Where a simulated gallery lies.

    Attributes
    ----------
    folder
        The folder that holds all of it.
    size, seed
        How it was made.
    """

    folder: Path
    size: Size
    seed: int

    @property
    def bucket_root(self) -> Path:
        """Folder to serve: objects lie at ``<bucket>/<key>``."""
        return self.folder / "s3"

    @property
    def gallery_url(self) -> str:
        """Root of the gallery, as for ``CPJUMP_GALLERY``."""
        return str(GALLERY)

    @property
    def reference_root(self) -> Path:
        """Root of the reference tables, as for ``CPJUMP_REFERENCE``."""
        return self.folder / "reference"

    @property
    def truth(self) -> Path:
        """Folder of the planted truth: ``perturbations.csv``, ``features.csv`` and ``plates.csv``."""
        return self.folder / "truth"

    def object_path(self, key: str) -> Path:
        """Give the file of an object."""
        return self.bucket_root / GALLERY.bucket / key

    @property
    def exists(self) -> bool:
        """Whether a simulated gallery, of whatever size and seed, lies in the folder."""
        return self.object_path(GALLERY.marker_key).is_file()


def simulate_gallery(
    folder: Path,
    *,
    size: Size | Literal["small", "full"] = "small",
    seed: int = 0,
    reference: Path | None = None,
    config: SimulationConfig | None = None,
) -> SimulatedGallery:
    """Write a simulated gallery.

    The same arguments give the same bytes; the profiles of a plate do not depend on which other plates are written, but
    for the features that are selected over its batch.
    ``small`` takes 7 s and 102 MB on disk, ``full`` 48 s and 640 MB; plates are made one after another, so that memory
    does not grow with them (330 and 520 MB), but for what features are selected over (``Size.levels``).

    Parameters
    ----------
    folder
        Where to write. A simulated gallery that is there already is replaced, at the end and as a whole.
    size
        ``small`` (51 plates, 300 features), ``full`` (51 plates, 5,792 features) or any other ``Size``.
    seed
        0 or more.
    reference
        Root of reference tables to take plates, wells and reagents from; without it they are invented.
    config
        Strengths of the planted effects; the default is what the demo shows.

    Raises
    ------
    StoreError
        If ``folder`` holds something else, or cannot be written.
    GalleryError, BadTableError
        If ``reference`` is no reference root.
    """
    size = size if isinstance(size, Size) else SIZES[size]
    config = config or SimulationConfig()
    complete = SimulatedGallery(folder, size, seed)
    with _replacing(complete) as gallery:
        if reference is None:
            write_invented_reference(gallery.reference_root, seed)
        else:
            copy_reference(reference, gallery.reference_root)
        design = read_design(gallery.reference_root)
        truth = plant(design, size, seed, config)
        truth.write(gallery.truth)
        _write_objects(gallery, design, truth, ProfileModel.of(truth, seed, config))
    return complete


@contextmanager
def _replacing(complete: SimulatedGallery) -> Iterator[SimulatedGallery]:
    """Give the same gallery in a new folder, to fill; put it in its place when the block ends without an error."""
    folder = complete.folder
    if folder.exists() and not complete.exists and (folder.is_file() or any(folder.iterdir())):
        raise StoreError(f"{folder} holds something else than a simulated gallery: name an empty or a new folder")
    unique = uuid.uuid4().hex[:8]
    part, replaced = (folder.with_name(f"{folder.name}.{unique}.{suffix}") for suffix in ("part", "old"))
    try:
        part.mkdir(parents=True)
        yield replace(complete, folder=part)
        if folder.exists():
            folder.rename(replaced)
        part.rename(folder)
    except OSError as error:
        raise StoreError(f"cannot write the simulated gallery to {folder}: {error.strerror or error}") from error
    finally:
        if replaced.exists() and not folder.exists():
            replaced.rename(folder)
        for leftover in (part, replaced):
            if leftover.exists():
                shutil.rmtree(leftover)


def _write_objects(gallery: SimulatedGallery, design: Design, truth: Truth, model: ProfileModel) -> None:
    size = gallery.size
    _put(gallery, GALLERY.marker_key, f"simulated gallery, size {size.name}, seed {gallery.seed}\n".encode())
    for batch in sorted({plate.batch for plate in size.plates}):
        _put_plate_maps(gallery, batch)
    detailed = sorted(size.plates)[:_N_PLATES_WITH_MORE_LEVELS]
    selected_batches = {plate.batch for plate in detailed if "selected" in size.levels}
    normalized: dict[PlateKey, Profiles] = {}
    # One plate after another: two threads took as long for either size, because most of it holds the interpreter lock.
    for plate in size.plates:
        aggregated = _aggregated(design.wells_of(plate), model)
        _put_level(gallery, plate, "aggregated", aggregated)
        if plate in size.backends:
            _put_backend(gallery, plate, aggregated, spread=model.features["scale"].to_numpy())
        if plate in detailed:
            _put_levels(gallery, plate, plate_levels(aggregated))
        if plate.batch in selected_batches:
            normalized[plate] = normalized_to_negcon(aggregated)
        sets = load_data(GALLERY, plate, size.sites).to_csv(index=False, lineterminator="\n")
        _put(gallery, GALLERY.load_data_prefix(plate) + "load_data.csv", sets.encode())
    for plate, profiles in _selected(normalized).items():
        if plate in detailed:
            _put_levels(gallery, plate, {"selected": profiles})
    _put_images(gallery, design, truth)


def _aggregated(wells: pd.DataFrame, model: ProfileModel) -> Profiles:
    """Give the profiles of a plate as they are read from the file that is written of them."""
    return published_text(Profiles(wells, model.values(wells), tuple(model.features["feature"])))


def _selected(normalized: Mapping[PlateKey, Profiles]) -> dict[PlateKey, Profiles]:
    """Select the features of each plate over its batch."""
    selected: dict[PlateKey, Profiles] = {}
    for batch in sorted({plate.batch for plate in normalized}):
        plates = [plate for plate in normalized if plate.batch == batch]
        selected |= zip(plates, batch_selected([normalized[plate] for plate in plates]), strict=True)
    return selected


def _put_levels(gallery: SimulatedGallery, plate: PlateKey, levels: Mapping[Level, Profiles]) -> None:
    for level in levels.keys() & set(gallery.size.levels):
        _put_level(gallery, plate, level, levels[level])


def _put_level(gallery: SimulatedGallery, plate: PlateKey, level: Level, profiles: Profiles) -> None:
    metadata = profiles.metadata[_PROFILE_KEYS if level == "aggregated" else ["Metadata_broad_sample", *_PROFILE_KEYS]]
    _put(gallery, GALLERY.level_key(plate, level), profile_csv_gz(metadata, profiles.features, profiles.matrix))


def _put_backend(gallery: SimulatedGallery, plate: PlateKey, aggregated: Profiles, *, spread: np.ndarray) -> None:
    path = gallery.object_path(GALLERY.backend_key(plate))
    path.parent.mkdir(parents=True)
    write_backend(SimulatedCells(plate, aggregated, spread, gallery.seed), path)


def _put_plate_maps(gallery: SimulatedGallery, batch: str) -> None:
    folder = gallery.reference_root / PLATE_MAPS_FOLDER / batch
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        _put(gallery, GALLERY.platemaps_prefix(batch) + path.relative_to(folder).as_posix(), path.read_bytes())


def _put_images(gallery: SimulatedGallery, design: Design, truth: Truth) -> None:
    """Draw the first site of wells of the first plate, and of the two wells of plates with other image sets."""
    strengths = truth.perturbations.set_index("Metadata_broad_sample")["strength"].to_dict()
    first = min(gallery.size.plates)
    for plate in gallery.size.plates:
        if plate != first and plate.barcode not in (LAB_PATHS_PLATE, OLD_ADDRESSES_PLATE):
            continue
        at_most = gallery.size.image_wells if plate == first else _N_WELLS_OF_OTHER_PLATES
        wells = design.wells_of(plate)
        reagents = wells.set_index("Metadata_Well")["Metadata_broad_sample"]
        for well, channels in wells_with_images(wells, strengths, at_most=at_most).items():
            strength = strengths.get(reagents[well], 0.0)
            images = site_images(gallery.seed, plate, well, 1, strength=strength, channels=channels)
            for channel, content in images.items():
                _put(gallery, image_key(GALLERY, plate, well, 1, channel), content)


def _put(gallery: SimulatedGallery, key: str, content: bytes) -> None:
    path = gallery.object_path(key)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
