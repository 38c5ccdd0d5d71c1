"""Tails of class means: against every combination of lists, against random lists, and against copairs itself."""

import itertools
from collections import Counter
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from copairs.map import mean_average_precision
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from cpjump_assets.science.nulls import class_null
from cpjump_assets.science.nulls.class_null import class_tail_probability
from cpjump_assets.science.nulls.null_distribution import METHODS, p_value, tail_probability
from cpjump_assets.science.retrieval import RankLists

NULL_SIZE = 100_000


def _lists(members):
    """Put lists, given as (ranks, length), one after the other."""
    return RankLists(
        np.concatenate([np.sort(ranks) for ranks, _ in members]),
        np.array([len(ranks) for ranks, _ in members]),
        np.array([length - len(ranks) for ranks, length in members]),
    )


def _precision(ranks):
    return sum(Fraction(j, int(rank)) for j, rank in enumerate(sorted(ranks), start=1)) / len(ranks)


def _exact_tail(members):
    """Go through every combination of one list per configuration, in fractions."""
    shares = Counter((len(ranks), length) for ranks, length in members)
    observed = sum(_precision(ranks) for ranks, _ in members) / len(members)
    null = Counter({Fraction(0): 1})
    for (n_positives, length), count in shares.items():
        own = Counter(
            Fraction(count, len(members)) * _precision(ranks)
            for ranks in itertools.combinations(range(1, length + 1), n_positives)
        )
        combined = Counter()
        for (a, n_a), (b, n_b) in itertools.product(null.items(), own.items()):
            combined[a + b] += n_a * n_b
        null = combined
    return sum(n for mean, n in null.items() if mean > observed) / sum(null.values())


def _draw_members(rng, configurations, *, strength=1.0):
    members = []
    for n_positives, length in configurations:
        keys = rng.random(length) * np.arange(1, length + 1) ** strength
        members.append((np.sort(np.argsort(keys)[:n_positives]) + 1, length))
    return members


def _one_class(members, **options):
    return class_tail_probability(_lists(members), np.zeros(len(members), dtype=np.int64), 1, **options)


def _add_one(tail):
    return p_value(tail, convention="add_one", null_size=NULL_SIZE)


_MEMBER = st.integers(1, 3).flatmap(
    lambda k: st.integers(k + 1, 9).flatmap(
        lambda length: st.tuples(
            st.lists(st.integers(1, length), min_size=k, max_size=k, unique=True).map(np.array), st.just(length)
        )
    )
)


@settings(deadline=None, max_examples=120)
@given(st.lists(_MEMBER, min_size=1, max_size=3), st.booleans())
def test_small_classes_are_exact(members, refined):
    found = _one_class(members, refined=refined)
    expected = _exact_tail(members)
    assert METHODS[found.method[0]] in {"closed form", "enumeration"}
    np.testing.assert_allclose([found.value[0], found.low[0], found.high[0]], expected, rtol=1e-12, atol=1e-15)


@settings(deadline=None, max_examples=60)
@given(st.lists(_MEMBER, min_size=2, max_size=3))
def test_convolved_classes_lie_in_their_interval(members):
    """The same small classes with nothing summed directly: atoms are as large as they can be."""
    if len({(len(ranks), length) for ranks, length in members}) == 1:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(class_null, "_DIRECT_LIMITS", (0, 0))
        found = _one_class(members)
    expected = _exact_tail(members)
    assert METHODS[found.method[0]] == "convolution"
    assert found.low[0] <= found.value[0] <= found.high[0]
    assert found.low[0] <= expected <= found.high[0]
    assert found.high[0] - found.low[0] < 0.5


@pytest.mark.parametrize("refined", [False, True])
@pytest.mark.parametrize(
    "configurations", [[(5, 60), (5, 61), (1, 60)], [(30, 300), (8, 100)], [(6, 50), *((8, 150 + i) for i in range(9))]]
)
def test_convolved_extremes_hold_their_interval(configurations, refined):
    """The best lists, that nothing beats, and the worst, that all but one of more than 1e16 combinations beat."""
    best = [(np.arange(1, k + 1), length) for k, length in configurations]
    worst = [(length + 1 - ranks[::-1], length) for ranks, length in best]
    for members, expected in ((best, 0.0), (worst, 1.0)):
        found = _one_class(members, refined=refined)
        assert METHODS[found.method[0]] == "convolution"
        assert found.low[0] <= expected <= found.high[0] + 1e-15
        assert found.high[0] - found.low[0] < 1e-4


