"""A refresh: the one order in which the jobs are run, and its execution.

Belongs here: the plan, what may be asked for, and running it in this process. Does not belong here: which assets a job
makes (``jobs``), when a refresh is started (``schedules``, the command line).

Dagster refuses one job over two partition definitions, so a refresh is a sequence of runs that share a tag.
``refresh_plan`` states the order; the command line, the ``refresh`` job, the schedule and the tests all run that plan.
Plates whose objects did not change are neither pulled nor normalized again; the tables over all plates, which are
cheap, are made again each time, and come out equal where nothing changed.
"""

import uuid
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import dagster as dg

from cpjump_assets.orchestration.failures import reason_of_step
from cpjump_assets.orchestration.partitions import PLATE_KEYS, contiguous_ranges
from cpjump_assets.orchestration.refreshed_store import RefreshedStore
from cpjump_assets.orchestration.resources import Platform
from cpjump_assets.orchestration.tables import EXECUTED_BY_TAG, REFRESH_TAG
from cpjump_assets.science.errors import CpjumpError
from cpjump_assets.science.plates import MAIN_BATCH, PlateKey
from cpjump_assets.science.preset_names import DEFAULT_PRESET, PRESETS_FROM_CELLS
from cpjump_assets.science.strategies import STRATEGIES
from cpjump_assets.settings import Settings
from cpjump_assets.storage.atomic import sweep_abandoned

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True)
class PlannedRun:
    """One run of a refresh.

    Attributes
    ----------
    job
        Name of the job.
    title
        What a person reads while it runs.
    partition
        Partition key, for a job that takes one.
    plate_range
        First and last plate key, for a job over a range of plates.
    assets
        The assets of the job to make, with their checks; none means all.
    required
        Whether the refresh stops when the run fails; the comparison of profiles stops nothing, and the strategies do
        not stop each other.
    """

    job: str
    title: str
    partition: str | None = None
    plate_range: tuple[str, str] | None = None
    assets: tuple[str, ...] = ()
    required: bool = True

    @property
    def tags(self) -> dict[str, str]:
        """Give the run tags that select the partition or the plate range."""
        if self.plate_range is not None:
            first, last = self.plate_range
            return {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
        return {} if self.partition is None else {"dagster/partition": self.partition}


@dataclass(frozen=True)
class FinishedRun:
    """A run of a refresh, with what came of it."""

    planned: PlannedRun
    run_id: str
    success: bool
    errors: Sequence[str] = field(default_factory=tuple)


class RefreshError(CpjumpError):
    """A run that the rest of the refresh needs, or the run of a strategy, failed."""


OBSERVE_REFERENCE = PlannedRun("observe_reference", "observe the reference tables")
_ALL_PLATES = (PLATE_KEYS[0], PLATE_KEYS[-1])
OBSERVE_GALLERY = PlannedRun("observe_gallery", "list the gallery", plate_range=_ALL_PLATES)
OBSERVE_CELLS = PlannedRun("observe_cells", "list the single-cell backends", plate_range=_ALL_PLATES)


@dataclass(frozen=True)
class RefreshRequest:
    """What a refresh is asked for.

    Attributes
    ----------
    plates
        Plate keys; empty means all that the gallery holds of ``batches``.
    batches
        Batches to take the plates from.
    image_plates
        Plate keys whose images are indexed, and a selection of them pulled, measured and drawn; none by default.
    plates_per_run
        Largest number of plates in one run; None puts neighbours of the plate list in one run.
    preset
        How profiles are made, by name.
    """

    plates: tuple[str, ...] = ()
    batches: tuple[str, ...] = (MAIN_BATCH,)
    image_plates: tuple[str, ...] = ()
    plates_per_run: int | None = None
    preset: str = DEFAULT_PRESET

    @property
    def from_cells(self) -> bool:
        """Whether wells are aggregated from single cells: then a plate needs a backend, and no published profile."""
        return self.preset in PRESETS_FROM_CELLS

    def choose(self, held: Collection[str]) -> list[str]:
        """Choose among the plates that the gallery holds.

        Raises
        ------
        RefreshError
            If a plate that was asked for is not there, or no plate of a batch that was asked for.
        """
        absent = [key for key in self.plates if key not in held]
        if absent:
            needed = "single-cell backend" if self.from_cells else "aggregated profile"
            raise RefreshError(f"the gallery does not hold the {needed} of {', '.join(absent)}")
        for batch in self.batches:
            if not self.plates and not any(PlateKey.parse(key).batch == batch for key in held):
                raise RefreshError(f"the gallery holds no plate of {batch}; is CPJUMP_GALLERY right?")
        chosen = list(self.plates) or [key for key in held if PlateKey.parse(key).batch in self.batches]
        return sorted(chosen, key=PLATE_KEYS.index)


def refresh_plan(
    plate_keys: Sequence[str], *, plates_per_run: int | None = None, from_cells: bool = False
) -> list[PlannedRun]:
    """Give the runs that make everything, in their order, once the sources have been observed.

    Parameters
    ----------
    plate_keys
        Plates to pull and normalize; those of other batches than the main one do not enter the batch tables.
    plates_per_run
        Largest number of plates in one run; None puts neighbours of the plate list in one run.
    from_cells
        Whether wells are aggregated from single cells first.
    """
    ranges = contiguous_ranges(list(plate_keys), at_most=plates_per_run)
    return [
        PlannedRun("metadata", "plates, reagents, wells"),
        *(
            PlannedRun("single_cells", "aggregate single cells", plate_range=span, assets=("cell_mean_profiles",))
            for span in ranges
            if from_cells
        ),
        *(PlannedRun("profiles", "pull, annotate, normalize, select", plate_range=span) for span in ranges),
        PlannedRun("batch", "select features, score all wells"),
        *(
            PlannedRun("reproduction", "compare with the published profiles", plate_range=span, required=False)
            for span in ranges
            if not from_cells  # the published profiles are medians of cells, these are means
        ),
        *(PlannedRun("strategy", f"split {name}", partition=name, required=False) for name in STRATEGIES),
        PlannedRun("comparison", "compare with the published figures, draw ours"),
    ]


def images_plan(plate_keys: Sequence[str], *, plates_per_run: int | None = None) -> list[PlannedRun]:
    """Give the runs that make the image assets of plates; none of the others waits for them.

    Parameters
    ----------
    plate_keys
        Plates whose images are indexed, and a selection of them pulled, measured and drawn.
    plates_per_run
        Largest number of plates in one run; None puts neighbours of the plate list in one run.
    """
    return [
        run
        for span in contiguous_ranges(list(plate_keys), at_most=plates_per_run)
        for run in (
            PlannedRun("observe_images", "list images", plate_range=span, required=False),
            PlannedRun("plate_images", "index, pull, measure and draw images", plate_range=span, required=False),
        )
    ]


@dataclass(frozen=True)
class Refresh:
    """Executes a refresh, one run after the other, in this process.

    Parameters
    ----------
    resolve
        Gives the executable job of a name.
    instance
        Where runs and events are recorded.
    store
        One refresh at a time writes there.
    identifier
        Value of the tag that all runs of this refresh share.
    executed_by
        The run in whose process the refresh works; None where it is no run, as of the command line.
    """

    resolve: Callable[[str], dg.JobDefinition]
    instance: dg.DagsterInstance
    store: RefreshedStore
    identifier: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    executed_by: str | None = None

    @classmethod
    def of(
        cls, settings: Settings, resolve: Callable[[str], dg.JobDefinition], instance: dg.DagsterInstance
    ) -> "Refresh":
        """Make the refresh of the store of these settings."""
        return cls(resolve, instance, RefreshedStore.of(settings))

    def run(self, request: RefreshRequest) -> Iterator[FinishedRun]:
        """Observe the sources, then make everything that was asked for; give each run as it ends.

        Raises
        ------
        RefreshError
            If a required run failed, at once; if another one failed, when the plan is done.
        BusyError
            If another refresh is at work on the store.
        StoreError
            If this one lost its lease of a store in S3, once the run at work has ended.
        """
        with self.store.alone() as require_alone:
            self.store.close_abandoned_runs(self.instance)
            sweep_abandoned(self.store.folder)
            for finished in self._all_runs(request):
                yield finished
                require_alone()

    def _all_runs(self, request: RefreshRequest) -> Iterator[FinishedRun]:
        yield from self.follow([OBSERVE_REFERENCE])
        observed = yield from self.follow([OBSERVE_GALLERY])
        if request.from_cells:
            observed = yield from self.follow([OBSERVE_CELLS])
        chosen = request.choose(self._plates_observed_in(observed))
        plan = refresh_plan(chosen, plates_per_run=request.plates_per_run, from_cells=request.from_cells)
        yield from self.follow([*plan, *images_plan(request.image_plates, plates_per_run=request.plates_per_run)])

    def follow(self, plan: Sequence[PlannedRun]) -> Generator[FinishedRun, None, str]:
        """Execute a plan, giving each run as it ends and at last the identifier of the last run.

        Raises
        ------
        RefreshError
            As ``run``.
        """
        failed: list[FinishedRun] = []
        finished = None
        for planned in plan:
            finished = self.execute(planned)
            yield finished
            if not finished.success:
                failed.append(finished)
                if planned.required:
                    break
        if failed:
            raise RefreshError("; ".join(f"{run.planned.title}: {' '.join(run.errors)}" for run in failed))
        return finished.run_id if finished else ""

    @property
    def _tags(self) -> dict[str, str]:
        executing = {} if self.executed_by is None else {EXECUTED_BY_TAG: self.executed_by}
        return {REFRESH_TAG: self.identifier, **self.store.tags, **executing}

    def _plates_observed_in(self, run_id: str) -> list[str]:
        records = self.instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.ASSET_OBSERVATION).records
        return [record.partition_key for record in records if record.partition_key]

    def execute(self, planned: PlannedRun) -> FinishedRun:
        """Execute one run; whether it succeeded is in the result.

        Raises
        ------
        KeyboardInterrupt
            If the run was interrupted: Dagster records that as a failed step, and would let the next run begin.
        """
        result = self.resolve(planned.job).execute_in_process(
            instance=self.instance,
            asset_selection=[dg.AssetKey(name) for name in planned.assets] or None,
            tags={**self._tags, **planned.tags},
            run_config=_QUIET,
            raise_on_error=False,
        )
        if any(_was_interrupted(event) for event in result.get_step_failure_events()):
            raise KeyboardInterrupt
        errors = [reason_of_step(event) for event in result.get_step_failure_events()] + _broken_checks(result)
        return FinishedRun(planned, result.run_id, result.success, () if result.success else tuple(errors))


