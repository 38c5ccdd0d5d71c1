"""Feature values on request: whole plates, and some of their wells."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpjump_assets.science.features import Profiles
from cpjump_assets.science.plate_values import PlateValues, SomeWells

WELLS, FEATURES = 7, 5


def in_memory() -> Profiles:
    X = np.random.default_rng(0).normal(size=(WELLS, FEATURES)).astype(np.float32)
    metadata = pd.DataFrame({"Metadata_Plate": "BR1", "Metadata_Well": [f"A{well + 1:02d}" for well in range(WELLS)]})
    return Profiles(metadata, np.asfortranarray(X), tuple(f"Cells_F{feature}" for feature in range(FEATURES)))


@dataclass
class OnRequest:
    """A plate that notes what is asked of it, as one in a file would have to read it."""

    profiles: Profiles
    asked: list[tuple[int, int | None]] = field(default_factory=list)

    @property
    def metadata(self) -> pd.DataFrame:
        return self.profiles.metadata

    @property
    def features(self) -> tuple[str, ...]:
        return self.profiles.features

    def values(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        self.asked.append((start, stop))
        return self.profiles.values(start, stop)


bounds = st.tuples(st.integers(0, FEATURES), st.none() | st.integers(0, FEATURES + 2))
wells = st.lists(st.booleans(), min_size=WELLS, max_size=WELLS).map(np.array)


@given(bounds, wells)
def test_the_values_asked_for_are_those_of_the_matrix(bounds: tuple[int, int | None], taken: np.ndarray) -> None:
    start, stop = bounds
    profiles = in_memory()
    whole = profiles.matrix.copy()
    plates: list[PlateValues] = [profiles, SomeWells(profiles, taken), SomeWells(OnRequest(profiles), taken)]
    for plate, seen in zip(plates, [np.ones(WELLS, dtype=bool), taken, taken], strict=True):
        values = plate.values(start, stop)
        np.testing.assert_array_equal(values, whole[seen, start:stop])
        assert values.T.flags.c_contiguous
        assert values.dtype == np.float32
        assert plate.features == profiles.features
        assert plate.metadata["Metadata_Well"].tolist() == profiles.metadata["Metadata_Well"][seen].tolist()
        assert plate.metadata.index.tolist() == list(range(seen.sum()))


def test_without_bounds_all_features_come() -> None:
    profiles = in_memory()
    np.testing.assert_array_equal(profiles.values(), profiles.matrix)
    np.testing.assert_array_equal(SomeWells(profiles, np.ones(WELLS, dtype=bool)).values(), profiles.matrix)


def test_values_of_a_plate_in_memory_are_not_copied() -> None:
    profiles = in_memory()
    assert np.shares_memory(profiles.values(1, 3), profiles.matrix)


@pytest.mark.parametrize("bounds", [(0, 2), (3, None)])
def test_some_wells_ask_for_no_more_features_than_are_asked_of_them(bounds: tuple[int, int | None]) -> None:
    plate = OnRequest(in_memory())
    some = SomeWells(plate, np.arange(WELLS) < 2)
    assert some.features == plate.features
    assert len(some.metadata) == 2
    assert plate.asked == []
    some.values(*bounds)
    assert plate.asked == [bounds]


def test_wells_that_are_not_taken_cannot_be_seen() -> None:
    profiles = in_memory()
    taken = np.arange(WELLS) % 2 == 0
    profiles.matrix[~taken] = np.nan
    assert not np.isnan(SomeWells(profiles, taken).values()).any()
    again = SomeWells(SomeWells(profiles, taken), np.array([False, True, True, False]))
    np.testing.assert_array_equal(again.values(), profiles.matrix[[2, 4]])