@pytest.mark.parametrize("limit", [0, 60_000])
def test_rank_program_in_a_class_holds_its_interval(limit):
    """(4, 16) is counted on the grid when it may not be listed; as the largest, and as one of several."""
    rng = np.random.default_rng(2)
    for seed_configurations in ([(4, 16), (1, 12)], [(4, 16), (1, 12), (1, 9)], [(4, 16), (2, 8), (4, 16)]):
        members = _draw_members(rng, seed_configurations)
        expected = _exact_tail(members)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(class_null, "_LISTED_LIMIT", 1000)
            patch.setattr(class_null, "_DIRECT_LIMITS", (limit, limit))
            found = _one_class(members)
        assert METHODS[found.method[0]] == ("rank program" if limit else "convolution")
        assert found.low[0] <= expected <= found.high[0]
        # Convolved atoms of so few sets are smeared over their neighbours.
        assert found.value[0] == pytest.approx(float(expected), rel=1e-3 if limit else 2e-3, abs=0 if limit else 5e-5)


def test_one_configuration_is_the_tail_of_a_list():
    """Members with equal lists have the mean that each of them has."""
    rng = np.random.default_rng(3)
    for configuration in [(1, 50), (3, 67), (3, 140), (4, 60), (7, 71)]:
        ((ranks, length),) = _draw_members(rng, [configuration])
        found, single = _one_class([(ranks, length)] * 3), tail_probability(_lists([(ranks, length)]))
        for name in ("value", "low", "high", "method"):
            np.testing.assert_array_equal(getattr(found, name), getattr(single, name))


def _mixed_configurations(rng):
    n_members = rng.integers(2, 6)
    return [(int(rng.integers(1, 7)), int(rng.integers(50, 120))) for _ in range(n_members)]


def test_refining_narrows_the_interval_around_the_same_value():
    rng = np.random.default_rng(4)
    classes = [_draw_members(rng, _mixed_configurations(rng), strength=0.4) for _ in range(40)]
    lists = _lists([member for members in classes for member in members])
    members = np.repeat(np.arange(len(classes)), [len(members) for members in classes])
    coarse = class_tail_probability(lists, members, len(classes))
    fine = class_tail_probability(lists, members, len(classes), refined=True)
    p, refined = _add_one(coarse.value), _add_one(fine.value)
    assert (np.maximum(coarse.low, fine.low) <= np.minimum(coarse.high, fine.high)).all()
    assert np.abs(p / refined - 1).max() < 2e-3
    convolved = [METHODS[method] == "convolution" for method in fine.method]
    assert np.count_nonzero(convolved) > 10
    assert ((fine.high - fine.low)[convolved] < (coarse.high - coarse.low)[convolved] / 4).all()


def test_agrees_with_random_lists():
    rng = np.random.default_rng(5)
    n_drawn = 20_000
    scores = []
    for _ in range(25):
        members = _draw_members(rng, _mixed_configurations(rng), strength=0.3)
        mean, null = 0.0, np.zeros(n_drawn)
        for (n_positives, length), count in Counter((len(r), n) for r, n in members).items():
            places = np.argsort(rng.random((n_drawn, length), dtype=np.float32), axis=1)[:, :n_positives]
            precision = (np.arange(1, n_positives + 1) / (np.sort(places, axis=1) + 1)).mean(axis=1)
            null += precision * count / len(members)
        mean = float(sum(_precision(ranks) for ranks, _ in members)) / len(members)
        tail = _one_class(members).value[0]
        scores.append(((null > mean + 1e-12).mean() - tail) / np.sqrt(max(tail * (1 - tail), 1 / n_drawn) / n_drawn))
    assert np.abs(scores).max() < 4
    assert np.sqrt(np.mean(np.square(scores))) < 1.5


