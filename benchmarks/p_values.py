"""Our p, which is computed, against that of copairs, which is drawn: as near as drawing allows.

Belongs here: p of every query and every class of the benchmark beside what copairs' random lists say, and the calls
that differ. Does not belong here: average precisions (``agreement``), time.

Of N random lists, k are better than an observed one; k is binomial with our probability P. Its distance from N P is
given in standard deviations, z, by the arcsine transformation, which makes them equal for small and large P:
``python -m benchmarks.p_values [--rounds 2] [--reference FOLDER] [--json]``.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import own, peers
from benchmarks.definition import matching_cells
from benchmarks.layout import chosen_reference, real_layout, synthetic_profiles
from benchmarks.peers import NULL_SIZE, Answers
from benchmarks.processes import one_thread
from cpjump_assets.science.class_scores import MetricConfig, MetricMode
from cpjump_assets.science.detection import detect
from cpjump_assets.science.matching import match

THRESHOLD = 0.05
_EQUAL = 1e-6
"""copairs holds random average precisions in single precision; what is no nearer than this is greater or less."""

LARGEST_Z = 5.5
"""Drawing alone goes beyond once in 400 runs of 60,000 comparisons."""

_SIZE = ["n_positives", "n_negatives"]


@dataclass(frozen=True)
class Row:
    """How near both are; ``calls_differ`` names classes, each with both q and with z of its p."""

    name: str
    comparisons: int
    largest_z: float
    rms_z: float
    agrees: bool
    calls_differ: list[str]


def z_scores(counts: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Give how many standard deviations counts of better random lists are from what our add-one p says."""
    probability = (p * (1 + NULL_SIZE) - 1) / NULL_SIZE
    shares = (counts + 3 / 8) / (NULL_SIZE + 3 / 4), (NULL_SIZE * probability + 3 / 8) / (NULL_SIZE + 3 / 4)
    seen, expected = (np.arcsin(np.sqrt(share)) for share in shares)
    return 2 * np.sqrt(NULL_SIZE) * (seen - expected)


def better_random_lists(queries: pd.DataFrame, nulls: dict[tuple[int, int], np.ndarray]) -> np.ndarray:
    """Count, for each query, the random lists of copairs that have a greater average precision."""
    counts = np.empty(len(queries), dtype=np.int64)
    for size, places in queries.groupby(_SIZE).indices.items():
        bars = queries["average_precision"].to_numpy()[places] + _EQUAL
        counts[places] = NULL_SIZE - np.searchsorted(nulls[size], bars, side="right")
    return counts


def _ours(layout: pd.DataFrame, X: np.ndarray, mode: MetricMode, detected: pd.DataFrame | None) -> list[Answers]:
    """Give the answers of detection, and of matching what one mode detected."""
    config = MetricConfig(metric_mode=mode)
    found = detect(layout, X, config=config)
    items = own.detected(found.classes) if detected is None else detected
    return [own.named(found), own.named(match(layout, X, items, config=config))]


def compare_round(layout: pd.DataFrame, X: np.ndarray, name: str) -> Iterator[Row]:
    """Compare one set of profiles: queries by mode ``paper_2024``, classes by mode ``copairs``, on the same items."""
    by_class = _ours(layout, X, "copairs", None)
    detected = own.detected(by_class[0].classes.reset_index())
    by_query = [found.queries.dropna(subset="p_value") for found in _ours(layout, X, "paper_2024", detected)]
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        nulls = peers.random_precisions(pd.concat(by_query)[_SIZE].itertuples(index=False, name=None), cache)
        parts = (peers.detection_calls(layout, X), peers.matching_calls(matching_cells(layout, X, detected)))
        theirs = [peers.answer(calls, cache)[1] for calls in parts]
    for part, queries, classes, other in zip(("detection", "matching"), by_query, by_class, theirs, strict=True):
        z = z_scores(better_random_lists(queries, nulls), queries["p_value"].to_numpy())
        yield _row(f"{part}, queries, {name}", z, [])
        yield _compare_classes(f"{part}, classes, {name}", classes.classes, other.classes)


def _compare_classes(name: str, own_classes: pd.DataFrame, other: pd.DataFrame) -> Row:
    own_classes = own_classes[own_classes["p_value"].notna()]
    other = other.loc[own_classes.index]
    counts = other["p_value"].to_numpy() * (1 + NULL_SIZE) - 1
    z = z_scores(counts, own_classes["p_value"].to_numpy())
    differs = np.flatnonzero(own_classes["retrieved"] != (other["q_value"] < THRESHOLD))
    shown = [
        f"{' / '.join(own_classes.index[place])}: q {own_classes['q_value'].iloc[place]:.4f},"
        f" theirs {other['q_value'].iloc[place]:.4f}, z {z[place]:.1f}"
        for place in differs
    ]
    return _row(name, z, shown)


def _row(name: str, z: np.ndarray, calls_differ: list[str]) -> Row:
    largest, rms = float(np.abs(z).max()), float(np.sqrt((z**2).mean()))
    return Row(name, len(z), round(largest, 2), round(rms, 3), largest <= LARGEST_Z, calls_differ)


def main(arguments: list[str] | None = None) -> int:
    """Print one line for each kind of comparison and round, or with ``--json`` one object; 1 where a p disagrees."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.p_values", description=__doc__.splitlines()[0])
    parser.add_argument("--reference", type=Path, help="reference root with datasplits/ and metadata/")
    parser.add_argument("--rounds", type=int, default=2, help="sets of profiles; some 30,000 comparisons each")
    parser.add_argument("--json", action="store_true", help="one JSON object a row")
    options = parser.parse_args(arguments)
    one_thread()
    agree = True
    with chosen_reference(options.reference) as reference:
        layout = real_layout(reference)
        for seed in range(options.rounds):
            for row in compare_round(layout, synthetic_profiles(layout, seed=seed), f"profiles {seed}"):
                print(json.dumps(asdict(row)) if options.json else _line(row), flush=True)
                agree &= row.agrees
    return 0 if agree else 1


def _line(row: Row) -> str:
    differ = "".join(f"\n    call differs: {words}" for words in row.calls_differ)
    z = f"max |z| {row.largest_z:.2f}, rms {row.rms_z:.3f}"
    return f"{row.name:<36} {row.comparisons:>7,} p   {z}   agrees: {row.agrees}{differ}"


if __name__ == "__main__":
    sys.exit(main())
