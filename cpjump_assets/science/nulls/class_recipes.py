"""Which configurations (number of positives, length of the list) the members of a class have, and how many each.

Belongs here: grouping classes that have one null in common, and means of classes. Does not belong here: the null
(``class_null``, ``monte_carlo``).
"""

import math
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cpjump_assets.science.arrays import Bools, Floats, Ints
from cpjump_assets.science.nulls.rank_program import Key
from cpjump_assets.science.retrieval import RankLists

Parts = tuple[tuple[Key, float], ...]
"""Configurations of a class, rising, and what a unit of the sum S of each adds to the mean average precision."""


MEAN_TIE = 1e-12
"""Mean average precisions that are closer are equal."""


@dataclass(frozen=True)
class MixedClasses:
    """Classes with the same null, of several configurations.

    Attributes
    ----------
    parts
        Their configurations and weights.
    classes
        Their numbers, shape (n_classes,).
    means
        Their observed mean average precisions, shape (n_classes,).
    """

    parts: Parts
    classes: Ints
    means: Floats

    @cached_property
    def largest(self) -> Key:
        """The configuration with the most sets of ranks."""
        return max((key for key, _ in self.parts), key=n_sets)

    @cached_property
    def n_others(self) -> int:
        """Count the values that the configurations but the largest can have together."""
        return math.prod(n_sets(key) for key, _ in self.parts) // n_sets(self.largest)


def n_sets(key: Key) -> int:
    """Count the sets of ranks of a configuration."""
    return math.comb(key[1], key[0])


def sort_out(lists: RankLists, members: Ints, n_classes: int) -> tuple[Bools, list[MixedClasses]]:
    """Find the classes whose scored members all have one configuration, and group the others by their null.

    Parameters
    ----------
    lists
        The queries; those that are not scored are left out.
    members
        Class of each query, shape (n_queries,).
    n_classes
        Number of classes.

    Returns
    -------
    ndarray, shape (n_classes,)
        Whether there is exactly one configuration.
    list of MixedClasses
        Classes with several, in the order of their parts.
    """
    scored = np.flatnonzero(lists.scored)
    base = int(lists.n_total.max(initial=0)) + 1
    code = lists.n_positives[scored] * base + lists.n_total[scored]
    order = np.lexsort((code, members[scored]))
    classes, codes = members[scored][order], code[order]
    firsts = np.flatnonzero(np.diff(classes, prepend=-1) | np.diff(codes, prepend=-1))
    counts = np.diff(firsts, append=len(classes))
    n_parts = np.bincount(classes[firsts], minlength=n_classes)
    n_members = np.bincount(classes, minlength=n_classes)
    several = n_parts[classes[firsts]] > 1
    shares: dict[int, list[tuple[Key, float]]] = defaultdict(list)
    for number, part, count in zip(
        *(a[several].tolist() for a in (classes[firsts], codes[firsts], counts)), strict=True
    ):
        key = divmod(part, base)
        shares[number].append((key, count / (int(n_members[number]) * key[0])))
    groups: dict[Parts, list[int]] = defaultdict(list)
    for number, parts in shares.items():
        groups[tuple(parts)].append(number)
    means = class_means(lists.average_precision(), members, n_classes)
    mixed = [MixedClasses(parts, np.array(chosen), means[chosen]) for parts, chosen in sorted(groups.items())]
    return n_parts == 1, mixed


def class_means(values: Floats, members: Ints, n_classes: int) -> Floats:
    """Give the mean of the values of each class that are not NaN; NaN for a class of nothing else.

    Values are added up in one order whatever the caller's, which would change the last digit.

    Parameters
    ----------
    values, members
        A value of each member and its class, shape (n_members,).
    n_classes
        Number of classes.

    Returns
    -------
    ndarray, shape (n_classes,)
    """
    order = np.lexsort((values, members))
    order = order[~np.isnan(values[order])]
    sums = np.bincount(members[order], weights=values[order], minlength=n_classes)
    counts = np.bincount(members[order], minlength=n_classes)
    return np.divide(sums, counts, out=np.full(n_classes, np.nan), where=counts > 0)
