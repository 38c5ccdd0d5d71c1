"""Plates made by the workers of a dask cluster: as those of threads, whatever happens to a worker or to the cluster."""

import pickle
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cpjump_assets.orchestration import plate_workers, tables
from cpjump_assets.orchestration.our_levels import OF_THE_BATCH, OurLevels
from cpjump_assets.orchestration.plate_workers import ClusterError, PlateWorkers, WorkerLostError
from cpjump_assets.orchestration.recording import Made, PlateInput, PlateWork
from cpjump_assets.orchestration.resources import Platform
from cpjump_assets.orchestration.tables import StoredAsset
from cpjump_assets.science.errors import SettingsError, StoreError
from cpjump_assets.settings import Settings
from cpjump_assets.simulate.config import Size
from cpjump_assets.simulate.s3.server import S3Server
from cpjump_assets.simulate.writer import simulate_gallery
from cpjump_assets.storage.atomic import sweep_abandoned
from cpjump_assets.storage.s3_files import S3Files
from cpjump_assets.storage.s3_place import S3Place
from cpjump_assets.storage.store import Provenance, Store
from cpjump_assets_tests.orchestration.cluster import Cluster, Troubled, running_cluster
from cpjump_assets_tests.orchestration.lab import LAB_KEYS, LAB_PLATES, Lab, copy_of
from cpjump_assets_tests.processes import free_port, wait_until

PAIR = LAB_KEYS[:2]
OF_PROFILES = (
    tables.AGGREGATED_PROFILES,
    tables.ANNOTATED_PROFILES,
    tables.NORMALIZED_PROFILES,
    tables.NORMALIZED_WHOLE_PLATE,
    tables.PLATE_SELECTED_PROFILES,
    tables.WELL_QUALITY,
)
OF_IMAGES = (tables.IMAGE_INDEX, tables.IMAGES, tables.IMAGE_QUALITY, tables.MONTAGES)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running_cluster(tmp_path_factory.mktemp("dask"), "one", "two") as running:
        yield running


@pytest.fixture
def warnings() -> list[str]:
    return []


@pytest.fixture
def nobody() -> str:
    """Give an address at which no scheduler is."""
    return f"tcp://127.0.0.1:{free_port()}"


def remove_tables(lab: Lab, *assets: StoredAsset) -> None:
    for asset in assets:
        for plate in PAIR:
            lab.store.remove(asset.key(plate))
    shutil.rmtree(lab.store.file_path(tables.MONTAGES_FOLDER), ignore_errors=True)


def recorded_plates(lab: Lab, asset: StoredAsset, run_id: str) -> list[str | None]:
    """Give the plates in the order in which a run has recorded them."""
    records = [record for record in lab.materializations(asset) if record.run_id == run_id]
    return [record.partition_key for record in sorted(records, key=lambda record: record.storage_id)]


def test_tables_made_by_two_workers_are_those_of_threads(imaged_lab: Lab, cluster: Cluster, tmp_path: Path) -> None:
    with copy_of(imaged_lab, tmp_path / "lab") as copied:
        lab = replace(copied, dask_scheduler=cluster.address)
        remove_tables(lab, *OF_PROFILES, tables.PROFILE_REPRODUCTION, *OF_IMAGES)
        before = cluster.executed()
        runs = {
            lab.run("profiles", plates=PAIR): OF_PROFILES,
            lab.run("reproduction", plates=PAIR): (tables.PROFILE_REPRODUCTION,),
            lab.run("plate_images", plates=PAIR): OF_IMAGES,
        }
        assert [run.errors for run in runs] == [()] * len(runs)
        assert lab.digests() == imaged_lab.digests()
        assert all(count > before[name] for name, count in cluster.executed().items())
        for run, assets in runs.items():
            assert [recorded_plates(lab, asset, run.run_id) for asset in assets] == [PAIR] * len(assets)


def test_a_worker_that_is_killed_at_work_changes_no_table(refreshed_lab: Lab, cluster: Cluster, tmp_path: Path) -> None:
    with copy_of(refreshed_lab, tmp_path / "lab") as copied, ThreadPoolExecutor(1) as pool:
        lab = replace(copied, dask_scheduler=cluster.address)
        remove_tables(lab, *OF_PROFILES)
        running = pool.submit(lab.run, "profiles", plates=PAIR)
        busy: list[str | None] = []
        wait_until(
            lambda: running.done() or bool(busy.append(cluster.busy_with("profiles")) or busy[-1]),
            "a plate is made",
            every=0,
        )
        assert busy[-1] is not None, "the run ended before a worker was seen at work"
        cluster.kill(busy[-1])
        finished = running.result()
        cluster.add(f"instead of {busy[-1]}")
        assert finished.success, finished.errors
        assert lab.digests() == refreshed_lab.digests()
        for asset in OF_PROFILES:
            assert recorded_plates(lab, asset, finished.run_id) == PAIR
        sweep_abandoned(lab.store.root)
        assert not list(lab.store.root.rglob("*.part"))


