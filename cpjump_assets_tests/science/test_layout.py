"""Who takes part in a score and who belongs together, on made plates and on the real ones."""

import numpy as np
import pandas as pd
import pytest

from cpjump_assets.science.errors import BadTableError
from cpjump_assets.science.layout import NO_SUBSET, lay_out
from cpjump_assets.science.tasks import CONDITION
from cpjump_assets_tests.science.helpers_plates import N_CONTROLS, plates

CODES = ("subsets", "conditions", "plates", "positions", "samples", "is_control")


@pytest.fixture
def metadata():
    """Two conditions, with wells that take no part: shuffled, and with an index that says nothing."""
    compounds = plates(["P1", "P2"], ["S1", "S2", "S1"])
    guides = plates(["Q1"], ["G2", "G1"], kind="CRISPR", hours=144, code="high", controls="intergenic")
    secondary = plates(["R1"], ["S1"]).assign(Metadata_is_primary=False)
    empty = compounds.iloc[[1]].assign(Metadata_Well="P24", Metadata_broad_sample="empty", Metadata_target=None)
    frame = pd.concat([guides, compounds, secondary, empty]).sample(frac=1, random_state=1)
    return frame.assign(Metadata_is_outer=frame["Metadata_Well"].str[1:].astype(int) <= 2)


def _wells(layout):
    return layout.metadata.iloc[layout.rows].reset_index(drop=True)


def test_wells_of_primary_plates_that_hold_something_take_part_in_order(metadata):
    layout = lay_out(metadata)
    used = metadata[metadata["Metadata_is_primary"] & (metadata["Metadata_broad_sample"] != "empty")]
    keys = [*CONDITION, "Metadata_Batch", "Metadata_Plate", "Metadata_Well"]
    pd.testing.assert_frame_equal(_wells(layout), used.sort_values(keys, ignore_index=True))
    assert len(layout.rows) == 2 * (3 + N_CONTROLS) + 2 + N_CONTROLS
    assert layout.subset_names == ("all",)
    np.testing.assert_array_equal(layout.subsets, np.where(layout.is_control, NO_SUBSET, 0))
    assert (layout.with_asking_controls().subsets == 0).all()
    np.testing.assert_array_equal(layout.is_control, _wells(layout)["Metadata_control_type"].eq("negcon"))


@pytest.mark.parametrize(
    ("codes", "columns"),
    [
        ("conditions", CONDITION),
        ("plates", ["Metadata_Batch", "Metadata_Plate"]),
        ("positions", ["Metadata_Well"]),
        ("samples", ["Metadata_broad_sample"]),
    ],
)
def test_codes_rise_as_what_they_stand_for(metadata, codes, columns):
    layout = lay_out(metadata)
    distinct = _wells(layout).assign(code=getattr(layout, codes))[["code", *columns]].drop_duplicates()
    distinct = distinct.sort_values("code", ignore_index=True)
    assert distinct["code"].tolist() == list(range(len(distinct)))
    pd.testing.assert_frame_equal(distinct, distinct.sort_values(columns, ignore_index=True))
    assert not distinct[columns].duplicated().any()


def test_plates_of_one_name_in_two_batches_are_two(metadata):
    primary = metadata[metadata["Metadata_is_primary"]]
    both = lay_out(pd.concat([primary, primary.assign(Metadata_Batch="later")]))
    assert both.plates.max() + 1 == 2 * (lay_out(primary).plates.max() + 1)


def test_conditions_are_given_one_after_the_other(metadata):
    layout = lay_out(metadata)
    table = layout.condition_table
    assert layout.n_conditions == len(table) == 2
    parts = list(layout.by_condition())
    np.testing.assert_array_equal(np.concatenate(parts), np.arange(len(layout.rows)))
    for condition, wells in enumerate(parts):
        assert (layout.conditions[wells] == condition).all()
        assert (_wells(layout).iloc[wells][CONDITION] == table.iloc[condition]).all(axis=None)


def test_columns_and_names_are_those_of_the_wells(metadata):
    layout = lay_out(metadata)
    wells = np.array([5, 0])
    found = layout.columns(wells, ["Metadata_Plate", "Metadata_timepoint"])
    expected = _wells(layout).iloc[wells]
    assert list(found["Metadata_Plate"]) == expected["Metadata_Plate"].tolist()
    assert list(found["Metadata_timepoint"]) == expected["Metadata_timepoint"].tolist()
    row = layout.rows[5]
    plate, well = metadata[["Metadata_Plate", "Metadata_Well"]].iloc[row]
    assert layout.label(row).endswith(f"{plate}, well {well}")


