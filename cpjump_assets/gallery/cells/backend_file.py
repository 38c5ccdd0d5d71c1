"""Single cells of a plate from CellProfiler's SQLite backend: a file in, cells in memory out, some wells at a time.

Belongs here: reading the values of some rows through Arrow, and one clear error for a value that is no number. Does not
belong here: which rows those are (``backend_index``), what is computed of them (``science.aggregate``).

ADBC's driver fills Arrow columns without the interpreter lock: 70 ns a value, where the sqlite3 module takes 115 ns to
make objects of them, and two threads read twice as fast. It chooses the type of a column from the rows of the first
batch: a later number that does not fit ends in an error, and in a batch with text it prints the numbers with seven
digits. Hence each query here is one batch, and columns with text are read a second time.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from adbc_driver_sqlite import StatementOptions, dbapi
from numpy.typing import NDArray

from cpjump_assets.gallery.cells.backend_index import RowRanges, quoted, read_index, read_only
from cpjump_assets.gallery.cells.cell_values import feature_matrix, first_bad, is_number, numbers_of
from cpjump_assets.science.aggregate import CellBlock
from cpjump_assets.science.errors import BadTableError
from cpjump_assets.science.plates import PlateKey

ROWS_PER_READ = 1024
"""Rows of one query, at most. 128 or 5,000 take a quarter more time: for the schema, and for memory that is new."""

_MIXED_COLUMNS_PER_READ = 500
"""Columns with text that are read at once; each takes two of the 2,000 columns that SQLite gives."""


class BackendFile:
    """The single cells of a plate, as ``science.aggregate.CellSource`` asks for them; a context manager.

    Parameters
    ----------
    path
        The SQLite file; it is never written to.
    plate
        The acquisition that it must be of.

    Raises
    ------
    GalleryError, BadTableError
        As ``backend_index.read_index``.
    """

    def __init__(self, path: Path, plate: PlateKey) -> None:
        self.plate = plate.barcode
        self.index = read_index(path, plate)
        self._uri = read_only(path)
        self._of_thread = threading.local()
        self._opened = ExitStack()

    def __enter__(self) -> "BackendFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()

    @property
    def wells(self) -> tuple[str, ...]:
        """Give the wells of the table Image."""
        return self.index.wells

    def features(self, compartment: str) -> tuple[str, ...]:
        """Give the feature columns of a compartment."""
        return self.index.features[compartment]

    def blocks(self, compartment: str) -> Iterator[tuple[str, ...]]:
        """Give the wells that have cells, neighbours in the file together until they have ``ROWS_PER_READ`` cells."""
        rows = self.index.rows[compartment]
        cells = np.bincount(rows.well, weights=rows.lengths, minlength=len(self.wells)).astype(int)
        block: list[int] = []
        for well in pd.unique(rows.well):
            block.append(int(well))
            if cells[block].sum() >= ROWS_PER_READ:
                yield tuple(self.wells[place] for place in block)
                block = []
        if block:
            yield tuple(self.wells[place] for place in block)

    def read(self, compartment: str, wells: tuple[str, ...]) -> CellBlock:
        """Read the cells of some wells, wherever their rows lie.

        Raises
        ------
        BadTableError
            If the database is broken, was changed since it was opened, or has a feature value that is no number; the
            message names plate, table, feature and well.
        """
        places = [self.wells.index(well) for well in wells]
        rows = self.index.rows[compartment].of(places)
        values = np.empty((len(self.features(compartment)), int(rows.lengths.sum())))
        start = 0
        for part in _parts(rows):
            end = start + int(part.lengths.sum())
            values[:, start:end] = self._values(compartment, part)
            start = end
        number_of_well = np.argsort(places)  # their number in the block, by place
        of_row = np.repeat(number_of_well[np.searchsorted(np.sort(places), rows.well)], rows.lengths)
        if (np.diff(of_row) < 0).any():  # wells interleaved in the file
            values = np.take(values, np.argsort(of_row, kind="stable"), axis=1)
        return CellBlock(values, np.bincount(of_row, minlength=len(wells)).tolist())

    def _values(self, compartment: str, rows: RowRanges) -> NDArray[Any]:
        """Read the features of at most ``ROWS_PER_READ`` rows: (p, n), in the order of the rows."""
        features = self.features(compartment)
        # Text 'nan' is how CellProfiler's missing values come through a CSV file; to look for it here costs nothing.
        batch = self._query(compartment, [f"NULLIF({quoted(name)}, 'nan')" for name in features], rows)
        mixed = [place for place, kind in enumerate(batch.schema.types) if not is_number(kind)]
        columns = batch.columns
        names = iter(mixed)
        while some := list(islice(names, _MIXED_COLUMNS_PER_READ)):
            for place, column in zip(some, self._mixed(compartment, some, rows), strict=True):
                columns[place] = column
        whole = pa.RecordBatch.from_arrays(columns, names=features) if mixed else batch
        return feature_matrix(whole)

    def _mixed(self, compartment: str, places: Sequence[int], rows: RowRanges) -> Iterator[pa.Array]:
        """Read columns that hold text, numbers and text apart, so that no number goes through a text of Arrow's."""
        names = [self.features(compartment)[place] for place in places]
        is_text = "typeof({0}) IN ('text', 'blob')"
        wanted = [f"CASE WHEN NOT {is_text} THEN {{0}} END", f"CASE WHEN {is_text} THEN {{0}} END"]
        expressions = [template.format(quoted(name)) for name in names for template in wanted]
        batch = self._query(compartment, expressions, rows)
        row_numbers = np.concatenate([np.arange(a, b + 1) for a, b in zip(rows.first, rows.last, strict=True)])
        for name, numbers, texts in zip(names, batch.columns[::2], batch.columns[1::2], strict=True):
            culprit = first_bad(texts)
            if culprit is not None:
                well = self.wells[rows.well_of(int(row_numbers[culprit]))]
                raise BadTableError(
                    f"{self.index.source}: feature {name} must be a number, found {texts[culprit].as_py()!r} "
                    f"in row {row_numbers[culprit]} of table {compartment}, well {well}"
                )
            yield numbers_of(numbers, texts)

    def _query(self, table: str, expressions: Sequence[str], rows: RowRanges) -> pa.RecordBatch:
        runs = _merged(rows)
        sql = f"SELECT {', '.join(expressions)} FROM {table} WHERE rowid BETWEEN ? AND ?"
        with self._clear_errors(table):
            cursor = self._cursor(table, len(expressions))
            # The query runs once for each row of the parameters, and gives all that it finds as one result.
            cursor.execute(sql, pa.record_batch([runs.first, runs.last], names=["first", "last"]))
            batches = cursor.fetch_arrow_table().combine_chunks().to_batches()
        if sum(batch.num_rows for batch in batches) != rows.lengths.sum():
            raise BadTableError(f"{self.index.source}: table {table} was changed while it was read")
        return batches[0]

    def _cursor(self, table: str, n_columns: int) -> dbapi.Cursor:
        """Give the cursor of this thread for a kind of query, which SQLite then need not prepare again."""
        if not hasattr(self._of_thread, "connection"):
            self._of_thread.connection = self._opened.enter_context(dbapi.connect(self._uri))
            self._of_thread.cursors = {}
        cursors: dict[tuple[str, int], dbapi.Cursor] = self._of_thread.cursors
        if (table, n_columns) not in cursors:
            cursor = self._opened.enter_context(self._of_thread.connection.cursor())
            cursor.adbc_statement.set_options(**{StatementOptions.BATCH_ROWS.value: str(ROWS_PER_READ)})
            cursors[table, n_columns] = cursor
        return cursors[table, n_columns]

    @contextmanager
    def _clear_errors(self, table: str) -> Iterator[None]:
        try:
            yield
        except (dbapi.Error, pa.ArrowException, OSError) as error:  # Arrow reports the driver's errors as OSError
            raise BadTableError(f"{self.index.source}: table {table} cannot be read: {error}") from error


def _parts(rows: RowRanges) -> Iterator[RowRanges]:
    """Cut runs of rows into parts of at most ``ROWS_PER_READ`` rows."""
    ends = np.cumsum(rows.lengths)
    starts = ends - rows.lengths
    for first in range(0, int(ends[-1]), ROWS_PER_READ):
        last = first + ROWS_PER_READ
        taken = np.flatnonzero((starts < last) & (ends > first))
        yield RowRanges(
            np.maximum(rows.first[taken], rows.first[taken] + first - starts[taken]),
            np.minimum(rows.last[taken], rows.last[taken] + last - ends[taken]),
            rows.well[taken],
        )


def _merged(rows: RowRanges) -> RowRanges:
    """Join runs of different wells that follow each other; the wells are of no use then."""
    breaks = np.flatnonzero(rows.first[1:] != rows.last[:-1] + 1)
    return RowRanges(rows.first[np.r_[0, breaks + 1]], rows.last[np.r_[breaks, -1]], rows.well[:0])
