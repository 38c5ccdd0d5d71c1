"""A batch as a stream: wells with all their features, or features with all their wells, some at a time.

Belongs here: plates in one order of features, read piece by piece, so that memory does not grow with their number. Does
not belong here: what is computed of the pieces (``feature_measures``, ``feature_products``), how a plate is read.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cpjump_assets.science.errors import ProfileError
from cpjump_assets.science.features import BoolArray, Matrix, Profiles, plate_labels, require_same_features
from cpjump_assets.science.plate_values import PlateValues

PIECE_WELLS = 1536
"""Wells of a piece at most: four plates of 384; with 5,792 features in float32 they are 36 MB."""
BLOCK_BYTES = 32_000_000
"""Values of a block of features, all wells: 428 features of 51 plates in float32."""


class Piece(NamedTuple):
    """Some wells of one plate.

    Attributes
    ----------
    plate
        Position of the plate.
    rows
        Wells of the plate.
    start
        Position of the first of them among all wells.
    """

    plate: int
    rows: slice
    start: int

    @property
    def size(self) -> int:
        """Count the wells."""
        return int(self.rows.stop - self.rows.start)


@dataclass(frozen=True, eq=False)
class PlateStream:
    """Plates below each other, n wells x p features.

    Attributes
    ----------
    plates
        All with the same features in the same order.
    features
        Their p names.
    pieces
        The wells of all plates in order, cut up.
    dtype
        float32 if all values are, else float64.
    labels
        (n,) label of each well's plate, ``<batch>.<barcode>``.
    """

    plates: tuple[PlateValues, ...]
    features: tuple[str, ...]
    pieces: tuple[Piece, ...]
    dtype: np.dtype
    labels: "pd.Series[str]"

    @property
    def n_wells(self) -> int:
        """Count the wells of all plates."""
        return len(self.labels)

    def read(self, wanted: BoolArray | None = None) -> Iterator[tuple[int, Matrix]]:
        """Read plate by plate, each once.

        Parameters
        ----------
        wanted
            By piece, which are read; all by default.

        Yields
        ------
        int, ndarray
            Position of the piece, and its values (p, wells of the piece): one feature a row.
        """
        held = -1
        X: Matrix = np.empty((0, 0))
        for position in range(len(self.pieces)) if wanted is None else np.flatnonzero(wanted):
            plate, rows, _ = self.pieces[position]
            if plate != held:
                held, X = plate, self.plates[plate].values().T
            yield int(position), X[:, rows]

    def feature_blocks(self) -> Iterator[tuple[slice, Matrix]]:
        """Read block by block of features.

        Yields
        ------
        slice, ndarray
            Which features, and their values (b, n): one feature a row.
        """
        width = max(1, BLOCK_BYTES // max(self.n_wells * self.dtype.itemsize, 1))
        for start in range(0, len(self.features), width):
            stop = min(start + width, len(self.features))
            block = np.empty((stop - start, self.n_wells), self.dtype)
            first = 0
            for plate in self.plates:
                values = plate.values(start, stop).T
                block[:, first : first + values.shape[1]] = values
                first += values.shape[1]
            yield slice(start, stop), block

    def well(self, position: int) -> tuple[pd.DataFrame, int]:
        """Give the metadata of the plate that holds a well, and the well's row in them."""
        piece = next(piece for piece in reversed(self.pieces) if piece.start <= position)
        return self.plates[piece.plate].metadata, piece.rows.start + position - piece.start


def stream_of(plates: Sequence[PlateValues]) -> PlateStream:
    """Put plates into one stream, features in the order of the first plate.

    Raises
    ------
    ProfileError
        If there is no plate, a plate has other features than the first, or does not say its label.
    """
    if not plates:
        raise ProfileError("no plate to select features on: at least one is needed")
    aligned = (plates[0], *(_aligned(plate, plates[0]) for plate in plates[1:]))
    labels = [plate_labels(plate.metadata) for plate in aligned]
    return PlateStream(
        plates=aligned,
        features=tuple(plates[0].features),
        pieces=tuple(_pieces([len(wells) for wells in labels])),
        dtype=common_dtype(aligned),
        labels=pd.concat(labels, ignore_index=True),
    )


def common_dtype(plates: Sequence[PlateValues]) -> np.dtype:
    """Give the type that holds the values of all plates."""
    return np.result_type(*(plate.values(0, 1).dtype for plate in plates))


def _pieces(sizes: Sequence[int]) -> Iterator[Piece]:
    first = 0
    for plate, size in enumerate(sizes):
        for start in range(0, size, PIECE_WELLS):
            yield Piece(plate, slice(start, min(start + PIECE_WELLS, size)), first + start)
        first += size


@dataclass(frozen=True, eq=False)
class _Reordered:
    """A plate whose features are asked in the order of another one; each time it is read whole."""

    plate: PlateValues
    features: tuple[str, ...]
    positions: NDArray[np.intp]

    @property
    def metadata(self) -> pd.DataFrame:
        return self.plate.metadata

    def values(self, start: int = 0, stop: int | None = None) -> Matrix:
        return self.plate.values().T[self.positions[start:stop]].T


def _aligned(plate: PlateValues, first: PlateValues) -> PlateValues:
    if plate.features == first.features:
        return plate
    require_same_features(_in_memory(first), _in_memory(plate))
    return _Reordered(plate, first.features, pd.Index(plate.features).get_indexer(pd.Index(first.features)))


def _in_memory(plate: PlateValues) -> Profiles:
    return Profiles(plate.metadata, plate.values(), plate.features)