def test_the_order_of_the_rows_does_not_matter(metadata):
    subsets = pd.Series("train", index=metadata.index).mask(metadata["Metadata_broad_sample"].eq("S2").to_numpy())
    layout = lay_out(metadata, subsets, subset_names=("test", "train"))
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(metadata))
        again = lay_out(metadata.iloc[order], subsets.iloc[order], subset_names=("train", "test"))
        pd.testing.assert_frame_equal(_wells(again), _wells(layout))
        assert again.subset_names == layout.subset_names
        for name in CODES:
            np.testing.assert_array_equal(getattr(again, name), getattr(layout, name))


def test_wells_ask_in_the_subsets_that_are_named_and_controls_in_none(metadata):
    """Subsets are those of the rows in their order, whatever their index says."""
    sample = metadata["Metadata_broad_sample"].to_numpy()
    subsets = pd.Series(np.select([sample == "S1", sample == "S2", sample == "G1"], ["test", "train", "other"], "test"))
    subsets = subsets.mask(sample == "G2")
    layout = lay_out(metadata, subsets, subset_names=("train", "validate", "test"))
    assert layout.subset_names == ("test", "train", "validate")
    found = _wells(layout).assign(subset=layout.subsets)
    treated = found[found["Metadata_control_type"].ne("negcon")]
    assert treated[["Metadata_broad_sample", "subset"]].value_counts().to_dict() == {("S1", 0): 4, ("S2", 1): 2}
    controls = found[found["Metadata_control_type"].eq("negcon")]
    assert len(controls) == 3 * N_CONTROLS
    assert (controls["subset"] == NO_SUBSET).all()


def test_positive_controls_are_ordinary_wells(metadata):
    poscon = metadata["Metadata_control_type"].mask(metadata["Metadata_broad_sample"] == "S1", "poscon_cp")
    layout = lay_out(metadata.assign(Metadata_control_type=poscon))
    assert not layout.is_control[_wells(layout)["Metadata_broad_sample"] == "S1"].any()
    assert len(layout.rows) == len(lay_out(metadata).rows)


def test_flags_that_may_be_missing_leave_a_well_out(metadata):
    expected = lay_out(metadata)
    primary = metadata["Metadata_is_primary"].astype("boolean")
    found = lay_out(metadata.assign(Metadata_is_primary=primary.mask(~primary)))
    np.testing.assert_array_equal(found.rows, expected.rows)


def test_inner_wells_are_chosen_by_position_controls_too(metadata):
    layout = lay_out(metadata, wells="inner")
    assert not _wells(layout)["Metadata_is_outer"].any()
    whole = _wells(lay_out(metadata))
    assert len(layout.rows) == (~whole["Metadata_is_outer"]).sum() == 2 * 17 + 16
    with pytest.raises(BadTableError, match="Metadata_is_outer"):
        lay_out(metadata.drop(columns="Metadata_is_outer"), wells="inner")
    lay_out(metadata.drop(columns="Metadata_is_outer"))


def test_metadata_that_cannot_be_laid_out_are_refused(metadata):
    with pytest.raises(BadTableError, match="lack the columns Metadata_Batch, Metadata_timepoint, Metadata_target"):
        lay_out(metadata.drop(columns=["Metadata_Batch", "Metadata_timepoint", "Metadata_target"]))
    with pytest.raises(BadTableError, match="none of the 74 profiles to score is of a well of a primary plate"):
        lay_out(metadata.assign(Metadata_is_primary=False))
    with pytest.raises(BadTableError, match="none of the 0 profiles"):
        lay_out(metadata.iloc[:0])
    with pytest.raises(ValueError, match="3 subsets for 74 rows"):
        lay_out(metadata, pd.Series(["train"] * 3), subset_names=("train",))


