"""Presets: how profiles are made, all parameters together, by name.

Belongs here: the two published ways, and finding one by its name. Does not belong here: what the parameters do
(``aggregate``, ``normalize``, ``feature_selection``, ``spherize``), where the tables of a preset lie (``settings``).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from cpjump_assets.science.errors import SettingsError
from cpjump_assets.science.feature_selection import PAPER_2021, PAPER_2024, SelectionConfig
from cpjump_assets.science.normalize import NormalizeConfig
from cpjump_assets.science.preset_names import PAPER_2021_PRESET, PAPER_2024_PRESET
from cpjump_assets.science.spherize import SpherizeConfig


@dataclass(frozen=True)
class ProfilePreset:
    """One way of making profiles, from single cells to the matrix that is compared.

    Attributes
    ----------
    name
        Part of every table that the preset makes.
    aggregation
        What a well's profile is of its cells. ``median``: as the gallery publishes it; ``mean``: computed here from the
        single-cell tables, because the gallery holds no means.
    epsilon
        Added to the scaled MAD, see ``NormalizeConfig``.
    digits
        Significant digits that each step keeps, as the published files do (``%.5g``); None rounds nowhere.
    selection
        Rules of feature selection, over the batch and on each plate.
    spherize
        The whitening. No published configuration has one, so that both presets take pycytominer's defaults
        (``spherize`` says where the gallery's sphered files come from).
    """

    name: str
    aggregation: Literal["median", "mean"]
    epsilon: float
    digits: int | None
    selection: SelectionConfig
    spherize: SpherizeConfig

    def normalization(self, reference: Literal["negcon", "whole_plate"]) -> NormalizeConfig:
        """Say how a plate is normalized to these wells."""
        return NormalizeConfig(reference, epsilon=self.epsilon, digits=self.digits)


PRESETS: Mapping[str, ProfilePreset] = MappingProxyType(
    {
        preset.name: preset
        for preset in (
            ProfilePreset(PAPER_2024_PRESET, "median", 0.0, 5, PAPER_2024, SpherizeConfig(digits=5)),
            ProfilePreset(PAPER_2021_PRESET, "mean", 0.0, 5, PAPER_2021, SpherizeConfig(digits=5)),
        )
    }
)
"""By name: as the 2024 paper (the gallery's own files, batch-wide selection), and as the 2021 paper."""


def require_preset(name: str) -> ProfilePreset:
    """Find a preset.

    Raises
    ------
    SettingsError
        For any other name.
    """
    if name not in PRESETS:
        raise SettingsError(f"unknown preset {name!r}, expected one of {', '.join(PRESETS)}")
    return PRESETS[name]
