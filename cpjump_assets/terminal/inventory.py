"""How the record looks in a terminal: what is held, what changed upstream, what reading again has shown.

Belongs here: rich output of ``cpjump inventory`` and ``cpjump verify``. Does not belong here: what the numbers are
(``gallery.holdings``, ``gallery.transfer.verify``).

Tables fit a terminal of 80 columns. Keys come from outside, and are printed as they are, never read as markup.
"""

from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cpjump_assets.gallery.holdings import Held, Upstream
from cpjump_assets.gallery.transfer.amounts import bytes_text, objects_text, rate_text, seconds_text
from cpjump_assets.gallery.transfer.verify import Repair, VerifyReport

_NAMED = 20
"""Keys that are named of each kind."""
_KIND_WIDTH = 15
_WIDTHS = {"objects": 9, "size": 7, "verified": 10, "unproved": 8, "gone": 7, "changed": 7, "not held": 9}
"""Columns and their widths, which fill 80 characters, and let the tables of all batches stand in line."""
_LEGEND = """
verified: day of the oldest verification; unproved: ETags that say nothing;
gone: not listed any more; changed: listed in another version; not held: listed"""
_DATE = len("2026-01-02")


def inventory_tables(held: Sequence[Held], upstream: Sequence[Upstream], *, folder: Path, gallery: str) -> None:
    """Print what is held and how the gallery differs from it, batch by batch and kind by kind."""
    console = Console(highlight=False)
    console.print(f"{_sum(held)} held in {folder}", markup=False, soft_wrap=True)
    held_parts = {(part.batch, part.kind): part for part in held}
    listed_parts = {(part.batch, part.kind): part for part in upstream}
    parts = list(dict.fromkeys([*held_parts, *listed_parts]))
    for batch in sorted({batch for batch, _ in parts}, key=lambda batch: (not batch, batch)):
        table = _table_of(batch or "of no batch")
        for part in parts:
            if part[0] == batch:
                table.add_row(part[1], *_of_held(held_parts.get(part)), *_of_upstream(listed_parts.get(part)))
        console.print(table)
    if parts:
        console.print(_LEGEND, style="dim")
    if not upstream:
        console.print("no listing of the gallery is kept: see cpjump inventory --check", soft_wrap=True)
        return
    since = _minute(min(part.listed_at for part in upstream))
    console.print(f"compared with {gallery} as listed on {since} UTC or later", markup=False, soft_wrap=True)
    _name(console, "changed there", [key for part in upstream for key in part.changed])
    _name(console, "gone from there, their files are kept", [key for part in upstream for key in part.vanished])


def _sum(held: Sequence[Held]) -> str:
    return f"{objects_text(sum(part.objects for part in held))}, {bytes_text(sum(part.bytes for part in held))},"


def _table_of(batch: str) -> Table:
    title = Text(f"\n{batch}", style="bold")
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=0, show_edge=False)
    table.add_column("kind", width=_KIND_WIDTH, no_wrap=True)
    for name, width in _WIDTHS.items():
        table.add_column(name, justify="right", width=width, no_wrap=True)
    return table


def _of_held(held: Held | None) -> tuple[str | Text, ...]:
    if held is None:
        return ("-", "", "", "", "")
    amounts = (f"{held.objects:,}", bytes_text(held.bytes), held.oldest_verification[:_DATE])
    return (*amounts, _worth_a_look(held.unverified), _worth_a_look(held.vanished))


def _of_upstream(upstream: Upstream | None) -> tuple[str | Text, ...]:
    if upstream is None:
        return ("?", "?")
    return (_worth_a_look(upstream.counts["changed"]), f"{upstream.counts['new']:,}")


def _worth_a_look(count: int) -> Text:
    return Text(f"{count:,}", style="yellow" if count else "")


def _minute(moment: str) -> str:
    return moment[: len("2026-01-02T03:04")].replace("T", " ")


def verify_summary(report: VerifyReport, *, folder: Path) -> None:
    """Say what was read and found right, and name each bad file with what was expected and found."""
    console = Console(highlight=False)
    amount = f"{bytes_text(report.bytes)} in {seconds_text(report.seconds)}, {rate_text(report.bytes, report.seconds)}"
    console.print(f"{objects_text(report.verified)} verified, {amount}, in {folder}", markup=False, soft_wrap=True)
    if report.unverified:
        console.print(
            f"  {report.unverified:,} of them as they were when pulled; nothing proves what the gallery had",
            soft_wrap=True,
        )
    if report.as_released or report.not_as_released:
        console.print(f"  {report.as_released:,} have the sha256 of the 2021 release")
    _name(console, "of the size of the 2021 release, but of another sha256: another version", report.not_as_released)
    for item in report.bad[:_NAMED]:
        verdict = Text.assemble((str(item.state), "red"), f": expected {item.expected}, found {item.found}")
        console.print(verdict, soft_wrap=True)
        console.print(f"    {item.row.key}", markup=False, soft_wrap=True)
    if report.bad:
        counts = ", ".join(f"{count:,} {state}" for state, count in sorted(report.states.items()))
        named = "" if len(report.bad) <= _NAMED else f", the first {_NAMED} are named (all with --json)"
        console.print(
            f"[bold red]{len(report.bad):,} of {objects_text(report.objects)} are bad[/]: {counts}{named}",
            soft_wrap=True,
        )


def repair_summary(repair: Repair) -> None:
    """Say what was pulled again, and name what could not be."""
    console = Console(highlight=False)
    console.print(f"{objects_text(len(repair.pulled))} pulled again", soft_wrap=True)
    _name(console, "not pulled again: the gallery has them no more, or the pull failed", repair.left)


def _name(console: Console, what: str, keys: Sequence[str]) -> None:
    if not keys:
        return
    console.print(f"  [yellow]{objects_text(len(keys))} {what}[/]:", soft_wrap=True)
    for key in keys[:_NAMED]:
        console.print(f"    {key}", markup=False, soft_wrap=True)
    if len(keys) > _NAMED:
        console.print(f"    and {len(keys) - _NAMED:,} more")
