"""From the rank lists of queries to calls of classes.

Belongs here: the rules by which average precisions become p of a query, p of its class and a call. Does not belong
here: who is compared with whom (the tasks), where tails come from (``null_distribution``, ``class_null``,
``monte_carlo``), what is made of the calls (``answers``).

Mode ``paper_2024``: the p of a class is the geometric mean of its members' p. The text of the paper says geometric mean
of q; its code takes p. Mode ``copairs``: the p of a class is that of its mean average precision. In both, q is
Benjamini-Hochberg over the classes of a cell (task, condition and subset), and a class is retrieved when q < 0.05.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from cpjump_assets.science.arrays import Floats, Ints
from cpjump_assets.science.multiple_testing import Calls, call
from cpjump_assets.science.nulls.class_null import class_tail_probability
from cpjump_assets.science.nulls.class_recipes import class_means
from cpjump_assets.science.nulls.monte_carlo import drawn_class_tail_probability, drawn_tail_probability
from cpjump_assets.science.nulls.null_distribution import PConvention, TailProbability, p_value, tail_probability
from cpjump_assets.science.retrieval import RankLists
from cpjump_assets.science.tasks import EVERY_WELL, WELL_SELECTIONS, WellSelection

MetricMode = Literal["paper_2024", "copairs"]
METRIC_MODES: tuple[MetricMode, ...] = ("paper_2024", "copairs")
_CONVENTIONS = (*get_args(PConvention), "monte_carlo")


@dataclass(frozen=True)
class MetricConfig:
    """How average precisions become calls.

    Attributes
    ----------
    metric_mode
        The published rule that is followed; rows of different modes are never ranked together.
    p_convention, null_size
        See ``null_distribution.p_value``; ``monte_carlo`` draws ``null_size`` random lists instead of computing.
    seed
        Of drawn lists, and of the bootstrap of the mean mAP.
    q_threshold
        A class is retrieved when its q is strictly below.
    wells
        Which wells take part, by position on the plate.

    Raises
    ------
    ValueError
        If a rule is not known: it must not pass for another one.
    """

    metric_mode: MetricMode = "paper_2024"
    p_convention: PConvention | Literal["monte_carlo"] = "add_one"
    null_size: int = 100_000
    seed: int = 0
    q_threshold: float = 0.05
    wells: WellSelection = EVERY_WELL

    def __post_init__(self) -> None:
        known = {"metric_mode": METRIC_MODES, "p_convention": _CONVENTIONS, "wells": WELL_SELECTIONS}
        for name, values in known.items():
            if getattr(self, name) not in values:
                raise ValueError(f"{name} {getattr(self, name)!r}: there are {', '.join(values)}")
        if self.null_size < 1:
            raise ValueError(f"null_size {self.null_size}: at least 1 list must be drawn")
        if self.seed < 0:
            raise ValueError(f"seed {self.seed}: must be at least 0")
        if not 0 < self.q_threshold <= 1:
            raise ValueError(f"q_threshold {self.q_threshold}: must be above 0 and at most 1")

    @property
    def p_label(self) -> str:
        """The convention as it stands in the tables."""
        sizes = {"add_one": f" N={self.null_size}", "monte_carlo": f" N={self.null_size} seed={self.seed}"}
        return self.p_convention + sizes.get(self.p_convention, "")

    def rule(self) -> dict[str, str | float]:
        """Give the columns that say by which rule a row came about."""
        return {
            "metric_mode": self.metric_mode,
            "p_convention": self.p_label,
            "q_threshold": self.q_threshold,
            "wells": self.wells,
        }


@dataclass(frozen=True)
class PValues:
    """p and the interval that contains it, arrays of one shape; NaN where there is none, equal where p is exact."""

    value: Floats
    low: Floats
    high: Floats

    def narrowed(self, places: Ints, others: "PValues") -> "PValues":
        """Give a copy in which ``places`` have the p of ``others``, in the intervals that both allow."""
        low, high = np.maximum(self.low[places], others.low), np.minimum(self.high[places], others.high)
        return self.replaced(places, PValues(np.clip(others.value, low, high), low, high))

    def replaced(self, places: Ints, others: "PValues") -> "PValues":
        """Give a copy in which ``places`` have the p of ``others``."""
        copies = {name: values.copy() for name, values in vars(self).items()}
        for name, copy in copies.items():
            copy[places] = getattr(others, name)
        return PValues(**copies)


@dataclass(frozen=True)
class ClassCalls:
    """What the members of each class say together, arrays of shape (n_classes,).

    Attributes
    ----------
    n_members, n_with_positives, n_scored
        All members, those with a positive, and those with a positive and a negative.
    mean_average_precision, p
        Over the scored members; NaN without any.
    calls
        q, retrieved or not, open or not.
    """

    n_members: Ints
    n_with_positives: Ints
    n_scored: Ints
    mean_average_precision: Floats
    p: PValues
    calls: Calls


def call_classes(
    lists: RankLists, *, members: Ints, families: Ints, config: MetricConfig
) -> tuple[PValues, ClassCalls]:
    """Give p of every query and the call of every class.

    Where an interval of p leaves the call of a class open, its p is computed once more on a finer grid; what is still
    open then is marked undecided. No other call changes: those are the same for all p in their intervals.

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

    Returns
    -------
    PValues
        Of the queries; all NaN in mode ``copairs``, which tests no single query.
    ClassCalls
    """
    judge = _JUDGES[config.metric_mode]
    p, class_p = judge(lists, members, len(families), config, refined=False)
    calls = _call(class_p, families, config)
    hinges = np.flatnonzero(calls.undecided & (class_p.low < class_p.high))
    if hinges.size:
        queries = np.flatnonzero(np.isin(members, hinges))
        renumbered = np.searchsorted(hinges, members[queries])
        finer = judge(lists.take(queries), renumbered, len(hinges), config, refined=True)
        p, class_p = p.narrowed(queries, finer[0]), class_p.narrowed(hinges, finer[1])
        calls = _call(class_p, families, config)
    counted = (np.ones(len(lists), dtype=bool), lists.n_positives > 0, lists.scored)
    n_members, n_with_positives, n_scored = (np.bincount(members[which], minlength=len(families)) for which in counted)
    mean_average_precision = class_means(lists.average_precision(), members, len(families))
    return p, ClassCalls(n_members, n_with_positives, n_scored, mean_average_precision, class_p, calls)


def _call(class_p: PValues, families: Ints, config: MetricConfig) -> Calls:
    return call(class_p.value, class_p.low, class_p.high, families=families, threshold=config.q_threshold)


def _judge_by_queries(
    lists: RankLists, members: Ints, n_classes: int, config: MetricConfig, *, refined: bool
) -> tuple[PValues, PValues]:
    """Mode ``paper_2024``: p of each query, and their geometric mean in each class."""
    if config.p_convention == "monte_carlo":
        tails = drawn_tail_probability(lists, null_size=config.null_size, seed=config.seed)
    else:
        tails = tail_probability(lists, refined=refined)
    p = _p_values(tails, config)
    with np.errstate(divide="ignore"):  # strict p of a perfect list is 0, and so is the geometric mean
        logs = [np.log(ends) for ends in (p.value, p.low, p.high)]
    return p, PValues(*(np.exp(class_means(log, members, n_classes)) for log in logs))


def _judge_by_means(
    lists: RankLists, members: Ints, n_classes: int, config: MetricConfig, *, refined: bool
) -> tuple[PValues, PValues]:
    """Mode ``copairs``: one p for the mean average precision of each class."""
    if config.p_convention == "monte_carlo":
        tails = drawn_class_tail_probability(lists, members, n_classes, null_size=config.null_size, seed=config.seed)
    else:
        tails = class_tail_probability(lists, members, n_classes, refined=refined)
    return PValues(*np.full((3, len(lists)), np.nan)), _p_values(tails, config)


_JUDGES = {"paper_2024": _judge_by_queries, "copairs": _judge_by_means}


def _p_values(tails: TailProbability, config: MetricConfig) -> PValues:
    convention: PConvention = "strict" if config.p_convention == "strict" else "add_one"
    ends = (tails.value, tails.low, tails.high)
    return PValues(*(p_value(tail, convention=convention, null_size=config.null_size) for tail in ends))
