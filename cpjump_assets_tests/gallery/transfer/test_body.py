import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpjump_assets.gallery.transfer.body import BodyFaultError, RetryPolicy, try_repeatedly
from cpjump_assets.science.errors import GalleryError


@given(st.text(max_size=8), st.integers(0, 3))
def test_waits_grow_stay_in_bounds_and_are_the_same_on_every_run(key, seed):
    policy = RetryPolicy(attempts=7, first_wait=0.5, longest_wait=8.0, seed=seed)
    waits = list(policy.waits(key))
    assert waits[0] == 0
    for wait, longest in zip(waits[1:], [0.5, 1, 2, 4, 8, 8], strict=True):
        assert longest / 2 <= wait <= longest
    assert waits == list(policy.waits(key))


def test_objects_that_failed_together_do_not_come_back_together():
    waits = {key: tuple(RetryPolicy().waits(key)) for key in ("a", "b", "c")}
    assert len(set(waits.values())) == 3
    assert tuple(RetryPolicy(seed=1).waits("a")) != waits["a"]


def test_it_ends_with_the_first_success_and_counts_the_tries_before():
    faults = iter([BodyFaultError("one"), BodyFaultError("two")])
    waited = []

    def attempt() -> str:
        fault = next(faults, None)
        if fault is not None:
            raise fault
        return "content"

    assert try_repeatedly(attempt, "k", RetryPolicy(attempts=5), wait=waited.append) == ("content", 2)
    assert waited == list(RetryPolicy().waits("k"))[:3]


def test_it_gives_up_with_the_key_and_the_last_fault():
    tries = []

    def attempt() -> None:
        tries.append(None)
        raise BodyFaultError(f"fault {len(tries)}")

    with pytest.raises(GalleryError, match=r"^k could not be read in 3 tries: fault 3$"):
        try_repeatedly(attempt, "k", RetryPolicy(attempts=3), wait=lambda seconds: None)
    assert len(tries) == 3


def test_other_errors_are_not_tried_again():
    tries = []

    def attempt() -> None:
        tries.append(None)
        raise GalleryError("gone")

    with pytest.raises(GalleryError, match="gone"):
        try_repeatedly(attempt, "k", RetryPolicy(), wait=lambda seconds: None)
    assert len(tries) == 1
