"""Servers that tests start as processes of their own: Postgres, the Dagster daemon, the web UI."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from cpjump_assets.settings import Settings
from cpjump_assets.web import prepare_home

START_SECONDS = 180
_STOP_SECONDS = 20


def free_port() -> int:
    """Give a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(holds: Callable[[], bool], what: str, *, seconds: float = START_SECONDS, every: float = 0.5) -> None:
    """Wait until something holds; fail, saying what did not, when it takes too long."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain: {what}"
        time.sleep(every)


@contextmanager
def process(
    command: Sequence[str], environment: Mapping[str, str] | None = None, *, stop: signal.Signals = signal.SIGTERM
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program in a session of its own, and end it with all its children."""
    started = subprocess.Popen(command, env=os.environ | dict(environment or {}), start_new_session=True)
    try:
        yield started
    finally:
        started.send_signal(stop)
        try:
            started.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        finally:
            kill_group(started)


def kill_group(started: subprocess.Popen[bytes]) -> None:
    """Kill a program of ``process`` and its children, as the system does when memory runs out."""
    with suppress(ProcessLookupError):
        os.killpg(started.pid, signal.SIGKILL)
    started.wait()


def environment_of(settings: Settings) -> dict[str, str]:
    """Give the variables with which another process works on the same platform; its Dagster home is made."""
    return {**settings.to_environment(), "DAGSTER_HOME": str(prepare_home(settings))}


@contextmanager
def running_daemon(
    settings: Settings, module: str = "cpjump_assets.definitions", **variables: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Run the Dagster daemon: schedules, sensors, automation, queued runs; of another module where one is named."""
    command = [sys.executable, "-m", "dagster._daemon", "run", "-m", module]
    with process([*command, "--log-level", "warning"], environment_of(settings) | variables) as started:
        yield started


@contextmanager
def running_ui(settings: Settings, *options: str) -> Iterator[str]:
    """Run ``cpjump ui``, and give its address once it answers."""
    port = free_port()
    command = [sys.executable, "-m", "cpjump_assets", "ui", "--port", str(port), *options]
    with process(command, settings.to_environment(), stop=signal.SIGINT) as started:

        def answers() -> bool:
            assert started.poll() is None, "cpjump ui ended before it answered"
            return answers_at(f"http://127.0.0.1:{port}/server_info")

        wait_until(answers, "cpjump ui answers")
        yield f"http://127.0.0.1:{port}"


def answers_at(url: str) -> bool:
    """Tell whether something answers at an address, be it a refusal."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status == 200
    except urllib.error.HTTPError:
        return True
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False


@dataclass(frozen=True)
class Postgres:
    """A Postgres server of Debian, in a folder of its own on loopback."""

    folder: Path
    port: int
    programs: Path

    @property
    def url(self) -> str:
        """Address of the database, with user and password."""
        return f"postgresql://cpjump:secret-of-the-test@127.0.0.1:{self.port}/cpjump"

    def start(self) -> None:
        """Start, or start again; returns when connections are taken."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.folder} -c fsync=off"
        log = str(self.folder / "log")
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-w", "-l", log, "-o", options, "start")

    def stop(self, mode: str = "immediate") -> None:
        """Stop as a crash does, or ``fast``."""
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-m", mode, "-w", "stop")

    def kill(self) -> None:
        """Stop it if it runs."""
        if (self.folder / "data" / "postmaster.pid").exists():
            self.stop()

    def execute(self, statement: str, database: str = "cpjump") -> str:
        """Run SQL as the superuser and give what it prints."""
        options = ["-h", str(self.folder), "-p", str(self.port), "-U", "postgres", "-At", "-d", database]
        return self._run("psql", *options, "-c", statement)

    def _run(self, program: str, *options: str) -> str:
        # Postgres refuses to run as root; its own user does it then.
        as_postgres = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        path = str(self.programs / program)
        done = subprocess.run([*as_postgres, path, *options], stdout=subprocess.PIPE, cwd=self.folder, check=True)
        return done.stdout.decode().strip()


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """Run Postgres with a database ``cpjump``; skips where Debian's server is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not found:
        pytest.skip("Postgres is not installed")
    # Not below pytest's folders: the user that runs the server may not enter those of root, and socket names are short.
    home = Path(tempfile.gettempdir()) / f"pg{free_port()}"
    server = Postgres(home, free_port(), found[-1])
    home.mkdir()
    try:
        if os.geteuid() == 0:
            shutil.chown(home, pwd.getpwnam("postgres").pw_name)
        server._run("initdb", "-D", str(home / "data"), "-U", "postgres", "--auth", "trust", "--no-sync")
        server.start()
        server.execute("create role cpjump login password 'secret-of-the-test'", "postgres")
        server.execute("create database cpjump owner cpjump", "postgres")
        yield server
    finally:
        server.kill()
        shutil.rmtree(home)
