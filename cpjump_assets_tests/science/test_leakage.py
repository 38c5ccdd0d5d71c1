"""The audit of the real manifests, and of manifests in which a leak was planted."""

import numpy as np
import pandas as pd
import pytest

from cpjump_assets.science.errors import BadTableError, LeakageError, UnknownStrategyError
from cpjump_assets.science.leakage import (
    AUDIT_RULES,
    BLOCKING_RULES,
    audit,
    every_eligible_well_accounted_for,
    leaking_wells,
    leaking_wells_by_rule,
    manifest_agrees_with_wells,
    manifest_keys_unique,
    validate_manifest,
    violations,
)
from cpjump_assets.science.leakage_rules import PROMISES
from cpjump_assets.science.schemas import LEAKAGE_AUDIT
from cpjump_assets.science.splits import CONTROL_POLICIES, STRATEGIES, split_manifest

REPRESENTATION, GENE_COMPOUND, CELLCLIP = STRATEGIES
# Rule: groups crossing / groups, for the three strategies in their order. None: not stated for the strategy.
COUNTS = {
    "well": ((0, 12_729), (0, 12_729), (0, 12_729)),
    "plate": ((0, 40), (40, 40), (40, 40)),
    "well_position": ((320, 371), (233, 371), (177, 371)),
    "broad_sample": ((306, 771), (0, 771), (0, 771)),
    "broad_sample_in_slice": ((0, 3_084), (0, 3_084), (0, 3_084)),
    "target": ((160, 160), (0, 160), (125, 160)),
    "target_crispr": ((0, 160), (0, 160), (45, 160)),
    "target_compound": ((160, 160), (0, 160), (56, 160)),
    "target_orf": ((0, 160), (0, 160), (0, 160)),
    "guide_pair": ((0, 145), (0, 145), (45, 145)),
    "guide_pair_in_slice": ((0, 580), (0, 580), (180, 580)),
    "one_name": ((3, 3), (0, 3), (1, 3)),
    "one_name_in_slice": ((0, 12), (0, 12), (4, 12)),
    "one_name_one_target": ((3, 3), (0, 3), (1, 3)),
    "inchikey": ((306, 306), (0, 306), (0, 306)),
    "inchikey_first_block": ((4, 4), (0, 4), (0, 4)),
    "identity": ((5, 5), (0, 5), (1, 5)),
    "same_skeleton": ((1, 1), (0, 1), (0, 1)),
    "target_list_validate": ((306, 306), (10, 61), (0, 0)),
    "target_list_test": ((306, 306), (10, 60), (77, 77)),
    "stain_anomaly": ((4, 4), (0, 4), (0, 4)),
    "plate_row": ((0, 16), (4, 16), (0, 16)),
    "follows_strategy": ((0, 12_729), (0, 12_729), (0, 12_729)),
}


@pytest.fixture(scope="module")
def manifests(real):
    return {strategy: split_manifest(real.wells, strategy) for strategy in STRATEGIES}


@pytest.fixture(scope="module")
def audits(real, manifests):
    return {
        strategy: audit(manifest, real.wells, real.perturbations, strategy=strategy).set_index("rule")
        for strategy, manifest in manifests.items()
    }


@pytest.mark.parametrize("place", range(3), ids=STRATEGIES)
@pytest.mark.parametrize("rule", COUNTS)
def test_counts_on_the_real_manifests(audits, rule, place):
    row = audits[STRATEGIES[place]].loc[rule]
    assert (row["groups_crossing"], row["groups"]) == COUNTS[rule][place]


def test_no_rule_is_without_its_counts(audits):
    assert {rule.name for rule in AUDIT_RULES} == set(COUNTS)
    for table in audits.values():
        assert set(table.index) == set(COUNTS)
        LEAKAGE_AUDIT.check(table.reset_index(), "audit")


