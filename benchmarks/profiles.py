"""Normalization and feature selection against pycytominer: the same frames, in one run, results compared.

    OMP_NUM_THREADS=1 python -m benchmarks.profiles [--json] [--features 5792]

Both sides start from a pandas frame and end with one. Prints seconds (the best of several runs for ours and for the
quick peers), the ratio, whether the results agree, and the memory that each needed on top of its input.
"""

import argparse
import gc
import json
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pycytominer import feature_select, normalize

from cpjump_assets.science.feature_selection import PYCYTOMINER_1_7, apply_selection, select_features
from cpjump_assets.science.features import Profiles, is_feature
from cpjump_assets.science.normalize import NEGCON_2024, WHOLE_PLATE_2024, NormalizeConfig, normalize_plate

WELLS, PLATES = 384, 51
OPERATIONS = ["frequency_threshold", "correlation_threshold", "drop_na_columns", "blocklist"]


@dataclass(frozen=True)
class Row:
    """One comparison; megabytes are None where the system does not tell them (not Linux)."""

    name: str
    ours_s: float
    peer_s: float
    ratio: float
    agrees: bool
    ours_mb: float | None
    peer_mb: float | None


def synthetic_profiles(plates: int, features: int, seed: int) -> pd.DataFrame:
    """Draw annotated profiles with what real ones have: correlated families, gaps, flat and few-valued features."""
    rng = np.random.default_rng(seed)
    n = plates * WELLS
    shared = rng.normal(size=(n, max(features // 10, 2)))
    families = rng.integers(0, shared.shape[1], features)
    X = shared[:, families] * rng.choice([0.7, 1.5, 4.0], features) + rng.normal(size=(n, features))
    flat, coarse, gappy = (rng.choice(features, max(features // 100, 1), replace=False) for _ in range(3))
    X[:, flat] = 1.0
    X[:, coarse] = np.round(X[:, coarse])
    X[:, gappy] = np.where(rng.random((n, gappy.size)) < 0.03, np.nan, X[:, gappy])
    well = np.arange(n) % WELLS
    metadata = pd.DataFrame(
        {
            "Metadata_Batch": "batch",
            "Metadata_Plate": [f"BR{plate:08d}" for plate in np.arange(n) // WELLS],
            "Metadata_Well": [f"{chr(65 + w // 24)}{w % 24 + 1:02d}" for w in well],
            "Metadata_control_type": pd.Series(np.where(well % 6 == 0, "negcon", ""), dtype="str").replace("", None),
        }
    )
    names = [f"{('Cells', 'Cytoplasm', 'Nuclei')[i % 3]}_Feature_{i}" for i in range(features)]
    return Profiles(metadata, X, tuple(names)).to_frame()


def measured(work: Callable[[], Any], *, repeats: int) -> tuple[Any, float, float | None]:
    """Give the result, the shortest time in seconds, and the peak memory of the last run above its start, in MB."""
    seconds, result, peak = [], None, None
    for _ in range(repeats):
        result = None
        gc.collect()
        before = _reset_peak()
        start = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - start)
        peak = None if before is None else round(_status("VmHWM") - before, 1)
    return result, min(seconds), peak


def _reset_peak() -> float | None:
    if not Path("/proc/self/clear_refs").exists():
        return None
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _status(field: str) -> float:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) / 1024


def compare_normalize(features: int, reference: str, config: NormalizeConfig) -> Row:
    """Normalize one plate with both; where ours says *no spread*, the peer must have no number either."""
    frame = synthetic_profiles(1, features, seed=1)
    samples = "all" if config.reference == "whole_plate" else "Metadata_control_type == 'negcon'"
    values = [column for column in frame if is_feature(column)]

    def ours() -> tuple[pd.DataFrame, pd.DataFrame]:
        plate = normalize_plate(Profiles.from_frame(frame), config)
        return plate.profiles.to_frame(), plate.report

    def peer() -> pd.DataFrame:
        return normalize(frame, method="mad_robustize", samples=samples, mad_robustize_epsilon=config.epsilon)

    (found, report), ours_s, ours_mb = measured(ours, repeats=15)
    expected, peer_s, peer_mb = measured(peer, repeats=2)
    usable = report["usable"].to_numpy()
    agrees = np.allclose(found[values].loc[:, usable], expected[values].loc[:, usable], rtol=1e-10, equal_nan=True)
    agrees &= not np.isfinite(expected[values].loc[:, ~usable].to_numpy()).any()
    agrees &= bool(found[values].loc[:, ~usable].isna().to_numpy().all())
    name = f"normalize plate {WELLS} x {features:,}, {reference}"
    return Row(name, ours_s, peer_s, peer_s / ours_s, bool(agrees), ours_mb, peer_mb)


def compare_select(plates: int, features: int) -> Row:
    """Select features with both, four rules; agreement is that of the four rules, before ours for remaining gaps."""
    frame = synthetic_profiles(plates, features, seed=2)
    values = [column for column in frame if is_feature(column)]

    def ours() -> pd.DataFrame:
        profiles = Profiles.from_frame(frame)
        table = select_features(profiles, PYCYTOMINER_1_7)
        apply_selection(profiles, table).to_frame()
        return table

    def peer() -> pd.DataFrame:
        return feature_select(frame, features=values, operation=OPERATIONS)

    table, ours_s, ours_mb = measured(ours, repeats=3)
    expected, peer_s, peer_mb = measured(peer, repeats=1)
    kept = table.loc[table["kept"] | (table["dropped_by"] == "remaining_nan"), "feature"]
    agrees = set(kept) == {column for column in expected if is_feature(column)}
    name = f"select {'plate' if plates == 1 else 'batch'} {plates * WELLS:,} x {features:,}"
    return Row(name, ours_s, peer_s, peer_s / ours_s, agrees, ours_mb, peer_mb)


def main() -> None:
    """Run the comparisons, and print each as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object a row")
    parser.add_argument(
        "--features",
        type=int,
        default=5792,
        help="of the plate to select from; pycytominer needs 4 GB and a minute for 5792",
    )
    arguments = parser.parse_args()
    comparisons = [
        partial(compare_normalize, 5792, "negative controls", NEGCON_2024),
        partial(compare_normalize, 5792, "whole plate", WHOLE_PLATE_2024),
        partial(compare_select, 1, arguments.features),
        partial(compare_select, PLATES, 300),
    ]
    # A process each: what one comparison leaves in the allocator must not show in the memory of the next.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        for row in pool.map(_run, comparisons):
            print(json.dumps(asdict(row)) if arguments.json else _line(row), flush=True)


def _run(compare: Callable[[], Row]) -> Row:
    return compare()


def _line(row: Row) -> str:
    megabytes = "" if row.ours_mb is None else f"   {row.ours_mb:,.0f} MB / {row.peer_mb:,.0f} MB"
    verdict = "agrees" if row.agrees else "DIFFERS"
    return f"{row.name:<50} {row.ours_s:8.3f} s / {row.peer_s:8.2f} s = {row.ratio:6.0f} x   {verdict}{megabytes}"


if __name__ == "__main__":
    main()
