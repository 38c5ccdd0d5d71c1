"""The published figures as a frame.

Belongs here: reading the typed table. Does not belong here: laying it beside ours, or what its columns mean
(``science.comparison``).
"""

from importlib.resources import files

import pandas as pd

from cpjump_assets.science.comparison import PUBLISHED_FIGURES

_FILE = "published_figures.csv"


def published_figures() -> pd.DataFrame:
    """Give the published figures, a row per figure, condition, release and run of the authors.

    Returns
    -------
    DataFrame
        As ``PUBLISHED_FIGURES``, sorted by its key: the fractions retrieved of Fig. 4, Percent Replicating and Percent
        Matching of both releases, the odds ratios of Fig. 5 and the class counts of Supplementary Table 2.

    Raises
    ------
    BadTableError
        When the file does not keep to its schema.
    """
    with files("cpjump_assets.published").joinpath(_FILE).open(encoding="utf-8") as stream:
        return PUBLISHED_FIGURES.normalise(pd.read_csv(stream), _FILE)
