"""Values of cells from Arrow columns: numbers, missing values, and text that stands for either or for neither.

Belongs here: what counts as a number, alike in every format of single cells. Does not belong here: the formats
(``backend_file``, ``site_tables``).
"""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

MISSING = ("", "nan", "NaN", "NA")
"""Texts that stand for a missing value."""


def feature_matrix(columns: pa.RecordBatch) -> NDArray[Any]:
    """Put p columns of n numbers into a (p, n) array; a null becomes NaN, whole numbers beside others become floats."""
    # One pass in C++ over all columns; taking them one by one costs 3 us each, which is more than a small well needs.
    values: NDArray[Any] = columns.to_tensor(null_to_nan=True, row_major=False).to_numpy().T
    return values


def is_number(kind: pa.DataType) -> bool:
    """Tell whether a column of this type holds numbers."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def first_bad(texts: pa.Array) -> int | None:
    """Find the first text that is neither a number nor a mark of a missing value; None if each is one of them."""
    if pa.types.is_binary(texts.type):
        return int(np.flatnonzero(texts.is_valid())[0])
    series = _without_marks(texts)
    bad = series.notna() & pd.to_numeric(series, errors="coerce").isna()
    return int(np.flatnonzero(bad)[0]) if bad.any() else None


def numbers_of(numbers: pa.Array, texts: pa.Array) -> pa.Array:
    """Give the numbers, and where there is none the number that the text says; the texts have passed ``first_bad``."""
    said = pd.to_numeric(_without_marks(texts)).to_numpy(dtype=np.float64)
    return pc.coalesce(numbers.cast(pa.float64()), pa.array(said, from_pandas=True))


def _without_marks(texts: pa.Array) -> "pd.Series[str]":
    series = pd.Series(texts.to_pandas(), dtype="str")
    return series.mask(series.isin(MISSING))
