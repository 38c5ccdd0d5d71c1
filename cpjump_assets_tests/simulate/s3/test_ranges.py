"""The oracle of ranges is plain slicing of bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpjump_assets.simulate.s3.errors import S3Error
from cpjump_assets.simulate.s3.etags import UploadRule
from cpjump_assets.simulate.s3.ranges import span_of_part, span_of_range

SIZES = st.integers(0, 40)
POSITIONS = st.integers(0, 60)


@given(size=SIZES, first=POSITIONS, last=st.none() | POSITIONS)
def test_a_range_selects_what_slicing_selects(size, first, last):
    content = bytes(range(size))
    header = f"bytes={first}-" if last is None else f"bytes={first}-{last}"
    if last is not None and last < first:
        assert span_of_range(header, size) is None
        return
    wanted = content[first:] if last is None else content[first : last + 1]
    if not wanted:
        with pytest.raises(S3Error, match="InvalidRange"):
            span_of_range(header, size)
    else:
        start, stop = span_of_range(header, size)
        assert content[start:stop] == wanted


@given(size=st.integers(1, 40), wanted=st.integers(1, 60))
def test_a_suffix_selects_what_slicing_from_the_end_selects(size, wanted):
    content = bytes(range(size))
    start, stop = span_of_range(f"bytes=-{wanted}", size)
    assert content[start:stop] == content[-wanted:]


@pytest.mark.parametrize(
    "header", ["bytes=0-1,4-5", "bytes=5-2", "items=0-1", "bytes=a-b", "bytes=-", "bytes", "", "bytes=--1", "bytes=٣-٤"]
)
def test_what_is_no_single_range_asks_for_the_whole_object(header):
    assert span_of_range(header, 10) is None


def test_a_number_of_thousands_of_digits_is_no_range():
    assert span_of_range(f"bytes=0-{'9' * 5000}", 10) is None


def test_the_largest_number_that_a_header_can_hold_is_cut_to_the_object():
    assert span_of_range(f"bytes=3-{'9' * 19}", 10) == (3, 10)


@pytest.mark.parametrize("size", [0, 10])
def test_the_last_zero_bytes_cannot_be_had(size):
    with pytest.raises(S3Error, match="InvalidRange"):
        span_of_range("bytes=-0", size)


def test_the_end_of_an_empty_object_is_the_empty_object():
    assert span_of_range("bytes=-5", 0) is None


@given(size=SIZES, header=st.text(alphabet="bytes=-, 0123456789", max_size=12) | st.text(max_size=12))
def test_no_header_gives_an_empty_span_or_one_outside_the_object(size, header):
    try:
        span = span_of_range(header, size)
    except S3Error as error:
        assert error.code == "InvalidRange"
    else:
        assert span is None or 0 <= span.start < span.stop <= size


@given(size=st.integers(1, 200), part_size=st.integers(1, 50))
def test_the_parts_of_an_object_add_up_to_it(size, part_size):
    upload = UploadRule(multipart_threshold=1, part_size=part_size)
    spans = [span_of_part(str(number + 1), size, upload) for number in range(upload.part_count(size))]
    assert [byte for span in spans for byte in range(*span)] == list(range(size))
    assert all(stop - start == part_size for start, stop in spans[:-1])
    with pytest.raises(S3Error, match="InvalidPartNumber"):
        span_of_part(str(len(spans) + 1), size, upload)


def test_an_object_uploaded_in_one_piece_is_its_own_part_one():
    assert span_of_part("1", 10, UploadRule()) == (0, 10)
    assert span_of_part("1", 0, UploadRule()) is None
    with pytest.raises(S3Error, match="InvalidPartNumber"):
        span_of_part("2", 10, UploadRule())


@pytest.mark.parametrize("number", ["0", "-1", "10001", "one", "", "9" * 5000])
def test_what_is_no_part_number_is_refused(number):
    with pytest.raises(S3Error, match="InvalidArgument: Part number must be an integer between 1 and 10000"):
        span_of_part(number, 10, UploadRule())
