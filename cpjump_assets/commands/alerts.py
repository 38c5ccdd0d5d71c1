"""``cpjump alerts``: whether alerts arrive, and what is wrong now.

Belongs here: options, and the way from them to channels and state. Does not belong here: sending (``alerts``), how it
looks (``terminal.alerts``).
"""

from typing import TYPE_CHECKING

import click

from cpjump_assets.commands.exit_codes import FOUND
from cpjump_assets.settings import Settings

if TYPE_CHECKING:
    from cpjump_assets.alerts.channels import Channel


@click.group()
def alerts() -> None:
    """Try the channels of alerts, and see what is wrong.

    Alerts go to the log, to alerts.jsonl in the store, and to each address of CPJUMP_ALERT_URLS.
    """


@alerts.command()
def test() -> None:
    """Send a marked message to every channel; exit with 1 when one does not take it.

    \b
    Example:
      CPJUMP_ALERT_URLS='mailtos://user:password@example.org?to=team@example.org' cpjump alerts test
    """
    from cpjump_assets.alerts.delivery import utc_now
    from cpjump_assets.alerts.trial import trial_message, try_channels
    from cpjump_assets.terminal.alerts import tried_line

    settings = Settings.from_environment()
    failed = False
    for tried in try_channels(_channels(settings), trial_message(utc_now(), link=settings.ui_url)):
        tried_line(tried)
        failed = failed or tried.reason is not None
    if not settings.alert_urls:
        click.echo("no address is given: alerts are seen by who reads the log and the file; see CPJUMP_ALERT_URLS")
    if failed:
        raise SystemExit(FOUND)


@alerts.command()
@click.option("--json", "as_json", is_flag=True, help="Print the whole state as JSON.")
def status(as_json: bool) -> None:
    """Show what is wrong as far as it was told, how the channels do, and what waits for them.

    \b
    Example:
      cpjump alerts status
    """
    from cpjump_assets.alerts.delivery import utc_now
    from cpjump_assets.alerts.keeping import load_state
    from cpjump_assets.orchestration.alerting.collecting import Seen
    from cpjump_assets.orchestration.alerting.keeping import InstanceKeeper
    from cpjump_assets.terminal.alerts import last_look_line, status_tables
    from cpjump_assets.web import open_instance

    settings = Settings.from_environment()
    with open_instance(settings) as instance:
        state = load_state(InstanceKeeper(instance))
    if as_json:
        click.echo(state.to_text())
    else:
        status_tables(state, [channel.name for channel in _channels(settings)])
        last_look_line(Seen.from_text(state.cursor).looked_at, utc_now())


def _channels(settings: Settings) -> "tuple[Channel, ...]":
    from cpjump_assets.alerts.channels import open_channels

    return open_channels(settings.alert_urls, folder=settings.folder)
