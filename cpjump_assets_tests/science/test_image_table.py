"""What becomes of each image of a selection."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpjump_assets.science.errors import BadTableError
from cpjump_assets.science.image_table import ABSENT, GONE, HELD, IMAGES, UNUSABLE, PulledFile, image_table


def _files(*states):
    """Give files as a selection finds them: in the gallery ('there'), named only ('named') or nowhere ('nowhere')."""
    there = [state == "there" for state in states]
    reasons = [None if state == "there" else state for state in states]
    return pd.DataFrame(
        {
            "Metadata_Batch": "2020_11_04_CPJUMP1",
            "Metadata_Plate": "BR00116991",
            "Metadata_Well": [f"A{number:02d}" for number in range(1, len(states) + 1)],
            "Metadata_Site": 1,
            "channel": "DNA",
            "channel_number": 5,
            "Metadata_broad_sample": "DMSO",
            "Metadata_control_type": "negcon",
            "role": "negative control",
            "chosen_by": "first negative controls",
            "mean_average_precision": np.nan,
            "key": [None if state == "nowhere" else f"k{number}" for number, state in enumerate(states)],
            "in_gallery": there,
            "reason": pd.Series(reasons, dtype="str"),
        }
    )  # fmt: skip


def _pulled(key, problem=None):
    return PulledFile(f"folder/{key}", 11, "5" * 64, None if problem else (1080, 900), problem)


def test_each_image_is_held_or_says_why_it_is_not():
    files = _files("there", "there", "named", "nowhere", "there")
    table = image_table(files, {"k0": _pulled("k0"), "k1": _pulled("k1", "all zero")}).set_index("Metadata_Well")
    assert table["status"].tolist() == [HELD, UNUSABLE, ABSENT, ABSENT, ABSENT]
    assert table["reason"].fillna("-").tolist() == ["-", "all zero", "named", "nowhere", GONE]
    assert table.loc["A01", ["path", "size", "height", "width"]].tolist() == ["folder/k0", 11, 1080, 900]
    assert table.loc["A02", "sha256"] == "5" * 64
    assert table.loc["A02", ["height", "width"]].isna().all()
    assert table.loc[["A03", "A04", "A05"], ["path", "size", "sha256", "height", "width"]].isna().all(axis=None)


def test_what_is_odd_about_a_held_file_stays():
    files = _files("there").assign(reason=pd.Series(["not named by load_data"], dtype="str"))
    assert image_table(files, {"k0": _pulled("k0")})["reason"].tolist() == ["not named by load_data"]


def test_nothing_pulled_and_nothing_to_pull_are_tables_too():
    assert image_table(_files("named", "there"), {})["status"].tolist() == [ABSENT, ABSENT]
    assert image_table(_files("there").iloc[:0], {}).empty


@given(st.lists(st.sampled_from(["there", "named", "nowhere"]), min_size=1, max_size=8), st.data())
@settings(max_examples=25, deadline=None)
def test_every_image_has_one_row_of_the_schema_and_the_order_does_not_matter(states, data):
    files = _files(*states)
    chosen = data.draw(st.sets(st.sampled_from(files.loc[files["in_gallery"], "key"].tolist() or [None])))
    pulled = {key: _pulled(key, data.draw(st.sampled_from([None, "bad"]))) for key in chosen - {None}}
    table = image_table(files, pulled)
    IMAGES.check(table, "a drawn table")
    assert len(table) == len(states)
    assert (table["status"] == ABSENT).sum() == len(states) - len(pulled)
    assert table.loc[table["status"] != HELD, "reason"].notna().all()
    mixed = files.sample(frac=1, random_state=len(states))
    pd.testing.assert_frame_equal(image_table(mixed, dict(reversed(pulled.items()))), table)


def test_an_image_that_comes_twice_is_refused():
    with pytest.raises(BadTableError, match="come more than once"):
        image_table(pd.concat([_files("there")] * 2), {})
