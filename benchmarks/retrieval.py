"""Detection, ours against copairs: the same arrays, in one run, on one core.

Belongs here: the real plate layout of CPJUMP1 with seeded synthetic features, both implementations timed from arrays in
memory to calls, with every null computed anew, and whether they agree. Does not belong here: what is being measured
(``cpjump_assets.science.detection``).

Each is measured in a process of its own, bound to one core, so that peak memory is that of one implementation:
``python -m benchmarks.retrieval [--reference FOLDER] [--json]``.
"""

import argparse
import json
import multiprocessing
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from cpjump_assets.science.detection import CONDITION, detect
from cpjump_assets.simulate.reference_files import write_invented_reference

REFERENCE = Path(__file__).resolve().parents[2] / "shared" / "data" / "cpjump1"
N_FEATURES = 600
OUR_RUNS = 9
NULL_SIZE = 100_000
ROUNDING = 4.5e-16
"""Two sums of the same terms in another order; the difference of average precisions that means equal ranks."""

ONE_CONDITION = {"Metadata_experiment_type": "Compound", "Metadata_cell_line": "A549", "Metadata_timepoint": 24}


class Measured(NamedTuple):
    """One implementation on one workload: seconds, peak memory, and average precision and counts of each well."""

    seconds: float
    megabytes: float
    wells: pd.DataFrame


def real_layout(reference: Path) -> pd.DataFrame:
    """Read the wells of the 40 primary plates from the official split table, without the empty ones."""
    table = reference / "datasplits" / "cpjump1_metadata.csv"
    if not table.is_file():
        sys.exit(f"benchmarks.retrieval: {reference} is no reference root, it has no {table.relative_to(reference)}")
    columns = ["Metadata_Plate", "Metadata_Well", "Metadata_broad_sample", "Metadata_target", "Metadata_control_type"]
    frame = pd.read_csv(table, usecols=[*CONDITION, *columns])
    frame = frame[frame["Metadata_broad_sample"] != "empty"].reset_index(drop=True)
    return frame.assign(Metadata_Batch="2020_11_04_CPJUMP1", Metadata_is_primary=True)


def synthetic_profiles(layout: pd.DataFrame) -> np.ndarray:
    """Draw profiles: noise, a shift per plate, and per reagent a direction of its own, of very different strengths."""
    rng = np.random.default_rng(20210101)
    X = rng.standard_normal((len(layout), N_FEATURES))
    plates, _ = pd.factorize(layout["Metadata_Plate"], sort=True)
    samples, names = pd.factorize(layout["Metadata_broad_sample"], sort=True)
    strengths = rng.gamma(1.0, 0.4, len(names)) * (names != "DMSO")
    X += 0.2 * rng.standard_normal((plates.max() + 1, N_FEATURES))[plates]
    X += (strengths[:, np.newaxis] * rng.standard_normal((len(names), N_FEATURES)))[samples]
    return X


def ours(layout: pd.DataFrame, X: np.ndarray) -> tuple[float, pd.DataFrame]:
    """Score wells and call classes of all conditions; the median of some runs, none of which leaves anything behind."""
    seconds = []
    for _ in range(OUR_RUNS):
        start = time.perf_counter()
        found = detect(layout, X)
        seconds.append(time.perf_counter() - start)
    wells = found.wells.set_index(["Metadata_Plate", "Metadata_Well"])
    return statistics.median(seconds), wells[["n_positives", "n_negatives", "average_precision"]]


def peer(layout: pd.DataFrame, X: np.ndarray) -> tuple[float, pd.DataFrame]:
    """Score wells and call classes of all conditions with copairs, once, with an empty cache of nulls."""
    from copairs.map import average_precision, mean_average_precision

    layout = layout.assign(negcon=layout["Metadata_control_type"] == "negcon")
    parts = []
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as cache:
        for _, condition in layout.groupby(CONDITION):
            part = average_precision(
                condition,
                X[condition.index],
                pos_sameby=["Metadata_broad_sample"],
                pos_diffby=[],
                neg_sameby=["Metadata_Plate"],
                neg_diffby=["negcon"],
                progress_bar=False,
            )
            mean_average_precision(
                part[~part["negcon"]],
                ["Metadata_broad_sample"],
                null_size=NULL_SIZE,
                threshold=0.05,
                seed=0,
                progress_bar=False,
                max_workers=1,
                cache_dir=cache,
            )
            parts.append(part)
    seconds = time.perf_counter() - start
    wells = pd.concat(parts).set_index(["Metadata_Plate", "Metadata_Well"])
    wells["n_negatives"] = wells["n_total_pairs"] - wells["n_pos_pairs"]
    wells = wells.rename(columns={"n_pos_pairs": "n_positives"})
    return seconds, wells[["n_positives", "n_negatives", "average_precision"]]


