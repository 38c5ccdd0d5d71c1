"""A whole batch, 51 plates of 5,792 features, from the pulled files to the selected matrix: time by stage.

Belongs here: the calls that the profile assets make, stage by stage, and their clocks. Plates are made two at a time,
as by them, and BLAS has as many threads as there are cores, as in a run. Does not belong here: peers (``profiles``),
pulling, and Dagster, whose own time comes on top.

The plates are those of a simulated gallery of full size; it takes a minute and 600 MB, and the tables 3 GB, in a
temporary folder. A stage is an asset: it digests its input, reads it, computes, writes, and digests what it wrote.

    python -m benchmarks.stages [--json]
"""

import argparse
import json
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from threadpoolctl import threadpool_limits

from benchmarks.processes import (
    blas_threads,
    in_fresh_process,
    peak_megabytes,
    processor_seconds,
    reset_peak,
    wall_seconds,
)
from cpjump_assets.gallery.profile_file import read_profile_csv
from cpjump_assets.gallery.reference.metadata import load_metadata
from cpjump_assets.gallery.reference.root import ReferenceRoot
from cpjump_assets.science.annotate import annotate
from cpjump_assets.science.feature_selection import (
    apply_selection,
    apply_selection_over,
    select_features,
    select_features_over,
)
from cpjump_assets.science.normalize import normalize_plate
from cpjump_assets.science.plates import PlateKey
from cpjump_assets.science.preset_names import DEFAULT_PRESET
from cpjump_assets.science.presets import require_preset
from cpjump_assets.simulate.config import SIZES, Size
from cpjump_assets.simulate.writer import GALLERY, SimulatedGallery, simulate_gallery
from cpjump_assets.storage.store import Provenance, Store, TableKey

CORES = 2
PARTS = ("digest of input", "read", "compute", "write and digest")
_PROVENANCE = Provenance("benchmark", {}, "simulated for a benchmark")


@dataclass(frozen=True)
class Stage:
    """One stage over all plates.

    Attributes
    ----------
    name
        The asset.
    wall_s, processor_s
        On the clock of the wall, with all cores; of the processor, all threads together.
    parts
        Seconds of the processor by part.
    megabytes
        Peak resident memory of the process while it ran.
    """

    name: str
    wall_s: float
    processor_s: float
    parts: dict[str, float]
    megabytes: int


