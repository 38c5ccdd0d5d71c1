"""Delivery: at least once, recorded right after each acceptance, by channels that fail, come back, refuse and crash."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from cpjump_assets.alerts.channels.channel import ChannelError
from cpjump_assets.alerts.delivery import deliver
from cpjump_assets.alerts.events import AlertEvent
from cpjump_assets.alerts.messages import Message
from cpjump_assets.alerts.state import AlertState
from cpjump_assets_tests.alerts.samples import START, Clock, event, plate_check

LONGEST = timedelta(minutes=15)


@dataclass
class Fake:
    """A channel whose answers the test decides; ``sent`` is what it took."""

    name: str
    refuses: Callable[[Message], bool] = lambda message: False
    on_try: Callable[[], None] = lambda: None
    sent: list[str] = field(default_factory=list)
    tried: list[str] = field(default_factory=list)

    def send(self, message: Message) -> None:
        """Take or refuse a message."""
        self.tried += message.keys
        self.on_try()
        if self.refuses(message):
            raise ChannelError("it is down")
        self.sent += message.keys


class Crash(BaseException):
    """The process is killed."""


class Desk:
    """Where a test keeps the state: what a process that starts anew would read."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.text = AlertState().to_text()
        self.crash_before_save = False

    @property
    def state(self) -> AlertState:
        return AlertState.from_text(self.text)

    def receive(self, *events: AlertEvent) -> list[str]:
        """Take in events and give their keys."""
        self.text = self.state.receive(events, None).to_text()
        return [one.key for one in events]

    def deliver(self, *channels: Fake, seconds: float = 20) -> AlertState:
        """Make a round with what is kept."""
        done = deliver(self.state, channels, save=self.save, clock=self.clock, seconds=seconds)
        assert done == self.state, "what deliver gives back is what it saved"
        return done

    def save(self, state: AlertState) -> None:
        if self.crash_before_save:
            raise Crash
        self.text = state.to_text()


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_every_channel_takes_every_message_once(desk: Desk) -> None:
    keys = desk.receive(event(), event(plate_check(1), minute=1))
    mail, chat = Fake("mail"), Fake("chat")
    desk.deliver(mail, chat)
    desk.deliver(mail, chat)
    assert mail.sent == chat.sent == keys
    assert desk.state.outbox == ()
    assert desk.state.channels["mail"].accepted == 2


def test_nothing_is_saved_when_nothing_is_to_do(desk: Desk) -> None:
    before, mail = desk.state, Fake("mail")
    desk.crash_before_save = True
    assert desk.deliver(mail) == before
    assert mail.tried == []


def test_a_channel_that_is_down_does_not_stop_the_others_and_is_tried_again(desk: Desk) -> None:
    keys = desk.receive(event(), event(plate_check(1), minute=1))
    mail, chat = Fake("mail", refuses=lambda message: True), Fake("chat")
    desk.deliver(mail, chat)
    assert (mail.sent, chat.sent) == ([], keys)
    assert desk.state.waiting_for("mail") == 2
    mail.refuses = lambda message: False
    desk.clock.move(minutes=1)
    desk.deliver(mail, chat)
    assert mail.sent == chat.sent == keys
    assert desk.state.outbox == ()
    assert desk.state.channels["mail"].reason is None


def test_the_waits_grow_up_to_a_quarter_of_an_hour(desk: Desk) -> None:
    desk.receive(event())
    tries: list[datetime] = []
    mail = Fake("mail", refuses=lambda message: True, on_try=lambda: tries.append(desk.clock.now))
    for _ in range(2 * 60 * 6):
        desk.deliver(mail)
        desk.clock.move(seconds=10)
    waits = [later - earlier for earlier, later in pairwise(tries)]
    assert waits[:5] == [timedelta(seconds=30 * 2**power) for power in range(5)]
    assert set(waits[5:]) == {LONGEST}


def test_after_an_outage_messages_come_in_their_order(desk: Desk) -> None:
    mail = Fake("mail", refuses=lambda message: True)
    keys = []
    for minute in range(0, 90, 7):
        state = "failed" if minute % 2 == 0 else "recovered"
        keys += desk.receive(event(state=state, minute=minute))
        desk.deliver(mail)
        desk.clock.move(minutes=7)
    mail.refuses = lambda message: False
    desk.clock.move(minutes=15)
    desk.deliver(mail)
    assert mail.sent == keys


def test_a_message_that_a_channel_refuses_does_not_stop_those_after_it(desk: Desk) -> None:
    (bad,) = desk.receive(event())
    mail = Fake("mail", refuses=lambda message: message.keys == (bad,))
    desk.deliver(mail)
    for number in range(1, 40):
        (key,) = desk.receive(event(plate_check(number), minute=number))
        desk.clock.move(minutes=20 if number == 1 else 1)
        desk.deliver(mail)
        assert mail.sent[-1] == key, "each new message arrives in its own round"
    assert 4 < mail.tried.count(bad) < 12, "it is tried again, at growing intervals"


