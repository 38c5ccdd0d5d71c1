"""How far a score over some classes could be off: intervals of a share and of a mean.

Belongs here: the 95 % bootstrap intervals over classes, and how few classes are too few for a number. Does not belong
here: any score (``answers``, ``percent_scores``).
"""

import numpy as np
from scipy.special import bdtr

from cpjump_assets.science.arrays import Floats

CONFIDENCE = 0.95
FEWEST_CLASSES = 5
"""Classes that a score must have to be given a number: a share of fewer says nothing."""
_BOOTSTRAPS = 1_000
_DRAWN_AT_A_TIME = 2_000_000


def binomial_interval(n_retrieved: int, n_classes: int) -> tuple[float, float]:
    """Give the 95 % bootstrap interval of a fraction of classes, without drawing.

    Drawing classes with replacement and counting the retrieved ones among them is drawing from Binomial(n, fraction);
    so the percentiles that a bootstrap estimates are read off that distribution. As with every bootstrap, a fraction of
    0 or 1 has an interval of no width.
    """
    at_most = bdtr(np.arange(n_classes + 1), n_classes, n_retrieved / n_classes)
    tail = (1.0 - CONFIDENCE) / 2.0
    low, high = (int(np.searchsorted(at_most, share)) for share in (tail, 1.0 - tail))
    return low / n_classes, high / n_classes


def bootstrap_interval(values: Floats, *, seed: int) -> tuple[float, float]:
    """Give the 95 % percentile interval of a mean, from seeded draws of the values with replacement.

    The draws depend on the seed and the number of values alone.
    """
    rng = np.random.default_rng([seed, len(values)])
    at_a_time = max(1, _DRAWN_AT_A_TIME // len(values))
    means = [
        values[rng.integers(len(values), size=(min(at_a_time, _BOOTSTRAPS - done), len(values)))].mean(axis=1)
        for done in range(0, _BOOTSTRAPS, at_a_time)
    ]
    tail = (1.0 - CONFIDENCE) / 2.0
    low, high = np.quantile(np.concatenate(means), (tail, 1.0 - tail))
    return float(low), float(high)