class _Clock:
    """Adds up what parts take, in whichever thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.seconds = dict.fromkeys(PARTS, 0.0)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        start = time.thread_time()
        try:
            yield
        finally:
            with self._lock:
                self.seconds[name] += time.thread_time() - start


def _key(asset: str, plate: PlateKey | None = None) -> TableKey:
    return TableKey("profiles", asset, None if plate is None else str(plate))


class Batch:
    """The stages of a batch.

    Parameters
    ----------
    gallery
        Where the pulled files lie.
    folder
        Of the store.
    workers
        Plates made at once.
    """

    def __init__(self, gallery: SimulatedGallery, folder: Path, workers: int) -> None:
        self._gallery, self._store, self._workers = gallery, Store(folder), workers
        self._plates: Sequence[PlateKey] = gallery.size.plates
        self._wells = load_metadata(ReferenceRoot.parse(str(gallery.reference_root))).wells
        self._preset = require_preset(DEFAULT_PRESET)

    def run(self) -> list[Stage]:
        """Run all stages, one after the other."""
        normalized = _key("normalized_profiles").asset
        return [
            self._over_plates("aggregated_profiles", None, self._aggregated),
            self._over_plates("annotated_profiles", "aggregated_profiles", self._annotated),
            self._over_plates(normalized, "annotated_profiles", partial(self._normalized, "negcon")),
            self._over_plates(
                "normalized_profiles_whole_plate", "annotated_profiles", partial(self._normalized, "whole_plate")
            ),
            self._over_plates("plate_selected_profiles", normalized, self._plate_selected),
            self._timed("feature_selection", self._feature_selection),
            self._timed("selected_profiles", self._selected),
        ]

    def _timed(self, name: str, work: Callable[[_Clock], None]) -> Stage:
        clock = _Clock()
        reset_peak()
        wall, processor = wall_seconds(), processor_seconds()
        work(clock)
        return Stage(
            name,
            wall_s=round(wall_seconds() - wall, 2),
            processor_s=round(processor_seconds() - processor, 2),
            parts={part: round(seconds, 2) for part, seconds in clock.seconds.items()},
            megabytes=round(peak_megabytes()),
        )

    def _over_plates(self, asset: str, source: str | None, make: Callable[[_Clock, PlateKey], None]) -> Stage:
        """Make a table of each plate, several at once."""

        def plate(clock: _Clock, plate: PlateKey) -> None:
            if source is not None:
                with clock.part("digest of input"):
                    self._store.describe(_key(source, plate))
            make(clock, plate)

        def work(clock: _Clock) -> None:
            with threadpool_limits(1, "blas"), ThreadPoolExecutor(self._workers) as pool:  # as the assets do
                for _ in pool.map(partial(plate, clock), self._plates):
                    pass  # an error of a plate is raised here

        return self._timed(asset, work)

    def _aggregated(self, clock: _Clock, plate: PlateKey) -> None:
        with clock.part("read"):
            profiles = read_profile_csv(self._gallery.object_path(GALLERY.profile_key(plate)), plate)
        self._write(clock, _key("aggregated_profiles", plate), profiles)

    def _annotated(self, clock: _Clock, plate: PlateKey) -> None:
        with clock.part("read"):
            profiles = self._store.read_profiles(_key("aggregated_profiles", plate))
        with clock.part("compute"):
            annotated = annotate(profiles, self._wells, plate)
        self._write(clock, _key("annotated_profiles", plate), annotated)

    def _normalized(self, reference: str, clock: _Clock, plate: PlateKey) -> None:
        with clock.part("read"):
            annotated = self._store.read_profiles(_key("annotated_profiles", plate))
        with clock.part("compute"):
            normalized = normalize_plate(annotated, self._preset.normalization(reference), dtype="float32")
        name = "normalized_profiles" if reference == "negcon" else "normalized_profiles_whole_plate"
        self._write(clock, _key(name, plate), normalized.profiles)

    def _plate_selected(self, clock: _Clock, plate: PlateKey) -> None:
        with clock.part("read"):
            normalized = self._store.read_profiles(_key("normalized_profiles", plate))
        with clock.part("compute"):
            selection = select_features(normalized, self._preset.selection)
            selected = apply_selection(normalized, selection)
        self._write(clock, _key("plate_selected_profiles", plate), selected)

    def _feature_selection(self, clock: _Clock) -> None:
        plates = self._opened(clock)
        with clock.part("compute"):  # reads what it needs
            selection = select_features_over(plates, self._preset.selection)
        with clock.part("write and digest"):
            self._store.write(_key("feature_selection"), selection, _PROVENANCE)

    def _selected(self, clock: _Clock) -> None:
        plates = self._opened(clock)
        with clock.part("read"):
            selection = self._store.read(_key("feature_selection"))
        with clock.part("compute"):
            selected = apply_selection_over(plates, selection)
        self._write(clock, _key("selected_profiles"), selected)

    def _opened(self, clock: _Clock) -> list:
        keys = [_key("normalized_profiles", plate) for plate in self._plates]
        with clock.part("digest of input"):
            for key in keys:
                self._store.describe(key)
        with clock.part("read"):
            return [self._store.open_profiles(key) for key in keys]

    def _write(self, clock: _Clock, key: TableKey, profiles) -> None:
        with clock.part("write and digest"):
            self._store.write_profiles(key, profiles, _PROVENANCE)


def run(folder: Path, size: Size, workers: int) -> tuple[float, list[Stage]]:
    """Run the stages on a simulated gallery that lies in ``folder``; give the seconds on the wall, and the stages."""
    stages = Batch(SimulatedGallery(folder / "gallery", size, seed=0), folder / "store", workers).run()
    return sum(stage.wall_s for stage in stages), stages


def total(stages: Sequence[Stage]) -> Stage:
    """Sum up; of memory the peak."""
    return Stage(
        "all",
        wall_s=round(sum(stage.wall_s for stage in stages), 2),
        processor_s=round(sum(stage.processor_s for stage in stages), 2),
        parts={part: round(sum(stage.parts[part] for stage in stages), 2) for part in PARTS},
        megabytes=max(stage.megabytes for stage in stages),
    )


def main(arguments: list[str] | None = None, size: Size = SIZES["full"]) -> None:
    """Print one line for each stage and their sum, or with ``--json`` one object."""
    # Loads Dagster, which the measured process must not.
    from cpjump_assets.orchestration.recording import PLATE_WORKERS

    parser = argparse.ArgumentParser(prog="python -m benchmarks.stages", description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one JSON object a row")
    options = parser.parse_args(arguments)
    blas_threads(CORES)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        simulate_gallery(folder / "gallery", size=size)
        stages = in_fresh_process(run, folder, size, PLATE_WORKERS, cores=CORES).result
    for stage in [*stages, total(stages)]:
        print(json.dumps(asdict(stage)) if options.json else _line(stage))


def _line(stage: Stage) -> str:
    clocks = f"{stage.wall_s:6.2f} s   processor {stage.processor_s:6.2f} s   {stage.megabytes:,} MB"
    parts = ", ".join(f"{part} {seconds:.2f}" for part, seconds in stage.parts.items() if seconds)
    return f"{stage.name:<32} {clocks}   {parts}"


if __name__ == "__main__":
    main()
