"""Which wells of a simulated plate are drawn."""

import pandas as pd
import pytest

from cpjump_assets.science.channels import CHANNELS, FLUORESCENCE
from cpjump_assets.simulate.image_wells import wells_with_images

STRENGTHS = {"b": 1.0, "c": 0.0, "a": 3.0, "p9": 2.0, **{f"p{number}": 0.0 for number in range(9)}}


@pytest.fixture
def wells() -> pd.DataFrame:
    reagents = ["c", "DMSO", "b", "a", "b", "DMSO", "a", *(f"p{number}" for number in range(10)), *["DMSO"] * 4]
    kinds = {"DMSO": "negcon"} | {f"p{number}": "poscon_diverse" for number in range(10)}
    return pd.DataFrame(
        {
            "Metadata_Well": [f"A{place:02d}" for place in range(1, len(reagents) + 1)],
            "Metadata_broad_sample": reagents,
            "Metadata_control_type": pd.Series([kinds.get(reagent) for reagent in reagents], dtype="str"),
        }
    )


def test_controls_acting_reagents_and_positive_controls_are_drawn(wells: pd.DataFrame):
    chosen = wells_with_images(wells, STRENGTHS, at_most=384)
    reagents = wells.set_index("Metadata_Well")["Metadata_broad_sample"]
    # A17 is p9, which acts; p8 is the ninth positive control and does not, c does not act either.
    assert list(chosen) == [
        "A02",
        "A04",
        "A06",
        "A18",
        "A19",
        "A03",
        *(f"A{place:02d}" for place in range(8, 16)),
        "A17",
    ]
    assert [reagents[well] for well in list(chosen)[:6]] == ["DMSO", "a", "DMSO", "DMSO", "DMSO", "b"]


def test_two_wells_have_all_channels_and_the_others_the_stained_ones(wells: pd.DataFrame):
    channels = list(wells_with_images(wells, STRENGTHS, at_most=384).values())
    assert channels[:2] == [CHANNELS, CHANNELS]
    assert set(channels[2:]) == {FLUORESCENCE}


def test_no_more_than_asked_for(wells: pd.DataFrame):
    assert list(wells_with_images(wells, STRENGTHS, at_most=3)) == ["A02", "A04", "A06"]
    assert wells_with_images(wells, STRENGTHS, at_most=0) == {}
