"""How alerts look in a terminal: what is wrong, how the channels do, what became of a trial.

Belongs here: rich output of ``cpjump alerts``. Does not belong here: what is wrong (``alerts.state``), sending.

Names and sentences come from elsewhere, and are printed as they are, never read as markup.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cpjump_assets.alerts.messages import label_of
from cpjump_assets.alerts.outbox import ChannelRecord
from cpjump_assets.alerts.state import AlertState, Incident
from cpjump_assets.alerts.trial import Tried

_NAMED = 20
"""Incidents that are shown, errors before warnings, the newest first; the rest is counted."""
_LATE = timedelta(minutes=5)
"""The sensor looks every 30 seconds; after this long nobody does."""


def tried_line(tried: Tried) -> None:
    """Print what became of the trial at a channel."""
    outcome = Text("taken", style="green") if tried.reason is None else Text(f"failed: {tried.reason}", style="red")
    Console(highlight=False).print(Text(f"{tried.channel:<20} ").append_text(outcome), soft_wrap=True)


def status_tables(state: AlertState, channels: Sequence[str]) -> None:
    """Print the open incidents and the channels."""
    console = Console(highlight=False)
    console.print(_table_of_channels(state, channels))
    for name in channels:
        reason = state.channels.get(name, ChannelRecord()).reason
        if reason is not None:
            console.print(f"{name}: {reason}", markup=False, style="red", soft_wrap=True)
    incidents = sorted(
        state.incidents.values(), key=lambda incident: (incident.severity == "error", incident.since), reverse=True
    )
    if not incidents:
        console.print("\nnothing is known to be wrong", markup=False)
        return
    console.print(f"\n{len(incidents)} wrong, errors first, then the newest:", markup=False)
    for incident in incidents[:_NAMED]:
        _print_incident(console, incident)
    if len(incidents) > _NAMED:
        console.print(f"and {len(incidents) - _NAMED} more: --json shows all")


def last_look_line(looked_at: datetime | None, now: datetime) -> None:
    """Print when the daemon looked last: what is wrong since then is not known."""
    when = "nobody has looked yet" if looked_at is None else f"last look at {_minute(looked_at)} UTC"
    if looked_at is None or now - looked_at > _LATE:
        Console(highlight=False).print(Text(f"{when}; is the daemon running?", style="red"), soft_wrap=True)
    else:
        Console(highlight=False).print(Text(when))


def _table_of_channels(state: AlertState, channels: Sequence[str]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=0, show_edge=False)
    table.add_column("channel", min_width=22, no_wrap=True)
    for name in ("taken", "waiting", "given up"):
        table.add_column(name, justify="right", width=9, no_wrap=True)
    table.add_column("  last taken", width=19, no_wrap=True)
    table.add_column("state", no_wrap=True)
    for name in channels:
        record = state.channels.get(name, ChannelRecord())
        counts = (record.accepted, state.waiting_for(name), record.given_up)
        last = "  -" if record.accepted_at is None else f"  {_minute(record.accepted_at)}"
        table.add_row(Text(name), *map(str, counts), last, _condition(record))
    return table


def _condition(record: ChannelRecord) -> Text:
    if record.reason is None:
        return Text("well", style="green") if record.accepted else Text("unused")
    return Text("down", style="red") if record.next_try is not None else Text("refused one", style="yellow")


def _print_incident(console: Console, incident: Incident) -> None:
    times = "" if incident.failures == 1 else f", {incident.failures} times"
    since = _minute(datetime.fromisoformat(incident.since))
    heading = f"[{incident.severity}] {label_of(incident.subject)} since {since} UTC{times}"
    console.print(heading, markup=False, style="red" if incident.severity == "error" else "yellow", soft_wrap=True)
    for line in (incident.what, incident.link):
        if line:
            console.print(f"  {line}", markup=False, soft_wrap=True)


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"
