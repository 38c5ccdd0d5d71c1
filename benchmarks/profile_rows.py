"""What the comparisons on profiles share: a row, the sizes of the inputs, and measuring a call in a process of its own.

Belongs here: what ``profile_computations`` and ``profile_reading`` both need. Does not belong here: any comparison.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.processes import Measured, in_fresh_process, median_run, wall_seconds
from benchmarks.profile_inputs import load_frame

ALL_CORES = 2
"""Cores of the rows that say *all cores*."""
RUNS = 9
"""Runs of what takes less than a second."""


@dataclass(frozen=True)
class Row:
    """One comparison: seconds, whether the results agree, the peak memory of each process in MB.

    Where there is no peer, its fields are None; so is ``agrees`` where there is nothing to compare.
    """

    name: str
    ours_s: float
    peer_s: float | None
    ratio: float | None
    agrees: bool | None
    ours_mb: int
    peer_mb: int | None


Rows = dict[str, Callable[[str], Row]]
"""What makes each row from its name, by name."""


@dataclass(frozen=True)
class Sizes:
    """How large everything is; the defaults are those of the real data.

    Attributes
    ----------
    features
        Of a plate.
    selected
        Features of the plate to select from: pycytominer takes a minute and 4 GB for 5,792.
    plates
        Of a batch.
    batch_features
        Features of the batch on which the selection of both is timed.
    correlated
        Features of the batch from which pycytominer's time for all of them is extrapolated.
    sphered
        Features of the batch that is sphered.
    cells, many_cells
        Of a plate's single-cell backend, and of the one that ``--large`` adds.
    cell_features
        Of each compartment.
    """

    features: int = 5_792
    selected: int = 5_792
    plates: int = 51
    batch_features: int = 300
    correlated: int = 600
    sphered: int = 600
    cells: int = 20_000
    many_cells: int = 200_000
    cell_features: int = 1_700


class Bench:
    """Measures calls, each in a process of its own; what is measured for one row serves another one too.

    Parameters
    ----------
    folder
        Where inputs are written.
    sizes
        How large they are.
    """

    def __init__(self, folder: Path, sizes: Sizes) -> None:
        self.folder, self.sizes = folder, sizes
        self._remembered: dict[str, Any] = {}

    def on_frame(self, call: Callable[[pd.DataFrame], Any], saved: Path, runs: int) -> Measured:
        """Call with a frame that ``profile_inputs.save`` wrote, on one core; reading it is not timed."""
        return in_fresh_process(_on_frame, call, saved, runs)

    def on_one_core(self, call: Callable[[], Any], runs: int = 1) -> Measured:
        """Take the median seconds of the processor."""
        return in_fresh_process(median_run, call, runs)

    def on_all_cores(
        self, call: Callable[[], Any], runs: int = 1, *, reduce: Callable[[Any], Any] | None = None
    ) -> Measured:
        """Take the median seconds on the wall; ``reduce`` makes a large result small, and is not timed."""
        return in_fresh_process(_reduced, call, runs, reduce, cores=ALL_CORES)

    def on_cores(self, cores: int, call: Callable[[], Any], runs: int = 1) -> Measured:
        """Measure on one core or on all."""
        return self.on_one_core(call, runs) if cores == 1 else self.on_all_cores(call, runs)

    def remember(self, key: str, make: Callable[[], Any]) -> Any:
        """Give what was made for this key before, or make it."""
        if key not in self._remembered:
            self._remembered[key] = make()
        return self._remembered[key]


def _on_frame(call: Callable[[pd.DataFrame], Any], saved: Path, runs: int) -> tuple[float, Any]:
    return median_run(partial(call, load_frame(saved)), runs)


def _reduced(call: Callable[[], Any], runs: int, reduce: Callable[[Any], Any] | None) -> tuple[float, Any]:
    seconds, result = median_run(call, runs, wall_seconds)
    return seconds, result if reduce is None else reduce(result)


def alone(name: str, ours: Measured) -> Row:
    """Make a row without a peer."""
    return Row(name, round(ours.seconds, 4), None, None, None, round(ours.megabytes), None)


def row(name: str, ours: Measured, theirs: Measured, *, agrees: bool | None) -> Row:
    """Make a row of two measurements."""
    return Row(
        name,
        ours_s=round(ours.seconds, 4),
        peer_s=round(theirs.seconds, 4),
        ratio=round(theirs.seconds / ours.seconds, 2),
        agrees=agrees,
        ours_mb=round(ours.megabytes),
        peer_mb=round(theirs.megabytes),
    )
