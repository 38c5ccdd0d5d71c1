"""The benchmark of 2024, ours against copairs: the same arrays, in one run, each on one core.

Belongs here: the rows, and which implementation is run on what. Does not belong here: what is measured
(``cpjump_assets.science``), the calls of either side (``own``, ``peers``), or when they agree (``agreement``).

Layout and labels are real, profiles are drawn (``layout``). Both are timed from arrays in memory to calls, with every
null computed anew, each in a process of its own, so that peak memory is that of one implementation; copairs finds an
empty cache in each. Where a row does not name a mode, ours is ``paper_2024``.
``python -m benchmarks.retrieval [--rows sister] [--reference FOLDER] [--json]``.
"""

import argparse
import json
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import own, peers
from benchmarks.agreement import Arbiter, arbiter, same_queries
from benchmarks.definition import Condition, MatchingCell, condition_of, matching_cells
from benchmarks.layout import chosen_reference, real_layout, synthetic_profiles
from benchmarks.processes import Measured, in_fresh_process, one_thread, processor_seconds
from cpjump_assets.science.class_scores import MetricMode
from cpjump_assets.science.tasks import GENE_COMPOUND, MATCHING_TASKS, SISTER_COMPOUNDS, SISTER_GUIDES

ONE_CONDITION = Condition("Compound", "A549", 24)
_MATCHING_PARTS = ((SISTER_COMPOUNDS, SISTER_GUIDES), (GENE_COMPOUND,))


@dataclass(frozen=True)
class Row:
    """One comparison: the median of several runs of ours, one run of the peer, the peak memory of each process."""

    name: str
    ours_s: float
    peer_s: float
    ratio: float
    agrees: bool
    ours_mb: int
    peer_mb: int


@dataclass(frozen=True)
class Workload:
    """Wells and profiles, and the folder in which each measured process finds them."""

    folder: Path
    layout: pd.DataFrame
    X: np.ndarray

    @classmethod
    def save(cls, folder: Path, layout: pd.DataFrame, X: np.ndarray) -> "Workload":
        """Write a workload into a new folder."""
        folder.mkdir()
        layout.to_parquet(folder / "layout.parquet")
        np.save(folder / "profiles.npy", X)
        return cls(folder, layout, X)

    @classmethod
    def load(cls, folder: Path) -> "Workload":
        """Read what ``save`` wrote."""
        return cls(folder, pd.read_parquet(folder / "layout.parquet"), np.load(folder / "profiles.npy"))

    def cells(self, detected: pd.DataFrame, tasks: Iterable[str]) -> list[MatchingCell]:
        """Give the cells of some matching tasks."""
        return [cell for cell in matching_cells(self.layout, self.X, detected) if cell.task in tasks]


def _our_detection(folder: Path) -> tuple[float, peers.Answers]:
    work = Workload.load(folder)
    return own.detection(work.layout, work.X)


def _our_matching(folder: Path, detected: pd.DataFrame, tasks: tuple[str, ...]) -> tuple[float, peers.Answers]:
    work = Workload.load(folder)
    return own.matching(work.layout, work.X, detected, tasks)


def _our_benchmark(folder: Path, mode: MetricMode) -> tuple[float, peers.Answers]:
    work = Workload.load(folder)
    return own.everything(work.layout, work.X, mode)


def _their_detection(folder: Path) -> tuple[float, peers.Answers]:
    work = Workload.load(folder)
    with tempfile.TemporaryDirectory() as cache:
        return peers.answer(peers.detection_calls(work.layout, work.X), Path(cache))


def _their_matching(folder: Path, detected: pd.DataFrame, tasks: tuple[str, ...]) -> tuple[float, peers.Answers]:
    with tempfile.TemporaryDirectory() as cache:
        return peers.answer(peers.matching_calls(Workload.load(folder).cells(detected, tasks)), Path(cache))


def _their_precisions(folder: Path, detected: pd.DataFrame) -> tuple[float, pd.DataFrame]:
    return 0.0, peers.precisions(peers.matching_calls(Workload.load(folder).cells(detected, MATCHING_TASKS)))


def _their_draws(sizes: set[tuple[int, int]]) -> tuple[float, None]:
    start = processor_seconds()
    with tempfile.TemporaryDirectory() as cache:
        peers.random_precisions(sizes, Path(cache))
    return processor_seconds() - start, None


