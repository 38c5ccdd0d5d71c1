"""Plates and profile files: what is missing, unknown or there twice turns up, and nothing else."""

import pytest

from cpjump_assets.gallery.doctor.findings import Status, what_follows
from cpjump_assets.science.plates import BATCHES, MAIN_BATCH, PLATES
from cpjump_assets.simulate.writer import GALLERY
from cpjump_assets_tests.gallery.doctor.helpers_doctor import ELSEWHERE, FIRST, LAB, MOVED, OTHER_BATCH, problems, the

WARNING, ERROR = Status.WARNING, Status.ERROR


def _row(findings, area, what, where):
    (found,) = (row for row in findings if (row.area, row.what, row.where) == (area, what, where))
    return found


def test_each_batch_is_counted_by_kind(usual_findings):
    counts = {
        (row.where, row.what): (row.found, row.expected)
        for row in usual_findings
        if row.area == "plates" and row.where == MAIN_BATCH
    }
    assert counts == {
        (MAIN_BATCH, "profiles"): ("3", "51"),
        (MAIN_BATCH, "load-data"): ("3", "51"),
        (MAIN_BATCH, "images"): ("3", "51"),
        (MAIN_BATCH, "illumination"): ("0", "51"),
        (MAIN_BATCH, "backends"): ("1", "51"),
    }
    lacking = _row(usual_findings, "plates", "backends", MAIN_BATCH).names
    assert set(lacking) == set(BATCHES[MAIN_BATCH]) - {FIRST.barcode}
    absent = _row(usual_findings, "plates", "whole batch", "2020_12_08_CPJUMP1_Bleaching")
    assert (absent.status, absent.found, absent.expected) == (WARNING, "0", "24")
    assert absent.advice.startswith("nothing to do: a simulated gallery")


def test_a_plate_without_profiles_is_named(patient, usual):
    patient.remove(GALLERY.profiles_prefix(MOVED))
    row = _row(patient.examine(quick=True), "plates", "profiles", MAIN_BATCH)
    assert (row.found, row.status) == ("2", WARNING)
    assert MOVED.barcode in row.names
    assert FIRST.barcode not in row.names
    assert row.advice == "plates without profiles are left out of a refresh, and counted"


def test_a_folder_without_the_file_that_is_read_counts_as_missing(patient):
    folder = patient.bucket / GALLERY.profiles_prefix(MOVED)
    (folder / f"{MOVED.barcode}.csv.gz").rename(folder / f"{MOVED.barcode}_raw.csv.gz")
    findings = patient.examine(quick=True)
    assert MOVED.barcode in _row(findings, "plates", "profiles", MAIN_BATCH).names
    assert _row(findings, "profile files", "_raw.csv.gz", MAIN_BATCH).status is WARNING


def test_without_any_profile_of_the_main_batch_the_main_job_cannot_be_done(patient, usual):
    patient.remove(f"cpg0000-jump-pilot/source_4/workspace/profiles/{MAIN_BATCH}")
    findings = patient.examine(quick=True)
    assert problems(findings) - usual == {("plates", "profiles", MAIN_BATCH, ERROR)}
    assert next(iter(what_follows(findings))) == (
        f"set CPJUMP_GALLERY to a root with profiles of {MAIN_BATCH}; this one has profiles of {OTHER_BATCH}"
    )


def test_a_preset_that_begins_with_single_cells_needs_backends(patient, usual):
    preset = {"CPJUMP_PRESET": "paper_2021"}
    assert problems(patient.examine(quick=True, **preset)) <= usual
    patient.remove(GALLERY.backends_prefix(MAIN_BATCH))
    patient.remove(GALLERY.key("workspace", "profiles", MAIN_BATCH))
    findings = patient.examine(quick=True, **preset)
    assert problems(findings) - usual == {("plates", "backends", MAIN_BATCH, ERROR)}
    assert next(iter(what_follows(findings))).startswith(f"set CPJUMP_GALLERY to a root with backends of {MAIN_BATCH}")


