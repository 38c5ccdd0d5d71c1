"""The join of profiles and manifest, against a lookup row by row."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpjump_assets.science.plates import BATCHES, MAIN_BATCH
from cpjump_assets.science.splits import split_manifest
from cpjump_assets.science.strategies import CELLCLIP, STRATEGIES
from cpjump_assets.science.subsets import subset_of_wells

AGAIN = "2020_11_19_TimepointDay4"
PLATE, OTHER_PLATE = "BR00117006", "BR00117020"
KEY = ["Metadata_Plate", "Metadata_Well"]


def _manifest(*rows):
    return pd.DataFrame(rows, columns=[*KEY, "subset"], dtype="str")


def _metadata(*rows):
    return pd.DataFrame(rows, columns=["Metadata_Batch", *KEY], dtype="str")


def _looked_up(metadata, manifest):
    assigned = {(plate, well): subset for plate, well, subset in manifest[[*KEY, "subset"]].itertuples(index=False)}
    return [
        assigned.get((plate, well)) if batch == MAIN_BATCH else None
        for batch, plate, well in metadata[["Metadata_Batch", *KEY]].itertuples(index=False)
    ]


def _as_list(subsets):
    return [None if pd.isna(subset) else subset for subset in subsets]


def test_subsets_come_in_the_order_of_the_profiles_and_with_their_index():
    manifest = _manifest((PLATE, "A01", "train"), (PLATE, "A02", "test"), (OTHER_PLATE, "A01", "validate"))
    metadata = _metadata((MAIN_BATCH, OTHER_PLATE, "A01"), (MAIN_BATCH, PLATE, "A02"), (MAIN_BATCH, PLATE, "A01"))
    subsets = subset_of_wells(metadata.set_axis([7, 3, 5]), manifest)
    assert subsets.to_dict() == {7: "validate", 3: "test", 5: "train"}
    assert subsets.dtype == "str"


def test_wells_that_the_manifest_lacks_are_missing():
    manifest = _manifest((PLATE, "A01", "train"))
    metadata = _metadata((MAIN_BATCH, PLATE, "A02"), (MAIN_BATCH, OTHER_PLATE, "A01"), (MAIN_BATCH, PLATE, "A01"))
    assert _as_list(subset_of_wells(metadata, manifest)) == [None, None, "train"]


def test_a_plate_that_another_batch_imaged_again_is_in_no_subset_there():
    assert PLATE in BATCHES[MAIN_BATCH]
    assert PLATE in BATCHES[AGAIN]
    manifest = _manifest((PLATE, "A01", "train"))
    metadata = _metadata((AGAIN, PLATE, "A01"), (MAIN_BATCH, PLATE, "A01"))
    assert _as_list(subset_of_wells(metadata, manifest)) == [None, "train"]


def test_labels_that_repeat_in_the_index_do_not_mix_rows():
    manifest = _manifest((PLATE, "A01", "train"), (PLATE, "A02", "test"))
    metadata = _metadata((MAIN_BATCH, PLATE, "A02"), (AGAIN, PLATE, "A01"), (MAIN_BATCH, PLATE, "A01"))
    subsets = subset_of_wells(metadata.set_axis([0, 0, 0]), manifest)
    assert _as_list(subsets) == ["test", None, "train"]


@pytest.mark.parametrize("second", ["train", "test"])
def test_a_manifest_that_assigns_a_well_twice_is_refused(second):
    manifest = _manifest((PLATE, "A01", "train"), (PLATE, "A02", "train"), (PLATE, "A01", second))
    with pytest.raises(ValueError, match="assigns a well twice"):
        subset_of_wells(_metadata((MAIN_BATCH, PLATE, "A02")), manifest)


def test_a_manifest_without_rows_puts_every_well_outside():
    subsets = subset_of_wells(_metadata((MAIN_BATCH, PLATE, "A01")), _manifest())
    assert _as_list(subsets) == [None]
    assert subsets.dtype == "str"


_POSITION = st.tuples(st.sampled_from([PLATE, OTHER_PLATE]), st.sampled_from(["A01", "A02", "B01"]))


@given(
    assigned=st.dictionaries(_POSITION, st.sampled_from(["train", "validate", "test"])),
    profiles=st.lists(st.tuples(st.sampled_from([MAIN_BATCH, AGAIN]), _POSITION), max_size=12),
)
@settings(max_examples=60, deadline=None)
def test_any_profiles_and_manifest_agree_with_a_lookup(assigned, profiles):
    manifest = _manifest(*((*position, subset) for position, subset in assigned.items()))
    metadata = _metadata(*((batch, *position) for batch, position in profiles))
    assert _as_list(subset_of_wells(metadata, manifest)) == _looked_up(metadata, manifest)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_well_of_a_real_manifest_is_found_once_among_all_acquisitions(real, strategy):
    manifest = split_manifest(real.wells, strategy)
    shuffled = real.wells.sample(frac=1, random_state=np.random.RandomState(0))
    subsets = subset_of_wells(shuffled, manifest)
    assert subsets.value_counts().to_dict() == manifest["subset"].value_counts().to_dict()
    assert set(shuffled.loc[subsets.notna(), "Metadata_Batch"]) == {MAIN_BATCH}
    assert subsets.eq("validate").any() == (strategy != CELLCLIP)
