"""Dagster's daemon as a child of the web server: schedules, sensors, queued runs, and so all alerts.

Belongs here: its process, from start to end. Does not belong here: the web server (``launcher``), what the daemon runs.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from cpjump_assets.science.errors import CpjumpError

_STOP_SECONDS = 10


class DaemonError(CpjumpError):
    """The daemon ended by itself."""


@contextmanager
def running_daemon(module: str) -> Iterator[None]:
    """Run the daemon of a code location while the block runs; should it end, this process is asked to end (SIGTERM).

    Parameters
    ----------
    module
        Holds the definitions.

    Raises
    ------
    DaemonError
        Once the block has ended, if the daemon had ended before: a web UI without it looks well and runs nothing.
    """
    command = [sys.executable, "-m", "dagster._daemon", "run", "-m", module, "--log-level", "error"]
    # A session of its own: Ctrl-C reaches the web server first, which then ends the daemon with all its children.
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    stopping, died = Event(), Event()

    def watch() -> None:
        process.wait()
        if not stopping.is_set():
            died.set()
            os.kill(os.getpid(), signal.SIGTERM)

    Thread(target=watch, name="daemon", daemon=True).start()
    try:
        yield
    finally:
        stopping.set()
        _stop(process)
        if died.is_set():
            raise DaemonError(
                f"the daemon, which runs schedules, sensors, alerts and queued runs, ended by itself with exit code "
                f"{process.returncode}; start cpjump ui again"
            )


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
