"""What can be said of each feature by itself, over the wells of all plates.

Belongs here: gaps, repeated values, mean and spread, measured in one pass over blocks of features. Does not belong
here: what a rule makes of them (``feature_selection``), how two features vary together (``feature_correlation``).
"""

from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cpjump_assets.science.features import BoolArray, Matrix
from cpjump_assets.science.plate_stream import PlateStream
from cpjump_assets.science.value_frequencies import count_values

SLICE_VALUES = 1 << 20
"""Values that are worked on at a time: what is computed of them, 8 MB each, stays in the cache."""

Float64Array = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class FeatureMeasures:
    """Measures of p features over n wells, which come in K pieces (``plate_stream.Piece``).

    Attributes
    ----------
    n_nan, n_missing
        (p,) wells whose value is NaN; NaN or infinite.
    n_plates_missing
        (p,) plates where no well has a value.
    frequency_ratio, unique_ratio
        (p,) count of the second most common value by that of the most common; distinct values per well.
    constant
        (p,) True where the finite values do not differ, or there is none: no correlation asks for such a feature.
    mean, norm
        (p,) mean, and root of the sum of squares about it, of the finite values.
    present
        (p, K) wells of a piece with a finite value.
    sums, squares
        (p, K) sum, and sum of squares, of the finite values of a piece, standardized to mean 0 and norm 1 over all.
    n_missing_by_well
        (n,) features whose value a well lacks.
    """

    n_nan: IntArray
    n_missing: IntArray
    n_plates_missing: IntArray
    frequency_ratio: Float64Array
    unique_ratio: Float64Array
    constant: BoolArray
    mean: Float64Array
    norm: Float64Array
    present: IntArray
    sums: Float64Array
    squares: Float64Array
    n_missing_by_well: IntArray


class _Wells(NamedTuple):
    """Where pieces begin among the n wells, how many wells each has, and the plates as an order of the wells."""

    starts: NDArray[np.intp]
    sizes: IntArray
    by_plate: NDArray[np.intp]
    plate_starts: NDArray[np.intp]


def measure_features(stream: PlateStream) -> FeatureMeasures:
    """Measure all features of at least one well; the values are read once, a block of features at a time."""
    wells = _wells(stream)
    n_missing_by_well = np.zeros(stream.n_wells, dtype=np.int64)
    step = max(1, SLICE_VALUES // stream.n_wells)
    parts = [
        _measure(block[first : first + step], wells, n_missing_by_well)
        for _, block in stream.feature_blocks()
        for first in range(0, len(block), step)
    ]
    names = [field.name for field in fields(FeatureMeasures) if field.name != "n_missing_by_well"]
    joined = {name: np.concatenate([part[name] for part in parts]) for name in names}
    return FeatureMeasures(**joined, n_missing_by_well=n_missing_by_well)


def _wells(stream: PlateStream) -> _Wells:
    codes, _ = pd.factorize(stream.labels)
    by_plate = np.argsort(codes, kind="stable")
    return _Wells(
        starts=np.array([piece.start for piece in stream.pieces]),
        sizes=np.array([piece.size for piece in stream.pieces]),
        by_plate=by_plate,
        plate_starts=np.unique(codes[by_plate], return_index=True)[1],
    )


def _measure(values: Matrix, wells: _Wells, n_missing_by_well: IntArray) -> dict[str, NDArray]:
    """Measure some features, (b, n), one a row, and add up what each well lacks of them."""
    b, n = values.shape
    # Sorted rows tell nearly all: where not even one end is finite, NaN and infinities have gone to the ends.
    ordered = np.sort(values, axis=1)
    counts = count_values(ordered)
    gaps = np.flatnonzero(~(np.isfinite(ordered[:, 0]) & np.isfinite(ordered[:, -1])))
    finite = np.isfinite(values[gaps])
    n_missing_by_well += (~finite).sum(axis=0)
    lowest, highest = ordered[:, 0].copy(), ordered[:, -1].copy()
    lowest[gaps] = np.min(values[gaps], axis=1, initial=np.inf, where=finite)
    highest[gaps] = np.max(values[gaps], axis=1, initial=-np.inf, where=finite)
    present = np.tile(wells.sizes, (b, 1))
    present[gaps] = np.add.reduceat(finite, wells.starts, axis=1, dtype=np.int64)
    n_nan, n_plates_missing = np.zeros((2, b), dtype=np.int64)
    n_nan[gaps] = np.isnan(values[gaps]).sum(axis=1)
    on_plate = np.logical_or.reduceat(finite[:, wells.by_plate], wells.plate_starts, axis=1)
    n_plates_missing[gaps] = (~on_plate).sum(axis=1)
    mean, centred = _centred(values, gaps, finite)
    sums = np.add.reduceat(centred, wells.starts, axis=1)
    squares = np.add.reduceat(np.square(centred, out=centred), wells.starts, axis=1)
    norm = np.sqrt(squares.sum(axis=1))
    # Squares beyond the range of float64 leave no correlation to speak of either.
    constant = (lowest >= highest) | (norm == 0) | np.isinf(norm)
    scale = np.where(constant, 1.0, norm)[:, None]
    return {
        "n_nan": n_nan,
        "n_missing": n - present.sum(axis=1),
        "n_plates_missing": n_plates_missing,
        "frequency_ratio": counts.second / np.maximum(counts.most, 1),
        "unique_ratio": counts.distinct / n,
        "constant": constant,
        "mean": mean,
        "norm": norm,
        "present": present,
        "sums": sums / scale,
        "squares": squares / scale**2,
    }


def _centred(values: Matrix, gaps: NDArray[np.intp], finite: BoolArray) -> tuple[Float64Array, Float64Array]:
    """Give the mean of each row over its finite values, and the row less its mean, 0 where a value is missing."""
    present = np.full(len(values), values.shape[1])
    if gaps.size:
        values = values.copy()
        values[gaps] = np.where(finite, values[gaps], 0)
        present[gaps] = finite.sum(axis=1)
    mean = values.sum(axis=1, dtype=np.float64) / np.maximum(present, 1)
    centred = np.subtract(values, mean[:, None], dtype=np.float64)
    centred[gaps] *= finite
    return mean, centred
