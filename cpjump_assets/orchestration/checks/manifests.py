"""Checks of the split manifests: what each strategy promises, and what else crosses its subsets.

Belongs here: reading a stored manifest again and turning findings into check results. Does not belong here: the rules
(``science.leakage``, ``science.leakage_rules``).

Their runs take one strategy at a time, because Dagster 1.13 records a partitioned check of a range run without its
partition.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import dagster as dg

from cpjump_assets.orchestration import tables
from cpjump_assets.orchestration.display import counts, markdown_table
from cpjump_assets.orchestration.partitions import strategies
from cpjump_assets.orchestration.recording import recorded_versions
from cpjump_assets.orchestration.resources import Platform
from cpjump_assets.science.leakage import AUDIT_RULES, BLOCKING_RULES
from cpjump_assets.science.leakage_rules import PROMISES

if TYPE_CHECKING:
    import pandas as pd

    from cpjump_assets.science.leakage import Violation
    from cpjump_assets.storage.store import Store

_ERROR, _WARN = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN


_PROMISED_SOMEWHERE = frozenset.union(*PROMISES.values())
_PROMISED_EVERYWHERE = frozenset.intersection(*PROMISES.values())
_PROMISED = [rule for rule in AUDIT_RULES if rule.name in _PROMISED_SOMEWHERE]
_WARNED_OF = [rule for rule in AUDIT_RULES if rule.name not in _PROMISED_EVERYWHERE]


def promise_check(rule: str) -> str:
    """Name the check that turns red when a strategy breaks its promise of this rule, or the table rule of this name."""
    return f"promise_{rule}" if rule in _PROMISED_SOMEWHERE else rule


def _manifest_check(name: str, description: str, *, blocking: bool) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        name,
        asset=tables.SPLIT_MANIFEST.asset_key,
        description=description,
        blocking=blocking,
        partitions_def=strategies,
    )


@dg.multi_asset_check(
    name="manifest_promises",
    can_subset=True,
    specs=[
        *(
            _manifest_check(
                promise_check(rule.name),
                f"No group crosses subsets, where the strategy promises that. A group is {rule.description}.",
                blocking=True,
            )
            for rule in _PROMISED
        ),
        *(_manifest_check(name, f"{name.replace('_', ' ').capitalize()}.", blocking=True) for name in BLOCKING_RULES),
    ],
)
def manifest_promises(context: dg.AssetCheckExecutionContext, platform: Platform) -> Iterator[dg.AssetCheckResult]:
    """Hold the manifest against its promises as it lies in the store, so that a file altered there is caught too."""
    from cpjump_assets.science.leakage import violations

    strategy = context.partition_key
    broken = {violation.rule: violation for violation in violations(*_manifest_and_wells(platform, strategy), strategy)}
    rules = (*(rule.name for rule in _PROMISED), *BLOCKING_RULES)
    for rule in (rule for rule in rules if _is_asked(context, promise_check(rule))):
        promised = rule in PROMISES[strategy] or rule in BLOCKING_RULES
        violation = broken.get(rule)
        yield dg.AssetCheckResult(
            check_name=promise_check(rule),
            passed=violation is None,
            severity=_ERROR,
            metadata={"promised": promised, **({} if violation is None else violation_metadata(violation))},
        )


@dg.asset_check(
    asset=tables.SPLIT_MANIFEST.asset_key,
    description="The stored file is the one that was recorded when the manifest was made: nobody altered it since.",
    blocking=True,
    partitions_def=strategies,
)
def manifest_as_recorded(context: dg.AssetCheckExecutionContext, platform: Platform) -> dg.AssetCheckResult:
    """Compare the digest of the file with the data version on record."""
    altered = is_altered(context.instance, platform.store, context.partition_key)
    return dg.AssetCheckResult(passed=not altered, severity=_ERROR)


@dg.asset_check(
    asset=tables.SPLIT_MANIFEST.asset_key,
    description=(
        "The manifest agrees with the example split that the authors released. The gene-compound example took the "
        "targets in the order of a file, not of their radix: only 68 of its 160 targets agree."
    ),
    partitions_def=strategies,
)
def agrees_with_released_example(context: dg.AssetCheckExecutionContext, platform: Platform) -> dg.AssetCheckResult:
    """Lay the manifest beside the released example, where the reference root has it."""
    from cpjump_assets.gallery.reference.metadata import load_released_example
    from cpjump_assets.science.foreign_manifests import released_agreement

    strategy = context.partition_key
    released = load_released_example(platform.reference, strategy)
    if released is None:
        return dg.AssetCheckResult(passed=True, severity=_WARN, metadata={"compared": False})
    found = released_agreement(*_manifest_and_wells(platform, strategy), released, strategy=strategy).iloc[0]
    return dg.AssetCheckResult(
        passed=bool(found["groups_crossing"] == 0),
        severity=_WARN,
        metadata={"compared": True, **counts({name: found[name] for name in ("groups", "groups_crossing")})},
    )


@dg.asset_check(
    asset=tables.SPLIT_MANIFEST.asset_key,
    additional_deps=[tables.KNOWN_ISSUES.asset_key],
    description=(
        "No subset holds wells with known issues. An issue that one subset has and another lacks confounds the split; "
        "CPJUMP_EXCLUDE leaves kinds of issues out."
    ),
    partitions_def=strategies,
)
def known_issues_in_splits(context: dg.AssetCheckExecutionContext, platform: Platform) -> dg.AssetCheckResult:
    """Count the wells with known issues in each subset of the stored manifest, by kind."""
    from cpjump_assets.science.known_issues import issues_in_subsets
    from cpjump_assets.science.policies import ISSUE_KINDS

    store = platform.store
    manifest = store.read(tables.SPLIT_MANIFEST.key(context.partition_key))
    found = issues_in_subsets(manifest, store.read(tables.KNOWN_ISSUES.key()))
    by_kind = found.groupby("issue")["wells"].sum()
    return dg.AssetCheckResult(
        passed=found.empty,
        severity=_WARN,
        metadata={
            "control policy": ", ".join(manifest["control_policy"].unique()),
            **counts({f"wells with {kind}": by_kind.get(kind, 0) for kind in ISSUE_KINDS}),
            "by subset": markdown_table(found),
        },
    )


def is_altered(instance: dg.DagsterInstance, store: "Store", strategy: str) -> bool:
    """Tell whether the stored manifest differs from the recorded one; an instance without a record cannot tell."""
    recorded = recorded_versions(instance, tables.SPLIT_MANIFEST, [strategy]).get(strategy)
    return recorded not in (None, store.describe(tables.SPLIT_MANIFEST.key(strategy)).digest)


def violation_metadata(violation: "Violation") -> dict[str, Any]:
    """Show a broken rule: how many groups there are, how many break it, and up to 20 of the wells."""
    return {
        **counts({"groups": violation.groups, "groups crossing": violation.groups_crossing}),
        "wells": markdown_table(violation.wells),
    }


@dg.multi_asset_check(
    name="manifest_leakage",
    can_subset=True,
    specs=[
        _manifest_check(
            rule.name, f"No group crosses subsets, promised or not. A group is {rule.description}.", blocking=False
        )
        for rule in _WARNED_OF
    ],
)
def manifest_leakage(context: dg.AssetCheckExecutionContext, platform: Platform) -> Iterator[dg.AssetCheckResult]:
    """Warn of every rule that the stored manifest breaks, promised or not, with counts."""
    from cpjump_assets.science.leakage import audit, leaking_wells_by_rule

    strategy = context.partition_key
    manifest, layout, reagents = _manifest_and_wells(platform, strategy)
    table = audit(manifest, layout, reagents, strategy=strategy).set_index("rule")
    named_wells = leaking_wells_by_rule(manifest, layout, reagents)
    for rule in (rule.name for rule in _WARNED_OF if _is_asked(context, rule.name)):
        row = table.loc[rule]
        holds = row["groups_crossing"] == 0
        named = {} if holds else {"wells": markdown_table(named_wells[rule])}
        numbers = counts({name: row[name] for name in ("groups", "groups_crossing", "wells_crossing")})
        yield dg.AssetCheckResult(check_name=rule, passed=bool(holds), severity=_WARN, metadata={**numbers, **named})


def _is_asked(context: dg.AssetCheckExecutionContext, check: str) -> bool:
    """Tell whether a check takes part in the run; in the web UI each can be run alone."""
    return dg.AssetCheckKey(tables.SPLIT_MANIFEST.asset_key, check) in context.selected_asset_check_keys


def _manifest_and_wells(platform: Platform, strategy: str) -> tuple["pd.DataFrame", "pd.DataFrame", "pd.DataFrame"]:
    store = platform.store
    return (
        store.read(tables.SPLIT_MANIFEST.key(strategy)),
        store.read(tables.WELLS.key()),
        store.read(tables.PERTURBATIONS.key()),
    )


checks: list[Callable[..., Any]] = [
    manifest_promises,
    manifest_leakage,
    manifest_as_recorded,
    agrees_with_released_example,
    known_issues_in_splits,
]
