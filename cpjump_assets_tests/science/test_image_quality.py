"""Which images fall short: planted ones are found, and no others."""

import numpy as np
import pandas as pd
import pytest

from cpjump_assets.science.image_quality import IMAGE_QUALITY, SoundImage, blurred_images, saturated_images

CHANNEL_SLOPE = {"Mito": -2.4, "DNA": -3.0}


def _quality(n_wells=12, plates=("BR00116991", "BR00116992"), seed=0):
    """Give plates of sound images; the second plate is blurrier as a whole, which is no finding."""
    rng = np.random.default_rng(seed)
    rows = [
        {
            "Metadata_Batch": "2020_11_04_CPJUMP1",
            "Metadata_Plate": plate,
            "Metadata_Well": f"A{well:02d}",
            "Metadata_Site": 1,
            "channel": channel,
            "focus_slope": slope - 2 * number + rng.uniform(-0.3, 0.3),
            "maximum_share": 1e-6,
            "saturated_share": 0.0,
        }
        for number, plate in enumerate(plates)
        for well in range(1, n_wells + 1)
        for channel, slope in CHANNEL_SLOPE.items()
    ]
    return pd.DataFrame(rows)


def _at(quality, plate, well, channel):
    return (quality[["Metadata_Plate", "Metadata_Well", "channel"]] == [plate, well, channel]).all(axis=1)


def test_sound_images_are_no_findings():
    assert blurred_images(_quality()).empty
    assert saturated_images(_quality()).empty


def test_a_blurred_image_is_found_beside_its_own_plate_and_channel_alone():
    quality = _quality()
    planted = {("BR00116991", "A03", "Mito"): -3.9, ("BR00116992", "A07", "DNA"): -6.4}
    for place, slope in planted.items():
        quality.loc[_at(quality, *place), "focus_slope"] = slope
    found = blurred_images(quality)
    places = found[["Metadata_Plate", "Metadata_Well", "channel"]].itertuples(index=False, name=None)
    assert list(places) == [("BR00116992", "A07", "DNA"), ("BR00116991", "A03", "Mito")]
    of_first = quality.query("Metadata_Plate == 'BR00116991' and channel == 'Mito'")["focus_slope"]
    assert found["bound"].iloc[1] == pytest.approx(of_first.median() - 1)
    assert len(blurred_images(quality, SoundImage(blur=0.05))) > 2


def test_a_saturated_image_is_found_by_either_share_and_the_worst_comes_first():
    quality = _quality()
    quality.loc[_at(quality, "BR00116991", "A03", "Mito"), ["maximum_share", "saturated_share"]] = [0.02, 0.02]
    quality.loc[_at(quality, "BR00116991", "A05", "DNA"), ["maximum_share", "saturated_share"]] = [0.30, 0.0]
    quality.loc[_at(quality, "BR00116991", "A06", "DNA"), ["maximum_share", "saturated_share"]] = [0.01, 0.01]
    found = saturated_images(quality)
    assert found["Metadata_Well"].tolist() == ["A05", "A03"]
    assert found["saturated_share"].tolist() == [0.0, 0.02]


def test_images_without_measures_are_no_findings_and_do_not_move_the_median():
    quality = _quality()
    quality.loc[quality.index[:6], ["focus_slope", "maximum_share", "saturated_share"]] = np.nan
    assert blurred_images(quality).empty
    assert saturated_images(quality).empty


def test_the_schema_has_a_column_for_each_percentile():
    names = IMAGE_QUALITY.column_names
    assert [name for name in names if name[0] == "p"] == ["p01", "p05", "p25", "p50", "p75", "p95", "p99"]
    assert {"mean", "saturated_share", "maximum_share", "focus_slope", "status"} <= set(names)