@pytest.mark.parametrize("column", ["Metadata_Plate", "Metadata_Well", "Metadata_cell_line", "Metadata_broad_sample"])
def test_a_well_must_say_where_and_what_it_is(metadata, column):
    used = np.flatnonzero(metadata["Metadata_is_primary"])[:2]
    values = metadata[column].copy()
    values.iloc[used] = None
    with pytest.raises(BadTableError, match=rf"missing is {column} in 2 of \d+ rows"):
        lay_out(metadata.assign(**{column: values}))


def test_wells_that_take_no_part_may_say_nothing(metadata):
    left_out = ~metadata["Metadata_is_primary"]
    names = ["Metadata_Well", "Metadata_cell_line", "Metadata_broad_sample"]
    blank = metadata.assign(**{name: metadata[name].mask(left_out) for name in names})
    np.testing.assert_array_equal(lay_out(blank).rows, lay_out(metadata).rows)


def test_a_well_that_comes_twice_is_refused_also_in_two_conditions(metadata):
    again = metadata[(metadata["Metadata_Plate"] == "P1") & (metadata["Metadata_Well"] == "A02")]
    name = "P1, well A02 has more than one profile; 1 rows are too many"
    for second in (again, again.assign(Metadata_broad_sample="S9"), again.assign(Metadata_cell_line="U2OS")):
        with pytest.raises(BadTableError, match=name):
            lay_out(pd.concat([second, metadata]))


def test_subsets_are_asked_for_only_where_there_are_some(metadata):
    with pytest.raises(ValueError, match="without subsets"):
        lay_out(metadata, subset_names=("train", "test"))


def test_the_real_plates_are_forty_of_twelve_conditions(real):
    layout = lay_out(real.wells)
    assert layout.n_conditions == 12
    assert layout.plates.max() + 1 == 40
    wells = _wells(layout)
    in_official = wells["Metadata_in_official_table"]
    assert in_official.sum() == 15_179
    assert (in_official & layout.is_control).sum() == 2_450
    assert set(wells.loc[~in_official, "Metadata_ineligible_reason"]) == {"absent from the official table"}
    assert (wells["Metadata_Batch"] == "2020_11_04_CPJUMP1").all()
    assert layout.positions.max() + 1 == wells["Metadata_Well"].nunique()


def test_inner_wells_of_the_real_plates_are_two_from_every_edge(real):
    inner, whole = lay_out(real.wells, wells="inner"), _wells(lay_out(real.wells))
    rows, columns = whole["Metadata_Well"].str[0], whole["Metadata_Well"].str[1:].astype(int)
    expected = whole[rows.between("C", "N") & columns.between(3, 22)].reset_index(drop=True)
    pd.testing.assert_frame_equal(_wells(inner), expected)


@pytest.mark.parametrize("reverse", [False, True])
def test_categories_are_read_as_their_values_whatever_their_order(metadata, reverse):
    """Their own order is not that of the names, by which everything is sorted and the draws of 2021 are seeded."""
    expected, names = lay_out(metadata), metadata.select_dtypes("str").columns
    of_categories = {
        name: pd.Categorical(metadata[name], sorted({*metadata[name].dropna(), "unused"}, reverse=reverse))
        for name in names
    }
    found = lay_out(metadata.assign(**of_categories))
    for name in CODES:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    pd.testing.assert_frame_equal(found.metadata, metadata)


@pytest.mark.parametrize("dtype", ["float64", "object", "Int64", "category"])
def test_hours_are_whole_numbers_whatever_type_they_were_read_as(metadata, dtype):
    hours = metadata["Metadata_timepoint"].astype(dtype)
    table = lay_out(metadata.assign(Metadata_timepoint=hours)).condition_table
    pd.testing.assert_frame_equal(table, lay_out(metadata).condition_table)


def test_hours_that_are_no_whole_number_are_refused(metadata):
    with pytest.raises(BadTableError, match=r"Metadata_timepoint must be whole hours, found 24\.5"):
        lay_out(metadata.assign(Metadata_timepoint=24.5))


def test_flags_in_words_are_refused_because_each_word_would_count_as_true(metadata):
    words = metadata["Metadata_is_primary"].astype("str")
    assert set(words) == {"True", "False"}
    for dtype in ("str", "object", "category"):
        with pytest.raises(BadTableError, match=r"Metadata_is_primary must be true or false, found '(True|False)'"):
            lay_out(metadata.assign(Metadata_is_primary=words.astype(dtype)))
