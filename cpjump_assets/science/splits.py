"""Which subset each well goes to, under the three strategies.

Belongs here: which wells a control policy leaves out, and the assignment rule of each strategy, exact and without
chance. Does not belong here: the names of the policies (``policies``), whether an assignment leaks (``leakage``).
"""

import hashlib
from collections.abc import Callable

import numpy as np
import pandas as pd

from cpjump_assets.science.errors import BadTableError
from cpjump_assets.science.known_issues import concerned, known_issues
from cpjump_assets.science.perturbations import EMPTY
from cpjump_assets.science.policies import (
    CONTROL_POLICIES,
    DEFAULT_POLICY,
    DROP_CONTROLS_AND_EMPTY,
    DROP_NEGCON_AND_EMPTY,
    KEEP_ALL,
    require_policy,
)
from cpjump_assets.science.schemas import SPLIT_MANIFEST, STRING
from cpjump_assets.science.strategies import (
    CELLCLIP,
    GENE_COMPOUND,
    REPRESENTATION,
    STRATEGIES,
    SUBSETS,
    require_strategy,
)

__all__ = [
    "CONTROL_POLICIES",
    "DEFAULT_POLICY",
    "SLICE",
    "STRATEGIES",
    "SUBSETS",
    "assignment_sha256",
    "split_manifest",
    "target_subsets",
]

SLICE = ("Metadata_cell_line", "Metadata_experiment_type", "Metadata_timepoint")
"""A condition of the benchmark; the CellCLIP-style strategy splits inside each."""


def split_manifest(wells: pd.DataFrame, strategy: str, *, policy: str = DEFAULT_POLICY) -> pd.DataFrame:
    """Assign the wells of the primary plates to subsets.

    Parameters
    ----------
    wells
        ``WELLS``, in any row order. Wells of other plates, and wells that the official table lacks, take no part.
    strategy
        One of ``STRATEGIES``.
    policy
        One of ``POLICIES``: which controls take part, and the wells of which known issues do not.
        ``cpjump1_official_gene_compound`` takes only wells whose target all modalities have, so that no policy brings
        negative controls or empty wells into it; a policy that leaves out positive controls leaves fewer targets to
        split (130 of 160), and so moves the cuts.

    Returns
    -------
    DataFrame
        ``SPLIT_MANIFEST``, sorted by plate and well; equal wells in any order give an equal manifest. Default policy on
        the published tables: 12,729 wells each, train/validate/test 7,679/2,490/2,560 for
        ``cpjump1_official_representation``, 7,636/2,543/2,550 for ``cpjump1_official_gene_compound`` and 9,560/0/3,169
        for ``cellclip_cpjump_style``.

    Raises
    ------
    UnknownStrategyError
        For any other strategy.
    BadTableError
        For an unknown policy, a well that comes twice, or a target without one place in the official order.

    Notes
    -----
    Wells with known issues are left out before the rest is assigned. Under ``cpjump1_official_representation`` the
    subset of a well depends on the well alone, and the others stay where they are. Under the two other strategies a
    target, or a sample of a slice, that loses all its wells leaves the order that is cut, and others may move. On the
    published tables none does: each of the 160 targets keeps wells in all modalities, and a slice keeps all its samples
    or none. There, beside what the default policy leaves out,

    - ``seeding_failure`` leaves out the 251 other wells of BR00116995: 12,478 remain (7,679/2,239/2,560,
      7,488/2,495/2,495 and 9,373/0/3,105), in all 12 slices;
    - ``stain_anomaly`` leaves out 26 of 40 plates, BR00116995 among them: 4,479 wells remain (2,559/0/1,920,
      2,688/896/895 and 3,367/0/1,112). Nothing is left to validate a representation on, because all compound plates of
      the early time are WGA plates, and 5 of 12 slices remain: compounds at 48 h and ORFs at 48 h in both cell lines,
      CRISPR at 144 h in A549;
    - ``absent_from_official_table`` leaves out nothing more: these wells take no part under any policy.
    """
    assign = _ASSIGN[require_strategy(strategy)]
    chosen = require_policy(policy)
    taking_part = wells[wells["Metadata_is_primary"] & wells["Metadata_in_official_table"]]
    candidates = taking_part[_CONTROL_MASKS[chosen.base](taking_part)]
    if chosen.without:
        issues = known_issues(wells)
        candidates = candidates[~concerned(candidates, issues[issues["issue"].isin(chosen.without)])]
    manifest = candidates.assign(split_strategy=strategy, subset=assign(candidates), control_policy=policy)
    manifest = manifest.loc[manifest["subset"].notna(), SPLIT_MANIFEST.column_names]
    return SPLIT_MANIFEST.normalise(manifest, f"split manifest {strategy}")