@pytest.mark.parametrize(
    ("strategy", "promised"),
    [
        (REPRESENTATION, {"well", "broad_sample_in_slice"}),
        (GENE_COMPOUND, {"well", "broad_sample", "target", "guide_pair", "one_name_one_target"}),
        (CELLCLIP, {"well", "broad_sample_in_slice"}),
    ],
)
def test_promises_are_kept_and_everything_else_that_crosses_is_a_warning(audits, strategy, promised):
    table = audits[strategy]
    assert set(table.index[table["promised"]]) == promised == PROMISES[strategy]
    assert set(table.loc[table["promised"], "verdict"]) == {"ok"}
    crossing = table["groups_crossing"] > 0
    assert set(table.loc[crossing, "verdict"]) == {"warning"}
    assert set(table.loc[~crossing, "verdict"]) == {"ok"}
    assert (crossing == table["examples"].notna()).all()
    assert (crossing == (table["wells_crossing"] > 0)).all()


def test_wells_that_cross_are_counted(audits, manifests):
    compounds = (manifests[REPRESENTATION]["Metadata_experiment_type"] == "Compound").sum()
    table = audits[REPRESENTATION]
    assert table.loc[["broad_sample", "target_compound", "inchikey"], "wells_crossing"].tolist() == [compounds] * 3
    assert table.loc["target", "wells_crossing"] == 12_729
    assert table.loc["target_list_validate", "wells_crossing"] == 2_490


def test_the_only_compound_that_cellclip_tears_apart_is_bvt_948(audits):
    for rule in ("one_name", "one_name_one_target"):
        assert audits[CELLCLIP].loc[rule, "examples"].startswith("BVT-948")
        assert audits[CELLCLIP].loc[rule, "examples"].endswith("(train, test)")
    assert audits[CELLCLIP].loc["identity", "examples"] == "BRD-A22713669-001-04-3 (train, test)"


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_quinine_and_quinidine_are_reported_as_one_skeleton_not_one_compound(audits, strategy):
    note = audits[strategy].loc["identity", "note"]
    assert note == "same skeleton, not one compound: quinidine (KCNK1) and quinine (KCNN4)"
    assert audits[strategy].loc["inchikey", "note"] == "0 keys are shared by two ids"


def test_validation_is_all_wga_and_test_has_none(audits):
    examples = audits[REPRESENTATION].loc["stain_anomaly", "examples"]
    assert "WGA (train 17%, validate 100%, test 0%)" in examples
    assert "Mitotracker (train 0%, validate 0%, test 25%)" in examples


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("policy", CONTROL_POLICIES)
def test_promises_hold_under_every_control_policy(real, strategy, policy):
    manifest = split_manifest(real.wells, strategy, policy=policy)
    assert violations(manifest, real.wells, real.perturbations, strategy) == []


def test_controls_are_no_targets_and_no_guide_pairs(real):
    manifest = split_manifest(real.wells, REPRESENTATION, policy="keep_all")
    table = audit(manifest, real.wells, real.perturbations, strategy=REPRESENTATION).set_index("rule")
    assert table.loc["target", "groups"] == 160
    assert table.loc["guide_pair", "groups"] == 145
    assert table.loc["broad_sample", "groups"] == 818


# Planted leaks. Each moves wells of a sound manifest; what must turn red is listed for each strategy.


def _other(subset):
    return "train" if subset == "test" else "test"


def _moved(manifest, rows):
    manifest = manifest.copy()
    manifest.loc[rows, "subset"] = manifest.loc[rows, "subset"].map(_other)
    return manifest


def plant_well(manifest, real):
    first = manifest.iloc[[0]]
    return pd.concat([manifest, first.assign(subset=first["subset"].map(_other))], ignore_index=True)


def plant_replicate(manifest, real):
    return _moved(manifest, [7])


def plant_compound(manifest, real):
    """Take a compound's wells on the plates of one condition from the rest of it."""
    plates = ["BR00116991", "BR00116992", "BR00116993", "BR00116994"]
    of_compound = manifest["Metadata_broad_sample"] == "BRD-K97181089-003-24-7"
    return _moved(manifest, manifest.index[of_compound & manifest["Metadata_Plate"].isin(plates)])


def plant_target(manifest, real):
    """Take the one ORF of a target from its guides and compounds."""
    orf = manifest["Metadata_experiment_type"] == "ORF"
    return _moved(manifest, manifest.index[orf & (manifest["Metadata_target"] == "CSK")])


