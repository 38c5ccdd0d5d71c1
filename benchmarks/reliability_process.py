"""``cpjump refresh`` as a process of its own, which can be killed.

Belongs here: starting it, its end, what it said. Does not belong here: what it works on (``reliability_platform``),
when it is killed (``reliability_kills``).

Processes are forked from a server that has imported the platform, as ``multiprocessing`` offers it, and then run the
command line as a shell does.
"""

import multiprocessing
import os
import resource
import sys
from collections.abc import Mapping
from pathlib import Path

from cpjump_assets.settings import Settings

END_SECONDS = 1_800
"""A refresh that has not ended by then hangs."""

_FORKED = multiprocessing.get_context("forkserver")
_FORKED.set_forkserver_preload(["benchmarks.reliability_loaded"])
_SAID_CHARACTERS = 2_000


class HangError(Exception):
    """A refresh did not end."""


class RefreshProcess:
    """A ``cpjump refresh`` that works on its own.

    Parameters
    ----------
    settings
        What it works on.
    log
        File for what it says.
    largest_file
        Bytes that one of its files may have; None is no limit.
    """

    def __init__(self, settings: Settings, log: Path, *, largest_file: int | None = None) -> None:
        self._log = log
        arguments = (settings.to_environment(), log, largest_file)
        self._process = _FORKED.Process(target=_refresh, args=arguments, name="cpjump refresh", daemon=True)
        self._process.start()

    @property
    def has_ended(self) -> bool:
        """Whether it has ended."""
        return self._process.exitcode is not None

    def kill(self) -> bool:
        """Kill it as the system does when memory runs out; tell whether it was still there to be killed."""
        self._process.kill()
        self._process.join()
        return self._process.exitcode == -9

    def end(self) -> int:
        """Wait for its end, and give its exit code.

        Raises
        ------
        HangError
            If it does not end.
        """
        self._process.join(END_SECONDS)
        if self._process.exitcode is None:
            self.kill()
            raise HangError(f"cpjump refresh did not end within {END_SECONDS} s: {self.said}")
        return self._process.exitcode

    @property
    def said(self) -> str:
        """Give the end of what it said."""
        return self._log.read_text(errors="replace")[-_SAID_CHARACTERS:].strip() if self._log.exists() else ""


def _refresh(environment: Mapping[str, str], log: Path, largest_file: int | None) -> None:
    """Run the command line in this process, which was forked for it."""
    with log.open("wb") as said:
        os.dup2(said.fileno(), sys.stdout.fileno())
        os.dup2(said.fileno(), sys.stderr.fileno())
    os.environ.update(environment)
    if largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))

    from cpjump_assets.cli import main

    main(["refresh"])
