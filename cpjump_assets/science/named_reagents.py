"""Finding a reagent of a plate by what people call it.

Belongs here: matching ids, names and targets. Does not belong here: which of its wells is used (the caller), splits.
"""

from dataclasses import dataclass
from difflib import get_close_matches

import pandas as pd

from cpjump_assets.science.errors import BadTableError
from cpjump_assets.science.perturbations import EMPTY

_FOUND_BY = {
    "Metadata_broad_sample": "id",
    "Metadata_pert_iname": "name",
    "Metadata_target": "target",
}
"""Columns in the order in which they are asked, and what they hold, in words."""
_SHOWN = 5


@dataclass(frozen=True)
class NamedReagent:
    """A reagent that was found on a plate.

    Attributes
    ----------
    broad_sample
        The reagent.
    found_by
        What the words were: ``id``, ``name`` or ``target``.
    others
        Further reagents of the plate that fit the words as well, by id.
    wells
        Its wells on the plate, by name.
    """

    broad_sample: str
    found_by: str
    others: tuple[str, ...]
    wells: tuple[str, ...]


def find_reagent(wells: pd.DataFrame, words: str) -> NamedReagent:
    """Find what somebody means: an id, else a name, else a target, whatever the case; of several the first by id.

    Parameters
    ----------
    wells
        Rows of ``WELLS`` of one plate.
    words
        For example ``BRD-K21728777-001-02-3``, ``AMG900`` or ``AURKB``; guides and ORFs have no names but their ids.

    Raises
    ------
    BadTableError
        If nothing on the plate is called so; the message names what comes near.
    """
    holding = wells[wells["Metadata_broad_sample"] != EMPTY]
    for column, found_by in _FOUND_BY.items():
        fitting = holding[holding[column].str.casefold() == words.strip().casefold()]
        if fitting.empty:
            continue
        sample, *others = sorted(fitting["Metadata_broad_sample"].unique())
        of_sample = holding.loc[holding["Metadata_broad_sample"] == sample, "Metadata_Well"]
        return NamedReagent(sample, found_by, tuple(others), tuple(sorted(of_sample)))
    plate, near = wells["Metadata_Plate"].iloc[0], _near(holding, words)
    raise BadTableError(f"plate {plate} holds no reagent with id, name or target {words!r}; near to it: {near}")


def _near(wells: pd.DataFrame, words: str) -> str:
    spelled = {str(name).casefold(): str(name) for column in _FOUND_BY for name in wells[column].dropna().unique()}
    near = get_close_matches(words.strip().casefold(), list(spelled), n=_SHOWN)
    return ", ".join(spelled[name] for name in near) or "none"
