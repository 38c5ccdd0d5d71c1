"""``cpjump pull`` against a loopback gallery: what comes, what is said, and how it ends."""

import hashlib
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cpjump_assets.cli import main
from cpjump_assets.gallery.reference.released import TABLE
from cpjump_assets.simulate.s3.faults import FaultPlan, FaultRule, FlippedBit, OtherEtag, Refusal
from cpjump_assets.simulate.s3.server import S3Server

MAIN = "2020_11_04_CPJUMP1"
ROOT = "pilot/source"
PROFILES = f"workspace/profiles/{MAIN}/BR00117010/BR00117010"
IMAGES = f"images/{MAIN}/images/BR00117010__2020-11-08T18_18_00-Measurement1/Images"
KEYS = {
    f"{PROFILES}.csv.gz": 1_000,
    f"{PROFILES}_normalized_feature_select_negcon_batch.csv.gz": 200,
    f"{PROFILES}_spherized.csv.gz": 30,
    f"workspace/profiles/{MAIN}/BR00117011/BR00117011.csv.gz": 4,
    f"workspace/load_data_csv/{MAIN}/BR00117010/load_data.csv": 50,
    f"workspace/backend/{MAIN}/BR00117010/BR00117010.sqlite": 60_000,
    f"images/{MAIN}/illum/BR00117010/BR00117010_IllumDNA.npy": 700,
    f"workspace/metadata/platemaps/{MAIN}/barcode_platemap.csv": 80,
    "workspace/metadata/external_metadata/orf.tsv": 9,
    f"workspace/analysis/{MAIN}/BR00117010/analysis/BR00117010-A01-1/Cells.csv": 11,
    **{f"{IMAGES}/r01c{column:02d}f01p01-ch{channel}sk1fk1fl1.tiff": 2_000 for column in (1, 2) for channel in (1, 5)},
}


class Gallery:
    def __init__(self, server: S3Server, store: Path) -> None:
        self.server = server
        self.store = store

    def run(self, *arguments: str, **more: str) -> Result:
        environment = {
            "CPJUMP_GALLERY": f"s3://gallery/{ROOT}",
            "CPJUMP_S3_ENDPOINT": self.server.endpoint,
            "CPJUMP_STORE": str(self.store),
            "COLUMNS": "80",
            **more,
        }
        return CliRunner().invoke(main, ["pull", *arguments], env=environment, prog_name="cpjump")

    def held(self) -> set[str]:
        folder = self.store / "gallery" / ROOT
        return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("served")
    for key, size in KEYS.items():
        path = folder / "gallery" / ROOT / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size)
    with S3Server(folder) as running:
        yield running


@pytest.fixture
def gallery(server: S3Server, tmp_path: Path):
    server.faults = FaultPlan()
    return Gallery(server, tmp_path / "store")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("profiles",), {key for key in KEYS if "/profiles/" in key}),
        (("profiles", "--plates", "BR00117011"), {f"workspace/profiles/{MAIN}/BR00117011/BR00117011.csv.gz"}),
        (
            ("profiles", "--level", "selected", "--suffix", "_spherized"),
            {f"{PROFILES}_normalized_feature_select_negcon_batch.csv.gz", f"{PROFILES}_spherized.csv.gz"},
        ),
        (("load-data", "--batch", MAIN), {key for key in KEYS if "load_data" in key}),
        (("backends",), {key for key in KEYS if "/backend/" in key}),
        (("illumination",), {key for key in KEYS if "/illum/" in key}),
        (("platemaps",), {key for key in KEYS if "/platemaps/" in key}),
        (("metadata",), {key for key in KEYS if "/metadata/" in key}),
        (("analysis", "--wells", "A01", "--sites", "1-2"), {key for key in KEYS if "/analysis/" in key}),
        (("images", "--plates", "BR00117010"), {key for key in KEYS if key.startswith(IMAGES)}),
        (
            ("images", "--plates", "BR00117010", "--wells", "A02-P24", "--channels", "dna", "--sites", "1"),
            {f"{IMAGES}/r01c02f01p01-ch5sk1fk1fl1.tiff"},
        ),
    ],
)
def test_what_is_asked_for_comes(gallery, arguments, expected):
    result = gallery.run(*arguments)
    assert result.exit_code == 0, result.output
    assert gallery.held() == expected
    count = f"{len(expected)} object{'s' * (len(expected) > 1)} pulled"
    assert count in result.stdout
    assert f"{len(expected)} verified, 0 unverified, 0 retries" in result.stdout


def test_a_second_pull_brings_nothing(gallery):
    gallery.run("profiles")
    result = gallery.run("profiles")
    assert "nothing pulled; 4 objects held before" in result.stdout


def test_a_dry_run_says_what_would_come_and_writes_nothing(gallery):
    gallery.run("profiles", "--plates", "BR00117011")
    before = gallery.held()
    result = gallery.run("profiles", "--dry-run", "--plates", "BR00117010,BR00117011,BR00117012")
    assert result.exit_code == 0, result.output
    rows = [
        tuple(cell.strip() for cell in line.strip("│").split("│")) for line in result.stdout.splitlines() if "│" in line
    ]
    assert rows == [
        (f"{MAIN}.BR00117010", "3", "1.23 kB", "0", "3", "1.23 kB"),
        (f"{MAIN}.BR00117011", "1", "4 B", "1", "0", "-"),
        ("all", "4", "1.23 kB", "1", "3", "1.23 kB"),
    ]
    assert f"the gallery holds none of {MAIN}.BR00117012" in result.stdout
    assert "1.23 kB is within the budget of 50.0 GB" in result.stdout
    assert gallery.held() == before
    assert not gallery.run("profiles", "--dry-run", CPJUMP_STORE=str(gallery.store / "elsewhere")).exit_code
    assert not (gallery.store / "elsewhere").exists()


