from pathlib import Path

import pytest

from cpjump_assets.gallery.transfer import twins
from cpjump_assets.gallery.transfer.inventory import Inventory
from cpjump_assets.gallery.transfer.twins import require_own_names
from cpjump_assets.science.errors import GalleryError


@pytest.fixture
def folder(tmp_path) -> Path:
    Inventory(tmp_path).close()
    return tmp_path


@pytest.fixture
def deaf_to_case(monkeypatch, folder) -> Path:
    """Give a folder that does not tell upper from lower case, as on many a Mac."""

    def is_there(path: Path) -> bool:
        place = folder
        for name in path.relative_to(folder).parts:
            found = [child for child in place.iterdir() if child.name.lower() == name.lower()] if place.is_dir() else []
            if not found:
                return False
            place = found[0]
        return True

    monkeypatch.setattr(twins, "_is_there", is_there)
    return folder


def put(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def test_a_folder_that_tells_case_holds_twins(folder):
    put(folder / "p" / "Plate.csv")
    require_own_names(["p/plate.csv", "p/PLATE.CSV", "P/plate.csv"], folder)


def test_nothing_is_looked_at_where_case_is_told(folder, monkeypatch):
    looked: list[Path] = []
    monkeypatch.setattr(twins, "_is_there", lambda path: looked.append(path))
    require_own_names(["p/a", "p/A"], folder)
    assert len(looked) == 1


@pytest.mark.parametrize(
    ("keys", "named"),
    [
        (["p/plate.csv", "p/Plate.csv"], "'p/plate.csv' cannot be stored beside 'Plate.csv'"),
        (["p/x", "P/y"], "'p' cannot be stored beside 'P'"),
        (["p/q/x", "p/Q/y/z"], "'p/q' cannot be stored beside 'Q'"),
        (["STRASSE", "straße"], "'straße' cannot be stored beside 'STRASSE'"),
    ],
)
def test_of_two_twins_one_is_refused(deaf_to_case, keys, named):
    with pytest.raises(GalleryError, match=f"key {named}: expected a folder that tells upper from lower case"):
        require_own_names(keys, deaf_to_case)


@pytest.mark.parametrize("key", ["p/plate.csv", "P/Plate.csv", "P/other"])
def test_the_twin_of_what_is_there_is_refused(deaf_to_case, key):
    put(deaf_to_case / "p" / "Plate.csv")
    with pytest.raises(GalleryError, match="cannot be stored beside"):
        require_own_names([key], deaf_to_case)


def test_what_is_there_under_its_own_name_is_no_twin(deaf_to_case):
    put(deaf_to_case / "p" / "Plate.csv")
    require_own_names(["p/Plate.csv", "p/other", "q/Plate.csv"], deaf_to_case)
