"""One large object: what its size does to the memory, and what a killed pull asks for again.

Belongs here: these rows. Does not belong here: many objects (``pull_prefixes``).
"""

import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks.pull_clients import OURS, PEERS, Client, Task, missing_peers
from benchmarks.pull_rows import Bench, Group, Row, all_proved, row
from benchmarks.pull_runs import Run, in_rounds, kill_when, run, work_seconds
from benchmarks.pull_served import same_files, served

_SMALLER = 8
"""The object that memory is compared with is so many times smaller."""
_WORKERS = 8
_PLACES = 200
"""Places of the object that are looked at to see how much of it is there."""
_BLOCK = 64 * 1024


def groups(bench: Bench) -> list[Group]:
    """Give the rows of one object."""
    found = [Group((_memory_name(bench),), partial(_memory, bench))]
    if "sync" not in missing_peers():
        found.append(Group((_resume_name(bench),), partial(_resume, bench)))
    return found


def _memory_name(bench: Bench) -> str:
    size = bench.sizes.one_mb
    return f"memory of one object, {size:,} MB vs {size / _SMALLER:,g} MB, both ours"


def _memory(bench: Bench, chosen: frozenset[str]) -> Iterator[Row]:
    size, root = bench.sizes.one_mb, bench.folder / "served"
    with served(root, "one", 1, size) as one, served(root, "smaller", 1, size / _SMALLER) as smaller:
        bench.listing("one"), bench.listing("smaller")
        found = in_rounds(
            {folder: partial(bench.pull, OURS, folder.name, None, folder) for folder in (one, smaller)}, bench.rounds
        )
    note = f"{size / found[one].median(work_seconds):,.0f} MB/s"
    yield replace(row(_memory_name(bench), found[one], found[smaller], note=note), ratio=None)


def _resume_name(bench: Bench) -> str:
    return f"resume one object of {bench.sizes.one_mb:,} MB, killed half-way, vs sync"


def _resume(bench: Bench, chosen: frozenset[str]) -> Iterator[Row]:
    clients = {"ours": OURS, "sync": PEERS["sync"]}
    with served(bench.folder / "served", "one", 1, bench.sizes.one_mb) as expected:
        bench.listing("one")
        found = in_rounds(
            {name: partial(_kill_and_resume, bench, client, expected) for name, client in clients.items()}, bench.rounds
        )
    again = {name: max(run.result["again"] for run in found[name].runs) / 1e6 for name in clients}
    note = ", ".join(f"{name} asked again for {megabytes:,.1f} MB" for name, megabytes in again.items())
    yield row(_resume_name(bench), found["ours"], found["sync"], note=note)


def _kill_and_resume(bench: Bench, client: Client, expected: Path) -> Run:
    """Kill a pull when half of the bytes are there; run the same again, and count what it asks for twice."""
    task = Task(bench.server.endpoint, "one", bench.output, _WORKERS)
    (one,) = expected.iterdir()
    size, key = one.stat().st_size, f"{task.prefix}/{one.name}"

    def half_is_there() -> bool:
        return bytes_there(bench.output, one, look=8, every=size // _PLACES) >= size / 2

    if not kill_when(client.command(task), half_is_there):
        raise RuntimeError("the pull ended before it was killed")
    there = bytes_there(bench.output, one, look=_BLOCK, every=_BLOCK)
    bench.server.bytes_asked(key)
    made = run(client.command(task))
    again = bench.server.bytes_asked(key) - (size - there)
    agrees = same_files(client.files(task), expected) and all_proved(made, expected)
    shutil.rmtree(bench.output)
    return replace(made, agrees=agrees, result={**made.result, "again": max(again, 0)})


def bytes_there(folder: Path, one: Path, *, look: int, every: int) -> int:
    """Count the bytes of an object that are in the largest file of a folder, wherever they are in it.

    Neither the length of a file nor its blocks tell them: some clients write in pieces, some take all room at once.

    Parameters
    ----------
    look, every
        So many bytes are compared, at places so far apart.
    """
    files = [path for path in folder.rglob("*") if path.is_file()]
    if not files:
        return 0
    # It may be renamed between the search and the opening.
    with suppress(FileNotFoundError), max(files, key=_size).open("rb") as written, one.open("rb") as expected:
        there = 0
        for place in range(0, one.stat().st_size, every):
            written.seek(place)
            expected.seek(place)
            wanted = expected.read(look)
            there += min(every, one.stat().st_size - place) if written.read(look) == wanted else 0
        return there
    return 0


def _size(path: Path) -> int:
    with suppress(FileNotFoundError):
        return path.stat().st_size
    return -1
