"""The command line: what it writes, what it says, and how it ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from cpjump_assets.cli import main
from cpjump_assets.science.strategies import STRATEGIES
from cpjump_assets.simulate.backends import CellConfig, write_backend, write_site_tables
from cpjump_assets.simulate.config import Size
from cpjump_assets.simulate.s3.faults import FaultPlan, FaultRule, Latency
from cpjump_assets.simulate.s3.server import S3Server
from cpjump_assets.simulate.writer import simulate_gallery
from cpjump_assets_tests.gallery.helpers_cells import simulated_cells
from cpjump_assets_tests.processes import wait_until


def _run(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(main, arguments, env=environment, prog_name="cpjump")


# Wells of train, validate and test on the published tables (requirements of the split note).
PUBLISHED = {
    "cpjump1_official_representation": (7_679, 2_490, 2_560),
    "cpjump1_official_gene_compound": (7_636, 2_543, 2_550),
    "cellclip_cpjump_style": (9_560, 0, 3_169),
}


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_split_writes_the_published_counts(reference_root: Path, tmp_path: Path, strategy: str, suffix: str) -> None:
    out = tmp_path / f"manifest{suffix}"
    result = _run("split", strategy, "--out", str(out), CPJUMP_REFERENCE=str(reference_root))
    assert result.exit_code == 0, result.output
    frame = pd.read_csv(out) if suffix == ".csv" else pd.read_parquet(out)
    counts = frame["subset"].value_counts()
    assert tuple(counts.get(subset, 0) for subset in ("train", "validate", "test")) == PUBLISHED[strategy]
    assert f"{PUBLISHED[strategy][0]:,} wells" in result.output


@pytest.mark.parametrize(
    ("options", "environment"),
    [
        (("--exclude", "stain_anomaly", "--exclude", "seeding_failure"), {}),
        ((), {"CPJUMP_EXCLUDE": "seeding_failure,stain_anomaly"}),
    ],
)
def test_split_leaves_out_known_issues_and_its_audit_says_so(
    reference_root: Path, tmp_path: Path, options: tuple[str, ...], environment: dict[str, str]
) -> None:
    out = tmp_path / "manifest.csv"
    environment = environment | {"CPJUMP_REFERENCE": str(reference_root)}
    result = _run("split", STRATEGIES[0], *options, "--out", str(out), **environment)
    assert result.exit_code == 0, result.output
    frame = pd.read_csv(out)
    assert frame["subset"].value_counts().to_dict() == {"train": 2_559, "test": 1_920}
    assert frame["control_policy"].unique().tolist() == [
        "drop_negcon_and_empty+without_seeding_failure+without_stain_anomaly"
    ]
    audited = _run("audit", str(out), CPJUMP_REFERENCE=str(reference_root))
    assert audited.exit_code == 0, audited.output


def test_audit_of_a_sound_manifest_ends_with_0_and_of_a_leaking_one_with_1(
    reference_root: Path, tmp_path: Path
) -> None:
    out = tmp_path / "manifest.csv"
    assert _run("split", STRATEGIES[0], "--out", str(out), CPJUMP_REFERENCE=str(reference_root)).exit_code == 0
    sound = _run("audit", str(out), CPJUMP_REFERENCE=str(reference_root))
    assert sound.exit_code == 0, sound.output
    assert "broad_sample" in sound.output

    frame = pd.read_csv(out)
    again = frame.head(1).assign(subset="test" if frame["subset"].iloc[0] == "train" else "train")
    pd.concat([frame, again]).to_csv(out, index=False)
    leaking = _run("audit", str(out), CPJUMP_REFERENCE=str(reference_root))
    assert leaking.exit_code == 1
    assert "breach" in leaking.output


@pytest.mark.parametrize(
    ("arguments", "environment", "said"),
    [
        (("split", "random", "--out", "x.csv"), {}, "'random' is not one of"),
        (("split", STRATEGIES[0], "--exclude", "edge", "--out", "x.csv"), {}, "'edge' is not one of 'seeding_failure'"),
        (("split", STRATEGIES[0], "--out", "x.csv"), {"CPJUMP_EXCLUDE": "edge"}, "CPJUMP_EXCLUDE must be known issues"),
        (("split", STRATEGIES[0], "--out", "x.csv"), {"CPJUMP_REFERENCE": "/no/such/folder"}, "CPJUMP_REFERENCE"),
        (("refresh",), {"CPJUMP_CONNECTIONS": "many"}, "CPJUMP_CONNECTIONS must be a whole number"),
        (("refresh", "--plates", "BR00000000"), {}, "'BR00000000' is not a plate of CPJUMP1"),
        (
            ("refresh", "--plates", "BR00117010", "--batch", "2020_11_19_TimepointDay4"),
            {},
            "give one of them",
        ),
        (("refresh",), {"CPJUMP_REFRESH_CRON": "99 3 * * 1"}, "CPJUMP_REFRESH_CRON must be a cron expression"),
        (("refresh",), {"DAGSTER_HOME": "relative"}, "DAGSTER_HOME must be an absolute path"),
        (("ui", "--demo", "/no/such/folder"), {}, "run `cpjump demo --folder /no/such/folder` first"),
        (("audit", "/no/such/manifest.csv"), {}, "does not exist"),
    ],
)
def test_bad_input_is_one_clear_line_and_exit_code_2(
    arguments: tuple[str, ...], environment: dict[str, str], said: str
) -> None:
    result = _run(*arguments, **environment)
    assert result.exit_code == 2
    assert said in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("how", ["median", "mean"])
def test_aggregate_writes_the_same_wells_from_either_form_of_single_cells(tmp_path: Path, how: str) -> None:
    cells = simulated_cells(config=CellConfig(sites=1))
    write_backend(cells, tmp_path / "cells.sqlite")
    write_site_tables(cells, tmp_path / "analysis")
    frames = []
    for source, out in (("cells.sqlite", "a.csv"), ("analysis", "b.parquet")):
        place = str(tmp_path / out)
        result = _run("aggregate", str(tmp_path / source), "--plate", "BR00117010", "--out", place, "--how", how)
        assert result.exit_code == 0, result.output
        assert f"{how} of " in result.output
        assert "5 wells, 7 features" in result.output
        assert "379 wells without cells" in result.output
        frames.append(pd.read_csv(place) if out.endswith("csv") else pd.read_parquet(place))
    pd.testing.assert_frame_equal(frames[0], frames[1], rtol=1e-15)
    skew = cells.config.skew * cells.spread if how == "mean" else 0.0
    np.testing.assert_allclose(frames[1][list(cells.profiles.features)], cells.profiles.matrix + skew, rtol=1e-12)


def test_aggregate_refuses_what_it_cannot_read_or_write(tmp_path: Path) -> None:
    (tmp_path / "cells.sqlite").write_text("nothing of the kind")
    for plate, out, said in (
        ("BR00117010", "a.xlsx", "expected a name that ends in .csv or .parquet"),
        ("BR00000000", "a.csv", "plate 'BR00000000' is not one of the 107 acquisitions"),
        ("BR00117010", "a.csv", "expected an SQLite database, found a file that begins with b'nothing of t'"),
    ):
        place = str(tmp_path / out)
        result = _run("aggregate", str(tmp_path / "cells.sqlite"), "--plate", plate, "--out", place)
        assert result.exit_code == 2
        assert said in result.output.replace("\n", " ")
        assert not Path(place).exists()


def test_a_file_with_another_suffix_is_refused(reference_root: Path, tmp_path: Path) -> None:
    out = tmp_path / "manifest.xlsx"
    result = _run("split", STRATEGIES[0], "--out", str(out), CPJUMP_REFERENCE=str(reference_root))
    assert result.exit_code == 2
    assert "expected a name that ends in .csv or .parquet" in result.output
    assert not out.exists()


@pytest.mark.parametrize("content", ["", "<html></html>", "Metadata_Plate,Metadata_Well\nBR00117010,A01\n"])
def test_a_manifest_that_is_none_is_refused(reference_root: Path, tmp_path: Path, content: str) -> None:
    path = tmp_path / "manifest.csv"
    path.write_text(content)
    result = _run("audit", str(path), CPJUMP_REFERENCE=str(reference_root))
    assert result.exit_code == 2
    assert "manifest.csv" in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("command", ["demo", "refresh", "split", "audit", "aggregate", "ui"])
def test_every_command_explains_itself_with_an_example(command: str) -> None:
    result = _run(command, "--help")
    assert result.exit_code == 0
    assert f"cpjump {command}" in result.output.split("Example", 1)[1]


def test_version_names_the_platform_and_dagster() -> None:
    lines = _run("version").output.splitlines()
    assert [line.split()[0] for line in lines] == ["cpjump-assets", "dagster"]
    assert lines[1].startswith("dagster 1.13.")


def test_ctrl_c_ends_a_refresh_with_one_line_and_leaves_no_half_written_file(tmp_path: Path) -> None:
    gallery = simulate_gallery(tmp_path / "gallery", size=Size("tiny", n_features=20))
    slow = FaultPlan(FaultRule(Latency(1.0), keys="*.csv.gz"))
    with S3Server(gallery.bucket_root, faults=slow) as server:
        environment = os.environ | {
            "CPJUMP_S3_ENDPOINT": server.endpoint,
            "CPJUMP_REFERENCE": str(gallery.reference_root),
            "CPJUMP_STORE": str(tmp_path / "store"),
        }
        command = [sys.executable, "-m", "cpjump_assets", "refresh"]
        process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        pulled = tmp_path / "store" / "gallery"
        wait_until(lambda: any(pulled.rglob("*.csv.gz*")), "a plate is being pulled", every=0.05)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert said.strip().splitlines()[-1].startswith("cpjump: interrupted")
    assert "Traceback" not in said
    assert not list((tmp_path / "store").rglob("*.part"))
