"""The lab, untouched and refreshed; tests that change something take a copy of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cpjump_assets_tests.orchestration.lab import Lab, copy_of, simulated_lab


@pytest.fixture(scope="session")
def refreshed_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Give a lab in which everything has been made once; read only."""
    with simulated_lab(tmp_path_factory.mktemp("lab")) as lab:
        _, error = lab.refresh()
        assert error is None
        yield lab


@pytest.fixture
def lab(refreshed_lab: Lab, tmp_path: Path) -> Iterator[Lab]:
    """Give a copy of the refreshed lab that the test may break."""
    with copy_of(refreshed_lab, tmp_path / "lab") as copied:
        yield copied
