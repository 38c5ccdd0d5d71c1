import pandas as pd
import pytest

from cpjump_assets.science.errors import BadTableError
from cpjump_assets.science.foreign_manifests import audit_foreign_manifest, released_agreement
from cpjump_assets.science.leakage import audit
from cpjump_assets.science.splits import STRATEGIES, split_manifest

REPRESENTATION, GENE_COMPOUND, CELLCLIP = STRATEGIES
KEY = ["Metadata_Plate", "Metadata_Well"]


def foreign(real, frame, **options):
    return audit_foreign_manifest(frame, real.wells, real.perturbations, name="mine.csv", **options)


def rules(table):
    return table.set_index("rule")


@pytest.fixture
def small(real):
    """Give 40 compound wells of two plates, half of them test."""
    wells = real.wells[
        real.wells["Metadata_Plate"].isin(["BR00116991", "BR00116992"]) & real.wells["Metadata_eligible"]
    ]
    wells = wells.groupby("Metadata_Plate").nth(range(0, 280, 14)).reset_index(drop=True)
    return wells[KEY].assign(split=["train"] * 20 + ["test"] * 20)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_our_own_manifests_count_the_same_read_as_foreign(real, strategy):
    manifest = split_manifest(real.wells, strategy)
    own = rules(audit(manifest, real.wells, real.perturbations, strategy=strategy))
    table = rules(foreign(real, manifest[[*KEY, "subset"]]))
    counts = ["groups", "groups_crossing", "wells_crossing", "examples"]
    shared = table.index.intersection(own.index)
    assert set(own.index) - set(shared) <= {"follows_strategy", "target_list_validate"}
    pd.testing.assert_frame_equal(table.loc[shared, counts], own.loc[shared, counts])
    assert table.index[table["promised"]].tolist() == ["well"]


def test_the_released_gene_compound_example(real, raw):
    released = raw.released_gene_compound[["Metadata_target", "Metadata_split"]].drop_duplicates()
    wells = real.wells[real.wells["Metadata_eligible"]].merge(released, on="Metadata_target")
    assert wells["Metadata_split"].value_counts().to_dict() == {"train": 7_639, "validate": 2_546, "test": 2_544}
    table = rules(foreign(real, wells[[*KEY, "Metadata_split"]]))
    for rule, crossing, groups in (("target_list_validate", 13, 62), ("target_list_test", 7, 61), ("target", 0, 160)):
        assert (table.loc[rule, "groups_crossing"], table.loc[rule, "groups"]) == (crossing, groups)


def test_68_of_160_targets_agree_with_the_released_example(real, raw):
    manifest = split_manifest(real.wells, GENE_COMPOUND)
    table = released_agreement(
        manifest, real.wells, real.perturbations, raw.released_gene_compound, strategy=GENE_COMPOUND
    )
    (row,) = table.to_dict("records")
    assert (row["rule"], row["groups"], row["groups_crossing"]) == ("released_example", 160, 92)
    assert row["verdict"] == "warning"
    assert row["note"] == "68 of 160 agree"
    assert row["examples"].startswith("ABL1 (test for train); ")


def test_every_sample_agrees_with_the_released_representation_example(real, raw):
    released = raw.released_representation
    assert released["Metadata_split"].value_counts().to_dict() == {"train": 2_048, "validate": 614, "test": 614}
    manifest = split_manifest(real.wells, REPRESENTATION)
    table = released_agreement(manifest, real.wells, real.perturbations, released, strategy=REPRESENTATION)
    assert table.loc[0, ["groups", "groups_crossing", "verdict"]].tolist() == [3_084, 0, "ok"]
    short = released.drop(index=released.index[released["Metadata_broad_sample"] == "ccsbBroad304_00900"])
    table = released_agreement(manifest, real.wells, real.perturbations, short, strategy=REPRESENTATION)
    assert table.loc[0, "groups_crossing"] == 4
    assert "train for no row" in table.loc[0, "examples"]


