"""A dask cluster of processes on loopback, and work for it that goes wrong."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from distributed import Client

from cpjump_assets_tests.processes import free_port, kill_group, process, wait_until

_ROOT = Path(__file__).parents[2]


@dataclass
class Cluster:
    """A scheduler, and workers of one thread each, by name."""

    folder: Path
    port: int = field(default_factory=free_port)
    workers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _running: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _started: ExitStack = field(default_factory=ExitStack)

    @property
    def address(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    @contextmanager
    def client(self) -> Iterator[Client]:
        with Client(self.address, timeout=120, set_as_default=False) as client:
            yield client

    def start(self) -> None:
        """Start the scheduler; a plate of which two workers die is given up."""
        self._run("scheduler", "--host", "127.0.0.1", "--port", str(self.port))

    def add(self, *names: str) -> None:
        """Start workers, and wait until they are at work."""
        for name in names:
            options = ("--nthreads", "1", "--no-nanny", "--name", name, "--local-directory", str(self.folder))
            self.workers[name] = self._run("worker", self.address, *options)
        wait_until(lambda: set(names) <= set(self._names().values()), f"workers {names} have connected")

    def kill(self, name: str) -> None:
        """Kill a worker as the system does when memory runs out."""
        kill_group(self.workers.pop(name))

    def busy_with(self, task: str) -> str | None:
        """Give the name of a worker that is at work on a task of this name."""
        with self.client() as client:
            processing = client.processing()
        names = self._names()
        return next((names[at] for at, keys in processing.items() if any(task in key for key in keys)), None)

    def executed(self) -> dict[str, int]:
        """Give how many tasks each worker has executed."""
        with self.client() as client:
            counts = client.run(_executed_count)
        names = self._names()
        return {names[address]: count for address, count in counts.items()}

    def stop(self) -> None:
        """Kill all of it: workers would otherwise end what they are at."""
        for running in self._running:
            kill_group(running)
        self._started.close()

    def _names(self) -> dict[str, str]:
        with self.client() as client:
            return {
                address: worker["name"] for address, worker in client.scheduler_info(n_workers=-1)["workers"].items()
            }

    def _run(self, program: str, *options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.dask_{program}", *options, "--no-dashboard"]
        settings = {
            "PYTHONPATH": str(_ROOT),
            "OMP_NUM_THREADS": "1",
            "DASK_LOGGING__DISTRIBUTED": "critical",
            "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1",
        }
        self._running.append(self._started.enter_context(process(command, settings)))
        return self._running[-1]


def _executed_count(dask_worker: object) -> int:
    return dask_worker.state.executed_count  # type: ignore[attr-defined]


@contextmanager
def running_cluster(folder: Path, *workers: str) -> Iterator[Cluster]:
    """Run a cluster with these workers."""
    cluster = Cluster(folder)
    try:
        cluster.start()
        cluster.add(*workers)
        yield cluster
    finally:
        cluster.stop()


@dataclass(frozen=True)
class Troubled:
    """Work that gives the number of its process; some plates kill the first workers that touch them, or take long."""

    folder: Path
    deaths: Mapping[str, int] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)

    def __call__(self, plate: str) -> int:
        died = len(list(self.folder.glob(f"{plate}.*")))
        if died < self.deaths.get(plate, 0):
            (self.folder / f"{plate}.{died}").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(self.seconds.get(plate, 0))
        return os.getpid()

    def confirm(self, result: int) -> None:
        assert result != os.getpid()
