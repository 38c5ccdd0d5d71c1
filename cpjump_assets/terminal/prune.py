"""How pruning looks in a terminal.

Belongs here: rich output of ``cpjump prune``. Does not belong here: what is pruned (``orchestration.pruning``).
"""

from typing import TYPE_CHECKING

from rich.console import Console

from cpjump_assets.gallery.transfer.amounts import bytes_text

if TYPE_CHECKING:
    from cpjump_assets.orchestration.needed_runs import PrunePlan
    from cpjump_assets.orchestration.pruning import PruneReport


def would_be_pruned(plan: "PrunePlan", *, days: int) -> None:
    """Say what a pruning would delete, and why it would spare the rest."""
    console = Console(highlight=False)
    console.print(f"{_runs(len(plan.deleted))} would be deleted", soft_wrap=True)
    _spared(console, plan, days=days)


def pruned(report: "PruneReport", *, swept: int, days: int) -> None:
    """Say what was deleted, and why the rest was spared."""
    console = Console(highlight=False)
    freed = f", {bytes_text(report.freed)} of files freed" if report.freed else ""
    console.print(f"{_runs(len(report.plan.deleted))} deleted with their events{freed}", soft_wrap=True)
    if swept:
        console.print(f"{_count(swept, 'file')} of no use removed from the store", soft_wrap=True)
    _spared(console, report.plan, days=days)


def _spared(console: Console, plan: "PrunePlan", *, days: int) -> None:
    if plan.young:
        console.print(f"too young: {_runs(plan.young)} of the last {days} days", soft_wrap=True)
    if plan.kept:
        console.print(f"needed, however old: {_runs(sum(plan.kept.values()))}", soft_wrap=True)
    for need, count in plan.kept.items():
        console.print(f"  {count:6,}  {need}", soft_wrap=True)


def _runs(count: int) -> str:
    return _count(count, "run")


def _count(count: int, what: str) -> str:
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"
