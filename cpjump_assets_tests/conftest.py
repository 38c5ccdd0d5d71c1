"""What every test may ask for: where the real reference data and the published scores lie, pictures of the web UI."""

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("untimed", deadline=None)  # how long an example takes says how busy the machine is
settings.load_profile("untimed")

# Definitions are hundreds of thousands of objects that stay: to look through them often takes a tenth of the time.
gc.set_threshold(50_000, 50, 50)

# Minutes each, most of them spent waiting: begun last, one of them would keep all other workers idle at the end.
BEGUN_FIRST = ("test_reliability", "test_postgres", "test_automation_daemon", "test_alerting_daemon")
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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest tests in front; the others keep their order."""
    items.sort(key=lambda item: item.path.stem not in BEGUN_FIRST)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let pictures of the web UI be kept."""
    parser.addoption("--screenshots", type=Path, metavar="FOLDER", help="keep pictures of the web UI, for the docs")


@pytest.fixture(scope="session")
def screenshot(request: pytest.FixtureRequest) -> Callable[[Any, str], None]:
    """Give a function that keeps a picture of a page under a name, where ``--screenshots`` says where."""
    folder = request.config.getoption("--screenshots")

    def keep(page: Any, name: str) -> None:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=folder / f"{name}.png", animations="disabled")

    return keep
