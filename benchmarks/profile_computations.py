"""Normalizing, selecting, correlating and sphering: ours against pycytominer on the same frames.

Belongs here: these rows, and when results agree. Does not belong here: the calls (``profile_own``,
``profile_pycytominer``), and what reads files (``profile_reading``).
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import profile_own
from benchmarks.processes import Measured
from benchmarks.profile_inputs import WELLS, Drawn, feature_names, five_digits, save
from benchmarks.profile_rows import RUNS, Bench, Row, Rows, alone, row
from cpjump_assets.science.normalize import NormalizeConfig
from cpjump_assets.science.spherize import SpherizeConfig
from cpjump_assets.storage.store import TableKey

NEGATIVE_CONTROLS, WHOLE_PLATE = NormalizeConfig("negcon"), NormalizeConfig("whole_plate")
FIVE_DIGITS = NormalizeConfig("negcon", digits=5)
SPHERIZE = SpherizeConfig()
_EQUAL = 1e-9
"""Relative difference up to which two values count as equal."""
_EQUAL_SPHERED = 1e-6
"""The same after a singular value decomposition, relative to the largest value of the feature."""


def rows(bench: Bench) -> Rows:
    """Give what makes each row from its name, by name."""
    sizes = bench.sizes
    plate = f"normalize plate {WELLS} x {sizes.features:,}"
    wells, correlate = WELLS * sizes.plates, f"x {sizes.features:,}"
    return {
        f"{plate}, negative controls": partial(_normalize, bench, NEGATIVE_CONTROLS),
        f"{plate}, whole plate": partial(_normalize, bench, WHOLE_PLATE),
        f"{plate}, negative controls, five digits": partial(_normalize, bench, FIVE_DIGITS),
        f"select plate {WELLS} x {sizes.selected:,}": partial(_select, bench, 1, sizes.selected),
        f"select batch {wells:,} x {sizes.batch_features:,}": partial(
            _select, bench, sizes.plates, sizes.batch_features
        ),
        f"correlate batch {wells:,} {correlate}, peer extrapolated from {sizes.correlated:,} features": partial(
            _correlate, bench
        ),
        f"correlate batch {2 * wells:,} {correlate}, ours alone": partial(_correlate_twice_as_many, bench),
        f"spherize batch {wells:,} x {sizes.sphered:,}": partial(_spherize, bench),
    }


def _normalize(bench: Bench, config: NormalizeConfig, name: str) -> Row:
    from benchmarks import profile_pycytominer

    saved = bench.remember("plate", partial(_save_plate, bench))
    ours = bench.on_frame(partial(profile_own.normalized, config=config), saved, RUNS)
    theirs = bench.on_frame(partial(profile_pycytominer.normalized, config=config), saved, 3)
    return row(name, ours, theirs, agrees=same_normalized(*ours.result, theirs.result))


def _save_plate(bench: Bench) -> Path:
    return save(bench.folder / "plate", five_digits(Drawn.of(bench.sizes.features, seed=1).plate(0)))


def _select(bench: Bench, plates: int, features: int, name: str) -> Row:
    from benchmarks import profile_pycytominer

    saved = save(bench.folder / f"select-{plates}-{features}", Drawn.of(features, seed=2).batch(plates))
    ours = bench.on_frame(profile_own.selected, saved, 5)
    theirs = bench.on_frame(profile_pycytominer.selected, saved, 1)
    return row(name, ours, theirs, agrees=kept_by_four_rules(ours.result) == theirs.result)


def _correlate(bench: Bench, name: str) -> Row:
    """Extrapolate the peer's time with the square of the number of features, for which it has as many products.

    That is the least it can take: it also looks each correlated pair up in a list of all features. Agreement is that on
    the features that it is timed on.
    """
    from benchmarks import profile_pycytominer

    sizes = bench.sizes
    some = Drawn.of(sizes.correlated, seed=3)
    keys = some.store(bench.folder / "correlate", sizes.plates)
    same = bench.on_one_core(partial(profile_own.correlated, bench.folder / "correlate", keys))
    theirs = bench.on_frame(
        profile_pycytominer.correlated, save(bench.folder / "correlate" / "frame", some.batch(sizes.plates)), 1
    )
    ours = _correlated(bench, sizes.plates)
    extrapolated = theirs._replace(seconds=theirs.seconds * (sizes.features / sizes.correlated) ** 2)
    made = row(name, ours, extrapolated, agrees=bool(same.result) and same.result == theirs.result)
    return replace(made, peer_mb=None)


def _correlate_twice_as_many(bench: Bench, name: str) -> Row:
    return alone(name, _correlated(bench, 2 * bench.sizes.plates))


def _correlated(bench: Bench, plates: int) -> Measured:
    store, keys = stored_plates(bench, plates)
    return bench.on_one_core(partial(profile_own.correlated, store, keys))


def stored_plates(bench: Bench, plates: int) -> tuple[Path, list[TableKey]]:
    """Write normalized plates into a store of their own, once."""
    folder = bench.folder / f"store-{plates}"
    return folder, bench.remember(
        f"store {plates}", lambda: Drawn.of(bench.sizes.features, seed=3).store(folder, plates)
    )


def _spherize(bench: Bench, name: str) -> Row:
    from benchmarks import profile_pycytominer

    drawn = Drawn.of(bench.sizes.sphered, seed=4, odd=False)
    saved = save(bench.folder / "spherize", drawn.batch(bench.sizes.plates))
    ours = bench.on_frame(partial(profile_own.sphered, config=SPHERIZE), saved, 3)
    theirs = bench.on_frame(partial(profile_pycytominer.sphered, config=SPHERIZE), saved, 1)
    return row(name, ours, theirs, agrees=same_sphered(ours.result, theirs.result))


def same_normalized(found: pd.DataFrame, report: pd.DataFrame, expected: pd.DataFrame) -> bool:
    """Compare all values; where ours says *no spread*, and has none, the peer must have no number either."""
    values, usable = feature_names(found), report["usable"].to_numpy()
    ours, theirs = found[values].to_numpy(), expected[values].to_numpy()
    return bool(
        np.allclose(ours[:, usable], theirs[:, usable], rtol=_EQUAL, atol=0, equal_nan=True)
        and np.isnan(ours[:, ~usable]).all()
        and not np.isfinite(theirs[:, ~usable]).any()
    )


def kept_by_four_rules(selection: pd.DataFrame) -> set[str]:
    """Name what the four rules of the field keep, before ours for what is missing then."""
    kept = selection["kept"] | (selection["dropped_by"] == "remaining_nan")
    return set(selection.loc[kept, "feature"])


def same_sphered(found: pd.DataFrame, expected: pd.DataFrame) -> bool:
    """Compare all values; those near zero are sums that cancel, and equal on the scale of their feature."""
    values = feature_names(found)
    ours, theirs = found[values].to_numpy(), expected[values].to_numpy()
    return bool((np.abs(ours - theirs).max(axis=0) <= _EQUAL_SPHERED * np.abs(theirs).max(axis=0)).all())
