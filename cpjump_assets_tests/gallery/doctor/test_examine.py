"""The whole examination: of a sound set-up, of a slow one, and what is skipped after a failure."""

import tempfile
from itertools import groupby
from pathlib import Path

from cpjump_assets.gallery.doctor.examine import AREAS
from cpjump_assets.gallery.doctor.findings import Status, has_errors, what_follows
from cpjump_assets.simulate.s3.faults import FaultPlan, FaultRule, Latency, SlowDown
from cpjump_assets.simulate.s3.requests import EVERY_OPERATION, LIST_OBJECTS
from cpjump_assets_tests.gallery.doctor.helpers_doctor import FIRST, problems, the


def test_a_simulated_gallery_has_no_error_and_a_reason_for_every_warning(usual_findings):
    assert not has_errors(usual_findings)
    assert all(row.advice for row in usual_findings if row.status is Status.WARNING)
    assert [area for area, _ in groupby(usual_findings, key=lambda row: row.area)] == list(AREAS)
    assert the(usual_findings, "endpoint", "kind of gallery").found.startswith("simulated gallery, size doctor, seed 0")
    profile = the(usual_findings, "samples", "profile")
    assert profile.where == str(FIRST)
    assert profile.found == ("384 wells, 20 features (Cells 8, Cytoplasm 6, Nuclei 6), Metadata_Plate, Metadata_Well")
    assert the(usual_findings, "samples", "image").found.startswith("256 x 256 pixels of 16 bits")
    assert the(usual_findings, "samples", "image sets").found == "3,072 images of 8 channels"
    assert the(usual_findings, "samples", "backend").found.startswith("an SQLite database of ")
    assert the(usual_findings, "transfer", "Range").found.startswith("answered with 206")
    assert the(usual_findings, "transfer", "If-Match").found.startswith("honoured with 412")


def test_what_follows_begins_with_errors_and_says_each_thing_once(patient):
    patient.remove("cpg0000-jump-pilot/source_4/workspace/profiles/2020_11_04_CPJUMP1")
    findings = patient.examine(quick=True)
    steps = what_follows(findings)
    assert list(steps.values()) == sorted(steps.values(), key=["error", "warning", "ok"].index)
    assert next(iter(steps)).startswith("set CPJUMP_GALLERY to a root with profiles of 2020_11_04_CPJUMP1")
    assert list(steps)[-1].startswith("`cpjump refresh`")


def test_nothing_is_left_behind(patient, tmp_path, monkeypatch):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    assert not has_errors(patient.examine())
    assert list(tmp_path.rglob("*")) == [temporary]


def test_quick_reads_listings_alone(patient):
    findings = patient.examine(quick=True)
    read = {request.key for request in patient.requests if request.method == "GET" and request.key}
    assert {Path(key).name for key in read} <= {"SIMULATED.txt"}
    assert the(findings, "samples", "everything").status is Status.SKIPPED


def test_a_slow_server_is_asked_few_things_and_none_for_each_plate(patient):
    patient.server.faults = FaultPlan(FaultRule(Latency(0.05), operations=EVERY_OPERATION))
    assert not has_errors(patient.examine())
    listings = [request for request in patient.requests if not request.key]
    assert len(listings) < 6 * 6 + 8


def test_bad_settings_are_told_one_by_one_and_nothing_else_is_looked_at(patient):
    bad = {"CPJUMP_CONNECTIONS": "many", "CPJUMP_GALLERY": "s3://bucket/a//b", "CPJUMP_PRESET": "paper_1999"}
    findings = patient.examine(**bad)
    assert problems(findings) == {("settings", name, "environment", Status.ERROR) for name in bad}
    assert {row.status for row in findings if row.area != "settings"} == {Status.SKIPPED}
    assert not patient.requests
    assert "'paper_1999'" in the(findings, "settings", "CPJUMP_PRESET").found


def test_settings_are_told_with_their_source_and_without_secrets(patient):
    findings = patient.examine(quick=True, CPJUMP_EXCLUDE="stain_anomaly")
    told = {row.what: (row.found, row.where) for row in findings if row.area == "settings"}
    assert told["CPJUMP_S3_ENDPOINT"] == (patient.server.endpoint, "environment")
    assert told["CPJUMP_EXCLUDE"] == ("stain_anomaly", "environment")
    assert told["CPJUMP_PULL_BUDGET"] == ("1.00 MB a pull", "environment")
    assert told["CPJUMP_GALLERY"] == (patient.gallery_url, "environment")
    assert told["CPJUMP_PLATES_PER_RUN"] == ("all", "default")
    assert told["DAGSTER_HOME"] == (str(patient.store / "dagster_home"), "default")

    secret = patient.examine(quick=True, CPJUMP_S3_ENDPOINT=f"{patient.server.endpoint}?token=geheim")
    with_password = patient.examine(quick=True, CPJUMP_S3_ENDPOINT="http://user:geheim@127.0.0.1:9")
    assert "geheim" not in f"{secret}{with_password}"


def test_a_folder_that_cannot_be_listed_is_one_error_among_the_rest(patient, usual):
    busy = FaultRule(SlowDown(), keys="*/workspace/backend/2020_11_04_CPJUMP1/", operations=frozenset({LIST_OBJECTS}))
    patient.server.faults = FaultPlan(busy)
    findings = patient.examine(quick=True)
    assert problems(findings) - usual == {("plates", "backends", "2020_11_04_CPJUMP1", Status.ERROR)}
