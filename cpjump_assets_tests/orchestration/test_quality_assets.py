"""Quality of plates: tables and figures of a refresh, and checks that find what was put into the store."""

import base64
import io
import re
from collections.abc import Mapping

import dagster as dg
import pandas as pd
from PIL import Image

from cpjump_assets.orchestration import tables
from cpjump_assets.orchestration.display import LARGEST_PNG
from cpjump_assets.science.plate_quality import PLATE_QUALITY
from cpjump_assets.science.well_quality import WELL_QUALITY
from cpjump_assets.storage.store import TableKey
from cpjump_assets_tests.orchestration.lab import LAB_KEYS, LAB_PLATES, Lab


def _pictures(shown: str) -> list[Image.Image]:
    """Decode the inline pictures of a text, proved to be small."""
    found = [base64.b64decode(content) for content in re.findall(r"data:image/png;base64,([^)]*)\)", shown)]
    assert all(len(png) < LARGEST_PNG for png in found)
    return [Image.open(io.BytesIO(png)) for png in found]


def _shown(record: dg.EventLogRecord) -> Mapping[str, dg.MetadataValue]:
    return record.asset_materialization.metadata


def _rewrite(lab: Lab, key: TableKey, frame: pd.DataFrame) -> None:
    lab.store.write(key, frame, lab.store.describe(key).provenance)


def test_every_plate_has_a_table_of_its_384_wells_and_its_maps(refreshed_lab: Lab) -> None:
    records = {record.partition_key: record for record in refreshed_lab.materializations(tables.WELL_QUALITY)}
    assert sorted(records) == sorted(LAB_KEYS)
    for plate, record in records.items():
        table = refreshed_lab.store.read(tables.WELL_QUALITY.key(plate))
        WELL_QUALITY.check(table, plate)
        shown = _shown(record)
        assert shown["profiled wells"].value == table["profiled"].sum() == 384
        assert shown["cells per well"].value == "the profiles do not carry a cell count"
        assert 0.5 < shown["median |z| of the negative controls"].value < 0.8
        (maps,) = _pictures(shown["plate maps"].value)
        assert maps.width > maps.height > 300


def test_wells_of_profiles_are_the_profiled_ones(refreshed_lab: Lab) -> None:
    for plate in LAB_KEYS:
        table = refreshed_lab.store.read(tables.WELL_QUALITY.key(plate))
        profiles = refreshed_lab.store.open_profiles(tables.NORMALIZED_PROFILES.key(plate))
        assert table.loc[table["profiled"], "Metadata_Well"].tolist() == profiles.metadata["Metadata_Well"].tolist()


def test_the_plates_of_the_batch_stand_side_by_side(refreshed_lab: Lab) -> None:
    table = refreshed_lab.store.read(tables.PLATE_QUALITY.key())
    PLATE_QUALITY.check(table, "plate_quality")
    assert table["Metadata_Plate"].tolist() == [plate.barcode for plate in LAB_PLATES]
    assert (table["replicate_plates"] == 1).all()
    assert (table["replicating"] > 0.2).all()
    shown = _shown(refreshed_lab.materializations(tables.PLATE_QUALITY)[0])
    (overview,) = _pictures(shown["overview"].value)
    assert overview.width > 900
    assert len(shown["measures"].value.splitlines()) == 2 + len(LAB_PLATES)
    assert shown["plates"].value == len(LAB_PLATES)
    assert shown["preset"].value == "paper_2024"


def test_a_plate_that_falls_short_is_named_by_a_warning(lab: Lab) -> None:
    table = lab.store.read(tables.PLATE_QUALITY.key())
    sound = lab.check("plate_quality")
    evaluation = lab.evaluations(sound)["plates_of_sound_quality"]
    assert evaluation.passed
    assert evaluation.metadata["plates without a cell count"].value == len(LAB_PLATES)
    bad = LAB_PLATES[2].barcode
    is_bad = table["Metadata_Plate"] == bad
    table["profiled_wells"] = table["profiled_wells"].mask(is_bad, 301)
    table["replicating"] = table["replicating"].mask(is_bad, 0.04)
    _rewrite(lab, tables.PLATE_QUALITY.key(), table)
    finished = lab.check("plate_quality")
    assert finished.success, "a warning blocks nothing"
    evaluation = lab.evaluations(finished)["plates_of_sound_quality"]
    assert not evaluation.passed
    assert evaluation.severity is dg.AssetCheckSeverity.WARN
    assert evaluation.metadata["plates with findings"].value == 1
    rows = evaluation.metadata["which"].value.splitlines()[2:]
    assert len(rows) == 2
    assert all(bad in row for row in rows)


def test_a_table_that_lacks_a_well_is_found(lab: Lab) -> None:
    key = tables.WELL_QUALITY.key(LAB_KEYS[1])
    _rewrite(lab, key, lab.store.read(key).query("Metadata_Well != 'C07'"))
    finished = lab.check("well_quality")
    evaluation = lab.evaluations(finished)["well_quality_schema"]
    assert not evaluation.passed
    assert evaluation.metadata["problem"].value == f"{key}: wells are missing: C07"
