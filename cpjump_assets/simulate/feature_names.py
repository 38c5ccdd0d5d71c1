"""CellProfiler's feature names, as they stand in the columns of a profile.

Belongs here: the names that can be built from compartments, measurements and channels. Does not belong here: which of
them a simulated gallery has and how they behave (``features``).
"""

from collections.abc import Iterator
from functools import cache
from itertools import combinations, permutations, product

from cpjump_assets.science.channels import CHANNELS, FLUORESCENCE

COMPARTMENTS = ("Cells", "Cytoplasm", "Nuclei")

_ZERNIKE = tuple(f"{n}_{m}" for n in range(10) for m in range(n % 2, n + 1, 2))
_SHAPES = [
    "Area",
    "BoundingBoxArea",
    "BoundingBoxMaximum_X",
    "BoundingBoxMaximum_Y",
    "BoundingBoxMinimum_X",
    "BoundingBoxMinimum_Y",
    "Center_X",
    "Center_Y",
    "Compactness",
    "Eccentricity",
    "EquivalentDiameter",
    "EulerNumber",
    "Extent",
    "FormFactor",
    "MajorAxisLength",
    "MaxFeretDiameter",
    "MaximumRadius",
    "MeanRadius",
    "MedianRadius",
    "MinFeretDiameter",
    "MinorAxisLength",
    "Orientation",
    "Perimeter",
    "Solidity",
]
_INTENSITIES = [
    "IntegratedIntensityEdge",
    "IntegratedIntensity",
    "LowerQuartileIntensity",
    "MADIntensity",
    "MassDisplacement",
    "MaxIntensityEdge",
    "MaxIntensity",
    "MeanIntensityEdge",
    "MeanIntensity",
    "MedianIntensity",
    "MinIntensityEdge",
    "MinIntensity",
    "StdIntensityEdge",
    "StdIntensity",
    "UpperQuartileIntensity",
]
_HARALICK = [
    "AngularSecondMoment",
    "Contrast",
    "Correlation",
    "DifferenceEntropy",
    "DifferenceVariance",
    "Entropy",
    "InfoMeas1",
    "InfoMeas2",
    "InverseDifferenceMoment",
    "SumAverage",
    "SumEntropy",
    "SumVariance",
    "Variance",
]


@cache
def feature_names() -> tuple[str, ...]:
    """Give all names that CellProfiler would give in three compartments, sorted; more than the 5,792 of the gallery."""
    return tuple(sorted(f"{place}_{measure}" for place in COMPARTMENTS for measure in _measures()))


def channel_of(feature: str) -> str | None:
    """Give the fluorescence channel that a feature measures; None for shapes, brightfield and pairs of channels."""
    found = [channel for channel in FLUORESCENCE if channel in feature.split("_")[2:]]
    return found[0] if len(found) == 1 else None


def _measures() -> Iterator[str]:
    yield from (f"AreaShape_{shape}" for shape in _SHAPES)
    yield from (f"AreaShape_Zernike_{order}" for order in _ZERNIKE)
    for measure in ("Correlation", "Overlap"):
        yield from (f"Correlation_{measure}_{a}_{b}" for a, b in combinations(sorted(FLUORESCENCE), 2))
    for measure in ("K", "Manders", "RWC"):
        yield from (f"Correlation_{measure}_{a}_{b}" for a, b in permutations(sorted(FLUORESCENCE), 2))
    for channel in CHANNELS:
        yield from (f"Granularity_{size}_{channel}" for size in range(1, 17))
        yield from (
            f"Texture_{name}_{channel}_{scale}_{angle:02d}_256"
            for name, scale, angle in product(_HARALICK, (3, 5, 10), range(4))
        )
    for channel in FLUORESCENCE:
        yield from (f"Intensity_{name}_{channel}" for name in _INTENSITIES)
        yield from (
            f"RadialDistribution_{name}_{channel}_{ring}of4"
            for name, ring in product(("FracAtD", "MeanFrac", "RadialCV"), range(1, 5))
        )
        yield from (
            f"RadialDistribution_Zernike{part}_{channel}_{order}"
            for part, order in product(("Magnitude", "Phase"), _ZERNIKE)
        )
