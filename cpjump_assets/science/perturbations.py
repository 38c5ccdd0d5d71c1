"""The reagents: compounds, CRISPR guides, ORFs and DMSO, one row each.

Belongs here: the JUMP-Target-1 annotations of the three modalities and the names of the official split table, brought
into one table. Does not belong here: which compounds are one (``identity``), or where a reagent lies (``wells``).
"""

from collections.abc import Mapping

import pandas as pd

from cpjump_assets.science.errors import BadTableError
from cpjump_assets.science.identity import first_blocks, identity_groups, normalize_names
from cpjump_assets.science.raw_tables import integers, require_agreement, require_rows
from cpjump_assets.science.schemas import CONTROL_TYPES, PERTURBATION_TYPES, PERTURBATIONS, STRING, Column, TableSchema

DMSO = "DMSO"
EMPTY = "empty"

COMPOUND_FILE = "JUMP-Target-1_compound_metadata.tsv"
CRISPR_FILE = "JUMP-Target-1_crispr_metadata.tsv"
ORF_FILE = "JUMP-Target-1_orf_metadata.tsv"
OFFICIAL_FILE = "cpjump1_metadata.csv"
TARGET_LIST_FILES = (
    "JUMP-Target-1_compound_metadata_additional_annotations.tsv",
    "JUMP-Target-1_compound_metadata_targets.tsv",
)
"""Sources of compound target lists, the better first: the benchmark of 2024 took its lists from the first."""

_BROAD_SAMPLE = Column("broad_sample", "string", "reagent")
_KINDS = (
    Column("pert_type", "string", "trt or control", allowed=PERTURBATION_TYPES),
    Column("control_type", "string", "kind of control", nullable=True, allowed=CONTROL_TYPES),
)
_COMPOUNDS = TableSchema(
    COMPOUND_FILE,
    "a compound",
    ("broad_sample",),
    (
        _BROAD_SAMPLE,
        *_KINDS,
        Column("InChIKey", "string", "hashed structure", nullable=True),
        Column("pert_iname", "string", "name"),
        Column("pubchem_cid", "string", "id in PubChem", nullable=True),
        Column("target", "string", "gene", nullable=True),
        Column("smiles", "string", "structure", nullable=True),
    ),
)
_TARGET_LISTS = TableSchema(
    "target lists",
    "a compound",
    ("broad_sample",),
    (
        _BROAD_SAMPLE,
        Column("pert_iname", "string", "name"),
        Column("target_list", "string", "gene|gene|...", nullable=True),
    ),
)
_GUIDES = TableSchema(
    CRISPR_FILE,
    "a guide",
    ("broad_sample",),
    (
        _BROAD_SAMPLE,
        *_KINDS,
        Column("gene", "string", "gene", nullable=True),
        Column("target_sequence", "string", "guide sequence", nullable=True),
        Column("negcon_control_type", "string", "what a negative control cuts", nullable=True),
    ),
)
_ORFS = TableSchema(ORF_FILE, "an ORF", ("broad_sample",), (_BROAD_SAMPLE, *_KINDS, Column("gene", "string", "gene")))
_OFFICIAL_NAMES = (
    "Metadata_broad_sample",
    "Metadata_pert_iname",
    "Metadata_target_radix",
    "Metadata_target",
    "Metadata_pert_type",
    "Metadata_control_type",
)
_OFFICIAL = TableSchema(
    OFFICIAL_FILE,
    "a reagent",
    ("Metadata_broad_sample",),
    tuple(
        Column(name, "string", "as in the official split table", nullable=name != "Metadata_broad_sample")
        for name in _OFFICIAL_NAMES
    ),
)


