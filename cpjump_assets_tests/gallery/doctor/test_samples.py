"""Files that do not fit: the sample that fails is the one that was damaged, and says how."""

import gzip
import io

import numpy as np
import pytest
from PIL import Image

from cpjump_assets.gallery.doctor.findings import Status
from cpjump_assets.simulate.writer import GALLERY
from cpjump_assets_tests.gallery.doctor.helpers_doctor import FIRST, LAB, MOVED, Patient, problems, the

PROFILE = GALLERY.profile_key(FIRST)
LOAD_DATA = GALLERY.load_data_prefix(FIRST) + "load_data.csv"


def _header_renamed(content: bytes, old: bytes, new: bytes) -> bytes:
    text = gzip.decompress(content)
    assert old in text.partition(b"\n")[0]
    return gzip.compress(text.replace(old, new), mtime=0)


def _deep_features(content: bytes) -> bytes:
    header, _, rows = gzip.decompress(content).partition(b"\n")
    for compartment in (b"Cells_", b"Cytoplasm_", b"Nuclei_"):
        header = header.replace(compartment, b"efficientnet_" + compartment)
    return gzip.compress(header + b"\n" + rows, mtime=0)


@pytest.mark.parametrize(
    ("damage", "status", "said"),
    [
        (lambda content: content[:-100], Status.ERROR, "the gzip file is truncated"),
        (lambda content: content[:200] + bytes(200) + content[400:], Status.ERROR, "the gzip file is corrupt"),
        (lambda content: b"<html>moved</html>", Status.ERROR, "found an HTML page"),
        (
            lambda content: _header_renamed(content, b"Metadata_Well", b"Well"),
            Status.ERROR,
            "Metadata_Well are missing",
        ),
        (_deep_features, Status.WARNING, "20 features (Cells 0, Cytoplasm 0, Nuclei 0)"),
    ],
)
def test_a_profile_file_that_does_not_fit(patient, usual, damage, status, said):
    patient.put(PROFILE, damage(patient.read(PROFILE)))
    findings = patient.examine()
    assert problems(findings) - usual == {("samples", "profile", str(FIRST), status)}
    row = the(findings, "samples", "profile")
    assert said in row.found
    assert row.advice


def _first_image(patient: Patient) -> str:
    return min(patient.measurement(FIRST).rglob("*.tiff")).relative_to(patient.bucket).as_posix()


def _tiff(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="TIFF")
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [b"no image", _tiff(np.zeros((64, 64), np.uint16)), _tiff(np.eye(64, dtype=np.uint8))],
    ids=["text", "zeros", "8-bit"],
)
def test_an_image_that_is_none(patient, usual, content):
    patient.put(_first_image(patient), content)
    findings = patient.examine()
    assert problems(findings) - usual == {("samples", "image", str(FIRST), Status.ERROR)}
    assert (
        the(findings, "samples", "image").found.startswith("r01c")
        or "expected" in the(findings, "samples", "image").found
    )


def test_a_measurement_without_images(patient, usual):
    for path in patient.measurement(FIRST).rglob("*.tiff"):
        path.rename(path.with_name("Index.idx.xml"))
    findings = patient.examine()
    assert problems(findings) - usual == {("samples", "image", str(FIRST), Status.ERROR)}
    assert "expected files rRRcCCfFFpPP-chN....tiff, found none" in the(findings, "samples", "image").found


def test_a_backend_that_is_no_database_and_is_not_pulled(patient, usual):
    patient.put(GALLERY.backend_key(FIRST), b"x" * 5_000_000)
    findings = patient.examine()
    assert problems(findings) - usual == {("samples", "backend", str(FIRST), Status.ERROR)}
    assert "begins with b'xxxxxxxxxxxxxxxx'" in the(findings, "samples", "backend").found
    (asked,) = [request for request in patient.requests if request.key.endswith(".sqlite")]
    assert asked.range == "bytes=0-15"


@pytest.mark.parametrize(("plate", "moved"), [(FIRST, 0), (MOVED, 3072), (LAB, 3072)])
def test_image_sets_of_each_form_are_read(patient, usual, plate, moved):
    for other in {FIRST, MOVED, LAB} - {plate}:
        patient.remove(GALLERY.load_data_prefix(other))
    findings = patient.examine()
    assert problems(findings) <= usual
    row = the(findings, "samples", "image sets")
    assert (row.where, row.status) == (str(plate), Status.OK)
    assert row.found.startswith("3,072 images of 8 channels")
    assert (f"{moved:,} of them by an address of another place" in row.found) == (moved > 0)


@pytest.mark.parametrize(
    ("damage", "status", "said"),
    [
        (lambda content: b"<html>moved</html>", Status.ERROR, "HTML page"),
        (lambda content: content.replace(b"Metadata_Site", b"Site"), Status.ERROR, "Metadata_Site"),
        (lambda content: content.replace(b"Measurement1", b"Measurement9"), Status.ERROR, "3,072 images"),
        (lambda content: content.replace(b"URL_OrigMito", b"URL_OrigTubulin"), Status.WARNING, "2,688 images of 7"),
    ],
)
def test_image_sets_that_do_not_fit(patient, usual, damage, status, said):
    patient.put(LOAD_DATA, damage(patient.read(LOAD_DATA)))
    findings = patient.examine()
    assert problems(findings) - usual == {("samples", "image sets", str(FIRST), status)}
    assert said in the(findings, "samples", "image sets").found


def test_what_the_gallery_has_none_of_is_not_looked_at(patient):
    patient.remove(GALLERY.backends_prefix(FIRST.batch))
    row = the(patient.examine(), "samples", "backend")
    assert (row.status, row.found) == (Status.SKIPPED, "needs: backends of any plate")


def test_without_a_temporary_folder_there_are_no_samples(patient, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    findings = patient.examine()
    row = the(findings, "samples", "profile")
    assert row.status is Status.ERROR
    assert "TMPDIR" in row.advice


def test_a_sample_that_is_too_large_is_not_pulled(patient, monkeypatch):
    monkeypatch.setattr("cpjump_assets.gallery.doctor.samples.LARGEST", 10)
    row = the(patient.examine(), "samples", "profile")
    assert row.status is Status.ERROR
    assert "expected 10 B at most" in row.found
    read = [request for request in patient.requests if request.key == PROFILE and request.method == "GET"]
    assert {request.range for request in read} == {"bytes=0-0"}
