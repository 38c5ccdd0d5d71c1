"""Calls of classes in both modes and by every convention; the finer look at open calls, and no finer look elsewhere."""

from collections import Counter
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from scipy.stats import false_discovery_control, gmean

from cpjump_assets.science.class_scores import METRIC_MODES, MetricConfig, PValues, call_classes
from cpjump_assets.science.nulls.null_distribution import p_value, tail_probability
from cpjump_assets_tests.science.helpers_scores import random_ranks, rank_lists

RULE = MetricConfig()
BY_MEANS = MetricConfig(metric_mode="copairs")


def _call(lists, members, config=RULE, families=None):
    members = np.asarray(members)
    families = np.zeros(members.max() + 1, dtype=int) if families is None else np.asarray(families)
    return call_classes(lists, members=members, families=families, config=config)


def _some_classes(seed=1, n_classes=12, size=5):
    """Give lists of 3 of 67, half of them good, with members in no order."""
    rng = np.random.default_rng(seed)
    ranks = random_ranks(rng, n_classes * size, 3, 67)
    ranks[::2] = random_ranks(rng, len(ranks[::2]), 3, 15)
    return rank_lists(ranks, 67), rng.permutation(np.repeat(np.arange(n_classes), size))


def test_class_p_is_the_geometric_mean_and_q_is_corrected_within_its_family():
    lists, members = _some_classes()
    families = np.array([0, 1] * 6)
    p, classes = _call(lists, members, families=families)
    expected = np.array([gmean(p.value[members == one]) for one in range(12)])
    np.testing.assert_allclose(classes.p.value, expected, rtol=1e-12)
    np.testing.assert_allclose(
        classes.mean_average_precision, [lists.average_precision()[members == one].mean() for one in range(12)]
    )
    for family in (0, 1):
        own = families == family
        np.testing.assert_allclose(classes.calls.q_value[own], false_discovery_control(expected[own]), rtol=1e-12)
    np.testing.assert_array_equal(p.value, (1 + 1e5 * tail_probability(lists).value) / (1 + 1e5))


def _null_of(n_positives, length):
    """Count how many sets of ranks give each average precision, in fractions."""
    return Counter(
        sum(Fraction(j, rank) for j, rank in enumerate(ranks, start=1)) / n_positives
        for ranks in combinations(range(1, length + 1), n_positives)
    )


def _tail_of_mean(queries):
    """Give P(null mean > observed mean) of a class: members of one configuration share their null, others do not."""
    observed = sum(sum(Fraction(j, rank) for j, rank in enumerate(ranks, 1)) / len(ranks) for ranks, _ in queries)
    total = {Fraction(0): Fraction(1)}
    for (n_positives, length), n_members in Counter((len(ranks), length) for ranks, length in queries).items():
        null, after = _null_of(n_positives, length), Counter()
        for value, chance in total.items():
            for precision, count in null.items():
                after[value + n_members * precision] += chance * Fraction(count, sum(null.values()))
        total = after
    return float(sum(chance for value, chance in total.items() if value > observed))


@pytest.mark.parametrize(
    "queries",
    [
        [([2, 5, 6], 12)],
        [([2, 5, 6], 12), ([1, 3, 9], 12), ([4, 7, 8], 12)],
        [([2], 9), ([1], 7)],
        [([2], 9), ([2], 9), ([1, 4], 8)],
        [([1, 2, 3], 12), ([1], 7)],
        [([3, 6], 9), ([1, 2, 5], 10), ([4], 20)],
    ],
)
def test_mode_copairs_tests_the_mean_of_each_class_and_no_single_query(queries):
    lists = rank_lists([ranks for ranks, _ in queries], [length for _, length in queries])
    p, classes = _call(lists, np.zeros(len(queries), dtype=int), BY_MEANS)
    assert np.isnan([p.value, p.low, p.high]).all()
    expected = (1 + 1e5 * _tail_of_mean(queries)) / (1 + 1e5)
    assert classes.p.value[0] == pytest.approx(expected, rel=1e-9)
    assert classes.p.low[0] <= expected * (1 + 1e-12)
    assert classes.p.high[0] >= expected * (1 - 1e-12)
    assert classes.mean_average_precision[0] == pytest.approx(lists.average_precision().mean(), rel=1e-14)


def test_a_class_of_one_query_has_the_p_of_its_query_in_both_modes():
    lists, _ = _some_classes()
    members = np.arange(len(lists))
    (p, by_queries), (_, by_means) = _call(lists, members), _call(lists, members, BY_MEANS)
    np.testing.assert_allclose(by_queries.p.value, p.value, rtol=1e-12)
    np.testing.assert_allclose(by_means.p.value, p.value, rtol=1e-12)


