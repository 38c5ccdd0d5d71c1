"""How the command line looks: progress while it works, tables when it is done.

Belongs here: rich output. Does not belong here: what the numbers are, the tables of scores (``terminal.scores``).

Tables fit a terminal of 80 columns. What comes from outside (paths, names of files, subsets and reagents) is printed as
it is, never read as markup.
"""

import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from cpjump_assets.science.aggregate import CELL_COUNT
from cpjump_assets.science.strategies import SUBSETS

if TYPE_CHECKING:
    from cpjump_assets.demo import DemoOutcome
    from cpjump_assets.science.aggregate import AggregatedPlate

_VERDICT_STYLES = {"ok": "green", "warning": "yellow", "breach": "bold red"}


@contextmanager
def following(title: str) -> Iterator[Callable[[str, bool], None]]:
    """Show a spinner, and a line with its time for each stage that ends."""
    console = Console(stderr=True)
    last = time.monotonic()

    def follow(stage: str, success: bool) -> None:
        nonlocal last
        now = time.monotonic()
        mark = "[green]✓[/]" if success else "[bold red]✗[/]"
        console.print(f"{mark} {escape(stage)} [dim]{now - last:.1f} s[/]")
        last = now

    with console.status(f"{title} is working"):
        yield follow


def manifest_summary(manifest: pd.DataFrame, path: Path) -> None:
    """Say how many wells went where."""
    console = Console()
    counts = manifest["subset"].value_counts()
    console.print(
        f"{manifest['split_strategy'].iloc[0]}: {len(manifest):,} wells, {manifest['control_policy'].iloc[0]}",
        soft_wrap=True,
    )
    for subset in SUBSETS:
        wells = manifest[manifest["subset"] == subset]
        console.print(
            f"  {subset:<9}{counts.get(subset, 0):>7,} wells, {wells['Metadata_target'].nunique():>3} targets"
        )
    console.print(f"written to {path}", markup=False, soft_wrap=True)


def aggregation_summary(aggregated: "AggregatedPlate", path: Path, *, how: str, seconds: float) -> None:
    """Say what was aggregated, and how fast."""
    console = Console()
    profiles = aggregated.profiles
    cells = int(profiles.metadata[CELL_COUNT].sum())
    console.print(
        f"{how} of {cells:,} cells: {len(profiles.metadata):,} wells, {len(profiles.features):,} features, "
        f"{seconds:.1f} s"
    )
    if aggregated.without_cells:
        console.print(f"  {len(aggregated.without_cells)} wells without cells have no row")
    console.print(f"written to {path}", markup=False, soft_wrap=True)


def audit_table(audit: pd.DataFrame, *, title: str) -> None:
    """Print a leakage audit: a line of counts for each rule, then the examples and notes of those that have any."""
    table = Table(title=Text(title), title_justify="left")
    table.add_column("rule", overflow="fold")
    for name in ("crossing", "groups", "wells"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    remarks = Table.grid(padding=(0, 2))
    for _ in ("rule", "remark"):
        remarks.add_column(overflow="fold")
    for row in audit.itertuples(index=False):
        counts = (f"{number:,}" for number in (row.groups_crossing, row.groups, row.wells_crossing))
        table.add_row(Text(row.rule), *counts, _verdict(row.verdict, promised=row.promised))
        said = [text for text in (row.examples, row.note) if isinstance(text, str)]
        if said:
            remarks.add_row(Text(row.rule), Text("; ".join(said)))
    console = Console()
    console.print(table)
    if remarks.row_count:
        console.print(Text("examples of what crosses, and notes", style="italic"), remarks, sep="\n")


def demo_summary(outcome: "DemoOutcome") -> None:
    """Print what the demo made: splits, leakage, scores beside the planted truth, time, memory and where to look."""
    from cpjump_assets.simulate.recovery import error_rates
    from cpjump_assets.terminal.scores import detection_table, direction_table, matching_table, percent_table

    console = Console()
    console.print(_splits_table(outcome))
    console.print(detection_table(outcome.scores))
    console.print(matching_table(outcome.scores))
    console.print(percent_table(outcome.percents))
    console.print(direction_table(outcome.directions))
    console.print(_recovery_table(outcome.recovery))
    rates = error_rates(outcome.recovery)
    console.print(", ".join(f"{name} {value:.1%}" for name, value in rates.items()))
    console.print(f"time {outcome.seconds:.0f} s, peak memory {outcome.peak_bytes / 1e9:.2f} GB (PSS, all processes)")
    console.print(f"tables: {outcome.folder}/store", markup=False, soft_wrap=True)
    console.print(
        f"lineage, checks and figures: {_ui_command(outcome.folder)}, then http://127.0.0.1:3000",
        markup=False,
        soft_wrap=True,
    )


def _ui_command(folder: Path) -> str:
    if folder == Path("demo"):
        return "`make dev ARGS=--demo` (or `cpjump ui --demo`)"
    return f"`cpjump ui --demo {shlex.quote(str(folder))}`"


def _verdict(verdict: str, *, promised: bool) -> str:
    return f"[{_VERDICT_STYLES[verdict]}]{verdict}[/]" + (" (promised)" if promised else "")


def _splits_table(outcome: "DemoOutcome") -> Table:
    table = Table(title="Splits, promises kept, rules that warn", title_justify="left")
    table.add_column("strategy", no_wrap=True)
    for name in (*SUBSETS, "kept", "warned"):
        table.add_column(name, justify="right", no_wrap=True)
    for strategy, manifest in outcome.subsets.items():
        audit = outcome.audits[strategy]
        promised = audit[audit["promised"]]
        kept = (promised["verdict"] == "ok").sum()
        counts = manifest["subset"].value_counts()
        table.add_row(
            strategy,
            *(f"{counts.get(subset, 0):,}" for subset in SUBSETS),
            f"[{'green' if kept == len(promised) else 'bold red'}]{kept} of {len(promised)}[/]",
            f"[yellow]{(audit['verdict'] == 'warning').sum()}[/]",
        )
    return table


def _recovery_table(recovery: pd.DataFrame) -> Table:
    table = Table(title="Planted against found: detection, all conditions", title_justify="left")
    for name in ("modality", "planted", "classes", "retrieved", "share"):
        table.add_column(name, justify="left" if name in ("modality", "planted") else "right")
    for row in recovery.itertuples(index=False):
        table.add_row(
            row.Metadata_experiment_type, row.planted, f"{row.classes}", f"{row.retrieved}", f"{row.share:.1%}"
        )
    return table
