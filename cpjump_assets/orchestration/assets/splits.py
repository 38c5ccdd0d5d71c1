"""Splits: a manifest for each strategy, proved before it is stored, and its leakage audit.

Belongs here: the gate between a manifest and the store. Does not belong here: the strategies (``science.splits``), the
leakage rules (``science.leakage_rules``).
"""

from typing import TYPE_CHECKING, Any

import dagster as dg

from cpjump_assets.orchestration import tables
from cpjump_assets.orchestration.assets.metadata import known_issues, perturbations, wells
from cpjump_assets.orchestration.automation import INPUT_CHANGED
from cpjump_assets.orchestration.checks.manifests import is_altered, promise_check, violation_metadata
from cpjump_assets.orchestration.display import markdown_table, picture
from cpjump_assets.orchestration.partitions import strategies
from cpjump_assets.orchestration.recording import Made, keep_table
from cpjump_assets.orchestration.resources import Platform

if TYPE_CHECKING:
    import pandas as pd

    from cpjump_assets.science.leakage import Violation
    from cpjump_assets.science.policies import ControlPolicy
    from cpjump_assets.storage.store import Provenance, Store

_COMMON: dict[str, Any] = {
    "group_name": "splits",
    "owners": ["team:cpjump"],
    "kinds": {"pandas", "parquet"},
    "partitions_def": strategies,
    "automation_condition": INPUT_CHANGED,
}


