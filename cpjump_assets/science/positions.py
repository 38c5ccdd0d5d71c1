"""Positions on a 384-well plate: names, rows, columns, and nearness to the edge.

Belongs here: the one spelling of a well, A01 to P24, and its geometry. Does not belong here: what a well holds
(``wells``), or how image files spell a position (``gallery.images.file_names``).
"""

import pandas as pd

from cpjump_assets.science.errors import BadTableError

ROW_LETTERS = "ABCDEFGHIJKLMNOP"
N_ROWS = len(ROW_LETTERS)
N_COLUMNS = 24
EDGE = 2
"""Wells within this many rows or columns of the edge are outer; the layout of JUMP-Target-1 was designed by it."""


def row_number(letter: str) -> int:
    """Give the number of a row letter: A is 1, P is 16; any other letter raises ``ValueError``."""
    return ROW_LETTERS.index(letter) + 1


def row_letter(number: int) -> str:
    """Give the letter of a row number: 1 is A, 16 is P."""
    if not 1 <= number <= N_ROWS:
        raise ValueError(f"row {number} is not in 1 to {N_ROWS}")
    return ROW_LETTERS[number - 1]


def well_name(row: int, column: int) -> str:
    """Give the name of the well at a row (1-16) and a column (1-24), such as ``A01``."""
    if not 1 <= column <= N_COLUMNS:
        raise ValueError(f"column {column} is not in 1 to {N_COLUMNS}")
    return f"{row_letter(row)}{column:02d}"


POSITIONS = pd.DataFrame(
    [
        (well_name(row, column), row, column, min(row - 1, N_ROWS - row, column - 1, N_COLUMNS - column) < EDGE)
        for row in range(1, N_ROWS + 1)
        for column in range(1, N_COLUMNS + 1)
    ],
    columns=["Metadata_Well", "Metadata_row", "Metadata_column", "Metadata_is_outer"],
).set_index("Metadata_Well")
"""The 384 wells of a plate with row, column and whether they are outer; indexed by name, in plate order."""


def require_full_plate(wells: pd.Series, *, source: str) -> None:
    """Check that ``wells`` names each of the 384 wells of a plate exactly once.

    Raises
    ------
    BadTableError
        If a name is no well, comes twice or is missing; up to five are named.
    """
    problems = {
        "are not wells A01 to P24": wells[~wells.isin(POSITIONS.index)],
        "come more than once": wells[wells.duplicated()],
        "are missing": POSITIONS.index.difference(pd.Index(wells)).to_series(),
    }
    for problem, names in problems.items():
        if len(names):
            raise BadTableError(f"{source}: wells {problem}: {', '.join(map(str, names.unique()[:5]))}")
