"""Ranks and average precision, against a sorted list, scikit-learn and copairs; blocks and their memory."""

import tracemalloc
from itertools import chain

import numpy as np
import pandas as pd
import pytest
from copairs.map import average_precision as copairs_average_precision
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from cpjump_assets.science.errors import ProfileError
from cpjump_assets.science.retrieval import NO_CLASS, RankLists, count_alike, rank_against_controls
from cpjump_assets.science.similarity import TIE, unit_rows

PLENTY = 10**9
BYTES_PER_RANK = 32
"""What the ranks of the positives need while they are made: below this nothing can be answered."""


def _ranks_of_sorted_list(positives, negatives):
    """Sort the whole list, positives before negatives of the same similarity, and look the positives up."""
    listed = sorted([(-value, 0) for value in positives] + [(-value, 1) for value in negatives])
    return [rank for rank, (_, is_negative) in enumerate(listed, start=1) if not is_negative]


def _brute_force(unit, classes, apart, plates, is_control):
    """Give the ranks and the number of negatives of every profile, one pair at a time.

    Cosines are rounded to what all ways of computing them agree on, so that equal ones are equal.
    """
    cosines = np.round(unit @ unit.T, 9)
    everyone = range(len(unit))
    for own in everyone:
        positives = [
            cosines[own, other]
            for other in everyone
            if classes[own] == classes[other] != NO_CLASS and apart[own] != apart[other]
        ]
        negatives = [
            cosines[own, other]
            for other in everyone
            if plates[own] == plates[other] and is_control[own] != is_control[other]
        ]
        yield _ranks_of_sorted_list(positives, negatives), len(negatives)


@st.composite
def _experiments(draw):
    """Draw up to 30 wells on 3 plates in a few directions, so that most lists have ties.

    Classes hold none to all of the wells; ``apart`` is what leaves out the well itself, or a position.
    """
    n = draw(st.integers(1, 30))
    codes = {name: draw(st.lists(st.integers(0, top), min_size=n, max_size=n)) for name, top in _CODES.items()}
    angles = np.array(codes["direction"]) * np.pi / 6
    classes = np.array(codes["class"])
    classes[np.array(codes["left_out"]) == 0] = NO_CLASS
    apart = np.arange(n) if draw(st.booleans()) else np.array(codes["position"])
    return {
        "unit": np.stack([np.cos(angles), np.sin(angles)], axis=1),
        "classes": classes,
        "apart": apart,
        "plates": np.array(codes["plate"]),
        "is_control": np.array(codes["control"]) == 0,
    }


_CODES = {"direction": 11, "class": 3, "left_out": 4, "position": 5, "plate": 2, "control": 2}


@settings(deadline=None, max_examples=200)
@given(_experiments(), st.sampled_from([0, 200, 3_000, PLENTY]))
def test_ranks_equal_those_of_the_sorted_list_with_ties_whatever_the_blocks(experiment, spare_memory):
    """From one query at a time to all at once; both ways of counting, for few and for many positives, come up."""
    expected = list(_brute_force(**experiment))
    sizes = [len(ranks) for ranks, _ in expected]
    found = rank_against_controls(**experiment, max_memory=BYTES_PER_RANK * sum(sizes) + spare_memory)
    assert found.n_positives.tolist() == sizes
    assert found.n_negatives.tolist() == [n_negatives for _, n_negatives in expected]
    assert found.ranks.tolist() == list(chain(*(ranks for ranks, _ in expected)))


@pytest.mark.parametrize(("closer", "rank"), [(TIE / 2, 1), (2 * TIE, 2)])
def test_similarities_closer_than_a_tie_favour_the_positive(closer, rank):
    cosines = np.array([1.0, 0.5, 0.5 + closer])
    found = rank_against_controls(
        np.stack([cosines, np.sqrt(1.0 - cosines**2)], axis=1),
        classes=np.array([0, 0, NO_CLASS]),
        apart=np.arange(3),
        plates=np.array([0, 1, 0]),
        is_control=np.array([False, False, True]),
        max_memory=PLENTY,
    )
    assert found.take(np.array([0])).ranks.tolist() == [rank]


