"""What a table was made from, and where its measurements come from, however many steps later."""

from dataclasses import dataclass

import pandas as pd
import pytest

from cpjump_assets.gallery.gallery import PUBLIC_ORIGIN
from cpjump_assets.orchestration import tables
from cpjump_assets.orchestration.tables import (
    REFERENCE_ORIGIN,
    StoredAsset,
    inputs_of,
    provenance_from,
    provenance_of_reference,
)
from cpjump_assets.science.errors import StoreError
from cpjump_assets.storage.store import Provenance, Store, TableKey

SIMULATED = "simulated gallery, size small, seed 0"


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def _write(store, name, origin):
    key = TableKey("group", name)
    store.write(key, pd.DataFrame({"name": [name]}), Provenance("1", {}, origin))
    return key


def _made_from(store, *origins):
    keys = [_write(store, f"table{place}", origin) for place, origin in enumerate(origins)]
    return provenance_from("7", inputs_of(store, *keys))


def test_provenance_names_every_input_by_its_digest(store):
    plate = _write(store, "plate", SIMULATED)
    wells = _write(store, "wells", REFERENCE_ORIGIN)
    made = provenance_from("7", inputs_of(store, plate, wells))
    assert made.code_version == "7"
    assert made.inputs == {"group/plate": store.describe(plate).digest, "group/wells": store.describe(wells).digest}
    assert len(set(made.inputs.values())) == 2


def test_an_input_that_was_never_made_is_refused_by_name(store):
    with pytest.raises(StoreError, match="table group/absent is not in the store"):
        inputs_of(store, _write(store, "there", SIMULATED), TableKey("group", "absent"))


@pytest.mark.parametrize(
    ("origins", "origin"),
    [
        ([SIMULATED], SIMULATED),
        ([SIMULATED, SIMULATED], SIMULATED),
        ([PUBLIC_ORIGIN, REFERENCE_ORIGIN], PUBLIC_ORIGIN),
        ([REFERENCE_ORIGIN, SIMULATED], SIMULATED),
        ([REFERENCE_ORIGIN, REFERENCE_ORIGIN], REFERENCE_ORIGIN),
        ([SIMULATED, PUBLIC_ORIGIN], f"{PUBLIC_ORIGIN} + {SIMULATED}"),
        ([PUBLIC_ORIGIN, REFERENCE_ORIGIN, SIMULATED], f"{PUBLIC_ORIGIN} + {SIMULATED}"),
    ],
)
def test_measured_origins_are_all_named_and_reference_tables_only_when_alone(store, origins, origin):
    assert _made_from(store, *origins).origin == origin


def test_the_origin_travels_through_many_steps_and_is_never_named_twice(store):
    mixed = _made_from(store, SIMULATED, PUBLIC_ORIGIN)
    for step in range(3):
        key = _write(store, f"step{step}", mixed.origin)
        mixed = provenance_from("1", inputs_of(store, key, TableKey("group", "table0"), TableKey("group", "table1")))
    assert mixed.origin == f"{PUBLIC_ORIGIN} + {SIMULATED}"


def test_a_mixed_table_is_never_taken_for_one_of_the_public_gallery(store):
    assert _made_from(store, SIMULATED, PUBLIC_ORIGIN).origin != PUBLIC_ORIGIN


@dataclass(frozen=True)
class _Config:
    threshold: float = 0.05


def test_a_configuration_counts_as_an_input_and_so_does_each_of_several(store):
    inputs = inputs_of(store, _write(store, "profiles", SIMULATED))
    configurations = [None, _Config(), _Config(0.1), (_Config(),), (_Config(), _Config(0.1)), (_Config(0.1), _Config())]
    made = [provenance_from("1", inputs, configuration=each).inputs for each in configurations]
    assert "_Config" not in made[0]
    assert all(len(each["_Config"]) == 64 for each in made[1:])
    assert len({each.get("_Config") for each in made}) == len(made)


def test_metadata_tables_are_of_the_reference_and_carry_the_code_version_of_their_asset(store):
    made = provenance_of_reference(StoredAsset("metadata", "wells", "4"), {"a.tsv": "0" * 64})
    assert made == Provenance("4", {"a.tsv": "0" * 64}, REFERENCE_ORIGIN)


def test_every_asset_has_a_place_of_its_own_with_and_without_a_partition():
    assets = [value for value in vars(tables).values() if isinstance(value, StoredAsset)]
    places = {str(asset.key(partition)) for asset in assets for partition in (None, "batch.plate")}
    assert len(assets) > 10
    assert len(places) == 2 * len(assets)
    assert len({asset.asset_key for asset in assets}) == len(assets)
    assert str(tables.WELLS.key()) == "metadata/wells"
    assert str(tables.SPLIT_MANIFEST.key("x")) == "splits/split_manifest/x"