def test_a_dry_run_over_budget_says_so(gallery):
    result = gallery.run("backends", "--dry-run", "--budget", "50kB")
    assert (result.exit_code, "60.0 kB is more than the budget of 50.0 kB" in result.stdout) == (0, True)


@pytest.mark.parametrize("how", [("--budget", "50kB"), ()])
def test_a_pull_over_budget_is_refused_with_the_ways_to_allow_it(gallery, how):
    result = gallery.run("backends", *how, **({} if how else {"CPJUMP_PULL_BUDGET": "50KB"}))
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1] == (
        "cpjump: the pull would bring 1 object, 60.0 kB, more than the budget of 50.0 kB: ask for less, or allow it "
        "with --budget 1MB or CPJUMP_PULL_BUDGET=1MB"
    )
    assert gallery.held() == set()
    assert gallery.run("backends", "--budget", "1MB", CPJUMP_PULL_BUDGET="1KB").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("images",), "3 million images, 6 TB: say of which plates, for example --plates BR00117010 --wells A01-A03"),
        (("images", "--plates", "BR1"), "'BR1' is not a plate of CPJUMP1"),
        (("images", "--plates", "BR00117010", "--wells", "Q01"), "'Q01' is no well"),
        (("images", "--plates", "BR00117010", "--channels", "GFP"), "'GFP' is no channel"),
        (("profiles", "--plates", "BR00117010", "--batch", MAIN), "give one of them"),
        (("profiles", "--budget", "much"), "--budget must be an amount of data such as 500MB"),
        (("profiles", "--level", "best"), "'best' is not one of 'aggregated'"),
        (("profiles", "--plates", "BR00117012"), "holds none of the profiles that were asked for"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_code_2(gallery, arguments, said):
    result = gallery.run(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.output
    assert not gallery.store.exists()


def test_objects_that_cannot_be_pulled_are_named_and_the_others_come(gallery):
    gallery.server.faults = FaultPlan(FaultRule(Refusal("AccessDenied"), keys="*_spherized*"))
    result = gallery.run("profiles", "--plates", "BR00117010")
    assert result.exit_code == 1
    assert "2 objects pulled" in result.stdout
    (line,) = result.stderr.splitlines()
    assert line.startswith(
        f"cpjump: s3://gallery/{ROOT}/{PROFILES}_spherized.csv.gz is not readable without an account"
    )


def test_findings_are_named(gallery):
    gallery.server.faults = FaultPlan(
        FaultRule(OtherEtag(), keys="*_spherized*"), FaultRule(Refusal("NoSuchKey"), keys="*_batch*")
    )
    result = gallery.run("profiles", "--plates", "BR00117010")
    assert result.exit_code == 0
    said = result.stdout.splitlines()
    place = said.index("  1 unverified: the ETag says nothing about the bytes:")
    assert said[place + 1] == f"    {ROOT}/{PROFILES}_spherized.csv.gz"
    assert said[said.index("  1 gone since the listing:") + 1].endswith("_negcon_batch.csv.gz")


def test_profiles_are_compared_with_the_release(gallery, tmp_path):
    sums = {f"{PROFILES}.csv.gz": hashlib.sha256(b"x" * 1_000).hexdigest(), f"{PROFILES}_spherized.csv.gz": "0" * 64}
    rows = [f"{key.removeprefix('workspace/')},{KEYS[key]},{sha256}" for key, sha256 in sums.items()]
    (tmp_path / TABLE).write_text("\n".join(["path,size_bytes,sha256", *rows]))
    asked = ("profiles", "--plates", "BR00117010", "--release")
    result = gallery.run(*asked, CPJUMP_REFERENCE=str(tmp_path))
    assert result.exit_code == 0, result.output
    said = result.stdout.splitlines()
    assert "  1 with the sha256 that was released" in said
    place = said.index("  1 of the released size, and with another sha256:")
    assert said[place + 1] == f"    {ROOT}/{PROFILES}_spherized.csv.gz"


def test_json_has_the_plan_and_the_report(gallery):
    plan = json.loads(gallery.run("profiles", "--dry-run", "--json").stdout)
    assert (plan["missing_objects"], plan["missing_bytes"], plan["budget"]) == (4, 1_234, 50_000_000_000)
    assert plan["parts"][f"{MAIN}.BR00117011"]["bytes"] == 4
    gallery.server.faults = FaultPlan(FaultRule(FlippedBit(), keys="*_spherized*", times=1))
    report = json.loads(gallery.run("profiles", "--json").stdout)
    assert (report["objects"], report["bytes"], report["retries"], report["held"]) == (4, 1_234, 1, 0)
    assert report["what"] == f"profiles of s3://gallery/{ROOT}"
    assert report["failures"] == {}
    assert Path(report["folder"]) == gallery.store / "gallery"
