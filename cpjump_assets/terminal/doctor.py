"""How the findings of ``cpjump doctor`` look in a terminal of 80 columns.

Belongs here: laying findings out, area by area, and what to do at the end. Does not belong here: what is found
(``gallery.doctor``), the other output of the command line (``terminal``).

What comes from outside (keys, paths, messages) is printed as it is, never read as markup.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from cpjump_assets.gallery.doctor.findings import Finding, Status, what_follows
from cpjump_assets.gallery.doctor.holdings import KINDS
from cpjump_assets.gallery.doctor.machine import SETTINGS
from cpjump_assets.gallery.doctor.plates import FILES, PLATES, WHOLE_BATCH, level_of
from cpjump_assets.science.plates import BATCHES

_STYLES = {Status.OK: "green", Status.WARNING: "yellow", Status.ERROR: "bold red", Status.SKIPPED: "dim"}
_MARKS = {Status.OK: "✓", Status.WARNING: "!", Status.ERROR: "✗", Status.SKIPPED: "-"}
_KINDS = [kind.name for kind in KINDS]
_HEADERS = {"load-data": "load-\ndata", "illumination": "illumi-\nnation"}
_FORMAT = ".csv.gz"
_MOST_NAMES = 3
_INDENT = (0, 0, 0, 2)


@contextmanager
def examining() -> Iterator[None]:
    """Show a spinner while the block runs."""
    with Console(stderr=True).status("cpjump doctor looks around"):
        yield


def show(findings: Sequence[Finding]) -> None:
    """Print findings area by area, then what to do, then the sum."""
    console = Console()
    for area, group in groupby(findings, key=lambda finding: finding.area):
        rows = list(group)
        unseen = {row.found for row in rows} if all(row.status is Status.SKIPPED for row in rows) else ()
        console.print(Text.assemble((area, "bold"), *((f"  not looked at, {reason}", "dim") for reason in unseen)))
        for table in () if unseen else _tables(area, rows):
            console.print(Padding(table, _INDENT))
    steps = what_follows(findings)
    if steps:
        console.print(Text("what follows", style="bold"))
        console.print(Padding(_numbered(steps), _INDENT))
    console.print(_sum(findings))


def _tables(area: str, rows: list[Finding]) -> Iterator[Table]:
    """Lay out an area: counts by batch as a table, everything else line by line."""
    if area == PLATES and any(map(_is_count, rows)):
        counts = [row for row in rows if _is_count(row)]
        yield _plates_table(counts)
        rows = [row for row in rows if not _is_count(row)]
        missing = [row for row in counts if row.names and row.found != "0"]
        if missing:
            yield _missing_table(missing)
    elif area == FILES and any(row.where for row in rows):
        yield _files_table(rows)
        rows = [row for row in rows if row.status is Status.WARNING]
    if rows:
        yield _lines(rows, area=area)


def _is_count(row: Finding) -> bool:
    return row.what in (*_KINDS, WHOLE_BATCH) and row.found.isdecimal()


def _plates_table(rows: Sequence[Finding]) -> Table:
    """Show plates found of those expected, a line for each batch."""
    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column("batch", no_wrap=True)
    for kind in _KINDS:
        table.add_column(_HEADERS.get(kind, kind), justify="right", vertical="bottom")
    for batch, group in groupby(rows, key=lambda row: row.where):
        by_kind = {row.what: row for row in group}
        cells = [by_kind.get(kind) or by_kind.get(WHOLE_BATCH) for kind in _KINDS]
        table.add_row(batch, *(_count(cell) for cell in cells))
    return table


def _count(row: Finding | None) -> Text:
    return Text("?") if row is None else Text(f"{row.found}/{row.expected}", style=_STYLES[row.status])


def _missing_table(rows: Sequence[Finding]) -> Table:
    """Name the plates that lack something which others of their batch have, or if these are fewer, name them."""
    table = _grid(3)
    for row in rows:
        there = [barcode for barcode in BATCHES[row.where] if barcode not in row.names]
        verb, names = ("lacks them of", row.names) if len(row.names) < len(there) else ("has those of", there)
        table.add_row(_mark(row.status), row.what, Text.assemble(f"{row.where} {verb} ", (_few(names), "dim")))
    return table


def _files_table(rows: Sequence[Finding]) -> Table:
    """Show how many plates have each kind of profile file, batch by batch, and the level that it is."""
    table = Table(box=None, padding=(0, 1, 0, 0))
    for name in ("suffix", "plates by batch", "level"):
        table.add_column(name.replace(" ", "\n", 1), no_wrap=True, vertical="bottom")
    table.columns[1].justify = "right"
    counts: dict[str, dict[str, str]] = {}
    for row in rows:
        counts.setdefault(row.what, {})[row.where] = row.found
    doubtful = {row.what for row in rows if row.status is not Status.OK}
    for ending, of_batch in counts.items():
        name = ending.removesuffix(_FORMAT) or "(none)"
        plates = " ".join(of_batch.get(batch, "-") for batch in BATCHES)
        table.add_row(Text(name), plates, level_of(ending) or "-", style="yellow" if ending in doubtful else None)
    return table


def _lines(rows: Sequence[Finding], *, area: str) -> Table:
    """Show a line for each finding: its mark, what it is of, and what was found."""
    if area == SETTINGS:
        table = _grid(4)
        for row in rows:
            table.add_row(_mark(row.status), row.what, Text(row.where, style="dim"), Text(row.found))
        return table
    table = _grid(3)
    for row in rows:
        if row.status is not Status.SKIPPED:
            table.add_row(_mark(row.status), row.what, _said(row))
    unseen: dict[str, list[str]] = {}
    for row in rows:
        if row.status is Status.SKIPPED:
            unseen.setdefault(row.found, []).append(row.what)
    for reason, names in unseen.items():
        table.add_row(_mark(Status.SKIPPED), "not looked at", Text(f"{', '.join(names)}: {reason}", style="dim"))
    return table


def _grid(columns: int) -> Table:
    """Make a table without lines; only its last column is folded."""
    table = Table.grid(padding=(0, 1, 0, 0))
    for _ in range(columns - 1):
        table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    return table


def _mark(status: Status) -> Text:
    return Text(_MARKS[status], style=_STYLES[status])


def _said(row: Finding) -> Text:
    said = Text("" if not row.where or row.where in row.found else f"{row.where}: ")
    said.append(row.found)
    if row.expected:
        said.append(f" (expected: {row.expected})", style="dim")
    if row.names:
        said.append(f": {_few(row.names)}", style="dim")
    return said


def _few(names: Sequence[str]) -> str:
    """Name the first few of some things, without their folders, and count the rest."""
    first = ", ".join(name.rpartition("/")[2] for name in names[:_MOST_NAMES])
    rest = len(names) - _MOST_NAMES
    return first + (f" and {rest:,} more" if rest > 0 else "")


def _numbered(steps: Mapping[str, Status]) -> Table:
    table = _grid(3)
    table.columns[0].justify = "right"
    for number, (advice, status) in enumerate(steps.items(), start=1):
        mark = Text(" ") if status is Status.OK else _mark(status)
        table.add_row(f"{number}.", mark, Text(advice))
    return table


def _sum(findings: Sequence[Finding]) -> Text:
    count = Counter(finding.status for finding in findings)
    style, verdict = (_STYLES[Status.ERROR], "not ready") if count[Status.ERROR] else (_STYLES[Status.OK], "ready")
    told = [_counted(count[Status.ERROR], "error"), _counted(count[Status.WARNING], "warning")]
    told.append(f"{count[Status.OK]} in order")
    if count[Status.SKIPPED]:
        told.append(f"{count[Status.SKIPPED]} not looked at")
    return Text.assemble((verdict, style), f": {', '.join(told)}")


def _counted(number: int, name: str) -> str:
    return f"{number} {name}" if number == 1 else f"{number} {name}s"
