"""What an observation of the gallery says: what changed beside what the store holds, and a listing that is kept."""

import dagster as dg

from cpjump_assets.gallery.transfer.inventory import Inventory
from cpjump_assets.science.plates import PLATES, PlateKey
from cpjump_assets_tests.orchestration.lab import LAB_KEYS, Lab


def _observed(lab: Lab, run_id: str) -> dict[str, dict[str, object]]:
    with lab.instance() as instance:
        records = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.ASSET_OBSERVATION).records
    events = [record.event_log_entry.dagster_event for record in records]
    return {
        event.partition: {
            name: value.value for name, value in event.asset_observation_data.asset_observation.metadata.items()
        }
        for event in events
    }


def test_an_observation_counts_what_changed_keeps_the_listing_and_marks_what_vanished(lab: Lab) -> None:
    changed, vanished, same = (PlateKey.parse(key) for key in LAB_KEYS[:3])
    lab.profile_path(changed).write_bytes(b"a newer version")
    lab.profile_path(vanished).unlink()
    finished = lab.run("observe_gallery")
    assert finished.success, finished.errors
    observed = _observed(lab, finished.run_id)
    counts = {
        plate: [observed[str(plate)][f"{kind} objects"] for kind in ("changed", "vanished")]
        for plate in (changed, same)
    }
    assert counts == {changed: [1, 0], same: [0, 0]}
    assert observed[str(same)]["unchanged objects"] >= 1
    assert str(vanished) not in observed
    prefix = "cpg0000-jump-pilot/source_4/workspace/profiles"
    with Inventory(lab.settings.gallery_folder) as inventory:
        assert len(inventory.listed_prefixes()) == len(PLATES)
        key = f"{prefix}/{vanished.batch}/{vanished.barcode}/{vanished.barcode}.csv.gz"
        assert inventory.rows([key])[key].vanished_at is not None
        listing = inventory.last_listing(f"{prefix}/{changed.batch}/{changed.barcode}/")
    assert {item.size for item in listing.objects if item.key.endswith(f"{changed.barcode}.csv.gz")} == {15}
    assert (lab.settings.gallery_folder / key).exists()
