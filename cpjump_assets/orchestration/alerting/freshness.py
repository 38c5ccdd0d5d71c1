"""Assets that are overdue, and that were made again.

Belongs here: reading what the freshness daemon found. Does not belong here: how long an asset may stay as it is (its
freshness policy), whether that is news (``alerts.state``).
"""

from collections.abc import Collection, Mapping

import dagster as dg
from dagster._core.definitions.freshness import FreshnessState, FreshnessStateRecord

from cpjump_assets.alerts.events import AlertEvent, Subject
from cpjump_assets.orchestration.alerting import advice, wording

_WELL = (FreshnessState.PASS, FreshnessState.WARN, FreshnessState.NOT_APPLICABLE)


def look_at_freshness(
    instance: dg.DagsterInstance, keys: Collection[dg.AssetKey], seen: Mapping[str, str], *, ui_url: str, now: float
) -> tuple[list[AlertEvent], dict[str, str]]:
    """Give the assets that became overdue since the last look, or are so no longer.

    Parameters
    ----------
    keys
        The assets of the code location.
    seen
        When each asset became what it was at the last look, by asset.
    now
        Time of this look, in seconds since 1970.
    """
    events, changed_at = [], {}
    for key, record in instance.get_freshness_state_records(list(keys)).items():
        name, when = key.to_user_string(), wording.moment(record.updated_at.timestamp())
        overdue = record.freshness_state is FreshnessState.FAIL
        if not overdue and record.freshness_state not in _WELL:
            continue  # never made: what was never there cannot be late
        changed_at[name] = when
        if seen.get(name) != when:
            events.append(_event(instance, key, record, overdue=overdue, ui_url=ui_url, now=now))
    return sorted(events, key=lambda event: event.happened_at), changed_at


def _event(
    instance: dg.DagsterInstance,
    key: dg.AssetKey,
    record: FreshnessStateRecord,
    *,
    overdue: bool,
    ui_url: str,
    now: float,
) -> AlertEvent:
    name = key.to_user_string()
    subject = Subject("asset", name, asset=name)
    when = wording.moment(record.updated_at.timestamp())
    return AlertEvent(
        key=f"{subject.key}@{when}",
        subject=subject,
        state="failed" if overdue else "recovered",
        severity="error",
        what=f"{name} is overdue: nobody made it again in time" if overdue else f"{name} is up to date again",
        numbers=_age(instance, key, now) if overdue else (),
        link=wording.asset_link(ui_url, key),
        advice=advice.OVERDUE if overdue else advice.RECOVERED,
        happened_at=when,
    )


def _age(instance: dg.DagsterInstance, key: dg.AssetKey, now: float) -> tuple[tuple[str, str], ...]:
    made = instance.get_latest_materialization_event(key)
    if made is None:
        return ()
    return (
        ("made at", wording.moment(made.timestamp)[:19] + " UTC"),
        ("age", wording.duration(max(now - made.timestamp, 0.0))),
    )
