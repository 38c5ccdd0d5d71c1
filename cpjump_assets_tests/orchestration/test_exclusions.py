"""CPJUMP_EXCLUDE from the setting to the scores: named in the manifest, proved, counted; no trace while it is off."""

from dataclasses import replace
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest

from cpjump_assets.orchestration import tables
from cpjump_assets.orchestration.assets import metadata
from cpjump_assets.orchestration.assets.splits import sound_manifest, split_manifest
from cpjump_assets.orchestration.resources import Platform
from cpjump_assets.science.errors import BadTableError
from cpjump_assets.science.known_issues import concerned
from cpjump_assets.science.plates import MAIN_BATCH
from cpjump_assets.science.strategies import CELLCLIP, GENE_COMPOUND, REPRESENTATION, STRATEGIES
from cpjump_assets.settings import Settings
from cpjump_assets.storage.store import Store, file_digest
from cpjump_assets_tests.orchestration.lab import Lab

DEFAULT = "drop_negcon_and_empty"
WITHOUT_BOTH = f"{DEFAULT}+without_seeding_failure+without_stain_anomaly"
# The stored files, footer and all, made of the real tables before known issues could be left out.
OFFICIAL_FILES = {
    REPRESENTATION: "ed6fb1d0b15f131873901d1a193a45d6323cfee18a6377cdfce90f7f785c26a1",
    GENE_COMPOUND: "938adebd68c9b8b75489a60e179e40ceadf22100bf9e869b1f305bfb72dae009",
    CELLCLIP: "f60b51e6af126ffdab774da503123b98be5d1489fb707c6bee89a4e25966d9bc",
}
WRITTEN_BY = "26.0.1"


@pytest.fixture
def excluding(lab: Lab) -> Lab:
    return replace(lab, exclude=("seeding_failure", "stain_anomaly"))


