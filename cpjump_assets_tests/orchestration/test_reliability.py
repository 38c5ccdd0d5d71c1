"""A refresh that was killed, or met another one, leaves no trace once the next one has ended."""

import os
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import dagster as dg
import numpy as np
import pytest

from benchmarks.reliability import plan_kills, summarize
from benchmarks.reliability_faults import both_at_once
from benchmarks.reliability_kills import STAGES, START, Stage, Timeline, kill_at, place_of
from benchmarks.reliability_platform import Origin, Platform, Source
from benchmarks.reliability_record import Holding, Record, bad_files, torn
from benchmarks.reliability_trials import Trial, flaws_of
from cpjump_assets.build import build_defs
from cpjump_assets.orchestration import tables
from cpjump_assets.orchestration.refresh import Refresh, RefreshRequest
from cpjump_assets.simulate.writer import GALLERY
from cpjump_assets.storage.lock import in_turn
from cpjump_assets.web import open_instance, prepare_home
from cpjump_assets.web.home import OPENING
from cpjump_assets_tests.orchestration.lab import LAB_KEYS, LAB_PLATES, Lab

KILLED_IN = (START, Stage("metadata"), Stage("profiles"), Stage("batch"), Stage("reproduction"))
"""The campaign kills in all stages; those of the strategies, and the last one, come late in a refresh."""
NONE_KNOWN: frozenset[str] = frozenset()
START_SECONDS = 2.0


def _platform(lab: Lab, folder: Path | None = None) -> Platform:
    return Platform(folder or lab.settings.folder, Source(lab.gallery, lab.server))


def test_five_kills_and_a_second_refresh_leave_no_trace(refreshed_lab: Lab, tmp_path: Path) -> None:
    undisturbed, platform = _platform(refreshed_lab), _platform(refreshed_lab, tmp_path / "store")
    right, random = Holding.of(undisturbed), np.random.default_rng(0)
    with refreshed_lab.instance() as instance:
        record = Record(undisturbed, instance)
        plates = record.plates_recorded(NONE_KNOWN)
        timeline = Timeline.read(undisturbed, NONE_KNOWN, started_at=record.started_at - START_SECONDS)
    places, known = [], NONE_KNOWN
    for stage in KILLED_IN:
        assert kill_at(platform, timeline.draw(stage, random), known)
        places.append(place_of(platform, known))
        assert list(torn(platform, right)) == []
        with open_instance(platform.settings) as instance:
            known = frozenset(run.run_id for run in instance.get_runs())
    assert len({place.stage for place in places}) > 3, places

    assert both_at_once(platform, known).flaws == ()
    assert list(flaws_of(platform, right, plates, NONE_KNOWN)) == []


def test_every_kind_of_damage_is_seen(lab: Lab) -> None:
    platform = _platform(lab)
    right = Holding.of(platform)
    assert list(torn(platform, right)) == list(bad_files(platform)) == []

    made, left, pulled = (
        lab.store.path(tables.ANNOTATED_PROFILES.key(LAB_KEYS[0])),
        lab.store.root / "profiles" / "x.parquet.part",
        lab.store.gallery_folder / GALLERY.profile_key(LAB_PLATES[0]),
    )
    for path in (made, left, pulled):
        path.write_bytes(path.read_bytes()[:-1] if path.exists() else b"half")
    lab.store.remove(tables.OVERALL_SCORES.key())
    with lab.instance() as instance:
        instance.create_run_for_job(build_defs(lab.settings).resolve_job_def("metadata"))
        instance.report_runless_asset_event(
            dg.AssetMaterialization("normalized_profiles", partition=LAB_KEYS[1], tags={"dagster/data_version": "x"})
        )
        record = " ".join(Record(platform, instance).flaws())

    torn_now = " ".join(torn(platform, right))
    assert made.name in torn_now and pulled.name in torn_now
    assert "2 of" in next(right.differences(Holding.of(platform)))
    assert "run metadata is NOT_STARTED" in record
    for damaged in (f"annotated_profiles/{LAB_KEYS[0]}", f"normalized_profiles/{LAB_KEYS[1]}"):
        assert f"{damaged} is stored, and what is on record is another version" in record
    assert f"annotated_profiles {LAB_KEYS[1]} is stale" not in record
    assert f"plate_selected_profiles {LAB_KEYS[1]} is stale" in record
    bad = " ".join(bad_files(platform))
    assert left.name in bad and pulled.name in bad


def test_kills_are_spread_over_all_stages_and_drawn_from_the_seed() -> None:
    kills = plan_kills(50, np.random.default_rng(0))
    counts = [sum(kill.stage == stage for kill in kills) for stage in STAGES]
    assert sum(counts) == 50 and min(counts) == 50 // len(STAGES) and max(counts) - min(counts) == 1
    assert {kill.number for kill in kills} == set(range(50)) and len({kill.origin for kill in kills}) == 2
    assert kills == plan_kills(50, np.random.default_rng(0)) != plan_kills(50, np.random.default_rng(1))


def test_a_campaign_tells_what_it_hit_and_what_was_wrong() -> None:
    def kill(stage: Stage, *, disturbed: bool = True, flaws: tuple[str, ...] = ()) -> Trial:
        return Trial("kill -9", Origin.NOTHING, "", str(stage), None, "killed", disturbed, flaws, 1.0)

    def fault(*, disturbed: bool) -> Trial:
        return replace(kill(STAGES[2], disturbed=disturbed), disturbance="full disk")

    trials = [fault(disturbed=True), fault(disturbed=False)]
    trials += [kill(stage) for stage in STAGES[1:]] + [kill(STAGES[0], disturbed=False), kill(STAGES[1], flaws=("x",))]
    summary = summarize(trials, len(STAGES) + 1, seconds=60)
    assert summary["kills"] == len(STAGES) and summary["kills that came too late"] == 1
    assert summary["stages not hit"] == [str(STAGES[0])] and summary["kills by stage"][str(STAGES[1])] == 2
    assert summary["trials with flaws"] == 1
    assert summary["other disturbances"] == summary["other disturbances that came too late"] == 1


def test_a_run_that_was_killed_before_it_began_is_closed(lab: Lab) -> None:
    definitions = build_defs(lab.settings)
    with lab.instance() as instance:
        refresh = Refresh.of(lab.settings, definitions.resolve_job_def, instance)
        with closing(refresh.run(RefreshRequest())) as runs:
            tags = instance.get_run_by_id(next(runs).run_id).tags
        killed = instance.create_run_for_job(definitions.resolve_job_def("metadata"), tags=tags)
        assert killed.status is dg.DagsterRunStatus.NOT_STARTED
        with closing(refresh.run(RefreshRequest())) as runs:
            next(runs)
        assert instance.get_run_by_id(killed.run_id).status is dg.DagsterRunStatus.FAILURE


def test_who_opens_a_home_waits_for_who_is_making_it(lab: Lab) -> None:
    """Two that make the databases of one home at once leave them with two versions, which Dagster then refuses."""
    opened = threading.Event()

    def open_home() -> None:
        with lab.instance():
            opened.set()

    with in_turn(prepare_home(lab.settings) / OPENING):
        other = threading.Thread(target=open_home)
        other.start()
        assert not opened.wait(2)
    other.join()
    assert opened.is_set()


def test_a_home_whose_making_was_killed_holds_no_half_settings(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    (chosen := lab.settings.dagster_home / "dagster.yaml").unlink()

    def killed(_descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", killed)
    with pytest.raises(KeyboardInterrupt):
        prepare_home(lab.settings)
    assert not chosen.exists()
