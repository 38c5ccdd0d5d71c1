"""Plates on a dask cluster: plates a second with one and two workers, and what handing a plate over costs.

Belongs here: the plate assets that are made from tables alone, as runs of Dagster, in threads and on clusters of this
machine. Does not belong here: pulling, the stages one by one (``stages``).

Everything runs on the cores of one machine: run, scheduler and workers share them, so that two workers cannot be twice
as fast as the two threads of a run: that is seen only of plates that wait instead of computing.

    python -m benchmarks.scale_out [--rounds N] [--json]
"""

import argparse
import json
import logging
import random
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from unittest.mock import patch

import dagster as dg

from benchmarks.processes import one_thread, wall_seconds
from cpjump_assets.build import build_defs
from cpjump_assets.orchestration import recording, tables
from cpjump_assets.orchestration.plate_workers import plate_workers
from cpjump_assets.orchestration.resources import Platform
from cpjump_assets.science.plates import MAIN_PLATES
from cpjump_assets.settings import Settings
from cpjump_assets.simulate.config import Size
from cpjump_assets.simulate.s3.server import S3Server
from cpjump_assets.simulate.writer import simulate_gallery

ASSETS = (
    tables.ANNOTATED_PROFILES,
    tables.NORMALIZED_PROFILES,
    tables.NORMALIZED_WHOLE_PLATE,
    tables.PLATE_SELECTED_PROFILES,
)
WORKLOADS = ((2000, 12), (300, 24))
"""Features and plates: profiles of a size that matters, and those of the demo."""
HANDED_OVER = 200
WAITING, WAIT_SECONDS = 48, 0.25
ROUNDS = 3
_SEED = 0
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True)
class Engine:
    """Who makes the plates: so many threads of the run, or the workers of a cluster."""

    name: str
    threads: int = recording.PLATE_WORKERS
    scheduler: str | None = None


@dataclass(frozen=True)
class Row:
    """Plates through all assets: median seconds of the rounds, and whether every table came out as by one thread."""

    work: str
    engine: str
    seconds: float
    plates_per_s: float
    agrees: bool


@dataclass(frozen=True)
class Overhead:
    """Milliseconds that a cluster takes: for an asset, or for each of its plates."""

    what: str
    milliseconds: float


class Bench:
    """A platform whose plates are made again and again.

    Parameters
    ----------
    folder
        For all of it.
    features, plates
        Its size.
    """

    def __init__(self, folder: Path, features: int, plates: int) -> None:
        self.plates = MAIN_PLATES[:plates]
        gallery = simulate_gallery(
            folder / "gallery", size=Size("scale out", n_features=features, plates=self.plates, levels=())
        )
        self._settings = Settings(
            gallery=gallery.gallery_url, reference=str(gallery.reference_root), store=folder / "store"
        )
        (folder / "home").mkdir()
        self._instance = dg.DagsterInstance.local_temp(str(folder / "home"))
        self.store = Platform.from_settings(self._settings).store
        with S3Server(gallery.bucket_root) as server:
            served = replace(self._settings, s3_endpoint=server.endpoint)
            self._run(served, "metadata")
            self._run(served, "profiles", [asset.asset_key for asset in (tables.AGGREGATED_PROFILES, *ASSETS)])
        self._expected = self._digests()

    def make(self, engine: Engine) -> tuple[float, bool]:
        """Make the tables anew; give the seconds of the steps that made them, and whether they are the same again."""
        for asset in ASSETS:
            for plate in self.plates:
                self.store.remove(asset.key(str(plate)))
        settings = replace(self._settings, dask_scheduler=engine.scheduler)
        with patch.object(recording, "PLATE_WORKERS", engine.threads):
            run_id = self._run(settings, "profiles", [asset.asset_key for asset in ASSETS])
        steps = {step.step_key: step for step in self._instance.get_run_step_stats(run_id)}
        seconds = sum(steps[asset.name].end_time - steps[asset.name].start_time for asset in ASSETS)
        return seconds, self._digests() == self._expected

    def _run(self, settings: Settings, job: str, assets: Sequence[dg.AssetKey] | None = None) -> str:
        first, last = str(self.plates[0]), str(self.plates[-1])
        span = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
        result = (
            build_defs(settings)
            .resolve_job_def(job)
            .execute_in_process(
                instance=self._instance,
                asset_selection=assets,
                tags={} if job == "metadata" else span,
                run_config=_QUIET,
            )
        )
        return result.run_id

    def _digests(self) -> list[str]:
        return [self.store.describe(asset.key(str(plate))).digest for asset in ASSETS for plate in self.plates]


