"""Replicate correlation of a plate: whether its reagents look as they do on the other plates of its condition.

Belongs here: the correlation of a plate's reagents with themselves and with each other, across plates. Does not belong
here: Percent Replicating (``percent_scores``), which scores a condition and counts the wells of one plate as
replicates of each other too.

A reagent's value is the median Pearson correlation between its wells on the plate and its wells on the other plates of
the condition. The null takes, on the other plates, the wells of another reagent: every ordered pair of two reagents, so
that no number is drawn and both medians are over as many pairs of wells. Replicates of CPJUMP1 share their position,
the pairs of the null do not: position effects raise the first and not the second.
"""

import numpy as np
import pandas as pd

from cpjump_assets.science.arrays import Floats, Ints
from cpjump_assets.science.correlations import Groups, medians_between, standard_rows
from cpjump_assets.science.features import Profiles, well_label
from cpjump_assets.science.perturbations import EMPTY
from cpjump_assets.science.plates import PLATE_COLUMNS
from cpjump_assets.science.similarity import TIE

SAME_CONDITION = [
    "Metadata_Batch",
    "Metadata_experiment_type",
    "Metadata_cell_line",
    "Metadata_timepoint",
    "Metadata_density",
    "Metadata_antibiotics",
    "Metadata_cell_background",
    "Metadata_time_delay",
]
"""Plates that agree in these are replicates of each other: 17 groups of the 51 plates, one of them a single plate."""
NULL_QUANTILE = 0.95


def replicate_correlations(profiles: Profiles) -> pd.DataFrame:
    """Correlate the reagents of each plate with the other plates of its condition.

    Parameters
    ----------
    profiles
        Wells of several plates with the same features, selected ones, every value finite. Negative controls and empty
        wells take no part.

    Returns
    -------
    DataFrame
        A row is a plate, sorted by batch and plate: ``replicate_plates`` (other plates of its condition),
        ``replicate_reagents`` (reagents that the plate shares with them), ``replicate_correlation`` (median over these
        reagents), ``null_correlation`` (median over all pairs of two of them), ``null_95`` (their 95th percentile) and
        ``replicating`` (share of the reagents above it; 0.05 is what chance gives). The last four are missing for a
        plate that shares fewer than two reagents with others.

    Raises
    ------
    ProfileError
        If a profile has a NaN or infinite feature, or the same value in all; feature, plate and well are named.
    """
    treated = (profiles.metadata["Metadata_control_type"] != "negcon") & (
        profiles.metadata["Metadata_broad_sample"] != EMPTY
    )
    metadata = profiles.metadata
    rows = []
    for _, condition in metadata.groupby(SAME_CONDITION, sort=True):
        wells = condition.index[treated.loc[condition.index]].to_numpy()
        standard = standard_rows(
            profiles.matrix, wells, features=profiles.features, describe_row=lambda row: well_label(metadata, row)
        )
        correlations = standard @ standard.T
        plates = condition[PLATE_COLUMNS].drop_duplicates()
        barcode = metadata["Metadata_Plate"].to_numpy()[wells]
        reagents = np.unique(metadata["Metadata_broad_sample"].to_numpy()[wells], return_inverse=True)[1]
        for batch, plate in plates.itertuples(index=False, name=None):
            on_plate = barcode == plate
            own, others = reagents[on_plate], reagents[~on_plate]
            measures = _compared(correlations[np.ix_(on_plate, ~on_plate)], own, others)
            rows.append(
                {
                    **dict(zip(PLATE_COLUMNS, (batch, plate), strict=True)),
                    "replicate_plates": len(plates) - 1,
                    **measures,
                }
            )
    return pd.DataFrame(rows).sort_values(PLATE_COLUMNS, ignore_index=True)


def _compared(correlations: Floats, own: Ints, others: Ints) -> dict[str, float]:
    """Compare reagents with themselves and with each other.

    Parameters
    ----------
    correlations
        Of the wells on the plate with those on other plates, (n_own, n_others).
    own, others
        Reagent of each row and of each column.
    """
    shared = np.intersect1d(own, others)
    if len(shared) < 2:
        numbers = dict.fromkeys(("replicate_correlation", "null_correlation", "null_95", "replicating"), np.nan)
        return {"replicate_reagents": len(shared), **numbers}
    rows, columns = np.isin(own, shared), np.isin(others, shared)
    left, right = (Groups.of(np.searchsorted(shared, codes)) for codes in (own[rows], others[columns]))
    n = len(shared)
    pairs = np.stack(np.divmod(np.arange(n * n), n), axis=1)
    medians = medians_between(correlations[np.ix_(rows, columns)], left, right, pairs).reshape(n, n)
    replicates, null = np.diagonal(medians), medians[~np.eye(n, dtype=bool)]
    threshold = np.quantile(null, NULL_QUANTILE)
    return {
        "replicate_reagents": n,
        "replicate_correlation": float(np.median(replicates)),
        "null_correlation": float(np.median(null)),
        "null_95": float(threshold),
        "replicating": float((replicates > threshold + TIE).mean()),
    }
