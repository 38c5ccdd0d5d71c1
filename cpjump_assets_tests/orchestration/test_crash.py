"""A refresh that is killed goes on from where it stopped."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg

from cpjump_assets.orchestration import tables
from cpjump_assets.science.plates import MAIN_PLATES
from cpjump_assets.simulate.config import Size
from cpjump_assets.simulate.s3.server import S3Server
from cpjump_assets.simulate.writer import simulate_gallery
from cpjump_assets_tests.orchestration.lab import Lab

# Enough plates that the kill falls into the plate loop, and not behind it.
PLATES = MAIN_PLATES[:40]
STORED_BEFORE_THE_KILL = 12
DEADLINE = 120.0


def _kill_in_the_plate_loop(lab: Lab, folder: Path) -> None:
    """Start a refresh in a process of its own, and kill it as soon as some plates of an asset are stored."""
    environment = os.environ | lab.settings.to_environment()
    command = [sys.executable, "-m", "cpjump_assets", "refresh"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    started = time.monotonic()
    while time.monotonic() - started < DEADLINE:
        if folder.is_dir() and len(list(folder.glob("*.parquet"))) >= STORED_BEFORE_THE_KILL:
            break
        assert process.poll() is None, "the refresh ended before a plate was stored"
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_a_killed_refresh_goes_on_from_where_it_stopped(tmp_path: Path) -> None:
    gallery = simulate_gallery(tmp_path / "disturbed" / "gallery", size=Size("crash", n_features=40, plates=PLATES))
    asset = tables.ANNOTATED_PROFILES
    with S3Server(gallery.bucket_root) as server:
        lab = Lab(tmp_path / "disturbed", server)
        folder = lab.store.path(asset.key(str(PLATES[0]))).parent
        _kill_in_the_plate_loop(lab, folder)

        done = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.parquet")}
        assert STORED_BEFORE_THE_KILL <= len(done) < len(PLATES)
        recorded = {record.partition_key for record in lab.materializations(asset)}
        # The last stored plates may not be on record yet; every plate on record is stored.
        assert recorded
        assert {f"{plate}.parquet" for plate in recorded} <= set(done)
        with lab.instance() as instance:
            (killed,) = instance.get_runs(filters=dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))

        _, error = lab.refresh()
        assert error is None
        after = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.parquet")}
        assert {name: after[name] for name in done} == done
        assert len(after) == len(PLATES)
        assert sorted(record.partition_key for record in lab.materializations(asset)) == sorted(map(str, PLATES))
        with lab.instance() as instance:
            assert instance.get_run_by_id(killed.run_id).status is dg.DagsterRunStatus.FAILURE

        undisturbed = Lab(tmp_path / "undisturbed", server)
        (undisturbed.folder).mkdir()
        (undisturbed.folder / "gallery").symlink_to(lab.folder / "gallery")
        _, error = undisturbed.refresh()
        assert error is None
        assert lab.digests() == undisturbed.digests()
        assert not list(lab.store.root.rglob("*.part"))
