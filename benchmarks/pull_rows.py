"""What the comparisons of pulls share: a row, a group of rows, and the folder and server that all of them use.

Belongs here: what ``pull_prefixes``, ``pull_listing``, ``pull_one`` and ``pull_choices`` need. Does not belong here:
any comparison.
"""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.pull_clients import Client, Task
from benchmarks.pull_runs import Clock, Run, Runs, run, work_seconds
from benchmarks.pull_served import BUCKET, Server, Sizes, same_files
from cpjump_assets.gallery.client import gallery_client
from cpjump_assets.gallery.listing import GalleryObject, list_objects


@dataclass(frozen=True)
class Row:
    """One comparison; what a row does not have is None.

    Attributes
    ----------
    name
        What was done, and against whom.
    ours_s, peer_s
        Median seconds.
    ratio
        Of theirs to ours.
    agrees
        Whether every run of both wrote, or listed, what was served.
    ours_mb, peer_mb
        Peak memory in MB, the largest of all runs.
    note
        Workers, rates, and what else the row is about.
    """

    name: str
    ours_s: float
    peer_s: float | None
    ratio: float | None
    agrees: bool
    ours_mb: int
    peer_mb: int | None
    note: str


@dataclass(frozen=True)
class Group:
    """Rows that are measured together, because they share what is served, and take turns.

    Attributes
    ----------
    names
        Of its rows.
    measure
        Measures those of them that are asked for.
    """

    names: tuple[str, ...]
    measure: Callable[[frozenset[str]], Iterator[Row]]


@dataclass(frozen=True)
class Bench:
    """Where everything happens.

    Attributes
    ----------
    folder
        For what is served, and for what is written.
    server
        Of ``folder / "served"``.
    sizes
        How much is pulled.
    rounds
        How often everything is run.
    """

    folder: Path
    server: Server
    sizes: Sizes
    rounds: int

    @property
    def output(self) -> Path:
        """Where a client writes; it is not there when the client starts."""
        return self.folder / "written"

    def listing(self, prefix: str) -> tuple[GalleryObject, ...]:
        """List what is served below a prefix; the server knows its ETags from then on."""
        return list_objects(gallery_client(self.server.endpoint), BUCKET, f"{prefix}/")

    def pull(self, client: Client, prefix: str, workers: int | None, expected: Path) -> Run:
        """Pull a prefix once into an empty folder, compare what was written, and remove it."""
        task = Task(self.server.endpoint, prefix, self.output, workers)
        made = run(client.command(task))
        agrees = same_files(client.files(task), expected) and all_proved(made, expected)
        shutil.rmtree(self.output)
        return replace(made, agrees=agrees)


def all_proved(made: Run, expected: Path) -> bool:
    """Tell whether a run that says how many objects it proved has proved all of them."""
    count = sum(path.is_file() for path in expected.rglob("*"))
    return made.result.get("proved", count) == count


def row(name: str, ours: Runs, theirs: Runs, *, note: str, clock: Clock = work_seconds) -> Row:
    """Make a row of the medians of a clock."""
    own, other = ours.median(clock), theirs.median(clock)
    return Row(
        name,
        ours_s=round(own, 4),
        peer_s=round(other, 4),
        ratio=round(other / own, 2),
        agrees=ours.agree and theirs.agree,
        ours_mb=round(ours.megabytes),
        peer_mb=round(theirs.megabytes),
        note=note,
    )
