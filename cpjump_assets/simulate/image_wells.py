"""Which wells of a simulated plate have images: those that somebody may want to look at.

Belongs here: choosing wells and channels. Does not belong here: drawing them (``images``).
"""

from collections.abc import Mapping

import pandas as pd

from cpjump_assets.science.channels import CHANNELS, FLUORESCENCE

_N_NEGATIVE_CONTROLS, _N_POSITIVE_CONTROLS = 4, 8


def wells_with_images(
    wells: pd.DataFrame, strengths: Mapping[str, float], *, at_most: int
) -> dict[str, tuple[str, ...]]:
    """Choose wells of a plate, and the channels of each.

    First come the two that the other drawings are seen beside, in all channels: the first negative control, and the
    reagent that acts most strongly. Then in the stained channels: three more negative controls, and the first well of
    each reagent that acts, and of eight positive controls, by name of the reagent.

    Parameters
    ----------
    wells
        The wells of the plate, by name, with ``Metadata_broad_sample`` and ``Metadata_control_type``.
    strengths
        Planted strength of each reagent, 0 if it does not act; by ``Metadata_broad_sample``.
    at_most
        Wells to choose.

    Returns
    -------
    dict
        Channels by well, in the order in which they are chosen.
    """
    strength = wells["Metadata_broad_sample"].map(strengths).fillna(0.0)
    negative = wells.loc[wells["Metadata_control_type"] == "negcon", "Metadata_Well"].head(_N_NEGATIVE_CONTROLS)
    first = (
        wells.assign(strength=strength).drop_duplicates("Metadata_broad_sample").sort_values("Metadata_broad_sample")
    )
    is_positive = first["Metadata_control_type"].str.startswith("poscon").fillna(False).astype(bool)
    shown = (first["strength"] > 0) | (is_positive & (is_positive.cumsum() <= _N_POSITIVE_CONTROLS))
    whole = [negative.iloc[0], wells.loc[strength.idxmax(), "Metadata_Well"]]
    chosen = dict.fromkeys(whole, CHANNELS) | {
        well: FLUORESCENCE for well in [*negative, *first.loc[shown, "Metadata_Well"]] if well not in whole
    }
    return dict(list(chosen.items())[:at_most])
