"""Peak memory: what this process and its children hold shows, pages that they share count once."""

import subprocess
import sys
from types import SimpleNamespace

import psutil
import pytest

from cpjump_assets import memory
from cpjump_assets.memory import PeakMemory

MB = 1_000_000

# Each program runs in a small process of its own, because the share that a large one has in the pages of its libraries
# changes with whatever else runs.
_HEAD = f"""
import os, subprocess, sys, time
from cpjump_assets.memory import PeakMemory
def wait_for(memory, seconds=10):
    deadline = time.monotonic() + seconds
    while memory.peak < {100 * MB} and time.monotonic() < deadline:
        time.sleep(0.01)
"""
_FREED = f"""
with PeakMemory(interval=0.01) as memory:
    held = b"x" * {100 * MB}
    wait_for(memory)
    del held
    time.sleep(0.05)
"""
_SHORT = f"""
with PeakMemory(interval=60) as memory:
    time.sleep(0.05)
    held = b"x" * {100 * MB}
"""
_CHILD = f"""
program = "held = b'x' * {100 * MB}; input()"
with PeakMemory(interval=0.01) as memory:
    with subprocess.Popen([*through, sys.executable, "-c", program], stdin=subprocess.PIPE) as child:
        wait_for(memory)
        child.communicate(b"x")
"""
_OF_THIS_PROCESS = "through = []\n"
_OF_A_SHELL = """through = ["/bin/sh", "-c", '"$@"; true', "sh"]\n"""
_FORK = f"""
held = b"x" * {100 * MB}
reads, writes = os.pipe()
if os.fork() == 0:
    os.close(writes)
    os.read(reads, 1)  # until the parent ends
    os._exit(0)
with PeakMemory(interval=0.01) as memory:
    time.sleep(0.1)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a page that processes share is told in no such way")
@pytest.mark.parametrize(
    "program",
    [_FREED, _SHORT, _OF_THIS_PROCESS + _CHILD, _OF_A_SHELL + _CHILD, _FORK],
    ids=[
        "freed again before the end",
        "in a block shorter than the interval",
        "in a child",
        "in a child of a child",
        "shared with a fork",
    ],
)
def test_a_hundred_megabytes_show_once(program):
    whole = f"{_HEAD}{program}print(memory.peak)"
    ended = subprocess.run([sys.executable, "-c", whole], capture_output=True, text=True, check=True, timeout=60)
    assert 100 * MB < int(ended.stdout) < 150 * MB


class _Process:
    """Stands in for a process of another system, or one that has just ended."""

    def __init__(self, info, children=()):
        self._info, self._children = info, list(children)

    def children(self, *, recursive):
        assert recursive
        return self._children

    def memory_full_info(self):
        if isinstance(self._info, Exception):
            raise self._info
        return self._info


@pytest.mark.parametrize("gone", [psutil.NoSuchProcess(1), psutil.ZombieProcess(1), psutil.AccessDenied(1)])
def test_a_child_that_ends_between_listing_and_reading_does_not_end_the_watch(monkeypatch, gone):
    children = [_Process(gone), _Process(SimpleNamespace(pss=20, uss=2))]
    parent = _Process(SimpleNamespace(pss=100, uss=1), children)
    monkeypatch.setattr(memory.psutil, "Process", lambda pid: parent)
    with PeakMemory() as peak:
        pass
    assert peak.peak == 120


def test_without_a_proportional_size_the_unique_one_stands_in(monkeypatch):
    monkeypatch.setattr(memory.psutil, "Process", lambda pid: _Process(SimpleNamespace(uss=7)))
    with PeakMemory() as peak:
        pass
    assert peak.peak == 7
