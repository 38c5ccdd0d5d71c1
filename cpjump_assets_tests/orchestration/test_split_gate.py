"""A manifest that breaks a promise never replaces a good one, turns the right check red and stops its dependents."""

import dagster as dg
import pytest

from cpjump_assets.orchestration import tables
from cpjump_assets.orchestration.checks.manifests import promise_check
from cpjump_assets.orchestration.refresh import FinishedRun
from cpjump_assets.science import splits
from cpjump_assets.science.leakage_rules import PROMISES
from cpjump_assets.science.strategies import CELLCLIP, GENE_COMPOUND, REPRESENTATION, STRATEGIES
from cpjump_assets_tests.orchestration import leaks
from cpjump_assets_tests.orchestration.lab import Lab

# Kind of leak, and the rule that it breaks.
LEAKS: dict[str, tuple[leaks.Leak, str]] = {
    "well": (leaks.well_twice, "well"),
    "duplicate key": (leaks.key_twice, "manifest_keys_unique"),
    "missing well": (leaks.missing_well, "every_eligible_well_accounted_for"),
    "replicate": (leaks.one_replicate, "broad_sample_in_slice"),
    "compound": (leaks.one_replicate, "broad_sample"),
    "guide pair": (leaks.one_guide_of_a_pair, "guide_pair"),
    "target": (leaks.one_modality_of_a_target, "target"),
    "two-name compound": (leaks.one_id_of_a_name, "one_name_one_target"),
}
EVERYWHERE = {"well", "duplicate key", "missing well"}
BLOCKED = [
    (strategy, kind)
    for strategy in STRATEGIES
    for kind, (_, rule) in LEAKS.items()
    if kind in EVERYWHERE or rule in PROMISES[strategy]
]
WARNED = [
    (REPRESENTATION, "guide pair"),
    (REPRESENTATION, "two-name compound"),
    (CELLCLIP, "guide pair"),
    (CELLCLIP, "target"),
    (CELLCLIP, "two-name compound"),
]
DEPENDENTS = (
    tables.LEAKAGE_AUDIT,
    tables.TRAIN_FIT_WELLS,
    tables.TRAIN_FEATURE_SELECTION,
    tables.TRAIN_SELECTED_PROFILES,
    tables.TRAIN_SPHERIZED_PROFILES,
    tables.BENCHMARK_CLASSES,
    tables.BENCHMARK_SCORES,
    tables.BENCHMARK_PERCENT_SCORES,
    tables.BENCHMARK_DIRECTIONALITY,
)


def _plant(monkeypatch: pytest.MonkeyPatch, lab: Lab, leak: leaks.Leak) -> None:
    sound = splits.split_manifest
    reagents = lab.store.read(tables.PERTURBATIONS.key())

    def leaky(wells: object, strategy: str, **options: str) -> object:
        return leak(sound(wells, strategy, **options), reagents)

    monkeypatch.setattr(splits, "split_manifest", leaky)


def _made(lab: Lab, finished: FinishedRun) -> set[str]:
    with lab.instance() as instance:
        events = instance.get_records_for_run(
            finished.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION
        ).records
    return {record.asset_key.to_user_string() for record in events}


def test_the_design_promises_are_all_tried() -> None:
    tried = {(strategy, LEAKS[kind][1]) for strategy, kind in BLOCKED}
    assert {(strategy, rule) for strategy in STRATEGIES for rule in PROMISES[strategy]} <= tried
    assert (GENE_COMPOUND, "target") in tried


@pytest.mark.parametrize(("strategy", "kind"), BLOCKED)
def test_a_broken_promise_blocks(lab: Lab, monkeypatch: pytest.MonkeyPatch, strategy: str, kind: str) -> None:
    leak, rule = LEAKS[kind]
    before = {key: digest for key, digest in lab.digests().items() if "rejected" not in key}
    with monkeypatch.context() as planted:
        _plant(planted, lab, leak)
        finished = lab.run("strategy", partition=strategy)

    assert not finished.success
    assert rule in " ".join(finished.errors)
    evaluation = lab.evaluations(finished)[promise_check(rule)]
    assert (evaluation.passed, evaluation.partition) == (False, strategy)
    assert evaluation.severity is dg.AssetCheckSeverity.ERROR
    assert "BR00" in evaluation.metadata["wells"].value
    assert evaluation.metadata["groups crossing"].value >= 1
    assert _made(lab, finished) == set()
    assert {key: digest for key, digest in lab.digests().items() if "rejected" not in key} == before


