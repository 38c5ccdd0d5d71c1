"""Servers that do not answer as AWS does: shown, with what it means for a pull."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cpjump_assets.gallery.doctor.findings import Status
from cpjump_assets.simulate.s3.etags import UploadRule
from cpjump_assets.simulate.s3.server import S3Server
from cpjump_assets.simulate.writer import GALLERY
from cpjump_assets_tests.gallery.doctor.helpers_doctor import problems, the


@pytest.fixture
def rclone(sound_gallery: Path) -> Iterator[str]:
    """Serve the gallery with rclone, whose S3 answers ranges with 200 and does not know If-Match."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = Path(sys.executable).with_name("rclone")
    if not program.exists():
        pytest.skip("rclone is not installed beside Python")
    command = [str(program), "serve", "s3", "--addr", f"127.0.0.1:{port}", str(sound_gallery / "s3")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(timeout=20)


def test_another_server_is_told_by_how_it_answers(patient, usual, rclone):
    findings = patient.examine(CPJUMP_S3_ENDPOINT=rclone, CPJUMP_GALLERY=str(GALLERY))
    assert problems(findings) - usual == {
        ("transfer", "Range", "", Status.WARNING),
        ("transfer", "If-Match", "", Status.WARNING),
    }
    assert the(findings, "transfer", "Range").found == "answered with 200"
    assert the(findings, "transfer", "If-Match").found == "ignored"


def test_etags_of_uploads_in_parts_are_counted_and_those_of_unknown_part_sizes_named(patient):
    for part_size, status in ((8 * 1024**2, Status.OK), (100_000, Status.WARNING)):
        rule = UploadRule(multipart_threshold=100_000, part_size=part_size)
        with S3Server(patient.bucket.parent, upload=rule) as server:
            row = the(patient._replace(server=server).examine(quick=True), "transfer", "ETags")
        assert row.status is status, part_size
        assert " of uploads in parts" in row.found
        assert bool(row.names) == (status is Status.WARNING)
