"""What is news: one message for an event, none for what was told; compared with a plain model over random histories."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpjump_assets.alerts.events import AlertEvent, Subject
from cpjump_assets.alerts.state import DIGEST_ABOVE, REMEMBERED, AlertState
from cpjump_assets.science.errors import StoreError
from cpjump_assets_tests.alerts.samples import CHECK, event, plate_check


def told(state: AlertState) -> list[str]:
    """Give the keys of the events in all messages, in their order."""
    return [key for queued in state.outbox for key in queued.message.keys]


def test_a_failure_opens_an_incident_and_is_told() -> None:
    state = AlertState().receive([event()], "7")
    assert told(state) == [f"{CHECK.key}@0"]
    assert state.cursor == "7"
    incident = state.incidents[CHECK.key]
    assert (incident.opened_by, incident.failures, incident.severity) == (f"{CHECK.key}@0", 1, "error")


def test_a_further_failure_is_counted_and_not_told() -> None:
    state = AlertState().receive([event()], None).receive([event(minute=5)], None)
    assert told(state) == [f"{CHECK.key}@0"]
    assert state.incidents[CHECK.key].failures == 2


def test_a_recovery_closes_and_says_since_when_it_failed() -> None:
    state = AlertState().receive([event(), event(minute=5), event(state="recovered", minute=9)], None)
    assert told(state) == [f"{CHECK.key}@0", f"{CHECK.key}@9"]
    assert not state.incidents
    numbers = dict(state.outbox[-1].message.events[0].numbers)
    assert numbers["failed since"] == event().happened_at
    assert numbers["failures"] == "2"


def test_a_recovery_of_what_was_never_wrong_is_no_news() -> None:
    assert told(AlertState().receive([event(state="recovered")], None)) == []


def test_a_success_from_before_the_failure_does_not_close_it() -> None:
    state = AlertState().receive([event(minute=5)], None)
    state = state.receive([event(state="recovered", minute=4)], None)
    assert CHECK.key in state.incidents


def test_one_partition_does_not_close_another() -> None:
    state = AlertState().receive([event(plate_check(1)), event(plate_check(2))], None)
    state = state.receive([event(plate_check(1), "recovered", minute=1)], None)
    assert list(state.incidents) == [plate_check(2).key]


def test_it_fails_again_after_a_recovery() -> None:
    events = [event(), event(state="recovered", minute=1), event(minute=2)]
    assert told(AlertState().receive(events, None)) == [one.key for one in events]


def test_a_warning_that_becomes_an_error_is_told_again() -> None:
    state = AlertState().receive([event(severity="warning"), event(severity="warning", minute=1)], None)
    state = state.receive([event(minute=2), event(minute=3)], None)
    assert told(state) == [f"{CHECK.key}@0", f"{CHECK.key}@2"]
    assert state.incidents[CHECK.key].severity == "error"


@pytest.mark.parametrize(("subject", "times"), [(Subject("run", "profiles", partition="a"), [0, 1501]), (CHECK, [0])])
def test_a_run_that_fails_again_after_a_day_is_told_again(subject: Subject, times: list[int]) -> None:
    minutes = (0, 60, 1501, 2900)  # a day has 1,440
    state = AlertState().receive([event(subject, minute=minute) for minute in minutes], None)
    assert told(state) == [f"{subject.key}@{minute}" for minute in times]
    assert state.incidents[subject.key].failures == 4


def test_events_are_taken_in_the_order_in_which_they_happened() -> None:
    events = [event(state="recovered", minute=1), event()]
    assert told(AlertState().receive(events, None)) == [f"{CHECK.key}@0", f"{CHECK.key}@1"]


@pytest.mark.parametrize("count", [1, DIGEST_ABOVE, DIGEST_ABOVE + 1, 107])
def test_many_at_once_are_one_digest_with_all_keys(count: int) -> None:
    events = [event(plate_check(number)) for number in range(count)]
    state = AlertState().receive(events, None)
    assert len(state.outbox) == (1 if count > DIGEST_ABOVE else count)
    assert sorted(told(state)) == sorted(one.key for one in events)


def test_what_is_no_news_makes_no_digest() -> None:
    events = [event(plate_check(number)) for number in range(DIGEST_ABOVE)]
    again = [event(subject.subject, minute=1) for subject in events]
    assert len(AlertState().receive([*events, *again], None).outbox) == DIGEST_ABOVE


def test_messages_are_numbered_for_ever() -> None:
    state = AlertState().receive([event()], None)
    state = replace(state, outbox=()).receive([event(plate_check(1)), event(plate_check(2))], None)
    assert [queued.message.number for queued in state.outbox] == [2, 3]


def test_the_memory_is_bounded() -> None:
    state = AlertState()
    for minute in range(0, REMEMBERED + 500, 100):
        state = state.receive([event(minute=minute + further) for further in range(100)], None)
    assert len(state.seen) == REMEMBERED
    assert state.seen[-1] == f"{CHECK.key}@{REMEMBERED + 499}"


def test_the_document_comes_back_as_it_was() -> None:
    state = AlertState().receive([event(), event(plate_check(1), severity="warning")], "a cursor")
    assert AlertState.from_text(state.to_text()) == state


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('{"version": 2}', "version"),
        ('{"version": 1, "outbox": [{}]}', "outbox.0.message"),
        ("<html>", "the whole"),
        ("", "the whole"),
    ],
)
def test_what_is_no_such_document_is_refused(text: str, what: str) -> None:
    with pytest.raises(StoreError, match=rf"the state of alerts cannot be read: {what}"):
        AlertState.from_text(text)


SUBJECTS = [CHECK, plate_check(1), Subject("run", "plates", partition="a...b"), Subject("asset", "scores", "scores")]


@st.composite
def histories(draw: st.DrawFn) -> list[list[AlertEvent]]:
    """Draw what successive looks find: events in order of time, cut into looks, each with a part of the one before."""
    steps = draw(st.lists(st.tuples(st.sampled_from(SUBJECTS), st.booleans()), max_size=30))
    events = [event(one, "failed" if bad else "recovered", minute=at) for at, (one, bad) in enumerate(steps)]
    cuts = sorted(draw(st.lists(st.integers(0, len(events)), max_size=4)))
    overlap = draw(st.integers(0, 10))
    bounds = zip([0, *cuts], [*cuts, len(events)], strict=True)
    return [draw(st.permutations(events[max(0, first - overlap) : last])) for first, last in bounds]


@settings(max_examples=150, deadline=None)
@given(histories())
def test_whatever_overlaps_each_change_is_told_once(looks: list[list[AlertEvent]]) -> None:
    state = AlertState()
    for number, look in enumerate(looks):
        state = AlertState.from_text(state.receive(look, str(number)).to_text())
    ordered = sorted({one.key: one for look in looks for one in look}.values(), key=lambda one: one.time)
    wrong: set[str] = set()
    expected = []
    for one in ordered:
        if (one.subject.key in wrong) != (one.state == "failed"):
            expected.append(one.key)
            wrong ^= {one.subject.key}
    assert told(state) == expected
    assert set(state.incidents) == wrong