def plant_guide_pair(manifest, real):
    guides = manifest[(manifest["Metadata_experiment_type"] == "CRISPR") & (manifest["Metadata_target"] == "CSK")]
    one = guides["Metadata_broad_sample"].min()
    return _moved(manifest, manifest.index[manifest["Metadata_broad_sample"] == one])


def plant_two_ids(manifest, real):
    """Take one of the two ids of dexamethasone from the other."""
    return _moved(manifest, manifest.index[manifest["Metadata_broad_sample"] == "BRD-A10188456-001-04-9"])


def plant_missing_well(manifest, real):
    return manifest.drop(index=5)


def plant_duplicate_key(manifest, real):
    return pd.concat([manifest, manifest.iloc[[3]]], ignore_index=True)


def plant_negative_control(manifest, real):
    return pd.concat([manifest, manifest.iloc[[3]].assign(Metadata_Well="A02")], ignore_index=True)


def plant_wrong_reagent(manifest, real):
    manifest = manifest.copy()
    manifest.loc[9, "Metadata_broad_sample"] = "BRD-K97181089-003-24-7"
    return manifest


WITHIN_SLICE = {"broad_sample_in_slice"}
EXPECTED = {
    plant_well: (
        {"well", "manifest_keys_unique"} | WITHIN_SLICE,
        {"well", "manifest_keys_unique", "broad_sample", "target"},
        {"well", "manifest_keys_unique"} | WITHIN_SLICE,
    ),
    plant_replicate: (WITHIN_SLICE, {"broad_sample", "target"}, WITHIN_SLICE),
    plant_compound: (set(), {"broad_sample", "target"}, set()),
    plant_target: (set(), {"target"}, set()),
    plant_guide_pair: (set(), {"target", "guide_pair"}, set()),
    plant_two_ids: (set(), {"target", "one_name_one_target"}, set()),
    plant_missing_well: ({"every_eligible_well_accounted_for"},) * 3,
    plant_duplicate_key: ({"manifest_keys_unique"},) * 3,
    plant_negative_control: ({"every_eligible_well_accounted_for", "manifest_agrees_with_wells"},) * 3,
    plant_wrong_reagent: ({"manifest_agrees_with_wells"},) * 3,
}
CASES = [
    pytest.param(plant, strategy, rules, id=f"{plant.__name__}-{strategy}")
    for plant, by_strategy in EXPECTED.items()
    for strategy, rules in zip(STRATEGIES, by_strategy, strict=True)
]


@pytest.mark.parametrize(("plant", "strategy", "rules"), CASES)
def test_a_planted_leak_turns_its_rules_red_and_no_other(real, manifests, plant, strategy, rules):
    planted = plant(manifests[strategy], real)
    broken = violations(planted, real.wells, real.perturbations, strategy)
    assert {violation.rule for violation in broken} == rules
    for violation in broken:
        assert 0 < violation.groups_crossing < violation.groups
        assert 1 <= len(violation.wells) <= 20


@pytest.mark.parametrize(("plant", "rules"), [(plant, rules[1]) for plant, rules in EXPECTED.items()])
def test_a_planted_leak_is_refused_with_its_rules_and_wells(real, manifests, plant, rules):
    planted = plant(manifests[GENE_COMPOUND], real)
    error = LeakageError if rules & PROMISES[GENE_COMPOUND] else BadTableError
    with pytest.raises(error) as refusal:
        validate_manifest(planted, real.wells, real.perturbations, GENE_COMPOUND)
    message = str(refusal.value)
    for word in (GENE_COMPOUND, *rules):
        assert word in message
    assert "BR0011" in message
    assert "\n" not in message


@pytest.mark.parametrize("strategy", [REPRESENTATION, CELLCLIP])
@pytest.mark.parametrize("plant", [plant for plant, rules in EXPECTED.items() if not rules[0]])
def test_what_is_not_promised_passes_with_a_warning(real, manifests, plant, strategy):
    planted = plant(manifests[strategy], real)
    validate_manifest(planted, real.wells, real.perturbations, strategy)
    table = audit(planted, real.wells, real.perturbations, strategy=strategy).set_index("rule")
    moved = (planted["subset"] != manifests[strategy]["subset"]).sum()
    assert table.loc["follows_strategy", "groups_crossing"] == moved > 0
    assert table.loc["follows_strategy", "verdict"] == "warning"
    assert set(table["verdict"]) == {"ok", "warning"}