def test_plates_and_batches_that_are_not_published_are_named_and_left_alone(patient, usual):
    root = GALLERY.key("workspace", "profiles")
    patient.put(f"{root}/{MAIN_BATCH}/BR00999999/BR00999999.csv.gz", b"x")
    patient.put(f"{root}/2021_01_01_Other/BR00999999/BR00999999.csv.gz", b"x")
    patient.put(f"{root}/2020_11_04_CPJUMP1_DL/BR00117010/BR00117010.csv.gz", b"x")  # known, and no batch of its own
    patient.put(f"{GALLERY.images_prefix(OTHER_BATCH)}scratch/Images/r01c01f01p01-ch1sk1fk1fl1.tiff", b"x")
    findings = patient.examine(quick=True)
    assert (
        problems(findings) - usual
        == {
            ("plates", "unknown plates", MAIN_BATCH, WARNING),
            ("plates", "unknown plates", OTHER_BATCH, WARNING),
            ("plates", "unknown batches", "", WARNING),
            ("plates", "illumination", OTHER_BATCH, WARNING),
        }
        - usual
    )
    assert _row(findings, "plates", "unknown plates", MAIN_BATCH).names == ("BR00999999",)
    assert _row(findings, "plates", "unknown plates", OTHER_BATCH).names == ("scratch",)
    assert the(findings, "plates", "unknown batches").names == ("2021_01_01_Other",)


def test_of_several_measurements_the_one_that_the_image_sets_name_counts(patient, usual):
    folder = patient.measurement(FIRST)
    second = folder.name.replace("Measurement1", "Measurement2")
    patient.put(f"{GALLERY.images_prefix(FIRST.batch)}{second}/Images/r01c01f01p01-ch1sk1fk1fl1.tiff", b"x")
    findings = patient.examine()
    assert problems(findings) <= usual
    row = _row(findings, "plates", "measurement folders", str(FIRST))
    assert row.found == f"2; its image sets name {folder.name}"


def test_several_measurements_of_which_the_image_sets_name_none_are_an_error(patient, usual):
    folder = patient.measurement(FIRST)
    for number in (7, 8):
        name = folder.name.replace("Measurement1", f"Measurement{number}")
        patient.put(f"{GALLERY.images_prefix(FIRST.batch)}{name}/Images/r01c01f01p01-ch1sk1fk1fl1.tiff", b"x")
    patient.remove(f"{GALLERY.images_prefix(FIRST.batch)}{folder.name}")
    findings = patient.examine(quick=True)
    assert problems(findings) - usual == {("plates", "measurement folders", str(FIRST), ERROR)}
    row = _row(findings, "plates", "measurement folders", str(FIRST))
    assert "Measurement7" in row.found
    assert row.advice.startswith(f"images of {FIRST} cannot be pulled")


def test_profile_files_are_counted_by_suffix_with_their_level(patient, usual):
    prefix = GALLERY.profiles_prefix(LAB)
    patient.put(f"{prefix}{LAB.barcode}_normalized_feature_select_batch.csv.gz", b"x")
    patient.put(f"{prefix}{LAB.barcode}_normalized_feature_select_negcon.csv.gz", b"x")
    patient.put(f"{prefix}notes.txt", b"x")
    findings = patient.examine(quick=True)
    counts = {row.what: row.found for row in findings if row.area == "profile files" and row.where == MAIN_BATCH}
    assert counts[".csv.gz"] == "3"
    assert counts["_normalized_negcon.csv.gz"] == "2"
    assert counts["_normalized_feature_select_batch.csv.gz"] == "1"
    assert problems(findings) - usual == {
        ("profile files", "_normalized_feature_select_negcon.csv.gz", MAIN_BATCH, WARNING),
        ("profile files", "notes.txt", MAIN_BATCH, WARNING),
    }


@pytest.mark.parametrize("kind", ["load-data", "images", "backends", "illumination"])
def test_a_real_gallery_that_lacks_things_is_told_what_that_means(patient, kind):
    (patient.bucket / GALLERY.marker_key).unlink()
    row = _row(patient.examine(quick=True), "plates", kind, MAIN_BATCH)
    assert row.status is WARNING
    assert row.advice.startswith("without ")


def test_every_plate_of_a_batch_that_is_whole_is_found(patient):
    for plate in PLATES:
        if plate.batch == OTHER_BATCH:
            patient.put(GALLERY.profile_key(plate), b"x")
    row = _row(patient.examine(quick=True), "plates", "profiles", ELSEWHERE.batch)
    assert (row.status, row.found, row.names) == (Status.OK, "8", ())
