"""The manifests beside the example splits that the authors released, through Dagster, on the real tables."""

from pathlib import Path

import dagster as dg

from cpjump_assets.build import build_defs
from cpjump_assets.orchestration.refresh import PlannedRun, Refresh
from cpjump_assets.science.strategies import CELLCLIP, GENE_COMPOUND, REPRESENTATION
from cpjump_assets.settings import Settings
from cpjump_assets.web import open_instance


def test_disagreement_with_the_released_example_is_a_warning_with_counts(reference_root: Path, tmp_path: Path) -> None:
    settings = Settings(reference=str(reference_root), store=tmp_path / "store")
    with open_instance(settings) as instance:
        refresh = Refresh.of(settings, build_defs(settings).resolve_job_def, instance)
        assert refresh.execute(PlannedRun("metadata", "metadata")).success
        found = {strategy: _evaluation(refresh, strategy) for strategy in (REPRESENTATION, GENE_COMPOUND, CELLCLIP)}
    assert {strategy: evaluation.passed for strategy, evaluation in found.items()} == {
        REPRESENTATION: True,
        GENE_COMPOUND: False,
        CELLCLIP: True,
    }
    assert found[REPRESENTATION].metadata["compared"].value is True
    assert found[CELLCLIP].metadata["compared"].value is False
    gene_compound = found[GENE_COMPOUND]
    assert gene_compound.severity is dg.AssetCheckSeverity.WARN
    assert gene_compound.metadata["groups"].value - gene_compound.metadata["groups_crossing"].value == 68
    assert gene_compound.metadata["groups"].value == 160


def _evaluation(refresh: Refresh, strategy: str) -> dg.AssetCheckEvaluation:
    run = refresh.execute(PlannedRun("strategy", "split", partition=strategy, assets=("split_manifest",)))
    assert run.success, run.errors
    records = refresh.instance.get_records_for_run(
        run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION
    ).records
    found = [record.event_log_entry.dagster_event.event_specific_data for record in records]
    (evaluation,) = [check for check in found if check.check_name == "agrees_with_released_example"]
    return evaluation
