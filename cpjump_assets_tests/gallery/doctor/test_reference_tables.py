"""Reference roots that are not as released."""

import shutil
from pathlib import Path

import pytest
import urllib3

from cpjump_assets.gallery.doctor.findings import Finding, Status
from cpjump_assets.gallery.doctor.reference_tables import reference_findings

OFFICIAL = "datasplits/cpjump1_metadata.csv"
MAPS = "metadata/platemaps/2020_11_04_CPJUMP1/platemap/JUMP-Target-1_orf_platemap.txt"
COMMIT = "4ad23669a9e7083a8920b4385d0647958b057318"


@pytest.fixture
def copied(reference_root: Path, tmp_path: Path) -> Path:
    """Give a copy of the real tables in a folder that is named by their commit."""
    folder = tmp_path / COMMIT
    for name in ("datasplits", "benchmark", "metadata"):
        shutil.copytree(reference_root / name, folder / name)
    return folder


def _look(url: object) -> dict[str, Finding]:
    return {row.what: row for row in reference_findings(str(url), endpoint=None)}


def _bad(rows: dict[str, Finding]) -> dict[str, Status]:
    return {what: row.status for what, row in rows.items() if row.status is not Status.OK}


def test_the_released_tables_have_their_sums(reference_root):
    rows = _look(reference_root)
    assert not _bad(rows)
    assert len(rows) == 8
    assert rows["official split table"].found == OFFICIAL
    assert rows["released sums"].found == "19 of 19 files as released, 1 without a known sum"


def test_an_altered_table_is_a_warning_in_a_folder_and_an_error_below_a_commit(copied, tmp_path):
    with (copied / OFFICIAL).open("ab") as file:
        file.write(b"\n")
    rows = _look(copied)
    assert _bad(rows) == {"official split table": Status.ERROR}
    assert "expected sha256 69bfe6d5" in rows["official split table"].found
    assert rows["official split table"].advice.startswith("set CPJUMP_REFERENCE")

    elsewhere = copied.rename(tmp_path / "mine")
    rows = _look(elsewhere)
    assert _bad(rows) == {"released sums": Status.WARNING}
    assert rows["released sums"].names == (OFFICIAL,)


def test_a_missing_table_and_an_lfs_pointer_are_errors_of_their_kind(copied):
    (copied / OFFICIAL).unlink()
    (copied / MAPS).write_text("version https://git-lfs.github.com/spec/v1\n")
    rows = _look(copied)
    assert _bad(rows) == {"official split table": Status.ERROR, "plate map": Status.ERROR}
    assert f"tried {OFFICIAL}" in rows["official split table"].found
    assert "a Git LFS pointer" in rows["plate map"].found


def test_a_root_that_is_none():
    for url, said in (("/no/such/folder", "is no folder"), ("http://example.org", "must be https://")):
        rows = _look(url)
        assert _bad(rows) == {"root": Status.ERROR, "tables": Status.SKIPPED, "released sums": Status.SKIPPED}
        assert said in rows["root"].found
        assert rows["root"].advice.startswith("set CPJUMP_REFERENCE")


def test_a_web_server_in_trouble_is_asked_for_one_table_only(web_server, monkeypatch):
    monkeypatch.setattr(urllib3.Retry, "sleep", lambda *_: None)
    rows = _look(web_server({"*": (500, {}, b"broken")}))
    assert _bad(rows) == {"root": Status.ERROR, "tables": Status.SKIPPED, "released sums": Status.SKIPPED}
    assert "expected status 200, found 500" in rows["root"].found


def test_tables_over_the_web_are_read_and_their_absence_is_told(web_server):
    rows = _look(web_server({"*": (404, {}, b"none")}))
    kinds = {"official split table", "experiment metadata", "compound annotations", "compound target lists"}
    assert _bad(rows) == dict.fromkeys(kinds | {"CRISPR annotations", "ORF annotations", "plate map"}, Status.ERROR)
