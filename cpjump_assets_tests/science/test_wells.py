import pandas as pd
import pytest

from cpjump_assets.science.errors import BadTableError
from cpjump_assets.science.plates import MAIN_BATCH
from cpjump_assets.science.wells import well_table

COMPOUND_MAP = "JUMP-Target-1_compound_platemap"
CRISPR_MAP = "JUMP-Target-1_crispr_platemap"


@pytest.fixture(scope="module")
def main(real):
    return real.wells[real.wells["Metadata_Batch"] == MAIN_BATCH]


@pytest.fixture(scope="module")
def layout(main):
    """Give the wells of one plate of each modality."""
    return main.drop_duplicates(["Metadata_experiment_type", "Metadata_Well"])


@pytest.fixture
def inputs(real, raw):
    return {
        "experiment": real.experiment,
        "barcode_platemaps": raw.barcodes,
        "plate_maps": raw.plate_maps,
        "perturbations": real.perturbations,
        "official": raw.official,
    }


def test_384_wells_of_each_of_107_acquisitions(real):
    assert len(real.wells) == 41_088 == 107 * 384
    assert (real.wells.groupby(["Metadata_Batch", "Metadata_Plate"]).size() == 384).all()


def test_the_first_reason_that_applies(main):
    assert main["Metadata_ineligible_reason"].value_counts().to_dict() == {
        "not a primary plate": 4_224,
        "negative control": 2_450,
        "empty": 96,
        "absent from the official table": 85,
    }
    assert main["Metadata_eligible"].sum() == 12_729
    absent = main[main["Metadata_ineligible_reason"] == "absent from the official table"]
    assert absent["Metadata_Plate"].value_counts().to_dict() == {
        "BR00116995": 83,
        "BR00116993": 1,
        "BR00117005": 1,
    }


def test_wells_of_other_batches_take_no_part(real):
    others = real.wells[real.wells["Metadata_Batch"] != MAIN_BATCH]
    assert set(others["Metadata_ineligible_reason"]) == {"not a primary plate"}
    assert not others["Metadata_in_official_table"].any()
    assert others["Metadata_target_radix"].isna().all()


def test_blanks_are_dmso_in_the_compound_map_and_empty_in_the_others(layout):
    counts = layout.groupby("Metadata_experiment_type")["Metadata_broad_sample"].value_counts()
    assert counts["Compound", "DMSO"] == 64
    assert counts["CRISPR", "empty"] == counts["ORF", "empty"] == 4
    blank = layout[layout["Metadata_broad_sample"].isin(["DMSO", "empty"])]
    assert blank["Metadata_target"].isna().all()
    assert (blank["Metadata_pert_iname"] == blank["Metadata_broad_sample"]).all()
    assert layout[layout["Metadata_broad_sample"] == "empty"]["Metadata_pert_type"].eq("empty").all()


def test_official_wells_are_the_same_well_by_well(real, raw):
    ours = real.wells[real.wells["Metadata_in_official_table"]].set_index(["Metadata_Plate", "Metadata_Well"])
    theirs = raw.official.set_index(["Metadata_Plate", "Metadata_Well"]).loc[ours.index]
    assert len(ours) == len(raw.official) == 15_275
    for column in ("broad_sample", "cell_line", "experiment_type", "timepoint_code", "pert_type", "pert_iname"):
        assert (ours[f"Metadata_{column}"] == theirs[f"Metadata_{column}"]).all(), column
    # The official table calls the target of an empty well "empty"; here it has none.
    assert (ours["Metadata_target"].fillna("empty") == theirs["Metadata_target"].fillna("empty")).all()
    assert (ours["Metadata_target_is_across"] == (theirs["Metadata_target_is_across"] == "TRUE")).all()
    assert ours["Metadata_broad_sample"].nunique() == 818


def test_replicates_on_a_plate(layout):
    samples = layout.groupby(
        ["Metadata_experiment_type", "Metadata_control_type", "Metadata_broad_sample"], dropna=False
    )
    sizes = samples.size()
    compound = sizes["Compound"].drop("DMSO", level="Metadata_broad_sample")
    assert compound.value_counts().to_dict() == {1: 292, 2: 14}
    assert set(compound[compound == 2].index.get_level_values(0)) == {"poscon_diverse"}
    assert sizes["CRISPR", "negcon"].tolist() == [2] * 30
    assert sizes["ORF", "negcon"].tolist() == [4] * 15
    treated_orfs = sizes["ORF"].drop("negcon").drop("empty", level="Metadata_broad_sample")
    assert treated_orfs.tolist() == [2] * 160


def test_wells_of_controls_in_the_official_table(real):
    official = real.wells[real.wells["Metadata_in_official_table"]]
    negative = official[official["Metadata_control_type"] == "negcon"]
    assert negative.groupby("Metadata_experiment_type").size().to_dict() == {
        "CRISPR": 960,
        "Compound": 1_010,
        "ORF": 480,
    }
    dmso = negative[negative["Metadata_broad_sample"] == "DMSO"].groupby("Metadata_Plate").size()
    assert dmso[dmso != 64].to_dict() == {"BR00116995": 50}
    assert len(dmso) == 16


