"""Which plates are not sound: the thresholds, and what falls short of them.

Belongs here: judging the numbers of ``PLATE_QUALITY``. Does not belong here: measuring them (``plate_quality``),
leaving a plate out, which only a named policy of the manifest does.
"""

from dataclasses import dataclass

import pandas as pd

from cpjump_assets.science.normalize import MAD_TO_SIGMA
from cpjump_assets.science.plates import PLATE_COLUMNS
from cpjump_assets.science.replicate_correlation import SAME_CONDITION


@dataclass(frozen=True)
class SoundPlate:
    """What is asked of a plate. Each threshold is one that a plate which looks like its neighbours does not come near.

    Attributes
    ----------
    wells
        Least share of the batch's median of profiled wells. A plate that lost a tenth of its wells lost reagents that
        other plates have, so that it is no full replicate.
    cells
        Least share of the median cell count of the plates of its condition. Cell lines and times differ by more than
        that, plates of one condition do not.
    replicating
        Least share of reagents whose replicate correlation lies above the null's 95th percentile: twice what chance
        gives. The weakest modality, ORFs, reached a third in 2021.
    edge_deviations
        Edge effects may lie so many scaled MADs above the batch's median, unless chance explains them (``edge_p``).
    edge_p
        A larger p is chance.
    """

    wells: float = 0.9
    cells: float = 0.5
    replicating: float = 0.1
    edge_deviations: float = 5.0
    edge_p: float = 0.01


def plate_findings(plates: pd.DataFrame, rules: SoundPlate | None = None) -> pd.DataFrame:
    """Name the plates that fall short, and in what.

    Parameters
    ----------
    plates
        ``PLATE_QUALITY``. A measure that is missing is no finding.
    rules
        The thresholds; by default those of ``SoundPlate``.

    Returns
    -------
    DataFrame
        ``Metadata_Batch``, ``Metadata_Plate``, ``finding``, ``value`` and ``bound``, which the value should have kept
        to; sorted by plate. A plate may have several findings.
    """
    rules = rules or SoundPlate()
    cells, edge = plates["cell_count_median"], plates["edge_effect"]
    usual_cells = cells.groupby([plates[name] for name in SAME_CONDITION]).transform("median")
    usual_edge = edge.median()
    edge_spread = MAD_TO_SIGMA * (edge - usual_edge).abs().median()
    beyond_chance = edge.where(plates["edge_p"] <= rules.edge_p)
    at_least: dict[str, tuple[pd.Series, pd.Series | float]] = {
        "few profiled wells": (plates["profiled_wells"], rules.wells * plates["profiled_wells"].median()),
        "few cells": (cells, rules.cells * usual_cells),
        "replicates at chance": (plates["replicating"], rules.replicating),
    }
    at_most: dict[str, tuple[pd.Series, pd.Series | float]] = {
        "strong edge effect": (beyond_chance, usual_edge + rules.edge_deviations * edge_spread)
    }
    parts = []
    for finding, (values, bound) in {**at_least, **at_most}.items():
        table = plates[PLATE_COLUMNS].assign(finding=finding, value=values.astype(float), bound=bound)
        wrong = table["value"] < table["bound"] if finding in at_least else table["value"] > table["bound"]
        parts.append(table[wrong])
    return pd.concat(parts).sort_values([*PLATE_COLUMNS, "finding"], ignore_index=True)
