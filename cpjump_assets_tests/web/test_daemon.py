"""The daemon beside the web server: should it end, the web server does not go on as if all were well."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from cpjump_assets.commands.exit_codes import FAILED
from cpjump_assets.settings import Settings
from cpjump_assets_tests.processes import free_port, kill_group, wait_until


def _daemon_of(ui: subprocess.Popen[bytes]) -> int | None:
    """Give the number of the daemon's process, once it is there."""
    found = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(ui.pid)], stdout=subprocess.PIPE, check=False)
    lines = [line for line in found.stdout.decode().splitlines() if "dagster._daemon" in line]
    return int(lines[0].split()[0]) if lines else None


def test_a_daemon_that_is_killed_ends_the_web_server_with_a_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cpjump_assets", "ui", "--port", str(free_port())]
    environment = os.environ | Settings(store=tmp_path / "store").to_environment()
    with (tmp_path / "said").open("wb") as said:
        ui = subprocess.Popen(command, env=environment, stdout=said, stderr=said, start_new_session=True)
    try:
        wait_until(lambda: _daemon_of(ui) is not None, "the daemon is there", every=0.1)
        daemon = _daemon_of(ui)
        os.killpg(daemon, signal.SIGKILL)
        assert ui.wait(60) == FAILED
    finally:
        kill_group(ui)
    text = (tmp_path / "said").read_text()
    assert "Traceback" not in text
    assert "cpjump: the daemon, which runs schedules, sensors, alerts and queued runs, ended by itself" in text
    assert "exit code -9" in text