def test_the_modes_share_the_mean_average_precision_and_differ_in_p():
    lists, members = _some_classes()
    by_queries, by_means = (_call(lists, members, config)[1] for config in (RULE, BY_MEANS))
    np.testing.assert_array_equal(by_queries.mean_average_precision, by_means.mean_average_precision)
    assert not np.isclose(by_queries.p.value, by_means.p.value, rtol=0.01).any()


@pytest.mark.parametrize("mode", METRIC_MODES)
def test_members_without_a_score_do_not_count(mode):
    """The first class has a query without negative, the second one of a positive, the third none with a positive."""
    lists = rank_lists([[1], [1], [5], []], [10, 1, 10, 9])
    p, classes = _call(lists, [0, 0, 1, 2], MetricConfig(metric_mode=mode))
    if mode == "paper_2024":
        assert np.isnan(p.value).tolist() == [False, True, False, True]
    assert classes.n_members.tolist() == [2, 1, 1]
    assert classes.n_with_positives.tolist() == [2, 1, 0]
    assert classes.n_scored.tolist() == [1, 1, 0]
    assert classes.mean_average_precision[:2].tolist() == [1.0, 0.2]
    np.testing.assert_allclose(classes.p.value[:2], [1 / (1 + 1e5), (1 + 1e5 * 0.4) / (1 + 1e5)], rtol=1e-12)
    np.testing.assert_allclose(classes.calls.q_value[:2], false_discovery_control(classes.p.value[:2]))
    for missing in (classes.p.value, classes.p.low, classes.mean_average_precision, classes.calls.q_value):
        assert np.isnan(missing[2])
    assert classes.calls.significant.tolist() == [True, False, False]
    assert not classes.calls.undecided.any()


@pytest.mark.parametrize("mode", METRIC_MODES)
def test_nothing_to_call(mode):
    p, classes = call_classes(
        rank_lists([], 5),
        members=np.array([], dtype=int),
        families=np.array([], dtype=int),
        config=MetricConfig(metric_mode=mode),
    )
    assert p.value.size == classes.p.value.size == classes.calls.significant.size == 0


@pytest.mark.parametrize("mode", METRIC_MODES)
def test_perfect_lists_have_the_least_p_of_the_convention(mode):
    lists = rank_lists([[1, 2, 3], [1, 2, 3], [9, 30, 60]], 67)
    added = _call(lists, [0, 0, 1], MetricConfig(metric_mode=mode))[1]
    assert added.p.value[0] == pytest.approx(1 / (1 + 1e5))
    strict = _call(lists, [0, 0, 1], MetricConfig(metric_mode=mode, p_convention="strict"))[1]
    assert strict.p.value[0] == strict.p.low[0] == strict.calls.q_value[0] == 0.0
    assert strict.calls.significant.tolist() == [True, False]
    assert strict.p.value[1] == pytest.approx(added.p.value[1], rel=1e-4)


def test_one_perfect_list_makes_a_strict_geometric_mean_zero_but_not_a_mean():
    lists = rank_lists([[1, 2, 3], [40, 50, 60]], 67)
    strict = MetricConfig(p_convention="strict")
    assert _call(lists, [0, 0], strict)[1].p.value[0] == 0.0
    by_means = MetricConfig(metric_mode="copairs", p_convention="strict")
    assert _call(lists, [0, 0], by_means)[1].p.value[0] > 1e-4
    assert _call(lists, [0, 0])[1].p.value[0] > 1e-4


def test_null_size_is_that_of_the_convention():
    lists, members = _some_classes()
    p, _ = _call(lists, members, MetricConfig(null_size=99))
    np.testing.assert_allclose(p.value, (1 + 99 * tail_probability(lists).value) / 100, rtol=1e-15)


@pytest.mark.parametrize(
    ("config", "label"),
    [
        (RULE, "add_one N=100000"),
        (MetricConfig(null_size=500, seed=3), "add_one N=500"),
        (MetricConfig(p_convention="strict", null_size=500), "strict"),
        (MetricConfig(p_convention="monte_carlo", seed=7), "monte_carlo N=100000 seed=7"),
    ],
)
def test_a_rule_names_all_that_p_depends_on(config, label):
    expected = {"metric_mode": "paper_2024", "p_convention": label, "q_threshold": 0.05, "wells": "all"}
    assert config.rule() == expected
    named = MetricConfig(metric_mode="copairs", q_threshold=0.1, wells="inner").rule()
    assert (named["metric_mode"], named["q_threshold"], named["wells"]) == ("copairs", 0.1, "inner")


