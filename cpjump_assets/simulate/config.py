"""How large a simulated gallery is and how strong its planted effects are.

Belongs here: sizes and the knobs of the generative model, with their defaults. Does not belong here: the model itself
(``profiles``) and what it plants (``truth``, ``features``).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from cpjump_assets.science.levels import Level
from cpjump_assets.science.plates import MAIN_PLATES, PlateKey

PLATE_LEVELS: tuple[Level, ...] = ("annotated", "normalized", "normalized_whole_plate", "plate_selected")
"""Levels that a plate has by itself, beside the aggregated one."""


@dataclass(frozen=True)
class Size:
    """How much of the gallery is written.

    Parameters
    ----------
    name
        Name of the size, written to the marker object.
    n_features
        CellProfiler features per profile, at least 20, so that each kind of feature occurs.
    plates
        Plate acquisitions with profiles; the reference root always describes all 107.
    sites
        Sites per well in ``load_data.csv``.
    levels
        Levels beside the aggregated one of which the first two plates have files. ``selected`` needs all plates of a
        batch in memory.
    backends
        Those of the plates that have a single-cell backend.
    image_wells
        Wells of the first plate that have images of their first site, at most (``image_wells``).
    """

    name: str
    n_features: int
    plates: tuple[PlateKey, ...] = MAIN_PLATES
    sites: int = 1
    levels: tuple[Level, ...] = (*PLATE_LEVELS, "selected")
    backends: tuple[PlateKey, ...] = ()
    image_wells: int = 2


# The second one lacks 83 wells.
_SMALL_BACKENDS = tuple(plate for plate in MAIN_PLATES if plate.barcode in ("BR00116991", "BR00116995"))

SIZES: Mapping[str, Size] = MappingProxyType(
    {
        "small": Size("small", n_features=300, backends=_SMALL_BACKENDS, image_wells=384),
        "full": Size("full", n_features=5792, sites=9, levels=PLATE_LEVELS),
    }
)
"""``small`` for demos and tests; ``full`` with the 5,792 features and 9 sites of the real gallery, for benchmarks."""


FEATURE_SHARES: Mapping[str, float] = MappingProxyType(
    {
        "noise": 0.14,
        "correlated": 0.36,
        "anticorrelated": 0.01,
        "constant": 0.02,
        "near_constant": 0.02,
        "zero_mad": 0.02,
        "collapsed": 0.01,
        "missing": 0.02,
        "sparsely_missing": 0.01,
        "blocklisted": 0.04,
    }
)
"""Share of the features that is of each kind (``features.KINDS`` says what each is); the others are informative."""


@dataclass(frozen=True)
class SimulationConfig:
    """Knobs of the generative model. Lengths are in standard deviations of the replicate noise of one feature.

    Parameters
    ----------
    feature_shares
        Share of the features per kind; a kind with a share above 0 has at least one feature.
    n_factors
        Latent factors; a feature loads on three of them.
    factor_share
        Share of the replicate noise that the factors explain, so that features of one factor vary together.
    shared_target_share
        Share of the targets whose active reagents act in one direction, in all modalities (ORFs in the opposite one).
    active_if_shared, active_if_own
        Probability that a reagent of such a target, and of any other target, acts at all.
    modality_strength
        Factor on the strength of all reagents of a modality.
    condition_strength
        Factor on the strength on plates of a (cell line, timepoint code).
    position_effect
        Size of each of the edge, row and column effects: at the edge, and between the first and last row or column. At
        0.2 the replicates of an inactive reagent, which share their well, are still not called detected.
    plate_shift, plate_scale
        Standard deviation over features of a plate's shift, and of the logarithm of its scale.
    stain_shift, stain_gain
        What a stain anomaly does to the features of its channel: shift, and factor on all that is not measuring noise.
    """

    feature_shares: Mapping[str, float] = field(default_factory=lambda: FEATURE_SHARES)
    n_factors: int = 32
    factor_share: float = 0.3
    shared_target_share: float = 0.35
    active_if_shared: float = 0.8
    active_if_own: float = 0.35
    modality_strength: Mapping[str, float] = field(
        default_factory=lambda: MappingProxyType({"Compound": 1.0, "CRISPR": 0.9, "ORF": 0.6})
    )
    condition_strength: Mapping[tuple[str, str], float] = field(
        default_factory=lambda: MappingProxyType(
            {("A549", "low"): 0.9, ("A549", "high"): 1.0, ("U2OS", "low"): 0.95, ("U2OS", "high"): 0.85}
        )
    )
    position_effect: float = 0.2
    plate_shift: float = 0.8
    plate_scale: float = 0.15
    stain_shift: float = -3.0
    stain_gain: float = 0.8
