"""Split manifests that others made, tried against the same rules.

Belongs here: any table that assigns wells of CPJUMP1 to subsets, whatever its subsets are called and whether its rows
are wells, sites or images; and the released split examples. Does not belong here: manifests of our strategies, which
promise more (``leakage``).
"""

from functools import partial

import pandas as pd

from cpjump_assets.science.errors import BadTableError
from cpjump_assets.science.leakage import audit_table, situate
from cpjump_assets.science.leakage_rules import RULES, TRAIN_NAMES, Groups, Rule, number_groups, target_list_rule
from cpjump_assets.science.positions import POSITIONS
from cpjump_assets.science.schemas import STRING, Column, TableSchema
from cpjump_assets.science.strategies import GENE_COMPOUND, REPRESENTATION

SUBSET_COLUMNS = (
    "subset",
    "Metadata_subset",
    "split",
    "Metadata_split",
    "partition",
    "Metadata_partition",
    "fold",
    "Metadata_fold",
)
"""Columns that are taken for the subset, compared without case."""

RELEASED_KEYS: dict[str, tuple[str, ...]] = {
    REPRESENTATION: (
        "Metadata_broad_sample",
        "Metadata_cell_line",
        "Metadata_timepoint",
        "Metadata_experiment_type",
    ),
    GENE_COMPOUND: ("Metadata_target",),
}
"""What a row of the released example of a strategy assigns; the CellCLIP-style strategy has no released example."""

_KEY = ["Metadata_Plate", "Metadata_Well"]


def audit_foreign_manifest(
    frame: pd.DataFrame,
    wells: pd.DataFrame,
    perturbations: pd.DataFrame,
    *,
    name: str = "manifest",
    subset_column: str | None = None,
) -> pd.DataFrame:
    """Try every leakage rule on a manifest from elsewhere.

    Nothing but the well is promised: a well in two subsets is a breach, any other crossing a warning. The plates of the
    bleaching batch, and plates that several batches imaged, count as the physical plate that they are.

    Parameters
    ----------
    frame
        ``Metadata_Plate``, ``Metadata_Well`` and a subset column, as strings; one row or more per well. Rows without a
        subset are left out, and counted in the note of the rule ``well``. Case and outer spaces of a subset do not
        count.
    wells
        ``WELLS``.
    perturbations
        ``PERTURBATIONS``.
    name
        What to call the manifest, in the table and in messages: the name of its file.
    subset_column
        Which column says the subset, compared with case; by default the only one of ``SUBSET_COLUMNS`` that is there.

    Returns
    -------
    DataFrame
        ``LEAKAGE_AUDIT``. Rules about target lists stand for each subset but ``train``.

    Raises
    ------
    BadTableError
        If there is no subset column or more than one, no row has a subset, a plate or well is missing, or is not of
        CPJUMP1; up to five are named.
    """
    column = subset_column or _find_subset_column(frame, name)
    _schema(column).check_values(frame, name)
    assigned = frame[frame[column].notna()]
    if assigned.empty:
        raise BadTableError(f"{name}: column {column} names a subset in no row")
    # "Train" and " train" are what people mean by train; two spellings must not look like two subsets.
    subset = assigned[column].astype(STRING).str.strip().str.lower()
    assignment = assigned[_KEY].assign(subset=subset).drop_duplicates()
    _require_known_wells(assignment, wells, name)
    held_out = sorted(set(assignment["subset"]).difference(TRAIN_NAMES))
    rules = (*RULES, *map(target_list_rule, held_out))
    table = audit_table(situate(assignment, wells, perturbations), rules, name=name, promised=frozenset({"well"}))
    if len(assigned) < len(frame):
        table.loc[table["rule"] == "well", "note"] = f"{len(frame) - len(assigned)} rows without a subset are left out"
    return table


