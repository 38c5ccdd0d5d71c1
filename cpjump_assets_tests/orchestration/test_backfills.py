"""How many plates a run of a backfill takes."""

from dataclasses import replace

import dagster as dg

from cpjump_assets.build import build_defs
from cpjump_assets.orchestration.partitions import plates
from cpjump_assets.settings import Settings
from cpjump_assets_tests.orchestration.graphql import graphql
from cpjump_assets_tests.orchestration.lab import LAB_KEYS, Lab
from cpjump_assets_tests.processes import running_ui, wait_until

_LAUNCH = """
mutation ($asset: [String!]!, $plates: [String!]!) {
  launchPartitionBackfill(backfillParams: {assetSelection: [{path: $asset}], partitionNames: $plates}) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message }
  }
}
"""
_STATUS = "query ($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status } } }"


def _policies(settings: Settings) -> dict[bool, set[dg.BackfillPolicy | None]]:
    """Give the policies of the assets of plates (True) and of all others that can be made."""
    graph = build_defs(settings).resolve_asset_graph()
    found: dict[bool, set[dg.BackfillPolicy | None]] = {True: set(), False: set()}
    for key in graph.materializable_asset_keys:
        found[graph.get(key).partitions_def == plates].add(graph.get(key).backfill_policy)
    return found


def test_all_plates_go_into_one_run_unless_a_number_is_set() -> None:
    assert _policies(Settings()) == {True: {dg.BackfillPolicy.single_run()}, False: {None}}
    by_four = dg.BackfillPolicy.multi_run(max_partitions_per_run=4)
    assert _policies(Settings(plates_per_run=4)) == {True: {by_four}, False: {None}}


def test_the_two_presets_cut_alike() -> None:
    assert _policies(Settings(plates_per_run=4)) == _policies(Settings(plates_per_run=4, preset="paper_2021"))


def test_a_backfill_is_made_by_runs_of_so_many_plates(lab: Lab) -> None:
    with running_ui(replace(lab.settings, plates_per_run=2)) as address:
        answer = graphql(address, _LAUNCH, asset=["annotated_profiles"], plates=LAB_KEYS)["launchPartitionBackfill"]
        assert answer["__typename"] == "LaunchBackfillSuccess", answer
        backfill = answer["backfillId"]

        def status() -> str:
            return graphql(address, _STATUS, id=backfill)["partitionBackfillOrError"]["status"]

        wait_until(lambda: status() not in ("REQUESTED", "COMPLETING"), "the backfill ends", seconds=400)
        assert status() == "COMPLETED_SUCCESS"
    with lab.instance() as instance:
        runs = instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": backfill}))
        made = [
            {
                record.partition_key
                for record in instance.get_records_for_run(
                    run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION
                ).records
            }
            for run in runs
        ]
    assert sorted(map(len, made)) == [2, 2, 2]
    assert set.union(*made) == set(LAB_KEYS)
