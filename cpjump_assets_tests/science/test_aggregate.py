"""Wells from cells: equal to pandas, whatever the blocks; no more of them in memory than there are workers."""

import threading
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpjump_assets.science.aggregate import COMPARTMENTS, Aggregation, CellBlock, aggregate_cells
from cpjump_assets.science.errors import BadTableError, ProfileError

HOW: tuple[Aggregation, ...] = ("median", "mean")


@dataclass
class TableOfCells:
    """Cells in a frame (compartment, well, f0, f1, ...), given out in blocks of some wells; watches its blocks."""

    frame: pd.DataFrame
    wells: tuple[str, ...]
    wells_per_block: int = 1
    plate: str = "BR00117010"
    alive: int = 0
    most_alive: int = 0
    reads: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def columns(self) -> list[str]:
        return [column for column in self.frame if column.startswith("f")]

    def features(self, compartment: str) -> tuple[str, ...]:
        return tuple(f"{compartment}_{column}" for column in self.columns)

    def blocks(self, compartment: str) -> Iterator[tuple[str, ...]]:
        for first in range(0, len(self.wells), self.wells_per_block):
            yield self.wells[first : first + self.wells_per_block]

    def read(self, compartment: str, wells: tuple[str, ...]) -> CellBlock:
        of_wells = [
            self.frame.loc[(self.frame["compartment"] == compartment) & (self.frame["well"] == well), self.columns]
            for well in wells
        ]
        values = np.array(pd.concat(of_wells).to_numpy(dtype=np.float64).T, order="C")
        with self.lock:
            self.reads += 1
            self.alive += 1
            self.most_alive = max(self.most_alive, self.alive)
        weakref.finalize(values, self._let_go)
        return CellBlock(values, [len(rows) for rows in of_wells])

    def _let_go(self) -> None:
        with self.lock:
            self.alive -= 1


def table_of_cells(seed: int, *, wells: int = 5, most_cells: int = 9, missing: float = 0.2) -> TableOfCells:
    rng = np.random.default_rng(seed)
    names = tuple(f"{'PCAHB'[number % 5]}{number // 5 + 1:02d}" for number in range(wells))
    frames = []
    for compartment in COMPARTMENTS:
        for well in names:
            values = rng.normal(size=(int(rng.integers(1, most_cells + 1)), 3))
            values[rng.random(values.shape) < missing] = np.nan
            frame = pd.DataFrame(values, columns=["f0", "f1", "f2"])
            frames.append(frame.assign(compartment=compartment, well=well))
    return TableOfCells(pd.concat(frames, ignore_index=True), names)


def by_pandas(source: TableOfCells, how: Aggregation) -> np.ndarray:
    tables = [
        source.frame[source.frame["compartment"] == compartment].groupby("well")[source.columns].agg(how)
        for compartment in COMPARTMENTS
    ]
    return pd.concat(tables, axis="columns", join="inner").sort_index().to_numpy()


@pytest.mark.parametrize("how", HOW)
@given(seed=st.integers(0, 10_000), per_block=st.integers(1, 4), workers=st.integers(1, 2))
@settings(max_examples=12, deadline=None)
def test_equals_the_groupby_of_pandas(how: Aggregation, seed: int, per_block: int, workers: int) -> None:
    source = table_of_cells(seed)
    source.wells_per_block = per_block
    found = aggregate_cells(source, how, workers=workers).profiles
    np.testing.assert_allclose(found.matrix, by_pandas(source, how), rtol=1e-12, atol=1e-14)
    assert found.metadata["Metadata_Well"].tolist() == sorted(source.wells)
    assert found.features == tuple(f"{place}_{name}" for place in COMPARTMENTS for name in ("f0", "f1", "f2"))


def test_counts_are_those_of_the_table_cells() -> None:
    source = table_of_cells(3)
    metadata = aggregate_cells(source, "median").profiles.metadata
    cells = source.frame[source.frame["compartment"] == "Cells"].groupby("well").size()
    assert dict(zip(metadata["Metadata_Well"], metadata["Metadata_cell_count"], strict=True)) == cells.to_dict()
    assert metadata["Metadata_Plate"].unique().tolist() == ["BR00117010"]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("how", HOW)
def test_infinite_values_count_as_pandas_counts_them(how: Aggregation) -> None:
    source = table_of_cells(5, missing=0.0)
    rows = source.frame.index[source.frame["well"] == "A01"]
    source.frame.loc[rows, "f0"] = np.inf
    source.frame.loc[rows[::2], "f1"] = np.inf
    source.frame.loc[rows[1::2], "f1"] = -np.inf
    with np.errstate(invalid="ignore"):
        expected = by_pandas(source, how)
    np.testing.assert_allclose(aggregate_cells(source, how).profiles.matrix, expected, rtol=1e-12)


def test_a_feature_that_no_cell_of_a_well_has_is_missing_there_and_nowhere_else() -> None:
    source = table_of_cells(7, missing=0.0)
    source.frame.loc[source.frame["well"] == "C01", "f1"] = np.nan
    for how in HOW:
        matrix = aggregate_cells(source, how).profiles.matrix
        assert np.isnan(matrix).sum() == len(COMPARTMENTS)
        assert np.isnan(matrix[sorted(source.wells).index("C01"), [1, 4, 7]]).all()


def test_a_well_without_a_compartment_has_no_row_and_is_named() -> None:
    source = table_of_cells(9)
    lacking = (source.frame["well"] == "H01") & (source.frame["compartment"] == "Nuclei")
    source.frame = source.frame[~lacking]
    result = aggregate_cells(source, "median")
    assert result.without_cells == ("H01",)
    assert len(result.profiles.metadata) == 4
    np.testing.assert_allclose(result.profiles.matrix, by_pandas(source, "median"), rtol=1e-12)


def test_a_plate_without_cells_is_refused() -> None:
    source = table_of_cells(1)
    source.frame = source.frame[source.frame["compartment"] != "Nuclei"]
    with pytest.raises(ProfileError, match="plate BR00117010: none of its 5 wells has cells in each of Cells"):
        aggregate_cells(source, "mean")


@pytest.mark.parametrize("workers", [1, 2])
def test_no_more_blocks_are_alive_than_workers(workers: int) -> None:
    source = table_of_cells(11, wells=60)
    aggregate_cells(source, "median", workers=workers)
    assert source.reads == 60 * len(COMPARTMENTS)
    assert source.most_alive <= workers
    assert source.alive == 0


def test_an_error_of_the_source_is_given_on_and_the_rest_is_not_read() -> None:
    source = table_of_cells(13, wells=200)

    class Broken(TableOfCells):
        def read(self, compartment: str, wells: tuple[str, ...]) -> CellBlock:
            if wells == (self.wells[3],):
                raise BadTableError("well 4 is broken")
            return super().read(compartment, wells)

    broken = Broken(source.frame, source.wells)
    with pytest.raises(BadTableError, match="well 4 is broken"):
        aggregate_cells(broken, "median")
    assert broken.reads < 599  # all but the broken one