def test_a_message_that_is_refused_alone_does_not_put_its_channel_to_rest(desk: Desk) -> None:
    (bad, first) = desk.receive(event(), event(plate_check(1), minute=1))
    mail = Fake("mail", refuses=lambda message: message.keys == (bad,))
    for _ in range(60):
        desk.deliver(mail)
        desk.clock.move(minutes=1)
    assert mail.tried.count(bad) > 4
    (late,) = desk.receive(event(plate_check(2), minute=60))
    desk.deliver(mail)
    assert mail.sent == [first, late]


def test_a_crash_between_acceptance_and_record_repeats_the_message_with_its_key(desk: Desk) -> None:
    keys = desk.receive(event(), event(plate_check(1), minute=1))
    mail, chat = Fake("mail"), Fake("chat")
    desk.crash_before_save = True
    with pytest.raises(Crash):
        desk.deliver(mail, chat)
    desk.crash_before_save = False
    desk.deliver(mail, chat)
    assert mail.sent == [keys[0], *keys], "only what was accepted and not recorded comes again"
    assert chat.sent == keys


def test_a_crash_in_the_next_message_does_not_repeat_those_before(desk: Desk) -> None:
    keys = desk.receive(*(event(plate_check(number), minute=number) for number in range(3)))
    mail = Fake("mail")

    def crash_in_the_third() -> None:
        if len(mail.tried) == 3:
            raise Crash

    mail.on_try = crash_in_the_third
    with pytest.raises(Crash):
        desk.deliver(mail)
    desk.deliver(mail)
    assert mail.sent == keys


def test_a_slow_channel_is_left_when_its_time_is_up_and_the_others_have_theirs(desk: Desk) -> None:
    keys = desk.receive(*(event(plate_check(number), minute=number) for number in range(5)))
    slow = Fake("slow", refuses=lambda message: True, on_try=lambda: desk.clock.move(seconds=9))
    other = Fake("other")
    desk.deliver(slow, other, seconds=20)
    assert len(slow.tried) == 2
    assert other.sent == keys
    assert desk.clock.now - START < timedelta(seconds=20)


def test_a_channel_that_is_down_comes_after_those_that_do_well(desk: Desk) -> None:
    order: list[str] = []
    down = Fake("down", refuses=lambda message: True, on_try=lambda: order.append("down"))
    well = Fake("well", on_try=lambda: order.append("well"))
    desk.receive(event())
    desk.deliver(down, well)
    desk.receive(event(plate_check(1), minute=1))
    desk.clock.move(minutes=1)
    order.clear()
    desk.deliver(down, well)
    assert order == ["well", "down", "down"]


def test_what_is_left_when_time_is_up_comes_in_the_next_round(desk: Desk) -> None:
    keys = desk.receive(*(event(plate_check(number), minute=number) for number in range(5)))
    slow = Fake("slow", on_try=lambda: desk.clock.move(seconds=6))
    desk.deliver(slow, seconds=10)
    assert slow.sent == keys[:2]
    desk.deliver(slow, seconds=60)
    assert slow.sent == keys


def test_a_message_is_given_up_after_a_week_with_its_keys_in_the_log(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    keys = desk.receive(*(event(plate_check(number)) for number in range(7)))
    mail, chat = Fake("mail", refuses=lambda message: True), Fake("chat")
    with caplog.at_level(logging.ERROR, "cpjump.alerts"):
        for _ in range(7 * 24 * 4 + 10):
            desk.deliver(mail, chat)
            desk.clock.move(minutes=15)
            given_up = [record.getMessage() for record in caplog.records]
            assert not given_up or desk.clock.now - START >= timedelta(days=7)
    assert len(given_up) == 1
    assert all(key in given_up[0] for key in keys)
    assert desk.state.outbox == ()
    assert desk.state.channels["mail"].given_up == 1


def test_a_channel_that_was_removed_is_not_waited_for_and_a_new_one_gets_what_waits(desk: Desk) -> None:
    keys = desk.receive(event())
    old, log = Fake("old", refuses=lambda message: True), Fake("log")
    desk.deliver(old, log)
    new = Fake("new")
    desk.deliver(new, log)
    assert new.sent == keys
    assert desk.state.outbox == ()


def test_without_channels_nothing_is_lost(desk: Desk) -> None:
    keys = desk.receive(event())
    desk.deliver()
    mail = Fake("mail")
    desk.deliver(mail)
    assert mail.sent == keys
