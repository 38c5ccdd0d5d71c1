"""``cpjump inventory`` and ``cpjump verify`` as they are called: exit codes, JSON, and what a terminal shows."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cpjump_assets.cli import main
from cpjump_assets.gallery.contents import KINDS
from cpjump_assets.gallery.gallery import Gallery
from cpjump_assets.gallery.layout import GalleryRoot
from cpjump_assets.gallery.listing import list_objects
from cpjump_assets.science.plates import MAIN_PLATES, PLATES
from cpjump_assets.simulate.s3.server import S3Server

ROOT = GalleryRoot("gallery", "pilot/source")
PLATE, OTHER = MAIN_PLATES[0], MAIN_PLATES[1]
LATE = next(plate for plate in PLATES if plate.batch == "2020_12_02_CPJUMP1_2WeeksTimePoint")
PROFILE = ROOT.profile_key(PLATE)
KEYS = [
    PROFILE,
    f"{ROOT.profiles_prefix(PLATE)}{PLATE.barcode}_normalized.csv.gz",
    ROOT.profile_key(OTHER),
    ROOT.profile_key(LATE),
    ROOT.backend_key(PLATE),
    f"{ROOT.metadata_prefix}reagents [bold].tsv",
]


class Platform:
    """A store, the server of its gallery, and the command line."""

    def __init__(self, folder: Path, server: S3Server) -> None:
        self.served = folder / "served" / ROOT.bucket
        self.server = server
        self.store = folder / "store"
        self.held = self.store / "gallery"
        self.reference = folder / "reference"

    def put(self, key: str, content: bytes) -> None:
        path = self.served / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def run(self, *arguments: str, **more: str) -> Result:
        environment = {
            "CPJUMP_GALLERY": str(ROOT),
            "CPJUMP_S3_ENDPOINT": self.server.endpoint,
            "CPJUMP_STORE": str(self.store),
            "CPJUMP_REFERENCE": str(self.reference),
            "COLUMNS": "80",
            **more,
        }
        return CliRunner().invoke(main, arguments, env=environment, prog_name="cpjump")


@pytest.fixture(scope="module")
def pulled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with a gallery of a few objects, and a store that holds them."""
    folder = tmp_path_factory.mktemp("pulled")
    (folder / "reference").mkdir()
    for number, key in enumerate(KEYS):
        path = folder / "served" / ROOT.bucket / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes([number]) * 1000 * (number + 1))
    with S3Server(folder / "served") as server:
        gallery = Gallery.connect(str(ROOT), endpoint=server.endpoint)
        gallery.pull(list_objects(gallery.client, ROOT.bucket, ""), folder / "store" / "gallery")
    return folder


@pytest.fixture
def platform(pulled, tmp_path) -> Iterator[Platform]:
    """Give a copy of it, with its server."""
    shutil.copytree(pulled, tmp_path, dirs_exist_ok=True)
    with S3Server(tmp_path / "served") as server:
        yield Platform(tmp_path, server)


@pytest.fixture
def away(platform) -> Platform:
    """Give the same with a gallery that cannot be reached."""
    platform.server.close()
    return platform


def rows_of(output: str) -> dict[tuple[str, str], list[str]]:
    """Read the numbers of the table, by batch and kind."""
    rows: dict[tuple[str, str], list[str]] = {}
    batch = ""
    for line in output.splitlines():
        if line.startswith(("20", "of no batch")):
            batch = line.strip()
        elif line.startswith(KINDS) and batch:
            rows[batch, line.split()[0]] = line.split()[1:]
    return rows


def test_what_is_held_is_shown_without_the_gallery(away):
    result = away.run("inventory")
    assert result.exit_code == 0, result.output
    assert all(len(line) <= 80 for line in result.output.splitlines()[1:])
    assert "…" not in result.output
    assert result.output.startswith(f"6 objects, 21.0 kB, held in {away.held}\n")
    assert "no listing of the gallery is kept: see cpjump inventory --check" in result.output
    rows = rows_of(result.output)
    assert list(rows) == [
        (PLATE.batch, "profiles"),
        (PLATE.batch, "backends"),
        (LATE.batch, "profiles"),
        ("of no batch", "metadata"),
    ]
    objects, size, unit, _, unproved, gone, changed, not_held = rows[PLATE.batch, "profiles"]
    assert (objects, size, unit, unproved, gone, changed, not_held) == ("3", "6.00", "kB", "0", "0", "?", "?")


