"""How many plates a run of a backfill takes."""

import dagster as dg

from cpjump_assets.build import build_defs
from cpjump_assets.orchestration.partitions import plates
from cpjump_assets.settings import Settings


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
