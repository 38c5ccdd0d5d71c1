"""Pulls that are ended from outside, and go on."""

import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from cpjump_assets.simulate.s3.faults import FaultRule, StalledBody

CONTENT = np.random.default_rng(0).bytes(300_000)

_PULL_IN_ANOTHER_PROCESS = """
import pathlib, sys
from cpjump_assets.gallery.gallery import Gallery
from cpjump_assets.gallery.listing import list_objects
bucket, endpoint, store = sys.argv[1:]
gallery = Gallery.connect(f"s3://{bucket}", endpoint=endpoint, connections=2)
gallery.pull(list_objects(gallery.client, bucket, "p/"), pathlib.Path(store))
"""


def test_an_interrupted_pull_does_not_wait_for_a_server_that_is_silent(served):
    for number in range(3):
        served.put(f"p/{number}", CONTENT)
    served.fail(FaultRule(StalledBody(seconds=120)))  # where the client waits for 30
    arguments = [sys.executable, "-c", _PULL_IN_ANOTHER_PROCESS, served.bucket, served.server.endpoint, served.store]
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True) as process:
        while len(served.requests()) < 2:
            time.sleep(0.002)
        time.sleep(0.2)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert time.monotonic() - began < 25
    assert "KeyboardInterrupt" in errors
    assert served.files() == set()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_pull_that_is_ended_from_outside_can_go_on(served, how):
    keys = {f"p/{number:02d}" for number in range(20)}
    for key in keys:
        served.put(key, CONTENT)
    served.fail(FaultRule(StalledBody(seconds=120), keys="p/1?"))  # these do not come before it is ended
    arguments = [sys.executable, "-c", _PULL_IN_ANOTHER_PROCESS, served.bucket, served.server.endpoint, served.store]
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True) as process:
        while not any(key.startswith("p/1") for key in served.requests()):
            time.sleep(0.002)
        process.send_signal(how)
        _, errors = process.communicate(timeout=60)
    unfinished = {name for name in served.files() if name.endswith(".part")}
    complete = served.files() - unfinished
    assert complete <= {key for key in keys if key < "p/1"}
    assert all((served.store / name).read_bytes() == CONTENT for name in complete)
    if how == signal.SIGINT:
        assert "KeyboardInterrupt" in errors
        assert not unfinished
    served.fail()
    report = served.pull()
    assert len(report.pulled) + report.skipped == len(keys)
    assert served.files() - unfinished == keys
