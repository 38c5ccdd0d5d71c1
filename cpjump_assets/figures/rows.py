"""Which rows of a table a figure may show together.

Belongs here: the refusal of no rows and of rows of several rules, and the words for the one rule and for what a row
compares. Does not belong here: drawing.
"""

from collections.abc import Sequence

import pandas as pd

from cpjump_assets.science.errors import BadTableError
from cpjump_assets.science.schemas import EXPERIMENT_TYPES

SCORE_RULE = ("split_strategy", "subset", "metric_mode", "p_convention", "q_threshold", "wells")
"""What makes score rows comparable; the strategy is a column only in the tables of a strategy."""
SELECTION = ("split_strategy", "subset", "wells")
"""The same for scores that have but one rule."""
TIME_WORDS = {"low": "short", "high": "long"}
"""What the papers call the two times of a modality, by the code that tables have."""


class NothingToDrawError(BadTableError):
    """A table has no row of what a figure shows, such as a modality of which no plate is there."""


def require_rows(rows: pd.DataFrame, wanted: str) -> pd.DataFrame:
    """Return the rows that a figure is made of.

    Raises
    ------
    NothingToDrawError
        If there is none.
    """
    if rows.empty:
        raise NothingToDrawError(f"nothing to draw: the table has no row of {wanted}")
    return rows


def one_rule(columns: Sequence[str], *tables: pd.DataFrame) -> str:
    """Give the rule that all rows of the tables share, in words; columns that no table has are left out.

    Raises
    ------
    BadTableError
        If there are several: rows of different rules never stand side by side in one figure.
    """
    words = []
    for column in columns:
        values = sorted({str(value) for table in tables if column in table for value in table[column].unique()})
        if len(values) > 1:
            raise BadTableError(
                f"a figure shows rows of one {column}, but the tables hold {len(values)}: {', '.join(values)}"
            )
        words += [f"{column} {value}" for value in values]
    return ", ".join(words)


def require_unique(rows: pd.DataFrame, key: Sequence[str], table: str) -> None:
    """Refuse two rows for one place in a figure.

    Raises
    ------
    BadTableError
        If a key comes twice.
    """
    again = rows.duplicated(list(key))
    if again.any():
        first = ", ".join(map(str, rows.loc[again, list(key)].iloc[0]))
        raise BadTableError(f"{table}: a figure shows one row for each condition, but {first} comes more than once")


def reason(note: object) -> str:
    """Give the note of a row without a number, as words in a figure."""
    return "no reason is noted" if pd.isna(note) else str(note)


def in_order(rows: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Sort rows by columns; modalities, as in the papers, from the strongest phenotypes to the weakest."""

    def places(values: pd.Series) -> pd.Series:
        return values.map(EXPERIMENT_TYPES.index) if str(values.name).endswith("experiment_type") else values

    return rows.sort_values(list(by), key=places)


def reference_words(rows: pd.DataFrame) -> pd.Series:
    """Name what each row searches across modalities, to stand below the name of its condition; empty within one."""
    words = "\n" + rows["reference_experiment_type"] + " " + rows["reference_timepoint"].astype("str") + " h"
    return words.where(rows["reference_experiment_type"] != rows["Metadata_experiment_type"], "")
