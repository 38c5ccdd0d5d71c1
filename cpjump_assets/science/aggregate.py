"""Wells from single cells: the median or the mean of each feature over the cells of a well.

Belongs here: the computation, and what it asks of a source of cells. Does not belong here: how cells lie in a file
(``gallery.cells.backend_file``, ``gallery.cells.site_tables``), which aggregation is used where (``presets``).

A plate has some 1.5 million cells, 60 GB in float64. So cells are read a block at a time, whole wells of one
compartment, and a block is let go before its reader takes the next: memory holds one block for each worker, however
large the plate.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType
from typing import Literal, NamedTuple, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cpjump_assets.science.errors import ProfileError
from cpjump_assets.science.features import Profiles
from cpjump_assets.science.medians import Float64Array, row_medians

COMPARTMENTS = ("Cells", "Cytoplasm", "Nuclei")
"""The objects that CellProfiler measures of each cell; their features come in this order, as in pycytominer."""

CELL_COUNT = "Metadata_cell_count"
"""Column of the profiles: how many rows the table Cells has of the well."""

Aggregation = Literal["median", "mean"]


class CellBlock(NamedTuple):
    """All cells of some wells in one compartment.

    Attributes
    ----------
    values
        (p, n): a row is a feature, a column a cell; first the cells of the first well, then those of the second. NaN
        where a cell has no value. Whoever gets the block may change it.
    counts
        Cells of each well; they sum to n.
    """

    values: Float64Array
    counts: Sequence[int]


class CellSource(Protocol):
    """The single cells of a plate; ``read`` is called by several threads."""

    @property
    def plate(self) -> str:
        """Give the barcode of the plate."""

    @property
    def wells(self) -> tuple[str, ...]:
        """Give the wells that were imaged, with cells or without."""

    def features(self, compartment: str) -> tuple[str, ...]:
        """Give the p features of a compartment, by their names in a profile (``Cells_AreaShape_Area``)."""

    def blocks(self, compartment: str) -> Iterable[tuple[str, ...]]:
        """Give the wells that are best read together; each well with cells comes in one block."""

    def read(self, compartment: str, wells: tuple[str, ...]) -> CellBlock:
        """Read the cells of the wells of a block."""


@dataclass(frozen=True, eq=False)
class AggregatedPlate:
    """A plate aggregated from its cells.

    Attributes
    ----------
    profiles
        One row per well with cells in every compartment, sorted by well: Metadata_Plate, Metadata_Well,
        ``CELL_COUNT``; float64 features of Cells, Cytoplasm, Nuclei in the order of the source.
    without_cells
        The other wells that were imaged, sorted.
    """

    profiles: Profiles
    without_cells: tuple[str, ...]


def aggregate_cells(source: CellSource, how: Aggregation, *, workers: int = 1) -> AggregatedPlate:
    """Aggregate the cells of a plate to wells.

    As pandas' groupby, and so pycytominer: missing values take no part, a feature that no cell of a well has is NaN
    there. A well that lacks a compartment gets no row, as in pycytominer's inner join of the compartments.

    Parameters
    ----------
    source
        The cells.
    how
        ``median``, exact and not estimated, or ``mean``.
    workers
        Threads; each holds one block at a time.

    Raises
    ------
    ProfileError
        If no well has cells in every compartment.
    GalleryError, BadTableError
        As the source does.
    """
    tasks = [(compartment, wells) for compartment in COMPARTMENTS for wells in source.blocks(compartment)]
    tables = {
        compartment: _CompartmentTable.empty(len(source.wells), len(source.features(compartment)))
        for compartment in COMPARTMENTS
    }
    rows = {well: row for row, well in enumerate(source.wells)}

    def work(compartment: str, wells: tuple[str, ...]) -> None:
        tables[compartment].fill([rows[well] for well in wells], source.read(compartment, wells), _OF_ROWS[how])

    pool = ThreadPoolExecutor(workers, thread_name_prefix="aggregate")
    try:
        pending: list[Future[None]] = [pool.submit(work, *task) for task in tasks]
        for future in pending:
            future.result()
    finally:
        pool.shutdown(cancel_futures=True)  # after an error, the blocks that have not begun are given up
    return _joined(source, tables)


@dataclass(frozen=True, eq=False)
class _CompartmentTable:
    """What comes of one compartment: (p, wells) aggregated values, and cells per well."""

    values: Float64Array
    counts: NDArray[np.int64]

    @classmethod
    def empty(cls, n_wells: int, n_features: int) -> "_CompartmentTable":
        return cls(np.full((n_features, n_wells), np.nan), np.zeros(n_wells, dtype=np.int64))

    def fill(self, rows: Sequence[int], block: CellBlock, of_rows: Callable[[Float64Array], Float64Array]) -> None:
        """Put in the wells of a block; wells are distinct, so that threads never meet."""
        bounds = np.cumsum([0, *block.counts])
        for row, (first, end) in zip(rows, pairwise(bounds), strict=True):
            if end > first:
                self.values[:, row] = of_rows(block.values[:, first:end])
                self.counts[row] = end - first


def _joined(source: CellSource, tables: Mapping[str, _CompartmentTable]) -> AggregatedPlate:
    names = np.array(source.wells, dtype=np.str_)
    complete = np.all([tables[compartment].counts > 0 for compartment in COMPARTMENTS], axis=0)
    if not complete.any():
        raise ProfileError(
            f"plate {source.plate}: none of its {len(names)} wells has cells in each of {', '.join(COMPARTMENTS)}"
        )
    kept = np.flatnonzero(complete)[np.argsort(names[complete], kind="stable")]
    metadata = pd.DataFrame(
        {
            "Metadata_Plate": pd.Series([source.plate] * len(kept), dtype="str"),
            "Metadata_Well": pd.Series(names[kept], dtype="str"),
            CELL_COUNT: tables["Cells"].counts[kept],
        }
    )
    matrix = np.concatenate([tables[compartment].values[:, kept] for compartment in COMPARTMENTS])
    features = tuple(name for compartment in COMPARTMENTS for name in source.features(compartment))
    return AggregatedPlate(Profiles(metadata, matrix.T, features), tuple(sorted(map(str, names[~complete]))))


def _row_means(values: Float64Array) -> Float64Array:
    there = ~np.isnan(values)
    with np.errstate(invalid="ignore"):  # 0 / 0 where a well has no value, inf - inf where it has both
        means: Float64Array = np.sum(values, axis=1, where=there) / there.sum(axis=1)
    return means


def _medians(values: Float64Array) -> Float64Array:
    with np.errstate(invalid="ignore"):  # the middle of -inf and inf
        return row_medians(values)[0]


_OF_ROWS: Mapping[Aggregation, Callable[[Float64Array], Float64Array]] = MappingProxyType(
    {"median": _medians, "mean": _row_means}
)
