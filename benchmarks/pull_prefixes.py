"""Pulling a prefix of small objects, and one of large ones: ours against every peer.

Belongs here: these rows. Does not belong here: the clients (``pull_clients``).

Each peer, and ours, is at its best of 4, 8 and 16 workers; ours at its default, too. All take turns, in every round.
"""

from collections.abc import Iterator
from functools import partial

from benchmarks.pull_clients import OURS, PEERS, WORKERS, missing_peers
from benchmarks.pull_rows import Bench, Group, Row, row
from benchmarks.pull_runs import Clock, Runs, fastest, in_rounds, whole_seconds, work_seconds
from benchmarks.pull_served import served

_OURS = "ours"
_AT_DEFAULT, _WHOLE = ", ours at its default", ", whole processes"
FORMS = ("", _AT_DEFAULT, _WHOLE)
Entry = tuple[str, int | None]
"""A client and its number of workers; None is its default."""


def groups(bench: Bench) -> list[Group]:
    """Give the rows of small and of large objects."""
    sizes = bench.sizes
    return [
        _group(bench, "small", sizes.small, sizes.small_mb),
        _group(bench, "large", sizes.large, sizes.large_mb),
    ]


def _group(bench: Bench, prefix: str, count: int, megabytes: float) -> Group:
    peers = [name for name in PEERS if name not in missing_peers()]
    names = tuple(f"pull {prefix} vs {peer}{form}" for peer in peers for form in FORMS)
    return Group(names, partial(_measure, bench, prefix, count, megabytes))


def _measure(bench: Bench, prefix: str, count: int, megabytes: float, chosen: frozenset[str]) -> Iterator[Row]:
    rows = {
        f"pull {prefix} vs {peer}{form}": (peer, form)
        for peer in PEERS
        for form in FORMS
        if f"pull {prefix} vs {peer}{form}" in chosen
    }
    clients = {_OURS: OURS, **{peer: PEERS[peer] for peer, _ in rows.values()}}
    entries: list[Entry] = [(client, workers) for client in clients for workers in WORKERS] + [(_OURS, None)]
    with served(bench.folder / "served", prefix, count, megabytes) as expected:
        bench.listing(prefix)
        pulls = {entry: partial(bench.pull, clients[entry[0]], prefix, entry[1], expected) for entry in entries}
        found = in_rounds(pulls, bench.rounds)
    for name, (peer, form) in rows.items():
        yield _row(name, found, peer, form, count * megabytes)


def _row(name: str, found: dict[Entry, Runs], peer: str, form: str, megabytes: float) -> Row:
    clock = whole_seconds if form == _WHOLE else work_seconds
    theirs = fastest(found, [entry for entry in found if entry[0] == peer])
    own = fastest(found, [entry for entry in found if entry[0] == _OURS and entry[1] is not None])
    ours = (_OURS, None) if form == _AT_DEFAULT else own
    note = f"ours {_rate(found, ours, clock, megabytes)}, peer {_rate(found, theirs, clock, megabytes)}"
    return row(name, found[ours], found[theirs], note=note, clock=clock)


def _rate(found: dict[Entry, Runs], entry: Entry, clock: Clock, megabytes: float) -> str:
    workers = "default" if entry[1] is None else f"{entry[1]} workers"
    return f"{megabytes / found[entry].median(clock):,.0f} MB/s ({workers})"