def test_layout_rules_of_the_plate_maps(layout):
    outer = layout.set_index(["Metadata_experiment_type", "Metadata_target"])["Metadata_is_outer"]
    compound = outer["Compound"].groupby(level=0).agg(["any", "all"])
    assert len(compound) == 160
    assert (compound["any"] == compound["all"]).all()
    outer_targets = compound.index[compound["all"]]
    assert len(outer_targets) == 64
    for experiment_type, exceptions in (("ORF", set()), ("CRISPR", {"CYP2A6"})):
        everywhere = outer[experiment_type].groupby(level=0).all()
        assert set(outer_targets[~everywhere[outer_targets]]) == exceptions
    poscons = layout[layout["Metadata_control_type"].isin(["poscon_cp", "poscon_orf", "poscon_diverse"])]
    assert not poscons[poscons["Metadata_experiment_type"] == "Compound"]["Metadata_is_outer"].any()


def test_inner_wells(real):
    official = real.wells[real.wells["Metadata_in_official_table"]]
    assert (~official["Metadata_is_outer"]).sum() == 9_548
    assert (~official.loc[official["Metadata_eligible"], "Metadata_is_outer"]).sum() == 7_638


def test_row_order_of_the_inputs_does_not_show(inputs, real):
    shuffled = {
        "experiment": inputs["experiment"].sample(frac=1, random_state=1),
        "barcode_platemaps": {k: f.sample(frac=1, random_state=2) for k, f in inputs["barcode_platemaps"].items()},
        "plate_maps": {k: f.sample(frac=1, random_state=3) for k, f in reversed(inputs["plate_maps"].items())},
        "perturbations": inputs["perturbations"].sample(frac=1, random_state=4),
        "official": inputs["official"].sample(frac=1, random_state=5),
    }
    pd.testing.assert_frame_equal(well_table(**shuffled), real.wells)


def _set(frame, row, column, value):
    frame = frame.copy()
    frame.loc[row, column] = value
    return frame


def _swap(frames, name, change):
    return frames | {name: change(frames[name])}


@pytest.mark.parametrize(
    ("name", "spoil", "words"),
    [
        ("official", lambda f: f.head(0), ["cpjump1_metadata.csv", "no rows"]),
        ("official", lambda f: f.drop(columns="Metadata_cell_line"), ["cpjump1_metadata.csv", "Metadata_cell_line"]),
        ("official", lambda f: pd.concat([f, f.head(1)]), ["more than once", "BR00118050 A01"]),
        (
            "official",
            lambda f: _set(f, 0, "Metadata_broad_sample", "ccsbBroad304_07795"),
            ["BR00118050 A01", "'ccsbBroad304_00900'", "'ccsbBroad304_07795'"],
        ),
        ("official", lambda f: _set(f, 0, "Metadata_cell_line", "U2OS"), ["BR00118050 A01", "'A549'", "'U2OS'"]),
        ("official", lambda f: _set(f, 0, "Metadata_timepoint", "48"), ["BR00118050 A01", "'96'", "'48'"]),
        ("official", lambda f: _set(f, 0, "Metadata_Plate", "BR00999999"), ["does not have", "BR00999999 A01"]),
        (
            "official",
            lambda f: _set(f, 0, "Metadata_target_is_across", "yes"),
            ["is_across", "'yes'", "BR00118050 A01"],
        ),
        ("official", lambda f: _set(f, 0, "Metadata_target_radix", "1.5"), ["radix", "'1.5'", "BR00118050 A01"]),
        ("perturbations", lambda f: f.drop(index=5), ["no known reagent", "JUMP-Target-1_", "BRD-"]),
        ("plate_maps", lambda fs: {k: f for k, f in fs.items() if k != CRISPR_MAP}, [CRISPR_MAP, "is missing"]),
        ("plate_maps", lambda fs: _swap(fs, CRISPR_MAP, lambda f: f.head(383)), [CRISPR_MAP, "missing: P24"]),
        ("plate_maps", lambda fs: _swap(fs, CRISPR_MAP, lambda f: f.head(0)), [CRISPR_MAP, "no rows"]),
        (
            "plate_maps",
            lambda fs: _swap(fs, CRISPR_MAP, lambda f: _set(f, 1, "well_position", "A01")),
            [CRISPR_MAP, "more than once: A01"],
        ),
        (
            "plate_maps",
            lambda fs: _swap(fs, CRISPR_MAP, lambda f: f.rename(columns={"broad_sample": "sample"})),
            [CRISPR_MAP, "broad_sample are missing"],
        ),
        (
            "plate_maps",
            lambda fs: _swap(fs, COMPOUND_MAP, lambda f: _set(f, 0, "broad_sample", "BRDN0001480888")),
            ["no known reagent", f"{COMPOUND_MAP} A01 BRDN0001480888"],
        ),
        (
            "barcode_platemaps",
            lambda fs: {k: f for k, f in fs.items() if k != MAIN_BATCH},
            ["barcode_platemap.csv", MAIN_BATCH, "missing"],
        ),
        (
            "barcode_platemaps",
            lambda fs: _swap(fs, MAIN_BATCH, lambda f: f.drop(index=0)),
            ["barcode_platemap.csv", "not listed: BR00117006"],
        ),
        (
            "barcode_platemaps",
            lambda fs: _swap(fs, MAIN_BATCH, lambda f: _set(f, 0, "Plate_Map_Name", CRISPR_MAP)),
            ["BR00117006", "'JUMP-Target-1_orf_platemap'", f"'{CRISPR_MAP}'"],
        ),
    ],
)
def test_sources_that_are_broken_or_disagree_are_one_error(inputs, name, spoil, words):
    with pytest.raises(BadTableError) as error:
        well_table(**inputs | {name: spoil(inputs[name])})
    for word in words:
        assert word in str(error.value)
