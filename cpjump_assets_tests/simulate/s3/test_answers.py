"""Cutting a body is checked against slicing the bytes that it sends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpjump_assets.simulate.s3.answers import FileSlice, HangUp, Pause, body_length, cut_body, read_body

STEPS = st.lists(st.binary(max_size=6) | st.builds(Pause, st.floats(0, 1)) | st.builds(HangUp, st.booleans()))


@given(steps=STEPS, position=st.integers(0, 40))
def test_both_halves_of_a_cut_body_make_the_whole(steps, position):
    content = b"".join(step for step in steps if isinstance(step, bytes))
    head, tail = cut_body(steps, position)
    assert read_body(head) == content[:position]
    assert read_body(tail) == content[position:]
    assert [step for step in (*head, *tail) if not isinstance(step, bytes)] == [
        step for step in steps if not isinstance(step, bytes)
    ]


@given(content=st.binary(max_size=30), cuts=st.lists(st.integers(0, 30), max_size=4))
def test_a_slice_of_a_file_is_cut_as_bytes_are(tmp_path_factory, content, cuts):
    path = tmp_path_factory.mktemp("cut") / "file"
    path.write_bytes(content)
    with path.open("rb") as file:
        body = (FileSlice(file, 0, len(content)),)
        for cut in sorted(cuts, reverse=True):
            body, rest = cut_body(body, cut)
            assert read_body(rest) == content[cut : cut + body_length(rest)]
        assert read_body(body) == content[: min(cuts, default=len(content))]


def test_a_file_that_shrank_is_not_read_as_a_shorter_one(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    with path.open("rb") as file:
        piece = FileSlice(file, 0, 5)
        path.write_bytes(b"123")
        with pytest.raises(OSError, match="shrank while it was served: 3 of 5 bytes"):
            read_body((piece,))
