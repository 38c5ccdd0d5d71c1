"""Why something failed, in the words that were written for a person.

Belongs here: finding the error that was raised below Dagster's wrapping. Does not belong here: who is told (``refresh``
prints it, ``alerting`` sends it).
"""

from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    from dagster._utils.error import SerializableErrorInfo


def reason_of_step(event: dg.DagsterEvent) -> str:
    """Give the error that made a step fail, without what caused it; ``dagster.Failure`` says its description."""
    data = event.step_failure_data
    if data.user_failure_data is not None and data.user_failure_data.description:
        return data.user_failure_data.description
    return f"{event.step_key} failed" if data.error is None else reason_of_error(data.error, event.step_key)


def reason_of_error(error: "SerializableErrorInfo", where: str | None) -> str:
    """Give the message of the error that was raised, without Dagster's wrapping around it.

    Parameters
    ----------
    where
        The step or sensor that failed; named where the message does not come from an exception of known class.
    """
    while error.cause is not None and _is_wrapping(error.cls_name or ""):
        error = error.cause
    # Dagster puts the class in front of the message; the message alone was written for a person.
    return error.message.partition(f"{error.cls_name}: ")[2].strip() or f"{where}: {error.message.strip()}"


def _is_wrapping(name: str) -> bool:
    return name.startswith("Dagster") or name in ("SensorExecutionError", "ScheduleExecutionError")
