import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpjump_assets.gallery.transfer.amounts import (
    bytes_text,
    enough_text,
    left_text,
    objects_text,
    rate_text,
    seconds_text,
)
from cpjump_assets.settings import parse_bytes


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.00 kB"),
        (9_994, "9.99 kB"),
        (9_995, "10.0 kB"),
        (99_949, "99.9 kB"),
        (99_950, "100 kB"),
        (999_499, "999 kB"),
        (999_500, "1.00 MB"),
        (23_500_000_000, "23.5 GB"),
        (6 * 10**12, "6.00 TB"),
        (5 * 10**18, "5000 PB"),
    ],
)
def test_bytes_have_three_digits_and_a_unit(count, text):
    assert bytes_text(count) == text


@given(st.integers(0, 999 * 10**12))
def test_a_spelled_amount_reads_as_nearly_the_same(count):
    assert parse_bytes("x", bytes_text(count)) == pytest.approx(count, rel=0.005)


@given(st.integers(1, 10**15))
def test_what_is_called_enough_is_enough_and_not_much_more(count):
    enough = parse_bytes("x", enough_text(count))
    assert count <= enough < count + 10**9
    assert enough < count + 10**6 or count >= 10**9


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 s"), (9.94, "9.9 s"), (9.95, "10 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (3599.6, "1 h 0 min")],
)
def test_durations_are_spelled_in_two_units_at_most(seconds, text):
    assert seconds_text(seconds) == text


@pytest.mark.parametrize(("seconds", "text"), [(0.2, "1 s left"), (61, "1 min 1 s left"), (7800, "2 h 10 min left")])
def test_what_is_left_is_spelled_in_whole_seconds(seconds, text):
    assert left_text(seconds) == text


def test_rates_and_counts():
    assert rate_text(3_000_000, 2) == "1.50 MB/s"
    assert rate_text(1, 0) == "-"
    assert [objects_text(count) for count in (0, 1, 27_648)] == ["0 objects", "1 object", "27,648 objects"]