@dg.asset(**_COMMON, deps=[wells, perturbations, known_issues], code_version=tables.SPLIT_MANIFEST.code_version)
def split_manifest(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:
    """A row is a well that the strategy assigns to train, validate or test.

    A manifest that breaks what its strategy promises is never stored: its checks turn red, the former manifest stays,
    and whatever depends on the strategy refuses to run until a sound manifest is made.
    """
    from cpjump_assets.figures.canvas import to_png
    from cpjump_assets.figures.splits import subsets_figure
    from cpjump_assets.science import splits
    from cpjump_assets.science.leakage import violations
    from cpjump_assets.science.schemas import SPLIT_MANIFEST
    from cpjump_assets.science.strategies import SUBSETS

    store, strategy, policy = platform.store, context.partition_key, platform.control_policy
    provenance = _provenance(store, policy)
    layout, reagents = store.read(tables.WELLS.key()), store.read(tables.PERTURBATIONS.key())

    manifest = splits.split_manifest(layout, strategy, policy=policy.name)
    broken = violations(manifest, layout, reagents, strategy)
    if broken:
        store.write(tables.REJECTED_MANIFEST.key(strategy), manifest, provenance)
        _turn_red(context, broken)
        raise dg.Failure(f"{strategy}: the manifest is refused. " + " | ".join(map(str, broken)), allow_retries=False)
    subsets = manifest.groupby("subset").agg(
        wells=("Metadata_Well", "size"),
        targets=("Metadata_target", "nunique"),
        reagents=("Metadata_broad_sample", "nunique"),
    )
    subsets = subsets.reindex(SUBSETS, fill_value=0).reset_index()
    figure = to_png(subsets_figure(manifest))
    shown = {
        "control policy": policy.name,
        "subsets": markdown_table(subsets),
        **_left_out(store, layout, strategy, policy),
        "figure": picture(figure, "wells of each subset"),
    }
    result = keep_table(
        store, tables.SPLIT_MANIFEST, Made(manifest, shown), provenance, partition=strategy, schema=SPLIT_MANIFEST
    )
    # Only now: a crash between the two leaves the strategy closed, never open.
    store.remove(tables.REJECTED_MANIFEST.key(strategy))
    return result


def _provenance(store: "Store", policy: "ControlPolicy") -> "Provenance":
    """Say what the manifest is made from; the table of known issues counts only where it leaves something out."""
    keys = [tables.WELLS.key(), tables.PERTURBATIONS.key()]
    if not policy.without:
        return tables.provenance_from(tables.SPLIT_MANIFEST.code_version, tables.inputs_of(store, *keys))
    inputs = tables.inputs_of(store, *keys, tables.KNOWN_ISSUES.key())
    return tables.provenance_from(tables.SPLIT_MANIFEST.code_version, inputs, configuration=policy)


def _left_out(
    store: "Store", layout: "pd.DataFrame", strategy: str, policy: "ControlPolicy"
) -> dict[str, dg.MetadataValue]:
    """Show from which subsets the policy takes how many wells with known issues."""
    from cpjump_assets.science.known_issues import issues_in_subsets
    from cpjump_assets.science.splits import split_manifest as assign

    if not policy.without:
        return {}
    issues = store.read(tables.KNOWN_ISSUES.key())
    with_them = assign(layout, strategy, policy=policy.base)
    left_out = issues_in_subsets(with_them, issues[issues["issue"].isin(policy.without)])
    return {"left out, with known issues": markdown_table(left_out)}


def _turn_red(context: dg.AssetExecutionContext, broken: list["Violation"]) -> None:
    """Record the failed checks of a manifest that will not be stored, so that the standalone checks cannot see it."""
    for violation in broken:
        context.log_event(
            dg.AssetCheckEvaluation(
                asset_key=tables.SPLIT_MANIFEST.asset_key,
                check_name=promise_check(violation.rule),
                passed=False,
                severity=dg.AssetCheckSeverity.ERROR,
                partition=context.partition_key,
                metadata=violation_metadata(violation),
            )
        )


def sound_manifest(instance: dg.DagsterInstance, store: "Store", strategy: str) -> "pd.DataFrame":
    """Read a manifest and prove it again, because a check blocks only inside its own run.

    Raises
    ------
    LeakageError
        If the last manifest of the strategy was refused, or the stored one breaks a promise or is not what was
        recorded.
    BadTableError
        If the stored manifest is not a whole and sound table.
    StoreError
        If there is none.
    """
    from cpjump_assets.science.errors import LeakageError
    from cpjump_assets.science.leakage import validate_manifest

    if store.exists(tables.REJECTED_MANIFEST.key(strategy)):
        raise LeakageError(
            f"{strategy}: the last manifest was refused (kept as {tables.REJECTED_MANIFEST.key(strategy)}); "
            "materialize split_manifest again once the cause is mended"
        )
    manifest = store.read(tables.SPLIT_MANIFEST.key(strategy))
    if is_altered(instance, store, strategy):
        raise LeakageError(
            f"{strategy}: the stored manifest is not the one that was recorded; materialize split_manifest again"
        )
    validate_manifest(manifest, store.read(tables.WELLS.key()), store.read(tables.PERTURBATIONS.key()), strategy)
    return manifest


@dg.asset(**_COMMON, deps=[split_manifest, wells, perturbations], code_version=tables.LEAKAGE_AUDIT.code_version)
def leakage_audit(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:
    """A row is a leakage rule: its groups, how many cross subsets, and whether the strategy promises that none does."""
    from cpjump_assets.figures.canvas import to_png
    from cpjump_assets.figures.splits import leakage_figure
    from cpjump_assets.science.leakage import audit
    from cpjump_assets.science.schemas import LEAKAGE_AUDIT

    store, strategy = platform.store, context.partition_key
    inputs = tables.inputs_of(
        store, tables.SPLIT_MANIFEST.key(strategy), tables.WELLS.key(), tables.PERTURBATIONS.key()
    )
    provenance = tables.provenance_from(tables.LEAKAGE_AUDIT.code_version, inputs)
    manifest = sound_manifest(context.instance, store, strategy)
    table = audit(manifest, store.read(tables.WELLS.key()), store.read(tables.PERTURBATIONS.key()), strategy=strategy)
    columns = ["rule", "groups", "groups_crossing", "wells_crossing", "promised", "verdict", "note"]
    shown = {
        "rules": markdown_table(table[columns]),
        "figure": picture(to_png(leakage_figure(table)), "share of groups that cross subsets, by rule"),
    }
    return keep_table(
        store, tables.LEAKAGE_AUDIT, Made(table, shown), provenance, partition=strategy, schema=LEAKAGE_AUDIT
    )