class Comparison:
    """Makes the rows; what copairs answered for one row serves another one too."""

    def __init__(self, folder: Path, reference: Path) -> None:
        layout = real_layout(reference)
        X = synthetic_profiles(layout)
        self._work = Workload.save(folder / "all", layout, X)
        one = condition_of(layout, ONE_CONDITION).index
        self._one = Workload.save(folder / "one", layout.loc[one].reset_index(drop=True), X[one])
        self._theirs: dict[tuple[str, ...], Measured] = {}

    def rows(self) -> dict[str, Callable[[str], Row]]:
        """Give what makes each row from its name, by name."""
        sisters, gene_compound = _MATCHING_PARTS
        return {
            f"detection one condition, {_size(self._one)}": partial(self._detection, self._one),
            f"detection 12 conditions, {_size(self._work)}": partial(self._detection, self._work),
            "sister matching, 8 conditions": partial(self._matching, sisters),
            "gene-compound, 16 cells": partial(self._matching, gene_compound),
            "all, paper_2024": partial(self._all, "paper_2024"),
            "all, copairs mode": partial(self._all, "copairs"),
        }

    @cached_property
    def _detected(self) -> pd.DataFrame:
        """The perturbations that both are asked to match."""
        return own.detected(in_fresh_process(_our_detection, self._work.folder).result.classes.reset_index())

    def _detection(self, work: Workload, name: str) -> Row:
        ours = in_fresh_process(_our_detection, work.folder)
        theirs = self._their_detection(work)
        agrees = same_queries(ours.result.queries, theirs.result.queries, arbiter(work.layout, work.X))
        return _row(name, ours, [theirs], agrees=agrees)

    def _matching(self, tasks: tuple[str, ...], name: str) -> Row:
        ours = in_fresh_process(_our_matching, self._work.folder, self._detected, tasks)
        theirs = self._their_matching(tasks)
        agrees = same_queries(ours.result.queries, theirs.result.queries, self._arbiter(self._detected))
        return _row(name, ours, [theirs], agrees=agrees)

    def _all(self, mode: MetricMode, name: str) -> Row:
        """Compare everything together; each mode matches what it has itself detected.

        The peer is timed once, on what mode ``paper_2024`` detects; on what another mode detects it is asked for
        average precisions alone. A null that two parts have drawn counts once, as if they had shared a cache.
        """
        ours = in_fresh_process(_our_benchmark, self._work.folder, mode)
        theirs = [self._their_detection(self._work), *(self._their_matching(part) for part in _MATCHING_PARTS)]
        queries = [one.result.queries for one in theirs]
        detected = own.detected(ours.result.classes.reset_index())
        if set(detected["cell"] + detected["label"]) != set(self._detected["cell"] + self._detected["label"]):
            queries[1:] = [in_fresh_process(_their_precisions, self._work.folder, detected).result]
        agrees = same_queries(
            self._without_controls(ours.result.queries),
            self._without_controls(pd.concat(queries)),
            self._arbiter(detected),
        )
        twice = self._remember(("drawn twice",), partial(in_fresh_process, _their_draws, _sizes_in_two(theirs)))
        return _row(name, ours, theirs, agrees=agrees, drawn_twice_s=twice.seconds)

    def _without_controls(self, queries: pd.DataFrame) -> pd.DataFrame:
        """Leave out negative controls, which copairs asks too, and ``score_benchmark`` does not."""
        layout = self._work.layout
        controls = layout.loc[layout["Metadata_control_type"] == "negcon", "Metadata_broad_sample"]
        return queries[~queries.index.get_level_values("label").isin(controls)]

    def _their_detection(self, work: Workload) -> Measured:
        return self._remember(("detection", str(work.folder)), partial(in_fresh_process, _their_detection, work.folder))

    def _their_matching(self, tasks: tuple[str, ...]) -> Measured:
        return self._remember(
            tasks, partial(in_fresh_process, _their_matching, self._work.folder, self._detected, tasks)
        )

    def _remember(self, key: tuple[str, ...], measure: Callable[[], Measured]) -> Measured:
        if key not in self._theirs:
            self._theirs[key] = measure()
        return self._theirs[key]

    def _arbiter(self, detected: pd.DataFrame) -> Arbiter:
        return arbiter(self._work.layout, self._work.X, matching_cells(self._work.layout, self._work.X, detected))


def _sizes_in_two(parts: list[Measured]) -> set[tuple[int, int]]:
    """Give the sizes of lists, (n_positives, n_negatives), that more than one part has."""
    columns = ["n_positives", "n_negatives"]
    sizes = [part.result.queries.drop_duplicates(columns)[columns] for part in parts]
    counts = pd.concat(sizes).value_counts()
    return set(counts.index[counts > 1])


def _size(work: Workload) -> str:
    return "{:,} wells x {} features".format(*work.X.shape)


def _row(name: str, ours: Measured, theirs: list[Measured], *, agrees: bool, drawn_twice_s: float = 0.0) -> Row:
    peer_s = sum(one.seconds for one in theirs) - drawn_twice_s
    return Row(
        name,
        ours_s=round(ours.seconds, 4),
        peer_s=round(peer_s, 3),
        ratio=round(peer_s / ours.seconds, 1),
        agrees=agrees,
        ours_mb=round(ours.megabytes),
        peer_mb=round(max(one.megabytes for one in theirs)),
    )


def main(arguments: list[str] | None = None) -> None:
    """Print one line for each comparison, or with ``--json`` one object, as soon as it is known."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.retrieval", description=__doc__.splitlines()[0])
    parser.add_argument("--reference", type=Path, help="reference root with datasplits/ and metadata/")
    parser.add_argument("--rows", default="", help="only the rows whose name begins so")
    parser.add_argument("--json", action="store_true", help="one JSON object a row")
    options = parser.parse_args(arguments)
    one_thread()
    with chosen_reference(options.reference) as reference, tempfile.TemporaryDirectory() as folder:
        rows = Comparison(Path(folder), reference).rows()
        chosen = [name for name in rows if name.startswith(options.rows)]
        if not chosen:
            parser.error(f"no row begins with {options.rows!r}; there are: {', '.join(rows)}")
        for name in chosen:
            row = rows[name](name)
            print(json.dumps(asdict(row)) if options.json else _line(row), flush=True)


def _line(row: Row) -> str:
    return (
        f"{row.name:<60} ours {row.ours_s:.3f} s, {row.ours_mb} MB   copairs {row.peer_s:.2f} s,"
        f" {row.peer_mb} MB   {row.ratio:.0f} x   agrees: {row.agrees}"
    )


if __name__ == "__main__":
    main()
