"""Reading the columns of raw reference tables, whose every value is a string.

Belongs here: strings to numbers and truth values, with errors that name the file and the row, and the comparison of two
sources that must agree. Does not belong here: what the columns mean.
"""

from collections.abc import Sequence

import pandas as pd

from cpjump_assets.science.errors import BadTableError
from cpjump_assets.science.schemas import STRING

_SHOWN = 5
_TRUTH = {"TRUE": True, "FALSE": False}


def integers(frame: pd.DataFrame, column: str, *, key: Sequence[str], source: str) -> pd.Series:
    """Read a column of whole numbers; missing stays missing.

    Returns
    -------
    Series of Int64
        Aligned with ``frame``.

    Raises
    ------
    BadTableError
        If a value is not a whole number; up to five rows are named by ``key``.
    """
    values = frame[column].astype(STRING)
    whole = values.isna() | values.str.fullmatch(r"[+-]?\d+")
    _refuse(frame, ~whole, column, "whole numbers", key=key, source=source)
    return pd.to_numeric(values).astype("Int64")


def truth_values(frame: pd.DataFrame, column: str, *, key: Sequence[str], source: str) -> pd.Series:
    """Read a column of ``TRUE`` and ``FALSE``; missing stays missing.

    Returns
    -------
    Series of boolean
        Aligned with ``frame``.

    Raises
    ------
    BadTableError
        If a value is neither; up to five rows are named by ``key``.
    """
    known = frame[column].isna() | frame[column].isin(list(_TRUTH))
    _refuse(frame, ~known, column, "TRUE or FALSE", key=key, source=source)
    return frame[column].map(_TRUTH).astype("boolean")


def require_rows(frame: pd.DataFrame, source: str) -> None:
    """Raise ``BadTableError`` if a table has no rows."""
    if frame.empty:
        raise BadTableError(f"{source}: the table has no rows")


def require_agreement(
    frame: pd.DataFrame, ours: str, theirs: str, *, key: Sequence[str], source: str, other: str
) -> None:
    """Check that two columns say the same in every row; missing agrees with missing only.

    Parameters
    ----------
    frame
        Rows that both sources describe.
    ours, theirs
        Columns of strings, from ``source`` and from ``other``.
    key
        Columns that name a row in the message.
    source, other
        What to call the two sources.

    Raises
    ------
    BadTableError
        Naming up to five rows with both values.
    """
    left, right = frame[ours], frame[theirs]
    differs = ~((left == right).fillna(False).astype(bool) | (left.isna() & right.isna()))
    if differs.any():
        rows = frame[differs].head(_SHOWN)
        shown = "; ".join(
            f"{' '.join(map(str, row[:-2]))}: {row[-2]!r} against {row[-1]!r}"
            for row in rows[[*key, ours, theirs]].itertuples(index=False, name=None)
        )
        raise BadTableError(f"{source} and {other} differ in {ours} at {int(differs.sum())} rows: {shown}")


def _refuse(
    frame: pd.DataFrame, bad: pd.Series, column: str, expected: str, *, key: Sequence[str], source: str
) -> None:
    if bad.any():
        rows = frame[bad].head(_SHOWN)
        shown = "; ".join(
            f"{row[-1]!r} at {' '.join(map(str, row[:-1]))}"
            for row in rows[[*key, column]].itertuples(index=False, name=None)
        )
        raise BadTableError(f"{source}: column {column} must hold {expected}; found {shown}")
