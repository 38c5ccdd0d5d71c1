"""The counts of the dynamic program, cell by cell; its tails are tried in ``test_null_distribution``."""

import itertools
import math

import numpy as np
import pytest

from cpjump_assets.science.nulls import rank_program
from cpjump_assets.science.nulls.rank_program import _count_down, _count_up, count_sets, is_programmable


def _cells_of_every_set(n_positives, length, cells):
    """Put every set of ranks on the grid, one by one."""
    sums = (
        sum(math.floor(cells * j / rank + 0.5) for j, rank in enumerate(ranks, start=1))
        for ranks in itertools.combinations(range(1, length + 1), n_positives)
    )
    return np.bincount(list(sums), minlength=n_positives * cells + 1)


@pytest.mark.parametrize("dtype", [np.uint32, np.uint64, np.float64])
@pytest.mark.parametrize("cells", [1, 12, 60])
def test_every_cell_of_every_configuration_is_counted_both_ways(cells, dtype):
    wanted = set(itertools.product((1, 3, 4), (4, 9, 13)))
    down = {grid.key: (grid.least, grid.counts.copy()) for grid in _count_down(wanted, cells, dtype)}
    assert down.keys() == wanted
    for key, (least, counts) in down.items():
        up = _count_up(key, cells, dtype)
        assert counts.dtype == up.counts.dtype == dtype
        expected = _cells_of_every_set(*key, cells)
        assert not expected[:least].any()
        np.testing.assert_array_equal(counts, expected[least:])
        assert up.least == least
        np.testing.assert_array_equal(up.counts, counts)


@pytest.mark.parametrize("key", [(6, 45), (9, 40), (37, 40), (20, 20)])
def test_both_ways_lead_to_the_same_numbers(key):
    dtype = rank_program._narrowest(rank_program._largest_count(key))
    (down,), up = _count_down({key}, 240, dtype), _count_up(key, 240, dtype)
    assert down.least == up.least
    np.testing.assert_array_equal(down.counts, up.counts)
    assert int(up.counts.sum(dtype=np.uint64)) == math.comb(key[1], key[0]) == up.total


def test_counts_take_the_narrowest_type_that_holds_them():
    found = {grid.key: grid.counts.dtype for grid in count_sets([(6, 45), (9, 60), (30, 120)])}
    assert found == {(6, 45): np.uint32, (9, 60): np.uint64, (30, 120): np.float64}


@pytest.mark.parametrize("key", [(5, 20), (9, 60), (30, 120)])
def test_few_and_many_cells_are_summed_alike(key):
    (grid,) = count_sets([key])
    cells = grid.least + np.linspace(-10, len(grid.counts) + 10, 3000).astype(np.int64)
    one_by_one = [float(grid.counts[max(cell + 1 - grid.least, 0) :].sum(dtype=np.float64)) for cell in cells[::100]]
    np.testing.assert_allclose(grid.above(cells)[::100], one_by_one, rtol=1e-12)
    np.testing.assert_array_equal(grid.above(cells[::100]), grid.above(cells)[::100])


def test_rounded_counts_leave_room_for_rounding():
    """(60, 80) has fewer than 2^64 sets, but is counted in floats: a sum below all others is surely beaten by most."""
    (grid,) = count_sets([(60, 80)])
    assert grid.counts.dtype == np.float64
    tails = grid.tails(np.array([0.0]), np.array([0]))
    assert tails.low[0] < tails.value[0] <= tails.high[0] == 1


def test_more_positives_than_negatives_never_overflow():
    """All sets on the way are many more than those of the configuration: C(40, 20) of them for C(40, 37)."""
    ranks = np.array([[*range(1, 35), 36, 38, 40], [*range(1, 37), 40]])
    (grid,) = count_sets([(37, 40)])
    sums = (np.arange(1, 38) / ranks).sum(axis=1)
    tails = grid.tails(sums, grid.on_grid(ranks))
    every = [
        sum(j / rank for j, rank in enumerate(sorted(set(range(1, 41)) - set(left_out)), start=1))
        for left_out in itertools.combinations(range(1, 41), 3)
    ]
    truth = [np.mean(np.array(every) > own + 1e-12) for own in sums]
    assert (tails.low <= truth).all()
    assert (truth <= tails.high).all()
    np.testing.assert_allclose(tails.value, truth, atol=5e-3)


def test_what_would_take_minutes_is_refused():
    assert all(map(is_programmable, [(8, 210), (30, 700), (40, 4000), (100, 2900)]))
    assert not any(map(is_programmable, [(101, 200), (100, 20_000), (10_000, 20_000)]))
