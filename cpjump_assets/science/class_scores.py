"""From the rank lists of queries to calls of classes, and from calls of classes to the score of a condition.

Belongs here: what every retrieval task shares once its lists are made: p of a query, p and call of its class, fraction
retrieved and its interval. Does not belong here: who is compared with whom (the tasks: ``detection``), where tails come
from (``null_distribution``).

Mode ``paper_2024``: the p of a class is the geometric mean of its members' p, q is Benjamini-Hochberg over a family of
classes (those of one condition and subset), and a class is retrieved when q < 0.05. The text of the paper says
geometric mean of q; its code takes p.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr

from cpjump_assets.science.arrays import Floats, Ints
from cpjump_assets.science.multiple_testing import Calls, call
from cpjump_assets.science.null_distribution import PConvention, TailProbability, p_value, tail_probability
from cpjump_assets.science.retrieval import RankLists

MetricMode = Literal["paper_2024"]

CONFIDENCE = 0.95


@dataclass(frozen=True)
class MetricConfig:
    """How average precisions become calls.

    Attributes
    ----------
    metric_mode
        The published rule that is followed; rows of different modes are never ranked together.
    p_convention, null_size
        See ``null_distribution.p_value``.
    q_threshold
        A class is retrieved when its q is strictly below.
    """

    metric_mode: MetricMode = "paper_2024"
    p_convention: PConvention = "add_one"
    null_size: int = 100_000
    q_threshold: float = 0.05

    @property
    def p_label(self) -> str:
        """The convention as it stands in the tables."""
        return f"add_one N={self.null_size}" if self.p_convention == "add_one" else self.p_convention


@dataclass(frozen=True)
class PValues:
    """p and the interval that contains it, arrays of one shape; NaN where there is none, equal where p is exact."""

    value: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class ClassCalls:
    """What the members of each class say together, arrays of shape (n_classes,).

    Attributes
    ----------
    n_members, n_scored
        All members, and those with a positive and a negative.
    mean_average_precision, p
        Over the scored members; NaN without any.
    calls
        q, retrieved or not, open or not.
    """

    n_members: Ints
    n_scored: Ints
    mean_average_precision: Floats
    p: PValues
    calls: Calls


def call_classes(
    lists: RankLists, *, members: Ints, families: Ints, config: MetricConfig
) -> tuple[PValues, ClassCalls]:
    """Give p of every query and the call of every class.

    Where an interval of p leaves the call of a class open, its members are computed once more on a finer grid; what is
    still open then is marked undecided.

    Parameters
    ----------
    lists
        The queries.
    members
        Class of each query, shape (n_queries,): 0 to n_classes - 1, each at least once.
    families
        Family of each class, shape (n_classes,): the classes that are corrected together.
    config
        The rule.
    """
    tails = tail_probability(lists)
    p, class_p, calls = _call(tails, members, families, config)
    hinges = np.flatnonzero(calls.undecided[members] & (tails.low < tails.high))
    if hinges.size:
        tails = tails.replaced(hinges, tail_probability(lists.take(hinges), refined=True))
        p, class_p, calls = _call(tails, members, families, config)
    return p, ClassCalls(
        n_members=np.bincount(members, minlength=len(families)),
        n_scored=np.bincount(members[lists.scored], minlength=len(families)),
        mean_average_precision=_mean_by_class(lists.average_precision(), members, len(families)),
        p=class_p,
        calls=calls,
    )


def score_of_classes(classes: Mapping[str, npt.NDArray[Any]]) -> dict[str, int | float]:
    """Sum up the classes of one condition and subset in the numbers of a score row.

    The denominator of the fraction retrieved is the number of classes with at least one scored member. Without any, the
    fraction, its interval and the mean are NaN.

    Parameters
    ----------
    classes
        Columns of a class table: n_wells, n_wells_scored, mean_average_precision, retrieved, undecided.
    """
    scored = classes["n_wells_scored"] > 0
    n_classes, n_retrieved = int(scored.sum()), int(classes["retrieved"].sum())
    low, high = binomial_interval(n_retrieved, n_classes) if n_classes else (np.nan, np.nan)
    return {
        "n_classes": n_classes,
        "n_classes_without_positives": int((classes["n_wells"] == 1).sum()),
        "n_retrieved": n_retrieved,
        "n_undecided": int(classes["undecided"].sum()),
        "fraction_retrieved": n_retrieved / n_classes if n_classes else np.nan,
        "fraction_retrieved_low": low,
        "fraction_retrieved_high": high,
        "mean_average_precision": float(classes["mean_average_precision"][scored].mean()) if n_classes else np.nan,
    }


def binomial_interval(n_retrieved: int, n_classes: int) -> tuple[float, float]:
    """Give the 95 % bootstrap interval of a fraction of classes, without drawing.

    Drawing classes with replacement and counting the retrieved ones among them is drawing from Binomial(n, fraction);
    so the percentiles that a bootstrap estimates are read off that distribution. As with every bootstrap, a fraction of
    0 or 1 has an interval of no width.
    """
    at_most = bdtr(np.arange(n_classes + 1), n_classes, n_retrieved / n_classes)
    tail = (1.0 - CONFIDENCE) / 2.0
    low, high = (int(np.searchsorted(at_most, share)) for share in (tail, 1.0 - tail))
    return low / n_classes, high / n_classes


def _call(
    tails: TailProbability, members: Ints, families: Ints, config: MetricConfig
) -> tuple[PValues, PValues, Calls]:
    """Give p of the queries, p of the classes, and the calls, family by family."""
    p = PValues(
        *(
            p_value(tail, convention=config.p_convention, null_size=config.null_size)
            for tail in (tails.value, tails.low, tails.high)
        )
    )
    with np.errstate(divide="ignore"):  # strict p of a perfect list is 0, and so is the geometric mean
        logs = [np.log(ends) for ends in (p.value, p.low, p.high)]
    class_p = PValues(*(np.exp(_mean_by_class(log, members, len(families))) for log in logs))
    calls = call(class_p.value, class_p.low, class_p.high, families=families, threshold=config.q_threshold)
    return p, class_p, calls


def _mean_by_class(values: Floats, members: Ints, n_classes: int) -> Floats:
    """Give the mean of the values of each class that are not NaN; NaN for a class of nothing else."""
    present = ~np.isnan(values)
    counts = np.bincount(members[present], minlength=n_classes)
    sums = np.bincount(members[present], weights=values[present], minlength=n_classes)
    return np.divide(sums, counts, out=np.full(n_classes, np.nan), where=counts > 0)
