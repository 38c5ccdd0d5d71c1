"""Invented columns carry CellProfiler's names."""

import re

import pytest

from cpjump_assets.science.blocklist import BLOCKLIST
from cpjump_assets.simulate.feature_names import channel_of, feature_names


def test_there_are_enough_different_names():
    names = feature_names()
    assert len(set(names)) == len(names) >= 5_792
    assert list(names) == sorted(names)


def test_names_have_compartment_measurement_and_detail():
    measurements = "AreaShape|Correlation|Granularity|Intensity|RadialDistribution|Texture"
    pattern = re.compile(rf"(Cells|Cytoplasm|Nuclei)_({measurements})_\w+")
    assert all(pattern.fullmatch(name) for name in feature_names())


@pytest.mark.parametrize(
    "name",
    [
        "Cells_AreaShape_Zernike_9_7",
        "Cytoplasm_Texture_InfoMeas1_RNA_5_00_256",
        "Nuclei_RadialDistribution_FracAtD_DNA_4of4",
        "Nuclei_Intensity_MeanIntensity_Mito",
        "Cells_Correlation_K_DNA_AGP",
        "Nuclei_Granularity_16_ER",
    ],
)
def test_well_known_names_are_among_them(name: str):
    assert name in feature_names()


def test_the_whole_blocklist_is_among_them():
    assert set(feature_names()) >= BLOCKLIST


@pytest.mark.parametrize(
    ("name", "channel"),
    [
        ("Cells_Texture_Correlation_AGP_3_00_256", "AGP"),
        ("Nuclei_Intensity_MeanIntensity_DNA", "DNA"),
        ("Cells_Correlation_K_AGP_ER", None),
        ("Nuclei_AreaShape_Area", None),
        ("Cells_Granularity_1_LowZBF", None),
    ],
)
def test_channel_of_a_feature(name: str, channel: str | None):
    assert channel_of(name) == channel
