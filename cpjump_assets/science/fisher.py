"""Fisher's exact test of two counts out of equally many.

Belongs here: the test of [[n - a, a], [n - b, b]] and its odds ratio. Does not belong here: what is counted
(``directionality``). ``scipy.stats`` has the test for any table, but importing it takes half a second.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

from cpjump_assets.science.arrays import Floats, Ints

_NORMAL_97_5 = 1.959963984540054


@dataclass(frozen=True)
class FisherTest:
    """What the counts say.

    Attributes
    ----------
    odds_ratio
        (n - a) b / (a (n - b)), above 1 when b is the larger; NaN where it would be 0, infinite or 0 / 0.
    odds_low, odds_high
        95 % interval by Woolf: log odds ratio +- 1.96 sqrt(1/a + 1/(n - a) + 1/b + 1/(n - b)). NaN where the ratio is.
    p
        Two-sided: the probability, given a + b, of all tables that are no more likely than this one.
    """

    odds_ratio: float
    odds_low: float
    odds_high: float
    p: float


def fisher_exact(n: int, a: int, b: int) -> FisherTest:
    """Compare a out of n with b out of n.

    Raises
    ------
    ValueError
        If a count is not between 0 and n.
    """
    if not (0 <= a <= n and 0 <= b <= n):
        raise ValueError(f"counts {a} and {b} must lie in 0 to {n}")
    cells = np.array([n - a, a, n - b, b], dtype=np.float64)
    if not cells.all():
        return FisherTest(np.nan, np.nan, np.nan, _two_sided_p(n, a, b))
    log_ratio = np.log(cells) @ [1.0, -1.0, -1.0, 1.0]
    reach = _NORMAL_97_5 * np.sqrt((1.0 / cells).sum())
    ratio, low, high = np.exp([log_ratio, log_ratio - reach, log_ratio + reach])
    return FisherTest(float(ratio), float(low), float(high), _two_sided_p(n, a, b))


def _two_sided_p(n: int, a: int, b: int) -> float:
    """Add up the hypergeometric probabilities of the tables with the margins n, n and a + b.

    As both rows hold n, the distribution is symmetric: the tables that are no more likely are the lower tail up to the
    smaller count, and its mirror image.
    """
    if a == b:
        return 1.0
    counts = np.arange(max(0, a + b - n), min(a, b) + 1)
    log_p = _log_choose(n, counts) + _log_choose(n, a + b - counts) - _log_choose(2 * n, a + b)
    return min(1.0, float(2.0 * np.exp(log_p).sum()))


def _log_choose(n: int, k: Ints | int) -> Floats:
    return gammaln(n + 1) - gammaln(np.add(k, 1)) - gammaln(np.subtract(n, k) + 1)
