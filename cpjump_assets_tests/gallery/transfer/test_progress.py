from concurrent.futures import ThreadPoolExecutor

import pytest

from cpjump_assets.gallery.transfer.progress import LogProgress, NoProgress


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def lines():
    return []


def test_a_line_says_what_came_how_fast_and_what_is_left(clock, lines):
    progress = LogProgress(lines.append, every=10, clock=clock)
    progress.begin(4, 400_000_000)
    for _ in range(2):
        clock.now += 10
        progress.advance(50_000_000)
        progress.finish_object()
    progress.retry("k", "the body broke off")
    clock.now += 20
    progress.advance(20_000_000)
    assert lines == [
        "pulled 0 of 4 objects, 50.0 MB of 400 MB at 5.00 MB/s, about 1 min 10 s left",
        "pulled 1 of 4 objects, 100 MB of 400 MB at 5.00 MB/s, about 1 min 0 s left",
        "pulled 2 of 4 objects, 120 MB of 400 MB at 1.00 MB/s, about 1 min 34 s left; retries: 1",
    ]


def test_lines_keep_their_distance_and_short_pulls_are_silent(clock, lines):
    progress = LogProgress(lines.append, every=10, clock=clock)
    progress.begin(1, 1_000)
    for _ in range(39):
        clock.now += 1
        progress.advance(1)
    progress.end()
    assert len(lines) == 3


def test_bytes_of_a_try_that_was_thrown_away_are_taken_back(clock, lines):
    progress = LogProgress(lines.append, every=10, clock=clock)
    progress.begin(1, 1_000)
    progress.advance(900)
    clock.now += 10
    progress.advance(-900)
    assert lines == ["pulled 0 of 1 objects, 0 B of 1.00 kB at 0 B/s"]


def test_many_threads_may_tell_at_once(clock, lines):
    progress = LogProgress(lines.append, every=10, clock=clock)
    progress.begin(8, 8_000)
    with ThreadPoolExecutor(8) as pool:
        for _ in range(8):
            pool.submit(lambda: [progress.advance(1) for _ in range(1_000)])
            pool.submit(progress.finish_object)
    clock.now += 10
    progress.advance(0)
    assert lines[0].startswith("pulled 8 of 8 objects, 8.00 kB of 8.00 kB")


def test_nobody_has_to_listen(capsys):
    progress = NoProgress()
    progress.begin(1, 1)
    progress.advance(1)
    progress.retry("k", "why")
    progress.finish_object()
    progress.end()
    assert capsys.readouterr() == ("", "")
