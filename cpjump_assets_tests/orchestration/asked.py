"""What automation asks for, by asset: helpers of its tests."""

from collections.abc import Callable

import dagster as dg

from cpjump_assets.build import build_defs
from cpjump_assets.orchestration.refresh import FinishedRun
from cpjump_assets_tests.orchestration.lab import Lab

Asked = dict[str, set[str | None]]
"""Partitions of each asset that is asked for; None stands for the whole of an asset without partitions."""

CHAIN = frozenset(
    {
        "aggregated_profiles",
        "annotated_profiles",
        "normalized_profiles",
        "normalized_profiles_whole_plate",
        "plate_selected_profiles",
        "well_quality",
    }
)
"""Made of a plate alone."""
BATCH = frozenset(
    {
        "feature_selection",
        "selected_profiles",
        "spherized_profiles",
        "plate_quality",
        "overall_classes",
        "overall_scores",
        "overall_percent_scores",
        "overall_directionality",
        "overall_directional_pairs",
        "published_comparison",
        "benchmark_figures",
    }
)
"""Made of all plates."""
OF_STRATEGIES = frozenset(
    {
        "train_fit_wells",
        "train_feature_selection",
        "train_selected_profiles",
        "train_spherized_profiles",
        "benchmark_classes",
        "benchmark_scores",
        "benchmark_percent_scores",
        "benchmark_directionality",
    }
)
"""Made of the plates or of the batch, for each strategy."""


def asked_for(definitions: dg.Definitions, instance: dg.DagsterInstance, cursor: object | None) -> tuple[Asked, object]:
    """Evaluate all conditions once; give what is asked for, and what automation remembers."""
    result = dg.evaluate_automation_conditions(definitions, instance, cursor=cursor)
    keys = definitions.resolve_asset_graph().materializable_asset_keys
    requested = {key.to_user_string(): result.get_requested_partitions(key) for key in keys}
    return {name: partitions for name, partitions in requested.items() if partitions}, result.cursor


class Watcher:
    """Automation that looks at a lab from time to time."""

    def __init__(self, lab: Lab) -> None:
        self._lab, self._cursor = lab, None
        self._definitions = build_defs(lab.settings)

    def asked(self) -> Asked:
        """Look once more, and give what is asked for."""
        with self._lab.instance() as instance:
            asked, self._cursor = asked_for(self._definitions, instance, self._cursor)
        return asked

    def expect_silence_after(self, *jobs: str) -> Callable[[FinishedRun], None]:
        """Give what looks after each run of some jobs, and finds that nothing is asked for."""

        def look(finished: FinishedRun) -> None:
            if finished.planned.job in jobs:
                assert self.asked() == {}, finished.planned.title

        return look
