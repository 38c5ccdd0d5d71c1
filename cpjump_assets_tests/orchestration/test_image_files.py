"""Images through the assets: the selection that is pulled, what is no image, measures and maps, and the checks."""

import base64
import hashlib
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cpjump_assets.build import build_defs
from cpjump_assets.orchestration import tables
from cpjump_assets.orchestration.refresh import FinishedRun, PlannedRun, Refresh
from cpjump_assets.science.image_quality import IMAGE_QUALITY
from cpjump_assets.science.image_table import ABSENT, GONE, HELD, IMAGES, UNUSABLE
from cpjump_assets.storage.store import TableKey
from cpjump_assets_tests.orchestration.lab import LAB_KEYS, LAB_PLATES, Lab, copy_of

# The first plate is the one that has images.
WITH, WITHOUT = LAB_KEYS[:2]
IMAGES_JOB = ("image_index", "images", "image_quality")


@pytest.fixture(scope="module")
def pulled_lab(imaged_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Give a lab with the images of two plates; read only."""
    with copy_of(imaged_lab, tmp_path_factory.mktemp("images") / "lab") as lab:
        yield lab


@pytest.fixture
def own(pulled_lab: Lab, tmp_path: Path) -> Iterator[Lab]:
    """Give a copy of it that the test may break."""
    with copy_of(pulled_lab, tmp_path / "lab") as lab:
        yield lab


def _images(lab: Lab, plate: str = WITH) -> pd.DataFrame:
    return lab.store.read(tables.IMAGES.key(plate))


def _shown(lab: Lab, asset: tables.StoredAsset, plate: str = WITH) -> Mapping[str, dg.MetadataValue]:
    record = next(record for record in lab.materializations(asset) if record.partition_key == plate)
    return record.asset_materialization.metadata


def _again(lab: Lab, *assets: str) -> FinishedRun:
    return lab.run("plate_images", plates=[WITH], assets=assets or IMAGES_JOB[1:])


def _rewrite(lab: Lab, key: TableKey, frame: pd.DataFrame) -> None:
    lab.store.write(key, frame, lab.store.describe(key).provenance)


def _tiff(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="TIFF", compression="tiff_lzw")
    return stream.getvalue()


def test_the_best_scored_reagents_and_four_negative_controls_are_pulled(pulled_lab: Lab) -> None:
    images = _images(pulled_lab)
    IMAGES.check(images, WITH)
    assert len(images) == 12 * 5
    assert set(images["Metadata_Site"]) == {1}
    of_wells = images.drop_duplicates("Metadata_Well").set_index("Metadata_Well")
    wells = pulled_lab.store.read(tables.WELLS.key()).query(f"Metadata_Plate == '{LAB_PLATES[0].barcode}'")
    wells = wells[wells["Metadata_Batch"] == LAB_PLATES[0].batch].set_index("Metadata_Well")
    controls = [name for name, kind in sorted(wells["Metadata_control_type"].items()) if kind == "negcon"][:4]
    assert of_wells.index[of_wells["role"] == "negative control"].tolist() == controls

    plate = wells.iloc[0]
    classes = pulled_lab.store.read(tables.OVERALL_CLASSES.key())
    asked = {"task": "detection", "metric_mode": "paper_2024", "wells": "all", "subset": "all"}
    asked |= {f"Metadata_{name}": plate[f"Metadata_{name}"] for name in ("experiment_type", "cell_line", "timepoint")}
    for column, value in asked.items():
        classes = classes[classes[column] == value]
    on_plate = classes[classes["class_name"].isin(wells["Metadata_broad_sample"])]
    ranked = sorted((-row.mean_average_precision, row.class_name) for row in on_plate.itertuples())[:8]
    best = of_wells[of_wells["chosen_by"] == "detection mAP"]
    assert sorted(zip(-best["mAP"], best["Metadata_broad_sample"], strict=True)) == ranked
    for well, sample in best["Metadata_broad_sample"].items():
        assert well == min(wells.index[wells["Metadata_broad_sample"] == sample])


def test_every_file_of_the_table_is_in_the_store_as_the_gallery_has_it(pulled_lab: Lab) -> None:
    images = _images(pulled_lab)
    assert (images["status"] == HELD).all()
    for row in images.itertuples():
        content = (pulled_lab.store.gallery_folder / row.path).read_bytes()
        assert content == pulled_lab.gallery.object_path(row.key).read_bytes()
        assert (row.size, row.sha256) == (len(content), hashlib.sha256(content).hexdigest())
        assert Image.open(io.BytesIO(content)).size == (row.width, row.height) == (256, 256)


def test_the_metadata_say_what_was_chosen_and_pulled(pulled_lab: Lab) -> None:
    shown = _shown(pulled_lab, tables.IMAGES)
    assert shown["chosen_by"].value == "detection mAP (8 wells), first negative controls (4 wells)"
    counted = {name: shown[name].value for name in ("images", HELD, ABSENT, UNUSABLE, "unverified")}
    assert counted == {"images": 60, HELD: 60, ABSENT: 0, UNUSABLE: 0, "unverified": 0}
    assert shown["image bytes"].value == _images(pulled_lab)["size"].sum()
    assert len(shown["wells"].value.splitlines()) == 2 + 12
    numbers = shown["pull of all plates of the run"].data
    assert {name: numbers[name] for name in ("objects", "retries", "unverified", "absent")} == {
        "objects": 60, "retries": 0, "unverified": 0, "absent": 0,
    }  # fmt: skip
    assert "simulated" in shown["origin"].value


def test_images_that_the_gallery_does_not_have_are_rows_and_no_failure(pulled_lab: Lab) -> None:
    images = _images(pulled_lab, WITHOUT)
    assert len(images) == 60
    assert (images["status"] == ABSENT).all()
    assert images["reason"].notna().all()
    shown = _shown(pulled_lab, tables.IMAGES, WITHOUT)
    assert (shown[HELD].value, shown[ABSENT].value) == (0, 60)
    quality = pulled_lab.store.read(tables.IMAGE_QUALITY.key(WITHOUT))
    assert quality["mean"].isna().all()


def test_each_image_is_measured_and_mapped(pulled_lab: Lab) -> None:
    quality = pulled_lab.store.read(tables.IMAGE_QUALITY.key(WITH))
    IMAGE_QUALITY.check(quality, WITH)
    images = _images(pulled_lab)
    pd.testing.assert_frame_equal(quality[list(IMAGES.key)], images[list(IMAGES.key)])
    for row, path in zip(quality.itertuples(), images["path"], strict=True):
        pixels = np.asarray(Image.open(pulled_lab.store.gallery_folder / path))
        assert (row.p50, row.p99) == (np.median(pixels), pytest.approx(np.percentile(pixels, 99)))
        assert row.mean == pytest.approx(pixels.mean())
    assert quality["focus_slope"].between(-9, -1).all()
    shown = _shown(pulled_lab, tables.IMAGE_QUALITY)
    (encoded,) = re.findall(r"data:image/png;base64,([^)]*)\)", shown["maps"].value)
    drawn = Image.open(io.BytesIO(base64.b64decode(encoded)))
    assert drawn.width > 900 < drawn.height
    assert shown["images measured"].value == 60


def test_sound_images_pass_the_checks(pulled_lab: Lab) -> None:
    evaluations = pulled_lab.evaluations(pulled_lab.check("images"))
    evaluations |= pulled_lab.evaluations(pulled_lab.check("image_quality"))
    assert {name: found.passed for name, found in evaluations.items()} == dict.fromkeys(
        ["images_schema", "images_usable", "image_quality_schema", "images_in_focus", "images_not_saturated"], True
    )
    assert evaluations["images_usable"].metadata["absent"].value == 60
    assert evaluations["images_in_focus"].metadata["not measured"].value == 60


def test_a_second_run_pulls_and_writes_nothing(own: Lab) -> None:
    before = own.digests()
    finished = _again(own, *IMAGES_JOB)
    assert finished.success, finished.errors
    assert own.digests() == before


def test_what_is_no_image_is_named_and_the_others_go_on(own: Lab) -> None:
    images = _images(own)
    contents = {
        "0 in every pixel": _tiff(np.zeros((256, 256), np.uint16)),
        "whole TIFF": own.gallery.object_path(images["key"][7]).read_bytes()[:5_000],
        "256 x 256 pixels": _tiff(np.arange(64, dtype=np.uint16).reshape(8, 8)),
    }
    for row, content in zip((3, 7, 11), contents.values(), strict=True):
        own.gallery.object_path(images["key"][row]).write_bytes(content)
    finished = _again(own)
    assert finished.success, finished.errors
    after = _images(own)
    assert after.index[after["status"] == UNUSABLE].tolist() == [3, 7, 11]
    for row, words in zip((3, 7, 11), contents, strict=True):
        name = after["key"][row].rpartition("/")[2]
        assert words in after["reason"][row] and after["reason"][row].startswith(name)
    evaluation = own.evaluations(finished)["images_usable"]
    assert (evaluation.passed, evaluation.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert evaluation.metadata["findings"].value == 3
    quality = own.store.read(tables.IMAGE_QUALITY.key(WITH))
    assert quality.index[quality["mean"].isna()].tolist() == [3, 7, 11]


def test_an_image_that_vanished_since_it_was_indexed_is_absent(own: Lab) -> None:
    images = _images(own)
    own.gallery.object_path(images["key"][5]).unlink()
    finished = _again(own, "images")
    assert finished.success, finished.errors
    after = _images(own)
    assert after.loc[5, ["status", "reason"]].tolist() == [ABSENT, GONE]
    assert (after["status"] == HELD).sum() == 59


def test_a_file_that_was_altered_in_the_store_is_pulled_again(own: Lab) -> None:
    images = _images(own)
    path = own.store.gallery_folder / images["path"][2]
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert _again(own, "images").success
    assert path.read_bytes() == content


def test_without_scores_the_first_positive_controls_are_pulled_and_the_metadata_say_so(own: Lab) -> None:
    own.store.remove(tables.OVERALL_CLASSES.key())
    finished = _again(own, "images")
    assert finished.success, finished.errors
    images = _images(own)
    assert set(images["chosen_by"]) == {"first negative controls", "first positive controls"}
    assert images["mAP"].isna().all()
    positive = images[images["role"] == "positive control"]
    assert positive["Metadata_Well"].nunique() == 8
    assert positive["Metadata_control_type"].str.startswith("poscon").all()
    assert _shown(own, tables.IMAGES)["chosen_by"].value == (
        "first negative controls (4 wells), first positive controls (8 wells)"
    )


def test_more_than_the_budget_is_refused_before_anything_is_pulled(own: Lab) -> None:
    for path in own.store.gallery_folder.rglob("*.tiff"):
        path.unlink()
    settings = replace(own.settings, pull_budget=1_000)
    with own.instance() as instance:
        refresh = Refresh.of(settings, build_defs(settings).resolve_job_def, instance)
        finished = refresh.execute(PlannedRun("plate_images", "images", plate_range=(WITH, WITH), assets=("images",)))
    assert not finished.success
    assert re.search(r"60 objects.* more than the budget of 1\.00 kB", " ".join(finished.errors))
    assert not list(own.store.gallery_folder.rglob("*.tiff"))


def test_a_plate_without_an_index_fails_alone(own: Lab) -> None:
    own.store.remove(tables.IMAGE_INDEX.key(WITHOUT))
    own.store.remove(tables.IMAGES.key(WITH))
    finished = own.run("plate_images", plates=LAB_KEYS[:2], assets=["images"])
    assert not finished.success
    assert "1 of 2 plates failed" in finished.errors[0] and "materialize image_index first" in finished.errors[0]
    assert own.store.exists(tables.IMAGES.key(WITH))


def test_blurred_and_saturated_images_are_named_by_warnings(own: Lab) -> None:
    key = tables.IMAGE_QUALITY.key(WITH)
    quality = own.store.read(key)
    quality.loc[8, "focus_slope"] -= 2.5
    quality.loc[[4, 9], "maximum_share"] = [0.02, 0.3]
    _rewrite(own, key, quality)
    finished = own.check("image_quality")
    assert finished.success, "a warning blocks nothing"
    evaluations = own.evaluations(finished)
    for name, rows in {"images_in_focus": [8], "images_not_saturated": [9, 4]}.items():
        evaluation = evaluations[name]
        assert (evaluation.passed, evaluation.severity) == (False, dg.AssetCheckSeverity.WARN)
        lines = evaluation.metadata["which"].value.splitlines()[2:]
        assert len(lines) == len(rows)
        for line, row in zip(lines, rows, strict=True):
            assert all(f"| {quality.loc[row, column]} |" in line for column in ("Metadata_Well", "channel"))


def test_a_table_that_breaks_its_schema_is_found(own: Lab) -> None:
    images = _images(own)
    _rewrite(own, tables.IMAGES.key(WITH), images.assign(status="perhaps"))
    evaluation = own.evaluations(own.check("images"))["images_schema"]
    assert not evaluation.passed
    assert "column status must be one of held, absent, unusable" in evaluation.metadata["problem"].value
