"""Pulling objects, ours against the clients of the field: the same server, objects and folder, in one run.

Belongs here: choosing and printing rows. Does not belong here: the rows (``pull_prefixes``, ``pull_one``,
``pull_listing``, ``pull_choices``), the clients (``pull_clients``).

Every pull is a process of its own, which lists a prefix of a loopback server and writes to an empty folder in memory;
then all files are compared byte by byte with those served. Clients take turns: every one runs once a round, in a drawn
order, and the median of the rounds counts. Seconds are those on the wall: of programs (aws, s5cmd) from their start, of
clients in Python from after their imports; rows that say *whole processes* have both from their start.

    python -m benchmarks.pull [--rows "pull small"] [--rounds 5] [--json]
"""

import argparse
import json
import sys
from dataclasses import asdict

from benchmarks import pull_choices, pull_listing, pull_one, pull_prefixes
from benchmarks.pull_clients import missing_peers
from benchmarks.pull_rows import Bench, Group, Row
from benchmarks.pull_served import Server, Sizes, temporary_folder

ROUNDS = 5


def groups_of(bench: Bench) -> list[Group]:
    """Give all rows, in groups that are measured together."""
    parts = (pull_prefixes, pull_choices, pull_listing, pull_one)
    return [group for part in parts for group in part.groups(bench)]


def main(arguments: list[str] | None = None, sizes: Sizes | None = None) -> None:
    """Print one line for each comparison, or with ``--json`` one object, as soon as its group is measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pull", description=__doc__.splitlines()[0])
    parser.add_argument("--rows", default="", help="only the rows whose name begins so")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how often every client runs (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON object a row")
    options = parser.parse_args(arguments)
    for peer in missing_peers():
        print(f"{peer} is not installed (group bench of pyproject.toml): its rows are left out", file=sys.stderr)
    with temporary_folder() as folder, Server(folder / "served") as server:
        groups = groups_of(Bench(folder, server, sizes or Sizes(), options.rounds))
        names = [name for group in groups for name in group.names]
        if not any(name.startswith(options.rows) for name in names):
            parser.error(f"no row begins with {options.rows!r}; there are: {', '.join(names)}")
        for group in groups:
            chosen = frozenset(name for name in group.names if name.startswith(options.rows))
            for row in group.measure(chosen) if chosen else ():
                print(json.dumps(asdict(row)) if options.json else _line(row), flush=True)


def _line(row: Row) -> str:
    parts = [
        f"{row.name:<60} ours {row.ours_s:.3f} s, {row.ours_mb:,} MB",
        f"peer {row.peer_s:.3f} s, {row.peer_mb:,} MB",
    ]
    if row.ratio is not None:
        parts.append(f"{row.ratio:.2f} x")
    return "   ".join([*parts, "agrees" if row.agrees else "DIFFERS", row.note])


if __name__ == "__main__":
    main()
