"""Dagster metadata of tables and pictures."""

import base64
import io

import dagster as dg
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cpjump_assets.orchestration.display import (
    LARGEST_GALLERY,
    LARGEST_PNG,
    column_schema,
    counts,
    markdown_table,
    narrow,
    picture,
    pictures,
    table_metadata,
)
from cpjump_assets.science.schemas import SPLIT_MANIFEST
from cpjump_assets.science.strategies import CELLCLIP
from cpjump_assets.storage.store import Provenance, Store, TableKey


def _lines(frame):
    return markdown_table(frame).value.split("\n")


def test_a_table_is_a_header_a_rule_and_a_line_for_each_row():
    frame = pd.DataFrame({"rule": ["plate", "well"], "groups": [40, 12_729]}, index=[9, 3])
    assert _lines(frame) == ["| rule | groups |", "|---|---|", "| plate | 40 |", "| well | 12729 |"]


def test_a_table_without_rows_keeps_its_header():
    assert _lines(pd.DataFrame({"plate": [], "missing": []})) == ["| plate | missing |", "|---|---|"]


@pytest.mark.parametrize(
    "values",
    [
        pd.array([None, "x"], dtype="str"),
        pd.array([None, 1], dtype="Int64"),
        pd.array([None, True], dtype="boolean"),
        pd.array([None, 0.5], dtype="Float64"),
        np.array([np.nan, 0.5]),
        np.array(["NaT", "2020-11-04"], dtype="datetime64[ns]"),
        np.array([None, "x"], dtype=object),
    ],
    ids=lambda values: str(values.dtype),
)
def test_a_missing_value_of_any_type_is_an_empty_cell(values):
    first, second = _lines(pd.DataFrame({"value": values}))[2:]
    assert first == "|  |"
    assert second != "|  |"


def test_numbers_have_four_digits_whole_numbers_and_yes_or_no_stay_what_they_are():
    frame = pd.DataFrame(
        {
            "share": [1 / 3],
            "small": [0.000123456],
            "single": np.array([0.1], dtype="float32"),
            "wells": [12_729],
            "nullable": pd.array([384], dtype="Int64"),
            "promised": [True],
        }
    )
    assert _lines(frame)[2] == "| 0.3333 | 0.0001235 | 0.1 | 12729 | 384 | True |"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("A|B", r"A\|B"),
        ("A\\|B", r"A\\\|B"),
        ("two\nlines", "two lines"),
        ("Metadata_Plate", "Metadata_Plate"),
    ],
)
def test_a_cell_never_ends_its_cell_or_its_row(value, shown):
    assert _lines(pd.DataFrame({"a": [value], "b": [1]}))[2:] == [f"| {shown} | 1 |"]
    assert _lines(pd.DataFrame({value: [1]}))[:2] == [f"| {shown} |", "|---|"]


def test_a_narrow_table_has_short_names_and_one_column_for_what_belongs_together():
    frame = pd.DataFrame(
        {
            "n_classes": pd.array([306, None], dtype="Int64"),
            "Metadata_experiment_type": ["Compound", "ORF"],
            "Metadata_timepoint": [24, 48],
            "left out": 0,
        },
        index=[7, 7],
    )
    shown = narrow(frame, {"condition": ("Metadata_experiment_type", "Metadata_timepoint"), "classes": "n_classes"})
    assert _lines(shown) == ["| condition | classes |", "|---|---|", "| Compound 24 | 306 |", "| ORF 48 |  |"]
    assert list(narrow(frame.head(0), {"both": ("Metadata_experiment_type", "Metadata_timepoint")})) == ["both"]


def _png(n_bytes=None):
    stream = io.BytesIO()
    Image.new("RGB", (3, 2), "red").save(stream, format="png")
    return stream.getvalue().ljust(n_bytes or 0, b"\0")