def test_dependents_stay_closed_in_a_later_run_until_a_sound_manifest_is_made(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as planted:
        _plant(planted, lab, leaks.one_modality_of_a_target)
        assert not lab.run("strategy", partition=GENE_COMPOUND).success
    later = lab.run("strategy", partition=GENE_COMPOUND, assets=[asset.name for asset in DEPENDENTS])
    assert not later.success
    assert "the last manifest was refused" in " ".join(later.errors)
    assert _made(lab, later) == set()
    assert lab.run("strategy", partition=REPRESENTATION, assets=["leakage_audit"]).success

    mended = lab.run("strategy", partition=GENE_COMPOUND)
    assert mended.success, mended.errors
    assert _made(lab, mended) == {"split_manifest", *(asset.name for asset in DEPENDENTS)}
    assert all(evaluation.passed for name, evaluation in lab.evaluations(mended).items() if name.startswith("promise_"))


@pytest.mark.parametrize(("strategy", "kind"), WARNED)
def test_what_is_not_promised_warns_with_counts(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, strategy: str, kind: str
) -> None:
    leak, rule = LEAKS[kind]
    rules = lab.store.read(tables.LEAKAGE_AUDIT.key(strategy)).set_index("rule")
    before, groups = rules.loc[rule, ["groups_crossing", "groups"]]
    _plant(monkeypatch, lab, leak)
    finished = lab.run("strategy", partition=strategy, assets=["split_manifest"])
    assert finished.success, finished.errors
    found = lab.evaluations(finished)
    assert (found[rule].passed, found[rule].severity) == (False, dg.AssetCheckSeverity.WARN)
    assert found[rule].metadata["groups_crossing"].value == min(before + 1, groups)
    assert found["follows_strategy"].metadata["groups_crossing"].value > 0


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_manifest_altered_on_disk_is_caught_by_the_check_and_by_its_dependents(lab: Lab, strategy: str) -> None:
    key = tables.SPLIT_MANIFEST.key(strategy)
    altered = leaks.one_replicate(lab.store.read(key), lab.store.read(tables.PERTURBATIONS.key()))
    lab.store.write(key, altered, lab.store.describe(key).provenance)

    checked = lab.check_manifest(strategy)
    rule = "broad_sample" if strategy == GENE_COMPOUND else "broad_sample_in_slice"
    evaluation = lab.evaluations(checked)[promise_check(rule)]
    assert (evaluation.passed, evaluation.partition) == (False, strategy)
    assert not checked.success
    moved = altered.loc[altered["subset"] != lab_subsets(strategy, lab), ["Metadata_Plate", "Metadata_Well"]]
    for plate, well in moved.itertuples(index=False):
        assert f"{plate} | {well}" in evaluation.metadata["wells"].value

    later = lab.run("strategy", partition=strategy, assets=[asset.name for asset in DEPENDENTS])
    assert not later.success
    assert "not the one that was recorded" in " ".join(later.errors)


def test_an_altered_manifest_that_breaks_no_promise_is_caught_until_it_is_made_again(lab: Lab) -> None:
    strategy = REPRESENTATION
    key = tables.SPLIT_MANIFEST.key(strategy)
    manifest = lab.store.read(key)
    swapped = manifest.assign(subset=manifest["subset"].replace({"train": "test", "test": "train"}))
    lab.store.write(key, swapped, lab.store.describe(key).provenance)
    checked = lab.check_manifest(strategy)
    assert not lab.evaluations(checked)["manifest_as_recorded"].passed
    assert not checked.success
    later = lab.run("strategy", partition=strategy, assets=[asset.name for asset in DEPENDENTS])
    assert not later.success
    assert "not the one that was recorded" in " ".join(later.errors)
    assert lab.run("strategy", partition=strategy).success


def lab_subsets(strategy: str, lab: Lab) -> object:
    """Give the subsets that the strategy assigns, in the order of the stored manifest."""
    return splits.split_manifest(lab.store.read(tables.WELLS.key()), strategy)["subset"]