def test_agrees_with_copairs():
    """Classes as copairs makes them of precisions, within the error of its random lists."""
    rng = np.random.default_rng(6)
    configurations = [(1, 60), (1, 65), (2, 66), (3, 67), (7, 71), (3, 53)]
    classes = []
    for _ in range(300):
        chosen = rng.integers(0, len(configurations), rng.integers(1, 5))
        classes.append(_draw_members(rng, [configurations[i] for i in chosen], strength=0.5))
    flat = [(c, ranks, length) for c, members in enumerate(classes) for ranks, length in members]
    lists = _lists([(ranks, length) for _, ranks, length in flat])
    members = np.array([c for c, _, _ in flat])
    found = _add_one(class_tail_probability(lists, members, len(classes)).value)
    table = pd.DataFrame(
        {
            "class": members,
            "average_precision": lists.average_precision(),
            "normalized_average_precision": 0.0,
            "n_pos_pairs": lists.n_positives,
            "n_total_pairs": lists.n_total,
        }
    )
    theirs = mean_average_precision(table, ["class"], null_size=NULL_SIZE, threshold=0.05, seed=0, progress_bar=False)
    spread = np.sqrt(np.maximum(found * (1 - found), 1 / NULL_SIZE) / NULL_SIZE)
    z = (theirs.sort_values("class")["p_value"].to_numpy() - found) / spread
    # Its null is in single precision: an atom at the observed mean may fall on either side, at one class in twenty.
    assert np.quantile(np.abs(z), 0.95) < 3
    assert np.median(np.abs(z)) < 1


def test_classes_out_of_reach_are_drawn_with_an_interval():
    """Seventy configurations, against the normal distribution; and one configuration that cannot be counted."""
    rng = np.random.default_rng(8)
    lengths = np.arange(50, 120)
    many = [(rng.integers(1, length + 1, 1), int(length)) for length in lengths]
    found = _one_class(many)
    reciprocals = [1 / np.arange(1, length + 1) for length in lengths]
    mean, variance = (sum(f(values) for values in reciprocals) for f in (np.mean, np.var))
    z = (sum(1 / ranks[0] for ranks, _ in many) - mean) / np.sqrt(variance)
    assert METHODS[found.method[0]] == "drawn lists"
    assert found.low[0] < found.value[0] < found.high[0] < found.low[0] + 0.02
    assert found.value[0] == pytest.approx(norm.sf(z), abs=0.1)
    huge = _one_class(_draw_members(rng, [(150, 1000), (1, 60)]))
    assert METHODS[huge.method[0]] == "drawn lists"
    assert huge.low[0] < huge.value[0] < huge.high[0]


def test_a_result_does_not_depend_on_what_else_is_asked_or_on_order():
    rng = np.random.default_rng(7)
    classes = [_draw_members(rng, _mixed_configurations(rng), strength=0.4) for _ in range(12)]
    classes += [_draw_members(rng, [configuration] * 3) for configuration in ((1, 60), (3, 67), (3, 140), (5, 80))]
    classes += [_draw_members(rng, [(3, 140)]), _draw_members(rng, [(120, 300), (1, 60)])] * 2
    flat = [(c, *member) for c, members in enumerate(classes) for member in members]
    shuffled = [flat[i] for i in rng.permutation(len(flat))]
    whole, again = (
        class_tail_probability(_lists([m[1:] for m in order]), np.array([m[0] for m in order]), len(classes))
        for order in (flat, shuffled)
    )
    alone = [_one_class(members) for members in classes]
    for name in ("value", "low", "high", "method"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(again, name))
        np.testing.assert_array_equal(getattr(whole, name), np.concatenate([getattr(one, name) for one in alone]))


def test_unscored_members_are_left_out_and_classes_of_nothing_else_have_no_p():
    lists = RankLists(np.array([2, 1, 3, 1, 2]), np.array([1, 0, 2, 2, 0]), np.array([9, 5, 7, 0, 3]))
    found = class_tail_probability(lists, np.array([0, 0, 0, 1, 2]), 4)
    np.testing.assert_array_equal(np.isnan(found.value), [False, True, True, True])
    assert found.value[0] == _exact_tail([(np.array([2]), 10), (np.array([1, 3]), 9)])
    assert (
        class_tail_probability(lists.take(np.array([], dtype=np.int64)), np.array([], dtype=np.int64), 0).value.size
        == 0
    )
