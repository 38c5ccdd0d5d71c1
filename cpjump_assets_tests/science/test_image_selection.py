"""Which images are chosen: by score, by name, as asked, and where they are in the index."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpjump_assets.gallery.reference.metadata import load_metadata
from cpjump_assets.gallery.reference.root import ReferenceRoot
from cpjump_assets.science.channels import CHANNELS, FLUORESCENCE
from cpjump_assets.science.errors import BadTableError
from cpjump_assets.science.image_selection import (
    BY_SCORE,
    FIRST_NEGATIVE_CONTROLS,
    FIRST_POSITIVE_CONTROLS,
    ChosenWell,
    ImageSelection,
    select_images,
)
from cpjump_assets.science.plates import PlateKey
from cpjump_assets.science.rules import PAPER_RULE

PLATE = PlateKey("2020_11_04_CPJUMP1", "BR00116991")
_KINDS = {"trt": None, "neg": "negcon", "pos": "poscon_cp", "div": "poscon_diverse", "empty": None}


def _wells(contents, plate=PLATE):
    """Give the wells of a plate that hold these reagents, by name; the reagent's first letters say what it is."""
    kind = [_KINDS[sample.partition("-")[0]] for sample in contents.values()]
    return pd.DataFrame(
        {
            "Metadata_Batch": plate.batch,
            "Metadata_Plate": plate.barcode,
            "Metadata_Well": list(contents),
            "Metadata_broad_sample": list(contents.values()),
            "Metadata_control_type": pd.Series(kind, dtype="str"),
            "Metadata_experiment_type": "Compound",
            "Metadata_cell_line": "A549",
            "Metadata_timepoint": 48,
        }
    )


def _classes(scores, **other):
    """Give classes with these scores, of the rule and condition that count unless told otherwise."""
    row = {
        **PAPER_RULE,
        "subset": "all",
        "task": "detection",
        "Metadata_experiment_type": "Compound",
        "Metadata_cell_line": "A549",
        "Metadata_timepoint": 48,
        **other,
    }
    table = pd.DataFrame({"Metadata_broad_sample": list(scores), "mean_average_precision": list(scores.values())})
    return table.assign(**row)


def _chosen(selection, reason):
    return [(well.well, well.broad_sample) for well in selection.wells if well.chosen_by == reason]


SMALL = _wells(
    {
        "B02": "neg-2", "A01": "neg-1", "C01": "neg-1", "C02": "neg-3", "D05": "neg-1",
        "E01": "trt-b", "E02": "trt-a", "F01": "trt-a", "G01": "pos-z", "G02": "pos-a", "H01": "empty",
    }
)  # fmt: skip


def test_best_scores_are_chosen_equals_by_name_and_each_in_its_first_well():
    classes = _classes({"trt-b": 0.9, "pos-z": 0.9, "trt-a": 0.4, "pos-a": 1.0, "trt-elsewhere": 1.0})
    selection = select_images(SMALL, PLATE, classes)
    assert _chosen(selection, BY_SCORE) == [("E01", "trt-b"), ("E02", "trt-a"), ("G01", "pos-z"), ("G02", "pos-a")]
    assert _chosen(selection, FIRST_NEGATIVE_CONTROLS) == [
        ("A01", "neg-1"), ("B02", "neg-2"), ("C01", "neg-1"), ("C02", "neg-3"),
    ]  # fmt: skip
    assert (selection.sites, selection.channels) == ((1,), FLUORESCENCE)
    by_well = {well.well: well for well in selection.wells}
    assert [by_well[name].mean_average_precision for name in ("E01", "E02", "G02", "A01")] == [0.9, 0.4, 1.0, None]
    roles = {name: by_well[name].role for name in ("E01", "G02", "A01")}
    assert roles == {"E01": "perturbation", "G02": "positive control", "A01": "negative control"}
    assert [well.well for well in selection.wells] == sorted(by_well)


