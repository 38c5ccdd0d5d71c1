"""Finding reagents by what people call them, on the real plates."""

from pathlib import Path

import pandas as pd
import pytest

from cpjump_assets.gallery.reference.metadata import load_metadata
from cpjump_assets.gallery.reference.root import ReferenceRoot
from cpjump_assets.science.errors import BadTableError
from cpjump_assets.science.named_reagents import find_reagent
from cpjump_assets.science.plates import MAIN_BATCH


@pytest.fixture(scope="module")
def wells(reference_root: Path) -> pd.DataFrame:
    return load_metadata(ReferenceRoot.parse(str(reference_root), endpoint=None)).wells


def _plate(wells, barcode):
    return wells[(wells["Metadata_Batch"] == MAIN_BATCH) & (wells["Metadata_Plate"] == barcode)]


@pytest.mark.parametrize(
    ("words", "found_by"),
    [("BRD-K21728777-001-02-3", "id"), ("AMG900", "name"), (" amg900 ", "name"), ("brd-k21728777-001-02-3", "id")],
)
def test_the_compound_of_the_example_images_is_found_by_id_and_name(wells, words, found_by):
    found = find_reagent(_plate(wells, "BR00117010"), words)
    assert (found.broad_sample, found.found_by, found.wells) == ("BRD-K21728777-001-02-3", found_by, ("N09",))
    assert found.others == ()


def test_a_target_finds_its_reagents_and_names_the_others(wells):
    plate = _plate(wells, "BR00117010")
    found = find_reagent(plate, "AURKB")
    expected = sorted(plate.loc[plate["Metadata_target"] == "AURKB", "Metadata_broad_sample"].unique())
    assert found.found_by == "target"
    assert [found.broad_sample, *found.others] == expected
    assert len(expected) == 2


def test_a_name_of_two_reagents_takes_the_first_and_names_the_other(wells):
    found = find_reagent(_plate(wells, "BR00117010"), "dexamethasone")
    assert len(found.others) == 1
    assert found.broad_sample < found.others[0]


def test_guides_are_found_by_their_gene(wells):
    crispr = wells[(wells["Metadata_Batch"] == MAIN_BATCH) & (wells["Metadata_experiment_type"] == "CRISPR")]
    plate = _plate(wells, crispr["Metadata_Plate"].iloc[0])
    found = find_reagent(plate, "AURKB")
    assert found.found_by == "target"
    assert set(plate.loc[plate["Metadata_Well"].isin(found.wells), "Metadata_target"]) == {"AURKB"}


def test_dmso_is_in_all_its_wells(wells):
    assert len(find_reagent(_plate(wells, "BR00117010"), "DMSO").wells) == 64


@pytest.mark.parametrize(("words", "near"), [("AMG-900", "AMG900"), ("empty", "NAMPT"), ("qqqq", "none")])
def test_what_is_not_on_the_plate_is_refused_with_what_comes_near(wells, words, near):
    with pytest.raises(BadTableError, match=rf"BR00117010 holds no reagent .*'{words}'; near to it: .*{near}"):
        find_reagent(_plate(wells, "BR00117010"), words)
