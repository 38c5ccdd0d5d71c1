"""The three strategies on the real tables, against assignments worked out in plain Python from the official file."""

import csv
import hashlib
from collections import defaultdict

import pandas as pd
import pytest

from cpjump_assets.science.errors import BadTableError, UnknownStrategyError
from cpjump_assets.science.splits import (
    CONTROL_POLICIES,
    SLICE,
    STRATEGIES,
    assignment_sha256,
    split_manifest,
    target_subsets,
)

REPRESENTATION, GENE_COMPOUND, CELLCLIP = STRATEGIES
# Of the sorted "plate,well,subset" lines, under the default control policy.
GOLDEN = {
    REPRESENTATION: "138f23b03b49c6c44b494b587e959cac21bbbbb1d2d727801a408167ec0b19fb",
    GENE_COMPOUND: "8572d9b47063b335a7f240d35c7e6664b7f38f53c0ffc86b28a644f2652dcbc6",
    CELLCLIP: "1532d12b4066412da091adb105df0f7cfff09c81af9695f2b486c5b4d10c4dd9",
}
DROP_CONTROLS = "drop_controls_and_empty"


@pytest.fixture(scope="module")
def manifests(real):
    return {strategy: split_manifest(real.wells, strategy) for strategy in STRATEGIES}


@pytest.fixture(scope="module")
def plain_rows(reference_root):
    """Give the wells of the official file that are neither negative control nor empty, as dictionaries."""
    with (reference_root / "datasplits" / "cpjump1_metadata.csv").open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["Metadata_negcon_or_other"] == "pert"]


def _by_representation(rows):
    code = {"low": "validate", "high": "test"}
    for row in rows:
        genetic = row["Metadata_experiment_type"] in ("CRISPR", "ORF")
        yield row, "train" if genetic else code[row["Metadata_timepoint_code"]]


def _by_target(rows):
    across = [row for row in rows if row["Metadata_target_is_across"] == "TRUE"]
    order = sorted({(int(row["Metadata_target_radix"]), row["Metadata_target"]) for row in across})
    subset = {}
    for place, (_, target) in enumerate(order):
        subset[target] = "train" if place < 96 else "validate" if place < 128 else "test"
    for row in across:
        yield row, subset[row["Metadata_target"]]


def _by_slice(rows):
    def condition(row):
        return row["Metadata_cell_line"], row["Metadata_experiment_type"], row["Metadata_timepoint"]

    samples = defaultdict(set)
    for row in rows:
        samples[condition(row)].add(row["Metadata_broad_sample"])
    train = {key: set(sorted(names)[: int(0.75 * len(names))]) for key, names in samples.items()}
    for row in rows:
        yield row, "train" if row["Metadata_broad_sample"] in train[condition(row)] else "test"


PLAIN = {REPRESENTATION: _by_representation, GENE_COMPOUND: _by_target, CELLCLIP: _by_slice}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_manifests_are_those_of_the_plain_rule(manifests, plain_rows, strategy):
    lines = sorted(
        f"{row['Metadata_Plate']},{row['Metadata_Well']},{subset}\n" for row, subset in PLAIN[strategy](plain_rows)
    )
    assert hashlib.sha256("".join(lines).encode()).hexdigest() == GOLDEN[strategy]
    assert assignment_sha256(manifests[strategy]) == GOLDEN[strategy]


@pytest.mark.parametrize(
    ("strategy", "policy", "train", "validate", "test"),
    [
        (REPRESENTATION, "drop_negcon_and_empty", 7_679, 2_490, 2_560),
        (GENE_COMPOUND, "drop_negcon_and_empty", 7_636, 2_543, 2_550),
        (CELLCLIP, "drop_negcon_and_empty", 9_560, 0, 3_169),
        (REPRESENTATION, DROP_CONTROLS, 6_239, 2_022, 2_080),
        (GENE_COMPOUND, DROP_CONTROLS, 6_203, 2_066, 2_072),
        (CELLCLIP, DROP_CONTROLS, 7_746, 0, 2_595),
        (REPRESENTATION, "keep_all", 9_215, 2_988, 3_072),
        (GENE_COMPOUND, "keep_all", 7_636, 2_543, 2_550),
        (CELLCLIP, "keep_all", 10_824, 0, 4_451),
    ],
)
def test_wells_of_each_subset_under_each_control_policy(real, strategy, policy, train, validate, test):
    manifest = split_manifest(real.wells, strategy, policy=policy)
    counts = manifest["subset"].value_counts().reindex(["train", "validate", "test"], fill_value=0)
    assert counts.tolist() == [train, validate, test]
    assert set(manifest["control_policy"]) == {policy}
    assert set(manifest["split_strategy"]) == {strategy}