def released_agreement(
    manifest: pd.DataFrame,
    wells: pd.DataFrame,
    perturbations: pd.DataFrame,
    released: pd.DataFrame,
    *,
    strategy: str,
) -> pd.DataFrame:
    """Compare a manifest with the example split that the authors released.

    Of the published gene-compound example only 68 of 160 targets agree, because it took the targets in the order of the
    file, not of their radix; of the representation example all samples do.

    Parameters
    ----------
    manifest, wells, perturbations
        As in ``leakage.audit``.
    released
        ``representation_learning_split_example_1.csv`` or ``gene_compound_split_example_1.csv``, as strings.
    strategy
        A key of ``RELEASED_KEYS``; any other raises ``KeyError``.

    Returns
    -------
    DataFrame
        ``LEAKAGE_AUDIT`` with the one rule ``released_example``: a group is what a row of the example assigns, and
        crosses when the example puts it elsewhere, or lacks it.

    Raises
    ------
    BadTableError
        If the example lacks a column, or puts one group into two subsets.
    """
    key = RELEASED_KEYS[strategy]
    source = f"released example of {strategy}"
    schema = TableSchema(
        source, "a group", key, tuple(Column(column, "string", "as released") for column in (*key, "Metadata_split"))
    )
    schema.require_columns(released, source)
    assigned = released[schema.column_names].dropna().drop_duplicates()
    schema.check(assigned, source)
    frame = situate(manifest, wells, perturbations)
    theirs = frame[list(key)].astype(STRING).merge(assigned, on=list(key), how="left")["Metadata_split"]
    frame["released_subset"] = theirs.to_numpy()
    description = f"{' and '.join(key)}; crossing when the released example puts it into another subset"
    rule = Rule("released_example", description, partial(_find_disagreements, key), _agreement)
    return audit_table(frame, [rule], name=strategy, promised=frozenset())


def _find_subset_column(frame: pd.DataFrame, name: str) -> str:
    found = [str(column) for column in frame.columns if str(column).lower() in {c.lower() for c in SUBSET_COLUMNS}]
    if len(found) != 1:
        raise BadTableError(
            f"{name}: expected one subset column, such as {', '.join(SUBSET_COLUMNS[:4])}; found "
            f"{', '.join(found) or 'none in ' + ', '.join(map(str, frame.columns[:10]))}"
        )
    return found[0]


def _schema(subset_column: str) -> TableSchema:
    return TableSchema(
        "foreign manifest",
        "a well, a site or an image",
        tuple(_KEY),
        (
            Column("Metadata_Plate", "string", "barcode"),
            Column("Metadata_Well", "string", "A01 to P24"),
            Column(subset_column, "string", "subset", nullable=True),
        ),
    )


def _require_known_wells(assignment: pd.DataFrame, wells: pd.DataFrame, name: str) -> None:
    plates = assignment["Metadata_Plate"]
    unknown_plates = plates[~plates.isin(wells["Metadata_Plate"].unique())].unique()
    if len(unknown_plates):
        raise BadTableError(
            f"{name}: {len(unknown_plates)} plates are not of CPJUMP1: {', '.join(sorted(unknown_plates)[:5])}"
        )
    unknown = assignment[~assignment["Metadata_Well"].isin(POSITIONS.index)]
    if len(unknown):
        shown = "; ".join(unknown[_KEY].drop_duplicates().head(5).agg(" ".join, axis=1))
        raise BadTableError(f"{name}: {len(unknown)} rows name no well A01 to P24: {shown}")


def _find_disagreements(key: tuple[str, ...], frame: pd.DataFrame) -> Groups:
    codes, keys = number_groups(frame, key)
    ours, theirs = frame["subset"].astype(STRING), frame["released_subset"].astype(STRING)
    differs = (ours != theirs).groupby(codes).any()
    detail = (ours + " for " + theirs.fillna("no row")).groupby(codes).first()
    return Groups(
        codes,
        differs.to_numpy(dtype=bool),
        lambda group: " ".join(map(str, keys.iloc[group])),
        lambda group: str(detail.iloc[group]),
    )


def _agreement(frame: pd.DataFrame, groups: Groups) -> str:
    return f"{len(groups) - len(groups.crossing)} of {len(groups)} agree"
