"""Montages through the asset: files and pictures of a plate, what is absent, and the check of the files."""

import base64
import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cpjump_assets.orchestration import tables
from cpjump_assets.orchestration.display import LARGEST_GALLERY, LARGEST_PNG
from cpjump_assets.orchestration.refresh import FinishedRun
from cpjump_assets.science.image_montages import MONTAGES
from cpjump_assets.storage.store import file_digest
from cpjump_assets_tests.orchestration.lab import LAB_KEYS, Lab, copy_of

# The first plate is the one that has images.
WITH, WITHOUT = LAB_KEYS[:2]
GREY = 72


@pytest.fixture(scope="module")
def drawn_lab(imaged_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Give a lab with the montages of two plates; read only."""
    with copy_of(imaged_lab, tmp_path_factory.mktemp("montages") / "lab") as lab:
        yield lab


@pytest.fixture(scope="module")
def short_lab(drawn_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Give a lab with the images of three reagents and two controls, which are soon drawn again; read only."""
    with copy_of(drawn_lab, tmp_path_factory.mktemp("short") / "lab") as lab:
        images = lab.store.read(tables.IMAGES.key(WITH))
        is_control = images["role"] == "negative control"
        wells = [sorted(images.loc[chosen, "Metadata_Well"].unique()) for chosen in (is_control, ~is_control)]
        _put_images(lab, images[images["Metadata_Well"].isin([*wells[0][:2], *wells[1][:3]])])
        _again(lab)
        yield lab


@pytest.fixture
def own(short_lab: Lab, tmp_path: Path) -> Iterator[Lab]:
    """Give a copy of it that the test may break."""
    with copy_of(short_lab, tmp_path / "lab") as lab:
        yield lab


def _montages(lab: Lab, plate: str = WITH) -> pd.DataFrame:
    return lab.store.read(tables.MONTAGES.key(plate))


def _shown(lab: Lab, plate: str = WITH) -> Mapping[str, dg.MetadataValue]:
    record = next(record for record in lab.materializations(tables.MONTAGES) if record.partition_key == plate)
    return record.asset_materialization.metadata


def _again(lab: Lab) -> FinishedRun:
    finished = lab.run("plate_images", plates=[WITH], assets=["montages"])
    assert finished.success, finished.errors
    return finished


def _put_images(lab: Lab, images: pd.DataFrame) -> None:
    key = tables.IMAGES.key(WITH)
    lab.store.write(key, images, lab.store.describe(key).provenance)


def _set_status(lab: Lab, status: str, **where: str) -> None:
    images = lab.store.read(tables.IMAGES.key(WITH))
    chosen = np.all([images[column] == value for column, value in where.items()], axis=0)
    assert chosen.any()
    images.loc[chosen, "status"] = status
    _put_images(lab, images)


def _check(lab: Lab) -> dg.AssetCheckEvaluation:
    return lab.evaluations(lab.check("montages"))["montages_as_drawn"]


def test_every_chosen_perturbation_has_a_montage_beside_the_first_control(drawn_lab: Lab) -> None:
    table, images = _montages(drawn_lab), drawn_lab.store.read(tables.IMAGES.key(WITH))
    MONTAGES.check(table, WITH)
    treated = images[images["role"] != "negative control"].drop_duplicates("Metadata_Well")
    assert dict(zip(table["Metadata_broad_sample"], table["Metadata_Well"], strict=True)) == dict(
        zip(treated["Metadata_broad_sample"], treated["Metadata_Well"], strict=True)
    )
    assert len(table) == 8
    assert set(table["control_well"]) == {images.loc[images["role"] == "negative control", "Metadata_Well"].min()}
    assert table["absent"].isna().all()


def test_the_files_are_where_the_list_says_and_as_it_says(drawn_lab: Lab) -> None:
    for row in _montages(drawn_lab).itertuples():
        assert row.file == f"images/montages/{WITH}/{row.Metadata_broad_sample}.png"
        path = drawn_lab.store.root / row.file
        assert (path.stat().st_size, file_digest(path)) == (row.bytes, row.sha256)
        with Image.open(path) as picture:
            assert (picture.format, *picture.size) == ("PNG", row.width, row.height)
    assert _check(drawn_lab).passed


def test_an_overview_and_a_small_picture_of_each_montage_are_shown(drawn_lab: Lab) -> None:
    text = _shown(drawn_lab)["pictures"].value
    assert len(text) < LARGEST_GALLERY
    pictures = [base64.b64decode(found) for found in re.findall(r"data:image/png;base64,([^)]*)\)", text)]
    assert len(pictures) == 1 + 8
    assert all(len(content) < LARGEST_PNG for content in pictures)
    overview, *montages = (Image.open(io.BytesIO(content)) for content in pictures)
    assert overview.height > 500
    assert {picture.size for picture in montages} == {(819, montages[0].height)}
    headings = re.findall(r"### (.*)", text)
    assert headings[0] == "composites of all sites, negative controls first"
    assert all(heading.startswith(("perturbation: ", "positive control: ")) for heading in headings[1:])


def test_a_plate_without_images_has_an_empty_list_or_tiles_that_say_so(drawn_lab: Lab) -> None:
    table = _montages(drawn_lab, WITHOUT)
    MONTAGES.check(table, WITHOUT)
    images = drawn_lab.store.read(tables.IMAGES.key(WITHOUT))
    lacking = images.loc[images["status"] != "held", "Metadata_Well"]
    assert table["absent"].notna().sum() == table["Metadata_Well"].isin(lacking).sum()
    assert _shown(drawn_lab, WITHOUT)["montages"].value == len(table)


def test_a_channel_that_is_not_held_is_grey_and_named(own: Lab) -> None:
    row = _montages(own).iloc[0]
    whole = own.store.file_digest(row["file"])
    _set_status(own, "absent", Metadata_Well=row["Metadata_Well"], channel="ER")
    _again(own)
    table = _montages(own).set_index("Metadata_broad_sample")
    assert table.at[row["Metadata_broad_sample"], "absent"] == f"{row['Metadata_Well']} ER"
    assert table["absent"].notna().sum() == 1
    assert own.store.file_digest(row["file"]) != whole
    pixels = np.asarray(Image.open(own.store.root / row["file"])).astype(int)
    grey = (pixels == GREY).all(axis=2).sum()
    assert grey == pytest.approx(2 * 540 * 540, rel=0.03), "the channel, and the composite that lacks it"
    assert _shown(own)["montages with absent images"].value == 1


def test_a_reagent_that_is_not_chosen_any_more_leaves_no_file(own: Lab) -> None:
    gone, *rest = _montages(own)["Metadata_broad_sample"]
    images = own.store.read(tables.IMAGES.key(WITH))
    _put_images(own, images[images["Metadata_broad_sample"] != gone])
    _again(own)
    assert _montages(own)["Metadata_broad_sample"].tolist() == rest
    folder = own.store.root / tables.MONTAGES_FOLDER / WITH
    assert sorted(path.stem for path in folder.iterdir()) == rest


def test_the_control_is_the_first_that_is_whole(own: Lab) -> None:
    images = own.store.read(tables.IMAGES.key(WITH))
    first, second, *_ = sorted(images.loc[images["role"] == "negative control", "Metadata_Well"].unique())
    _set_status(own, "unusable", Metadata_Well=first, channel="DNA")
    _again(own)
    table = _montages(own)
    assert set(table["control_well"]) == {second}
    assert table["absent"].isna().all()


def test_a_file_that_was_altered_or_lost_is_found_and_drawn_again(own: Lab) -> None:
    before = own.digests()
    lost, altered = _montages(own)["file"].iloc[[0, 2]]
    (own.store.root / lost).unlink()
    (own.store.root / altered).write_bytes(b"something else")
    evaluation = _check(own)
    assert (evaluation.passed, evaluation.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert evaluation.metadata["altered or absent"].value == 2
    assert lost in evaluation.metadata["which"].value and altered in evaluation.metadata["which"].value
    _again(own)
    assert own.digests() == before
    assert _check(own).passed


def test_nothing_is_drawn_again_without_reason(own: Lab) -> None:
    path = own.store.root / _montages(own)["file"].iloc[0]
    written = path.stat().st_mtime_ns
    _again(own)
    assert path.stat().st_mtime_ns == written


def test_an_image_that_is_not_what_was_pulled_is_one_clear_line(own: Lab) -> None:
    images = own.store.read(tables.IMAGES.key(WITH))
    path = own.store.gallery_folder / images.loc[images["role"] != "negative control", "path"].iloc[0]
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    _set_status(own, "absent", Metadata_Well=images["Metadata_Well"].iloc[-1], channel="ER")
    finished = own.run("plate_images", plates=[WITH], assets=["montages"])
    assert not finished.success
    (message,) = finished.errors
    assert f"{path.name} is not what was pulled: materialize images again" in message
    assert "\n" not in message