def agree(layout: pd.DataFrame, X: np.ndarray, own: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Say whether both gave every well the same lists.

    copairs rounds similarities to single precision before it ranks. A well whose average precision differs counts as
    equal if that rounding alone, done to the well's own list, gives the value of copairs.
    """
    other = other.loc[own.index]
    counts_equal = (own[["n_positives", "n_negatives"]] == other[["n_positives", "n_negatives"]]).all(axis=None)
    difference = (own["average_precision"] - other["average_precision"]).abs()
    return bool(counts_equal) and all(
        abs(_single_precision_score(layout, X, plate, well) - other.loc[(plate, well), "average_precision"]) <= ROUNDING
        for plate, well in own.index[difference > ROUNDING]
    )


def _single_precision_score(layout: pd.DataFrame, X: np.ndarray, plate: str, well: str) -> float:
    """Score one well from the definition, with similarities rounded as copairs rounds them."""
    (row,) = np.flatnonzero((layout["Metadata_Plate"] == plate) & (layout["Metadata_Well"] == well))
    here = (layout[CONDITION] == layout.loc[row, CONDITION]).all(axis=1)
    is_control = layout["Metadata_control_type"] == "negcon"
    positive = here & (layout["Metadata_broad_sample"] == layout.loc[row, "Metadata_broad_sample"])
    negative = (layout["Metadata_Plate"] == plate) & (is_control != is_control[row])
    positives = np.flatnonzero(positive & (layout.index != row))
    listed = np.concatenate([positives, np.flatnonzero(negative)])
    unit = X[row] / np.linalg.norm(X[row])
    others = X[listed] / np.linalg.norm(X[listed], axis=1)[:, np.newaxis]
    similarity = np.sum(unit * others, axis=1).astype(np.float32)
    order = np.argsort(1 - similarity, kind="stable")
    ranks = np.flatnonzero(order < len(positives)) + 1
    return float((np.arange(1, len(ranks) + 1) / ranks).mean())


def _measure(implementation: Callable, layout_file: Path, profile_file: Path) -> Measured:
    """Run one implementation; called in a fresh process."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    seconds, wells = implementation(pd.read_parquet(layout_file), np.load(profile_file))
    return Measured(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, wells)


def _in_fresh_process(implementation: Callable, layout_file: Path, profile_file: Path) -> Measured:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        return pool.submit(_measure, implementation, layout_file, profile_file).result()


def compare(name: str, layout: pd.DataFrame, X: np.ndarray) -> dict[str, object]:
    """Measure both on one workload."""
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder) / "layout.parquet", Path(folder) / "profiles.npy"
        layout.to_parquet(files[0])
        np.save(files[1], X)
        own, other = _in_fresh_process(ours, *files), _in_fresh_process(peer, *files)
    return {
        "name": f"{name}, {len(layout):,} wells x {X.shape[1]} features",
        "ours_s": round(own.seconds, 4),
        "peer_s": round(other.seconds, 3),
        "ratio": round(other.seconds / own.seconds, 1),
        "agrees": agree(layout, X, own.wells, other.wells),
        "ours_mb": round(own.megabytes),
        "peer_mb": round(other.megabytes),
    }


def run(reference: Path) -> Iterator[dict[str, object]]:
    """Measure one condition, then all twelve."""
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    layout = real_layout(reference)
    X = synthetic_profiles(layout)
    one = (layout[list(ONE_CONDITION)] == pd.Series(ONE_CONDITION)).all(axis=1)
    yield compare("detection one condition", layout[one].reset_index(drop=True), X[one])
    yield compare("detection 12 conditions", layout, X)


def main(arguments: list[str] | None = None) -> None:
    """Print one line for each workload, or with ``--json`` one object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.retrieval", description=__doc__.splitlines()[0])
    parser.add_argument("--reference", type=Path, help="reference root with datasplits/")
    parser.add_argument("--json", action="store_true", help="one JSON object a row")
    options = parser.parse_args(arguments)
    with chosen_reference(options.reference) as reference:
        for row in run(reference):
            print(json.dumps(row) if options.json else _line(row), flush=True)


def _line(row: dict[str, object]) -> str:
    return (
        f"{row['name']:<60} ours {row['ours_s']:.3f} s, {row['ours_mb']} MB   copairs {row['peer_s']:.2f} s,"
        f" {row['peer_mb']} MB   {row['ratio']:.0f} x   agrees: {row['agrees']}"
    )


@contextmanager
def chosen_reference(named: Path | None) -> Iterator[Path]:
    """Give the named reference root, else the real one beside the project, else an invented one of the same design."""
    if named is not None or REFERENCE.is_dir():
        yield named or REFERENCE
        return
    with tempfile.TemporaryDirectory() as folder:
        print(f"no real reference tables at {REFERENCE}: invented ones of the same design", file=sys.stderr)
        write_invented_reference(Path(folder), seed=0)
        yield Path(folder)


if __name__ == "__main__":
    main()
