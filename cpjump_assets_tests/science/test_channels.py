"""The eight channels and their spellings."""

import pytest

from cpjump_assets.science.channels import (
    BRIGHTFIELD,
    CHANNELS,
    FLUORESCENCE,
    channel_number,
    named_channel,
    numbered_channel,
)


def test_the_five_stained_channels_come_first():
    assert (*FLUORESCENCE, *BRIGHTFIELD) == CHANNELS
    assert [channel_number(channel) for channel in FLUORESCENCE] == [1, 2, 3, 4, 5]
    assert channel_number("DNA") == 5


def test_numbers_and_names_are_inverse_and_others_mean_nothing():
    assert [numbered_channel(channel_number(channel)) for channel in CHANNELS] == list(CHANNELS)
    assert (numbered_channel(0), numbered_channel(9)) == (None, None)
    with pytest.raises(ValueError, match="not in tuple"):
        channel_number("Cy5")


@pytest.mark.parametrize(
    ("name", "channel"),
    [
        ("OrigMito", "Mito"),
        ("Mito", "Mito"),
        ("OrigHighZBF", "HighZBF"),
        ("OrigBrightfield_H", "HighZBF"),
        ("Brightfield_L", "LowZBF"),
        ("Brightfield", "Brightfield"),
        ("OrigHoechst", None),
        ("", None),
    ],
)
def test_spellings(name: str, channel: str | None):
    assert named_channel(name) == channel
