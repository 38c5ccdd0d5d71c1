"""Rank lists by label: against brute force in exact fractions, and against scikit-learn."""

from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from cpjump_assets.science.errors import ProfileError
from cpjump_assets.science.label_ranks import Labelled, rank_by_label
from cpjump_assets.science.similarity import unit_rows

GB = 10**9

EDGES = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (3, 4, 0), (4, 3, 0), (0, 4, 3), (1, 2, 2), (2, 1, 2)]
DIRECTIONS = [tuple(sign * part for part in edge) for edge in EDGES for sign in (1, -1)]
"""Vectors of whole length, so that their cosines are fractions, and many are equal."""

items_of = st.lists(
    st.tuples(st.sampled_from(DIRECTIONS), st.frozensets(st.integers(0, 3), min_size=1)), min_size=1, max_size=9
)


def labelled(items, first=0):
    """Make items of (direction, labels), numbered from ``first``."""
    labels = sorted((label, place) for place, (_, own) in enumerate(items) for label in own)
    code, place = np.array(labels, dtype=np.int64).reshape(-1, 2).T
    unit = unit_rows(np.array([direction for direction, _ in items], dtype=float))
    return Labelled(np.arange(first, first + len(items)), unit, place, code)


def cosine(a, b):
    length = round(sum(x * x for x in a) ** 0.5) * round(sum(x * x for x in b) ** 0.5)
    return Fraction(sum(x * y for x, y in zip(a, b, strict=True)), length)


def brute_force(asking, searched, *, absolute, same):
    """Give (ranks of positives, number of negatives) of each label of each asking item, from the definition."""
    found = []
    for label, place in sorted((label, place) for place, (_, own) in enumerate(asking) for label in own):
        direction, own = asking[place]
        listed = []
        for other, (there, labels) in enumerate(searched):
            if same and other == place:
                continue
            similarity = cosine(direction, there)
            falling = -abs(similarity) if absolute else -similarity
            if label in labels:
                listed.append((falling, "a positive"))
            elif not own & labels:
                listed.append((falling, "negative"))
        kinds = [kind for _, kind in sorted(listed)]
        ranks = [rank for rank, kind in enumerate(kinds, 1) if kind == "a positive"]
        found.append((ranks, len(kinds) - len(ranks)))
    return found


def bytes_of_pairs(asking, searched):
    """Give the least memory that is enough: what the pairs that share a label take, 72 bytes each."""
    return 72 * int((asking.label[:, np.newaxis] == searched.label).sum())


def as_pairs(lists):
    ends = np.cumsum(lists.n_positives)
    ranks = [part.tolist() for part in np.split(lists.ranks, ends[:-1])]
    return list(zip(ranks, lists.n_negatives.tolist(), strict=True))


@settings(max_examples=150, deadline=None)
@given(items=items_of, absolute=st.booleans(), spare=st.sampled_from([0, 300, GB]))
def test_items_of_one_kind_rank_as_brute_force_says(items, absolute, spare):
    own = labelled(items)
    lists = rank_by_label(own, own, absolute=absolute, max_memory=bytes_of_pairs(own, own) + spare)
    assert as_pairs(lists) == brute_force(items, items, absolute=absolute, same=True)


@settings(max_examples=150, deadline=None)
@given(asking=items_of, searched=items_of, absolute=st.booleans(), spare=st.sampled_from([0, 300, GB]))
def test_items_of_two_kinds_rank_as_brute_force_says(asking, searched, absolute, spare):
    left, right = labelled(asking), labelled(searched, 100)
    lists = rank_by_label(left, right, absolute=absolute, max_memory=bytes_of_pairs(left, right) + spare)
    assert as_pairs(lists) == brute_force(asking, searched, absolute=absolute, same=False)


@settings(max_examples=100, deadline=None)
@given(items=items_of, chosen=st.sets(st.integers(0, 3)))
def test_dropping_labels_drops_the_items_that_then_have_none(items, chosen):
    whole = labelled(items, 7)
    kept = whole.keep(np.isin(whole.label, sorted(chosen)))
    cut = [(number, direction, labels & chosen) for number, (direction, labels) in enumerate(items, 7)]
    cut = [item for item in cut if item[2]]
    assert kept.items.tolist() == [number for number, _, _ in cut]
    assert list(zip(kept.label, kept.items[kept.place], strict=True)) == sorted(
        (label, number) for number, _, labels in cut for label in labels
    )
    for number, row in zip(kept.items, kept.unit, strict=True):
        np.testing.assert_array_equal(row, whole.unit[number - 7])


def test_average_precision_equals_scikit_learn():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 12))
    sets = [frozenset(rng.choice(12, size=rng.integers(1, 4), replace=False).tolist()) for _ in X]
    own = labelled(list(zip(X, sets, strict=True)))
    similarity = np.abs(own.unit @ own.unit.T)
    precision = rank_by_label(own, own, absolute=True, max_memory=GB).average_precision()
    n_neither = 0
    for place, label, value in zip(own.place, own.label, precision, strict=True):
        positive = np.array([label in labels for labels in sets])
        negative = np.array([not labels & sets[place] for labels in sets])
        listed = (positive | negative) & (np.arange(len(X)) != place)
        n_neither += len(X) - 1 - listed.sum()
        expected = average_precision_score(positive[listed], similarity[place, listed])
        assert value == pytest.approx(expected, abs=4.5e-16)
    assert np.isfinite(precision).all()
    assert n_neither > 500