@pytest.mark.parametrize(
    ("plant", "strategy", "rule", "more"),
    [
        (plant_target, CELLCLIP, "target", 1),
        (plant_guide_pair, CELLCLIP, "guide_pair", 1),
        (plant_guide_pair, CELLCLIP, "guide_pair_in_slice", 4),
        (plant_guide_pair, REPRESENTATION, "guide_pair", 1),
        (plant_guide_pair, REPRESENTATION, "target_crispr", 1),
        (plant_two_ids, CELLCLIP, "one_name", 1),
        (plant_two_ids, CELLCLIP, "one_name_in_slice", 4),
        (plant_two_ids, CELLCLIP, "identity", 1),
        (plant_two_ids, CELLCLIP, "inchikey_first_block", 1),
        (plant_compound, CELLCLIP, "broad_sample", 1),
        (plant_compound, CELLCLIP, "inchikey", 1),
        (plant_target, GENE_COMPOUND, "target", 1),
    ],
)
def test_a_planted_leak_is_counted(real, manifests, audits, plant, strategy, rule, more):
    planted = plant(manifests[strategy], real)
    after = audit(planted, real.wells, real.perturbations, strategy=strategy).set_index("rule").loc[rule]
    assert after["groups_crossing"] == audits[strategy].loc[rule, "groups_crossing"] + more
    assert after["verdict"] == ("breach" if rule in PROMISES[strategy] else "warning")


def test_the_well_that_went_astray_is_named_first(real, manifests):
    planted = plant_replicate(manifests[GENE_COMPOUND], real)
    astray = planted.loc[7]
    named = leaking_wells(planted, real.wells, real.perturbations, "target")
    assert len(named) == 20
    assert set(named["group"]) == {astray["Metadata_target"]}
    of_its_subset = named[named["subset"] == astray["subset"]]
    assert of_its_subset[["Metadata_Plate", "Metadata_Well"]].to_numpy().tolist() == [
        [astray["Metadata_Plate"], astray["Metadata_Well"]]
    ]
    assert of_its_subset.index[0] < 2


def test_both_sides_of_each_group_are_named_before_a_second_well(real, manifests):
    named = leaking_wells(manifests[CELLCLIP], real.wells, real.perturbations, "guide_pair", limit=90)
    assert named.groupby("group")["subset"].agg(set).map(len).tolist() == [2] * 45
    assert leaking_wells(manifests[CELLCLIP], real.wells, real.perturbations, "target_orf").empty
    by_rule = leaking_wells_by_rule(manifests[CELLCLIP], real.wells, real.perturbations, limit=90)
    assert list(by_rule) == [rule.name for rule in AUDIT_RULES]
    pd.testing.assert_frame_equal(by_rule["guide_pair"], named)
    assert len(leaking_wells(manifests[CELLCLIP], real.wells, real.perturbations, "target", limit=3)) == 3
    with pytest.raises(KeyError):
        leaking_wells(manifests[CELLCLIP], real.wells, real.perturbations, "no_such_rule")


def test_held_out_compounds_that_hit_train_are_named_with_the_genes(real, manifests, audits):
    row = audits[GENE_COMPOUND].loc["target_list_validate"]
    named = leaking_wells(manifests[GENE_COMPOUND], real.wells, real.perturbations, "target_list_validate", limit=500)
    assert len(named) == row["wells_crossing"]
    assert named["group"].nunique() == 10
    assert set(named["subset"]) == {"validate"}
    assert "train has" in row["examples"]


