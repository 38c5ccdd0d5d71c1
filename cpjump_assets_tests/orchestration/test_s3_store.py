"""The whole lab on a store in S3: equal to that of a folder byte for byte, and made again from an empty folder."""

import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from cpjump_assets.build import build_defs
from cpjump_assets.orchestration import tables
from cpjump_assets.orchestration.refresh import (
    OBSERVE_GALLERY,
    OBSERVE_REFERENCE,
    Refresh,
    RefreshRequest,
    refresh_plan,
)
from cpjump_assets.science.errors import StoreError
from cpjump_assets.science.strategies import STRATEGIES
from cpjump_assets.simulate.s3.server import S3Server
from cpjump_assets.storage import lease as lease_module
from cpjump_assets.storage.lease import lease
from cpjump_assets.storage.s3_objects import S3Objects
from cpjump_assets.storage.s3_place import S3Place
from cpjump_assets_tests.orchestration.cluster import running_cluster
from cpjump_assets_tests.orchestration.lab import LAB_KEYS, Lab
from cpjump_assets_tests.processes import environment_of
from cpjump_assets_tests.stores import StoreServer, moto_store

FIRST, SECOND = LAB_KEYS[:2]


@pytest.fixture(scope="module")
def store_server() -> Iterator[StoreServer]:
    with moto_store() as server:
        yield server


