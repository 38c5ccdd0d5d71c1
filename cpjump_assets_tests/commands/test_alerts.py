"""``cpjump alerts`` as it is called: a trial of every channel, and what is wrong now."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cpjump_assets.alerts.channels import open_channels
from cpjump_assets.alerts.delivery import deliver, utc_now
from cpjump_assets.alerts.state import AlertState
from cpjump_assets.cli import main
from cpjump_assets.orchestration.alerting.checks import SeenChecks
from cpjump_assets.orchestration.alerting.collecting import Seen
from cpjump_assets.orchestration.alerting.keeping import InstanceKeeper
from cpjump_assets.orchestration.alerting.runs import SeenRuns
from cpjump_assets.orchestration.alerting.ticks import SeenTicks
from cpjump_assets.settings import Settings
from cpjump_assets.web import open_instance
from cpjump_assets_tests.alerts.samples import CHECK, event, plate_check
from cpjump_assets_tests.processes import free_port
from cpjump_assets_tests.receivers import SECRET, http_receiver, mail_receiver


def run(store: Path, *arguments: str, urls: str = "") -> Result:
    """Call ``cpjump alerts`` in a terminal of 80 columns."""
    environment = {"CPJUMP_STORE": str(store), "CPJUMP_ALERT_URLS": urls, "DAGSTER_HOME": "", "COLUMNS": "80"}
    return CliRunner().invoke(main, ["alerts", *arguments], env=environment, prog_name="cpjump")


def keep(settings: Settings, state: AlertState) -> None:
    """Put a state where the sensor keeps it."""
    with open_instance(settings) as instance:
        InstanceKeeper(instance).save(state.to_text())


def test_a_trial_reaches_every_channel_and_is_marked(tmp_path: Path) -> None:
    with http_receiver() as webhook, mail_receiver() as mailbox:
        result = run(tmp_path, "test", urls=f"{webhook.url},{mailbox.url}")
        assert result.exit_code == 0, result.output
        assert [line.split()[1] for line in result.stdout.splitlines()] == ["taken"] * 4
        (post,) = webhook.posts
        assert post["title"].startswith("CPJUMP1 test: ")
        assert "Nothing is wrong" in post["message"]
        (key,) = webhook.keys
        assert mailbox.keys == [key]
        assert json.loads((tmp_path / "alerts.jsonl").read_text())["key"] == key
        assert json.loads((tmp_path / "alerts.jsonl").read_text())["subject"]["kind"] == "test"


def test_a_channel_that_fails_is_named_and_does_not_stop_the_others(tmp_path: Path) -> None:
    with http_receiver() as webhook:
        urls = f"json://127.0.0.1:{free_port()}/{SECRET},nope://{SECRET},{webhook.url}"
        result = run(tmp_path, "test", urls=urls)
        assert result.exit_code == 1
        assert [line.split()[1].rstrip(":") for line in result.stdout.splitlines()] == [
            *("taken", "taken"),
            *("failed", "failed"),
            "taken",
        ]
        assert len(webhook.posts) == 1
        assert SECRET not in result.output


def test_without_an_address_it_says_who_would_see_an_alert(tmp_path: Path) -> None:
    result = run(tmp_path, "test")
    assert result.exit_code == 0
    assert "no address is given" in result.stdout


def test_status_of_a_platform_without_alerts(tmp_path: Path) -> None:
    result = run(tmp_path, "status")
    assert result.exit_code == 0, result.output
    assert "nothing is known to be wrong" in result.stdout
    assert result.stdout.count("unused") == 2
    assert "nobody has looked yet; is the daemon running?" in result.stdout


@pytest.mark.parametrize(("minutes", "asked"), [(0, False), (10, True)])
def test_status_says_when_the_daemon_looked(tmp_path: Path, minutes: int, asked: bool) -> None:
    looked_at = utc_now() - timedelta(minutes=minutes)
    seen = Seen(SeenChecks(), SeenRuns(), SeenTicks(looked_at.timestamp()))
    keep(Settings(store=tmp_path), AlertState(cursor=seen.to_text()))
    result = run(tmp_path, "status")
    assert f"last look at {looked_at:%Y-%m-%d %H:%M} UTC" in result.stdout
    assert ("is the daemon running?" in result.stdout) is asked


@pytest.fixture
def troubled(tmp_path: Path) -> tuple[Settings, str]:
    """Give a platform with incidents, a webhook that is down, and the webhook's name."""
    settings = Settings(store=tmp_path, alert_urls=(f"json://127.0.0.1:{free_port()}/{SECRET}",))
    channels = open_channels(settings.alert_urls, folder=settings.folder)
    quality = [event(plate_check(number), minute=1 + number, severity="warning") for number in range(21)]
    odd = replace(event(minute=0), what="Expected [bold]384[/bold] wells.")
    state = AlertState().receive([*quality, odd, event(minute=31)], "5")
    keep(settings, deliver(state, channels, save=lambda state: None))
    return settings, channels[-1].name


def test_status_shows_what_is_wrong_and_which_channel_is_down(troubled: tuple[Settings, str]) -> None:
    settings, webhook = troubled
    result = run(settings.folder, "status", urls=settings.alert_urls[0])
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    (row,) = [line for line in lines if line.startswith(webhook) and "down" in line]
    assert row.split()[1:4] == ["0", "1", "0"], "taken, waiting, given up"
    assert f"{webhook}: A Connection error occurred sending JSON notification to ***." in lines
    assert "22 wrong, errors first, then the newest:" in lines
    assert f"[error] {CHECK.name} ({CHECK.partition}) since 2026-03-02 04:00 UTC, 2 times" in lines
    assert "  Expected [bold]384[/bold] wells." in lines
    assert "and 2 more: --json shows all" in lines
    assert max(len(line) for line in lines if line.startswith(("channel", "log", webhook + " "))) <= 80
    assert SECRET not in result.output


def test_status_as_json_is_the_whole_state(troubled: tuple[Settings, str]) -> None:
    settings, webhook = troubled
    result = run(settings.folder, "status", "--json", urls=settings.alert_urls[0])
    state = AlertState.from_text(result.stdout)
    assert len(state.incidents) == 22
    assert state.cursor == "5"
    assert state.waiting_for(webhook) == 1
    next_try = state.channels[webhook].next_try
    assert next_try is not None and next_try - utc_now() < timedelta(seconds=31)
    assert SECRET not in result.output


def test_a_state_of_another_version_is_one_line(tmp_path: Path) -> None:
    with open_instance(Settings(store=tmp_path)) as instance:
        InstanceKeeper(instance).save('{"version": 2}')
    result = run(tmp_path, "status")
    assert result.exit_code == 2
    assert result.stderr.startswith("cpjump: the state of alerts cannot be read: version")