def test_what_changed_upstream_is_found_kept_and_told_again_without_the_gallery(platform):
    platform.put(PROFILE, b"a newer version")
    (platform.served / KEYS[1]).unlink()
    platform.put(f"{ROOT.profiles_prefix(OTHER)}{OTHER.barcode}_spherized.csv.gz", b"new")
    checked = platform.run("inventory", "--check")
    assert checked.exit_code == 0, checked.output
    assert rows_of(checked.output)[PLATE.batch, "profiles"][-4:] == ["0", "1", "1", "1"]
    assert f"1 object changed there:\n    {PROFILE}\n" in checked.output
    assert f"1 object gone from there, their files are kept:\n    {KEYS[1]}\n" in checked.output
    assert (platform.held / KEYS[1]).exists()
    assert f"compared with {ROOT} as listed on 20" in checked.output
    platform.server.close()
    again = platform.run("inventory")
    assert again.output == checked.output


def test_a_pull_keeps_what_it_lists(platform):
    run_pull = platform.run("pull", "profiles", "--level", "aggregated")
    assert run_pull.exit_code == 0
    told = json.loads(platform.run("inventory", "--json").stdout)["upstream"]
    assert [part["kind"] for part in told] == ["profiles"]
    assert told[0]["counts"]["unchanged"] > 0


def test_the_inventory_as_json_names_what_changed(platform):
    platform.put(PROFILE, b"a newer version")
    result = platform.run("inventory", "--check", "--json")
    told = json.loads(result.stdout)
    assert [(part["kind"], part["batch"], part["objects"], part["bytes"]) for part in told["held"]] == [
        ("profiles", PLATE.batch, 3, 6000),
        ("profiles", LATE.batch, 1, 4000),
        ("backends", PLATE.batch, 1, 5000),
        ("metadata", "", 1, 6000),
    ]
    profiles = told["upstream"][0]
    assert profiles["counts"] == {"new": 0, "changed": 1, "unchanged": 2, "vanished": 0}
    assert (profiles["changed"], profiles["vanished"]) == ([PROFILE], [])


def test_an_empty_store_is_said_to_be_empty_and_left_so(away, tmp_path):
    empty = tmp_path / "new"
    result = away.run("inventory", "--check", CPJUMP_STORE=str(empty))
    assert result.exit_code == 0
    assert result.output.startswith("0 objects, 0 B, held in ")
    result = away.run("verify", CPJUMP_STORE=str(empty))
    assert (result.exit_code, result.stderr) == (2, f"cpjump: nothing is held in {empty / 'gallery'}\n")
    assert not empty.exists()


def test_a_gallery_that_cannot_be_listed_is_one_line(away, monkeypatch):
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda seconds: None)
    result = away.run("inventory", "--check")
    assert result.exit_code == 2
    assert "cannot be read: no answer from http://127.0.0.1" in result.stderr
    assert "Traceback" not in result.output


def test_what_is_right_ends_with_0(away):
    result = away.run("verify")
    assert result.exit_code == 0, result.output
    assert result.output.startswith("6 objects verified, 21.0 kB in ")
    assert result.output.endswith(f", in {away.held}\n")


def damage(platform: Platform) -> None:
    (platform.held / PROFILE).write_bytes(b"\1" * 1000)
    (platform.held / KEYS[5]).write_bytes(b"short")
    (platform.held / KEYS[4]).unlink()