@pytest.mark.parametrize(("n_classes", "n_positives"), [(10, 3), (1, 60)])
def test_average_precision_equals_scikit_learn(n_classes, n_positives):
    rng = np.random.default_rng(4)
    classes = np.repeat([*range(n_classes), NO_CLASS], [*([n_positives + 1] * n_classes), 64])
    directions = rng.normal(size=(n_classes + 1, 6))
    unit = unit_rows(0.3 * directions[classes] + rng.normal(size=(len(classes), 6)))
    is_control = classes == NO_CLASS
    found = rank_against_controls(
        unit,
        classes=classes,
        apart=np.arange(len(unit)),
        plates=np.zeros(len(unit), dtype=int),
        is_control=is_control,
        max_memory=PLENTY,
    )
    truth = np.r_[np.ones(n_positives), np.zeros(64)]
    expected = []
    for own in np.flatnonzero(~is_control):
        positives = np.flatnonzero((classes == classes[own]) & (np.arange(len(unit)) != own))
        expected.append(average_precision_score(truth, np.r_[unit[positives], unit[is_control]] @ unit[own]))
    np.testing.assert_allclose(found.average_precision()[~is_control], expected, rtol=1e-14)
    assert np.isnan(found.average_precision()[is_control]).all()


def _small_experiment(seed=5):
    """Three plates, classes of 2 to 5 wells over them, two control samples, one of them many wells; four positions."""
    rng = np.random.default_rng(seed)
    samples = ["a"] * 2 + ["b"] * 3 + ["c"] * 5 + ["d"] * 4 + ["alone"] + ["DMSO"] * 12 + ["mock"] * 4
    frame = pd.DataFrame({"sample": samples, "plate": rng.permutation(np.resize(list("pqr"), len(samples)))})
    frame["is_control"] = frame["sample"].isin(["DMSO", "mock"])
    frame["well"] = rng.integers(4, size=len(frame))
    return frame.sample(frac=1, random_state=seed, ignore_index=True), rng.normal(size=(len(frame), 8))


def _rank(frame, X, *, apart=None):
    return rank_against_controls(
        unit_rows(X),
        classes=pd.factorize(frame["sample"])[0],
        apart=np.arange(len(frame)) if apart is None else frame[apart].to_numpy(),
        plates=pd.factorize(frame["plate"])[0],
        is_control=frame["is_control"].to_numpy(),
        max_memory=PLENTY,
    )


@pytest.mark.parametrize("seed", range(5, 10))
@pytest.mark.parametrize("apart", [None, "well"])
def test_lists_equal_those_of_copairs_for_treated_and_control_wells(seed, apart):
    frame, X = _small_experiment(seed)
    found = _rank(frame, X, apart=apart)
    differ = [] if apart is None else [apart]
    peer = copairs_average_precision(frame, X, ["sample"], differ, ["plate"], ["is_control"], progress_bar=False)
    np.testing.assert_array_equal(found.n_positives, peer["n_pos_pairs"])
    np.testing.assert_array_equal(found.n_total, peer["n_total_pairs"])
    expected = peer["average_precision"].where(peer["n_pos_pairs"] > 0)
    assert expected.notna().sum() == len(frame) - (1 if apart is None else (found.n_positives == 0).sum())
    np.testing.assert_allclose(found.average_precision(), expected, rtol=0, atol=2.3e-16)


def test_copies_of_one_profile_stand_before_negatives():
    frame, X = _small_experiment()
    found = _rank(frame, np.ones_like(X))
    expected = np.where(frame["sample"] == "alone", np.nan, 1.0)
    np.testing.assert_array_equal(found.average_precision(), expected)


