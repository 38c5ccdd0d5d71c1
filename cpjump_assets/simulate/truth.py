"""The planted truth: which reagents act, how strongly and in which direction, and what plates do to their wells.

Belongs here: the tables that are written beside a simulated gallery, so that a score can be checked against them. Does
not belong here: the values that follow from them (``profiles``).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cpjump_assets.science.plates import PlateKey
from cpjump_assets.simulate.config import SimulationConfig, Size
from cpjump_assets.simulate.design import Design
from cpjump_assets.simulate.features import plant_features
from cpjump_assets.simulate.randomness import generator

STRONG = 1.2
"""Planted strength from which a reagent is called strong: its replicates are expected to be detected."""
_GRADES = ((0.4, (2.0, 3.5)), (0.35, (1.2, 2.0)), (0.25, (0.2, 0.9)))
"""Share of the active reagents per grade, and the range of their strengths before the modality's factor."""
_PLATE_CONDITION = [
    "Metadata_Batch",
    "Metadata_Plate",
    "Metadata_experiment_type",
    "Metadata_cell_line",
    "Metadata_timepoint_code",
    "Metadata_anomaly",
]
_STAIN_CHANNELS = {"Phalloidin": "AGP", "WGA": "AGP", "Mitotracker": "Mito"}


@dataclass(frozen=True)
class Truth:
    """What is planted, and written as CSV to the folder ``truth``.

    Attributes
    ----------
    perturbations
        One row per reagent: ``Metadata_broad_sample``, ``Metadata_experiment_type``, ``Metadata_target``,
        ``Metadata_control_type``, ``active`` (bool), ``strength`` (root mean square of the effect over informative
        features, in standard deviations of their replicate noise; 0 if not active), ``direction`` (reagents of one
        label act in one direction; missing if not active) and ``sign`` (-1: in the opposite one).
    features
        One row per feature, as ``features.plant_features`` gives it.
    plates
        One row per simulated plate: condition and ``Metadata_anomaly``; ``strength`` (factor on all effects of
        reagents), ``shift`` and ``scale`` (common to all features, in standard deviations and as a factor), ``edge``,
        ``row`` and ``column`` (factors on the position effects), ``stain_channel``, ``stain_shift``, ``stain_gain``.
    """

    perturbations: pd.DataFrame
    features: pd.DataFrame
    plates: pd.DataFrame

    def write(self, folder: Path) -> None:
        """Write the tables as ``perturbations.csv``, ``features.csv`` and ``plates.csv``."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("perturbations", "features", "plates"):
            table: pd.DataFrame = getattr(self, name)
            table.to_csv(folder / f"{name}.csv", index=False, float_format="%.6g", lineterminator="\n")


def plant(design: Design, size: Size, seed: int, config: SimulationConfig) -> Truth:
    """Plant the truth of one simulation."""
    return Truth(
        perturbations=plant_perturbations(design.perturbations, seed, config),
        features=plant_features(size, seed, config),
        plates=plant_plates(design.experiment, size.plates, seed, config),
    )


def plant_perturbations(perturbations: pd.DataFrame, seed: int, config: SimulationConfig) -> pd.DataFrame:
    """Decide which reagents act.

    Negative controls never act, the diverse positive control compounds always do, and strongly. Ids of one compound,
    by its normalized name, act alike.

    Parameters
    ----------
    perturbations
        The table of reagents, as ``science.perturbations`` gives it.

    Returns
    -------
    DataFrame
        ``Truth.perturbations``.
    """
    rng = generator(seed, "perturbations")
    table = perturbations.sort_values("Metadata_broad_sample", ignore_index=True)
    target = table["Metadata_target"].fillna("")
    targets = np.sort(target.unique())
    shared = target.map(dict(zip(targets, rng.random(len(targets)) < config.shared_target_share, strict=True)))
    diverse = (table["Metadata_control_type"] == "poscon_diverse") & (table["Metadata_experiment_type"] == "Compound")
    probability = np.where(shared, config.active_if_shared, config.active_if_own)
    active = ((rng.random(len(table)) < probability) | diverse) & (table["Metadata_control_type"] != "negcon")
    raw = _graded_strengths(rng, len(table))
    raw[diverse] = rng.uniform(*_GRADES[0][1], int(diverse.sum()))
    factor = table["Metadata_experiment_type"].map(dict(config.modality_strength))
    planted = table.assign(
        active=active,
        strength=np.where(active, raw * factor, 0.0),
        direction=np.where(shared, "target " + target, "reagent " + table["Metadata_broad_sample"]),
        sign=np.where(shared & (table["Metadata_experiment_type"] == "ORF"), -1, 1),
    )
    effects = ["active", "strength", "direction", "sign"]
    compound = table["Metadata_pert_iname_normalized"].fillna(table["Metadata_broad_sample"])
    planted[effects] = planted.groupby(compound)[effects].transform("first")
    planted["direction"] = planted["direction"].where(planted["active"])
    keys = ["broad_sample", "experiment_type", "target", "control_type"]
    return planted[[*(f"Metadata_{key}" for key in keys), *effects]]


def plant_plates(
    experiment: pd.DataFrame, plates: tuple[PlateKey, ...], seed: int, config: SimulationConfig
) -> pd.DataFrame:
    """Decide what each plate does to its wells; each plate draws from its own stream.

    Returns
    -------
    DataFrame
        ``Truth.plates``, sorted by batch and plate.
    """
    conditions = {tuple(row[:2]): row for row in experiment[_PLATE_CONDITION].itertuples(index=False, name=None)}
    rows = []
    for plate in sorted(plates):
        condition = dict(zip(_PLATE_CONDITION, conditions[plate], strict=True))
        rng = generator(seed, "plate effects", str(plate))
        channel = _STAIN_CHANNELS.get(condition["Metadata_anomaly"])
        rows.append(
            {
                **condition,
                "strength": config.condition_strength[
                    condition["Metadata_cell_line"], condition["Metadata_timepoint_code"]
                ],
                "shift": rng.normal(0.0, config.plate_shift),
                "scale": np.exp(rng.normal(0.0, config.plate_scale)),
                **dict(zip(("edge", "row", "column"), rng.uniform(0.7, 1.3, 3), strict=True)),
                "stain_channel": channel,
                "stain_shift": config.stain_shift if channel else 0.0,
                "stain_gain": config.stain_gain if channel else 1.0,
            }
        )
    return pd.DataFrame(rows)


def _graded_strengths(rng: np.random.Generator, n: int) -> np.ndarray:
    lows, highs = np.array([bounds for _, bounds in _GRADES]).T
    grade = rng.choice(len(_GRADES), p=[share for share, _ in _GRADES], size=n)
    return rng.uniform(lows[grade], highs[grade])
