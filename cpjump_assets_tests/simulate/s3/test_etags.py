"""The oracle of ETags is hashlib over slices in memory; moto's are compared in ``test_server``."""

import hashlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpjump_assets.simulate.s3.etags import MEBIBYTE, UploadRule, condition_names


@given(content=st.binary(max_size=100), threshold=st.integers(1, 60), part_size=st.integers(1, 60))
def test_an_etag_is_the_md5_or_the_md5_of_the_md5s_of_the_parts(content, threshold, part_size):
    upload = UploadRule(multipart_threshold=threshold, part_size=part_size)
    parts = [content[start : start + part_size] for start in range(0, len(content), part_size)]
    if len(content) < threshold:
        expected = hashlib.md5(content).hexdigest()
    else:
        digests = b"".join(hashlib.md5(part).digest() for part in parts)
        expected = f"{hashlib.md5(digests).hexdigest()}-{len(parts)}"
    assert upload.etag(io.BytesIO(content), len(content)) == expected


def test_parts_larger_than_one_read_are_hashed_whole():
    content = bytes(range(256)) * (13 * MEBIBYTE // 1024)  # 3.25 MiB
    expected = hashlib.md5(content).hexdigest()
    assert UploadRule().etag(io.BytesIO(content), len(content)) == expected


def test_the_defaults_are_those_of_the_aws_cli():
    assert UploadRule().part_count(8 * MEBIBYTE - 1) == 0
    assert UploadRule().part_count(8 * MEBIBYTE) == 1
    assert UploadRule().part_count(8 * MEBIBYTE + 1) == 2


@pytest.mark.parametrize("sizes", [{"part_size": 0}, {"multipart_threshold": 0}])
def test_sizes_that_no_upload_can_have_are_refused(sizes):
    with pytest.raises(ValueError, match="at least 1 byte"):
        UploadRule(**sizes)


@pytest.mark.parametrize("header", ['"abc"', "abc", "*", ' "x" , "abc"', 'W/"abc"', "x,abc"])
def test_a_condition_names_an_etag(header):
    assert condition_names(header, "abc")


@pytest.mark.parametrize("header", ['"ab"', "", '"abcd"', '"ABC"', '"abc-1"'])
def test_a_condition_does_not_name_another_etag(header):
    assert not condition_names(header, "abc")
