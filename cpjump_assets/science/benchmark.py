"""The whole benchmark of 2024 on one set of profiles: every task, by one rule.

Belongs here: which task needs the outcome of which, and putting their tables together. Does not belong here: any task
(``detection``, ``matching``), the scores of 2021 (``percent_scores``), the signs of matches (``directionality``).
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from cpjump_assets.science.answers import Answers, answer
from cpjump_assets.science.class_scores import MetricConfig
from cpjump_assets.science.detection import ask_for_replicates
from cpjump_assets.science.layout import lay_out
from cpjump_assets.science.matching import ask_for_targets
from cpjump_assets.science.similarity import MAX_MEMORY
from cpjump_assets.science.tasks import DETECTION, EVERY_WELL, MATCHING_TASKS, REPLICATE_TASKS, TASKS


def score_benchmark(
    metadata: pd.DataFrame,
    X: npt.NDArray[np.floating],
    *,
    subsets: pd.Series | None = None,
    subset_names: Sequence[str] = (EVERY_WELL,),
    features: Sequence[str] | None = None,
    config: MetricConfig | None = None,
    tasks: Sequence[str] = TASKS,
    max_memory: int = MAX_MEMORY,
) -> Answers:
    """Score all tasks on all wells of the primary plates, or on the wells of each subset of a split.

    Parameters
    ----------
    metadata
        A row per profile, in any order, with the columns that ``layout.lay_out`` and ``matching.match`` name.
    X
        Normalized and selected profiles, or any other representation, shape (len(metadata), n_features).
    subsets, subset_names
        See ``layout.lay_out``.
    features
        Names of the columns of ``X``, for messages.
    config
        The rule; by default that of 2024.
    tasks
        The tasks to answer. Detection is always asked: matching is among the perturbations that it retrieves.
    max_memory
        Bytes that similarities may take at a time, beside the profiles and one copy of those of a condition.

    Raises
    ------
    BadTableError
        If the metadata lack a column or a value, or a well comes twice.
    ProfileError
        If a profile that is used has a NaN or infinite feature or is zero everywhere; the message names feature, plate
        and well.
    """
    unknown = sorted(set(tasks) - set(TASKS))
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: no such task; there are {', '.join(TASKS)}")
    config = config or MetricConfig()
    layout = lay_out(metadata, subsets, subset_names=subset_names, wells=config.wells)
    on_wells = [name for name in REPLICATE_TASKS if name == DETECTION or name in tasks]
    on_replicates = ask_for_replicates(layout, X, on_wells, features=features, max_memory=max_memory)
    found = [answer(questions, config) for questions in on_replicates]
    matching = [name for name in MATCHING_TASKS if name in tasks]
    if matching:
        classes = Answers.concatenate(found).classes
        on_targets = ask_for_targets(layout, X, classes, matching, features=features, max_memory=max_memory)
        found += [answer(questions, config) for questions in on_targets]
    return Answers.concatenate(found)
