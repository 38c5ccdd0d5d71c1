"""The sensor tells what happened once, and keeps what a channel did not take."""

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from cpjump_assets.alerts.keeping import load_state
from cpjump_assets.build import build_defs
from cpjump_assets.orchestration.alerting import telling
from cpjump_assets.orchestration.alerting.collecting import Seen
from cpjump_assets.orchestration.alerting.keeping import InstanceKeeper
from cpjump_assets.orchestration.alerting.sensor import alerts_sensor
from cpjump_assets.science.errors import StoreError
from cpjump_assets.settings import Settings
from cpjump_assets_tests.orchestration.alerting.trials import ON_SQLITE, Trials
from cpjump_assets_tests.receivers import event_keys, http_receiver

KEY = "check:manifest:sound:a"


@pytest.fixture
def platform(tmp_path: Path) -> Settings:
    return Settings(store=tmp_path / "store")


@pytest.fixture
def tick(trials: Trials) -> Callable[[Settings], str]:
    """Give a tick of the sensor with settings; it says what the sensor says."""
    repository = trials.definitions.get_repository_def()

    def once(settings: Settings) -> str:
        # A new sensor each time, as after a restart.
        with dg.build_sensor_context(instance=trials.instance, repository_def=repository) as context:
            return alerts_sensor(settings)(context).skip_message

    return once


def _told(settings: Settings) -> list[tuple[str, str]]:
    lines = (settings.folder / "alerts.jsonl").read_text().splitlines()
    return [(line["state"], line["subject"]["key"]) for line in map(json.loads, lines)]


def test_each_event_is_told_once_over_many_ticks(
    platform: Settings, trials: Trials, tick: Callable[[Settings], str]
) -> None:
    assert tick(platform) == "0 incidents are open; 0 messages wait for a channel."
    trials.check("a", broken=True)
    assert tick(platform) == "1 incidents are open; 0 messages wait for a channel."
    tick(platform)
    trials.check("a")
    tick(platform)
    tick(platform)
    assert _told(platform) == [("failed", KEY), ("recovered", KEY)]


@ON_SQLITE
def test_a_channel_that_is_down_gets_it_later_and_holds_up_nobody(
    platform: Settings, trials: Trials, tick: Callable[[Settings], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with http_receiver() as http:
        settings = replace(platform, alert_urls=(http.url,))
        http.stop()
        trials.check("a", broken=True)
        assert tick(settings) == "1 incidents are open; 1 messages wait for a channel."
        assert _told(settings) == [("failed", KEY)]
        http.start()
        monkeypatch.setattr("cpjump_assets.alerts.outbox._FIRST_WAIT", -telling.timedelta(seconds=1))
        state = load_state(InstanceKeeper(trials.instance))
        waited = {name: replace(record, next_try=None) for name, record in state.channels.items()}
        InstanceKeeper(trials.instance).save(replace(state, channels=waited).to_text())
        assert tick(settings) == "1 incidents are open; 0 messages wait for a channel."
        (post,) = http.posts
    (key,) = event_keys(post["message"])
    assert key.startswith(KEY)
    assert _told(settings) == [("failed", KEY)]


@ON_SQLITE
def test_a_crash_before_the_first_try_loses_nothing(
    platform: Settings, trials: Trials, tick: Callable[[Settings], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object, **__: object) -> None:
        raise SystemExit

    trials.check("a", broken=True)
    with monkeypatch.context() as crash, pytest.raises(SystemExit):
        crash.setattr(telling, "deliver", killed)
        tick(platform)
    assert Seen.from_text(load_state(InstanceKeeper(trials.instance)).cursor) != Seen()
    tick(platform)
    assert _told(platform) == [("failed", KEY)]


@ON_SQLITE
def test_two_ticks_at_once_do_not_send_twice(platform: Settings, trials: Trials) -> None:
    trials.check("a", broken=True)
    sensor, repository = alerts_sensor(platform), trials.definitions.get_repository_def()
    with http_receiver() as http:
        sensor = alerts_sensor(replace(platform, alert_urls=(http.url,)))
        arrived, go_on = threading.Event(), threading.Event()

        def hold(_: object) -> None:
            arrived.set()
            go_on.wait(30)

        http.before_answer = hold

        def evaluate(said: list[str]) -> None:
            with dg.build_sensor_context(instance=trials.instance, repository_def=repository) as context:
                said.append(sensor(context).skip_message)

        first: list[str] = []
        thread = threading.Thread(target=evaluate, args=(first,))
        thread.start()
        assert arrived.wait(30)
        second: list[str] = []
        evaluate(second)
        go_on.set()
        thread.join()
    assert second == ["The tick before is still sending."]
    assert first == ["1 incidents are open; 0 messages wait for a channel."]
    assert len(http.posts) == 1


@ON_SQLITE
def test_a_state_that_cannot_be_read_fails_the_tick(
    platform: Settings, trials: Trials, tick: Callable[[Settings], str]
) -> None:
    InstanceKeeper(trials.instance).save("{}{")
    with pytest.raises(StoreError, match="state of alerts cannot be read"):
        tick(platform)


def test_the_platform_has_it_turned_on() -> None:
    sensor = build_defs(Settings()).resolve_sensor_def("alerts")
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
    assert sensor.minimum_interval_seconds == 30
