import threading
import time
from threading import Event

import pytest

from cpjump_assets.gallery.transfer.crew import in_batches


def _all(batches):
    return sorted(item for batch in batches for item in batch)


@pytest.mark.parametrize("threads", [1, 3, 20])
@pytest.mark.parametrize("count", [0, 1, 10])
def test_each_item_is_worked_on_once(threads, count):
    given = in_batches(lambda item: item * 2, range(count), threads=threads, stop=Event(), seconds=0.01)
    assert _all(given) == [2 * item for item in range(count)]


def test_no_more_are_under_way_than_there_are_threads_and_no_item_is_taken_before_its_time():
    taken, running, most = [], [0], [0]
    lock = threading.Lock()

    def items():
        for item in range(40):
            taken.append(item)
            yield item

    def work(item):
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        assert len(taken) <= item + 4
        time.sleep(0.001)
        with lock:
            running[0] -= 1
        return item

    assert _all(in_batches(work, items(), threads=4, stop=Event(), seconds=0.01)) == list(range(40))
    assert most[0] == 4


def test_results_that_come_soon_after_each_other_come_together():
    batches = list(in_batches(lambda item: item, range(1_000), threads=2, stop=Event(), seconds=5))
    assert len(batches) == 1  # and nobody waits for the five seconds, as all is done


def test_a_slow_item_does_not_hold_back_the_others():
    release = Event()

    def work(item):
        if item == 0:
            assert release.wait(10)
        return item

    batches = in_batches(work, range(5), threads=2, stop=Event(), seconds=0.05)
    assert 0 not in next(batches)
    release.set()
    assert 0 in _all(batches)


def test_what_goes_wrong_in_a_thread_ends_all_and_comes_to_the_caller():
    done = []

    def work(item):
        if item == 3:
            raise ZeroDivisionError
        done.append(item)
        return item

    given = []
    with pytest.raises(ZeroDivisionError):
        given += in_batches(work, range(10**9), threads=2, stop=Event(), seconds=0.01)
    assert sorted(item for batch in given for item in batch) == sorted(done)


def test_nothing_is_begun_once_it_is_stopped():
    stop = Event()
    given = []
    for batch in in_batches(lambda item: item, range(10**9), threads=2, stop=stop, seconds=0.01):
        given += batch
        stop.set()
    assert sorted(given) == list(range(len(given)))


def test_a_caller_that_goes_away_stops_it():
    stop = Event()
    batches = in_batches(lambda item: item, range(10**9), threads=2, stop=stop, seconds=0.01)
    next(batches)
    batches.close()
    assert stop.is_set()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("pull")]