def test_a_picture_is_shown_inline_and_decodes():
    shown = picture(_png(), "wells of each subset")
    assert isinstance(shown, dg.MarkdownMetadataValue)
    alt, _, content = shown.value.removesuffix(")").partition("](data:image/png;base64,")
    assert alt == "![wells of each subset"
    assert Image.open(io.BytesIO(base64.b64decode(content, validate=True))).size == (3, 2)


def test_a_picture_too_large_for_the_ui_is_refused():
    assert picture(_png(LARGEST_PNG), "at the limit").value
    with pytest.raises(ValueError, match="'above it' has 80001 bytes, more than the 80000"):
        picture(_png(LARGEST_PNG + 1), "above it")


def test_pictures_are_shown_below_their_names_in_their_order():
    shown = pictures({"figure_4a: detection": _png(), "figure_5b: directions": _png(5_000)}).value
    parts = shown.split("\n\n")
    assert parts[0::2] == ["### figure_4a: detection", "### figure_5b: directions"]
    for part, size in zip(parts[1::2], (len(_png()), 5_000), strict=True):
        content = part.removesuffix(")").partition("](data:image/png;base64,")[2]
        assert len(base64.b64decode(content, validate=True)) == size


def test_a_picture_that_the_event_cannot_carry_is_named_and_not_shown():
    shown = pictures({"small": _png(), "large": _png(LARGEST_PNG + 1), "last": _png()}).value
    assert shown.count("data:image/png") == 2
    assert "### large\n\ntoo large to be shown here (80,001 bytes): see the file" in shown
    many = pictures({f"figure {number}": _png(LARGEST_PNG) for number in range(8)}).value
    assert many.count("data:image/png") == 5
    assert many.count("too large") == 3
    assert len(many) < LARGEST_GALLERY + 1_000


def test_counts_of_numpy_become_numbers_that_dagster_plots():
    shown = counts({"plates": np.int64(40), "missing": 0})
    assert shown == {"plates": dg.MetadataValue.int(40), "missing": dg.MetadataValue.int(0)}
    assert type(shown["plates"].value) is int


@pytest.mark.parametrize(("n", "listed"), [(1, 1), (40, 40), (41, 41), (5_804, 41)])
def test_of_thousands_of_columns_the_first_forty_stand_for_all(tmp_path, n, listed):
    frame = pd.DataFrame({f"column_{place}": np.float32([1.0]) for place in range(n)})
    stored = Store(tmp_path).write(TableKey("profiles", "wide"), frame, Provenance("1", {}, "simulated gallery"))
    columns = column_schema(stored.columns, stored.n_columns).columns
    assert len(columns) == listed
    assert [column.name for column in columns[:40]] == [f"column_{place}" for place in range(min(n, 40))]
    if n > 40:
        assert columns[40].name == "..."
        assert columns[40].description.startswith(f"{n:,} columns in all")


def test_a_declared_column_says_what_it_holds_and_whether_it_may_be_missing():
    kinds = {"subset": "large_string", "Metadata_target": "large_string", "Cells_a": "float"}
    subset, target, feature = column_schema(kinds, 3, SPLIT_MANIFEST).columns
    assert (subset.type, subset.description, subset.constraints.nullable) == (
        "string",
        "train, validate or test",
        False,
    )
    assert target.constraints.nullable
    assert (feature.type, feature.description) == ("float", None)


def test_a_stored_table_is_described_by_what_is_in_the_store(tmp_path):
    key = TableKey("splits", "split_manifest", CELLCLIP)
    frame = pd.DataFrame({"subset": ["train", "test"], "n": [1, 2]})
    stored = Store(tmp_path).write(key, frame, Provenance("1", {}, "simulated gallery"))
    shown = table_metadata(stored, SPLIT_MANIFEST)
    assert shown["dagster/row_count"] == 2
    assert [column.name for column in shown["dagster/column_schema"].columns] == ["subset", "n"]
    assert shown["origin"] == "simulated gallery"
    assert (shown["bytes"], shown["sha256"]) == (stored.bytes, stored.digest)
    assert (tmp_path / shown["table"].value).is_file()
