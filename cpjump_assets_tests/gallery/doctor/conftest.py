"""A gallery that is simulated once, and copied for each test that breaks something."""

import shutil
import uuid
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest

from cpjump_assets.gallery.client import gallery_client
from cpjump_assets.gallery.doctor import examine
from cpjump_assets.gallery.doctor.findings import Finding
from cpjump_assets.simulate.s3.faults import FaultPlan
from cpjump_assets.simulate.s3.server import S3Server
from cpjump_assets.simulate.writer import GALLERY, simulate_gallery
from cpjump_assets_tests.gallery.doctor.helpers_doctor import SIZE, Patient, Problem, problems

_one_client = lru_cache(gallery_client)  # a client costs 0.25 s to make


@pytest.fixture(scope="session")
def sound_gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of a simulated gallery that nobody may change."""
    folder = tmp_path_factory.mktemp("doctor") / "gallery"
    simulate_gallery(folder, size=SIZE)
    return folder


@pytest.fixture(scope="session")
def buckets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, S3Server]]:
    """Give a folder of buckets, and the server that serves it."""
    folder = tmp_path_factory.mktemp("buckets")
    with S3Server(folder) as server:
        yield folder, server


@pytest.fixture
def patient(
    sound_gallery: Path,
    buckets: tuple[Path, S3Server],
    tmp_path: Path,
    no_waits: None,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Patient]:
    """Give a set-up of its own."""
    folder, server = buckets
    bucket = folder / f"gallery-{uuid.uuid4().hex[:12]}"
    shutil.copytree(sound_gallery / "s3" / GALLERY.bucket, bucket)
    monkeypatch.setattr(examine, "gallery_client", _one_client)
    yield Patient(sound_gallery, bucket, server, tmp_path / "store")
    server.faults = FaultPlan()


@pytest.fixture(scope="session")
def usual_findings(sound_gallery: Path) -> tuple[Finding, ...]:
    """Give what is found of the gallery as it is."""
    with S3Server(sound_gallery / "s3") as server:
        bucket = sound_gallery / "s3" / GALLERY.bucket
        return Patient(sound_gallery, bucket, server, sound_gallery.parent / "store").examine()


@pytest.fixture(scope="session")
def usual(usual_findings: tuple[Finding, ...]) -> set[Problem]:
    """Give what is lacking in the gallery as it is: a simulated one is small."""
    return problems(usual_findings)
