"""Random streams are repeatable and independent of one another."""

import numpy as np
import pytest

from cpjump_assets.simulate.randomness import generator


def draw(*stream: str, seed: int = 0) -> list[float]:
    return generator(seed, *stream).random(4).tolist()


def test_a_stream_is_the_same_whenever_it_is_asked_for():
    assert draw("plate", "A") == draw("plate", "A")


@pytest.mark.parametrize("other", [("plate", "B"), ("image", "A"), ("plate",), ("A", "plate"), ("plate", "A", "x")])
def test_other_names_give_other_numbers(other: tuple[str, ...]):
    assert draw("plate", "A") != draw(*other)


def test_seeds_give_other_numbers():
    assert draw("plate", "A") != draw("plate", "A", seed=1)


def test_streams_are_uncorrelated():
    values = np.array([generator(0, "plate", str(i)).normal(size=2000) for i in range(20)])
    off_diagonal = np.corrcoef(values)[~np.eye(20, dtype=bool)]
    assert np.abs(off_diagonal).max() < 0.1