def test_items_that_share_another_label_are_neither():
    """B is nearest to A and shares label 1 with it: no positive for label 0, and no negative."""
    items = [((1, 0, 0), {0, 1}), ((1, 0, 0), {1}), ((4, 3, 0), {0}), ((3, 4, 0), {2}), ((1, 2, 2), {3})]
    own = labelled(items)
    lists = rank_by_label(own, own, absolute=False, max_memory=GB)
    of_a_for_0 = np.flatnonzero((own.place == 0) & (own.label == 0))
    assert as_pairs(lists.take(of_a_for_0)) == [([1], 2)]


def test_a_label_in_every_item_leaves_no_negatives():
    items = [(direction, {0, 1 + place % 3}) for place, direction in enumerate(DIRECTIONS)]
    own = labelled(items)
    lists = rank_by_label(own, own, absolute=True, max_memory=GB)
    assert (lists.n_negatives == 0).all()
    assert (lists.n_positives[own.label == 0] == len(items) - 1).all()
    assert np.isnan(lists.average_precision()).all()


def test_a_label_without_a_partner_has_no_positive():
    items = [((1, 0, 0), {0}), ((0, 1, 0), {1}), ((3, 4, 0), {1, 2})]
    own = labelled(items)
    lists = rank_by_label(own, own, absolute=False, max_memory=GB)
    assert dict(zip(zip(own.label, own.place, strict=True), lists.n_positives, strict=True)) == {
        (0, 0): 0,
        (1, 1): 1,
        (1, 2): 1,
        (2, 2): 0,
    }
    assert np.isnan(lists.average_precision()).tolist() == [True, False, False, True]


def test_opposite_profiles_are_alike_by_absolute_cosine_alone():
    items = [((1, 2, 2), {0}), ((-1, -2, -2), {0}), ((1, 0, 0), {1}), ((0, 3, 4), {1})]
    own = labelled(items)
    absolute = rank_by_label(own, own, absolute=True, max_memory=GB).average_precision()
    signed = rank_by_label(own, own, absolute=False, max_memory=GB).average_precision()
    assert absolute[:2].tolist() == [1.0, 1.0]
    assert signed[0] == 1 / 3


def test_copies_of_a_profile_tie_with_positives_first_however_the_work_is_cut():
    """Sums of 600 products differ in their last digits between blocks; copies must tie all the same."""
    rng = np.random.default_rng(1)
    profile = rng.normal(size=600)
    X = np.vstack([profile] * 30 + [-profile] * 30 + [rng.normal(size=600) for _ in range(40)])
    own = labelled([(row, {place % 10}) for place, row in enumerate(X)])
    for spare in (0, 5_000, 20_000, GB):
        lists = rank_by_label(own, own, absolute=True, max_memory=bytes_of_pairs(own, own) + spare)
        copies = np.flatnonzero(own.place < 60)
        assert all(ranks[:5] == [1, 2, 3, 4, 5] for ranks, _ in as_pairs(lists.take(copies)))


def test_sums_of_the_same_terms_in_another_order_tie_with_positives_first():
    """A constant profile is equally like every shuffle of another one, but for the last digits of the sums."""
    rng = np.random.default_rng(3)
    profile = rng.normal(1.0, size=600)
    items = [(np.ones(600), {0})] + [(rng.permutation(profile), {place % 2}) for place in range(40)]
    own = labelled(items)
    cosines = own.unit[1:] @ own.unit[0]
    assert np.ptp(cosines) > 0
    lists = rank_by_label(own, own, absolute=False, max_memory=GB)
    assert as_pairs(lists.take(np.flatnonzero(own.place == 0))) == [(list(range(1, 21)), 20)]


def test_the_cut_into_blocks_changes_nothing():
    rng = np.random.default_rng(2)
    X = rng.normal(size=(50, 30))
    pairs = list(combinations(range(12), 2))
    own = labelled([(row, set(pairs[i % len(pairs)])) for i, row in enumerate(X)])
    whole = rank_by_label(own, own, absolute=True, max_memory=GB)
    for spare in (0, 1, 3_333, 10_000):
        part = rank_by_label(own, own, absolute=True, max_memory=bytes_of_pairs(own, own) + spare)
        assert as_pairs(part) == as_pairs(whole)


def test_nobody_asks_and_nobody_is_found():
    nobody = labelled([((1, 0, 0), {0})]).keep(np.zeros(1, dtype=bool))
    somebody = labelled([((0, 1, 0), {0, 5})], 3)
    assert len(rank_by_label(nobody, somebody, absolute=True, max_memory=GB)) == 0
    alone = rank_by_label(somebody, nobody, absolute=True, max_memory=GB)
    assert as_pairs(alone) == [([], 0), ([], 0)]
    assert np.isnan(alone.average_precision()).all()


def test_more_positives_than_memory_allows_are_refused():
    own = labelled([(direction, {0}) for direction in DIRECTIONS * 4])
    with pytest.raises(ProfileError, match=r"4,096 pairs of positives.*max_memory is 0\.0 GB"):
        rank_by_label(own, own, absolute=True, max_memory=bytes_of_pairs(own, own) - 1)
