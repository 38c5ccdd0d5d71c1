"""Sensors and schedules that fail are found once, and again when they run."""

import dagster as dg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    ScheduleInstigatorData,
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from dagster_shared.error import SerializableErrorInfo

from cpjump_assets_tests.orchestration.alerting.trials import ON_SQLITE, UI, Listener

_ERROR = SerializableErrorInfo("ValueError: the weather is bad\n", [], "ValueError")


class Instigator:
    """A sensor or schedule, and its ticks."""

    def __init__(self, instance: dg.DagsterInstance, name: str, kind: InstigatorType = InstigatorType.SENSOR) -> None:
        location = RegisteredCodeLocationOrigin("cpjump")
        origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(location, "__repository__"), name)
        data = SensorInstigatorData() if kind is InstigatorType.SENSOR else ScheduleInstigatorData("0 * * * *")
        self.instance, self.kind, self.now = instance, kind, 1_700_000_000.0
        self.state = instance.add_instigator_state(
            InstigatorState(origin, kind, InstigatorStatus.DECLARED_IN_CODE, data)
        )

    def tick(self, status: TickStatus, tick_id: int | None = None) -> int:
        """Begin a tick, or end one that was begun; give its number."""
        self.now += 30
        data = TickData(
            instigator_origin_id=self.state.instigator_origin_id,
            instigator_name=self.state.name,
            instigator_type=self.kind,
            status=status,
            timestamp=self.now,
            run_ids=[],
            selector_id=self.state.selector_id,
            error=_ERROR if status is TickStatus.FAILURE else None,
        )
        if tick_id is None:
            return self.instance.create_tick(data).tick_id
        tick = self.instance.schedule_storage.get_tick(tick_id)
        return self.instance.update_tick(tick.with_status(status, error=data.error)).tick_id

    def turn(self, status: InstigatorStatus) -> None:
        """Turn it on or off."""
        self.state = self.instance.update_instigator_state(self.state.with_status(status))


@pytest.fixture
def sensor(instance: dg.DagsterInstance) -> Instigator:
    return Instigator(instance, "faulty")


KEY = "sensor:sensor faulty"


def test_the_first_look_tells_what_fails_now(
    sensor: Instigator, listener: Listener, instance: dg.DagsterInstance
) -> None:
    well, off = Instigator(instance, "well"), Instigator(instance, "off")
    well.tick(TickStatus.FAILURE)
    well.tick(TickStatus.SKIPPED)
    off.tick(TickStatus.FAILURE)
    off.turn(InstigatorStatus.STOPPED)
    sensor.tick(TickStatus.SUCCESS)
    sensor.tick(TickStatus.FAILURE)
    (event,) = listener.look()
    assert (event.state, event.subject.key) == ("failed", KEY)
    assert event.what == "sensor faulty fails: the weather is bad"
    assert event.link == f"{UI}/locations/cpjump/sensors/faulty"
    assert listener.told() == []


@pytest.mark.parametrize("well", [TickStatus.SKIPPED, TickStatus.SUCCESS])
def test_each_change_is_told_once(sensor: Instigator, listener: Listener, well: TickStatus) -> None:
    sensor.tick(TickStatus.SKIPPED)
    assert listener.told() == []
    for status in (well, TickStatus.FAILURE, TickStatus.FAILURE, well, well, TickStatus.FAILURE):
        sensor.tick(status)
    assert listener.told() == [f"failed {KEY}", f"recovered {KEY}", f"failed {KEY}"]
    sensor.tick(TickStatus.FAILURE)
    assert listener.told() == []
    sensor.tick(well)
    assert listener.told() == [f"recovered {KEY}"]


def test_a_tick_that_goes_on_is_told_when_it_ends(sensor: Instigator, listener: Listener) -> None:
    sensor.tick(TickStatus.SKIPPED)
    running = sensor.tick(TickStatus.STARTED)
    assert listener.told() == []
    sensor.tick(TickStatus.FAILURE, running)
    assert listener.told() == [f"failed {KEY}"]


def test_a_first_tick_that_goes_on_through_many_looks_is_told_when_it_ends(
    listener: Listener, instance: dg.DagsterInstance
) -> None:
    assert listener.told() == []
    sensor = Instigator(instance, "faulty")
    sensor.now = listener.seen.ticks.looked_at
    running = sensor.tick(TickStatus.STARTED)
    for _ in range(5):
        listener.later += 60
        assert listener.told() == []
    sensor.tick(TickStatus.FAILURE, running)
    assert listener.told() == [f"failed {KEY}"]


def test_a_sensor_that_is_turned_on_tells_nothing_of_the_time_before(sensor: Instigator, listener: Listener) -> None:
    sensor.tick(TickStatus.FAILURE)
    sensor.turn(InstigatorStatus.STOPPED)
    assert listener.told() == []
    sensor.turn(InstigatorStatus.RUNNING)
    assert listener.told() == []
    sensor.now = listener.seen.ticks.looked_at
    sensor.tick(TickStatus.FAILURE)
    assert listener.told() == [f"failed {KEY}"]


def test_a_failed_tick_that_is_tried_again_under_its_number_recovers(
    listener: Listener, instance: dg.DagsterInstance
) -> None:
    schedule = Instigator(instance, "weekly", InstigatorType.SCHEDULE)
    schedule.tick(TickStatus.SUCCESS)
    listener.look()
    failed = schedule.tick(TickStatus.FAILURE)
    assert listener.told() == ["failed sensor:schedule weekly"]
    schedule.tick(TickStatus.SUCCESS, failed)
    assert listener.told() == ["recovered sensor:schedule weekly"]
    assert listener.told() == []


@ON_SQLITE
def test_a_schedule_is_named_as_one(listener: Listener, instance: dg.DagsterInstance) -> None:
    Instigator(instance, "refresh_schedule", InstigatorType.SCHEDULE).tick(TickStatus.FAILURE)
    (event,) = listener.look()
    assert event.what.startswith("schedule refresh_schedule fails")
    assert event.link.endswith("/schedules/refresh_schedule")
