"""Keys of subjects: stable, and different for different things."""

import subprocess
import sys
from itertools import combinations

import pytest

from cpjump_assets.alerts.events import AlertEvent, Subject
from cpjump_assets_tests.alerts.samples import CHECK, event

ALIKE = [
    Subject("check", "a name", "manifest", "promise"),
    Subject("check", "a name", "manifest", "promise", "x"),
    Subject("check", "a name", "manifest", "promise:x"),
    Subject("check", "a name", "manifest:promise", "x"),
    Subject("asset", "a name", "manifest"),
    Subject("asset", "a name", "manifest", partition="x"),
    Subject("run", "manifest", partition="x"),
    Subject("run", "manifest"),
    Subject("run", "manifest%3Ax"),
    Subject("run", "manifest:x"),
    Subject("sensor", "manifest"),
]


def test_a_key_names_kind_asset_check_and_partition() -> None:
    assert CHECK.key == "check:split_manifest:promise_target:cpjump1_official_representation"


@pytest.mark.parametrize(("one", "other"), list(combinations(ALIKE, 2)))
def test_different_subjects_have_different_keys(one: Subject, other: Subject) -> None:
    assert one.key != other.key


def test_the_words_that_people_read_do_not_make_another_subject() -> None:
    assert Subject("check", "renamed", CHECK.asset, CHECK.check, CHECK.partition).key == CHECK.key


def test_a_check_without_its_names_is_a_programming_error() -> None:
    with pytest.raises(ValueError, match="needs the names of asset and check"):
        Subject("check", "promise_target", "split_manifest")


def test_a_time_without_an_offset_is_a_programming_error() -> None:
    given = event()
    with pytest.raises(ValueError, match="says no offset"):
        AlertEvent(**{**given.__dict__, "happened_at": "2026-03-02T04:00:00"})


def test_times_are_compared_as_times_and_not_as_text() -> None:
    given = event()  # 04:00 UTC
    assert given.happened_after("2026-03-02T05:30:00+02:00")
    assert not given.happened_after("2026-03-02T03:30:00-01:00")


def test_alerts_load_without_dagster_and_apprise() -> None:
    code = (
        "import sys, cpjump_assets.alerts.keeping, cpjump_assets.alerts.delivery, cpjump_assets.alerts.channels\n"
        "print(*sorted({'dagster', 'apprise', 'pydantic', 'requests'} & set(sys.modules)))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == ""
