"""The demonstration: the main job on a simulated gallery, in one folder.

Belongs here: the sequence simulate, serve, refresh, sum up. Does not belong here: any of its steps, or how the result
looks in a terminal (``terminal``).
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import pandas as pd

from cpjump_assets.build import build_defs
from cpjump_assets.memory import PeakMemory
from cpjump_assets.orchestration import tables
from cpjump_assets.orchestration.refresh import Refresh, RefreshRequest
from cpjump_assets.science.errors import StoreError
from cpjump_assets.science.strategies import STRATEGIES
from cpjump_assets.settings import Settings
from cpjump_assets.simulate.config import SIZES, Size
from cpjump_assets.simulate.recovery import recovery
from cpjump_assets.simulate.s3.server import S3Server
from cpjump_assets.simulate.writer import SimulatedGallery, simulate_gallery
from cpjump_assets.storage.store import Store
from cpjump_assets.web import open_instance

Follow = Callable[[str, bool], None]
"""Called with the title of a stage as it ends, and whether it succeeded."""


@dataclass(frozen=True)
class DemoPlan:
    """What to demonstrate.

    Attributes
    ----------
    folder
        Everything is written below it: the gallery, the store and the Dagster home.
    size
        Size of the simulated gallery.
    seed
        Its seed.
    reference
        Reference root to take plates and reagents from; None invents reagents.
    """

    folder: Path
    size: Size | Literal["small", "full"] = "small"
    seed: int = 0
    reference: Path | None = None


class DemoOutcome(NamedTuple):
    """What came of it.

    Attributes
    ----------
    folder
        Where everything lies.
    subsets
        ``split_manifest`` of each strategy.
    audits
        ``leakage_audit`` of each strategy.
    scores, percents, directions
        ``overall_scores``, ``overall_percent_scores``, ``overall_directionality``.
    recovery
        What was retrieved of what was planted.
    seconds
        Time of the whole, without installation.
    peak_bytes
        Peak of the memory (PSS) summed over this process and its children.
    """

    folder: Path
    subsets: dict[str, pd.DataFrame]
    audits: dict[str, pd.DataFrame]
    scores: pd.DataFrame
    percents: pd.DataFrame
    directions: pd.DataFrame
    recovery: pd.DataFrame
    seconds: float
    peak_bytes: int


def run(plan: DemoPlan, *, on_stage: Follow) -> DemoOutcome:
    """Do the main job on a simulated gallery.

    Raises
    ------
    RefreshError
        If a stage failed.
    StoreError
        If the folder cannot be written.
    """
    started = time.monotonic()
    with PeakMemory() as memory:
        gallery = simulate_gallery(plan.folder / "gallery", size=plan.size, seed=plan.seed, reference=plan.reference)
        on_stage(
            f"simulate a gallery of {len(gallery.size.plates)} plates x {gallery.size.n_features:,} features", True
        )
        with served(plan.folder) as settings, open_instance(settings) as instance:
            definitions = build_defs(settings)
            # The one plate of which the simulated gallery has images of more than two wells.
            request = RefreshRequest(image_plates=(str(min(gallery.size.plates)),))
            for finished in Refresh.of(settings, definitions.resolve_job_def, instance).run(request):
                on_stage(finished.planned.title, finished.success)
    return _sum_up(plan.folder, gallery, time.monotonic() - started, memory.peak)


@contextmanager
def served(folder: Path) -> Iterator[Settings]:
    """Serve the simulated gallery of a demo folder over S3 on loopback, and give the settings that use it.

    Raises
    ------
    StoreError
        If there is no simulated gallery in the folder.
    """
    gallery = SimulatedGallery(folder.resolve() / "gallery", SIZES["small"], 0)
    if not gallery.exists:
        raise StoreError(f"{folder} holds no simulated gallery: run `cpjump demo --folder {folder}` first")
    with S3Server(gallery.bucket_root) as server:
        yield Settings(
            gallery=gallery.gallery_url,
            s3_endpoint=server.endpoint,
            reference=str(gallery.reference_root),
            store=folder.resolve() / "store",
            alert_on="error",  # what a strategy does not promise fails as a warning, by design
        )


def _sum_up(folder: Path, gallery: SimulatedGallery, seconds: float, peak_bytes: int) -> DemoOutcome:
    store = Store(folder.resolve() / "store")
    truth = pd.read_csv(gallery.truth / "perturbations.csv")
    return DemoOutcome(
        folder=folder,
        subsets={name: store.read(tables.SPLIT_MANIFEST.key(name)) for name in STRATEGIES},
        audits={name: store.read(tables.LEAKAGE_AUDIT.key(name)) for name in STRATEGIES},
        scores=store.read(tables.OVERALL_SCORES.key()),
        percents=store.read(tables.OVERALL_PERCENT_SCORES.key()),
        directions=store.read(tables.OVERALL_DIRECTIONALITY.key()),
        recovery=recovery(truth, store.read(tables.OVERALL_CLASSES.key())),
        seconds=seconds,
        peak_bytes=peak_bytes,
    )
