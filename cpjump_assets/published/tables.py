"""The published scores as frames.

Belongs here: reading the typed tables. Does not belong here: laying them beside ours (``science.comparison``).
"""

from importlib.resources import files

import pandas as pd


def fractions_retrieved() -> pd.DataFrame:
    """Give the published fractions retrieved, a row per figure and run of the authors."""
    with files("cpjump_assets.published").joinpath("fraction_retrieved.csv").open(encoding="utf-8") as stream:
        return pd.read_csv(stream)