@pytest.fixture(scope="module")
def real_metadata(reference_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Give settings of a store that has the metadata of the real tables."""
    settings = Settings(reference=str(reference_root), store=tmp_path_factory.mktemp("real") / "store")
    for asset in (metadata.experiment_metadata, metadata.perturbations, metadata.wells, metadata.known_issues):
        asset(platform=Platform.from_settings(settings))
    return settings


def _split(settings: Settings, strategy: str) -> str:
    """Make the manifest of a strategy by the asset itself, and give the digest of the file."""
    split_manifest(dg.build_asset_context(partition_key=strategy), platform=Platform.from_settings(settings))
    return file_digest(Store(settings.folder).path(tables.SPLIT_MANIFEST.key(strategy)))


@pytest.mark.skipif(pa.__version__ != WRITTEN_BY, reason="another version of the library writes other bytes")
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_while_nothing_is_left_out_the_stored_official_manifests_are_the_same_bytes(
    real_metadata: Settings, strategy: str
) -> None:
    assert _split(real_metadata, strategy) == OFFICIAL_FILES[strategy]


def test_a_changed_setting_makes_the_manifest_again_and_back_again(real_metadata: Settings) -> None:
    off = _split(real_metadata, REPRESENTATION)
    on = replace(real_metadata, exclude=("seeding_failure",))
    assert _split(on, REPRESENTATION) != off
    store, key = Store(on.store), tables.SPLIT_MANIFEST.key(REPRESENTATION)
    assert set(store.read(key)["control_policy"]) == {f"{DEFAULT}+without_seeding_failure"}
    assert len(store.read(key)) == 12_478
    inputs = store.describe(key).provenance.inputs
    assert inputs["metadata/known_issues"] == store.describe(tables.KNOWN_ISSUES.key()).digest
    assert set(inputs) == {"metadata/wells", "metadata/perturbations", "metadata/known_issues", "ControlPolicy"}
    assert _split(real_metadata, REPRESENTATION) == off
    assert set(store.describe(key).provenance.inputs) == {"metadata/wells", "metadata/perturbations"}


def test_an_exclusion_goes_all_the_way_to_the_scores(excluding: Lab) -> None:
    strategy = REPRESENTATION  # the one that is left without a subset
    finished = excluding.run("strategy", partition=strategy)
    assert finished.success, finished.errors
    store = excluding.store
    manifest = store.read(tables.SPLIT_MANIFEST.key(strategy))
    assert set(manifest["control_policy"]) == {WITHOUT_BOTH}
    found = excluding.evaluations(finished)
    errors = {
        name for name, check in found.items() if not check.passed and check.severity is dg.AssetCheckSeverity.ERROR
    }
    assert errors == set()
    assert found["stain_anomaly"].passed
    known = found["known_issues_in_splits"]
    assert (known.passed, known.partition) == (True, strategy)
    assert known.metadata["control policy"].value == WITHOUT_BOTH

    (record,) = excluding.materializations(tables.SPLIT_MANIFEST)[:1]
    shown = record.asset_materialization.metadata
    assert shown["control policy"].value == WITHOUT_BOTH
    assert "seeding_failure" in shown["left out, with known issues"].value
    audit = store.read(tables.LEAKAGE_AUDIT.key(strategy)).set_index("rule")
    assert audit.loc["well", "groups"] == len(manifest) == 4_479
    assert "breach" not in set(audit["verdict"])
    scores = store.read(tables.BENCHMARK_SCORES.key(strategy))
    assert scores.loc[scores["subset"] == "validate", "n_classes"].sum() == 0
    assert scores.loc[scores["subset"] == "test", "n_classes"].sum() > 0
    with excluding.instance() as instance:
        assert len(sound_manifest(instance, store, strategy)) == len(manifest)


def test_known_issues_in_the_subsets_are_a_warning_with_counts_by_kind(lab: Lab) -> None:
    checked = lab.check_manifest(REPRESENTATION)
    found = lab.evaluations(checked)["known_issues_in_splits"]
    assert (found.passed, found.severity, found.partition) == (False, dg.AssetCheckSeverity.WARN, REPRESENTATION)
    counts = {kind: found.metadata[f"wells with {kind}"].value for kind in ("seeding_failure", "stain_anomaly")}
    assert counts == {"seeding_failure": 251, "stain_anomaly": 640 + 3_840 + 1_280 + 2_490}
    assert found.metadata["wells with absent_from_official_table"].value == 0
    assert found.metadata["control policy"].value == DEFAULT
    assert "| stain_anomaly | WGA | validate | 2490 | 1 |" in found.metadata["by subset"].value
    assert checked.success, checked.errors


def test_the_table_of_known_issues_shows_kinds_reasons_and_plates(refreshed_lab: Lab) -> None:
    (record,) = refreshed_lab.materializations(tables.KNOWN_ISSUES)
    shown = {name: value.value for name, value in record.asset_materialization.metadata.items()}
    assert "| seeding_failure |  | 1 | 1 |" in shown["issues of each kind"]
    assert "| stain_anomaly | WGA | 12 | 12 |" in shown["issues of each kind"]
    assert "| absent_from_official_table |  | 85 | 3 |" in shown["issues of each kind"]
    assert "301 of 384" in shown["reasons"]
    assert "| BR00116995 |" in shown["by plate"]
    stored = refreshed_lab.store.describe(tables.KNOWN_ISSUES.key())
    assert set(stored.provenance.inputs) == {"metadata/wells"}


def test_the_wells_that_a_manifest_lacks_are_those_that_the_stored_table_names(excluding: Lab) -> None:
    store, key = excluding.store, tables.SPLIT_MANIFEST.key(GENE_COMPOUND)
    before = store.read(key)
    assert excluding.run("strategy", partition=GENE_COMPOUND, assets=["split_manifest"]).success
    after = store.read(key)
    issues = store.read(tables.KNOWN_ISSUES.key())
    named = issues[issues["issue"].isin(excluding.exclude)]
    kept = before[~concerned(before.assign(Metadata_Batch=MAIN_BATCH), named)]
    columns = ["Metadata_Plate", "Metadata_Well", "subset"]
    assert after[columns].to_numpy().tolist() == kept[columns].to_numpy().tolist()


def test_a_stored_manifest_of_an_unknown_policy_is_refused_wherever_it_is_used(lab: Lab) -> None:
    key = tables.SPLIT_MANIFEST.key(CELLCLIP)
    altered = lab.store.read(key).assign(control_policy=f"{DEFAULT}+without_edge_wells")
    lab.store.write(key, altered, lab.store.describe(key).provenance)
    # An instance without a record cannot tell that the file was altered; the policy is refused all the same.
    with dg.DagsterInstance.ephemeral() as instance, pytest.raises(BadTableError, match=r"'drop_.*without_edge_wells'"):
        sound_manifest(instance, lab.store, CELLCLIP)
    checked = lab.check_manifest(CELLCLIP)
    assert not checked.success
    assert not lab.evaluations(checked)["split_manifest_schema"].passed


def test_without_the_table_of_known_issues_an_exclusion_says_what_to_do(excluding: Lab) -> None:
    excluding.store.remove(tables.KNOWN_ISSUES.key())
    finished = excluding.run("strategy", partition=CELLCLIP, assets=["split_manifest"])
    assert not finished.success
    assert "materialize known_issues first" in " ".join(finished.errors)
    assert set(excluding.store.read(tables.SPLIT_MANIFEST.key(CELLCLIP))["control_policy"]) == {DEFAULT}
