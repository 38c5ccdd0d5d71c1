"""pycytominer 1.7.1 on profiles: what each row of ``profiles`` times.

Belongs here: its calls. Does not belong here: ours (``profile_own``). Other modules import this one where they call it:
a process that measures ours must not hold pycytominer in memory, and no clock may see it being imported.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from pycytominer import feature_select, normalize
from pycytominer.cyto_utils.cells import SingleCells
from pycytominer.operations import correlation_threshold

from benchmarks.profile_inputs import feature_names
from cpjump_assets.science.normalize import NormalizeConfig
from cpjump_assets.science.spherize import SpherizeConfig

OPERATIONS = ["frequency_threshold", "correlation_threshold", "drop_na_columns", "blocklist"]
THRESHOLD = 0.9
WELLS_AT_ONCE = 32
"""The fastest of 1, its default, which takes four times as long, 16, 32, 64 and 384, which takes 2.7 GB."""
NEGATIVE_CONTROLS = "Metadata_control_type == 'negcon'"


def normalized(frame: pd.DataFrame, config: NormalizeConfig) -> pd.DataFrame:
    """Normalize a plate with pycytominer; where digits are configured, write values with so many and read them."""
    samples = "all" if config.reference == "whole_plate" else NEGATIVE_CONTROLS
    result = normalize(frame, method="mad_robustize", samples=samples, mad_robustize_epsilon=config.epsilon)
    if config.digits is None:
        return result
    values = feature_names(result)
    text = np.char.mod(f"%.{config.digits}g", result[values].to_numpy())
    return result.drop(columns=values).join(pd.DataFrame(text.astype(np.float64), columns=values))


def selected(frame: pd.DataFrame) -> set[str]:
    """Name the features that pycytominer keeps by four rules."""
    result = feature_select(frame, features=feature_names(frame), operation=OPERATIONS)
    return set(feature_names(result))


def correlated(frame: pd.DataFrame) -> set[str]:
    """Name the features that pycytominer's correlation rule drops."""
    return set(correlation_threshold(frame, features=feature_names(frame), threshold=THRESHOLD))


def sphered(frame: pd.DataFrame, config: SpherizeConfig) -> pd.DataFrame:
    """Sphere a batch by its negative controls with pycytominer."""
    return normalize(
        frame,
        features=feature_names(frame),
        method="spherize",
        samples=NEGATIVE_CONTROLS,
        spherize_method=config.method,
        spherize_center=config.center,
        spherize_epsilon=config.epsilon,
    )


def aggregated(path: Path) -> pd.DataFrame:
    """Aggregate a backend to medians of wells."""
    cells = SingleCells(f"sqlite:///{path}", strata=["Metadata_Plate", "Metadata_Well"])
    return cells.aggregate_profiles(n_aggregation_memory_strata=WELLS_AT_ONCE)
