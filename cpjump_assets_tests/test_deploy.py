"""The files of a deployment on one server: they name what there is, and the programs that read them take them."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from cpjump_assets.cli import main
from cpjump_assets.settings import Settings, given_variables
from cpjump_assets_tests.orchestration.proxy import needs_nginx, running_nginx
from cpjump_assets_tests.processes import answers_at, free_port

DEPLOY = Path(__file__).resolve().parents[1] / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_takes_the_units(unit: Path, tmp_path: Path) -> None:
    program = tmp_path / "cpjump"
    program.touch(mode=0o755)
    copy = tmp_path / unit.name
    copy.write_text(unit.read_text().replace("/opt/cpjump/.venv/bin/cpjump", str(program)))
    done = subprocess.run(["systemd-analyze", "verify", str(copy)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    copy.write_text(copy.read_text().replace("ExecStart=", "ExecStrat="))
    done = subprocess.run(["systemd-analyze", "verify", str(copy)], capture_output=True, text=True, check=False)
    assert "ExecStrat" in done.stderr


@needs_nginx
def test_nginx_takes_the_example_with_a_long_host_name(tmp_path: Path) -> None:
    host = f"cpjump.{'a-long-name.' * 6}institute.example.org"
    port = free_port()
    with running_nginx(tmp_path / "nginx", port=port, ui_port=free_port(), host=host):
        assert answers_at(f"http://127.0.0.1:{port}/")


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_the_units_start_commands_that_there_are(unit: Path) -> None:
    (command,) = re.findall(r"^ExecStart=\S+/cpjump (\S+)", unit.read_text(), re.MULTILINE)
    assert command in main.commands


def test_the_example_of_the_environment_can_be_used_and_is_kept_secret() -> None:
    lines = (DEPLOY / "systemd" / "environment.example").read_text().splitlines()
    example = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert set(example) - {"OMP_NUM_THREADS"} == set(given_variables(example))
    settings = Settings.from_environment(example)
    assert settings.store == Path("/var/lib/cpjump/store")
    writable = (DEPLOY / "systemd" / "cpjump.service").read_text()
    folders = re.findall(r"^ReadWritePaths=(\S+)", writable, re.MULTILINE)
    assert all(
        any(os.path.commonpath([folder, str(path)]) == folder for folder in folders)
        for path in (settings.folder, settings.dagster_home)
    )
