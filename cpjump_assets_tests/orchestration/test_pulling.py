"""Pulling for several plates at once: the budget, what is logged, and what a failing object does."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from cpjump_assets.build import build_defs
from cpjump_assets.gallery.client import gallery_client
from cpjump_assets.gallery.gallery import Gallery
from cpjump_assets.gallery.layout import GalleryRoot
from cpjump_assets.gallery.listing import list_objects
from cpjump_assets.gallery.transfer.report import IncompletePullError
from cpjump_assets.orchestration import tables
from cpjump_assets.orchestration.pulling import pull_ahead, pull_metadata
from cpjump_assets.orchestration.refresh import PlannedRun, Refresh
from cpjump_assets.science.errors import GalleryError
from cpjump_assets.simulate.s3.faults import FaultPlan, FaultRule, Refusal
from cpjump_assets.simulate.s3.server import S3Server
from cpjump_assets.web import open_instance
from cpjump_assets_tests.orchestration.lab import LAB_KEYS, Lab


class Run:
    """What ``pull_ahead`` asks of a run and of the platform, with the lines that were logged."""

    def __init__(self, gallery: Gallery, folder: Path, *, pull_budget: int = 10**9) -> None:
        self.infos: list[str] = []
        self.warnings: list[str] = []
        self.gallery = gallery
        self.context = SimpleNamespace(log=SimpleNamespace(info=self.infos.append, warning=self.warnings.append))
        self.platform = SimpleNamespace(store=SimpleNamespace(gallery_folder=folder), pull_budget=pull_budget)

    def pull(self):
        objects = list_objects(self.gallery.client, self.gallery.root.bucket, "")
        return pull_ahead(self.context, self.platform, self.gallery, objects)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[S3Server, Gallery]]:
    folder = tmp_path_factory.mktemp("served")
    (folder / "gallery").mkdir()
    for number in range(20):
        (folder / "gallery" / f"{number:02d}").write_bytes(bytes(1_000))
    with S3Server(folder) as server:
        yield server, Gallery(GalleryRoot("gallery", ""), gallery_client(server.endpoint), 4)


@pytest.fixture
def run(served: tuple[S3Server, Gallery], tmp_path: Path) -> Run:
    server, gallery = served
    server.faults = FaultPlan()
    return Run(gallery, tmp_path / "gallery")


def test_what_would_come_is_logged_before_and_the_sums_after(run):
    report = run.pull()
    assert run.infos[0] == "20 objects, 20.0 kB: 0 are held, 20 of 20.0 kB are to be pulled"
    assert run.infos[-1].startswith("objects 20, bytes 20,000, seconds ")
    assert "retries 0, resumed bytes 0, unverified 0" in run.infos[-1]
    assert run.warnings == []
    shown = pull_metadata(report)["pull of all plates of the run"].value
    assert (shown["objects"], shown["bytes"], shown["absent"]) == (20, 20_000, 0)
    assert run.pull().skipped == 20


def test_a_pull_over_budget_is_an_error_that_names_the_setting(run):
    run.platform.pull_budget = 19_999
    with pytest.raises(GalleryError, match="CPJUMP_PULL_BUDGET=1MB"):
        run.pull()


def test_an_object_that_fails_or_is_gone_is_logged_and_the_others_come(run, served):
    served[0].faults = FaultPlan(FaultRule(Refusal("AccessDenied"), "03"), FaultRule(Refusal("NoSuchKey"), "04"))
    report = run.pull()
    assert len(report.pulled) == 18
    failed, gone = run.warnings
    assert "/03 is not readable without an account" in failed
    assert gone == "04 was listed, and does not exist any more"


def test_a_pull_that_is_given_up_is_an_error(run, served):
    served[0].faults = FaultPlan(FaultRule(Refusal("AccessDenied")))
    with pytest.raises(IncompletePullError, match="given up"):
        run.pull()


def test_a_plate_run_keeps_to_the_budget_of_the_settings(lab: Lab) -> None:
    settings = replace(lab.settings, store=lab.folder / "empty_store", pull_budget=10)
    with open_instance(settings) as instance:
        refresh = Refresh.of(settings, build_defs(settings).resolve_job_def, instance)
        finished = refresh.execute(PlannedRun("profiles", "profiles", plate_range=(LAB_KEYS[0], LAB_KEYS[1])))
    assert not finished.success
    assert "2 objects, " in finished.errors[0]
    assert "more than the budget of 10 B" in finished.errors[0]


def test_each_plate_shows_the_pull_that_it_came_with(lab: Lab) -> None:
    record = lab.materializations(tables.AGGREGATED_PROFILES)[0]
    shown = record.asset_materialization.metadata["pull of all plates of the run"].value
    assert 1 <= shown["objects"] <= len(LAB_KEYS)
    assert shown["bytes"] > 0
    assert shown["absent"] == shown["unverified"] == 0
