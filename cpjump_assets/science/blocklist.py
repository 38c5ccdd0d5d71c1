"""The features that Cell Painting profiling leaves out by convention.

Belongs here: the published blocklist (https://doi.org/10.6084/m9.figshare.10255811), 55 measures of nuclei that are
known to be noisy or redundant. Does not belong here: the rule that applies it (``feature_selection``).
"""

from itertools import permutations, product

_CHANNELS = ("AGP", "DNA", "ER", "Mito", "RNA")

BLOCKLIST: frozenset[str] = frozenset(
    [f"Nuclei_Correlation_{measure}_{a}_{b}" for measure in ("Manders", "RWC") for a, b in permutations(_CHANNELS, 2)]
    + [f"Nuclei_Granularity_{size}_{channel}" for size, channel in product((14, 15, 16), _CHANNELS)]
)
