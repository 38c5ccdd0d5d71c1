"""Presets: two by name, each with all its parameters."""

import pytest

from cpjump_assets.science.errors import SettingsError
from cpjump_assets.science.preset_names import DEFAULT_PRESET, PRESET_NAMES
from cpjump_assets.science.presets import PRESETS, require_preset


def test_the_presets_are_those_that_settings_know() -> None:
    assert tuple(PRESETS) == PRESET_NAMES
    assert DEFAULT_PRESET == "paper_2024"
    assert all(preset.name == name for name, preset in PRESETS.items())


def test_the_papers_differ_in_aggregation_alone_and_round_to_what_they_wrote() -> None:
    new, old = PRESETS["paper_2024"], PRESETS["paper_2021"]
    assert (new.aggregation, old.aggregation) == ("median", "mean")
    assert new.epsilon == old.epsilon == 0.0
    assert new.digits == old.digits == 5
    assert new.selection.unique_cut == old.selection.unique_cut == 0.1
    assert new.selection.view == old.selection.view == "full"


def test_a_preset_says_how_plates_are_normalized() -> None:
    config = PRESETS["paper_2024"].normalization("whole_plate")
    assert (config.reference, config.epsilon, config.digits) == ("whole_plate", 0.0, 5)


def test_an_unknown_preset_is_refused_with_the_known_ones() -> None:
    assert require_preset("paper_2021").name == "paper_2021"
    with pytest.raises(SettingsError, match="unknown preset 'mine', expected one of paper_2024, paper_2021"):
        require_preset("mine")
