"""A small platform to experiment on: a simulated gallery served over S3, a store, and a real SQLite instance."""

import gzip
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from cpjump_assets.build import build_defs
from cpjump_assets.orchestration.partitions import contiguous_ranges
from cpjump_assets.orchestration.refresh import FinishedRun, PlannedRun, Refresh, RefreshError, RefreshRequest
from cpjump_assets.orchestration.resources import Platform
from cpjump_assets.orchestration.tables import StoredAsset
from cpjump_assets.science.plates import MAIN_PLATES, PlateKey
from cpjump_assets.settings import Settings
from cpjump_assets.simulate.config import Size
from cpjump_assets.simulate.s3.server import S3Server
from cpjump_assets.simulate.writer import SimulatedGallery, simulate_gallery
from cpjump_assets.storage.store import Store, file_digest
from cpjump_assets.web import open_instance

# Two replicates of one condition of each modality, so that detection has something to find.
_BARCODES = ("BR00116996", "BR00116997", "BR00117010", "BR00117011", "BR00117020", "BR00117021")
LAB_PLATES = tuple(plate for plate in MAIN_PLATES if plate.barcode in _BARCODES)
LAB_KEYS = [str(plate) for plate in LAB_PLATES]
# Of the first plate the images of four negative controls and of the reagents that come first by name, among which are
# those that scores choose: many reach the highest score, and of equals the first by name is taken.
LAB_SIZE = Size("lab", n_features=40, plates=LAB_PLATES, image_wells=36)


@dataclass(frozen=True)
class Lab:
    """One platform; every part of it lies below ``folder``."""

    folder: Path
    server: S3Server
    exclude: tuple[str, ...] = ()
    dask_scheduler: str | None = None
    postgres_url: str | None = None
    store_url: str | None = None
    store_endpoint: str | None = None

    @property
    def gallery(self) -> SimulatedGallery:
        return SimulatedGallery(self.folder / "gallery", LAB_SIZE, 0)

    @property
    def settings(self) -> Settings:
        return Settings(
            gallery=self.gallery.gallery_url,
            s3_endpoint=self.server.endpoint,
            reference=str(self.gallery.reference_root),
            store=self.store_url or self.folder / "store",
            store_endpoint=self.store_endpoint,
            work=self.folder / "store",
            exclude=self.exclude,
            dask_scheduler=self.dask_scheduler,
            postgres_url=self.postgres_url,
        )

    @property
    def store(self) -> Store:
        return Platform.from_settings(self.settings).store

    def profile_path(self, plate: PlateKey) -> Path:
        """Give the file that the server serves as the plate's aggregated profile."""
        prefix = "cpg0000-jump-pilot/source_4/workspace/profiles"
        return self.gallery.object_path(f"{prefix}/{plate.batch}/{plate.barcode}/{plate.barcode}.csv.gz")

    def drop_last_well(self, plate: PlateKey) -> None:
        """Change a plate in the gallery: its aggregated profile loses the last well."""
        path = self.profile_path(plate)
        lines = gzip.decompress(path.read_bytes()).decode().splitlines(keepends=True)
        path.write_bytes(gzip.compress("".join(lines[:-1]).encode(), mtime=0))

    @contextmanager
    def instance(self) -> Iterator[dg.DagsterInstance]:
        with open_instance(self.settings) as instance:
            yield instance

    def refresh(
        self, request: RefreshRequest | None = None, *, after_run: Callable[[FinishedRun], None] = lambda _: None
    ) -> tuple[list[FinishedRun], RefreshError | None]:
        """Run a whole refresh; give the runs, and the error that ended it. Each run is shown as it ends."""
        finished: list[FinishedRun] = []
        with self.instance() as instance:
            refresh = Refresh.of(self.settings, build_defs(self.settings).resolve_job_def, instance)
            try:
                for run in refresh.run(request or RefreshRequest()):
                    finished.append(run)
                    after_run(run)
            except RefreshError as error:
                return finished, error
        return finished, None

    def run(
        self, job: str, *, partition: str | None = None, plates: list[str] | None = None, assets: Sequence[str] = ()
    ) -> FinishedRun:
        """Run one job, or some of its assets with their checks; whether it succeeded is in the result."""
        (span,) = contiguous_ranges(plates) if plates else (None,)
        with self.instance() as instance:
            refresh = Refresh.of(self.settings, build_defs(self.settings).resolve_job_def, instance)
            return refresh.execute(PlannedRun(job, job, partition=partition, plate_range=span, assets=tuple(assets)))

    def check_manifest(self, strategy: str) -> FinishedRun:
        """Run the checks of the stored manifest alone, as the button of the web UI does."""
        return self.check("split_manifest", partition=strategy)

    def check(self, asset: str, *, partition: str | None = None) -> FinishedRun:
        """Run the checks of an asset alone."""
        checks = dg.AssetSelection.checks_for_assets(asset)
        job = dg.Definitions(jobs=[dg.define_asset_job("checks_alone", selection=checks)])
        definitions = dg.Definitions.merge(build_defs(self.settings), job)
        with self.instance() as instance:
            refresh = Refresh.of(self.settings, definitions.resolve_job_def, instance)
            return refresh.execute(PlannedRun("checks_alone", "checks", partition=partition))

    def materializations(self, asset: StoredAsset) -> list[dg.EventLogRecord]:
        """Give the recorded materializations of an asset, latest first."""
        with self.instance() as instance:
            return list(instance.fetch_materializations(asset.asset_key, limit=1000).records)

    def evaluations(self, finished: FinishedRun) -> dict[str, dg.AssetCheckEvaluation]:
        """Give what the checks of a run found, by check name."""
        with self.instance() as instance:
            records = instance.get_records_for_run(
                finished.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION
            ).records
        found = [record.event_log_entry.dagster_event.event_specific_data for record in records]
        return {evaluation.check_name: evaluation for evaluation in found}

    def digests(self) -> dict[str, str]:
        """Give the digest of every table and figure of the store, by its path."""
        root = self.store.root
        paths = (path for kind in ("parquet", "png", "svg") for path in sorted(root.rglob(f"*.{kind}")))
        return {path.relative_to(root).as_posix(): file_digest(path) for path in paths}


@contextmanager
def simulated_lab(folder: Path) -> Iterator[Lab]:
    """Simulate a gallery below ``folder`` and serve it."""
    simulate_gallery(folder / "gallery", size=LAB_SIZE, seed=0)
    with served_lab(folder) as lab:
        yield lab


@contextmanager
def served_lab(folder: Path) -> Iterator[Lab]:
    """Serve the gallery of a lab that is there."""
    with S3Server(SimulatedGallery(folder / "gallery", LAB_SIZE, 0).bucket_root) as server:
        yield Lab(folder, server)


@contextmanager
def copy_of(lab: Lab, folder: Path) -> Iterator[Lab]:
    """Copy a lab with all that was made in it, so that a test may break it."""
    shutil.copytree(lab.folder, folder, dirs_exist_ok=True)
    with served_lab(folder) as copied:
        yield copied
