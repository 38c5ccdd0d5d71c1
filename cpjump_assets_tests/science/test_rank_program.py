"""The counts of the dynamic program, cell by cell; its tails are tried in ``test_null_distribution``."""

import itertools
import math

import numpy as np
import pytest

from cpjump_assets.science.rank_program import Configuration, _count_sets, count_greater

LARGE = 2**40


def _cells_of_every_set(n_positives, length, cells):
    """Put every set of ranks on the grid, one by one."""
    sums = (
        sum(math.floor(cells * j / rank + 0.5) for j, rank in enumerate(ranks, start=1))
        for ranks in itertools.combinations(range(1, length + 1), n_positives)
    )
    return np.bincount(list(sums), minlength=n_positives * cells + 1)


@pytest.mark.parametrize("largest", [1000, LARGE])
@pytest.mark.parametrize("cells", [1, 12, 60])
def test_every_cell_of_every_configuration_on_the_way_is_counted(cells, largest):
    wanted = set(itertools.product((1, 3, 4), (4, 9, 13)))
    found = {key: counts.copy() for key, counts in _count_sets(wanted, cells, 10_000, largest)}
    assert found.keys() == wanted
    for (n_positives, length), counts in found.items():
        assert counts.sum() == math.comb(length, n_positives)
        np.testing.assert_array_equal(counts, _cells_of_every_set(n_positives, length, cells))


def test_cutting_off_high_cells_leaves_the_others_as_they_are():
    whole = {key: counts.copy() for key, counts in _count_sets({(4, 14)}, 60, 10_000, LARGE)}
    cut = {key: counts.copy() for key, counts in _count_sets({(4, 14)}, 60, 77, LARGE)}
    np.testing.assert_array_equal(cut[4, 14], whole[4, 14][:77])


def test_counts_that_fit_in_32_bits_are_those_of_64():
    narrow, wide = (
        next(counts.copy() for _, counts in _count_sets({(6, 45)}, 240, 10_000, largest))
        for largest in (math.comb(45, 6), LARGE)
    )
    assert (narrow.dtype, wide.dtype) == (np.uint32, np.float64)
    np.testing.assert_array_equal(narrow, wide)
    assert wide.sum() == math.comb(45, 6)


def test_more_positives_than_negatives_never_overflow():
    """All sets on the way are many more than those of the configuration: C(40, 20) of them for C(40, 37)."""
    ranks = np.array([[*range(1, 35), 36, 38, 40], [*range(1, 37), 40]])
    ((_, tails),) = count_greater([Configuration(np.arange(2), ranks, 40)])
    every = [
        sum(j / rank for j, rank in enumerate(sorted(set(range(1, 41)) - set(left_out)), start=1))
        for left_out in itertools.combinations(range(1, 41), 3)
    ]
    truth = [np.mean(np.array(every) > (np.arange(1, 38) / row).sum() + 1e-12) for row in ranks]
    assert (tails.low <= truth).all()
    assert (truth <= tails.high).all()
    np.testing.assert_allclose(tails.value, truth, atol=5e-3)