def perturbation_table(
    *,
    compounds: pd.DataFrame,
    target_lists: Mapping[str, pd.DataFrame],
    crispr: pd.DataFrame,
    orf: pd.DataFrame,
    official: pd.DataFrame,
) -> pd.DataFrame:
    """Bring the annotations of all reagents into one table.

    All frames have their files' own column names and every value as a string.

    Parameters
    ----------
    compounds
        ``JUMP-Target-1_compound_metadata.tsv``. Exactly one row, DMSO, has no ``broad_sample``.
    target_lists
        Compound target lists by file name; the first of ``TARGET_LIST_FILES`` that is there is used, and named in the
        table.
    crispr
        ``JUMP-Target-1_crispr_metadata.tsv``. The target of a negative control is what it cuts: ``NO_SITE`` or
        ``ONE_INTERGENIC_SITE``.
    orf
        ``JUMP-Target-1_orf_metadata.tsv``. One all-blank row stands for the empty wells, and is dropped.
    official
        The official split table, ``cpjump1_metadata.csv``. It gives names and the target order, and must agree with the
        annotations on target and control type.

    Returns
    -------
    DataFrame
        ``PERTURBATIONS``; 817 rows for the published files: 306 compounds, 335 guides, 175 ORFs and DMSO.

    Raises
    ------
    BadTableError
        If a file lacks a column, has another blank row than those named, repeats a reagent, or disagrees with another.
    """
    parts = [_compound_rows(compounds, target_lists), _guide_rows(crispr), _orf_rows(orf)]
    table = pd.concat(parts, ignore_index=True).reindex(columns=PERTURBATIONS.column_names)
    table = _with_official_names(table, official)
    table["Metadata_pert_iname_normalized"] = normalize_names(table["Metadata_pert_iname"])
    table["Metadata_InChIKey_block1"] = first_blocks(table["Metadata_InChIKey"].astype(STRING))
    table["Metadata_identity_group"] = table["Metadata_broad_sample"]
    compound = (table["Metadata_experiment_type"] == "Compound") & (table["Metadata_broad_sample"] != DMSO)
    table.loc[compound, "Metadata_identity_group"] = identity_groups(table[compound])
    return PERTURBATIONS.normalise(table, "perturbations")


def _compound_rows(compounds: pd.DataFrame, target_lists: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    compounds = _with_dmso_named(compounds, _COMPOUNDS, COMPOUND_FILE)
    source, lists = _target_lists(target_lists)
    unlisted = ~compounds["broad_sample"].isin(lists.index)
    if unlisted.any():
        names = ", ".join(compounds.loc[unlisted, "broad_sample"].head(5))
        raise BadTableError(f"{source}: {int(unlisted.sum())} compounds of {COMPOUND_FILE} are missing: {names}")
    listed = compounds["broad_sample"].map(lists)
    return _common_columns(compounds, "Compound").assign(
        Metadata_target=compounds["target"],
        Metadata_target_list=listed,
        Metadata_target_list_source=_where(listed.notna(), source),
        Metadata_pert_iname_annotation=compounds["pert_iname"],
        Metadata_InChIKey=compounds["InChIKey"],
        Metadata_smiles=compounds["smiles"],
        Metadata_pubchem_cid=compounds["pubchem_cid"],
    )


def _with_dmso_named(frame: pd.DataFrame, schema: TableSchema, source: str) -> pd.DataFrame:
    """Give the one row without a ``broad_sample``, which must be DMSO, the id ``DMSO``; then check the table."""
    require_rows(frame, source)
    schema.require_columns(frame, source)
    blank = frame["broad_sample"].isna()
    names = frame.loc[blank, "pert_iname"].tolist()
    if names != [DMSO]:
        raise BadTableError(f"{source}: exactly one row, DMSO, may have no broad_sample; found {names or 'none'}")
    named = frame.assign(broad_sample=frame["broad_sample"].fillna(DMSO))
    schema.check(named, source)
    return named


def _target_lists(files: Mapping[str, pd.DataFrame]) -> tuple[str, pd.Series]:
    for source in TARGET_LIST_FILES:
        if source in files:
            frame = _with_dmso_named(files[source], _TARGET_LISTS, source)
            return source, frame.set_index("broad_sample")["target_list"]
    raise BadTableError(f"no compound target lists: expected {' or '.join(TARGET_LIST_FILES)}")


def _guide_rows(crispr: pd.DataFrame) -> pd.DataFrame:
    require_rows(crispr, CRISPR_FILE)
    _GUIDES.check(crispr, CRISPR_FILE)
    # "NO_SITE (5 zeros)" tells how far the guide is from any site; the official table keeps what stands before it.
    cuts = crispr["negcon_control_type"].astype(STRING).str.extract(r"^(.*?)(?: \(|$)", expand=False)
    return _common_columns(crispr, "CRISPR").assign(
        Metadata_target=crispr["gene"].fillna(cuts),
        Metadata_target_list=crispr["gene"],
        Metadata_target_list_source=_where(crispr["gene"].notna(), CRISPR_FILE),
        Metadata_target_sequence=crispr["target_sequence"],
    )


def _orf_rows(orf: pd.DataFrame) -> pd.DataFrame:
    require_rows(orf, ORF_FILE)
    blank = orf.isna().all(axis="columns")
    if blank.sum() > 1:
        raise BadTableError(f"{ORF_FILE}: one all-blank row stands for the empty wells; found {int(blank.sum())}")
    reagents = orf[~blank]
    _ORFS.check(reagents, ORF_FILE)
    return _common_columns(reagents, "ORF").assign(
        Metadata_target=reagents["gene"], Metadata_target_list=reagents["gene"], Metadata_target_list_source=ORF_FILE
    )


def _common_columns(frame: pd.DataFrame, experiment_type: str) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "Metadata_broad_sample": frame["broad_sample"],
            "Metadata_experiment_type": experiment_type,
            "Metadata_pert_type": frame["pert_type"],
            "Metadata_control_type": frame["control_type"],
        },
        index=frame.index,
    )


