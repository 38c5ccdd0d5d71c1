import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from cpjump_assets.science import all_pairs, counting
from cpjump_assets.science.all_pairs import rank_against_all
from cpjump_assets.science.errors import ProfileError
from cpjump_assets.science.retrieval import NO_CLASS


def unit_profiles(n, n_features, seed=0, dtype=np.float64):
    X = np.random.default_rng(seed).standard_normal((n, n_features))
    return (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(dtype)


def ranks_by_sorting(unit, classes):
    """Sort the whole list of each profile: the ranks of its positives, which come first among equals."""
    unit = unit.astype(np.float64)
    everyone, expected = np.arange(len(unit)), []
    for profile, own in enumerate(classes):
        same = (classes == own) & (everyone != profile) & (own != NO_CLASS)
        listed = np.flatnonzero(same | (everyone != profile) & ((classes != own) | (own == NO_CLASS)))
        cosines = (unit[listed] @ unit[profile]).round(9)
        falling = listed[np.lexsort((~same[listed], -cosines))]
        expected.append((np.flatnonzero(same[falling]) + 1).tolist())
    return expected


def ranks_of(lists):
    return [part.tolist() for part in np.split(lists.ranks, np.cumsum(lists.n_positives)[:-1])]


@settings(max_examples=60, deadline=None)
@given(
    classes=st.lists(st.integers(NO_CLASS, 6), min_size=2, max_size=40).map(np.array),
    n_features=st.integers(2, 5),
    max_memory=st.sampled_from([4_000, 20_000, 10**9]),
    copies=st.integers(0, 5),
)
def test_ranks_are_those_of_the_sorted_list(classes, n_features, max_memory, copies):
    unit = unit_profiles(len(classes), n_features, seed=len(classes))
    unit[: copies + 1] = unit[0]  # identical profiles, in one class and in several
    lists = rank_against_all(unit, classes, max_memory=max_memory)
    assert ranks_of(lists) == ranks_by_sorting(unit, classes)


def test_average_precision_is_that_of_scikit_learn():
    classes = np.repeat(np.arange(30), 5)
    unit = unit_profiles(150, 8)
    cosines = unit @ unit.T
    others = ~np.eye(150, dtype=bool)
    expected = [
        average_precision_score(classes[mask] == own, row[mask])
        for own, row, mask in zip(classes, cosines, others, strict=True)
    ]
    np.testing.assert_allclose(rank_against_all(unit, classes).average_precision(), expected, rtol=1e-12)


def test_large_classes_are_counted_by_sorting_and_give_the_same():
    classes = np.repeat([0, 1, 2], [40, 3, 60])
    assert 40 - 1 > counting._FEW > 3
    unit = unit_profiles(103, 6)
    assert ranks_of(rank_against_all(unit, classes, max_memory=10**5)) == ranks_by_sorting(unit, classes)


def test_the_order_of_profiles_and_the_size_of_tiles_do_not_matter(monkeypatch):
    rng = np.random.default_rng(3)
    classes = rng.integers(NO_CLASS, 60, 300)
    unit = unit_profiles(300, 20)
    lists = rank_against_all(unit, classes)
    monkeypatch.setattr(all_pairs, "_TILE", 37)
    mixed = rng.permutation(300)
    again = rank_against_all(unit[mixed], classes[mixed]).take(np.argsort(mixed))
    np.testing.assert_array_equal(again.ranks, lists.ranks)
    np.testing.assert_array_equal(again.n_negatives, lists.n_negatives)


def test_a_class_of_its_own_and_everything_in_one_class_have_no_score():
    unit = unit_profiles(4, 3)
    alone = rank_against_all(unit, np.array([0, 1, 2, NO_CLASS]))
    assert alone.n_positives.tolist() == [0, 0, 0, 0] and alone.n_negatives.tolist() == [3, 3, 3, 3]
    together = rank_against_all(unit, np.zeros(4, dtype=np.int64))
    assert together.ranks.tolist() == [1, 2, 3] * 4 and not together.scored.any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_copies_of_a_profile_tie_and_positives_stand_before_negatives(dtype):
    unit = np.repeat(unit_profiles(40, 600), 6, axis=0)
    lists = rank_against_all(unit.astype(dtype), np.tile([0, 0, 1, 1, 2, 2], 40) + np.repeat(np.arange(40) * 3, 6))
    assert lists.ranks.tolist() == [1] * 240


def test_single_precision_differs_by_few_places():
    classes = np.repeat(np.arange(250), 4)
    unit = unit_profiles(1_000, 100)
    single = rank_against_all(unit.astype(np.float32), classes)
    double = rank_against_all(unit, classes)
    moved = np.abs(single.ranks - double.ranks)
    assert moved.max() <= 2 and (moved > 0).mean() < 0.02


def test_memory_stays_within_the_bound():
    unit = unit_profiles(6_000, 64)
    classes = np.arange(6_000) // 4
    returned = 6_000 * 3 * 8 * 4
    for bound in (10**6, 4 * 10**6):
        tracemalloc.start()
        rank_against_all(unit, classes, max_memory=bound)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < bound + returned + 6_000 * 8 * 10


def test_classes_whose_ranks_alone_would_not_fit_are_refused():
    with pytest.raises(ProfileError, match=r"9,900 pairs of positives.*max_memory is 0\.0 GB"):
        rank_against_all(unit_profiles(100, 3), np.zeros(100, dtype=np.int64), max_memory=10**5)
