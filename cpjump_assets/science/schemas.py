"""What the columns of a table are, and whether a frame keeps to it.

Belongs here: ``Column``, ``TableSchema`` and the schemas of the metadata and split tables, each column with the line
that the web UI shows. Does not belong here: checks across tables (``wells``, ``leakage``), or schemas of other groups
of tables, which stand beside the functions that make them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Literal

import numpy as np
import pandas as pd

from cpjump_assets.science.errors import BadTableError
from cpjump_assets.science.policies import POLICIES
from cpjump_assets.science.strategies import STRATEGIES, SUBSETS

Kind = Literal["string", "integer", "number", "boolean"]

STRING = pd.StringDtype(na_value=np.nan)
_DTYPES: dict[tuple[Kind, bool], Any] = {
    ("string", False): STRING,
    ("string", True): STRING,
    ("integer", False): np.dtype("int64"),
    ("integer", True): pd.Int64Dtype(),
    ("number", False): np.dtype("float64"),
    ("number", True): np.dtype("float64"),
    ("boolean", False): np.dtype("bool"),
    ("boolean", True): pd.BooleanDtype(),
}
_SHOWN = 5
_LONGEST_LIST = 300


@dataclass(frozen=True)
class Column:
    """One column: its name, what it holds, and the line that explains it to a reader of the table.

    ``allowed`` lists the values that may stand there, ``bounds`` the least and the greatest number.
    """

    name: str
    kind: Kind
    description: str
    nullable: bool = False
    allowed: tuple[str | int, ...] | None = None
    bounds: tuple[float, float] | None = None


@dataclass(frozen=True)
class TableSchema:
    """The columns of a table, its key, and what one row of it is.

    Columns that are not declared are none of its business: profiles carry thousands of features beside their key.
    """

    name: str
    row_is: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def column_names(self) -> list[str]:
        """Names of the declared columns, in order."""
        return [column.name for column in self.columns]

    def check(self, frame: pd.DataFrame, source: str) -> None:
        """Check that ``frame`` keeps to the schema.

        Parameters
        ----------
        frame
            The table.
        source
            What to call the table in the message: a file, or an asset and its partition.

        Raises
        ------
        BadTableError
            On the first of: a missing column, a value of another type, a missing value, a value that is not allowed, a
            duplicate key. The message names source, column and up to five offending keys.
        """
        self.check_values(frame, source)
        repeated = frame.duplicated(list(self.key), keep=False)
        if repeated.any():
            keys = frame[repeated].drop_duplicates(list(self.key))
            raise BadTableError(
                f"{source}: {len(keys)} keys ({', '.join(self.key)}) come more than once: {self._name_keys(keys)}"
            )

    def check_values(self, frame: pd.DataFrame, source: str) -> None:
        """Check columns and values as ``check`` does, but let a key come more than once."""
        self.require_columns(frame, source)
        for column in self.columns:
            self._check_column(frame, column, source)

    def require_columns(self, frame: pd.DataFrame, source: str) -> None:
        """Raise ``BadTableError`` naming the declared columns that ``frame`` lacks, and the first that it has."""
        missing = [name for name in self.column_names if name not in frame.columns]
        if missing:
            found = ", ".join(map(str, frame.columns[:_SHOWN])) + (", ..." if frame.shape[1] > _SHOWN else "")
            raise BadTableError(f"{source}: columns {', '.join(missing)} are missing; found: {found[:200] or 'none'}")

    def normalise(self, frame: pd.DataFrame, source: str) -> pd.DataFrame:
        """Check ``frame``, then give it the declared types, column order and row order.

        Returns
        -------
        DataFrame
            Declared columns first, any others after them in their own order; sorted by key, index 0..n-1. Equal rows
            in any order give an equal frame.

        Raises
        ------
        BadTableError
            As ``check``.
        """
        self.check(frame, source)
        others = [name for name in frame.columns if name not in self.column_names]
        dtypes = {column.name: _DTYPES[column.kind, column.nullable] for column in self.columns}
        return frame[self.column_names + others].astype(dtypes).sort_values(list(self.key), ignore_index=True)

    def _check_column(self, frame: pd.DataFrame, column: Column, source: str) -> None:
        values = frame[column.name]
        present = values.notna()
        self._refuse(frame, present & ~_is_kind(values, column.kind), column, f"must be of type {column.kind}", source)
        if not column.nullable:
            self._refuse(frame, ~present, column, "must have a value in every row", source)
        if column.allowed is not None:
            must_be = f"must be one of {_in_words(column.allowed)}"
            self._refuse(frame, present & ~values.isin(column.allowed), column, must_be, source)
        if column.bounds is not None:
            least, greatest = column.bounds
            inside = values.between(least, greatest).fillna(False).astype(bool)
            self._refuse(frame, present & ~inside, column, f"must lie in {least:g} to {greatest:g}", source)

    def _refuse(self, frame: pd.DataFrame, bad: pd.Series, column: Column, rule: str, source: str) -> None:
        if not bad.any():
            return
        rows = frame[bad]
        found = ", ".join(repr(value) for value in rows[column.name].head(_SHOWN).drop_duplicates())
        where = f" at {self._name_keys(rows)}" if set(self.key) <= set(frame.columns) else ""
        raise BadTableError(f"{source}: column {column.name} {rule}; found {found} in {len(rows)} rows{where}")

    def _name_keys(self, rows: pd.DataFrame) -> str:
        keys = rows[list(self.key)].head(_SHOWN).itertuples(index=False, name=None)
        return "; ".join(" ".join(map(str, key)) for key in keys) + ("; ..." if len(rows) > _SHOWN else "")


def _in_words(allowed: tuple[str | int, ...]) -> str:
    words = ", ".join(map(str, allowed))
    if len(words) <= _LONGEST_LIST:
        return words
    return ", ".join(map(str, allowed[:_SHOWN])) + f", ... ({len(allowed)} in all)"


def _is_kind(values: pd.Series, kind: Kind) -> pd.Series:
    """Say for each value whether it is of a kind; what a missing value gives is of no meaning."""
    dtype = values.dtype
    if pd.api.types.is_object_dtype(dtype):
        return values.map(_OBJECT_TESTS[kind]).astype(bool)
    if kind == "integer" and pd.api.types.is_float_dtype(dtype):
        return (values == np.floor(values)).fillna(False).astype(bool)
    return pd.Series(_DTYPE_TESTS[kind](dtype), index=values.index)


def _is_number(dtype: object) -> bool:
    return pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype)  # type: ignore[arg-type]


_DTYPE_TESTS: dict[Kind, Callable[[object], bool]] = {
    "string": lambda dtype: isinstance(dtype, pd.StringDtype),
    "integer": lambda dtype: pd.api.types.is_integer_dtype(dtype),  # type: ignore[arg-type]
    "number": _is_number,
    "boolean": lambda dtype: pd.api.types.is_bool_dtype(dtype),  # type: ignore[arg-type]
}
_OBJECT_TESTS: dict[Kind, Callable[[object], bool]] = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, Integral) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float | np.number) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool | np.bool_),
}


EXPERIMENT_TYPES = ("Compound", "CRISPR", "ORF")
CELL_LINES = ("A549", "U2OS")
CELL_BACKGROUNDS = ("Parental", "Cas9")
TIMEPOINT_CODES = ("low", "high")
CONTROL_TYPES = ("negcon", "poscon_cp", "poscon_orf", "poscon_diverse")
PERTURBATION_TYPES = ("trt", "control")
INELIGIBLE_REASONS = ("not a primary plate", "absent from the official table", "negative control", "empty")

_BATCH = Column("Metadata_Batch", "string", "batch of plates that were imaged together")
_PLATE = Column("Metadata_Plate", "string", "barcode of the plate; later batches image the same plates again")
_WELL = Column("Metadata_Well", "string", "position on the plate, A01 to P24")
_BROAD_SAMPLE = Column("Metadata_broad_sample", "string", "reagent: id of a compound, guide or ORF, or DMSO, or empty")
_TYPE = Column("Metadata_experiment_type", "string", "modality: one per plate, never mixed", allowed=EXPERIMENT_TYPES)
_CONTROL_TYPE = Column(
    "Metadata_control_type", "string", "kind of control; missing for a treatment", nullable=True, allowed=CONTROL_TYPES
)
_TARGET = Column(
    "Metadata_target",
    "string",
    "gene that the reagent acts on; for CRISPR negative controls why they cut nothing of interest; missing for DMSO",
    nullable=True,
)
_RADIX = Column(
    "Metadata_target_radix",
    "integer",
    "place of the target in the official order; missing where the official table has none",
    nullable=True,
)
_CONDITION = (
    Column("Metadata_cell_line", "string", "cell line", allowed=CELL_LINES),
    Column("Metadata_timepoint", "integer", "hours from perturbation to staining"),
    Column(
        "Metadata_timepoint_code",
        "string",
        "low: the earlier of the modality's two times (the papers' short), high: the later (long)",
        allowed=TIMEPOINT_CODES,
    ),
    Column("Metadata_density", "integer", "seeding density in percent of the standard"),
    Column("Metadata_antibiotics", "string", "antibiotic that selects the infected cells, or absent"),
    Column(
        "Metadata_cell_background",
        "string",
        "Parental, or Cas9 for cells that express it",
        allowed=CELL_BACKGROUNDS,
    ),
    Column("Metadata_time_delay", "string", "time from staining to imaging: Day0 to Week4"),
)
_ANOMALY = Column("Metadata_anomaly", "string", "stain that went wrong on the plate, or none")
_IS_PRIMARY = Column(
    "Metadata_is_primary", "boolean", "one of the 40 plates of the 12 conditions that the published benchmark scores"
)

EXPERIMENT_METADATA = TableSchema(
    "experiment_metadata",
    "a plate acquisition",
    ("Metadata_Batch", "Metadata_Plate"),
    (
        _BATCH,
        _PLATE,
        Column("Metadata_plate_map_name", "string", "plate map that says which reagent is in which well"),
        _TYPE,
        *_CONDITION,
        Column("Metadata_times_imaged", "integer", "how often the plate had been imaged, this time included"),
        _ANOMALY,
        Column("Metadata_number_of_images", "integer", "image files: wells x sites x 8 channels, less the lost ones"),
        _IS_PRIMARY,
    ),
)

PERTURBATIONS = TableSchema(
    "perturbations",
    "a reagent",
    ("Metadata_broad_sample",),
    (
        Column("Metadata_broad_sample", "string", "reagent: id of a compound, guide or ORF, or DMSO"),
        Column("Metadata_experiment_type", "string", "modality of the reagent", allowed=EXPERIMENT_TYPES),
        Column("Metadata_pert_type", "string", "treatment (trt) or control", allowed=PERTURBATION_TYPES),
        _CONTROL_TYPE,
        _TARGET,
        Column(
            "Metadata_target_list",
            "string",
            "genes that the reagent is known to act on, gene|gene|...",
            nullable=True,
        ),
        Column("Metadata_target_list_source", "string", "annotation file of the target list", nullable=True),
        Column("Metadata_pert_iname", "string", "name in the official split table, else in the annotation"),
        Column("Metadata_pert_iname_annotation", "string", "name in the compound annotation", nullable=True),
        Column("Metadata_pert_iname_normalized", "string", "name without case, punctuation and spaces"),
        Column("Metadata_InChIKey", "string", "hashed structure of a compound", nullable=True),
        Column(
            "Metadata_InChIKey_block1",
            "string",
            "first block: the skeleton without stereo",
            nullable=True,
        ),
        Column("Metadata_smiles", "string", "structure of a compound", nullable=True),
        Column("Metadata_pubchem_cid", "string", "compound id in PubChem", nullable=True),
        Column("Metadata_target_sequence", "string", "sequence of a CRISPR guide", nullable=True),
        Column(
            "Metadata_identity_group",
            "string",
            "compounds joined by name, normalized name or skeleton share one label, the first of their ids",
        ),
        _RADIX,
    ),
)

WELLS = TableSchema(
    "wells",
    "a well of one plate acquisition",
    ("Metadata_Batch", "Metadata_Plate", "Metadata_Well"),
    (
        _BATCH,
        _PLATE,
        _WELL,
        Column("Metadata_row", "integer", "row on the plate, 1 (A) to 16 (P)", allowed=tuple(range(1, 17))),
        Column("Metadata_column", "integer", "column on the plate, 1 to 24", allowed=tuple(range(1, 25))),
        Column("Metadata_is_outer", "boolean", "within two rows or columns of the edge"),
        _BROAD_SAMPLE,
        _TYPE,
        Column(
            "Metadata_pert_type", "string", "treatment (trt), control or empty", allowed=(*PERTURBATION_TYPES, "empty")
        ),
        _CONTROL_TYPE,
        _TARGET,
        Column("Metadata_pert_iname", "string", "name of the reagent, as in perturbations"),
        *_CONDITION,
        _ANOMALY,
        _IS_PRIMARY,
        Column(
            "Metadata_target_is_across",
            "boolean",
            "all three modalities have the target; missing where the official table lacks the well",
            nullable=True,
        ),
        _RADIX,
        Column("Metadata_in_official_table", "boolean", "the official split table has the well"),
        Column("Metadata_eligible", "boolean", "takes part in splits under the default control policy"),
        Column(
            "Metadata_ineligible_reason",
            "string",
            "the first reason why the well takes no part in splits; missing when it does",
            nullable=True,
            allowed=INELIGIBLE_REASONS,
        ),
    ),
)

SPLIT_MANIFEST = TableSchema(
    "split_manifest",
    "a well that the strategy assigns to a subset",
    ("Metadata_Plate", "Metadata_Well"),
    (
        Column("split_strategy", "string", "strategy that assigned the well", allowed=STRATEGIES),
        Column("subset", "string", "train, validate or test", allowed=SUBSETS),
        Column(
            "control_policy",
            "string",
            "which controls were left out, and which wells with known issues",
            allowed=tuple(POLICIES),
        ),
        _PLATE,
        _WELL,
        _BROAD_SAMPLE,
        _TYPE,
        _TARGET,
    ),
)

LEAKAGE_AUDIT = TableSchema(
    "leakage_audit",
    "a leakage rule, tried on one manifest",
    ("split_strategy", "rule"),
    (
        Column("split_strategy", "string", "strategy of the manifest, or the name of a manifest from elsewhere"),
        Column("rule", "string", "name of the rule"),
        Column("description", "string", "what one group is, and what is counted as crossing"),
        Column("groups", "integer", "groups that the manifest has"),
        Column("groups_crossing", "integer", "groups that break the rule"),
        Column("wells_crossing", "integer", "wells of those groups"),
        Column("promised", "boolean", "the strategy promises that no group breaks the rule"),
        Column("verdict", "string", "ok, breach of a promise, or warning", allowed=("ok", "breach", "warning")),
        Column("examples", "string", "up to five groups that break the rule, with their subsets", nullable=True),
        Column("note", "string", "what the counts alone do not say", nullable=True),
    ),
)

FIGURE_FILES = TableSchema(
    "benchmark_figures",
    "a figure of the papers, drawn from our tables, as two files",
    ("figure",),
    (
        Column("figure", "string", "name of both files"),
        Column("title", "string", "what it shows"),
        Column("png", "string", "path of the PNG below the store"),
        Column("png_bytes", "integer", "size of the PNG"),
        Column("png_sha256", "string", "digest of the PNG"),
        Column("svg", "string", "path of the SVG below the store"),
        Column("svg_bytes", "integer", "size of the SVG"),
        Column("svg_sha256", "string", "digest of the SVG"),
    ),
)
