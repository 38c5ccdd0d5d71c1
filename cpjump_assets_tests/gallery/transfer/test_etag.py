import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpjump_assets.gallery.transfer.etag import MIB, Etag, EtagCheck, could_be_part_size, likely_part_sizes


def _multipart(content: bytes, part_size: int) -> str:
    """The definition, written down without streaming."""
    parts = [content[start : start + part_size] for start in range(0, len(content), part_size)] or [b""]
    sums = b"".join(hashlib.md5(part).digest() for part in parts)
    return f"{hashlib.md5(sums).hexdigest()}-{len(parts)}"


def _answers(etag: str, content: bytes, chunk: int, part_sizes=()) -> bool:
    check = EtagCheck(Etag.parse(etag), part_sizes)
    for start in range(0, len(content), chunk):
        check.update(content[start : start + chunk])
    return check.matches()


@given(content=st.binary(max_size=60), part_size=st.integers(1, 25), chunk=st.integers(1, 25))
def test_a_body_answers_to_its_own_etag_however_it_is_cut(content, part_size, chunk):
    assert _answers(hashlib.md5(content).hexdigest(), content, chunk)
    assert _answers(_multipart(content, part_size), content, chunk, [part_size])


@given(content=st.binary(min_size=1, max_size=60), part_size=st.integers(1, 25), data=st.data())
def test_one_flipped_bit_never_passes(content, part_size, data):
    place, bit = data.draw(st.integers(0, len(content) - 1)), data.draw(st.integers(0, 7))
    flipped = content[:place] + bytes([content[place] ^ (1 << bit)]) + content[place + 1 :]
    assert not _answers(hashlib.md5(content).hexdigest(), flipped, 7)
    assert not _answers(_multipart(content, part_size), flipped, 7, [part_size])


def test_of_several_part_sizes_the_right_one_is_found():
    content = bytes(range(200))
    assert _answers(_multipart(content, 70), content, 64, [50, 70, 99])
    assert not _answers(_multipart(content, 70), content, 64, [50, 99])


@pytest.mark.parametrize(
    "text", ["", '"', "d41d8cd98f00b204e9800998ecf8427", "5f-3a9", "D41D8CD98F00B204E9800998ECF8427E", "a" * 32 + "-0"]
)
def test_other_etags_are_not_taken_for_md5(text):
    assert Etag.parse(text) is None
    assert not EtagCheck(Etag.parse(text)).matches()


@given(size=st.integers(1, 2**44), part_size=st.integers(1, 2**32))
def test_a_part_size_is_possible_exactly_for_its_own_number_of_parts(size, part_size):
    parts = (size + part_size - 1) // part_size
    assert could_be_part_size(part_size, size=size, parts=parts)
    assert not could_be_part_size(part_size, size=size, parts=parts + 1)
    assert not could_be_part_size(part_size, size=size, parts=parts - 1)


@pytest.mark.parametrize(
    ("size", "parts", "expected"),
    [
        (9 * MIB, 2, (5, 8)),
        (23_500_000_000, 2802, (8,)),
        (23_500_000_000, 1401, (16,)),
        (7 * MIB, 1, (7,)),
        (101 * MIB, 3, (50,)),
    ],
)
def test_likely_part_sizes(size, parts, expected):
    assert likely_part_sizes(size, parts) == tuple(n * MIB for n in expected)


@given(size=st.integers(1, 2**40), parts=st.integers(2, 10_000))
def test_few_part_sizes_are_ever_tried(size, parts):
    assert len(likely_part_sizes(size, parts)) <= 3
