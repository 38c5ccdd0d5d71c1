"""Profiles, ours against pycytominer and the readers of the field: the same frames and files, in one run.

Belongs here: choosing and printing rows. Does not belong here: the rows (``profile_computations``,
``profile_reading``), where a whole batch spends its time (``stages``), the layout of the store (``stored_layout``).

Each side runs in a process of its own, so that peak memory is that of one implementation and of what it imports. On one
core, seconds are those of the processor; rows that say *all cores*, and those that *load*, have seconds on the wall.
Ours is the median of several runs; so are peers that take less than a few seconds, the others run once. Where a row has
no peer or nothing that could agree, its fields are null.

    python -m benchmarks.profiles [--rows select] [--features 5792] [--large] [--json]
"""

import argparse
import json
import tempfile
from dataclasses import asdict, replace
from pathlib import Path

from benchmarks import profile_computations, profile_reading
from benchmarks.processes import one_thread
from benchmarks.profile_rows import Bench, Row, Rows, Sizes


def rows_of(bench: Bench, *, large: bool = False) -> Rows:
    """Give what makes each row from its name, by name."""
    return {**profile_computations.rows(bench), **profile_reading.rows(bench, large=large)}


def main(arguments: list[str] | None = None, sizes: Sizes | None = None) -> None:
    """Print one line for each comparison, or with ``--json`` one object, as soon as it is known."""
    sizes = sizes or Sizes()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profiles", description=__doc__.splitlines()[0])
    parser.add_argument("--rows", default="", help="only the rows whose name begins so")
    parser.add_argument(
        "--features",
        type=int,
        default=sizes.selected,
        help="of the plate to select from; pycytominer needs 4 GB and a minute for 5792",
    )
    parser.add_argument(
        "--large", action="store_true", help="also a backend of 200,000 cells: 8 GB in a temporary folder"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a row")
    options = parser.parse_args(arguments)
    one_thread()
    with tempfile.TemporaryDirectory() as folder:
        rows = rows_of(Bench(Path(folder), replace(sizes, selected=options.features)), large=options.large)
        chosen = [name for name in rows if name.startswith(options.rows)]
        if not chosen:
            parser.error(f"no row begins with {options.rows!r}; there are: {', '.join(rows)}")
        for name in chosen:
            row = rows[name](name)
            print(json.dumps(asdict(row)) if options.json else _line(row), flush=True)


def _line(row: Row) -> str:
    parts = [f"{row.name:<86} ours {row.ours_s:.3f} s, {row.ours_mb:,} MB"]
    if row.peer_s is not None:
        peak = "" if row.peer_mb is None else f", {row.peer_mb:,} MB"
        parts.append(f"peer {row.peer_s:.3f} s{peak}   {row.ratio:.1f} x")
    if row.agrees is not None:
        parts.append("agrees" if row.agrees else "DIFFERS")
    return "   ".join(parts)


if __name__ == "__main__":
    main()
