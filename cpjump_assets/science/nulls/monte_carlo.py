"""p by random lists instead of computing it: the share of drawn nulls that beat the observed.

Belongs here: the drawn twins of ``null_distribution.tail_probability`` and ``class_null.class_tail_probability``. Does
not belong here: drawing itself (``drawn_lists``).

With n drawn lists, (1 + n share) / (1 + n) is the published estimate of p. Its lists depend on the seed and the
configuration alone, so that it is the same whatever else is asked. Intervals have no width: a drawn p is what it is.
"""

import numpy as np

from cpjump_assets.science.arrays import Bools, Ints
from cpjump_assets.science.nulls.class_recipes import sort_out
from cpjump_assets.science.nulls.drawn_lists import count_drawn_above, count_drawn_means_above
from cpjump_assets.science.nulls.null_distribution import DRAWN_LISTS, TailProbability
from cpjump_assets.science.nulls.observed_sums import sums_by_configuration
from cpjump_assets.science.nulls.rank_program import Tails
from cpjump_assets.science.retrieval import RankLists


def drawn_tail_probability(lists: RankLists, *, null_size: int, seed: int) -> TailProbability:
    """Give the share of random lists with a strictly greater average precision than each list.

    Parameters
    ----------
    lists
        Ranks of the positives of each query.
    null_size
        How many lists to draw of each configuration.
    seed
        Seed of the draws.
    """
    return _drawn(lists, np.arange(len(lists)), len(lists), np.ones(len(lists), dtype=bool), null_size, seed)


def drawn_class_tail_probability(
    lists: RankLists, members: Ints, n_classes: int, *, null_size: int, seed: int
) -> TailProbability:
    """Give the share of drawn null means that are strictly greater than the mean average precision of each class.

    As in copairs, a null mean is that of one null average precision per member, and members with the same number of
    positives and length of the list share theirs.

    Parameters
    ----------
    lists, members, n_classes
        As in ``class_null.class_tail_probability``.
    null_size, seed
        As in ``drawn_tail_probability``.
    """
    single, mixed = sort_out(lists, members, n_classes)
    result = _drawn(lists, members, n_classes, single[members], null_size, seed)
    recipes = {classes.parts: classes for classes in mixed}
    bars = {parts: classes.means for parts, classes in recipes.items()}
    for parts, n_above in count_drawn_means_above(bars, null_size, seed=seed):
        _put_share(result, recipes[parts].classes, n_above, null_size)
    return result


def _drawn(
    lists: RankLists, query_of: Ints, n_queries: int, asked: Bools, null_size: int, seed: int
) -> TailProbability:
    """Draw for queries of one configuration each."""
    result = TailProbability.empty(n_queries)
    for observed in sums_by_configuration(lists, query_of, np.flatnonzero(lists.scored & asked)):
        n_above = count_drawn_above(observed.sums(), observed.key, null_size, seed=seed)
        _put_share(result, observed.queries, n_above, null_size)
    return result


def _put_share(result: TailProbability, queries: Ints, n_above: Ints, null_size: int) -> None:
    share = n_above / null_size
    result.put(queries, Tails(share, share, share), DRAWN_LISTS)
