"""Measures of one image: how bright, how much of it saturated, how sharp.

Belongs here: pixels in, numbers out. Does not belong here: reading files (``tiff``), which numbers are too low or too
high (``science.image_quality``).

The measures are those of CellProfiler's MeasureImageQuality, after Bray et al. (2012, Journal of Biomolecular Screening
17, 266: "Workflow and metrics for image quality control in large-scale high-content screens"). Intensities stay what
the camera counted, 0 to 65,535, where CellProfiler divides by 65,535.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import fft

from cpjump_assets.imaging.tiff import Pixels
from cpjump_assets.science.image_quality import PERCENTILES

_HIGHEST_FREQUENCY = 1 / 8
"""Cycles a pixel up to which the focus is measured; Nyquist is 1/2.

Above it the noise of the camera is as strong as the image, and blur makes a spectrum flatter instead of steeper. A real
AGP image, blurred with a sigma of 0, 0.5, 1 and 6 pixels before shot noise is drawn anew, has -3.77, -3.51, -3.56 and
-2.92 over all frequencies; up to 1/8 it has -2.76, -2.79, -2.92 and -4.16.
"""

_ROUNDING = 1e-9
"""Cycles, so that a frequency on the edge of a ring, as (3, 4) on that of 5, is of one ring in any orientation."""


@dataclass(frozen=True)
class ImageQuality:
    """What is measured of one image.

    Attributes
    ----------
    percentiles
        Intensities at ``PERCENTILES``, interpolated linearly.
    mean
        Mean intensity.
    saturated_share
        Share of pixels at the greatest value of the type, where the camera counts no further.
    maximum_share
        Share of pixels at the greatest value of the image itself, CellProfiler's PercentMaximal: it finds an image that
        was clipped below the greatest value of the type.
    focus_slope
        Slope of the log power spectrum over the log frequency: the lower, the more blurred. NaN for an image in which
        it cannot be measured.
    """

    percentiles: tuple[float, ...]
    mean: float
    saturated_share: float
    maximum_share: float
    focus_slope: float


def measure_image(pixels: Pixels) -> ImageQuality:
    """Measure an image.

    Parameters
    ----------
    pixels
        16-bit intensities, shape (height, width).
    """
    return ImageQuality(
        percentiles=tuple(np.percentile(pixels, PERCENTILES).tolist()),
        mean=float(pixels.mean()),
        saturated_share=float(np.mean(pixels == np.iinfo(pixels.dtype).max)),
        maximum_share=float(np.mean(pixels == pixels.max())),
        focus_slope=focus_slope(pixels),
    )


def focus_slope(pixels: npt.NDArray[np.generic]) -> float:
    """Give the slope of the log power spectrum over the log frequency, by least squares.

    The power is the mean over rings one cycle wide, from one cycle an image to an eighth of a cycle a pixel: the range
    of CellProfiler's PowerLogLogSlope, which sums over its rings, so that its slope is greater by about 1. It does not
    depend on brightness or contrast. Natural images have a slope near -2 (Field 1987); blur lowers it.

    Returns
    -------
    float
        NaN for an image with a ring without power, such as a constant one, and for one with a side of less than 24
        pixels, which has fewer than two rings.
    """
    power = radial_power(pixels)
    if len(power) < 2 or not power.all():
        return float("nan")
    log_frequency = np.log(np.arange(1, len(power) + 1) + 0.5)
    return float(np.polyfit(log_frequency, np.log(power), 1)[0])


def radial_power(pixels: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
    """Give the mean power of each ring of frequencies, from 1 to 2 cycles an image on.

    Frequencies are in cycles along the shorter side, so that the rings of an image that is not square are round.

    Returns
    -------
    ndarray
        Shape (n_rings,), those that lie below ``_HIGHEST_FREQUENCY``.
    """
    height, width = pixels.shape
    side = min(height, width)
    n_rings = max(int(side * _HIGHEST_FREQUENCY) - 1, 0)
    # The spectrum of a real image is symmetric: half of its columns hold it, and of these the lowest are looked at.
    n_columns = int(width * _HIGHEST_FREQUENCY) + 1
    rows = fft.rfft(pixels - pixels.mean(dtype=np.float64), axis=1)[:, :n_columns]
    power = np.abs(fft.fft(rows, axis=0)) ** 2
    frequency = np.hypot(fft.fftfreq(height)[:, np.newaxis], np.arange(n_columns) / width)
    ring = (frequency * side + _ROUNDING).astype(np.intp)
    mirrored = np.broadcast_to(np.where(np.arange(n_columns) > 0, 2.0, 1.0), ring.shape)
    seen = ring <= n_rings
    sums, counts = (
        np.bincount(ring[seen], values[seen], minlength=n_rings + 1) for values in (power * mirrored, mirrored)
    )
    return sums[1:] / counts[1:]
