"""The platform's assets and checks beside an alerts sensor that looks often, and a sensor that fails on demand."""

import dagster as dg

from cpjump_assets.build import build_defs
from cpjump_assets.orchestration.alerting.sensor import alerts_sensor
from cpjump_assets.settings import Settings

MODULE = "cpjump_assets_tests.orchestration.alerting.quick_definitions"
FAULT = "fault-of-the-test"
"""File of the store that makes the sensor ``faulty`` fail."""


def _definitions(settings: Settings) -> dg.Definitions:
    platform = build_defs(settings)

    @dg.sensor(minimum_interval_seconds=1, default_status=dg.DefaultSensorStatus.RUNNING)
    def faulty() -> dg.SkipReason:
        if (settings.folder / FAULT).exists():
            raise ValueError("the weather is bad")
        return dg.SkipReason("well")

    return dg.Definitions(
        assets=platform.assets,
        asset_checks=platform.asset_checks,
        resources=platform.resources,
        sensors=[alerts_sensor(settings, every=1), faulty],
        executor=dg.in_process_executor,
    )


defs = _definitions(Settings.from_environment())
