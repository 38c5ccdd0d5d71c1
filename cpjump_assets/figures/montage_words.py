"""The words on montages: which plate it is, and what is in a well.

Belongs here: naming a row of ``wells``. Does not belong here: the picture (``montage``).
"""

import pandas as pd

from cpjump_assets.science.image_selection import role_of

_UNAFFECTED = "none"


def plate_words(well: pd.Series) -> str:
    """Name a plate and its condition; a stain that went wrong is named, because it is seen.

    Parameters
    ----------
    well
        A row of ``WELLS``.
    """
    words = [
        well["Metadata_Plate"],
        well["Metadata_experiment_type"],
        well["Metadata_cell_line"],
        f"{well['Metadata_timepoint']} h",
    ]
    if well["Metadata_anomaly"] != _UNAFFECTED:
        words.append(f"stain anomaly: {well['Metadata_anomaly']}")
    return " · ".join(words)


def reagent_words(well: pd.Series) -> str:
    """Name what a well holds: by its name, its id where that is another one, and its target where it has one.

    Parameters
    ----------
    well
        A row of ``WELLS``.
    """
    name, sample = well["Metadata_pert_iname"], well["Metadata_broad_sample"]
    words = name if name == sample else f"{name} ({sample})"
    return words if pd.isna(well["Metadata_target"]) else f"{words}, target {well['Metadata_target']}"


def short_words(well: pd.Series) -> str:
    """Name a well where there is little room: what it holds by name, its target, and where it is."""
    target = "" if pd.isna(well["Metadata_target"]) else f" ({well['Metadata_target']})"
    return f"{well['Metadata_pert_iname']}{target} {well['Metadata_Well']}"


def well_words(well: pd.Series, site: int) -> str:
    """Label a site of a well of which it is known what it holds.

    Parameters
    ----------
    well
        A row of ``WELLS``.
    site
        Number of the field of view.
    """
    control = well["Metadata_control_type"]
    role = role_of(None if pd.isna(control) else control)
    return site_words(role, reagent_words(well), well["Metadata_Well"], site)


def site_words(role: str, holds: str, well: str, site: int) -> str:
    """Label a site."""
    return f"{role}: {holds} · well {well} · site {site}"
