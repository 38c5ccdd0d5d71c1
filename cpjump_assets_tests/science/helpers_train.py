"""Small screens for fits on train alone: plates, manifests laid out by hand, and values to be poisoned."""

from dataclasses import replace

import numpy as np
import pandas as pd

from cpjump_assets.science.features import Profiles
from cpjump_assets.science.plates import MAIN_BATCH
from cpjump_assets.science.strategies import GENE_COMPOUND

N_WELLS = 48
N_FEATURES = 14
FEATURES = tuple(f"Cells_F{i:02d}" for i in range(N_FEATURES))


def plate(barcode: str, *, seed: int, primary: bool = True, batch: str = MAIN_BATCH) -> Profiles:
    """Draw a plate: a third negative controls; two features say the same, one has few values."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N_WELLS, N_FEATURES))
    X[:, 1] = X[:, 0] + 0.05 * X[:, 1]
    X[:, 3] = X[:, 2] - 0.1 * X[:, 3]
    X[:, 4] = np.round(X[:, 4])
    X[:, 5] = np.where(np.arange(N_WELLS) < N_WELLS - 1, 0.0, 1.0)  # almost always 0
    metadata = pd.DataFrame(
        {
            "Metadata_Batch": batch,
            "Metadata_Plate": barcode,
            "Metadata_Well": [f"{chr(65 + i // 24)}{i % 24 + 1:02d}" for i in range(N_WELLS)],
            "Metadata_control_type": pd.Series(np.where(np.arange(N_WELLS) % 3 == 0, "negcon", None), dtype="str"),
            "Metadata_is_primary": primary,
        }
    )
    return Profiles(metadata, X.astype(np.float32), FEATURES)


def screen() -> list[Profiles]:
    """Give five primary plates and one that is not."""
    return [*(plate(f"BR{i}", seed=i) for i in range(5)), plate("BR9", seed=9, primary=False)]


def manifest_of(plates: list[Profiles], assign, *, strategy: str = GENE_COMPOUND) -> pd.DataFrame:
    """Assign wells by a function of plate position and well position; None assigns to no subset."""
    rows = [
        (subset, profiles.metadata["Metadata_Plate"].iloc[0], well)
        for position, profiles in enumerate(plates)
        for row, well in enumerate(profiles.metadata["Metadata_Well"])
        if (subset := assign(position, row)) is not None
    ]
    table = pd.DataFrame(rows, columns=["subset", "Metadata_Plate", "Metadata_Well"]).astype("str")
    return table.assign(split_strategy=strategy)


def mixed(position: int, row: int) -> str | None:
    """Assign the treated wells of every primary plate to all three subsets, the controls to none."""
    if position == 5 or row % 3 == 0:
        return None
    return ("train", "train", "validate", "train", "test")[row % 5]


def by_plate(position: int, row: int) -> str | None:
    """Assign whole plates, as the representation strategy does; the controls belong to none."""
    if position == 5 or row % 3 == 0:
        return None
    return ("train", "train", "validate", "test", "train")[position]


def controls_too(position: int, row: int) -> str | None:
    """Assign every well of the primary plates, as the policy keep_all does."""
    return None if position == 5 else ("train", "validate", "test", "train")[row % 4]


def poisoned(plates: list[Profiles], manifest: pd.DataFrame, value: float) -> list[Profiles]:
    """Put a value in place of all values of the validate and test wells."""
    held_out = manifest[manifest["subset"] != "train"]
    held = set(zip(held_out["Metadata_Plate"], held_out["Metadata_Well"], strict=True))
    result = []
    for profiles in plates:
        wells = zip(profiles.metadata["Metadata_Plate"], profiles.metadata["Metadata_Well"], strict=True)
        rows = np.array([well in held for well in wells])
        X = profiles.matrix.copy()
        X[rows] = value
        result.append(replace(profiles, matrix=X))
    return result
