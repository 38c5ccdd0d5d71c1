"""Fixtures that every test may ask for: where the real reference data and the published scores lie."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


def _folder(path: Path) -> Path:
    if not path.is_dir():
        pytest.skip(f"the real reference data are not beside the project ({path.name})")
    return path


@pytest.fixture(scope="session")
def reference_root() -> Path:
    """Give the folder of real CPJUMP1 reference data, laid out as a reference root."""
    return _folder(SHARED / "cpjump1")


@pytest.fixture(scope="session")
def published_root() -> Path:
    """Give the folder of published scores."""
    return _folder(SHARED / "published")
