"""Rank lists and questions for the tests of scores."""

import numpy as np
import pandas as pd

from cpjump_assets.science.questions import Questions
from cpjump_assets.science.retrieval import NO_CLASS, RankLists


def rank_lists(ranks, lengths):
    """Make lists of the ranks of each query and the length of its list, or one length for all."""
    sizes = np.array([len(one) for one in ranks], dtype=np.int64)
    flat = np.array([rank for one in ranks for rank in sorted(one)], dtype=np.int64)
    return RankLists(flat, sizes, np.broadcast_to(lengths, len(sizes)) - sizes)


def random_ranks(rng, n_queries, n_positives, length):
    """Draw ranks of positives as chance alone does."""
    return np.sort(np.argsort(rng.random((n_queries, length)), axis=1)[:, :n_positives] + 1, axis=1)


def make_questions(cells, *, task="detection"):
    """Make questions of one task.

    ``cells`` holds for each cell its classes by name, and under ``None`` queries without a class; a class is a list of
    queries, and a query is (ranks of its positives, length of its list). The subset of a cell is its number.
    """
    key = {"task": task, "Metadata_experiment_type": "ORF", "Metadata_cell_line": "A549", "Metadata_timepoint": 48}
    key |= {"Metadata_timepoint_code": "low", "reference_experiment_type": "ORF", "reference_timepoint": 48}
    key |= {"reference_timepoint_code": "low"}
    asked = [(i, name, query) for i, cell in enumerate(cells) for name, own in cell.items() for query in own]
    classes = [(i, name) for i, cell in enumerate(cells) for name in cell if name is not None]
    names = pd.array([name for _, name in classes], dtype="str")
    numbers = {one: number for number, one in enumerate(classes)}
    counts = {"n_negative_controls": 7, "same_well_share": 0.5, "nothing_asked": "nobody is here"}
    table = pd.DataFrame([{"subset": f"subset {i}"} | key | counts for i in range(len(cells))])
    return Questions(
        lists=rank_lists(
            [ranks for *_, (ranks, _) in asked], np.array([end for *_, (_, end) in asked], dtype=np.int64)
        ),
        members=np.array([numbers.get((i, name), NO_CLASS) for i, name, _ in asked], dtype=np.int64),
        cell_of=np.array([i for i, *_ in asked], dtype=np.int64),
        queries={"Metadata_Well": pd.array([f"query {i}" for i in range(len(asked))], dtype="str")},
        classes={"class_name": names, "Metadata_broad_sample": names, "Metadata_target": "gene " + names},
        families=np.array([i for i, _ in classes], dtype=np.int64),
        cells=table.assign(n_profiles=[sum(map(len, cell.values())) for cell in cells]),
    )