def test_every_strategy_assigns_the_same_12_729_wells(manifests, real):
    eligible = real.wells.loc[real.wells["Metadata_eligible"], ["Metadata_Plate", "Metadata_Well"]]
    eligible = eligible.sort_values(["Metadata_Plate", "Metadata_Well"], ignore_index=True)
    for manifest in manifests.values():
        assert len(manifest) == 12_729
        pd.testing.assert_frame_equal(manifest[["Metadata_Plate", "Metadata_Well"]], eligible)


def test_representation_plates_and_types(manifests):
    manifest = manifests[REPRESENTATION]
    plates = manifest.groupby("subset")["Metadata_Plate"].nunique()
    assert plates.to_dict() == {"train": 24, "validate": 8, "test": 8}
    train = manifest[manifest["subset"] == "train"]
    assert train["Metadata_experiment_type"].value_counts().to_dict() == {"CRISPR": 5_119, "ORF": 2_560}


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(
    ("plate", "subset"),
    [("BR00117020", "train"), ("BR00116997", "train"), ("BR00116991", "validate"), ("BR00117012", "test")],
)
def test_the_worked_example(manifests, strategy, plate, subset):
    at = manifests[strategy].set_index(["Metadata_Plate", "Metadata_Well"])["subset"]
    if strategy == REPRESENTATION:
        assert at[plate, "A01"] == subset
    assert isinstance(at[plate, "A01"], str)  # one subset, under any strategy


def test_gene_compound_by_type(manifests):
    grouped = manifests[GENE_COMPOUND].groupby(["Metadata_experiment_type", "subset"])
    assert grouped.size().to_dict() == {
        ("CRISPR", "train"): 3_072,
        ("CRISPR", "validate"): 1_024,
        ("CRISPR", "test"): 1_023,
        ("Compound", "train"): 3_028,
        ("Compound", "validate"): 1_007,
        ("Compound", "test"): 1_015,
        ("ORF", "train"): 1_536,
        ("ORF", "validate"): 512,
        ("ORF", "test"): 512,
    }
    samples = grouped["Metadata_broad_sample"].nunique().unstack()[["train", "validate", "test"]]
    assert samples.loc["CRISPR"].tolist() == [183, 61, 61]
    assert samples.loc["Compound"].tolist() == [185, 61, 60]
    assert samples.loc["ORF"].tolist() == [96, 32, 32]


def test_targets_are_cut_after_radix_106_and_140(real):
    eligible = real.wells[real.wells["Metadata_eligible"]]
    subsets = target_subsets(eligible)
    assert subsets.value_counts().to_dict() == {"train": 96, "validate": 32, "test": 32}
    radix = eligible.drop_duplicates("Metadata_target").set_index("Metadata_target")["Metadata_target_radix"]
    assert radix.is_unique
    bounds = radix.groupby(subsets).agg(["min", "max"])
    assert bounds.loc["train", "max"] == 106
    assert bounds.loc["validate", "max"] == 140
    assert bounds.loc["train", "max"] < bounds.loc["validate", "min"]
    assert bounds.loc["validate", "max"] < bounds.loc["test", "min"]


def test_without_positive_controls_130_targets_remain(real):
    manifest = split_manifest(real.wells, GENE_COMPOUND, policy=DROP_CONTROLS)
    targets = manifest.groupby("subset")["Metadata_target"].nunique()
    assert targets.to_dict() == {"train": 78, "validate": 26, "test": 26}


