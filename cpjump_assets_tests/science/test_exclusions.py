"""Policies that leave out known issues, on the real tables: what is left, what is proved, and that off means off."""

import hashlib

import pandas as pd
import pytest

from cpjump_assets.science.errors import BadTableError
from cpjump_assets.science.foreign_manifests import audit_foreign_manifest
from cpjump_assets.science.known_issues import concerned, issues_in_subsets, known_issues
from cpjump_assets.science.leakage import audit, every_eligible_well_accounted_for, validate_manifest
from cpjump_assets.science.plates import MAIN_BATCH
from cpjump_assets.science.policies import CONTROL_POLICIES, ISSUE_KINDS, policy_without
from cpjump_assets.science.splits import assignment_sha256, split_manifest
from cpjump_assets.science.strategies import CELLCLIP, GENE_COMPOUND, REPRESENTATION, STRATEGIES

# Of each official manifest: the assignment, and all columns as CSV text. Made before known issues could be left out.
OFFICIAL = {
    REPRESENTATION: (
        "138f23b03b49c6c44b494b587e959cac21bbbbb1d2d727801a408167ec0b19fb",
        "90380bdf85c850c2371fef36f3a74878ea78c0bc30c20b3c06b2418c8247c89a",
    ),
    GENE_COMPOUND: (
        "8572d9b47063b335a7f240d35c7e6664b7f38f53c0ffc86b28a644f2652dcbc6",
        "22fbaa365a5c817a2728b0b0c2227c9ba6f161a3cc617ad970c9503d279e9d81",
    ),
    CELLCLIP: (
        "1532d12b4066412da091adb105df0f7cfff09c81af9695f2b486c5b4d10c4dd9",
        "e195616f68176c123ca7045700c67831d2f22783b92639c6883e6ff08a3c9007",
    ),
}
EXCLUSIONS = [("seeding_failure",), ("stain_anomaly",), tuple(ISSUE_KINDS)]


@pytest.fixture(scope="module")
def issues(real):
    return known_issues(real.wells)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_while_nothing_is_left_out_the_official_manifests_are_what_they_were(real, strategy):
    for manifest in (
        split_manifest(real.wells, strategy),
        split_manifest(real.wells, strategy, policy=policy_without(()).name),
    ):
        text = manifest.to_csv(index=False, lineterminator="\n").encode()
        assert (assignment_sha256(manifest), hashlib.sha256(text).hexdigest()) == OFFICIAL[strategy]


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("base", CONTROL_POLICIES)
def test_an_exclusion_leaves_no_well_of_its_kind_and_every_other_one(issues, real, strategy, base):
    full = split_manifest(real.wells, strategy, policy=base).assign(Metadata_Batch=MAIN_BATCH)
    for kind in ISSUE_KINDS:
        part = split_manifest(real.wells, strategy, policy=f"{base}+without_{kind}")
        assert kind not in set(issues_in_subsets(part, issues)["issue"])
        rest = full[~concerned(full, issues[issues["issue"] == kind])]
        columns = ["Metadata_Plate", "Metadata_Well", "subset"]
        # On the published tables no exclusion moves any other well, under any strategy.
        pd.testing.assert_frame_equal(part[columns], rest[columns].reset_index(drop=True))


@pytest.mark.parametrize(
    ("strategy", "without", "counts", "slices"),
    [
        (REPRESENTATION, "+without_seeding_failure", (7_679, 2_239, 2_560), 12),
        (GENE_COMPOUND, "+without_seeding_failure", (7_488, 2_495, 2_495), 12),
        (CELLCLIP, "+without_seeding_failure", (9_373, 0, 3_105), 12),
        (REPRESENTATION, "+without_stain_anomaly", (2_559, 0, 1_920), 5),
        (GENE_COMPOUND, "+without_stain_anomaly", (2_688, 896, 895), 5),
        (CELLCLIP, "+without_stain_anomaly", (3_367, 0, 1_112), 5),
        (REPRESENTATION, "+without_seeding_failure+without_stain_anomaly", (2_559, 0, 1_920), 5),
        (REPRESENTATION, "+without_absent_from_official_table", (7_679, 2_490, 2_560), 12),
    ],
)
def test_what_an_exclusion_leaves_of_each_subset_targets_and_slices(real, strategy, without, counts, slices):
    manifest = split_manifest(real.wells, strategy, policy=f"drop_negcon_and_empty{without}")
    found = manifest["subset"].value_counts()
    assert tuple(found.get(subset, 0) for subset in ("train", "validate", "test")) == counts
    modalities = manifest.groupby("Metadata_target")["Metadata_experiment_type"].nunique()
    assert (len(modalities), set(modalities)) == (160, {3})
    conditions = real.wells[real.wells["Metadata_Batch"] == MAIN_BATCH].drop_duplicates("Metadata_Plate")
    kept = conditions[conditions["Metadata_Plate"].isin(manifest["Metadata_Plate"])]
    condition = ["Metadata_cell_line", "Metadata_experiment_type", "Metadata_timepoint"]
    assert len(kept[condition].drop_duplicates()) == slices