def _where(present: pd.Series, value: str) -> pd.Series:
    return pd.Series(value, index=present.index, dtype=STRING).where(present)


def _with_official_names(table: pd.DataFrame, official: pd.DataFrame) -> pd.DataFrame:
    reagents = _official_reagents(official)
    unknown = sorted(set(reagents["Metadata_broad_sample"]) - set(table["Metadata_broad_sample"]))
    if unknown:
        raise BadTableError(f"{OFFICIAL_FILE}: {len(unknown)} reagents have no annotation: {', '.join(unknown[:5])}")
    joined = table.merge(reagents, on="Metadata_broad_sample", how="left", suffixes=("", "_official"))
    both = joined[joined["Metadata_broad_sample"].isin(reagents["Metadata_broad_sample"])]
    for column in ("Metadata_target", "Metadata_pert_type", "Metadata_control_type"):
        require_agreement(
            both,
            column,
            f"{column}_official",
            key=["Metadata_broad_sample"],
            source="JUMP-Target-1 annotations",
            other=OFFICIAL_FILE,
        )
    names = joined["Metadata_pert_iname_official"]
    names = names.fillna(joined["Metadata_pert_iname_annotation"]).fillna(joined["Metadata_broad_sample"])
    return joined.assign(Metadata_pert_iname=names, Metadata_target_radix=joined["Metadata_target_radix_official"])[
        PERTURBATIONS.column_names
    ]


def _official_reagents(official: pd.DataFrame) -> pd.DataFrame:
    """Give the official table's reagents, one row each; what it says of one must be the same in all its wells."""
    require_rows(official, OFFICIAL_FILE)
    _OFFICIAL.require_columns(official, OFFICIAL_FILE)
    reagents = official.loc[official["Metadata_broad_sample"] != EMPTY, list(_OFFICIAL_NAMES)].drop_duplicates()
    _OFFICIAL.check(reagents, f"{OFFICIAL_FILE}, what its wells say of each reagent")
    radix = integers(reagents, "Metadata_target_radix", key=["Metadata_broad_sample"], source=OFFICIAL_FILE)
    return reagents.assign(Metadata_target_radix=radix)