def test_only_eight_are_chosen_and_of_equals_the_first_by_name():
    contents = {f"{letter}03": f"trt-{letter}" for letter in "PONMLKJIHGFE"}
    classes = _classes(dict.fromkeys(sorted(contents.values(), reverse=True), 1.0))
    selection = select_images(_wells(contents), PLATE, classes)
    assert [sample for _, sample in _chosen(selection, BY_SCORE)] == [f"trt-{letter}" for letter in "EFGHIJKL"]


@pytest.mark.parametrize(
    "other",
    [
        {"metric_mode": "copairs"},
        {"wells": "inner"},
        {"task": "orf_same_well"},
        {"subset": "train"},
        {"Metadata_cell_line": "U2OS"},
        {"Metadata_timepoint": 24},
        {"Metadata_experiment_type": "ORF"},
    ],
)
def test_scores_of_another_rule_or_condition_do_not_count(other):
    wanted, misleading = _classes({"trt-a": 0.2}), _classes({"trt-b": 1.0}, **other)
    selection = select_images(SMALL, PLATE, pd.concat([misleading, wanted]))
    assert _chosen(selection, BY_SCORE) == [("E02", "trt-a")]
    assert _chosen(select_images(SMALL, PLATE, misleading), BY_SCORE) == []


@pytest.mark.parametrize("classes", [None, _classes({}), _classes({"trt-a": np.nan}), _classes({"trt-elsewhere": 1.0})])
def test_without_scores_the_first_positive_controls_are_chosen(classes):
    selection = select_images(SMALL, PLATE, classes)
    assert _chosen(selection, FIRST_POSITIVE_CONTROLS) == [("G01", "pos-z"), ("G02", "pos-a")]
    assert _chosen(selection, BY_SCORE) == []
    assert all(well.mean_average_precision is None for well in selection.wells)
    assert selection.chosen_by == "first negative controls (4 wells), first positive controls (2 wells)"


def test_more_than_eight_positive_controls_are_cut_by_name():
    contents = {f"A{number:02d}": f"div-{20 - number:02d}" for number in range(1, 13)}
    chosen = _chosen(select_images(_wells(contents), PLATE), FIRST_POSITIVE_CONTROLS)
    assert sorted(sample for _, sample in chosen) == [f"div-{number:02d}" for number in range(8, 16)]


def test_wells_of_other_plates_do_not_count():
    later = PlateKey("2020_12_08_CPJUMP1_Bleaching", "BR00116991A")
    both = pd.concat([SMALL, _wells({"A02": "neg-1", "A03": "pos-a"}, later)])
    assert select_images(both, PLATE) == select_images(SMALL, PLATE)
    assert [well.well for well in select_images(both, later).wells] == ["A02", "A03"]
    with pytest.raises(BadTableError, match=r"no well of plate 2020_11_04_CPJUMP1\.BR00116992"):
        select_images(both, PlateKey(PLATE.batch, "BR00116992"))


@given(st.permutations(range(len(SMALL))), st.lists(st.sampled_from([0.2, 0.5, 1.0]), min_size=4, max_size=4))
@settings(max_examples=30, deadline=None)
def test_the_order_of_rows_does_not_matter(order, values):
    classes = _classes(dict(zip(["trt-a", "trt-b", "pos-a", "pos-z"], values, strict=True)))
    selection = select_images(SMALL.iloc[order], PLATE, classes.sample(frac=1, random_state=order[0]))
    assert selection == select_images(SMALL, PLATE, classes)
    scores = {well.mean_average_precision for well in selection.wells} - {None}
    assert scores == set(values)


