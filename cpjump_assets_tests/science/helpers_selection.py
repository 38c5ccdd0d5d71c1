"""Batches to select features on, and the correlation rule word by word in float64."""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pandas as pd

from cpjump_assets.science.blocklist import BLOCKLIST
from cpjump_assets.science.features import Profiles


def batch_of(X, *, names=None, wells=40, first=0):
    """Lay the rows out on plates of equal size."""
    row = np.arange(len(X))
    metadata = pd.DataFrame(
        {
            "Metadata_Batch": "b",
            "Metadata_Plate": [f"BR{first + plate}" for plate in row // wells],
            "Metadata_Well": [f"{chr(65 + well // 24)}{well % 24 + 1:02d}" for well in row % wells],
        }
    )
    return Profiles(metadata, X, tuple(names or [f"Cells_F{i}" for i in range(X.shape[1])]))


def cut(batch, sizes):
    """Cut a batch into tables of these numbers of wells, wherever its plates end."""
    bounds = np.cumsum([0, *sizes])
    assert bounds[-1] == len(batch.metadata)
    return [
        Profiles(batch.metadata.iloc[a:b].reset_index(drop=True), batch.matrix[a:b], batch.features)
        for a, b in pairwise(bounds)
    ]


@dataclass
class CountedPlate:
    """A plate that is drawn from its seed whenever it is asked, and counts how often."""

    seed: int
    wells: int
    names: tuple
    reads: list = field(default_factory=list)

    @property
    def metadata(self):
        return batch_of(np.empty((self.wells, 0)), wells=self.wells, first=self.seed).metadata

    @property
    def features(self):
        return self.names

    def values(self, start=0, stop=None):
        self.reads.append((start, stop))
        rng = np.random.default_rng(self.seed)
        p = len(self.names)
        X = rng.normal(size=(p // 5 + 1, self.wells)).repeat(5, axis=0)[:p] * 2.9 + rng.normal(size=(p, self.wells))
        if self.seed % 2:
            X[1::9] = np.nan
            X[2::9, :3] = np.nan
        return X.astype(np.float32)[start:stop].T


def messy(seed, *, n=120, p=60):
    """Draw a batch with correlated blocks, repeated values, gaps and names from the blocklist."""
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=(n, 8))
    X = shared[:, rng.integers(0, 8, p)] * rng.choice([0.5, 2.5, 4.0], p) + rng.normal(size=(n, p))
    X[:, 0] = 2.0  # one distinct value
    X[:, 1] = np.nan
    X[:, 2] = np.where(rng.random(n) < 0.97, 0.0, X[:, 2])  # nearly always 0
    X[:, 3:7] = np.round(X[:, 3:7])  # few distinct values
    X[:, 7] = np.repeat([0.25, 0.5, 0.75], n // 3)
    X[:, 8] = 4.0 * X[:, 3] + 0.01 * X[:, 8]  # correlated with a feature of few values
    X[rng.random(n) < 0.04, 10] = np.nan
    X[rng.random(n) < 0.2, 11:15] = np.nan
    X[:40, 16] = np.nan  # absent from one plate
    X[3, 17] = np.inf
    X[:, 18] = -3.0 * X[:, 19] + 0.01 * X[:, 18]  # opposite
    names = [f"Cells_F{i}" for i in range(p - 5)] + sorted(BLOCKLIST)[::12]
    return batch_of(X, names=names)


def literal_r(X):
    """Correlate all columns in float64 with pandas, over the rows where both are finite; NaN for what is constant."""
    r = pd.DataFrame(np.where(np.isfinite(X), X, np.nan).astype(float)).corr().to_numpy().copy()
    constant = np.array([np.unique(column[np.isfinite(column)]).size < 2 for column in X.T])
    r[constant] = np.nan
    r[:, constant] = np.nan
    return r


def literal_partners(X, threshold=0.9):
    """Decide feature by feature; equal to nine digits is equal, and then the first in the file comes first."""
    r = literal_r(X)
    sums = np.round(np.nansum(np.abs(r), axis=0), 9)
    partners = []
    for i in range(len(r)):
        lower = [j for j in range(len(r)) if r[i, j] > threshold and (sums[j], j) < (sums[i], i)]
        partners.append(max(lower, key=lambda j, i=i: (round(r[i, j], 9), -j)) if lower else -1)
    return partners, r
