"""Simulated single cells of one plate, and backends that differ from them in one thing."""

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd

from cpjump_assets.gallery.cells.single_cells import open_cells
from cpjump_assets.science.aggregate import AggregatedPlate, Aggregation, aggregate_cells
from cpjump_assets.science.features import Profiles
from cpjump_assets.science.plates import PlateKey
from cpjump_assets.simulate.backends import CellConfig, SimulatedCells

PLATE = PlateKey("2020_11_04_CPJUMP1", "BR00117010")
WELLS = ("A01", "A02", "B03", "H12", "P24")
FEATURES = (
    "Cells_AreaShape_Area",
    "Cells_Intensity_MeanIntensity_DNA",
    "Cells_Location_Center_X",
    "Cytoplasm_Correlation_Correlation_DNA_RNA",
    "Cytoplasm_Texture_Entropy_ER_3_00_256",
    "Nuclei_AreaShape_Area",
    "Nuclei_Number_Object_Number",
)


def simulated_cells(*, seed: int = 0, config: CellConfig | None = None) -> SimulatedCells:
    """Give the cells of a plate of which five wells have any; the third one lacks the second feature."""
    rng = np.random.default_rng(seed)
    matrix = rng.normal(100.0, 30.0, (len(WELLS), len(FEATURES)))
    matrix[2, 1] = np.nan
    metadata = pd.DataFrame({"Metadata_Plate": PLATE.barcode, "Metadata_Well": WELLS})
    spread = rng.uniform(0.5, 3.0, len(FEATURES))
    profiles = Profiles(metadata, matrix, FEATURES)
    return SimulatedCells(PLATE, profiles, spread, seed, config or CellConfig(missing_share=0.2))


def aggregated(path: Path, how: Aggregation = "median", *, workers: int = 1) -> AggregatedPlate:
    with open_cells(path, PLATE) as cells:
        return aggregate_cells(cells, how, workers=workers)


def change(path: Path, *statements: str) -> Path:
    """Run SQL on a backend."""
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    return path


def shuffle(path: Path) -> Path:
    """Put the rows of every table into an order in which the cells of a well are strewn about."""
    for table in ("Image", "Cells", "Cytoplasm", "Nuclei"):
        change(
            path,
            f"CREATE TABLE other AS SELECT * FROM {table} ORDER BY (rowid * 7919) % 1009",
            f"DROP TABLE {table}",
            f"ALTER TABLE other RENAME TO {table}",
        )
    return path