def test_a_released_example_that_contradicts_itself_is_refused(real, raw):
    twice = raw.released_gene_compound.copy()
    twice.loc[0, "Metadata_split"] = "test"
    manifest = split_manifest(real.wells, GENE_COMPOUND)
    with pytest.raises(BadTableError, match=r"released example of .* more than once: KCNN1"):
        released_agreement(manifest, real.wells, real.perturbations, twice, strategy=GENE_COMPOUND)
    with pytest.raises(BadTableError, match="Metadata_split"):
        released_agreement(
            manifest, real.wells, real.perturbations, twice.drop(columns="Metadata_split"), strategy=GENE_COMPOUND
        )


def test_wells_that_cross_are_a_breach_and_the_rest_a_warning(real, small):
    table = rules(foreign(real, small))
    assert table.loc["well", ["groups", "groups_crossing", "verdict"]].tolist() == [40, 0, "ok"]
    assert table.loc["broad_sample", "verdict"] == "warning"
    assert table.loc["broad_sample", "groups_crossing"] > 0
    assert "breach" not in set(table["verdict"])
    torn = pd.concat([small, small.head(2).assign(split="test")])
    row = rules(foreign(real, torn)).loc["well"]
    assert row[["groups", "groups_crossing", "wells_crossing", "verdict"]].tolist() == [40, 2, 2, "breach"]
    assert row["examples"].startswith("BR00116991 A01 (train, test)")


def test_rows_may_be_sites_and_subsets_may_have_any_name(real, small):
    more_sites = small.head(3)
    sites = pd.concat([small, *[more_sites.assign(site=site) for site in range(2, 17)]]).rename(
        columns={"split": "fold"}
    )
    sites["fold"] = sites["fold"].map({"train": "training", "test": "held out"})
    table = rules(foreign(real, sites))
    expected = rules(foreign(real, small))
    columns = ["groups", "groups_crossing", "wells_crossing", "verdict"]
    together = expected.index.drop("target_list_test")
    pd.testing.assert_frame_equal(table.loc[together, columns], expected.loc[together, columns])
    assert (table.loc["target_list_held out", columns] == expected.loc["target_list_test", columns]).all()


def test_without_a_train_subset_target_lists_say_so(real, small):
    table = rules(foreign(real, small.assign(split=small["split"].map({"train": "a", "test": "b"}))))
    assert table.loc["target_list_a", "note"] == "no subset is named train"
    assert table.loc["target_list_a", "groups_crossing"] == 0


def test_a_bleached_plate_is_the_plate_that_it_was(real, small):
    again = small.head(20).assign(Metadata_Plate="BR00116991C", split="test")
    table = rules(foreign(real, pd.concat([small.head(20), again])))
    assert table.loc["well", ["groups", "groups_crossing"]].tolist() == [20, 20]
    assert table.loc["well", "wells_crossing"] == 40
    assert table.loc["plate", "groups"] == 1


def test_rows_without_a_subset_are_left_out_and_counted(real, small):
    partly = small.assign(split=small["split"].mask(small.index < 3))
    row = rules(foreign(real, partly)).loc["well"]
    assert row["groups"] == 37
    assert row["note"] == "3 rows without a subset are left out"


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda f: f.rename(columns={"split": "assignment"}), "one subset column.*found none in Metadata_Plate"),
        (lambda f: f.assign(Metadata_split="train"), "one subset column.*found split, Metadata_split"),
        (lambda f: f.drop(columns="Metadata_Well"), "Metadata_Well are missing"),
        (lambda f: f.assign(Metadata_Plate=f["Metadata_Plate"].mask(f.index == 1)), "Metadata_Plate must have a value"),
        (lambda f: f.replace("BR00116992", "BR00123456"), "1 plates are not of CPJUMP1: BR00123456"),
        (lambda f: f.replace("A01", "a1"), "2 rows name no well A01 to P24: BR00116991 a1; BR00116992 a1"),
    ],
)
def test_a_bad_manifest_is_one_error_that_names_the_file(real, small, spoil, words):
    with pytest.raises(BadTableError, match=rf"mine\.csv: .*{words}"):
        foreign(real, spoil(small))


def test_the_subset_column_may_be_chosen(real, small):
    both = small.assign(fold="train")
    assert rules(foreign(real, both, subset_column="fold")).loc["broad_sample", "groups_crossing"] == 0
    assert rules(foreign(real, both, subset_column="split")).loc["broad_sample", "groups_crossing"] > 0
