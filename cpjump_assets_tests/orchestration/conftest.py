"""The lab, untouched and refreshed; tests that change something take a copy of their own."""

import fcntl
from collections.abc import Iterator
from pathlib import Path

import pytest

from cpjump_assets_tests.orchestration.lab import Lab, copy_of, served_lab, simulated_lab


def _make_once(folder: Path) -> None:
    """Make the lab, unless another test process has made it already."""
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "made").exists():
            with simulated_lab(folder / "lab") as lab:
                _, error = lab.refresh()
            assert error is None
            (folder / "made").touch()


@pytest.fixture(scope="session")
def refreshed_lab(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[Lab]:
    """Give a lab in which everything has been made once; read only."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "refreshed"
    _make_once(folder)
    with served_lab(folder / "lab") as lab:
        yield lab


@pytest.fixture
def lab(refreshed_lab: Lab, tmp_path: Path) -> Iterator[Lab]:
    """Give a copy of the refreshed lab that the test may break."""
    with copy_of(refreshed_lab, tmp_path / "lab") as copied:
        yield copied
