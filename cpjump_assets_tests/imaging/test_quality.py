"""Measures of an image: against brute force, against planted blur and saturation, and on the real sites."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from cpjump_assets.imaging.quality import focus_slope, measure_image, radial_power
from cpjump_assets.science.channels import FLUORESCENCE
from cpjump_assets.science.image_quality import PERCENTILES, SoundImage
from cpjump_assets_tests.real_sites import CONTROL, TREATED, real_sites

BLURS = (0.0, 1.0, 2.0, 4.0)


def _brute_power(pixels):
    """Give the mean power of each ring by the definition of the transform, one frequency after another."""
    height, width = pixels.shape
    side = min(height, width)
    values = pixels - pixels.mean()
    rings = [[] for _ in range(max(side // 8 - 1, 0))]
    for vertical in range(-height // 2, height // 2 + 1):
        for horizontal in range(-width // 2, width // 2 + 1):
            radius = np.hypot(vertical / height, horizontal / width) * side
            if 1 <= round(radius, 6) < len(rings) + 1:
                waves = np.exp(-2j * np.pi * vertical / height * np.arange(height))[:, np.newaxis] * np.exp(
                    -2j * np.pi * horizontal / width * np.arange(width)
                )
                rings[int(round(radius, 6)) - 1].append(abs((values * waves).sum()) ** 2)
    return [np.mean(ring) for ring in rings]


@pytest.mark.parametrize("shape", [(32, 32), (33, 32), (32, 49), (57, 40)])
def test_the_spectrum_is_that_of_the_definition(shape):
    pixels = np.random.default_rng(3).integers(0, 5_000, shape).astype(np.uint16)
    np.testing.assert_allclose(radial_power(pixels), _brute_power(pixels), rtol=1e-9)


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0, 3.0])
def test_the_slope_of_a_planted_spectrum_is_found(exponent):
    side = 512
    frequency = np.hypot(np.fft.fftfreq(side)[:, np.newaxis], np.fft.rfftfreq(side))
    frequency[0, 0] = np.inf
    phases = np.fft.rfft2(np.random.default_rng(5).normal(size=(side, side)))
    pixels = np.fft.irfft2(phases * frequency ** (-exponent / 2), s=(side, side))
    assert focus_slope(pixels) == pytest.approx(-exponent, abs=0.1)


def test_the_slope_depends_neither_on_brightness_nor_on_contrast_nor_on_orientation():
    pixels = ndimage.gaussian_filter(np.random.default_rng(6).normal(size=(96, 96)), 1.5)
    slope = focus_slope(pixels)
    for other in (3 * pixels, pixels + 1_000, pixels.T, pixels[::-1]):
        assert focus_slope(other) == pytest.approx(slope, abs=1e-9)


def test_a_single_bright_pixel_has_a_flat_spectrum():
    pixels = np.zeros((32, 48), np.uint16)
    pixels[5, 7] = 1
    assert focus_slope(pixels) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("pixels", [np.full((64, 64), 9), np.zeros((64, 64)), np.eye(23), np.arange(5)[np.newaxis]])
def test_where_no_focus_can_be_measured_it_is_missing(pixels):
    assert np.isnan(focus_slope(pixels.astype(np.uint16)))


def _blurred(pixels, sigma, rng):
    """Blur an image and draw its shot noise anew, as a defocused camera would have."""
    sharp = pixels.astype(np.float64)
    level = ndimage.gaussian_filter(sharp, sigma) if sigma else sharp
    noise = np.sqrt(level) * rng.normal(size=level.shape) if sigma else 0.0
    return np.clip(np.rint(level + noise), 0, 65_535).astype(np.uint16)


def test_blur_lowers_the_slope_of_real_images_step_by_step(reference_root):
    rng = np.random.default_rng(0)
    for name, site in real_sites(reference_root).items():
        for channel in ("Mito", "DNA"):
            slopes = [focus_slope(_blurred(site[channel], sigma, rng)) for sigma in BLURS]
            assert (np.diff(slopes) < 0).all(), (name, channel, slopes)


def test_the_threshold_of_blur_lies_between_a_phenotype_and_a_blur_of_three_pixels(reference_root):
    sites, bound = real_sites(reference_root), SoundImage().blur
    for channel in FLUORESCENCE:
        treated, control = (focus_slope(sites[name][channel]) for name in (TREATED, CONTROL))
        assert abs(treated - control) < bound / 3
        for name in (TREATED, CONTROL):
            blurred = _blurred(sites[name][channel], 3.5, np.random.default_rng(1))
            assert focus_slope(sites[name][channel]) - focus_slope(blurred) > bound, (name, channel)


def test_the_real_images_have_plausible_measures(reference_root):
    for site in real_sites(reference_root).values():
        for channel, pixels in site.items():
            quality = measure_image(pixels)
            assert all(np.isfinite([*quality.percentiles, quality.mean, quality.focus_slope]))
            assert list(quality.percentiles) == sorted(quality.percentiles)
            assert 100 < quality.percentiles[0] < quality.percentiles[-1] < 40_000
            assert quality.saturated_share <= quality.maximum_share < 0.001
            assert -4.0 < quality.focus_slope < (-2.0 if channel in FLUORESCENCE else -1.0), channel
        assert measure_image(site["RNA"]).saturated_share == (site["RNA"] == 65_535).mean() > 0


def test_planted_saturation_is_counted_exactly():
    rng = np.random.default_rng(2)
    pixels = rng.integers(100, 60_000, (50, 80)).astype(np.uint16)
    places = rng.choice(pixels.size, 123, replace=False)
    for value, shares in ((65_535, (123 / 4_000, 123 / 4_000)), (60_001, (0.0, 123 / 4_000))):
        clipped = pixels.copy()
        clipped.flat[places] = value
        quality = measure_image(clipped)
        assert (quality.saturated_share, quality.maximum_share) == shares


@given(hnp.arrays(np.uint16, hnp.array_shapes(min_dims=2, max_dims=2, max_side=30)))
@settings(max_examples=60, deadline=None)
def test_any_image_is_measured_by_the_definitions(pixels):
    quality = measure_image(pixels)
    ordered = np.sort(pixels, axis=None).astype(float)
    places = np.array(PERCENTILES) / 100 * (len(ordered) - 1)
    np.testing.assert_allclose(quality.percentiles, np.interp(places, np.arange(len(ordered)), ordered), rtol=1e-12)
    assert quality.mean == pytest.approx(sum(ordered.tolist()) / pixels.size)
    assert quality.maximum_share == (ordered == ordered[-1]).mean()
    assert quality.saturated_share in (0.0, quality.maximum_share)
    if min(pixels.shape) < 24 or pixels.min() == pixels.max():
        assert np.isnan(quality.focus_slope)
