"""Tables that go to users, or come from them, as files of their own.

Belongs here: writing a table as CSV or Parquet where a user wants it, reading a user's CSV. Does not belong here: the
platform's own tables (``store``).
"""

from pathlib import Path

import pandas as pd

from cpjump_assets.science.errors import BadTableError, StoreError
from cpjump_assets.storage.atomic import atomic_path


def export_table(frame: pd.DataFrame, path: Path) -> None:
    """Write a table, in place of a file that may be there; the suffix says the format.

    Raises
    ------
    StoreError
        If the suffix is neither ``.csv`` nor ``.parquet``, or the file cannot be written.
    """
    require_table_suffix(path)
    with atomic_path(path) as part:
        if path.suffix == ".csv":
            frame.to_csv(part, index=False, lineterminator="\n")
        else:
            frame.to_parquet(part, index=False)


def require_table_suffix(path: Path) -> None:
    """Refuse a name of which ``export_table`` does not know the format: to be asked before a long computation.

    Raises
    ------
    StoreError
        If the suffix is neither ``.csv`` nor ``.parquet``.
    """
    if path.suffix not in (".csv", ".parquet"):
        raise StoreError(f"cannot write {path}: expected a name that ends in .csv or .parquet")


def read_user_csv(path: Path) -> pd.DataFrame:
    """Read a CSV file, every value as text; an empty cell and the usual marks, such as NA, are missing values.

    Raises
    ------
    BadTableError
        If it is no CSV file, is not UTF-8 text, has no rows, or has rows with more values than the header has names.
    """
    try:
        frame = pd.read_csv(path, dtype="str", compression=None)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise BadTableError(f"{path.name}: expected a CSV file with a header: {str(error).strip()}") from error
    except OSError as error:
        raise BadTableError(f"{path.name} cannot be read: {error.strerror or error}") from error
    if frame.empty:
        raise BadTableError(f"{path.name}: expected a row for each well below the header, found none")
    if not isinstance(frame.index, pd.RangeIndex):  # pandas takes the first values for row names, and shifts the others
        raise BadTableError(f"{path.name}: expected a value for each name of the header, found rows with more values")
    return frame