def test_a_target_that_loses_all_its_wells_moves_the_cuts(real):
    wells = real.wells.copy()
    order = wells[wells["Metadata_eligible"]].sort_values("Metadata_target_radix")["Metadata_target"].unique()
    # As if the wells of the last target, which are test wells, lay on a stained plate of their own.
    gone = (wells["Metadata_target"] == order[-1]) & wells["Metadata_eligible"]
    wells["Metadata_anomaly"] = wells["Metadata_anomaly"].mask(~gone, "none").mask(gone, "WGA")
    wells.loc[gone, "Metadata_Plate"] = "BR00199999"
    wells.loc[gone, "Metadata_Well"] = [f"{'ABCDEFGHIJKLMNOP'[i // 24]}{i % 24 + 1:02d}" for i in range(gone.sum())]
    full = split_manifest(wells, GENE_COMPOUND)
    part = split_manifest(wells, GENE_COMPOUND, policy="drop_negcon_and_empty+without_stain_anomaly")
    assert len(part) == len(full) - gone.sum()
    targets = part.groupby("subset")["Metadata_target"].nunique().to_dict()
    assert targets == {"train": 95, "validate": 32, "test": 32}
    both = full.merge(part, on=["Metadata_Plate", "Metadata_Well", "Metadata_target"])
    moved = both[both["subset_x"] != both["subset_y"]].groupby("Metadata_target")[["subset_x", "subset_y"]].first()
    assert moved.loc[order[95]].tolist() == ["train", "validate"]
    assert moved.loc[order[127]].tolist() == ["validate", "test"]
    assert len(moved) == 2


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("kinds", EXCLUSIONS)
def test_a_manifest_with_an_exclusion_is_proved_by_the_policy_that_it_states(real, strategy, kinds):
    manifest = split_manifest(real.wells, strategy, policy=policy_without(kinds).name)
    validate_manifest(manifest, real.wells, real.perturbations, strategy)
    table = audit(manifest, real.wells, real.perturbations, strategy=strategy).set_index("rule")
    assert "breach" not in set(table["verdict"])
    assert table.loc["follows_strategy", ["groups", "groups_crossing"]].tolist() == [len(manifest), 0]
    foreign = audit_foreign_manifest(manifest, real.wells, real.perturbations, name="mine.csv").set_index("rule")
    own = table.drop("follows_strategy")["groups_crossing"]
    shared = own.index.intersection(foreign.index)
    assert len(shared) >= 20
    pd.testing.assert_series_equal(foreign.loc[shared, "groups_crossing"], own[shared])


def test_a_well_that_is_left_out_must_not_come_back_and_another_must_not_go(real):
    policy = "drop_negcon_and_empty+without_seeding_failure"
    manifest = split_manifest(real.wells, CELLCLIP, policy=policy)
    full = split_manifest(real.wells, CELLCLIP).assign(control_policy=policy)
    back = full[full["Metadata_Plate"] == "BR00116995"].head(1)
    spoiled = pd.concat([manifest.iloc[1:], back], ignore_index=True)
    wrong = every_eligible_well_accounted_for(spoiled, real.wells, CELLCLIP)
    assert wrong[["Metadata_Plate", "Metadata_Well", "problem"]].to_numpy().tolist() == [
        [*manifest.loc[0, ["Metadata_Plate", "Metadata_Well"]], "eligible, but missing"],
        ["BR00116995", back["Metadata_Well"].iloc[0], "takes no part: not under this strategy and control policy"],
    ]
    with pytest.raises(BadTableError, match="every_eligible_well_accounted_for is broken by 2 of"):
        validate_manifest(spoiled, real.wells, real.perturbations, CELLCLIP)


@pytest.mark.parametrize(
    ("made_by", "stated"),
    [
        ("drop_negcon_and_empty", "drop_negcon_and_empty+without_seeding_failure"),
        ("drop_negcon_and_empty+without_seeding_failure", "drop_negcon_and_empty"),
        ("drop_negcon_and_empty+without_seeding_failure", "drop_negcon_and_empty+without_stain_anomaly"),
    ],
)
def test_a_manifest_that_states_another_policy_than_its_own_is_refused(real, made_by, stated):
    manifest = split_manifest(real.wells, REPRESENTATION, policy=made_by).assign(control_policy=stated)
    with pytest.raises(BadTableError, match="every_eligible_well_accounted_for is broken"):
        validate_manifest(manifest, real.wells, real.perturbations, REPRESENTATION)


def test_a_manifest_with_an_unknown_policy_is_refused_in_a_line_that_can_be_read(real):
    manifest = split_manifest(real.wells, REPRESENTATION).assign(control_policy="drop_negcon_and_empty+without_edge")
    for function in (validate_manifest, lambda *tables: audit(*tables[:3], strategy=tables[3])):
        with pytest.raises(
            BadTableError, match="column control_policy must be one of drop_negcon_and_empty, "
        ) as error:
            function(manifest, real.wells, real.perturbations, REPRESENTATION)
        assert "'drop_negcon_and_empty+without_edge'" in str(error.value)
        assert "(24 in all)" in str(error.value)
        assert len(str(error.value)) < 700