def _was_interrupted(event: dg.DagsterEvent) -> bool:
    error = event.step_failure_data.error
    return error is not None and error.cls_name in ("DagsterExecutionInterruptedError", "KeyboardInterrupt")


def _broken_checks(result: dg.ExecuteInProcessResult) -> list[str]:
    """Say of each failed check that is an error what it found; Dagster's own message only names it."""
    return [
        f"check {found.check_name} of {found.asset_key.to_user_string()} failed: "
        + ", ".join(f"{name} {value.value}".replace("\n", " ") for name, value in found.metadata.items())
        for found in result.get_asset_check_evaluations()
        if not found.passed and found.severity is dg.AssetCheckSeverity.ERROR
    ]


def refresh_job(resolve: Callable[[str], dg.JobDefinition], request: RefreshRequest) -> dg.JobDefinition:
    """Make the job that runs a whole refresh, for the web UI and the schedule.

    Parameters
    ----------
    resolve
        Gives the executable job of a name; called when the job runs.
    request
        What the job refreshes.
    """

    @dg.op(description="Runs the jobs of a refresh in their order, each as a run of its own.")
    def run_refresh(context: dg.OpExecutionContext, platform: Platform) -> None:
        store = RefreshedStore(Path(platform.store_folder), platform.store_place)
        run = context.run_id
        refresh = Refresh(resolve, context.instance, store, identifier=run[:8], executed_by=run)
        for finished in refresh.run(request):
            context.log.info(
                f"{finished.planned.title}: {'done' if finished.success else 'failed'}, run {finished.run_id}"
            )

    @dg.job(
        name="refresh",
        description="Everything, in order; plates that did not change are not made again.",
        executor_def=dg.in_process_executor,
    )
    def refresh() -> None:
        run_refresh()

    return refresh