def target_subsets(wells: pd.DataFrame) -> pd.Series:
    """Assign whole targets: the first floor(0.6 n) in radix and name order train, the next ceil(0.2 n) validate.

    Parameters
    ----------
    wells
        The wells to assign, with ``Metadata_target`` and ``Metadata_target_radix``.

    Returns
    -------
    Series of str
        Subset by target, in official order. With the 160 published targets 96, 32 and 32, cut after radix 106 and 140.

    Raises
    ------
    BadTableError
        If a target is missing, or has no radix or more than one.
    """
    targets = wells[["Metadata_target", "Metadata_target_radix"]].drop_duplicates()
    bad = targets.isna().any(axis="columns") | targets.duplicated("Metadata_target", keep=False)
    if bad.any():
        shown = "; ".join(f"{target} {radix}" for target, radix in targets[bad].head(5).itertuples(index=False))
        raise BadTableError(f"wells: every target that is split must have exactly one radix; found {shown}")
    ordered = targets.sort_values(["Metadata_target_radix", "Metadata_target"])["Metadata_target"]
    n = len(ordered)
    # In whole numbers, because 0.6 * n and 0.2 * n fall beside the integer for some n.
    n_train, n_validate = 6 * n // 10, -(-2 * n // 10)
    subsets = np.repeat(SUBSETS, [n_train, n_validate, n - n_train - n_validate])
    return pd.Series(subsets, index=pd.Index(ordered, name="Metadata_target"), dtype=STRING)


def assignment_sha256(manifest: pd.DataFrame) -> str:
    """Hash an assignment: the sha256 of its sorted ``plate,well,subset`` lines, each ended by a newline.

    The same on every machine and with every version of the libraries, unlike the bytes of a stored file.
    """
    rows = manifest[["Metadata_Plate", "Metadata_Well", "subset"]].itertuples(index=False, name=None)
    return hashlib.sha256("".join(sorted(",".join(row) + "\n" for row in rows)).encode()).hexdigest()


def _representation(wells: pd.DataFrame) -> pd.Series:
    compound = wells["Metadata_experiment_type"] == "Compound"
    early = wells["Metadata_timepoint_code"] == "low"
    subsets = np.select([~compound, early], ["train", "validate"], default="test")
    return pd.Series(subsets, index=wells.index, dtype=STRING)


def _gene_compound(wells: pd.DataFrame) -> pd.Series:
    across = wells["Metadata_target_is_across"].fillna(False).astype(bool)
    return wells["Metadata_target"].where(across).map(target_subsets(wells[across]))


def _cellclip(wells: pd.DataFrame) -> pd.Series:
    key = [*SLICE, "Metadata_broad_sample"]
    samples = wells[key].drop_duplicates().sort_values(key)
    by_slice = samples.groupby(list(SLICE))["Metadata_broad_sample"]
    # int(0.75 n) in whole numbers.
    in_train = by_slice.cumcount() < 3 * by_slice.transform("size") // 4
    samples["subset"] = np.where(in_train, "train", "test")
    return wells[key].merge(samples, on=key, how="left")["subset"].set_axis(wells.index)


_ASSIGN: dict[str, Callable[[pd.DataFrame], pd.Series]] = {
    REPRESENTATION: _representation,
    GENE_COMPOUND: _gene_compound,
    CELLCLIP: _cellclip,
}
_CONTROL_MASKS: dict[str, Callable[[pd.DataFrame], pd.Series]] = {
    DROP_NEGCON_AND_EMPTY: lambda wells: (
        (wells["Metadata_control_type"] != "negcon") & (wells["Metadata_broad_sample"] != EMPTY)
    ),
    DROP_CONTROLS_AND_EMPTY: lambda wells: wells["Metadata_pert_type"] == "trt",
    KEEP_ALL: lambda wells: pd.Series(True, index=wells.index),
}
