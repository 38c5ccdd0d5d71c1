"""Pulls in which bodies arrive damaged and are asked for again."""

import numpy as np
import pytest

from cpjump_assets.gallery.transfer.etag import MIB, Verification
from cpjump_assets.simulate.s3.faults import (
    ChangedObject,
    ConnectionReset,
    FaultRule,
    FlippedBit,
    IgnoredHeader,
    Refusal,
    SlowDown,
    StalledBody,
    TruncatedBody,
    WrongLength,
)

KEY = "pilot/source_4/workspace/profiles/batch/plate/plate.csv.gz"
CONTENT = np.random.default_rng(0).bytes(300_000)
LARGE = np.random.default_rng(1).bytes(9 * MIB)  # the server cuts it into parts of 8 MiB


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "fault",
    [
        FlippedBit(),
        TruncatedBody(),
        TruncatedBody(share=0),
        StalledBody(seconds=5),
        ConnectionReset(),
        SlowDown(),
        Refusal("InternalError"),
        WrongLength(0.5),
        WrongLength(1.5),
    ],
    ids=repr,
)
def test_a_damaged_answer_is_caught_and_asked_for_again(served, fault):
    served.put(KEY, CONTENT)
    listed = served.listed()
    served.fail(FaultRule(fault, times=2))
    report = served.pull(listed)
    assert (served.store / KEY).read_bytes() == CONTENT
    assert report.retries == 2
    assert report.unverified == ()


def test_what_came_before_a_body_broke_off_is_not_asked_for_again(served):
    served.put(KEY, CONTENT)
    listed = served.listed()
    served.fail(FaultRule(TruncatedBody(share=0.5), times=1))
    report = served.pull(listed)
    assert report.resumed_bytes == len(CONTENT) // 2
    assert (served.store / KEY).read_bytes() == CONTENT


@pytest.mark.parametrize("header", ["range", "if-match"])
def test_a_server_that_does_not_know_a_header_gives_right_files_all_the_same(served, header):
    served.put(KEY, CONTENT)
    listed = served.listed()
    served.fail(FaultRule(IgnoredHeader(header)), FaultRule(TruncatedBody(), times=2))
    served.pull(listed)
    assert (served.store / KEY).read_bytes() == CONTENT


def test_another_version_is_not_passed_off_by_a_server_that_does_not_know_if_match(served):
    served.put(KEY, CONTENT)
    listed = served.listed()
    served.fail(FaultRule(IgnoredHeader("if-match")), FaultRule(ChangedObject()))
    report = served.pull(listed)
    assert report.changed == (KEY,)
    assert served.row(KEY).etag != listed[0].etag


def test_a_multipart_object_is_proved_and_a_flipped_bit_in_it_is_caught(served):
    served.put(KEY, LARGE)
    (listed,) = served.listed()
    assert listed.etag.endswith("-2")
    served.fail(FaultRule(FlippedBit(), times=1))
    report = served.pull([listed])
    assert (served.store / KEY).read_bytes() == LARGE
    assert (report.retries, report.pulled[0].verification) == (1, Verification.MULTIPART)
    assert report.pulled[0].part_size == 8 * MIB
