"""Whether a split leaks: the audit table, the wells behind it, and the refusal of a manifest that breaks its promises.

Belongs here: manifests of our three strategies, tried against the rules. Does not belong here: the rules themselves
(``leakage_rules``), or manifests that others made (``foreign_manifests``).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cpjump_assets.science.errors import BadTableError, LeakageError
from cpjump_assets.science.leakage_rules import FOLLOWS_STRATEGY, PROMISES, RULES, Groups, Rule, target_list_rule
from cpjump_assets.science.policies import DEFAULT_POLICY
from cpjump_assets.science.schemas import LEAKAGE_AUDIT, SPLIT_MANIFEST, STRING
from cpjump_assets.science.splits import split_manifest
from cpjump_assets.science.strategies import SUBSETS, require_strategy

MANIFEST_KEYS_UNIQUE = "manifest_keys_unique"
EVERY_ELIGIBLE_WELL = "every_eligible_well_accounted_for"
AGREES_WITH_WELLS = "manifest_agrees_with_wells"
BLOCKING_RULES = (MANIFEST_KEYS_UNIQUE, EVERY_ELIGIBLE_WELL, AGREES_WITH_WELLS)
"""Rules about the manifest as a table; like a broken promise, a failure blocks under every strategy."""

AUDIT_RULES: tuple[Rule, ...] = (*RULES, *map(target_list_rule, SUBSETS[1:]), FOLLOWS_STRATEGY)
"""Every rule that ``audit`` tries."""

_KEY = ["Metadata_Plate", "Metadata_Well"]
_SHOWN_GROUPS = 5
_SHOWN_WELLS = 20


@dataclass(frozen=True)
class Violation:
    """A rule that blocks, and is broken.

    Attributes
    ----------
    rule
        Its name.
    groups, groups_crossing
        How many groups (wells, for the rules about the table) there are, and how many break it.
    wells
        Up to 20 of the wells concerned: plate, well, subset, and the group or the problem.
    """

    rule: str
    groups: int
    groups_crossing: int
    wells: pd.DataFrame

    def __str__(self) -> str:
        """Say it in one clause, wells included."""
        rows = self.wells.itertuples(index=False, name=None)
        named = "; ".join(" ".join(value for value in row if pd.notna(value)) for row in rows)
        return f"{self.rule} is broken by {self.groups_crossing:,} of {self.groups:,}: {named}"


def audit(manifest: pd.DataFrame, wells: pd.DataFrame, perturbations: pd.DataFrame, *, strategy: str) -> pd.DataFrame:
    """Try every leakage rule on a manifest.

    What a well holds is read from ``wells``, never from the manifest, which may be wrong. A key that comes twice counts
    as one well, which crosses when its subsets differ.

    Parameters
    ----------
    manifest
        ``SPLIT_MANIFEST``.
    wells
        ``WELLS``.
    perturbations
        ``PERTURBATIONS``.
    strategy
        One of the three; it says what is promised.

    Returns
    -------
    DataFrame
        ``LEAKAGE_AUDIT``, one row per rule. A promised rule that is broken is a ``breach``; another that is broken a
        ``warning``.

    Raises
    ------
    UnknownStrategyError
        For any other strategy.
    BadTableError
        If the manifest lacks a column or holds a wrong value, another strategy or more than one control policy.
    """
    frame = _own_frame(manifest, wells, perturbations, strategy)
    return audit_table(frame, AUDIT_RULES, name=strategy, promised=PROMISES[strategy])


def leaking_wells(
    manifest: pd.DataFrame,
    wells: pd.DataFrame,
    perturbations: pd.DataFrame,
    rule: str,
    limit: int = _SHOWN_WELLS,
) -> pd.DataFrame:
    """Name wells of the groups that break a rule.

    The first rows show one well of each subset of each group, so that a single well that went astray is not hidden
    behind its many siblings.

    Parameters
    ----------
    manifest, wells, perturbations
        As in ``audit``.
    rule
        Name of one of ``AUDIT_RULES``; any other raises ``KeyError``.
    limit
        The most rows to give.

    Returns
    -------
    DataFrame
        ``Metadata_Plate``, ``Metadata_Well``, ``subset``, ``group``; empty when the rule holds.
    """
    known = {known.name: known for known in AUDIT_RULES}[rule]
    return _leaking_wells(manifest, wells, perturbations, (known,), limit)[rule]


def leaking_wells_by_rule(
    manifest: pd.DataFrame, wells: pd.DataFrame, perturbations: pd.DataFrame, limit: int = _SHOWN_WELLS
) -> dict[str, pd.DataFrame]:
    """Name wells as ``leaking_wells`` does, for every rule of ``AUDIT_RULES`` at once."""
    return _leaking_wells(manifest, wells, perturbations, AUDIT_RULES, limit)


def _leaking_wells(
    manifest: pd.DataFrame, wells: pd.DataFrame, perturbations: pd.DataFrame, rules: Iterable[Rule], limit: int
) -> dict[str, pd.DataFrame]:
    SPLIT_MANIFEST.check_values(manifest, "split manifest")
    if manifest.empty:
        return {rule.name: pd.DataFrame(columns=[*_KEY, "subset", "group"], dtype=STRING) for rule in rules}
    frame = _own_frame(manifest, wells, perturbations, manifest["split_strategy"].iloc[0])
    return {rule.name: _name_wells(frame, rule.find(frame), limit) for rule in rules}


def manifest_keys_unique(manifest: pd.DataFrame) -> pd.DataFrame:
    """Give the rows of a manifest whose plate and well come more than once; none in a good manifest."""
    repeated = manifest[manifest.duplicated(_KEY, keep=False)].sort_values([*_KEY, "subset"])
    return repeated[[*_KEY, "subset"]].assign(problem="comes more than once").reset_index(drop=True)


def every_eligible_well_accounted_for(manifest: pd.DataFrame, wells: pd.DataFrame, strategy: str) -> pd.DataFrame:
    """Give the wells that the manifest lacks, and those that it has and must not have; none in a good manifest.

    Eligible is a well that takes part under the strategy and the manifest's own control policy.

    Returns
    -------
    DataFrame
        ``Metadata_Plate``, ``Metadata_Well``, ``subset`` (missing for a missing well) and ``problem``.
    """
    expected = _expected(manifest, wells, strategy)
    both = expected[_KEY].merge(manifest[[*_KEY, "subset"]], on=_KEY, how="outer", indicator="_from")
    wrong = both[both["_from"] != "both"]
    reasons = _facts_of_wells(wells, ["Metadata_ineligible_reason"])
    wrong = wrong.merge(reasons, on=_KEY, how="left", indicator="_known").sort_values(_KEY, ignore_index=True)
    reason = wrong["Metadata_ineligible_reason"].fillna("not under this strategy and control policy")
    problem = ("takes no part: " + reason).mask(wrong["_known"] == "left_only", "no such well")
    problem = problem.mask(wrong["_from"] == "left_only", "eligible, but missing")
    return wrong[[*_KEY, "subset"]].assign(problem=problem)


def manifest_agrees_with_wells(manifest: pd.DataFrame, wells: pd.DataFrame) -> pd.DataFrame:
    """Give the rows of a manifest whose reagent, type or target is not that of the well; none in a good manifest."""
    copied = ["Metadata_broad_sample", "Metadata_experiment_type", "Metadata_target"]
    joined = manifest.merge(_facts_of_wells(wells, copied), on=_KEY, suffixes=("", "_of_well"))
    parts = []
    for column in copied:
        ours, theirs = joined[column], joined[f"{column}_of_well"]
        rows = joined[(ours != theirs) & ~(ours.isna() & theirs.isna())]
        problem = column + " " + rows[column].fillna("none") + " for " + rows[f"{column}_of_well"].fillna("none")
        parts.append(rows[[*_KEY, "subset"]].assign(problem=problem))
    return pd.concat(parts).sort_values(_KEY, ignore_index=True)


def violations(
    manifest: pd.DataFrame, wells: pd.DataFrame, perturbations: pd.DataFrame, strategy: str
) -> list[Violation]:
    """List the blocking rules that a manifest breaks: the strategy's promises, then ``BLOCKING_RULES``.

    Raises
    ------
    UnknownStrategyError, BadTableError
        As ``audit``: what is not a manifest of this strategy and of one control policy cannot be tried.
    """
    _require_own(manifest, strategy)
    frame = situate(manifest, wells, perturbations)
    broken = []
    for rule in AUDIT_RULES:
        if rule.name not in PROMISES[strategy]:
            continue
        found = rule.find(frame)
        if len(found.crossing):
            shown = _name_wells(frame, found, _SHOWN_WELLS)
            broken.append(Violation(rule.name, len(found), len(found.crossing), shown))
    tables = {
        MANIFEST_KEYS_UNIQUE: manifest_keys_unique(manifest),
        EVERY_ELIGIBLE_WELL: every_eligible_well_accounted_for(manifest, wells, strategy),
        AGREES_WITH_WELLS: manifest_agrees_with_wells(manifest, wells),
    }
    for name, bad in tables.items():
        if len(bad):
            n_bad = len(bad.drop_duplicates(_KEY))
            n_all = len(pd.concat([manifest[_KEY], bad[_KEY]]).drop_duplicates())
            broken.append(Violation(name, n_all, n_bad, bad.head(_SHOWN_WELLS)))
    return broken


def validate_manifest(manifest: pd.DataFrame, wells: pd.DataFrame, perturbations: pd.DataFrame, strategy: str) -> None:
    """Refuse a manifest that breaks what its strategy promises, or is not a whole and sound table.

    Everything that consumes a split calls this first, because a check that ran elsewhere does not protect it.

    Parameters
    ----------
    manifest, wells, perturbations
        As in ``audit``.
    strategy
        The strategy that the manifest must be of.

    Raises
    ------
    LeakageError
        If a promised rule is broken; every broken rule is named, with counts and up to 20 wells.
    BadTableError
        If only the table is wrong: columns, values, another strategy, a key that comes twice, an eligible well that is
        missing, a well that takes no part, or a reagent that is not that of the well.
    """
    broken = violations(manifest, wells, perturbations, strategy)
    if broken:
        message = f"split manifest {strategy}: {' | '.join(map(str, broken))}"
        raise LeakageError(message) if broken[0].rule in PROMISES[strategy] else BadTableError(message)


def situate(assignment: pd.DataFrame, wells: pd.DataFrame, perturbations: pd.DataFrame) -> pd.DataFrame:
    """Join assigned wells to what is known of them, for the rules to read.

    Parameters
    ----------
    assignment
        ``Metadata_Plate``, ``Metadata_Well`` and ``subset``; other columns but ``expected_subset`` are dropped.
    wells, perturbations
        ``WELLS`` and ``PERTURBATIONS``. A plate that several batches imaged is read from the first.

    Returns
    -------
    DataFrame
        One row per row of ``assignment``, as ``leakage_rules`` describes. Wells that ``wells`` lacks have no facts.
    """
    reagent_only = perturbations.columns.difference(wells.columns).union(["Metadata_broad_sample"], sort=False)
    kept = [column for column in (*_KEY, "subset", "expected_subset") if column in assignment.columns]
    facts = _facts_of_wells(wells, wells.columns.drop([*_KEY, "Metadata_Batch"]))
    # Nullable, so that the 24 of "24 h" stays 24 beside a well that is not known.
    facts = facts.astype({"Metadata_timepoint": "Int64", "Metadata_row": "Int64"})
    frame = assignment[kept].merge(facts, on=_KEY, how="left")
    frame = frame.merge(perturbations[list(reagent_only)], on="Metadata_broad_sample", how="left")
    present = set(frame["subset"])
    order = [*(subset for subset in SUBSETS if subset in present), *sorted(present.difference(SUBSETS))]
    # The bleaching batch images plates of the main batch again, as <barcode>A to <barcode>F: the same wells.
    codes, plates = pd.factorize(frame["Metadata_Plate"])
    physical = pd.Series([re.sub(r"(?<=\d)[A-F]$", "", plate) for plate in plates], dtype=STRING)
    frame["physical_plate"] = physical.reindex(codes).array
    return frame.assign(subset=pd.Categorical(frame["subset"], categories=order, ordered=True))


def audit_table(frame: pd.DataFrame, rules: Iterable[Rule], *, name: str, promised: frozenset[str]) -> pd.DataFrame:
    """Try rules on situated wells.

    Parameters
    ----------
    frame
        As ``situate`` gives it.
    rules
        The rules to try.
    name
        What to write in the column ``split_strategy``.
    promised
        Names of the rules whose break is a breach.

    Returns
    -------
    DataFrame
        ``LEAKAGE_AUDIT``.
    """
    well_codes = frame.groupby(_KEY, sort=False).ngroup().to_numpy()
    rows = []
    for rule in rules:
        found = rule.find(frame)
        shown = found.crossing[:_SHOWN_GROUPS]
        examples = "; ".join(f"{found.name(group)} ({found.detail(group)})" for group in shown)
        rows.append(
            {
                "split_strategy": name,
                "rule": rule.name,
                "description": rule.description,
                "groups": len(found),
                "groups_crossing": len(found.crossing),
                "wells_crossing": pd.unique(well_codes[found.crossing_rows]).size,
                "promised": rule.name in promised,
                "verdict": _verdict(len(found.crossing), rule.name in promised),
                "examples": examples or None,
                "note": rule.note(frame, found),
            }
        )
    return LEAKAGE_AUDIT.normalise(pd.DataFrame(rows), f"leakage audit of {name}")


def _verdict(n_crossing: int, promised: bool) -> str:
    if not n_crossing:
        return "ok"
    return "breach" if promised else "warning"


def _require_own(manifest: pd.DataFrame, strategy: str) -> None:
    """Check all of a manifest but its key, and that it is of the strategy."""
    source = f"split manifest {require_strategy(strategy)}"
    SPLIT_MANIFEST.check_values(manifest, source)
    others = sorted(set(manifest["split_strategy"]) - {strategy})
    if others:
        raise BadTableError(f"{source}: holds wells of strategy {', '.join(others)}")


def _own_frame(manifest: pd.DataFrame, wells: pd.DataFrame, perturbations: pd.DataFrame, strategy: str) -> pd.DataFrame:
    """Situate a manifest of ours beside what its strategy assigns."""
    _require_own(manifest, strategy)
    expected = _expected(manifest, wells, strategy).rename(columns={"subset": "expected_subset"})
    assignment = manifest[[*_KEY, "subset"]].merge(expected[[*_KEY, "expected_subset"]], on=_KEY, how="left")
    return situate(assignment, wells, perturbations)


def _expected(manifest: pd.DataFrame, wells: pd.DataFrame, strategy: str) -> pd.DataFrame:
    """Assign again, under the control policy that the manifest states; an empty manifest states the default.

    The policy says by itself which known issues it leaves out, and ``wells`` where they are: nothing else is needed.
    """
    policies = list(manifest["control_policy"].unique()) or [DEFAULT_POLICY]
    if len(policies) > 1:
        raise BadTableError(f"split manifest {strategy}: one control policy expected, found {', '.join(policies)}")
    return split_manifest(wells, strategy, policy=policies[0])


def _facts_of_wells(wells: pd.DataFrame, columns: Iterable[str]) -> pd.DataFrame:
    """Give some columns of each well, by plate and position; of a plate that several batches imaged, the first."""
    keys = wells[["Metadata_Batch", *_KEY]].reset_index(drop=True)
    first = keys.sort_values("Metadata_Batch", kind="stable").drop_duplicates(_KEY).index.to_numpy()
    return wells[[*_KEY, *columns]].take(first)


def _name_wells(frame: pd.DataFrame, found: Groups, limit: int) -> pd.DataFrame:
    # Each group gives a row to the first turn, so that later groups than these are not reached.
    reached = np.isin(found.codes, found.crossing[:limit])
    rows = frame.loc[reached, [*_KEY, "subset"]].assign(group_code=found.codes[reached])
    rows = rows.sort_values(["group_code", *_KEY, "subset"])
    # One well of each subset of each group, then a second of each, and so on.
    rows["turn"] = rows.groupby(["group_code", "subset"], observed=True).cumcount()
    rows = rows.sort_values(["turn", "group_code", "subset", *_KEY]).head(limit)
    return pd.DataFrame(
        {
            "Metadata_Plate": rows["Metadata_Plate"],
            "Metadata_Well": rows["Metadata_Well"],
            "subset": rows["subset"].astype(STRING),
            "group": [found.name(code) for code in rows["group_code"]],
        }
    ).reset_index(drop=True)