def test_rules_about_the_table_name_every_well_concerned(real, manifests):
    manifest = manifests[GENE_COMPOUND]
    assert manifest_keys_unique(manifest).empty
    assert every_eligible_well_accounted_for(manifest, real.wells, GENE_COMPOUND).empty
    assert manifest_agrees_with_wells(manifest, real.wells).empty
    spoilt = pd.concat(
        [
            manifest.drop(index=[0, 1]),
            manifest.iloc[[2]],
            manifest.iloc[[3]].assign(Metadata_Well="A02"),
            manifest.iloc[[3]].assign(Metadata_Well="Z01"),
            manifest.iloc[[3]].assign(Metadata_Plate="BR00117001"),
        ]
    )
    twice = manifest_keys_unique(spoilt)
    assert twice[["Metadata_Plate", "Metadata_Well"]].drop_duplicates().to_numpy().tolist() == [["BR00116991", "A04"]]
    wrong = every_eligible_well_accounted_for(spoilt, real.wells, GENE_COMPOUND)
    assert wrong[["Metadata_Plate", "Metadata_Well", "problem"]].to_numpy().tolist() == [
        ["BR00116991", "A01", "eligible, but missing"],
        ["BR00116991", "A02", "takes no part: negative control"],
        ["BR00116991", "A03", "eligible, but missing"],
        ["BR00116991", "Z01", "no such well"],
        ["BR00117001", manifest.loc[3, "Metadata_Well"], "takes no part: not a primary plate"],
    ]


def test_wells_must_be_accounted_for_under_the_manifests_own_policy(real):
    manifest = split_manifest(real.wells, REPRESENTATION, policy="drop_controls_and_empty")
    relabelled = manifest.assign(control_policy="drop_negcon_and_empty")
    missing = every_eligible_well_accounted_for(relabelled, real.wells, REPRESENTATION)
    assert len(missing) == 12_729 - len(manifest)
    kept = split_manifest(real.wells, REPRESENTATION).assign(control_policy="drop_controls_and_empty")
    surplus = every_eligible_well_accounted_for(kept, real.wells, REPRESENTATION)
    assert set(surplus["problem"]) == {"takes no part: not under this strategy and control policy"}


def test_an_empty_manifest_lacks_every_well(real, manifests):
    empty = manifests[CELLCLIP].head(0)
    (violation,) = violations(empty, real.wells, real.perturbations, CELLCLIP)
    assert violation.rule in BLOCKING_RULES
    assert violation.groups_crossing == 12_729
    assert leaking_wells(empty, real.wells, real.perturbations, "well").empty
    assert audit(empty, real.wells, real.perturbations, strategy=CELLCLIP)["groups"].sum() == 0


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda m: m.drop(columns="subset"), "subset"),
        (lambda m: m.assign(subset="val"), "'val'"),
        (lambda m: m.assign(Metadata_Well=None), "Metadata_Well"),
        (lambda m: m.assign(split_strategy=REPRESENTATION), REPRESENTATION),
        (
            lambda m: m.assign(control_policy=np.where(m.index < 5, "keep_all", m["control_policy"])),
            "one control policy",
        ),
    ],
)
def test_what_is_no_manifest_of_the_strategy_is_refused(real, manifests, spoil, words):
    with pytest.raises(BadTableError, match=words) as error:
        validate_manifest(spoil(manifests[CELLCLIP]), real.wells, real.perturbations, CELLCLIP)
    assert f"split manifest {CELLCLIP}" in str(error.value)
    with pytest.raises(BadTableError, match=words):
        audit(spoil(manifests[CELLCLIP]), real.wells, real.perturbations, strategy=CELLCLIP)


def test_an_unknown_strategy_is_refused(real, manifests):
    for function in (validate_manifest, violations):
        with pytest.raises(UnknownStrategyError, match="'other'"):
            function(manifests[CELLCLIP], real.wells, real.perturbations, "other")
    with pytest.raises(UnknownStrategyError, match="'other'"):
        audit(manifests[CELLCLIP], real.wells, real.perturbations, strategy="other")


def test_row_order_of_the_inputs_does_not_show(real, manifests, audits):
    shuffled = [
        table.sample(frac=1, random_state=2) for table in (manifests[GENE_COMPOUND], real.wells, real.perturbations)
    ]
    table = audit(*shuffled, strategy=GENE_COMPOUND).set_index("rule")
    pd.testing.assert_frame_equal(table, audits[GENE_COMPOUND])
    planted = plant_guide_pair(manifests[GENE_COMPOUND], real)
    expected = leaking_wells(planted, real.wells, real.perturbations, "guide_pair")
    named = leaking_wells(planted.sample(frac=1, random_state=2), *shuffled[1:], "guide_pair")
    pd.testing.assert_frame_equal(named, expected)