def test_single_cells_are_aggregated_by_workers(cluster: Cluster, tmp_path: Path) -> None:
    size = Size("cells", n_features=40, plates=LAB_PLATES[2:3], levels=(), backends=LAB_PLATES[2:3])
    gallery = simulate_gallery(tmp_path / "gallery", size=size)
    key = LAB_KEYS[2]
    with S3Server(gallery.bucket_root) as server:
        lab = Lab(tmp_path, server)
        digests = []
        for scheduler in (None, cluster.address):
            run = replace(lab, dask_scheduler=scheduler).run("single_cells", plates=[key])
            assert run.success, run.errors
            digests.append(lab.digests())
            lab.store.remove(tables.CELL_MEDIAN_PROFILES.key(key))
            lab.store.remove(tables.CELL_MEAN_PROFILES.key(key))
    assert len(digests[0]) == 2
    assert digests[0] == digests[1]


def make_all(workers: PlateWorkers[int], plates: list[str]) -> dict[str, int]:
    """Make plates, all begun before the first is waited for."""
    waiting = {plate: workers.begin(plate) for plate in plates}
    return {plate: wait() for plate, wait in waiting.items()}


def test_a_plate_whose_worker_dies_is_made_by_another(cluster: Cluster, tmp_path: Path, warnings: list[str]) -> None:
    cluster.add("three")
    processes = {started.pid for started in cluster.workers.values()}
    work = Troubled(tmp_path, deaths={"b": 1})
    with plate_workers.plate_workers(work, name="t", scheduler=cluster.address, warn=warnings.append) as workers:
        made = make_all(workers, list("abcd"))
    assert list(made) == list("abcd")
    assert set(made.values()) <= processes
    wait_until(lambda: len(cluster.executed()) == 2, "the dead worker is forgotten")


def test_a_plate_of_which_workers_die_fails_alone(cluster: Cluster, tmp_path: Path, warnings: list[str]) -> None:
    cluster.add("four", "five")
    work = Troubled(tmp_path, deaths={"b": 9})
    with plate_workers.plate_workers(work, name="t", scheduler=cluster.address, warn=warnings.append) as workers:
        workers.begin("a")()
        # Alone: dask blames a death on every plate that the worker had at hand.
        with pytest.raises(WorkerLostError, match=r"2 workers died with it at hand, the last at tcp://127\.0\.0\.1"):
            workers.begin("b")()
        workers.begin("c")()
    assert not warnings
    wait_until(lambda: len(cluster.executed()) == 2, "the dead workers are forgotten")


