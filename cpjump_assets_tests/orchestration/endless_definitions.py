"""A run that never ends, launched by the daemon as soon as it lives, and the sensor that closes abandoned runs."""

import time

import dagster as dg

from cpjump_assets.orchestration.abandoned import abandoned_runs_sensor
from cpjump_assets.settings import Settings

MODULE = __name__


@dg.op
def sleep() -> None:
    """Work for longer than any test."""
    time.sleep(3600)


@dg.job(executor_def=dg.in_process_executor)
def endless() -> None:
    """Sleep."""
    sleep()


@dg.sensor(job=endless, minimum_interval_seconds=1, default_status=dg.DefaultSensorStatus.RUNNING)
def once() -> dg.RunRequest:
    """Ask for one run, however often it looks."""
    return dg.RunRequest(run_key="once")


defs = dg.Definitions(jobs=[endless], sensors=[once, abandoned_runs_sensor(Settings.from_environment(), every=1)])
