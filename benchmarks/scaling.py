"""Detection on more and more wells: time, memory, and whether both grow in proportion.

Belongs here: measuring detection on copies of the real layout, the table and the plot, and one run under a bound on
memory. Does not belong here: a peer (``retrieval``); copairs takes quarter of an hour for the largest of these.

A copy is a library of its own, with its own reagents and controls on its own plates, in the same twelve conditions.
``python -m benchmarks.scaling [--plot FILE] [--reference FOLDER] [--json]``
"""

import argparse
import json
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.layout import N_FEATURES, chosen_reference, copies_of, real_layout, synthetic_profiles
from benchmarks.processes import Measured, in_fresh_process, median_run, one_thread
from cpjump_assets.figures.canvas import MUTED, new_figure, to_png
from cpjump_assets.science.benchmark import score_benchmark
from cpjump_assets.science.tasks import DETECTION

COPIES = (1, 2, 4, 8)
PRECISIONS = ("float64", "float32")
BOUNDED_WELLS = 100_000
MAX_MEMORY = 10**9
RUNS = 3
_COLOURS = {"float64": "#0072B2", "float32": "#D55E00"}


@dataclass(frozen=True)
class Row:
    """Median seconds of some runs, peak memory of the process, and what the profiles themselves take in it.

    ``per_well`` is the time for a well, relative to that in the smallest layout: 1 where time grows in proportion.
    """

    name: str
    wells: int
    precision: str
    ours_s: float
    ours_mb: int
    input_mb: int
    per_well: float


def _detect(layout: Path, profiles: Path) -> tuple[float, None]:
    wells, X = pd.read_parquet(layout), np.load(profiles)
    seconds, _ = median_run(lambda: score_benchmark(wells, X, tasks=(DETECTION,), max_memory=MAX_MEMORY), RUNS)
    return seconds, None


def _measure(layout: pd.DataFrame, X: np.ndarray) -> Measured:
    with tempfile.TemporaryDirectory() as folder:
        files = Path(folder) / "layout.parquet", Path(folder) / "profiles.npy"
        layout.to_parquet(files[0])
        np.save(files[1], X)
        return in_fresh_process(_detect, *files)


def rows(reference: Path) -> Iterator[Row]:
    """Measure every size in both precisions, then the bounded run."""
    layout = real_layout(reference)
    smallest: dict[str, float] = {}
    for n in COPIES:
        wells = copies_of(layout, n)
        X = synthetic_profiles(wells)
        for precision in PRECISIONS:
            name = f"detection {len(wells):,} wells x {N_FEATURES} features, {precision}"
            yield _row(name, wells, X.astype(precision, copy=False), smallest)
    wells = copies_of(layout, -(-BOUNDED_WELLS // len(layout))).head(BOUNDED_WELLS)
    name = f"detection on {BOUNDED_WELLS:,} wells x {N_FEATURES} features, max_memory {MAX_MEMORY / 1e9:.0f} GB"
    yield _row(name, wells, synthetic_profiles(wells), smallest)


def _row(name: str, wells: pd.DataFrame, X: np.ndarray, smallest: dict[str, float]) -> Row:
    found = _measure(wells, X)
    per_well = found.seconds / len(wells)
    return Row(
        name,
        wells=len(wells),
        precision=str(X.dtype),
        ours_s=round(found.seconds, 3),
        ours_mb=round(found.megabytes),
        input_mb=round(X.nbytes / 2**20),
        per_well=round(per_well / smallest.setdefault(str(X.dtype), per_well), 2),
    )


def plot(measured: list[Row]) -> bytes:
    """Draw seconds over wells, with the memory beside each point, and what growth in proportion would be."""
    figure, panels = new_figure(5.2, 3.4)
    panel = panels[0, 0]
    for precision in PRECISIONS:
        own = [row for row in measured if row.precision == precision]
        x, y = np.array([row.wells for row in own]), np.array([row.ours_s for row in own])
        panel.plot(x, y, marker="o", color=_COLOURS[precision], label=precision)
        panel.plot(x, y[0] * x / x[0], linestyle=":", color=_COLOURS[precision])
        for row in own:
            panel.annotate(
                f"{row.ours_mb:,} MB",
                (row.wells, row.ours_s),
                (-4, 5) if precision == "float64" else (4, -10),
                textcoords="offset points",
                ha="right" if precision == "float64" else "left",
                fontsize=7,
                color=MUTED,
            )
    panel.set_xticks(x, [f"{wells:,}" for wells in x])
    panel.set_xlim(0, 1.15 * x[-1])
    panel.set_ylim(bottom=0)
    panel.set_xlabel(f"wells, {N_FEATURES} features each", fontsize=8)
    panel.set_ylabel("seconds on one core", fontsize=8)
    panel.legend(frameon=False, fontsize=8, title="dotted: in proportion", title_fontsize=7, loc="upper left")
    return to_png(figure)


def main(arguments: list[str] | None = None) -> None:
    """Print one line for each size, or with ``--json`` one object, then write the plot."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__.splitlines()[0])
    parser.add_argument("--reference", type=Path, help="reference root with datasplits/ and metadata/")
    parser.add_argument("--plot", type=Path, help="PNG to write")
    parser.add_argument("--json", action="store_true", help="one JSON object a row")
    options = parser.parse_args(arguments)
    one_thread()
    measured = []
    with chosen_reference(options.reference) as reference:
        for row in rows(reference):
            measured.append(row)
            print(json.dumps(asdict(row)) if options.json else _line(row), flush=True)
    if options.plot:
        options.plot.write_bytes(plot(measured[:-1]))


def _line(row: Row) -> str:
    return (
        f"{row.name:<66} {row.ours_s:.3f} s, {row.per_well:.2f} x per well   {row.ours_mb:,} MB,"
        f" of which input {row.input_mb}"
    )


if __name__ == "__main__":
    main()
