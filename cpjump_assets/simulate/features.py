"""The planted features: which columns a simulated profile has, and how each behaves.

Belongs here: names, kinds, blocks and measurement scales, one row per feature. Does not belong here: values
(``profiles``), or what the platform makes of the features (``science.feature_selection``).
"""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pandas as pd

from cpjump_assets.science.blocklist import BLOCKLIST
from cpjump_assets.science.plates import MAIN_PLATES
from cpjump_assets.simulate.config import SimulationConfig, Size
from cpjump_assets.simulate.feature_names import channel_of, feature_names
from cpjump_assets.simulate.randomness import generator

KINDS: Mapping[str, str] = MappingProxyType(
    {
        "informative": "carries the effects of reagents; kept by feature selection",
        "noise": "replicate noise and nothing else; kept",
        "correlated": "follows its parent with r = 0.98: all but one of a block are dropped by the correlation rule",
        "anticorrelated": "follows its parent with r = -0.98: kept, because the correlation rule is signed",
        "constant": "one value everywhere: zero MAD; dropped by the variance rule",
        "near_constant": "one value in 97 % of the wells, a second in the others: zero MAD; dropped likewise",
        "zero_mad": "a floor in 80 % of the wells, continuous above it: zero MAD on every plate; dropped likewise",
        "collapsed": "informative, but at a floor in 80 % of the wells of one plate: zero MAD there, values elsewhere",
        "missing": "informative, but without a value in 20 % of the wells: dropped by the NaN rule",
        "sparsely_missing": "informative, but without a value in 0.5 % of the wells: too few for the NaN rule",
        "blocklisted": "informative, with a name of the published blocklist",
    }
)
"""What each kind of feature is, and what feature selection over the batch is expected to do with it."""
LIKE_INFORMATIVE = ("informative", "collapsed", "missing", "sparsely_missing", "blocklisted")
"""Kinds whose values, where they have one, carry the effects of reagents."""

_COPIES_PER_BLOCK = 3
# Typical value per measurement, and the spread between wells as a share of it: so small that values stay positive.
_TYPICAL = {
    "AreaShape": 400.0,
    "Correlation": 0.5,
    "Granularity": 5.0,
    "Intensity": 0.05,
    "RadialDistribution": 0.3,
    "Texture": 2.0,
}
_SPREAD = 0.04


def plant_features(size: Size, seed: int, config: SimulationConfig) -> pd.DataFrame:
    """Choose the features of a simulated gallery.

    Returns
    -------
    DataFrame
        ``size.n_features`` rows in the order of the columns of a profile (by name): ``feature``, ``kind`` (one of
        ``KINDS``), ``parent`` (the feature that a correlated or anticorrelated one follows), ``channel`` (Mito, AGP,
        RNA, ER, DNA or missing), ``collapsed_plate`` (barcode), ``location`` and ``scale`` (typical value and standard
        deviation, in the unit of the measurement).

    Raises
    ------
    ValueError
        If there are too few features for one of each kind, or more than CellProfiler has names for.
    """
    rng = generator(seed, "features")
    kinds = _kinds(size.n_features, config.feature_shares)
    n_blocklisted = kinds.count("blocklisted")
    others = [name for name in feature_names() if name not in BLOCKLIST]
    names = [
        *rng.choice(others, size=len(kinds) - n_blocklisted, replace=False),
        *rng.choice(sorted(BLOCKLIST), size=n_blocklisted, replace=False),
    ]
    table = pd.DataFrame({"feature": names, "kind": kinds}).sort_values("feature", ignore_index=True)
    typical = table["feature"].str.split("_").str[1].map(_TYPICAL)
    location: pd.Series = typical * np.exp(rng.normal(0.0, 0.7, len(table)))
    return table.assign(
        parent=_parents(rng, table),
        channel=pd.Series([channel_of(name) for name in table["feature"]], dtype="str"),
        collapsed_plate=_collapsed_plates(rng, table["kind"]),
        location=location,
        scale=_SPREAD * location,
    )


def _kinds(n_features: int, shares: Mapping[str, float]) -> list[str]:
    """Give one kind per feature, the blocklisted ones last."""
    counts = {kind: max(1, round(share * n_features)) for kind, share in shares.items() if share > 0}
    if "blocklisted" in counts:
        counts["blocklisted"] = min(counts["blocklisted"], len(BLOCKLIST))
    n_informative = n_features - sum(counts.values())
    n_names = len(feature_names())
    if n_informative < 1 or n_features > n_names:
        raise ValueError(f"{n_features} features: expected 20 to {n_names}, enough for one of each kind")
    blocklisted = ["blocklisted"] * counts.pop("blocklisted", 0)
    kinds = ["informative"] * n_informative + [kind for kind, n in counts.items() for _ in range(n)]
    return kinds + blocklisted


def _parents(rng: np.random.Generator, table: pd.DataFrame) -> pd.Series:
    """Give correlated features parents, about three to a parent, and each anticorrelated one a parent of its own."""
    candidates = table.loc[table["kind"].isin(["informative", "noise"]), "feature"].to_numpy()
    parents = pd.Series(np.nan, index=table.index, dtype="str")
    correlated, anticorrelated = table["kind"] == "correlated", table["kind"] == "anticorrelated"
    n_blocks = min(len(candidates), max(1, int(correlated.sum()) // _COPIES_PER_BLOCK))
    heads = rng.choice(candidates, size=n_blocks, replace=False)
    parents[correlated] = rng.choice(heads, size=int(correlated.sum()))
    parents[anticorrelated] = rng.choice(candidates, size=int(anticorrelated.sum()), replace=False)
    return parents


def _collapsed_plates(rng: np.random.Generator, kinds: pd.Series) -> pd.Series:
    plates = pd.Series(np.nan, index=kinds.index, dtype="str")
    collapsed = kinds == "collapsed"
    plates[collapsed] = rng.choice([plate.barcode for plate in MAIN_PLATES], size=int(collapsed.sum()))
    return plates
