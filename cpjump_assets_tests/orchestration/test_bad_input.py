"""Bad input is one clear line that names file and plate, and what was good before stays."""

import gzip
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cpjump_assets.build import build_defs
from cpjump_assets.orchestration import tables
from cpjump_assets.orchestration.refresh import PlannedRun, Refresh
from cpjump_assets.science.errors import SettingsError
from cpjump_assets.web import open_instance
from cpjump_assets_tests.orchestration.lab import LAB_KEYS, LAB_PLATES, Lab

PLATE = LAB_PLATES[3]
Edit = Callable[[list[list[str]]], list[list[str]]]


def _edited(edit: Edit) -> Callable[[bytes], bytes]:
    """Edit the cells of the gzipped CSV, header first."""

    def spoil(content: bytes) -> bytes:
        rows = [line.split(",") for line in gzip.decompress(content).decode().splitlines()]
        return gzip.compress("\n".join(",".join(row) for row in edit(rows)).encode() + b"\n", mtime=0)

    return spoil


def _second_cell_is_text(rows: list[list[str]]) -> list[list[str]]:
    rows[2][5] = "large"
    return rows


SPOILED: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "truncated gzip": (lambda content: content[: len(content) // 2], "truncated"),
    "corrupt gzip": (lambda content: content[:200] + bytes(50) + content[250:], "corrupt"),
    "an HTML page": (lambda content: b"<!DOCTYPE html><html><body>sign in</body></html>", "HTML"),
    "an empty file": (lambda content: b"", "empty"),
    "a missing column": (_edited(lambda rows: [row[:1] + row[2:] for row in rows]), "Metadata_Well"),
    "a duplicate well": (_edited(lambda rows: [*rows, rows[1]]), "A01"),
    "a non-numeric feature": (_edited(_second_cell_is_text), "large"),
    "a well that is none": (_edited(lambda rows: [rows[0], [rows[1][0], "Z99", *rows[1][2:]], *rows[2:]]), "Z99"),
}


@pytest.mark.parametrize("kind", SPOILED)
def test_a_bad_profile_is_one_clear_line_and_loses_nothing(lab: Lab, kind: str) -> None:
    spoil, named = SPOILED[kind]
    path = lab.profile_path(PLATE)
    path.write_bytes(spoil(path.read_bytes()))
    before = lab.digests()
    finished = lab.run("profiles", plates=LAB_KEYS[2:4])
    assert not finished.success
    (message,) = finished.errors
    assert PLATE.barcode in message
    assert named.lower() in message.lower()
    assert "\n" not in message
    assert lab.digests() == before


def test_a_bad_plate_does_not_stop_the_others(lab: Lab) -> None:
    lab.profile_path(PLATE).write_bytes(b"")
    for key in LAB_KEYS:
        lab.store.remove(tables.AGGREGATED_PROFILES.key(key))
    finished = lab.run("profiles", plates=LAB_KEYS[2:4])
    assert not finished.success
    assert lab.store.exists(tables.AGGREGATED_PROFILES.key(LAB_KEYS[2]))
    assert not lab.store.exists(tables.AGGREGATED_PROFILES.key(LAB_KEYS[3]))


def _run_with(lab: Lab, job: str, **changes: object) -> str:
    settings = replace(lab.settings, **changes)
    with open_instance(settings) as instance:
        refresh = Refresh.of(settings, build_defs(settings).resolve_job_def, instance)
        finished = refresh.execute(
            PlannedRun(job, job, plate_range=(LAB_KEYS[0], LAB_KEYS[0]) if job == "profiles" else None)
        )
    assert not finished.success
    message = finished.errors[0]
    assert "\n" not in message
    return message


def test_an_unreachable_endpoint_is_named_with_its_setting(lab: Lab) -> None:
    before = lab.digests()
    message = _run_with(lab, "profiles", s3_endpoint="http://127.0.0.1:9")
    assert "http://127.0.0.1:9" in message
    assert "CPJUMP_S3_ENDPOINT" in message
    assert lab.digests() == before


def test_a_reference_root_without_tables_is_named_with_the_places_tried(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    before = lab.digests()
    message = _run_with(lab, "metadata", reference=str(tmp_path / "empty"))
    assert "benchmark/input/experiment-metadata.tsv, benchmark/output/experiment-metadata.tsv" in message
    assert lab.digests() == before


def test_a_plate_map_that_disagrees_with_the_official_table_is_refused(lab: Lab) -> None:
    path = lab.gallery.reference_root / "datasplits" / "cpjump1_metadata.csv"
    lines = path.read_text().splitlines(keepends=True)
    cells = lines[1].split(",")
    cells[3] = "BRD-K00000000-001-01-1"
    path.write_text("".join([lines[0], ",".join(cells), *lines[2:]]))
    before = lab.digests()
    finished = lab.run("metadata")
    assert not finished.success
    assert "BRD-K00000000-001-01-1" in " ".join(finished.errors)
    assert lab.digests() == before


def test_a_store_that_cannot_be_written_is_one_clear_line(lab: Lab, tmp_path: Path) -> None:
    # A file in the way stands for every reason why a folder cannot be made; the tests may run as root.
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SettingsError, match=r"CPJUMP_STORE or DAGSTER_HOME: .* cannot be written"):
        _run_with(lab, "metadata", store=tmp_path / "file" / "store")
    (lab.store.root / "metadata" / "wells.parquet").unlink()
    (lab.store.root / "metadata" / "wells.parquet").mkdir()
    finished = lab.run("metadata")
    assert "cannot write wells.parquet" in " ".join(finished.errors)