def test_every_real_plate_has_four_negative_and_eight_positive_controls(reference_root):
    wells = load_metadata(ReferenceRoot.parse(str(reference_root))).wells
    for (batch, barcode), on_plate in wells.groupby(["Metadata_Batch", "Metadata_Plate"]):
        selection = select_images(on_plate, PlateKey(batch, barcode))
        assert len(_chosen(selection, FIRST_NEGATIVE_CONTROLS)) == 4, barcode
        assert len(_chosen(selection, FIRST_POSITIVE_CONTROLS)) == 8, barcode
        assert len({well.well for well in selection.wells}) == 12, barcode


def _index(*images, plane=1):
    """Give an index: (well, site, channel, status), keys by well and channel."""
    return pd.DataFrame(
        [
            {
                "Metadata_Well": well,
                "Metadata_Site": site,
                "channel": channel,
                "plane": plane,
                "key": f"root/{well}-{site}-{channel}-p{plane}-{status}.tiff",
                "status": status,
                "reason": None if status == "listed" else f"because {status}",
            }
            for well, site, channel, status in images
        ]
    ).astype({"Metadata_Site": "Int64", "reason": "str"})


def _asked(*wells, sites=(1,), channels=FLUORESCENCE):
    """Give a selection of these wells."""
    chosen = [ChosenWell(well, "trt-b", None, "perturbation", BY_SCORE, 0.5) for well in wells]
    return ImageSelection(PLATE, tuple(chosen), sites, channels)


NAMED = _asked("A01", "E01", sites=(1, 2), channels=("DNA", "Mito"))


def test_each_image_has_a_row_with_its_file_or_the_reason_why_there_is_none():
    index = _index(
        ("E01", 1, "Mito", "listed"), ("E01", 1, "DNA", "absent"), ("A01", 2, "Mito", "unlisted"),
        ("A01", 1, "Brightfield", "listed"), ("B02", 1, "Mito", "listed"),
    )  # fmt: skip
    files = NAMED.files(index).set_index(["Metadata_Well", "Metadata_Site", "channel"])
    assert list(files.index) == [
        (well, site, channel) for well in ("A01", "E01") for site in (1, 2) for channel in ("Mito", "DNA")
    ]
    assert files["in_gallery"].sum() == 2
    assert files.loc[("E01", 1, "Mito"), "key"].endswith("E01-1-Mito-p1-listed.tiff")
    assert files.loc[("A01", 2, "Mito"), "reason"] == "because unlisted"
    absent = files.loc[("E01", 1, "DNA")]
    assert (absent["reason"], absent["in_gallery"]) == ("because absent", False)
    nowhere = files.loc[("A01", 1, "DNA")]
    assert pd.isna(nowhere["key"]) and nowhere["reason"] == "neither in the gallery nor in load_data"
    assert set(files["channel_number"]) == {1, 5}
    assert set(files["Metadata_Plate"]) == {PLATE.barcode}


def test_of_several_files_of_an_image_the_one_in_the_gallery_counts_and_then_the_first_plane():
    image = ("E01", 1, "Mito")
    index = pd.concat([
        _index((*image, "absent"), plane=1), _index((*image, "listed"), plane=3), _index((*image, "unlisted"), plane=2),
    ])  # fmt: skip
    files = NAMED.files(index).set_index(["Metadata_Well", "Metadata_Site", "channel"])
    assert files.loc[image, "key"].endswith("p2-unlisted.tiff")
    assert len(files) == 8


def test_files_whose_name_says_nothing_are_passed_over():
    odd = _index(("E01", 1, "Mito", "listed")).assign(Metadata_Well=None, Metadata_Site=pd.NA, channel=None)
    files = NAMED.files(pd.concat([odd, _index(("E01", 1, "DNA", "listed"))]))
    assert files["in_gallery"].sum() == 1


def test_a_selection_may_ask_for_all_channels():
    selection = _asked("E01", channels=CHANNELS)
    files = selection.files(_index(("E01", 1, "LowZBF", "listed")))
    assert files["channel_number"].tolist() == list(range(1, 9))
    assert files.loc[files["in_gallery"], "channel"].tolist() == ["LowZBF"]
