"""Why pulls are made as they are: the same objects, proof and files, with one thing done otherwise.

Belongs here: the rows on the reader and on the MD5. Does not belong here: peers (``pull_prefixes``), and what differs
(``pull_python``). Nothing is recorded in these; ours and the other are at their best of 4, 8 and 16 workers.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from types import MappingProxyType

from benchmarks.pull_clients import WORKERS, downloading
from benchmarks.pull_rows import Bench, Group, Row, row
from benchmarks.pull_runs import cpu_seconds, fastest, in_rounds
from benchmarks.pull_served import served

_PREFIX = "small"
_OURS = "as we do"
_OTHERS: Mapping[str, str] = MappingProxyType(
    {
        "read small by plain HTTP vs boto3's get_object": "by boto3",
        "hash small in sixteen lanes vs hashlib": "by hashlib",
    }
)
"""What is done otherwise, by the name of the row."""


def groups(bench: Bench) -> list[Group]:
    """Give these rows."""
    return [Group(tuple(_OTHERS), partial(_measure, bench))]


def _measure(bench: Bench, chosen: frozenset[str]) -> Iterator[Row]:
    ways = {name: way for name, way in _OTHERS.items() if name in chosen}
    sizes = bench.sizes
    with served(bench.folder / "served", _PREFIX, sizes.small, sizes.small_mb) as expected:
        bench.listing(_PREFIX)
        found = in_rounds(
            {
                (way, workers): partial(bench.pull, downloading(way), _PREFIX, workers, expected)
                for way in (_OURS, *ways.values())
                for workers in WORKERS
            },
            bench.rounds,
        )
    for name, way in ways.items():
        best = [fastest(found, [(each, workers) for workers in WORKERS]) for each in (_OURS, way)]
        ours, other = (found[entry] for entry in best)
        note = ", ".join(
            f"{side} {found[entry].median(cpu_seconds):.2f} s of the processor ({entry[1]} workers)"
            for side, entry in zip(("ours", "other"), best, strict=True)
        )
        yield row(name, ours, other, note=note)