def test_what_is_bad_is_named_with_what_was_expected_and_found_and_ends_with_1(away):
    damage(away)
    result = away.run("verify")
    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert lines[1:5] == [
        "missing: expected 5,000 bytes, found no file",
        f"    {KEYS[4]}",
        "truncated: expected 6,000 bytes, found 5",
        f"    {KEYS[5]}",
    ]
    assert lines[5].startswith("altered: expected ETag ")
    assert lines[6] == f"    {PROFILE}"
    assert lines[7] == "3 of 6 objects are bad: 1 altered, 1 missing, 1 truncated, 3 verified"


@pytest.mark.parametrize(
    ("options", "objects"),
    [
        (["--plates", OTHER.barcode], 1),
        (["--plates", f"{PLATE.barcode},{LATE}"], 4),
        (["--prefix", ROOT.key("workspace/profiles/")], 4),
        (["--prefix", PROFILE, "--prefix", ROOT.metadata_prefix], 2),
    ],
)
def test_plates_or_prefixes_say_what_is_read(away, options, objects):
    result = away.run("verify", "--json", *options)
    assert (result.exit_code, json.loads(result.stdout)["verified"]) == (0, objects)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--plates", MAIN_PLATES[5].barcode], f"of {MAIN_PLATES[5].barcode}"),
        (["--prefix", "none/"], "of none/"),
    ],
)
def test_to_verify_what_is_not_held_is_a_mistake(away, options, said):
    result = away.run("verify", *options)
    assert result.exit_code == 2
    assert result.stderr == f"cpjump: nothing is held in {away.held} {said}\n"


def test_bad_files_are_pulled_again(platform):
    damage(platform)
    result = platform.run("verify", "--repair")
    assert result.exit_code == 0, result.output
    assert "3 objects pulled again\n" in result.output
    assert platform.run("verify").exit_code == 0


def test_what_cannot_be_pulled_again_is_named_and_ends_with_1(platform):
    damage(platform)
    (platform.held / KEYS[4]).mkdir()
    (platform.served / PROFILE).unlink()
    result = platform.run("verify", "--repair")
    assert result.exit_code == 1
    assert "Is a directory" in result.stderr
    assert "1 object pulled again\n" in result.stdout
    assert (
        f"2 objects not pulled again: the gallery has them no more, or the pull failed:\n    {KEYS[4]}\n    {PROFILE}"
        in (result.stdout)
    )
    assert (platform.held / PROFILE).read_bytes() == b"\1" * 1000


def test_a_repair_is_told_as_json(platform):
    damage(platform)
    (platform.served / PROFILE).unlink()
    told = json.loads(platform.run("verify", "--repair", "--json").stdout)
    assert told["altered"] == 1
    assert (told["pulled again"], told["not pulled again"]) == ([KEYS[4], KEYS[5]], [PROFILE])


def test_the_release_is_a_second_source(platform, reference_root):
    content = (platform.served / PROFILE).read_bytes()
    folder = f"profiles/{PLATE.batch}/{PLATE.barcode}"
    rows = [
        (f"{folder}/{PLATE.barcode}.csv.gz", len(content), hashlib.sha256(content).hexdigest()),
        (f"{folder}/{PLATE.barcode}_normalized.csv.gz", 2000, "0" * 64),
        (f"profiles/{OTHER.batch}/{OTHER.barcode}/{OTHER.barcode}.csv.gz", 1, "0" * 64),
    ]
    table = "".join(f"{path},{size},{sha256}\n" for path, size, sha256 in rows)
    (platform.reference / "lfs_pointers_2021.csv").write_text(f"path,size_bytes,sha256\n{table}")
    result = platform.run("verify", "--release")
    assert result.exit_code == 0, result.output
    assert "  1 have the sha256 of the 2021 release\n" in result.output
    assert f"1 object of the size of the 2021 release, but of another sha256: another version:\n    {KEYS[1]}" in (
        result.output
    )
    # The simulated files have other sizes than the real release, which then says nothing of them.
    real = platform.run("verify", "--release", CPJUMP_REFERENCE=str(reference_root))
    assert (real.exit_code, "2021 release" in real.output) == (0, False)
