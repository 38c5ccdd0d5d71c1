"""From the questions of the tasks to the tables of classes and scores.

Belongs here: the rows of both tables, the fraction retrieved and the mean mAP with their intervals, and the words for a
score that cannot be given. Does not belong here: p and calls (``class_scores``), the columns' meaning
(``score_tables``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from cpjump_assets.science.arrays import Ints
from cpjump_assets.science.class_scores import ClassCalls, MetricConfig, PValues, call_classes
from cpjump_assets.science.intervals import FEWEST_CLASSES, binomial_interval, bootstrap_interval
from cpjump_assets.science.questions import Questions
from cpjump_assets.science.retrieval import NO_CLASS
from cpjump_assets.science.score_tables import CLASSES, SCORES


@dataclass(frozen=True)
class Answers:
    """What became of the questions of some tasks.

    Attributes
    ----------
    classes
        Columns of ``score_tables.CLASSES``, in the order of the questions' classes.
    scores
        Columns of ``score_tables.SCORES``, in the order of the questions' cells.
    of_queries
        The questions, and p of each of their queries.
    """

    classes: pd.DataFrame
    scores: pd.DataFrame
    of_queries: tuple[tuple[Questions, PValues], ...]

    @cached_property
    def queries(self) -> pd.DataFrame:
        """A row is a query: its keys, n_positives, n_negatives, average_precision, p_value, p_low, p_high.

        Average precision and p are missing where a query has no positive or no negative; p also where it has no class,
        and in mode ``copairs``. The largest of the tables, and made when it is asked for.
        """
        return pd.concat([_query_table(questions, p) for questions, p in self.of_queries], ignore_index=True)

    @classmethod
    def concatenate(cls, parts: Sequence["Answers"]) -> "Answers":
        """Put the tables of several parts below each other; queries of some tasks have columns that others lack."""
        return cls(
            pd.concat([part.classes for part in parts], ignore_index=True),
            pd.concat([part.scores for part in parts], ignore_index=True),
            tuple(pair for part in parts for pair in part.of_queries),
        )


def answer(questions: Questions, config: MetricConfig) -> Answers:
    """Give p of the queries, call the classes and score the cells."""
    in_class = np.flatnonzero(questions.members != NO_CLASS)
    p_in_class, calls = call_classes(
        questions.lists.take(in_class), members=questions.members[in_class], families=questions.families, config=config
    )
    p = PValues(*np.full((3, len(questions.members)), np.nan)).replaced(in_class, p_in_class)
    classes, scores = _class_table(questions, calls, config), _score_table(questions, calls, config)
    return Answers(classes, scores, ((questions, p),))


def _query_table(questions: Questions, p: PValues) -> pd.DataFrame:
    numbers = {
        "n_positives": questions.lists.n_positives,
        "n_negatives": questions.lists.n_negatives,
        "average_precision": questions.lists.average_precision(),
        "p_value": p.value,
        "p_low": p.low,
        "p_high": p.high,
    }
    return pd.DataFrame({**questions.cell_columns(questions.cell_of), **questions.queries, **numbers})


def _class_table(questions: Questions, calls: ClassCalls, config: MetricConfig) -> pd.DataFrame:
    columns = {
        **questions.cell_columns(questions.families),
        **_rule_columns(config, len(questions.families)),
        **questions.classes,
        "n_queries": calls.n_members,
        "n_queries_scored": calls.n_scored,
        "mean_average_precision": calls.mean_average_precision,
        "p_value": calls.p.value,
        "p_low": calls.p.low,
        "p_high": calls.p.high,
        "q_value": calls.calls.q_value,
        "retrieved": calls.calls.significant,
        "undecided": calls.calls.undecided,
    }
    return pd.DataFrame({name: columns[name] for name in CLASSES.column_names})


def _score_table(questions: Questions, calls: ClassCalls, config: MetricConfig) -> pd.DataFrame:
    """Give one row for each cell, with a note where there is no number or not the whole one."""
    cells = questions.cells
    bounds = np.searchsorted(questions.families, np.arange(len(cells) + 1))
    rows = [
        _score_cell(calls, np.arange(first, end), nothing_asked, config.seed)
        for (first, end), nothing_asked in zip(pairwise(bounds), cells["nothing_asked"], strict=True)
    ]
    columns: dict[str, Any] = {
        **{str(name): cells[name].array for name in cells},
        **_rule_columns(config, len(cells)),
        **{name: [row[name] for row in rows] for name in rows[0]},
    }
    columns["note"] = pd.array(columns["note"], dtype="str")
    return pd.DataFrame({name: columns[name] for name in SCORES.column_names})


def _rule_columns(config: MetricConfig, n_rows: int) -> dict[str, Any]:
    everywhere = np.zeros(n_rows, dtype=np.int64)
    return {name: pd.Series([value]).array.take(everywhere) for name, value in config.rule().items()}


def _score_cell(calls: ClassCalls, own: Ints, nothing_asked: str, seed: int) -> dict[str, Any]:
    """Sum up the classes of one cell.

    The denominator of the fraction retrieved is the number of classes with a scored member. With fewer than
    ``FEWEST_CLASSES`` of them, the fraction, the mean and their intervals are NaN.
    """
    scored = own[calls.n_scored[own] > 0]
    counts = {
        "n_queries": int(calls.n_members[own].sum()),
        "n_classes": len(scored),
        "n_classes_without_positives": int((calls.n_with_positives[own] == 0).sum()),
        "n_retrieved": int(calls.calls.significant[own].sum()),
        "n_undecided": int(calls.calls.undecided[own].sum()),
    }
    means = calls.mean_average_precision[scored]
    if len(scored) < FEWEST_CLASSES:
        fraction, interval, mean, mean_interval = np.nan, (np.nan, np.nan), np.nan, (np.nan, np.nan)
    else:
        fraction, interval = counts["n_retrieved"] / len(scored), binomial_interval(counts["n_retrieved"], len(scored))
        mean, mean_interval = float(means.mean()), bootstrap_interval(means, seed=seed)
    return counts | {
        "fraction_retrieved": fraction,
        "fraction_retrieved_low": interval[0],
        "fraction_retrieved_high": interval[1],
        "mean_average_precision": mean,
        "mean_average_precision_low": mean_interval[0],
        "mean_average_precision_high": mean_interval[1],
        "note": _note(calls, own, nothing_asked),
    }


def _note(calls: ClassCalls, own: Ints, nothing_asked: str) -> str | None:
    """Say why the score of some classes is missing or leaves queries out; None where there is nothing to say."""
    if not own.size:
        return nothing_asked
    n_scored = np.count_nonzero(calls.n_scored[own])
    if n_scored < FEWEST_CLASSES:
        return f"{n_scored} of {len(own)} classes have a positive pair and a negative, at least {FEWEST_CLASSES} must"
    unscored = int((calls.n_with_positives[own] - calls.n_scored[own]).sum())
    return f"{unscored} queries have no score: they have a positive but no negative" if unscored else None
