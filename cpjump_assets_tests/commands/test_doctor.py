"""``cpjump doctor`` as it is called: exit codes, JSON, and what a terminal of 80 columns shows."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cpjump_assets.cli import main
from cpjump_assets.science.plates import MAIN_PLATES
from cpjump_assets.simulate.config import Size
from cpjump_assets.simulate.s3.server import S3Server
from cpjump_assets.simulate.writer import SimulatedGallery, simulate_gallery

FIELDS = ["area", "what", "status", "found", "where", "expected", "names", "advice"]
SIZE = Size("doctor", n_features=20, plates=MAIN_PLATES[:2], image_wells=2)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Give the variables that lead to a simulated gallery."""
    folder = tmp_path_factory.mktemp("doctor")
    gallery: SimulatedGallery = simulate_gallery(folder / "gallery", size=SIZE)
    with S3Server(gallery.bucket_root) as server:
        yield {
            "CPJUMP_S3_ENDPOINT": server.endpoint,
            "CPJUMP_REFERENCE": str(gallery.reference_root),
            "CPJUMP_STORE": str(folder / "store"),
            "CPJUMP_PULL_BUDGET": "1MB",
            "COLUMNS": "80",
        }


def _doctor(environment: dict[str, str], *options: str) -> Result:
    return CliRunner().invoke(main, ["doctor", *options], env=environment, prog_name="cpjump")


def test_a_set_up_in_order_ends_with_0_and_shows_every_area(environment):
    result = _doctor(environment)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert all(len(line) <= 80 for line in lines)
    headings = [line.strip() for line in lines if line and not line.startswith(" ")]
    assert headings[:-1] == [
        "settings",
        "endpoint",
        "plates",
        "profile files",
        "samples",
        "transfer",
        "reference",
        "store",
        "what follows",
    ]
    assert headings[-1].startswith("ready: 0 errors, ")
    assert "…" not in result.stdout
    words = [line.split() for line in lines]
    assert ["2020_11_04_CPJUMP1", "2/51", "2/51", "1/51", "0/51", "0/51"] in words
    assert ["(none)", "2", "-", "-", "-", "-", "-", "aggregated"] in words
    assert ["_normalized", "2", "-", "-", "-", "-", "-", "normalized_whole_plate"] in words


def test_an_error_ends_with_1_and_is_first_of_what_follows(environment, tmp_path):
    (tmp_path / "file").write_text("x")
    result = _doctor(environment | {"CPJUMP_STORE": str(tmp_path / "file")}, "--quick")
    assert result.exit_code == 1
    follows = result.stdout.partition("what follows\n")[2].splitlines()
    assert follows[0].strip().split(maxsplit=2) == ["1.", "✗", "set CPJUMP_STORE to a folder that you may write to"]
    assert "samples  not looked at, --quick reads listings alone" in result.stdout
    assert result.stdout.rstrip().splitlines()[-1].startswith("not ready: 2 errors, ")


def test_json_is_one_object_a_finding(environment):
    result = _doctor(environment, "--json", "--quick")
    assert result.exit_code == 0
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert all(list(row) == FIELDS for row in rows)
    counted = {row["what"]: row for row in rows if row["area"] == "plates" and row["where"] == "2020_11_04_CPJUMP1"}
    assert (counted["profiles"]["found"], counted["profiles"]["expected"]) == ("2", "51")
    assert len(counted["profiles"]["names"]) == 49
    assert {row["status"] for row in rows} == {"ok", "warning", "skipped"}


def test_an_endpoint_that_is_down_is_shown_with_all_that_needs_it(environment, no_retries):
    result = _doctor(environment | {"CPJUMP_S3_ENDPOINT": "http://127.0.0.1:9"})
    assert result.exit_code == 1
    shown = " ".join(result.stdout.split())
    assert "✗ connection 127.0.0.1:9: connection refused" in shown
    assert "- not looked at S3, bucket, anonymous listing, prefix, clock, kind of gallery: needs: connection" in shown
    assert "plates not looked at, needs: endpoint" in shown
    assert "1. ✗ start the server there" in shown
    assert "✓ official split table" in shown
    assert "Traceback" not in result.output


def test_bad_settings_are_findings_too(environment):
    result = _doctor(environment | {"CPJUMP_CONNECTIONS": "many", "DAGSTER_HOME": "here"})
    assert result.exit_code == 1
    shown = " ".join(result.stdout.split())
    assert "✗ CPJUMP_CONNECTIONS environment CPJUMP_CONNECTIONS must be a whole number" in shown
    assert "2. ✗ correct DAGSTER_HOME, or unset it" in shown
    assert "endpoint not looked at, needs: settings" in shown


def test_names_from_outside_are_not_read_as_markup(environment, tmp_path):
    store = tmp_path / "[bold]store[/bold]"
    shown = "".join(_doctor(environment | {"CPJUMP_STORE": str(store)}, "--quick").stdout.split())
    assert "".join(str(Path(store)).split()) in shown.replace(" ", "")


@pytest.fixture
def no_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask an endpoint once, so that nobody waits for a second try."""
    monkeypatch.setattr("cpjump_assets.gallery.doctor.examine._ATTEMPTS", 1)


def test_it_explains_itself_with_examples():
    result = _doctor({}, "--help")
    assert result.exit_code == 0
    assert "cpjump doctor --quick" in result.output.split("Examples:", 1)[1]
