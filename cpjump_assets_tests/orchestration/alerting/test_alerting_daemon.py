"""Alerts of the real daemon, on each kind of storage: every event arrives everywhere, whatever is killed in between."""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster._core.test_utils import freeze_time

from cpjump_assets.orchestration import tables
from cpjump_assets.orchestration.alerting.keeping import InstanceKeeper
from cpjump_assets.science.strategies import GENE_COMPOUND
from cpjump_assets.settings import Settings
from cpjump_assets_tests.orchestration import leaks
from cpjump_assets_tests.orchestration.alerting.quick_definitions import FAULT, MODULE
from cpjump_assets_tests.orchestration.lab import Lab
from cpjump_assets_tests.processes import kill_group, running_daemon, wait_until
from cpjump_assets_tests.receivers import SECRET, event_keys, http_receiver, mail_receiver

CHECK = f"check:split_manifest:promise_target:{GENE_COMPOUND}"
RUN = f"run:checks_alone:{GENE_COMPOUND}"
OTHER = "check:overall_scores:overall_scores_schema"
SENSOR, ASSET = "sensor:sensor faulty", "asset:overall_scores"

_DATABASE = "of_the_daemon"


@pytest.fixture(params=["sqlite", "postgres"])
def watched(request: pytest.FixtureRequest, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """Give a refreshed lab with its history in SQLite, or with none in Postgres."""
    if request.param == "sqlite":
        return lab
    server = request.getfixturevalue("postgres")
    server.execute(f"create database {_DATABASE} owner cpjump")
    url = f"{server.url.rpartition('/')[0]}/{_DATABASE}"
    monkeypatch.setenv("CPJUMP_POSTGRES_URL", url)
    shutil.rmtree(lab.settings.dagster_home)
    return replace(lab, postgres_url=url)


def _leak(lab: Lab, strategy: str, leak: leaks.Leak) -> Callable[[], None]:
    """Let wells of the stored manifest cross, and check it; give what mends it and checks again."""
    store, key = lab.store, tables.SPLIT_MANIFEST.key(strategy)
    sound, provenance = store.read(key), store.describe(key).provenance
    store.write(key, leak(sound, store.read(tables.PERTURBATIONS.key())), provenance)
    assert not lab.check_manifest(strategy).success

    def mend() -> None:
        store.write(key, sound, provenance)
        assert lab.check_manifest(strategy).success

    return mend


def _make_scores(lab: Lab, *, days_ago: int) -> None:
    with lab.instance() as instance, freeze_time(datetime.now(UTC) - timedelta(days=days_ago)):
        instance.report_runless_asset_event(dg.AssetMaterialization(tables.OVERALL_SCORES.asset_key))


def _fail_and_recover(lab: Lab) -> None:
    """Report what somebody else found, as a program of another lab does: evaluations that belong to no run."""
    _, asset, check = OTHER.split(":")
    with lab.instance() as instance:
        for passed in (False, True):
            evaluation = dg.AssetCheckEvaluation(
                asset_key=dg.AssetKey(asset), check_name=check, passed=passed, metadata={}
            )
            instance.report_runless_asset_event(evaluation)


def _lines(lab: Lab) -> Iterator[dict]:
    path = lab.settings.folder / "alerts.jsonl"
    return map(json.loads, path.read_text().splitlines() if path.exists() else ())


def _told(lab: Lab) -> list[str]:
    return [f"{line['state']} {line['subject']['key']}" for line in _lines(lab)]


def test_nothing_is_lost_and_only_a_crash_in_the_window_repeats(watched: Lab) -> None:
    lab, fault = watched, watched.settings.folder / FAULT
    mend = _leak(lab, GENE_COMPOUND, leaks.one_modality_of_a_target)
    with http_receiver() as http, mail_receiver() as mail:
        settings = replace(lab.settings, alert_urls=(http.url, mail.url))

        def wait_for(state: str, *subjects: str) -> None:
            """Wait until the last channel has taken what the first one did, and all of these are among it."""
            wanted = {f"{state} {subject}" for subject in subjects}

            def arrived() -> bool:
                keys = {line["key"] for line in _lines(lab)}
                return wanted <= set(_told(lab)) and keys == set(http.keys) == set(mail.keys)

            wait_until(arrived, f"everybody was told that {', '.join(wanted)}")

        with running_daemon(settings, MODULE, FRESHNESS_DAEMON_INTERVAL_SECONDS="2") as daemon:
            wait_for("failed", CHECK, RUN)
            _make_scores(lab, days_ago=settings.fresh_days + 1)
            fault.touch()
            wait_for("failed", ASSET, SENSOR)
            assert set(_told(lab)).isdisjoint(f"recovered {subject}" for subject in (CHECK, RUN, ASSET, SENSOR))

            http.before_answer = lambda _: kill_group(daemon)  # it has taken the message, which is not on record
            mend()
            wait_until(lambda: daemon.poll() is not None, "the daemon is killed")
        http.before_answer = None
        repeated = set(event_keys(http.posts[-1]["message"]))

        fault.unlink()
        _make_scores(lab, days_ago=0)
        _fail_and_recover(lab)  # while nobody looks
        with running_daemon(settings, MODULE, FRESHNESS_DAEMON_INTERVAL_SECONDS="2"):
            wait_for("recovered", CHECK, RUN, ASSET, SENSOR, OTHER)

    told = _told(lab)
    assert all(told.count(f"{state} {subject}") == 1 for state in ("failed", "recovered") for subject in (CHECK, RUN))
    assert told.count(f"failed {OTHER}") == 1
    events = [line["key"] for line in _lines(lab)]
    assert Counter(events) == Counter(mail.keys) == Counter(set(events))
    assert Counter(http.keys) == Counter(events) + Counter(repeated)
    assert repeated
    _holds_what_a_reader_needs(lab, settings)


def _holds_what_a_reader_needs(lab: Lab, settings: Settings) -> None:
    (failed,) = (line for line in _lines(lab) if (line["state"], line["subject"]["key"]) == ("failed", CHECK))
    assert int(failed["numbers"]["groups crossing"]) >= 1
    assert failed["link"].startswith(f"{settings.ui_url}/runs/")
    assert "must not be used" in failed["advice"]
    (fault,) = (line for line in _lines(lab) if (line["state"], line["subject"]["key"]) == ("failed", SENSOR))
    assert fault["what"] == "sensor faulty fails: the weather is bad"
    with lab.instance() as instance:
        assert SECRET not in (InstanceKeeper(instance).load() or SECRET)