def test_cellclip_samples_of_each_slice(manifests, real):
    wells = real.wells[real.wells["Metadata_eligible"]].merge(
        manifests[CELLCLIP][["Metadata_Plate", "Metadata_Well", "subset"]], on=["Metadata_Plate", "Metadata_Well"]
    )
    samples = wells.groupby([*SLICE, "subset"])["Metadata_broad_sample"].nunique().unstack()
    assert len(samples) == 12
    expected = {"Compound": [229, 77], "CRISPR": [228, 77], "ORF": [120, 40]}
    for (_, experiment_type, _), row in samples.iterrows():
        assert row[["train", "test"]].tolist() == expected[experiment_type]


def test_the_short_timeline_is_six_slices(manifests, real):
    short = real.wells[real.wells["Metadata_eligible"] & (real.wells["Metadata_timepoint_code"] == "low")]
    assert sorted(map(tuple, short[list(SLICE)].drop_duplicates().to_numpy().tolist())) == [
        (line, *kind) for line in ("A549", "U2OS") for kind in (("CRISPR", 96), ("Compound", 24), ("ORF", 48))
    ]
    joined = short.merge(manifests[CELLCLIP], on=["Metadata_Plate", "Metadata_Well"])
    assert joined["subset"].value_counts().to_dict() == {"train": 4_753, "test": 1_577}


def test_undefined_stereo_compounds_all_train_under_the_lexical_holdout(manifests):
    compounds = manifests[CELLCLIP].query("Metadata_experiment_type == 'Compound'")
    undefined = compounds[compounds["Metadata_broad_sample"].str.startswith("BRD-A")]
    assert undefined["Metadata_broad_sample"].nunique() == 45
    assert set(undefined["subset"]) == {"train"}


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("policy", CONTROL_POLICIES)
def test_row_order_of_the_wells_does_not_show(real, strategy, policy):
    expected = split_manifest(real.wells, strategy, policy=policy)
    shuffled = real.wells.sample(frac=1, random_state=11)
    pd.testing.assert_frame_equal(split_manifest(shuffled, strategy, policy=policy), expected)


@pytest.mark.parametrize("name", ["", "representation", "CELLCLIP_CPJUMP_STYLE", "cpjump1_official_representation "])
def test_any_other_strategy_is_refused_and_the_three_are_named(real, name):
    with pytest.raises(UnknownStrategyError) as error:
        split_manifest(real.wells, name)
    for word in (repr(name), *STRATEGIES):
        assert word in str(error.value)


def test_there_are_exactly_three_strategies_and_three_policies(real):
    assert STRATEGIES == (
        "cpjump1_official_representation",
        "cpjump1_official_gene_compound",
        "cellclip_cpjump_style",
    )
    assert set(CONTROL_POLICIES) == {"drop_negcon_and_empty", "drop_controls_and_empty", "keep_all"}
    with pytest.raises(BadTableError, match="'drop_some' is not one of drop_negcon_and_empty"):
        split_manifest(real.wells, REPRESENTATION, policy="drop_some")


def test_a_target_must_have_one_radix(real):
    wells = real.wells.copy()
    first = wells.index[wells["Metadata_eligible"] & (wells["Metadata_target"] == "AKT1")][0]
    wells.loc[first, "Metadata_target_radix"] = 3
    with pytest.raises(BadTableError, match=r"exactly one radix.*AKT1"):
        split_manifest(wells, GENE_COMPOUND)
    wells.loc[first, "Metadata_target_radix"] = pd.NA
    with pytest.raises(BadTableError, match=r"exactly one radix.*AKT1"):
        split_manifest(wells, GENE_COMPOUND)


def test_a_well_that_comes_twice_is_refused(real):
    eligible = real.wells[real.wells["Metadata_eligible"]]
    with pytest.raises(BadTableError, match=r"1 keys .* more than once: BR00116991 A01"):
        split_manifest(pd.concat([eligible, eligible.head(1)]), REPRESENTATION)
