"""The lab, untouched and refreshed; tests that change something take a copy of their own."""

import fcntl
import shutil
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.runs.sqlite import sqlite_run_storage

from cpjump_assets.orchestration import tables
from cpjump_assets.science.strategies import REPRESENTATION
from cpjump_assets.simulate.image_sets import LAB_PATHS_PLATE, OLD_ADDRESSES_PLATE
from cpjump_assets_tests.orchestration import leaks
from cpjump_assets_tests.orchestration.lab import LAB_KEYS, Lab, copy_of, served_lab, simulated_lab
from cpjump_assets_tests.processes import running_ui

IMAGED = LAB_KEYS[:2]
"""The plate that has images of a whole selection, and one that has none."""


def _keeping(create_engine: Callable[..., Any]) -> Callable[..., Any]:
    """Give a function that makes one SQLAlchemy engine for each address."""

    @lru_cache(maxsize=64)
    def kept(url: str, poolclass: type, connect_args: tuple[tuple[str, Any], ...]) -> Any:
        return create_engine(url, poolclass=poolclass, connect_args=dict(connect_args))

    def give(url: str, *, poolclass: type, connect_args: Mapping[str, Any] | None = None) -> Any:
        return kept(url, poolclass, tuple((connect_args or {}).items()))

    return give


@pytest.fixture(scope="session", autouse=True)
def kept_engines() -> Iterator[None]:
    """Let Dagster keep its engines for SQLite files; connections are opened anew for each event all the same.

    It makes an engine for each event, so that SQLAlchemy compiles each statement again: a fifth of the time of a run.
    """
    with pytest.MonkeyPatch.context() as patched:
        for storage in (sqlite_event_log, sqlite_run_storage):
            patched.setattr(storage, "create_engine", _keeping(storage.create_engine))
        yield


def _made_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """Make a lab, unless another test process has made it already; give its folder."""
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "made").exists():
            make(folder / "lab")
            (folder / "made").touch()
    return folder / "lab"


def _refresh(folder: Path) -> None:
    with simulated_lab(folder) as lab:
        _, error = lab.refresh()
    assert error is None


@pytest.fixture(scope="session")
def labs_folder(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Give the folder of the labs that all test processes share."""
    base = tmp_path_factory.getbasetemp()
    return base if worker_id == "master" else base.parent


@pytest.fixture(scope="session")
def refreshed_lab(labs_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Give a lab in which everything but images has been made once; read only.

    It was made for all test processes, and each has a copy of its own: SQLite makes and removes files beside a
    database that is read, which would be in the way of another process that copies the folder.
    """
    made = _made_once(labs_folder / "refreshed", _refresh)
    with served_lab(shutil.copytree(made, tmp_path_factory.mktemp("own") / "lab")) as lab:
        yield lab


@pytest.fixture(scope="session")
def imaged_lab(refreshed_lab: Lab, labs_folder: Path) -> Iterator[Lab]:
    """Give a refreshed lab with the images of two plates, and the index of two with other image sets; take a copy."""

    def make(folder: Path) -> None:
        with copy_of(refreshed_lab, folder) as lab:
            runs = [lab.run("plate_images", plates=IMAGED)]
            for barcode in (OLD_ADDRESSES_PLATE, LAB_PATHS_PLATE):
                plates = [key for key in LAB_KEYS if key.endswith(barcode)]
                runs.append(lab.run("plate_images", plates=plates, assets=["image_index"]))
        assert all(run.success for run in runs), [run.errors for run in runs]

    with served_lab(_made_once(labs_folder / "imaged", make)) as lab:
        yield lab


@pytest.fixture
def lab(refreshed_lab: Lab, tmp_path: Path) -> Iterator[Lab]:
    """Give a copy of the refreshed lab that the test may break."""
    with copy_of(refreshed_lab, tmp_path / "lab") as copied:
        yield copied


@pytest.fixture(scope="session")
def watched_lab(refreshed_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Give a copy of the lab in whose representation manifest a leak was planted, and found by the checks."""
    with copy_of(refreshed_lab, tmp_path_factory.mktemp("watched") / "lab") as lab:
        key = tables.SPLIT_MANIFEST.key(REPRESENTATION)
        leaking = leaks.one_replicate(lab.store.read(key), lab.store.read(tables.PERTURBATIONS.key()))
        leaking.to_parquet(lab.store.path(key))
        assert not lab.check_manifest(REPRESENTATION).success
        yield lab


@pytest.fixture(scope="session")
def ui_address(watched_lab: Lab) -> Iterator[str]:
    """Give the address of a running ``cpjump ui`` that shows the watched lab."""
    with running_ui(watched_lab.settings) as address:
        yield address