@dataclass(frozen=True)
class Waits:
    """Work that takes so long, and nothing of the processor."""

    seconds: float

    def __call__(self, plate: str) -> str:
        """Give the plate back."""
        time.sleep(self.seconds)
        return plate

    def confirm(self, result: str) -> None:
        """Believe it."""


@contextmanager
def engines() -> Iterator[list[Engine]]:
    """Give the run's own threads, and clusters of one and two workers."""
    from distributed import LocalCluster

    with ExitStack() as stack:
        clusters = [
            stack.enter_context(
                LocalCluster(
                    n_workers=workers,
                    threads_per_worker=1,
                    processes=True,
                    host="127.0.0.1",
                    dashboard_address="127.0.0.1:0",
                    silence_logs=logging.ERROR,
                )
            )
            for workers in (1, 2)
        ]
        one, two = (cluster.scheduler_address for cluster in clusters)
        yield [
            Engine("1 thread", threads=1),
            Engine("2 threads"),
            Engine("1 worker", scheduler=one),
            Engine("2 workers", scheduler=two),
        ]


def measure(features: int, plates: int, among: Sequence[Engine], rounds: int) -> Iterator[Row | Overhead]:
    """Let the engines take turns, in an order drawn anew in each round; what comes first only warms up."""
    work = f"{plates} plates x 384 wells x {features:,} features"
    order = random.Random(_SEED)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), features, plates)
        seen: dict[str, list[tuple[float, bool]]] = {engine.name: [] for engine in among}
        for engine in among:
            bench.make(engine)
        for _ in range(rounds):
            for engine in order.sample(list(among), len(among)):
                seen[engine.name].append(bench.make(engine))
    seconds = {name: statistics.median(took for took, _ in made) for name, made in seen.items()}
    for name, took in seconds.items():
        yield Row(work, name, round(took, 2), round(plates / took, 2), all(same for _, same in seen[name]))
    longer = seconds["1 worker"] - seconds["1 thread"]
    yield Overhead(
        f"{work}: 1 worker longer than 1 thread, a plate of an asset", round(1000 * longer / (plates * len(ASSETS)), 1)
    )


def hand_over(engine: Engine) -> Iterator[Overhead]:
    """Hand over plates of which there is nothing to make: connecting with the first, and each further one."""
    start = wall_seconds()
    with plate_workers(Waits(0), name="nothing", scheduler=engine.scheduler, warn=print) as workers:
        workers.begin("first")()
        connected = wall_seconds()
        for wait in [workers.begin(f"plate {number}") for number in range(HANDED_OVER)]:
            wait()
        done = wall_seconds()
    yield Overhead("connecting, an asset", round(1000 * (connected - start + wall_seconds() - done), 1))
    yield Overhead("nothing to make, a plate", round(1000 * (done - connected) / HANDED_OVER, 1))


def spread(engine: Engine) -> Row:
    """Hand over plates that leave the processor alone, as if each worker had a machine of its own."""
    with plate_workers(Waits(WAIT_SECONDS), name="waits", scheduler=engine.scheduler, warn=print) as workers:
        workers.begin("first")()
        start = wall_seconds()
        waiting = {plate: workers.begin(plate) for plate in map(str, range(WAITING))}
        came = {plate: wait() for plate, wait in waiting.items()}
        seconds = wall_seconds() - start
    same = all(plate == given for plate, given in came.items())
    work = f"{WAITING} plates that wait {WAIT_SECONDS} s each"
    return Row(work, engine.name, round(seconds, 2), round(WAITING / seconds, 2), same)


def main(arguments: list[str] | None = None) -> None:
    """Print one line for each row, or with ``--json`` one object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale_out", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", action="store_true", help="one JSON object a row")
    options = parser.parse_args(arguments)
    one_thread()
    with engines() as among:
        for row in (*hand_over(among[-1]), *map(spread, (engine for engine in among if engine.scheduler))):
            print(json.dumps(asdict(row)) if options.json else _line(row), flush=True)
        for features, plates in WORKLOADS:
            for row in measure(features, plates, among, options.rounds):
                print(json.dumps(asdict(row)) if options.json else _line(row), flush=True)


def _line(row: Row | Overhead) -> str:
    if isinstance(row, Overhead):
        return f"{row.what}: {row.milliseconds:.1f} ms"
    same = "same tables" if row.agrees else "OTHER TABLES"
    return f"{row.work:<48} {row.engine:<10} {row.seconds:.2f} s, {row.plates_per_s:.2f} plates/s, {same}"


if __name__ == "__main__":
    main()
