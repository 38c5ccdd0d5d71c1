"""Plates whose feature values are read when they are asked for, so that a batch need not fit into memory.

Belongs here: what a computation over many plates asks of each, and taking some of a plate's wells. Does not belong
here: how a plate lies on disk (``storage``), what is computed over the plates (``feature_selection``, ``spherize``).
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd

from cpjump_assets.science.features import BoolArray, Matrix


class PlateValues(Protocol):
    """Profiles of n wells, p features each, in memory (``features.Profiles``) or in a file of the store."""

    @property
    def metadata(self) -> pd.DataFrame:
        """Give n rows, index 0 to n - 1, columns starting with ``Metadata_``."""

    @property
    def features(self) -> tuple[str, ...]:
        """Give the p names, without repeats."""

    def values(self, start: int = 0, stop: int | None = None) -> Matrix:
        """Give the features from position ``start`` to before ``stop``: (n, stop - start), feature-major."""


@dataclass(frozen=True, eq=False)
class SomeWells:
    """Some wells of a plate.

    Attributes
    ----------
    plate
        n wells.
    taken
        (n,), True for the wells that are seen; nothing is known of the others.
    """

    plate: PlateValues
    taken: BoolArray

    @property
    def metadata(self) -> pd.DataFrame:
        """Give the rows of the wells that are seen."""
        return self.plate.metadata[self.taken].reset_index(drop=True)

    @property
    def features(self) -> tuple[str, ...]:
        """Give the features of the plate."""
        return self.plate.features

    def values(self, start: int = 0, stop: int | None = None) -> Matrix:
        """Give some features of the wells that are seen, feature-major."""
        return np.compress(self.taken, self.plate.values(start, stop).T, axis=1).T
