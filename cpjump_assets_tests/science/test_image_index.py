"""The image index against a reading of the same facts file by file, and one case for each thing that can be wrong."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpjump_assets.science.channels import CHANNELS, channel_number
from cpjump_assets.science.image_index import (
    ABSENT,
    CHANNEL_UNKNOWN,
    EMPTY_FILE,
    IMAGE_INDEX,
    LISTED,
    NAME_UNREADABLE,
    NO_IMAGE_SETS,
    NOT_IN_GALLERY,
    NOT_NAMED,
    UNLISTED,
    UNREADABLE,
    reconcile_images,
)
from cpjump_assets.science.plates import MAIN_PLATES

PLATE = MAIN_PLATES[0]
PLACES = [(well, row, column, site) for well, row, column in (("A01", 1, 1), ("P24", 16, 24)) for site in (1, 2)]


def key_of(row: int, column: int, site: int, channel: str) -> str:
    return f"images/m/r{row:02d}c{column:02d}f{site:02d}p01-ch{channel_number(channel)}sk1fk1fl1.tiff"


IMAGES = [
    (key_of(row, column, site, channel), well, site, channel)
    for well, row, column, site in PLACES
    for channel in CHANNELS
]
KEYS = [key for key, *_ in IMAGES]
A01_ER, A01_DNA = key_of(1, 1, 1, "ER"), key_of(1, 1, 1, "DNA")


def file_names(keys=KEYS) -> pd.DataFrame:
    rows = [(key, well, site, 1, channel_number(channel)) for key, well, site, channel in IMAGES if key in keys]
    columns = ["key", "Metadata_Well", "Metadata_Site", "plane", "channel_number"]
    return pd.DataFrame(rows, columns=columns).set_index("key")


def listing(keys=KEYS, sizes: dict[str, int] | None = None) -> pd.DataFrame:
    rows = [(key, (sizes or {}).get(key, 100), f"etag of {key}") for key in keys]
    return pd.DataFrame(rows, columns=["key", "size", "etag"])


def image_sets(images=IMAGES) -> pd.DataFrame:
    return pd.DataFrame(images, columns=["key", "Metadata_Well", "Metadata_Site", "channel"])


def renamed(key: str, **meaning: object) -> pd.DataFrame:
    """Give image sets in which one file means something else."""
    sets = image_sets()
    sets.loc[sets["key"] == key, list(meaning)] = list(meaning.values())
    return sets


def row_of(table: pd.DataFrame, key: str) -> dict[str, object]:
    (row,) = table[table["key"] == key].astype(object).where(table.notna(), None).to_dict("records")
    return row


def test_where_all_agree_every_image_is_listed_without_a_reason():
    table = reconcile_images(PLATE, listing(), image_sets(), file_names())
    assert len(table) == len(IMAGES)
    assert set(table["status"]) == {LISTED}
    assert table["reason"].isna().all()
    assert row_of(table, key_of(16, 24, 2, "RNA")) == {
        "Metadata_Batch": PLATE.batch,
        "Metadata_Plate": PLATE.barcode,
        "Metadata_Well": "P24",
        "Metadata_row": 16,
        "Metadata_column": 24,
        "Metadata_Site": 2,
        "channel": "RNA",
        "channel_number": 3,
        "plane": 1,
        "key": key_of(16, 24, 2, "RNA"),
        "size": 100,
        "etag": f"etag of {key_of(16, 24, 2, 'RNA')}",
        "status": LISTED,
        "reason": None,
    }


@settings(max_examples=40, deadline=None)
@given(
    held=st.sets(st.sampled_from(KEYS)), named=st.sets(st.sampled_from(IMAGES)), readable=st.sets(st.sampled_from(KEYS))
)
def test_every_file_is_one_row_with_the_status_that_the_three_sources_give(held, named, readable):
    table = reconcile_images(PLATE, listing(sorted(held)), image_sets(sorted(named)), file_names(readable))
    meaning = {key: (well, site, channel) for key, well, site, channel in named}
    of_name = {key: (well, site, channel) for key, well, site, channel in IMAGES if key in readable}
    assert table["key"].tolist() == sorted(held | set(meaning))
    for row in table.itertuples():
        if row.key in meaning:
            expected = LISTED if row.key in held else ABSENT
        else:
            expected = UNLISTED if row.key in readable else UNREADABLE
        assert row.status == expected
        told = meaning.get(row.key, of_name.get(row.key))
        assert pd.isna(row.channel) if told is None else (row.Metadata_Well, row.Metadata_Site, row.channel) == told
        assert pd.notna(row.etag) == pd.notna(row.size) == (row.key in held)
        assert pd.isna(row.reason) == (row.status == LISTED and row.key in readable)


@settings(max_examples=10, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_the_sources_is_of_no_matter(random):
    shuffled = [listing(KEYS[3:]), image_sets(IMAGES[:-2]), file_names()]
    expected = reconcile_images(PLATE, *shuffled)
    shuffled = [table.sample(frac=1, random_state=random.randrange(2**31)) for table in shuffled]
    pd.testing.assert_frame_equal(reconcile_images(PLATE, *shuffled), expected)


def test_what_is_lost_and_what_is_unnamed_says_so():
    table = reconcile_images(PLATE, listing(KEYS[1:]), image_sets(IMAGES[:-1]), file_names())
    lost, unnamed = row_of(table, KEYS[0]), row_of(table, KEYS[-1])
    assert (lost["status"], lost["reason"], lost["size"]) == (ABSENT, NOT_IN_GALLERY, None)
    assert (unnamed["status"], unnamed["reason"]) == (UNLISTED, NOT_NAMED)
    assert (unnamed["Metadata_Well"], unnamed["channel"]) == ("P24", "Brightfield")


def test_without_image_sets_the_names_alone_speak():
    table = reconcile_images(PLATE, listing(), None, file_names())
    assert set(table["status"]) == {UNLISTED}
    assert set(table["reason"]) == {NO_IMAGE_SETS}
    assert (
        table["channel"].tolist() == reconcile_images(PLATE, listing(), image_sets(), file_names())["channel"].tolist()
    )


def test_where_a_name_and_the_image_sets_differ_the_image_sets_count():
    table = reconcile_images(PLATE, listing(), renamed(A01_ER, channel="AGP"), file_names())
    row = row_of(table, A01_ER)
    assert (row["channel"], row["channel_number"], row["reason"]) == ("AGP", 4, "its name says ch4")
    table = reconcile_images(PLATE, listing(), renamed(A01_ER, Metadata_Well="B02", Metadata_Site=7), file_names())
    row = row_of(table, A01_ER)
    assert (row["Metadata_Well"], row["Metadata_row"], row["Metadata_Site"]) == ("B02", 2, 7)
    assert row["reason"] == "its name says A01 site 1"


def test_a_file_named_for_two_channels_shows_the_one_that_its_name_says():
    """As was met in another data set: the names in the columns of two channels were the same."""
    sets = image_sets()
    sets.loc[sets["key"] == A01_DNA, "key"] = A01_ER  # the column of DNA repeats the files of ER
    table = reconcile_images(PLATE, listing(), sets, file_names())
    assert table["key"].is_unique
    twice, unnamed = row_of(table, A01_ER), row_of(table, A01_DNA)
    assert (twice["channel"], twice["reason"]) == ("ER", "the image sets name it also as A01 site 1 DNA")
    assert (unnamed["status"], unnamed["channel"]) == (UNLISTED, "DNA")


def test_an_image_that_is_named_twice_alike_is_named_once():
    table = reconcile_images(PLATE, listing(), pd.concat([image_sets(), image_sets(IMAGES[:5])]), file_names())
    assert len(table) == len(IMAGES)
    assert table["reason"].isna().all()


def test_a_name_that_cannot_be_read_takes_its_meaning_from_the_image_sets():
    table = reconcile_images(PLATE, listing(), image_sets(), file_names(KEYS[1:]))
    row = row_of(table, KEYS[0])
    assert (row["status"], row["channel"], row["channel_number"]) == (LISTED, "Mito", None)
    assert row["reason"] == NAME_UNREADABLE
    table = reconcile_images(PLATE, listing(), image_sets(IMAGES[1:]), file_names(KEYS[1:]))
    row = row_of(table, KEYS[0])
    assert (row["status"], row["Metadata_Well"], row["channel"]) == (UNREADABLE, None, None)


def test_a_ninth_channel_is_in_the_index_without_a_meaning():
    names = file_names()
    names.loc[KEYS[0], "channel_number"] = 9
    row = row_of(reconcile_images(PLATE, listing(), None, names), KEYS[0])
    assert (row["status"], row["channel"], row["channel_number"]) == (UNLISTED, None, 9)
    assert row["reason"] == f"{NO_IMAGE_SETS}; {CHANNEL_UNKNOWN}"


def test_an_empty_file_is_named():
    table = reconcile_images(PLATE, listing(sizes={A01_ER: 0}), image_sets(), file_names())
    assert table.loc[table["reason"].notna(), ["key", "reason"]].to_numpy().tolist() == [[A01_ER, EMPTY_FILE]]


@pytest.mark.parametrize("sets", [None, image_sets([])], ids=["no image sets", "empty image sets"])
def test_of_nothing_the_index_is_empty(sets: pd.DataFrame | None):
    table = reconcile_images(PLATE, listing([]), sets, file_names([]))
    assert table.empty
    assert list(table.columns) == IMAGE_INDEX.column_names
