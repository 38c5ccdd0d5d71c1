"""Pearson correlations of profiles, and their medians over pairs of groups: what the 2021 scores are made of.

Belongs here: rows whose products are correlations, groups of rows, and the median within a group or between two. Does
not belong here: which wells are a group, and what a median is worth (``percent_scores``).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cpjump_assets.science.arrays import Floats, Ints
from cpjump_assets.science.errors import ProfileError
from cpjump_assets.science.similarity import unit_rows

_ROWS_AT_A_TIME = 1024
"""Rows copied at a time to be correlated within their sets; few enough to stay near the cache."""


@dataclass(frozen=True)
class Groups:
    """Rows by group: those of group g are ``order[starts[g] : starts[g] + sizes[g]]``."""

    order: Ints
    starts: Ints
    sizes: Ints

    @classmethod
    def of(cls, codes: Ints) -> "Groups":
        """Group rows by code, shape (n_rows,): 0 to n_groups - 1, each at least once."""
        sizes = np.bincount(codes)
        return cls(np.argsort(codes, kind="stable"), np.cumsum(sizes) - sizes, sizes)

    def members(self, groups: Ints, size: int) -> Ints:
        """Give the rows of some groups of one size, shape (len(groups), size)."""
        return self.order[self.starts[groups, np.newaxis] + np.arange(size)]


def standard_rows(
    X: npt.NDArray[np.floating],
    rows: Ints,
    *,
    columns: Ints | None = None,
    features: Sequence[str] | None = None,
    describe_row: Callable[[int], str] = "row {}".format,
) -> Floats:
    """Centre rows and scale them to length 1, so that a product of two of them is their Pearson correlation.

    Parameters
    ----------
    X
        Profiles, shape (n_profiles, n_features), any float type; left as they are.
    rows
        The profiles to take, shape (n_rows,).
    columns
        The features to take, shape (n_columns,); all by default.
    features
        Names of the columns of ``X``, for messages.
    describe_row
        Names a row of ``X`` in the message of an error.

    Returns
    -------
    ndarray of float64, shape (n_rows, n_columns)

    Raises
    ------
    ProfileError
        If a profile has a NaN or infinite feature, or the same value in all: a constant has no correlation.
    """
    taken = (X[rows] if columns is None else X[np.ix_(rows, columns)]).astype(np.float64, copy=False)
    constant = np.flatnonzero((taken == taken[:, :1]).all(axis=1))
    if constant.size:
        first = int(constant[0])
        raise ProfileError(
            f"{describe_row(int(rows[first]))}: every feature is {taken[first, 0]:g}; a Pearson correlation needs"
            f" profiles that vary ({constant.size} of {len(rows)} profiles here do not)"
        )
    with np.errstate(over="ignore", invalid="ignore"):
        means = taken.mean(axis=1)
    # A profile with a NaN is left as it is, so that the refusal names the one feature and not all of them.
    taken -= np.where(np.isfinite(means), means, 0.0)[:, np.newaxis]
    names = features if features is None or columns is None else [features[column] for column in columns]
    return unit_rows(taken, features=names, describe_row=lambda row: describe_row(int(rows[row])))


def medians_within(standard: Floats, groups: Groups) -> Floats:
    """Give the median correlation of the pairs of rows of each group, shape (n_groups,); NaN for a group of one row."""
    medians = np.full(len(groups.sizes), np.nan)
    for size in np.unique(groups.sizes[groups.sizes > 1]):
        of_size = np.flatnonzero(groups.sizes == size)
        medians[of_size] = median_pairs(standard, groups.members(of_size, size))
    return medians


def median_pairs(standard: Floats, members: Ints) -> Floats:
    """Give the median correlation of the pairs of rows of each set.

    Parameters
    ----------
    standard
        What ``standard_rows`` gave.
    members
        Rows of each set, shape (n_sets, size), size at least 2.

    Returns
    -------
    ndarray, shape (n_sets,)
    """
    first, second = np.triu_indices(members.shape[1], 1)
    medians = np.empty(len(members))
    at_a_time = max(1, _ROWS_AT_A_TIME // members.shape[1])
    for start in range(0, len(members), at_a_time):
        sets = standard[members[start : start + at_a_time]]
        correlations = sets @ sets.transpose(0, 2, 1)
        medians[start : start + at_a_time] = np.median(correlations[:, first, second], axis=1)
    return medians


def medians_between(correlations: Floats, left: Groups, right: Groups, pairs: Ints) -> Floats:
    """Give the median of the block of correlations between the rows of two groups.

    Parameters
    ----------
    correlations
        Of each row on the left with each on the right, shape (n_left, n_right).
    left, right
        Groups of the rows and of the columns of ``correlations``.
    pairs
        A group on the left and one on the right, shape (n_pairs, 2).

    Returns
    -------
    ndarray, shape (n_pairs,)
    """
    medians = np.empty(len(pairs))
    n_sizes = right.sizes.max(initial=0) + 1
    sizes = (
        left.sizes[pairs[:, 0]] * n_sizes + right.sizes[pairs[:, 1]]
    )  # one number a pair: rows of two sort 9 x slower
    for size in np.unique(sizes):
        of_size = np.flatnonzero(sizes == size)
        n_rows, n_columns = divmod(int(size), int(n_sizes))
        rows = left.members(pairs[of_size, 0], n_rows)
        columns = right.members(pairs[of_size, 1], n_columns)
        blocks = correlations[rows[:, :, np.newaxis], columns[:, np.newaxis, :]]
        medians[of_size] = np.median(blocks.reshape(len(of_size), -1), axis=1)
    return medians
