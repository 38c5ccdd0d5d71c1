"""Ours on profiles: what each row of ``profiles`` times.

Belongs here: our side, from the same frame or file as the peer's to a result that can be compared. Does not belong
here: peers (``profile_pycytominer``, ``profile_readers``), which would count in the memory of ours.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from cpjump_assets.gallery.cells.backend_file import BackendFile
from cpjump_assets.gallery.profile_file import read_profile_csv
from cpjump_assets.science.aggregate import aggregate_cells
from cpjump_assets.science.feature_selection import (
    PYCYTOMINER_1_7,
    REMAINING,
    apply_selection,
    select_features,
    select_features_over,
)
from cpjump_assets.science.features import Matrix, Profiles, stack
from cpjump_assets.science.normalize import NormalizeConfig, normalize_plate
from cpjump_assets.science.plates import PlateKey
from cpjump_assets.science.spherize import SpherizeConfig, fit_spherize, sphere
from cpjump_assets.storage.store import Store, TableKey

CORRELATION_ALONE = replace(PYCYTOMINER_1_7, rules=("correlation", REMAINING))


def normalized(frame: pd.DataFrame, config: NormalizeConfig) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Normalize a plate; give the frame and the report on its features."""
    plate = normalize_plate(Profiles.from_frame(frame), config)
    return plate.profiles.to_frame(), plate.report


def selected(frame: pd.DataFrame) -> pd.DataFrame:
    """Select features by the four rules, take those that stay, and give the table of verdicts."""
    profiles = Profiles.from_frame(frame)
    table = select_features(profiles, PYCYTOMINER_1_7)
    apply_selection(profiles, table).to_frame()
    return table


def correlated(folder: Path, keys: Sequence[TableKey]) -> set[str]:
    """Name the features that the correlation rule drops over the stored plates, which are read as it needs them."""
    store = Store(folder)
    table = select_features_over([store.open_profiles(key) for key in keys], CORRELATION_ALONE)
    return set(table.loc[table["correlated_with"].notna(), "feature"])


def sphered(frame: pd.DataFrame, config: SpherizeConfig) -> pd.DataFrame:
    """Sphere a batch by its negative controls."""
    profiles = Profiles.from_frame(frame)
    controls = (profiles.metadata["Metadata_control_type"] == "negcon").to_numpy(dtype=bool)
    fitted = fit_spherize(profiles.matrix[controls], config)
    return sphere(profiles, fitted, config).to_frame()


def read_csv(path: Path, plate: PlateKey) -> Profiles:
    """Read and check a file of the gallery."""
    return read_profile_csv(path, plate)


def aggregated(path: Path, plate: PlateKey, *, workers: int) -> Profiles:
    """Aggregate a backend to medians of wells."""
    with BackendFile(path, plate) as cells:
        return aggregate_cells(cells, "median", workers=workers).profiles


def loaded(folder: Path, keys: Sequence[TableKey]) -> Matrix:
    """Read stored plates into one float32 matrix."""
    store = Store(folder)
    return stack(store.read_profiles(key) for key in keys).matrix


def digest(matrix: Matrix) -> str:
    """Give the sha256 of the values of a matrix, feature by feature, whatever its order in memory."""
    content = hashlib.sha256()
    for column in np.asarray(matrix).T:
        values = np.array(column, dtype=np.float32)
        values[np.isnan(values)] = np.nan  # there are many bit patterns for it
        content.update(values.tobytes())
    return content.hexdigest()