def test_a_worker_with_other_code_is_refused(
    cluster: Cluster, tmp_path: Path, warnings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = plate_workers.installed()
    monkeypatch.setattr(plate_workers, "installed", lambda: {**ours, "pyarrow": "1.0", "the platform's code": "abc"})
    with plate_workers.plate_workers(
        Troubled(tmp_path), name="t", scheduler=cluster.address, warn=warnings.append
    ) as workers:
        wait = workers.begin("a")
        with pytest.raises(
            ClusterError, match=r"the platform's code \w{12} \(expected abc\), pyarrow .* \(expected 1.0\)"
        ):
            wait()


def test_plates_wait_for_workers_but_not_for_ever_nor_without_a_scheduler(
    tmp_path: Path, warnings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plate_workers, "_LOOK_SECONDS", 0.2)
    work = Troubled(tmp_path, seconds={"c": 60})
    with (
        running_cluster(tmp_path) as cluster,
        plate_workers.plate_workers(work, name="t", scheduler=cluster.address, warn=warnings.append) as workers,
    ):
        monkeypatch.setattr(plate_workers, "WITHOUT_WORKERS_SECONDS", 0.5)
        with pytest.raises(
            ClusterError, match=f"has had no workers .* start some with `dask worker {cluster.address}`"
        ):
            workers.begin("a")()
        assert warnings == [f"the dask scheduler at {cluster.address} has no workers: the plates wait for one"]
        monkeypatch.setattr(plate_workers, "WITHOUT_WORKERS_SECONDS", 600)
        wait = workers.begin("b")
        cluster.add("late")
        assert wait() == cluster.workers["late"].pid
        wait = workers.begin("c")
        wait_until(lambda: cluster.busy_with("t-c") is not None, "the plate is being made")
        cluster.stop()
        with pytest.raises(ClusterError, match=f"the dask scheduler at {cluster.address} is gone"):
            wait()


def test_a_cluster_is_asked_for_only_where_a_plate_is_to_be_made(
    lab: Lab, nobody: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plate_workers, "CONNECT_SECONDS", 0.5)
    with_cluster = replace(lab, dask_scheduler=nobody)
    unchanged = with_cluster.run("profiles", plates=PAIR)
    assert unchanged.success, unchanged.errors
    before = lab.digests()
    lab.store.remove(tables.ANNOTATED_PROFILES.key(PAIR[1]))
    refused = with_cluster.run("profiles", plates=PAIR)
    assert refused.errors == (f"no dask scheduler answers at {nobody}, which CPJUMP_DASK_SCHEDULER names",)
    assert lab.run("profiles", plates=PAIR).success
    assert lab.digests() == before


def test_a_cluster_needs_its_library(
    tmp_path: Path, warnings: list[str], nobody: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        plate_workers.plate_workers(Troubled(tmp_path), name="t", scheduler=nobody, warn=warnings.append) as workers,
        pytest.raises(SettingsError, match=r"CPJUMP_DASK_SCHEDULER needs the extra cpjump-assets\[dask\]"),
    ):
        workers.begin("a")


def test_a_worker_that_writes_to_another_folder_is_noticed(tmp_path: Path) -> None:
    def work(folder: str, value: int) -> PlateWork:
        return PlateWork(
            Store(tmp_path / folder), tables.WELL_QUALITY, lambda _: Made(pd.DataFrame({"v": [value]})), None
        )

    wanted = PlateInput(Provenance("1", {}, "gallery"))
    ours = work("ours", 1)
    elsewhere = work("elsewhere", 2)("p", wanted)
    with pytest.raises(
        StoreError, match=r"well_quality/p .* the store of this run does not have it: CPJUMP_STORE must"
    ):
        ours.confirm(elsewhere)
    ours.confirm(ours("p", wanted))
    with pytest.raises(StoreError, match=r"holds another one, sha256 \w{12}: CPJUMP_STORE must be a folder that all"):
        ours.confirm(elsewhere)


def test_a_store_that_cannot_be_asked_is_not_taken_for_one_that_lacks_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    made = PlateWork(Store(tmp_path), tables.WELL_QUALITY, lambda _: Made(pd.DataFrame({"v": [1]})), None)
    gone = S3Place("bucket", "", f"http://127.0.0.1:{free_port()}")
    ours = replace(made, store=Store(tmp_path / "ours", files=S3Files(gone, tmp_path / "ours")))
    with pytest.raises(StoreError, match=r"well_quality/p.parquet cannot be looked up in s3://bucket"):
        ours.confirm(made("p", PlateInput(Provenance("1", {}, "gallery"))))


def test_levels_that_are_sent_to_a_worker_are_opened_there(lab: Lab) -> None:
    ours = OurLevels(lab.store)
    sent = pickle.dumps(ours)
    for level in OF_THE_BATCH:  # as on another machine, where the same tables are other files
        path = lab.store.path(OF_THE_BATCH[level].key())
        path.with_suffix(".copy").write_bytes(path.read_bytes())
        path.with_suffix(".copy").replace(path)
    there = pickle.loads(sent)
    here = OurLevels(lab.store)
    for level in OF_THE_BATCH:
        assert np.array_equal(there.profiles(level, PAIR[0]).matrix, here.profiles(level, PAIR[0]).matrix)


@pytest.mark.parametrize(("scheduler", "absolute"), [(None, False), ("tcp://127.0.0.1:8786", True)])
def test_workers_are_given_absolute_folders(scheduler: str | None, absolute: bool) -> None:
    platform = Platform.from_settings(Settings(store=Path("data"), dask_scheduler=scheduler))
    store = platform.store
    assert (store.root.is_absolute(), store.gallery_folder.is_absolute()) == (absolute, absolute)
    assert store.root.absolute() == Path("data").absolute()
