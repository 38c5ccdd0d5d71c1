"""How pulls look in a terminal: the plan, a bar while bytes come, and the sums.

Belongs here: rich output of ``cpjump pull``. Does not belong here: what the numbers are (``gallery.transfer``).

Tables fit a terminal of 80 columns. Keys come from outside, and are printed as they are, never read as markup.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Lock

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID
from rich.table import Column, Table
from rich.text import Text

from cpjump_assets.gallery.transfer import progress
from cpjump_assets.gallery.transfer.amounts import bytes_text, left_text, objects_text, rate_text, seconds_text
from cpjump_assets.gallery.transfer.plan import PullPlan
from cpjump_assets.gallery.transfer.report import PullReport

_NAMED = 20
"""Keys that a remark names."""
_NAMED_PLATES = 4
_A_SECOND = 4
"""Times that the bar is drawn anew in a second."""


def plan_table(plans: Mapping[str, PullPlan], whole: PullPlan, *, title: str, budget: int) -> None:
    """Print what a pull would bring, by plate or batch, and whether it may.

    Parameters
    ----------
    plans
        By plate key or batch.
    whole
        Of all of them together.
    title
        What would be pulled from where.
    budget
        Bytes that a pull may bring.
    """
    table = Table(title=Text(title), title_justify="left")
    table.add_column("plate", overflow="fold")
    for name in ("objects", "size", "held", "to pull", "bytes"):
        table.add_column(name, justify="right", no_wrap=True)
    there = {part: plan for part, plan in plans.items() if plan.objects}
    for part, plan in there.items():
        table.add_row(Text(part), *_cells(plan))
    if len(there) > 1:
        table.add_section()
        table.add_row("all", *_cells(whole), style="bold")
    console = Console(highlight=False)
    console.print(table)
    if len(there) < len(plans):
        lacking = [part for part in plans if part not in there]
        more = f" and {len(lacking) - _NAMED_PLATES} more" if len(lacking) > _NAMED_PLATES else ""
        console.print(f"the gallery holds none of {', '.join(lacking[:_NAMED_PLATES])}{more}", style="dim")
    if whole.changed:
        _remark(console, f"{len(whole.changed):,} of them are held in an older version", whole.changed)
    over = whole.missing_bytes > budget
    verdict = "[bold red]more than[/]" if over else "within"
    console.print(f"{bytes_text(whole.missing_bytes)} is {verdict} the budget of {bytes_text(budget)}")


def _cells(plan: PullPlan) -> tuple[str, ...]:
    return (
        f"{plan.objects:,}",
        bytes_text(plan.bytes),
        f"{plan.held_objects:,}",
        f"{len(plan.missing):,}",
        bytes_text(plan.missing_bytes) if plan.missing else "-",
    )


def pull_summary(report: PullReport, folder: object) -> None:
    """Say what came, how fast, and what a user may want to look at."""
    console = Console(highlight=False)
    if report.pulled:
        came = f"{bytes_text(report.bytes)} in {seconds_text(report.seconds)}"
        rate = rate_text(report.bytes, report.seconds)
        held = f"; {report.skipped:,} held before" if report.skipped else ""
        console.print(f"{objects_text(len(report.pulled))} pulled, {came} ({rate}){held}", soft_wrap=True)
        resumed = f", {bytes_text(report.resumed_bytes)} resumed" if report.resumed_bytes else ""
        verified = len(report.pulled) - len(report.unverified)
        unverified = f"{len(report.unverified):,} unverified"
        console.print(f"  {verified:,} verified, {unverified}, {report.retries:,} retries{resumed}")
        if report.as_released:
            console.print(f"  {report.as_released:,} with the sha256 that was released")
    else:
        console.print(f"nothing pulled; {objects_text(report.skipped)} held before")
    for keys, what in (
        (report.unverified, "unverified: the ETag says nothing about the bytes"),
        (report.not_as_released, "of the released size, and with another sha256"),
        (report.changed, "changed since the listing; the new version was pulled"),
        (report.absent, "gone since the listing"),
    ):
        if keys:
            _remark(console, f"{len(keys):,} {what}", keys)
    console.print(f"in {folder}", markup=False, soft_wrap=True)


def _remark(console: Console, what: str, keys: Sequence[str]) -> None:
    console.print(f"  [yellow]{what}[/]:")
    for key in keys[:_NAMED]:
        console.print(f"    {key}", markup=False, soft_wrap=True)
    if len(keys) > _NAMED:
        console.print(f"    and {len(keys) - _NAMED:,} more")


@contextmanager
def listing(what: str) -> Iterator[None]:
    """Show a spinner on stderr while the gallery is listed."""
    with Console(stderr=True).status(f"listing {escape(what)}"):
        yield


@contextmanager
def following_pull(verb: str = "pulled") -> Iterator[progress.Progress]:
    """Follow a pull on stderr: by a bar in a terminal, by a line every ten seconds elsewhere.

    Parameters
    ----------
    verb
        What becomes of the objects, for the lines.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield progress.LogProgress(lambda line: click.echo(line, err=True), verb=verb)
        return
    columns = (BarColumn(bar_width=None), _Objects(), _Bytes(), _Rate(), _TimeLeft(), _Retries())
    with Progress(*columns, console=console, expand=True, refresh_per_second=_A_SECOND, transient=True) as bar:
        yield _Bar(bar)


class _Bar:
    """Hands on what a pull tells to a bar."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._task: TaskID = bar.add_task("pull", visible=False, objects=0, objects_done=0, retries=0)
        self._lock = Lock()
        self._objects_done = self._retries = 0

    def begin(self, objects: int, size: int) -> None:
        """Show the bar, with its length."""
        self._bar.update(self._task, total=size, objects=objects, visible=True)

    def advance(self, count: int) -> None:
        """Move by bytes, forward or back."""
        self._bar.advance(self._task, count)

    def finish_object(self) -> None:
        """Count an object."""
        with self._lock:
            self._objects_done += 1
            self._bar.update(self._task, objects_done=self._objects_done)

    def retry(self, key: str, why: str) -> None:
        """Count a retry."""
        with self._lock:
            self._retries += 1
            self._bar.update(self._task, retries=self._retries)

    def end(self) -> None:
        """Draw it for the last time."""
        self._bar.refresh()


class _Column(ProgressColumn):
    """A text that stays on the line of the bar."""

    def get_table_column(self) -> Column:
        return Column(no_wrap=True)


class _Objects(_Column):
    def render(self, task: Task) -> Text:
        return Text(f"{task.fields['objects_done']:,}/{task.fields['objects']:,}")


class _Bytes(_Column):
    def render(self, task: Task) -> Text:
        return Text(f"{bytes_text(task.completed)} of {bytes_text(task.total or 0)}", style="progress.download")


class _Rate(_Column):
    def render(self, task: Task) -> Text:
        return Text(rate_text(task.speed or 0, 1))


class _TimeLeft(_Column):
    max_refresh = 0.5

    def render(self, task: Task) -> Text:
        left = task.time_remaining
        return Text("" if left is None or task.finished else left_text(left), style="progress.remaining")


class _Retries(_Column):
    def render(self, task: Task) -> Text:
        retries = task.fields["retries"]
        return Text(f"{retries:,} retries" if retries else "", style="yellow")
