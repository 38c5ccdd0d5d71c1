"""Nulls moved to another grid, against moving every mass by hand; sums of them, against every pair."""

import numpy as np
import pytest

from cpjump_assets.science.nulls.rank_program import count_sets
from cpjump_assets.science.nulls.regridding import (
    CountedNull,
    MeanGrid,
    moved_cells,
    spectrum,
    split_atoms,
    tails_of_sum,
)


def _split_by_hand(places, weights):
    masses = np.zeros(int(np.ceil(places.max())) + 2)
    for place, weight in zip(places, weights, strict=True):
        below = int(np.floor(place + 1e-9))
        masses[below] += weight * (1 - max(place - below, 0))
        masses[below + 1] += weight * max(place - below, 0)
    return masses


@pytest.mark.parametrize("merged", [1, 8])
@pytest.mark.parametrize("scale", [7.3, 500.0, 3960.0])
@pytest.mark.parametrize("key", [(2, 9), (4, 20), (12, 300)])
def test_counted_nulls_are_split_without_moving_their_mean(key, scale, merged):
    (grid,) = count_sets([key])
    filled = np.flatnonzero(grid.counts)
    cells, weights = filled + grid.least, grid.counts[filled].astype(np.float64) / grid.total
    masses = CountedNull.of(grid, merged).masses(scale)
    assert masses.sum() == pytest.approx(1, abs=1e-9)
    assert masses @ np.arange(len(masses)) == pytest.approx(scale * (cells @ weights) / grid.cells, rel=1e-9)
    first = _split_by_hand(cells / merged, weights)
    expected = _split_by_hand(np.arange(len(first)) * scale * merged / grid.cells, first)
    shorter = min(len(masses), len(expected))
    np.testing.assert_allclose(masses[:shorter], expected[:shorter], atol=1e-11)
    assert not np.abs(np.append(masses[shorter:], expected[shorter:])).sum() > 1e-11
    assert moved_cells(grid, scale, merged) >= 1


def test_atoms_are_split_without_moving_their_mean():
    places = np.array([0.25, 3.0, 3.999999999999, 7.5])
    masses = split_atoms(places)
    np.testing.assert_allclose(masses, _split_by_hand(places, np.full(4, 0.25))[: len(masses)], atol=1e-9)
    assert masses @ np.arange(len(masses)) == pytest.approx(places.mean())


def test_tail_of_a_sum_holds_its_interval_everywhere():
    rng = np.random.default_rng(1)
    grid = MeanGrid(cells=60, length=64, merged=1)
    a, b = 30 * rng.random(40), 30 * rng.random(50)
    sums = np.sort(np.add.outer(a, b).ravel())
    places = np.concatenate([np.linspace(0, 60, 500), np.arange(61.0), sums[::100]])
    truth = (len(sums) - np.searchsorted(sums, places + 1e-9, side="right")) / len(sums)
    product = spectrum(split_atoms(a), grid) * spectrum(split_atoms(b), grid)
    tails = tails_of_sum(product, places, grid=grid, reach=2.0)
    assert ((tails.low <= truth) & (truth <= tails.high)).all()
    assert ((tails.low <= tails.value) & (tails.value <= tails.high)).all()
    between = np.abs(places - np.rint(places)) > 1e-6
    assert np.abs(tails.value - truth)[between].max() < 0.02
