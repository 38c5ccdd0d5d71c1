"""Declarative automation: what makes an asset again by itself, and the sensor that asks for it.

Belongs here: the conditions of the assets, and the one sensor that evaluates them. Does not belong here: when the
sources are looked at (``schedules``), how an asset is made (``assets``), the first build (``refresh``).

The base is Dagster's ``eager``: an asset is asked for when something that it depends on was updated. Five things
differ, each for a reason that a test holds:

* A plate that the gallery lacks is missing for ever; ``eager`` would never ask for a table over the 51 plates.
* A refresh writes tables over all plates anew even where they come out equal, and plates that did not change are not
  recorded again; ``eager`` would take each such plate for out of date. Here data versions decide (``Outdated``).
* What depends on an asset whose blocking check failed is not asked for: a check blocks only inside of its own run.
* What was never made is not asked for: the first build is a refresh.
* While a refresh is at work nothing is asked for: it makes everything itself. Nor is anything while another asset is
  being made, so that a table over all plates is not begun between two steps of a plate, and made twice.
"""

from abc import abstractmethod
from datetime import timedelta
from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES
from dagster._time import get_current_datetime

from cpjump_assets.orchestration.jobs import STORE_TAG
from cpjump_assets.orchestration.outdated import outdated_partitions
from cpjump_assets.orchestration.refreshed_store import is_of_refresh
from cpjump_assets.orchestration.tables import SELECTED_PROFILES

if TYPE_CHECKING:
    from dagster._core.asset_graph_view.asset_graph_view import AssetGraphView

SENSOR_NAME = "automation"
TICK_SECONDS = 30
_BETWEEN_RUNS = timedelta(minutes=2)
"""A refresh is taken to be at work for this long after a run of it: the next one begins within seconds."""


class _Momentary(dg.AutomationCondition):
    """A condition that remembers nothing from one tick to the next."""

    @property
    def requires_cursor(self) -> bool:
        return False


class Outdated(_Momentary):
    """Made from another data version of an input than the present one."""

    @property
    def name(self) -> str:
        """Give the name that the web UI shows."""
        return "made_from_other_data"

    def evaluate(self, context: dg.AutomationContext) -> dg.AutomationResult:
        """Compare the versions of each candidate."""
        view, candidates = context.asset_graph_view, context.candidate_subset
        if candidates.is_empty:
            return dg.AutomationResult(context, candidates)
        partitions = candidates.expensively_compute_partition_keys() if candidates.is_partitioned else {None}
        outdated = outdated_partitions(view.instance, view.asset_graph, context.key, partitions)
        if candidates.is_partitioned:
            return dg.AutomationResult(context, candidates.compute_intersection_with_partition_keys(outdated))
        return dg.AutomationResult(context, candidates if outdated else context.get_empty_subset())


class _AllOrNothing(_Momentary):
    """A condition of the platform as a whole."""

    @abstractmethod
    async def holds(self, view: "AssetGraphView") -> bool:
        """Tell whether it holds now."""

    async def evaluate(self, context: dg.AutomationContext) -> dg.AutomationResult:  # type: ignore[override]
        """Hold for all candidates, or for none."""
        holds = not context.candidate_subset.is_empty and await self.holds(context.asset_graph_view)
        return dg.AutomationResult(context, context.candidate_subset if holds else context.get_empty_subset())


class RefreshAtWork(_AllOrNothing):
    """A refresh is making everything, so that nobody else needs to."""

    @property
    def name(self) -> str:
        """Give the name that the web UI shows."""
        return "refresh_at_work"

    async def holds(self, view: "AssetGraphView") -> bool:
        """Ask the runs."""
        return refresh_at_work(view.instance)


class BeingMade(_AllOrNothing):
    """Something that automation looks after is being made, by whomever."""

    @property
    def name(self) -> str:
        """Give the name that the web UI shows."""
        return "something_is_being_made"

    async def holds(self, view: "AssetGraphView") -> bool:
        """Look for a run or backfill that is to make such an asset and has not done so yet."""
        graph = view.asset_graph
        for key in (key for key in graph.materializable_asset_keys if graph.get(key).automation_condition):
            everything = view.get_full_subset(key=key)
            of_runs = await view.compute_run_in_progress_subset(key=key, from_subset=everything)
            of_backfills = await view.compute_backfill_in_progress_subset(key=key, from_subset=everything)
            if not (of_runs.is_empty and of_backfills.is_empty):
                return True
        return False


def refresh_at_work(instance: dg.DagsterInstance) -> bool:
    """Tell whether a run of a refresh is not finished, or the last one ended so lately that another may follow.

    The runs are asked, and not the lock of the store, because they are seen from every machine. A refresh that was
    killed leaves a run that never ends; the sensor ``abandoned_runs`` closes it, or the next refresh.
    """
    lately = get_current_datetime() - _BETWEEN_RUNS
    filters = (dg.RunsFilter(statuses=NOT_FINISHED_STATUSES), dg.RunsFilter(updated_after=lately))
    return any(is_of_refresh(run) for asked in filters for run in instance.get_runs(filters=asked))


_will_come_anew = dg.AutomationCondition.any_deps_match(dg.AutomationCondition.will_be_requested())
_input_changed = dg.AutomationCondition.any_deps_updated() & (Outdated() | _will_come_anew)
# Something that changed while an asset was being made leaves it out of date when it is done: then nothing is settled.
_handled = (
    dg.AutomationCondition.newly_requested()
    | (dg.AutomationCondition.newly_updated() & ~Outdated())
    | dg.AutomationCondition.initial_evaluation()
)

INPUT_CHANGED = (
    dg.AutomationCondition.eager()
    .without(~dg.AutomationCondition.any_deps_missing())
    .replace("any_deps_updated", _input_changed.with_label("input_changed"))
    .replace("handled", _handled.with_label("handled"))
    .with_label(None)
    & dg.AutomationCondition.all_deps_blocking_checks_passed()
    & ~dg.AutomationCondition.missing()
    & ~RefreshAtWork()
    & ~BeingMade()
)
"""An input has another data version than the one that the asset was made from."""

INPUT_CHANGED_AND_BATCH_MADE = INPUT_CHANGED & ~dg.AutomationCondition.asset_matches(
    SELECTED_PROFILES.asset_key, Outdated() | dg.AutomationCondition.in_progress()
)
"""The same, once the tables over the batch are made: of what a strategy is scored by, some depends on the plates and
some on the batch, and both are made in one run of the strategy."""


def automation_sensor() -> dg.AutomationConditionSensorDefinition:
    """Make the sensor that asks for what is out of date; stopped until somebody turns it on in the web UI.

    Its runs queue behind all others that write the same tables.
    """
    return dg.AutomationConditionSensorDefinition(
        SENSOR_NAME,
        target=dg.AssetSelection.all(),
        run_tags={STORE_TAG: "main"},
        default_status=dg.DefaultSensorStatus.STOPPED,
        minimum_interval_seconds=TICK_SECONDS,
        use_user_code_server=True,  # the conditions above are our own classes
        description=(
            "Makes again what an observation of the gallery or of the reference tables touched: the plate, then what "
            "is computed over the batch, then the three strategies. The first build is `cpjump refresh`."
        ),
    )