@pytest.fixture(scope="module")
def s3_lab(refreshed_lab: Lab, store_server: StoreServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Give the lab as a machine sees it that has refreshed a store in S3 once."""
    folder = tmp_path_factory.mktemp("s3_lab")
    (folder / "gallery").symlink_to(refreshed_lab.folder / "gallery")
    with S3Server(refreshed_lab.gallery.bucket_root) as server:
        lab = Lab(folder, server, store_url=store_server.url("lab"), store_endpoint=store_server.endpoint)
        _, error = lab.refresh()
        assert error is None
        yield lab


def _on_a_new_machine(lab: Lab, folder: Path) -> Lab:
    """Give the same store as another machine sees it, with the record of the runs and without any file."""
    folder.mkdir()
    (folder / "gallery").symlink_to((lab.folder / "gallery").resolve())
    shutil.copytree(lab.settings.dagster_home, folder / "store" / "dagster_home")
    return replace(lab, folder=folder)


def _published(place: S3Place) -> dict[str, str]:
    """Give the digest of each published table and figure, by its name; the contents are read from the store."""
    objects = S3Objects(place)
    names = [name for name in objects.names() if not name.startswith("gallery/")]
    found = {name: objects.digest(manifest) for name in names if (manifest := objects.manifest(name))}
    return {name: digest for name, digest in found.items() if digest}


def test_the_tables_and_figures_are_those_of_a_folder_byte_for_byte(
    s3_lab: Lab, refreshed_lab: Lab, store_server: StoreServer
) -> None:
    expected = {name: digest for name, digest in refreshed_lab.digests().items() if not name.startswith("gallery/")}
    assert len(expected) > 50
    assert _published(store_server.place("lab")) == expected
    versions: Mapping[str, str] = {
        record.partition_key: record.event_log_entry.dagster_event.materialization.tags["dagster/data_version"]
        for record in s3_lab.materializations(tables.NORMALIZED_PROFILES)
    }
    place = store_server.place("lab")
    assert set(versions) == set(LAB_KEYS)
    for plate, version in versions.items():
        manifest = S3Objects(place).manifest(f"{tables.NORMALIZED_PROFILES.key(plate)}.parquet")
        assert manifest is not None
        assert version == manifest.sha256


def test_a_machine_with_an_empty_folder_makes_no_plate_and_pulls_nothing_again(
    s3_lab: Lab, store_server: StoreServer, tmp_path: Path
) -> None:
    before, other = _published(store_server.place("lab")), _on_a_new_machine(s3_lab, tmp_path / "other")
    requests_before = len(s3_lab.server.requests)
    made = len(other.materializations(tables.NORMALIZED_PROFILES))
    # What a refresh begins with: the tables over all plates, which follow, are made again in any case.
    plates = [run for run in refresh_plan(LAB_KEYS) if run.job in ("metadata", "profiles")]
    with other.instance() as instance:
        refresh = Refresh.of(other.settings, build_defs(other.settings).resolve_job_def, instance)
        runs = list(refresh.follow([OBSERVE_REFERENCE, OBSERVE_GALLERY, *plates]))
    assert len(runs) > 3
    assert all(run.success for run in runs)
    assert _published(store_server.place("lab")) == before
    asked = s3_lab.server.requests[requests_before:]
    assert asked
    assert [request.key for request in asked if request.method == "GET" and request.key.endswith(".gz")] == []
    assert len(other.materializations(tables.NORMALIZED_PROFILES)) == made


_RUN = """
import sys, time
from pathlib import Path
from cpjump_assets.build import build_defs
from cpjump_assets.orchestration import tables
from cpjump_assets.orchestration.refresh import PlannedRun, Refresh
from cpjump_assets.settings import Settings
from cpjump_assets.storage.store import Store
from cpjump_assets.web import open_instance
plate, mine, other = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
find = Store.find
def find_when_both_look(store, key):
    found = find(store, key)
    if key == tables.ANNOTATED_PROFILES.key(plate) and not mine.exists():
        mine.touch()
        while not other.exists():
            time.sleep(0.01)
    return found
Store.find = find_when_both_look  # so that neither finds what the other one makes
settings = Settings.from_environment()
with open_instance(settings) as instance:
    refresh = Refresh.of(settings, build_defs(settings).resolve_job_def, instance)
    run = refresh.execute(PlannedRun("profiles", "a plate", plate_range=(plate, plate)))
sys.exit(" ".join(run.errors) or None)
"""


def test_of_two_runs_that_make_one_plate_at_once_none_fails_and_the_record_is_of_what_is_published(
    s3_lab: Lab, store_server: StoreServer, tmp_path: Path
) -> None:
    place, key = store_server.place("lab"), tables.ANNOTATED_PROFILES.key(FIRST)
    before, made = _published(place), len(s3_lab.materializations(tables.ANNOTATED_PROFILES))
    s3_lab.store.remove(key)
    assert _published(place) != before
    looks = [str(tmp_path / "one"), str(tmp_path / "other")]
    environment = os.environ | environment_of(s3_lab.settings)
    runs = [
        subprocess.Popen([sys.executable, "-c", _RUN, FIRST, *order], env=environment, stderr=subprocess.PIPE)
        for order in (looks, looks[::-1])
    ]
    ends = [(run.communicate(timeout=300)[1].decode()[-2000:], run.returncode) for run in runs]
    assert [code for _, code in ends] == [0, 0], ends
    assert _published(place) == before
    records = s3_lab.materializations(tables.ANNOTATED_PROFILES)
    assert len(records) == made + 2
    newest = records[0].event_log_entry.dagster_event.materialization
    assert (newest.partition, newest.tags["dagster/data_version"]) == (FIRST, before[f"{key}.parquet"])


def test_workers_of_a_cluster_write_to_the_store_in_s3(s3_lab: Lab, store_server: StoreServer, tmp_path: Path) -> None:
    place = store_server.place("lab")
    before = _published(place)
    with running_cluster(tmp_path, "one", "two") as cluster:
        lab = replace(s3_lab, dask_scheduler=cluster.address)
        for asset in (tables.ANNOTATED_PROFILES, tables.NORMALIZED_PROFILES):
            lab.store.remove(asset.key(FIRST))
            lab.store.remove(asset.key(SECOND))
        idle = sum(cluster.executed().values())
        finished = lab.run("profiles", plates=[FIRST, SECOND])
        assert finished.success, finished.errors
        assert sum(cluster.executed().values()) >= idle + 4
    assert _published(place) == before


def test_a_damaged_table_is_named_and_made_again(s3_lab: Lab, store_server: StoreServer, tmp_path: Path) -> None:
    name = f"{tables.NORMALIZED_PROFILES.key(FIRST)}.parquet"
    manifest = S3Objects(store_server.place("lab")).manifest(name)
    assert manifest is not None
    key = store_server.place("lab").key(manifest.object_name)
    store_server.put(key, store_server.read(key)[:-100])
    other = _on_a_new_machine(s3_lab, tmp_path / "other")
    with pytest.raises(StoreError, match="is not what was written"):
        other.store.read(tables.NORMALIZED_PROFILES.key(FIRST))
    assert other.run("profiles", plates=[FIRST], assets=["normalized_profiles"]).success
    assert S3Objects(store_server.place("lab")).digest(manifest) == manifest.sha256


def test_a_refused_manifest_closes_its_strategy_on_every_machine(
    s3_lab: Lab, store_server: StoreServer, tmp_path: Path
) -> None:
    strategy = STRATEGIES[0]
    store = s3_lab.store
    key = tables.SPLIT_MANIFEST.key(strategy)
    store.write(tables.REJECTED_MANIFEST.key(strategy), store.read(key), store.describe(key).provenance)
    other = _on_a_new_machine(s3_lab, tmp_path / "other")
    run = other.run("strategy", partition=strategy, assets=["leakage_audit"])
    assert not run.success
    assert "the last manifest was refused" in " ".join(run.errors)
    store.remove(tables.REJECTED_MANIFEST.key(strategy))
    assert other.run("strategy", partition=strategy, assets=["leakage_audit"]).success


def test_one_refresh_at_a_time_whatever_the_machine(s3_lab: Lab, store_server: StoreServer) -> None:
    taken = lease(store_server.place("lab"), "refresh.lease", holder="another machine", busy="free")
    with taken, s3_lab.instance() as instance:
        refresh = Refresh.of(s3_lab.settings, lambda name: pytest.fail(f"{name} ran"), instance)
        with pytest.raises(StoreError, match="another refresh is at work on this store"):
            next(refresh.run(RefreshRequest()))


def test_a_refresh_that_loses_its_lease_ends_when_its_run_has_ended(
    s3_lab: Lab, store_server: StoreServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_module, "_RENEWALS", 600)  # ten times a second
    monkeypatch.setattr(Refresh, "_all_runs", lambda *_: itertools.count())
    with s3_lab.instance() as instance:
        refresh = Refresh.of(s3_lab.settings, lambda name: pytest.fail(f"{name} ran"), instance)
        runs = refresh.run(RefreshRequest())
        assert next(runs) == 0
        place = store_server.place("lab")
        store_server.put(
            place.key("refresh.lease"),
            store_server.read(place.key("refresh.lease")).replace(b'"turn": "', b'"turn": "other'),
        )
        with pytest.raises(StoreError, match=r"the lease on s3://.* was lost"):
            while True:
                next(runs)


def test_no_secret_of_the_store_is_on_record(s3_lab: Lab) -> None:
    home = s3_lab.settings.dagster_home
    recorded = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    assert b"store_endpoint" in recorded or len(recorded) > 1_000_000
    assert b"secret-of-the-test" not in recorded
    assert b"key-of-the-test" not in recorded
