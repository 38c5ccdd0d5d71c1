"""Writing and recording: a table that breaks its schema never replaces a good one."""

from pathlib import Path

import pandas as pd
import pytest

from cpjump_assets.orchestration.recording import Made, keep_table
from cpjump_assets.orchestration.tables import StoredAsset
from cpjump_assets.science.errors import BadTableError
from cpjump_assets.science.schemas import Column, TableSchema
from cpjump_assets.storage.store import Provenance, Store

ASSET = StoredAsset("benchmark", "toy_scores", "1")
SCHEMA = TableSchema("toy_scores", "a toy score", ("name",), (Column("name", "string", "name"),))
MADE_FROM = Provenance("1", {}, "gallery")


def test_a_table_that_breaks_its_schema_is_refused_and_the_former_one_stays(tmp_path: Path) -> None:
    store = Store(tmp_path)
    good = Made(pd.DataFrame({"name": ["a", "b"]}), {"shown": 1})
    result = keep_table(store, ASSET, good, MADE_FROM, partition="p", schema=SCHEMA)
    stored = store.describe(ASSET.key("p"))
    assert result.data_version is not None
    assert result.data_version.value == stored.digest
    assert result.metadata is not None
    assert (result.metadata["dagster/row_count"], result.metadata["shown"]) == (2, 1)
    with pytest.raises(BadTableError, match=r"benchmark/toy_scores/p: 1 keys \(name\) come more than once: a"):
        keep_table(store, ASSET, Made(pd.DataFrame({"name": ["a", "a"]})), MADE_FROM, partition="p", schema=SCHEMA)
    assert store.describe(ASSET.key("p")) == stored