def test_wells_without_class_or_without_negatives_have_no_score():
    unit = unit_rows(np.random.default_rng(6).normal(size=(8, 4)))
    found = rank_against_controls(
        unit,
        classes=np.array([0, 0, 1, 1, 2, NO_CLASS, NO_CLASS, NO_CLASS]),
        apart=np.arange(8),
        plates=np.array([0, 1, 0, 1, 0, 0, 0, 0]),
        is_control=np.array([False] * 5 + [True] * 3),
        max_memory=PLENTY,
    )
    np.testing.assert_array_equal(found.n_positives, [1, 1, 1, 1, 0, 0, 0, 0])
    np.testing.assert_array_equal(found.n_negatives, [3, 0, 3, 0, 3, 3, 3, 3])
    np.testing.assert_array_equal(found.scored, [True, False, True, False, False, False, False, False])
    assert np.isnan(found.average_precision()).tolist() == (~found.scored).tolist()


def test_profiles_that_are_alike_are_counted_by_class():
    classes, apart = np.array([0, 0, 0, 1, 1, 2]), np.array([3, 3, 1, 3, 3, 3])
    assert count_alike(classes, apart).tolist() == [2, 2, 1, 2, 2, 1]
    assert count_alike(classes, np.arange(6)).tolist() == [1] * 6
    assert count_alike(classes[:0], apart[:0]).tolist() == []


def _one_plate(n_treated, n_controls, *, class_size, n_features=4):
    n = n_treated + n_controls
    classes = np.arange(n) // class_size
    classes[n_treated:] = NO_CLASS
    return {
        "unit": unit_rows(np.random.default_rng(7).normal(size=(n, n_features))),
        "classes": classes,
        "apart": np.arange(n),
        "plates": np.zeros(n, dtype=int),
        "is_control": np.arange(n) >= n_treated,
    }


def test_ranks_that_would_not_fit_are_refused_before_they_are_made():
    n_pairs = 300 * 299
    plate = _one_plate(300, 10, class_size=300)
    with pytest.raises(ProfileError, match=r"89,700 pairs of positives .* need 0\.0 GB and max_memory is 0\.0 GB"):
        rank_against_controls(**plate, max_memory=BYTES_PER_RANK * n_pairs - 1)
    assert len(rank_against_controls(**plate, max_memory=BYTES_PER_RANK * n_pairs).ranks) == n_pairs


def _peak(plate, max_memory):
    tracemalloc.start()
    try:
        rank_against_controls(**plate, max_memory=max_memory)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_similarities_stay_within_the_memory_that_is_allowed():
    """3,000 wells against 1,000 controls: their cosines alone are 24 MB; what else is held is 1 MB."""
    plate = _one_plate(3_000, 1_000, class_size=4)
    assert _peak(plate, PLENTY) > 24e6
    assert _peak(plate, 4_000_000) < 5e6


def test_one_large_class_stays_within_the_memory_that_is_allowed():
    plate = _one_plate(1_200, 50, class_size=1_200)
    allowed = 1_200 * 1_199 * BYTES_PER_RANK
    assert _peak(plate, allowed) < 1.1 * allowed


@settings(deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_lists_can_be_taken_apart_and_put_together(sizes, random):
    n_positives = np.array(sizes)
    ranks = [sorted(random.sample(range(1, 30), size)) for size in sizes]
    lists = RankLists(np.array(list(chain(*ranks)), dtype=int), n_positives, np.full(len(sizes), 30) - n_positives)
    assert len(lists) == len(sizes)
    assert (lists.n_total == 30).all()
    order = np.array(random.sample(range(len(sizes)), len(sizes)))
    taken = lists.take(order)
    parts = RankLists.concatenate([taken.take(np.array([i])) for i in range(len(order))])
    assert parts.ranks.tolist() == taken.ranks.tolist() == list(chain(*(ranks[i] for i in order)))
    np.testing.assert_array_equal(parts.average_precision(), lists.average_precision()[order])
    for queries, matrix in lists.by_size():
        assert matrix.tolist() == [ranks[query] for query in queries]