def _drawn(mode, *, seed=0, null_size=20_000):
    return MetricConfig(metric_mode=mode, p_convention="monte_carlo", null_size=null_size, seed=seed)


def _mixed_classes():
    """Give 20 classes of 4 queries of 3 of 67, 2 of 66 or 1 of 40, in no order."""
    rng = np.random.default_rng(8)
    configurations = [((3, 67), (2, 66), (1, 40))[i] for i in rng.integers(3, size=80)]
    ranks = [random_ranks(rng, 1, n_positives, length // 2)[0] for n_positives, length in configurations]
    lists = rank_lists(ranks, [length for _, length in configurations])
    return lists, rng.permutation(np.repeat(np.arange(20), 4))


@pytest.mark.parametrize("mode", METRIC_MODES)
def test_drawn_p_is_that_of_the_seed_whatever_the_order_and_the_company(mode):
    lists, members = _mixed_classes()
    p, classes = _call(lists, members, _drawn(mode))
    order = np.random.default_rng(9).permutation(len(lists))
    other_p, other = _call(lists.take(order), members[order], _drawn(mode))
    np.testing.assert_array_equal(other_p.value, p.value[order])
    np.testing.assert_allclose(other.p.value, classes.p.value, rtol=1e-14)
    few = np.flatnonzero(members < 3)
    few_p, alone = _call(lists.take(few), members[few], _drawn(mode))
    np.testing.assert_array_equal(few_p.value, p.value[few])
    np.testing.assert_array_equal(alone.p.value, classes.p.value[:3])
    assert not np.array_equal(_call(lists, members, _drawn(mode, seed=1))[1].p.value, classes.p.value)


@pytest.mark.parametrize("mode", METRIC_MODES)
def test_a_class_is_the_same_to_the_last_digit_whatever_order_its_members_come_in(mode):
    lists, members = _some_classes()
    order = np.random.default_rng(10).permutation(len(lists))
    config = MetricConfig(metric_mode=mode)
    (_, classes), (_, other) = _call(lists, members, config), _call(lists.take(order), members[order], config)
    np.testing.assert_array_equal(other.mean_average_precision, classes.mean_average_precision)
    for found, expected in zip(vars(other.p).values(), vars(classes.p).values(), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_drawn_p_is_a_share_of_random_lists_near_the_computed_one():
    lists, members = _mixed_classes()
    p, classes = _call(lists, members, _drawn("paper_2024"))
    np.testing.assert_allclose(classes.p.value, [gmean(p.value[members == one]) for one in range(20)], rtol=1e-12)
    _, by_means = _call(lists, members, _drawn("copairs"))
    computed = _call(lists, members)[0].value, _call(lists, members, BY_MEANS)[1].p.value
    for drawn, expected in zip((p.value, by_means.p.value), computed, strict=True):
        np.testing.assert_allclose(drawn * 20_001, np.rint(drawn * 20_001), rtol=1e-12)
        error = np.sqrt(expected * (1 - expected) / 20_000) + 1e-12
        assert np.abs((drawn - expected) / error).max() < 4.5
    assert not classes.calls.undecided.any()


def _p_of(lists, *, refined=False):
    tail = tail_probability(lists, refined=refined)
    return PValues(
        *(p_value(end, convention="add_one", null_size=100_000) for end in (tail.value, tail.low, tail.high))
    )


def _hinge():
    """Give one list of (7, 71) with its coarse and its fine p; q of a class alone is its p."""
    lists = rank_lists([[2, 5, 9, 14, 23, 29, 37]], 71)
    coarse, fine = _p_of(lists), _p_of(lists, refined=True)
    assert coarse.low[0] < fine.low[0] < fine.high[0] < coarse.high[0]
    return lists, coarse, fine


@pytest.mark.parametrize("mode", METRIC_MODES)
def test_a_call_that_the_coarse_interval_leaves_open_is_decided_on_the_finer_grid(mode):
    lists, coarse, fine = _hinge()
    below, above = (coarse.low[0] + fine.low[0]) / 2, (fine.high[0] + coarse.high[0]) / 2
    for threshold, retrieved in ((below, False), (above, True)):
        p, classes = _call(lists, [0], MetricConfig(metric_mode=mode, q_threshold=threshold))
        assert classes.p.value[0] == pytest.approx(fine.value[0], rel=1e-12)
        assert classes.p.low[0] == pytest.approx(fine.low[0], rel=1e-12)
        assert classes.p.high[0] == pytest.approx(fine.high[0], rel=1e-12)
        assert (classes.calls.significant[0], classes.calls.undecided[0]) == (retrieved, False)
        if mode == "paper_2024":
            assert p.value[0] == pytest.approx(fine.value[0], rel=1e-12)


def test_a_call_that_the_finer_interval_leaves_open_is_undecided():
    lists, _, fine = _hinge()
    _, classes = _call(lists, [0], MetricConfig(q_threshold=(fine.low[0] + fine.high[0]) / 2))
    assert classes.calls.undecided[0]


def test_a_call_that_is_not_open_is_not_looked_at_twice():
    lists, coarse, fine = _hinge()
    p, classes = _call(lists, [0], MetricConfig(q_threshold=coarse.high[0] * 1.01))
    assert coarse.value[0] != fine.value[0]
    assert p.value[0] == pytest.approx(coarse.value[0], rel=1e-12)
    assert (classes.calls.significant[0], classes.calls.undecided[0]) == (True, False)


def test_only_the_members_of_open_classes_are_looked_at_twice():
    """Three families: the hinge with two copies of its list, and two classes whose calls are far from open."""
    hinge, coarse, fine = _hinge()
    lists = rank_lists([[30, 33, 41, 50, 60, 61, 65], hinge.ranks, [1, 2, 3, 4, 6, 7, 9], hinge.ranks], 71)
    threshold = (coarse.low[0] + fine.low[0]) / 2
    p, classes = _call(lists, [2, 0, 1, 0], MetricConfig(q_threshold=threshold), families=[0, 1, 2])
    once, twice = _p_of(lists), _p_of(lists, refined=True)
    for found, kept, replaced in zip(vars(p).values(), vars(once).values(), vars(twice).values(), strict=True):
        np.testing.assert_allclose(found[[0, 2]], kept[[0, 2]], rtol=1e-12)
        np.testing.assert_allclose(found[[1, 3]], replaced[[1, 3]], rtol=1e-12)
        assert not np.allclose(kept, replaced, rtol=1e-9)
    assert classes.p.value[0] == pytest.approx(fine.value[0], rel=1e-12)
    assert classes.calls.significant.tolist() == [False, True, False]
    assert not classes.calls.undecided.any()


def test_drawn_calls_are_never_open():
    lists, coarse, _ = _hinge()
    config = MetricConfig(p_convention="monte_carlo", null_size=1_000, q_threshold=coarse.value[0])
    p, classes = _call(lists, [0], config)
    assert p.low[0] == p.value[0] == p.high[0]
    assert not classes.calls.undecided[0]


def test_p_of_some_places_are_replaced_in_a_copy():
    before = PValues(*np.arange(9.0).reshape(3, 3))
    after = before.replaced(np.array([2, 0]), PValues(*-np.arange(6.0).reshape(3, 2)))
    assert [values.tolist() for values in vars(after).values()] == [[-1, 1, 0], [-3, 4, -2], [-5, 7, -4]]
    assert before.value.tolist() == [0, 1, 2]


def test_narrowed_intervals_are_what_both_allow():
    """So a call that the wider intervals decide is decided by the narrower ones in the same way."""
    before = PValues(np.array([0.5, 0.2, 0.3, np.nan]), np.array([0.4, 0.1, 0.2, np.nan]), np.full(4, 0.6))
    after = before.narrowed(
        np.array([2, 0, 3]), PValues(np.array([0.1, 0.45, np.nan]), np.array([0.05, 0.44, np.nan]), np.full(3, 0.55))
    )
    np.testing.assert_array_equal(after.value, [0.45, 0.2, 0.2, np.nan])
    np.testing.assert_array_equal(after.low, [0.44, 0.1, 0.2, np.nan])
    np.testing.assert_array_equal(after.high, [0.55, 0.6, 0.55, 0.55])
    assert before.value[0] == 0.5


@pytest.mark.parametrize(
    "wrong",
    [
        *({"metric_mode": "paper"}, {"p_convention": "Strict"}, {"wells": "outer"}),
        *({"null_size": 0}, {"seed": -1}, {"q_threshold": 0.0}, {"q_threshold": 1.5}, {"q_threshold": float("nan")}),
    ],
)
def test_a_rule_that_is_not_known_is_refused_and_not_taken_for_another(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(ValueError, match=f"{name} {value!r}"):
        MetricConfig(**wrong)
