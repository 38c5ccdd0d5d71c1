"""Profiles in memory: one matrix of feature values beside one table of metadata.

Belongs here: what a feature column is, splitting a frame into metadata and matrix and joining them again, and stacking
plates that must have the same features. Does not belong here: what is done to the values (``normalize``,
``feature_selection``), where the metadata come from (``annotate``), and how profiles lie on disk.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from cpjump_assets.science.errors import ProfileError

METADATA_PREFIX = "Metadata_"
NAMES_SHOWN = 5
"""How many features, wells or plates an error message lists."""

Matrix = NDArray[np.floating[Any]]
BoolArray = NDArray[np.bool_]


def is_feature(column: str) -> bool:
    """Tell whether a column holds a feature: every column does whose name does not start with ``Metadata_``."""
    return not column.startswith(METADATA_PREFIX)


def listed(names: Sequence[str]) -> str:
    """Write the first few names, and how many more there are, for an error message."""
    more = len(names) - NAMES_SHOWN
    return ", ".join(names[:NAMES_SHOWN]) + (f" and {more:,} more" if more > 0 else "")


def plate_labels(metadata: pd.DataFrame) -> "pd.Series[str]":
    """Give the plate of each row, ``<batch>.<barcode>`` (the barcode alone where no batch is known).

    Raises
    ------
    ProfileError
        If the profiles do not say their plate.
    """
    if "Metadata_Plate" not in metadata:
        raise ProfileError("the profiles do not say their plate: column Metadata_Plate is missing")
    barcodes = metadata["Metadata_Plate"].astype(str)
    if "Metadata_Batch" not in metadata:
        return barcodes
    return metadata["Metadata_Batch"].astype(str) + "." + barcodes


def well_label(metadata: pd.DataFrame, row: int) -> str:
    """Name one row for an error message: plate and well, as far as the metadata say them."""
    plate = f"plate {plate_labels(metadata).iloc[row]}, " if "Metadata_Plate" in metadata else ""
    well = f"well {metadata['Metadata_Well'].iloc[row]}" if "Metadata_Well" in metadata else f"row {row}"
    return plate + well


@dataclass(frozen=True, eq=False)
class Profiles:
    """Profiles of wells: n rows of metadata and an n x p matrix.

    Attributes
    ----------
    metadata
        n rows, index 0 to n - 1, columns starting with ``Metadata_``.
    matrix
        (n, p), float32 or float64, in any memory order; feature-major (Fortran) order is the fastest here, and it is
        what pandas and Parquet readers give. Missing values are NaN.
    features
        p names, without repeats.
    """

    metadata: pd.DataFrame
    matrix: Matrix
    features: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.matrix.shape != (len(self.metadata), len(self.features)):
            raise ValueError(
                f"a matrix of shape {self.matrix.shape} does not fit {len(self.metadata)} wells "
                f"and {len(self.features)} features"
            )

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> "Profiles":
        """Split a frame of ``Metadata_`` and feature columns.

        The matrix is float32 where the feature columns have that in common, else float64. A frame whose features lie in
        one block, as ``to_frame`` gives it, is not copied.

        Raises
        ------
        ProfileError
            If there is no feature, a feature appears twice, or a feature column holds something else than numbers.
        """
        is_metadata = frame.columns.str.startswith(METADATA_PREFIX)
        values = frame.loc[:, ~is_metadata]
        features = tuple(values.columns.tolist())
        _refuse_repeated(features)
        matrix = values.to_numpy()
        if matrix.dtype not in (np.float32, np.float64):
            _refuse_text(values, frame)
            matrix = values.to_numpy(dtype=np.float64, na_value=np.nan)
        return cls(frame.loc[:, is_metadata].reset_index(drop=True), matrix, features)

    def to_frame(self) -> pd.DataFrame:
        """Join metadata and features, the metadata first."""
        # Without copy=False pandas copies the matrix; our functions never change one in place after handing it out.
        values = pd.DataFrame(self.matrix, index=self.metadata.index, columns=list(self.features), copy=False)
        return pd.concat([self.metadata, values], axis="columns")

    def with_matrix(self, matrix: Matrix) -> "Profiles":
        """Give the same wells and features with other values."""
        return replace(self, matrix=matrix)

    def take_features(self, positions: NDArray[np.intp]) -> "Profiles":
        """Give the features at these positions, in this order."""
        names = tuple(self.features[position] for position in positions)
        return replace(self, matrix=self.matrix.T[positions].T, features=names)

    def values(self, start: int = 0, stop: int | None = None) -> Matrix:
        """Give the features from position ``start`` to before ``stop``, see ``plate_values.PlateValues``."""
        return self.matrix[:, start:stop]

    def plate(self) -> str:
        """Give the label of the one plate that these profiles are of.

        Raises
        ------
        ProfileError
            If they are of several plates, or of none.
        """
        plates = sorted(plate_labels(self.metadata).unique().tolist())
        if len(plates) != 1:
            raise ProfileError(
                f"profiles of one plate were expected, found {len(plates)}: {listed(plates) or 'no well'}"
            )
        return plates[0]


def stack(plates: Iterable[Profiles]) -> Profiles:
    """Put plates below each other, in the order given; columns are aligned to the first plate by name.

    Raises
    ------
    ProfileError
        If there is no plate, or a plate has other features than the first; the message names it and the difference.
    """
    parts = list(plates)
    if not parts:
        raise ProfileError("no plate to stack: at least one is needed")
    first = parts[0]
    blocks = [first.matrix.T] + [_aligned(part, first).T for part in parts[1:]]
    metadata = pd.concat([part.metadata for part in parts], ignore_index=True)
    return Profiles(metadata, np.concatenate(blocks, axis=1).T, first.features)


def require_same_features(expected: Profiles, found: Profiles) -> None:
    """Refuse a plate that has other features than another one.

    Raises
    ------
    ProfileError
        Naming both plates, and the features that are missing or not expected.
    """
    lacking = sorted(set(expected.features) - set(found.features))
    extra = sorted(set(found.features) - set(expected.features))
    if not lacking and not extra:
        return
    differences = [
        f"{verb} {len(names):,} ({listed(names)})" for verb, names in (("lacks", lacking), ("adds", extra)) if names
    ]
    raise ProfileError(
        f"plate {found.plate()} has other features than plate {expected.plate()}: it {' and '.join(differences)}"
    )


def _aligned(part: Profiles, first: Profiles) -> Matrix:
    if part.features == first.features:
        return part.matrix
    require_same_features(first, part)
    return part.take_features(pd.Index(part.features).get_indexer(pd.Index(first.features))).matrix


def _refuse_repeated(features: Sequence[str]) -> None:
    if not features:
        raise ProfileError("the profiles have no feature: every column starts with Metadata_")
    if len(set(features)) < len(features):
        repeated = pd.Index(features)
        raise ProfileError(f"a feature appears more than once: {listed(sorted(set(repeated[repeated.duplicated()])))}")


def _refuse_text(values: pd.DataFrame, frame: pd.DataFrame) -> None:
    """Refuse columns that do not hold numbers, naming the first value that is none."""
    dtypes = values.dtypes.to_numpy()
    numeric = {dtype: is_numeric_dtype(dtype) and not is_bool_dtype(dtype) for dtype in set(dtypes)}
    if all(numeric.values()):
        return
    position = next(position for position, dtype in enumerate(dtypes) if not numeric[dtype])
    column = values.iloc[:, position]
    culprits = np.flatnonzero(pd.to_numeric(column, errors="coerce").isna() & column.notna())
    where = f": {well_label(frame, int(culprits[0]))} has {column.iloc[culprits[0]]!r}" if culprits.size else ""
    raise ProfileError(f"feature {column.name} does not hold numbers but {column.dtype}{where}")
