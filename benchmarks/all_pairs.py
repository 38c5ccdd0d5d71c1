"""Every well against all others: time, the share of the matrix product, memory, and what follows for 100,000 wells.

Belongs here: measuring ``cpjump_assets.science.all_pairs`` on wells of the real layout. Does not belong here: a peer;
copairs would need a table of all pairs, 200 million for 20,000 wells.

``python -m benchmarks.all_pairs [--wells 20000] [--reference FOLDER] [--json]``
"""

import argparse
import json
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.layout import chosen_reference, copies_of, real_layout, synthetic_profiles
from benchmarks.processes import in_fresh_process, median_run, one_thread, processor_seconds
from cpjump_assets.science.all_pairs import rank_against_all
from cpjump_assets.science.retrieval import NO_CLASS
from cpjump_assets.science.similarity import unit_rows
from cpjump_assets.science.tasks import CONDITION

WELLS = 20_000
EXTRAPOLATED = 100_000
PRECISIONS = ("float32", "float64")
RUNS = 3
_SIDE = 2_048


@dataclass(frozen=True)
class Row:
    """Median seconds of some runs and peak memory of the process.

    Attributes
    ----------
    product_share
        How much of the time the products alone would take: half of the n x n cosines, at the speed of one large one.
    extrapolated_s
        Seconds at ``EXTRAPOLATED`` wells, growing with the square.
    """

    name: str
    ours_s: float
    ours_mb: int
    product_share: float
    extrapolated_s: float


def wells_to_compare(reference: Path, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Take n wells of the real layout and of copies of it: classes, of which negative controls have none, and profiles.

    A class is a sample in a condition.
    """
    layout = real_layout(reference)
    layout = copies_of(layout, -(-n // len(layout))).head(n)
    classes = layout.groupby([*CONDITION, "Metadata_broad_sample"]).ngroup()
    is_control = layout["Metadata_control_type"] == "negcon"
    return classes.mask(is_control, NO_CLASS).to_numpy(), synthetic_profiles(layout)


def _rank(classes: Path, profiles: Path) -> tuple[float, float]:
    """Give the seconds of ranking, and of the products of matrices that it cannot do without."""
    unit = np.load(profiles)
    known = np.load(classes)
    seconds, _ = median_run(lambda: rank_against_all(unit, known), RUNS)
    return seconds, len(unit) ** 2 / 2 * _seconds_per_cosine(unit)


def _seconds_per_cosine(unit: np.ndarray) -> float:
    """Measure one large product, the best of some runs."""
    left, right = unit[:_SIDE], unit[-_SIDE:]
    seconds = []
    for _ in range(5):
        start = processor_seconds()
        cosines = left @ right.T
        seconds.append(processor_seconds() - start)
    return min(seconds) / cosines.size


def rows(reference: Path, n: int) -> Iterator[Row]:
    """Measure in single and in double precision, each in a process of its own."""
    classes, X = wells_to_compare(reference, n)
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "classes.npy", classes)
        for precision in PRECISIONS:
            np.save(Path(folder) / f"{precision}.npy", unit_rows(X).astype(precision))
            found = in_fresh_process(_rank, Path(folder) / "classes.npy", Path(folder) / f"{precision}.npy")
            yield Row(
                f"all pairs, {n:,} wells x {X.shape[1]} features, {precision}",
                ours_s=round(found.seconds, 3),
                ours_mb=round(found.megabytes),
                product_share=round(found.result / found.seconds, 2),
                extrapolated_s=round(found.seconds * (EXTRAPOLATED / n) ** 2, 1),
            )


def main(arguments: list[str] | None = None) -> None:
    """Print one line for each precision, or with ``--json`` one object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.all_pairs", description=__doc__.splitlines()[0])
    parser.add_argument("--reference", type=Path, help="reference root with datasplits/ and metadata/")
    parser.add_argument("--wells", type=int, default=WELLS)
    parser.add_argument("--json", action="store_true", help="one JSON object a row")
    options = parser.parse_args(arguments)
    one_thread()
    with chosen_reference(options.reference) as reference:
        for row in rows(reference, options.wells):
            print(json.dumps(asdict(row)) if options.json else _line(row), flush=True)


def _line(row: Row) -> str:
    return (
        f"{row.name:<60} {row.ours_s:.2f} s, {row.ours_mb} MB   products {row.product_share:.0%}"
        f"   {EXTRAPOLATED:,} wells, extrapolated: {row.extrapolated_s:.0f} s"
    )


if __name__ == "__main__":
    main()
