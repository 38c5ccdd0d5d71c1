"""What the doctor says of a store in S3, on servers that do and do not know conditional writes."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from cpjump_assets.cli import main
from cpjump_assets.gallery.copies import FOLDER
from cpjump_assets.gallery.doctor.findings import Finding, Status
from cpjump_assets.gallery.doctor.machine import store_findings
from cpjump_assets.gallery.doctor.s3_store import CONDITIONS, COPIES, WRITING, s3_store_findings
from cpjump_assets.settings import Settings
from cpjump_assets_tests.stores import StoreServer, moto_store, rclone_store


def _settings(server: StoreServer, work: Path, prefix: str = "store") -> Settings:
    return Settings(store=server.url(prefix), store_endpoint=server.endpoint, work=work)


def _found(settings: Settings) -> dict[str, Finding]:
    return {finding.what: finding for finding in s3_store_findings(settings)}


def test_a_store_that_can_be_used_is_told_with_what_it_holds(tmp_path: Path) -> None:
    with moto_store() as server:
        server.put(f"store/{FOLDER}/a.csv.gz.v.0123456789abcdef", b"12345")
        server.put(f"store/{FOLDER}/a.csv.gz.v.json", b"{}")
        before = server.keys()
        found = _found(_settings(server, tmp_path))
        assert {what: finding.status for what, finding in found.items()} == dict.fromkeys(
            (WRITING, CONDITIONS, COPIES), Status.OK
        )
        assert found[COPIES].found == "1 object, 5 B"
        assert server.keys() == before

        environment = _settings(server, tmp_path).to_environment()
        told = CliRunner().invoke(main, ["inventory"], env=environment)
        assert f"{server.url('store')} has copies of 1 object, 5 B" in told.output
        assert '"copies"' in CliRunner().invoke(main, ["inventory", "--json"], env=environment).output
        verified = CliRunner().invoke(main, ["verify"], env=environment)
        assert "are verified as they are fetched" in verified.output

        nowhere = _found(Settings(store="s3://no-such-bucket", store_endpoint=server.endpoint, work=tmp_path))
        assert list(nowhere) == [WRITING]
        assert nowhere[WRITING].status is Status.ERROR
        assert "NoSuchBucket" in nowhere[WRITING].found


def test_a_server_that_ignores_conditions_is_a_warning(tmp_path: Path) -> None:
    with rclone_store(tmp_path / "served") as server:
        found = _found(_settings(server, tmp_path / "work"))
    assert found[WRITING].status is Status.OK
    assert found[CONDITIONS].status is Status.WARNING
    assert "on one machine only" in found[CONDITIONS].advice


def test_of_a_folder_nothing_is_said() -> None:
    assert _found(Settings()) == {}


@pytest.mark.parametrize(("store", "variable"), [("folder", "CPJUMP_STORE"), ("s3", "CPJUMP_WORK")])
def test_a_folder_that_cannot_be_written_names_its_variable(tmp_path: Path, store: str, variable: str) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "store"
    settings = Settings(store=folder) if store == "folder" else Settings(store="s3://bucket/prefix", work=folder)
    advice = {finding.what: finding.advice for finding in store_findings(settings)}
    assert variable in advice["folder"]
