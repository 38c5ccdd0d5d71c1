"""Simulated single cells of a plate, in the two forms in which CellProfiler's measurements come.

Belongs here: cells around the profile of each well, an SQLite backend of them, and CSV files of each site. Does not
belong here: the profiles (``profiles``), reading any of it (``gallery.cells``).

Of an odd number of cells one lies on the well's profile and the others in pairs around it, so that the median of the
cells is the profile, to the last bit. The upper one of a pair lies farther away, so that their mean is the profile plus
``skew`` times the feature's spread. Missing values come in pairs too, and change neither.
"""

import csv
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cpjump_assets.science.aggregate import COMPARTMENTS
from cpjump_assets.science.features import Profiles
from cpjump_assets.science.plates import PlateKey
from cpjump_assets.science.positions import POSITIONS
from cpjump_assets.simulate.randomness import generator

_LINKS = {"Cells": (), "Cytoplasm": ("Parent_Cells", "Parent_Nuclei"), "Nuclei": ()}
_OBJECT_COLUMNS = "TableNumber INTEGER, ImageNumber INTEGER, ObjectNumber INTEGER"
_IMAGE_COLUMNS = (
    "TableNumber INTEGER, ImageNumber INTEGER, Metadata_Plate TEXT, Metadata_Well TEXT, Metadata_Site INTEGER, "
    "Image_Count_Cells INTEGER"
)
_CELLS_AT_ONCE = 512


@dataclass(frozen=True)
class CellConfig:
    """How many cells there are and how they scatter.

    Parameters
    ----------
    cells_per_well
        On average, an odd number of at least 3; a well has 3 to about twice as many.
    sites
        Images of a well.
    skew
        By how many spreads the mean of the cells lies above their median.
    missing_share
        Share of the pairs of cells that lack a value.
    """

    cells_per_well: int = 7
    sites: int = 2
    skew: float = 0.5
    missing_share: float = 0.02


class Site(NamedTuple):
    """One image and its cells: (n, p), NaN where a cell has no value."""

    table_number: int
    image_number: int
    well: str
    cells: np.ndarray

    @property
    def objects(self) -> range:
        """Number the cells of the image, as CellProfiler does."""
        return range(1, len(self.cells) + 1)


@dataclass(frozen=True)
class SimulatedCells:
    """The cells of a plate.

    Attributes
    ----------
    plate
        Its acquisition.
    profiles
        What the cells of each well have as their median; float64, ``Metadata_Well``. Each of the 384 wells is imaged;
        one without a profile has no cells.
    spread
        (p,) what ``skew`` is a multiple of; on average a cell is about twice as far from the profile.
    seed
        Of the simulation.
    """

    plate: PlateKey
    profiles: Profiles
    spread: np.ndarray
    seed: int
    config: CellConfig = field(default_factory=CellConfig)

    def sites(self) -> Iterator[Site]:
        """Give the images in plate order, one well in memory at a time."""
        rows = {well: row for row, well in enumerate(self.profiles.metadata["Metadata_Well"])}
        rng = generator(self.seed, "cells", str(self.plate))
        for table_number, well in enumerate(POSITIONS.index, start=1):
            cells = np.empty((0, len(self.spread)))
            if well in rows:
                cells = self._cells(rng, self.profiles.matrix[rows[well]])
            for site in range(self.config.sites):
                yield Site(table_number, site + 1, well, cells[site :: self.config.sites])

    def _cells(self, rng: np.random.Generator, profile: np.ndarray) -> np.ndarray:
        """Draw the cells of a well, (n, p); a feature that the profile lacks no cell has."""
        average_pairs = self.config.cells_per_well // 2
        shape = (int(rng.integers(1, 2 * average_pairs)), len(profile))
        there = rng.random(shape) >= self.config.missing_share
        there[0] = True
        distance = np.where(there, rng.exponential(size=shape), np.nan)
        distance *= self.spread * (2 * there.sum(axis=0) + 1) / np.nansum(distance, axis=0)
        cells = np.concatenate([profile[None], profile - distance, profile + (1.0 + self.config.skew) * distance])
        return rng.permuted(cells, axis=0)

    @cached_property
    def columns(self) -> dict[str, np.ndarray]:
        """Give the places of the features of each compartment."""
        return {
            compartment: np.flatnonzero([name.startswith(f"{compartment}_") for name in self.profiles.features])
            for compartment in COMPARTMENTS
        }

    def names(self, compartment: str) -> list[str]:
        """Give the features of a compartment as CellProfiler names them in the compartment's own table."""
        return [self.profiles.features[place].removeprefix(f"{compartment}_") for place in self.columns[compartment]]


def write_backend(cells: SimulatedCells, path: Path) -> None:
    """Write the cells as an SQLite backend with the tables, columns and indices of a real one.

    1 GB of features takes 10 s; memory holds some hundred cells.
    """
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(f"CREATE TABLE Image ({_IMAGE_COLUMNS})")
        for compartment in COMPARTMENTS:
            links = [f"{compartment}_{link} INTEGER" for link in _LINKS[compartment]]
            features = [f'"{compartment}_{name}" REAL' for name in cells.names(compartment)]
            connection.execute(f"CREATE TABLE {compartment} ({', '.join([_OBJECT_COLUMNS, *links, *features])})")
            index = f"table_image_object_{compartment.lower()}_idx"
            connection.execute(f"CREATE INDEX {index} ON {compartment} (TableNumber, ImageNumber, ObjectNumber)")
        for site in cells.sites():
            _insert(connection, "Image", [_image_row(site, cells.plate)])
            for compartment, places in cells.columns.items():
                for first in range(0, len(site.cells), _CELLS_AT_ONCE):
                    some = slice(first, first + _CELLS_AT_ONCE)
                    _insert(connection, compartment, _object_rows(site, compartment, places, some))
        connection.commit()


def _insert(connection: sqlite3.Connection, table: str, rows: Sequence[Sequence[object]]) -> None:
    marks = ", ".join("?" * len(rows[0]))
    connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)


def _image_row(site: Site, plate: PlateKey) -> tuple[object, ...]:
    return (site.table_number, site.image_number, plate.barcode, site.well, site.image_number, len(site.cells))


def _object_rows(site: Site, compartment: str, places: np.ndarray, some: slice) -> list[list[object]]:
    """Give rows of a compartment's table; the sqlite3 module stores NaN as NULL."""
    n_links = len(_LINKS[compartment])
    return [
        [site.table_number, site.image_number, number, *([number] * n_links), *values]
        for number, values in zip(site.objects[some], site.cells[some, places].tolist(), strict=True)
    ]


def write_site_tables(cells: SimulatedCells, folder: Path) -> None:
    """Write the cells as CSV files, a folder ``<plate>-<well>-<site>`` for each image."""
    barcode = cells.plate.barcode
    for site in cells.sites():
        place = folder / f"{barcode}-{site.well}-{site.image_number}"
        place.mkdir(parents=True)
        keys = ["ImageNumber", "Metadata_Plate", "Metadata_Well", "Metadata_Site"]
        _write_csv(place / "Image.csv", keys, [[site.image_number, barcode, site.well, site.image_number]])
        for compartment, places in cells.columns.items():
            header = ["ImageNumber", "ObjectNumber", *_LINKS[compartment], *cells.names(compartment)]
            rows = [row[1:] for row in _object_rows(site, compartment, places, slice(None))]
            _write_csv(place / f"{compartment}.csv", header, rows)


def _write_csv(path: Path, header: list[str], rows: list[list[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
