"""Real splits to draw."""

from pathlib import Path

import pytest

from cpjump_assets_tests.real_splits import RealSplits, real_splits


@pytest.fixture(scope="session")
def splits(reference_root: Path) -> RealSplits:
    return real_splits(reference_root)
