"""Box plots of retrieval, read back as artists: quartiles and whiskers against their definition, words and colours."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.patches import PathPatch

from cpjump_assets.figures.canvas import DIFFERENT_WELL, SAME_WELL, to_png, to_svg
from cpjump_assets.figures.retrieval import retrieval_figure
from cpjump_assets.science.errors import BadTableError
from cpjump_assets.science.tasks import (
    DETECTION,
    GENE_COMPOUND,
    ORF_DIFFERENT_WELL,
    ORF_SAME_WELL,
    SISTER_COMPOUNDS,
    SISTER_GUIDES,
)
from cpjump_assets_tests.figures.pictures import pixels
from cpjump_assets_tests.figures.tables import retrieval_tables, without_number

CLASSES, SCORES = retrieval_tables()
SISTERS = (SISTER_COMPOUNDS, SISTER_GUIDES)
ORFS = (ORF_SAME_WELL, ORF_DIFFERENT_WELL)
FIGURES = [(DETECTION,), SISTERS, (GENE_COMPOUND,), ORFS]


@cache
def _figure(*tasks):
    """Give the figure of the whole tables, drawn once."""
    return retrieval_figure(CLASSES, SCORES, *tasks)


def _boxes(panel):
    return [patch for patch in panel.patches if isinstance(patch, PathPatch)]


def _colours(panel):
    return [to_hex(box.get_edgecolor()).upper() for box in _boxes(panel)]


def _labels(panel):
    return [label.get_text() for label in panel.get_xticklabels()]


def _numbers(panel):
    """Give the words at the height of the fraction retrieved; reasons stand lower."""
    highest = max(text.get_position()[1] for text in panel.texts)
    return [text.get_text() for text in panel.texts if text.get_position()[1] == highest]


def _five_numbers(values):
    """Give quartiles and whisker ends by their definition: the last value within 1.5 times the interquartile range."""
    low, middle, high = np.percentile(values, [25, 50, 75])
    reach = 1.5 * (high - low)
    inside = values[(values >= low - reach) & (values <= high + reach)]
    return [low, middle, high, inside.min(), inside.max()], np.sort(
        values[(values < inside.min()) | (values > inside.max())]
    )


@pytest.mark.parametrize("tasks", FIGURES)
def test_boxes_medians_whiskers_and_dots_are_what_their_definition_says(tasks):
    figure = _figure(*tasks)
    drawn = 0
    for panel, (line, code) in zip(figure.axes, _conditions(), strict=True):
        own = CLASSES[(CLASSES["Metadata_cell_line"] == line) & (CLASSES["Metadata_timepoint_code"] == code)]
        lines = iter(panel.lines)
        for box, values in zip(_boxes(panel), _values(own, tasks), strict=True):
            (low, middle, high, least, greatest), outside = _five_numbers(values)
            lower, upper, _, _, median, dots = (next(lines).get_ydata() for _ in range(6))
            edges = box.get_path().vertices[:, 1]
            assert (edges.min(), edges.max(), *median) == pytest.approx((low, high, middle, middle))
            assert (*lower, *upper) == pytest.approx((low, least, high, greatest))
            np.testing.assert_allclose(np.sort(dots), outside)
            drawn += 1
    assert drawn == {DETECTION: 12, SISTER_COMPOUNDS: 8, GENE_COMPOUND: 16, ORF_SAME_WELL: 8}[tasks[0]]


def _conditions():
    """Name the panels in the order of the figure: rows are time points, columns cell lines."""
    return [(line, code) for code in ("low", "high") for line in ("A549", "U2OS")]


def _values(classes, tasks):
    for task in tasks:
        of_task = classes[classes["task"] == task]
        for kind in ("Compound", "CRISPR", "ORF"):
            searched = of_task[of_task["reference_experiment_type"] == kind]
            for hours in sorted(searched["reference_timepoint"].unique()):
                yield searched.loc[searched["reference_timepoint"] == hours, "mean_average_precision"].to_numpy()


@pytest.mark.parametrize("tasks", FIGURES)
def test_the_fraction_retrieved_stands_above_each_box_and_nothing_is_cut_off(tasks):
    figure = _figure(*tasks)
    pixels(figure)
    expected = SCORES.loc[SCORES["task"].isin(tasks), "fraction_retrieved"]
    written = [number for panel in figure.axes for number in _numbers(panel)]
    assert sorted(written) == sorted(f"{fraction:.3f}" for fraction in expected)
    for panel in figure.axes:
        highest = max(artist.get_ydata().max() for artist in panel.lines if len(artist.get_ydata()))
        assert min(text.get_position()[1] for text in panel.texts) > highest


def test_in_detection_boxes_are_modalities_with_their_hours_and_classes():
    figure = _figure(DETECTION)
    short = ["Compound\n24 h\nn = 306", "CRISPR\n96 h\nn = 305", "ORF\n48 h\nn = 160"]
    long = ["Compound\n48 h\nn = 306", "CRISPR\n144 h\nn = 305", "ORF\n96 h\nn = 160"]
    assert [_labels(panel) for panel in figure.axes] == [short, short, long, long]
    assert [panel.get_title() for panel in figure.axes[:2]] == ["A549", "U2OS"]
    assert [panel.get_ylabel() for panel in figure.axes[::2]] == ["short time point\nmAP", "long time point\nmAP"]


def test_across_modalities_a_row_is_the_time_of_the_compounds_and_a_box_the_time_of_the_genes():
    figure = _figure(GENE_COMPOUND)
    boxes = ["CRISPR\n96 h\nn = 120", "CRISPR\n144 h\nn = 120", "ORF\n48 h\nn = 29", "ORF\n96 h\nn = 29"]
    assert [_labels(panel) for panel in figure.axes] == [boxes] * 4
    assert [panel.get_ylabel() for panel in figure.axes[::2]] == ["Compound 24 h\nmAP", "Compound 48 h\nmAP"]


def test_sisters_and_orf_tasks_stand_side_by_side():
    sisters, orfs = (_figure(*tasks).axes[0] for tasks in (SISTERS, ORFS))
    assert _labels(sisters) == ["Compound\n24 h\nn = 315", "CRISPR\n96 h\nn = 73"]
    assert _labels(orfs) == ["same well\n48 h\nn = 320", "different well\n48 h\nn = 160"]


def test_blue_is_mostly_the_same_well_position_and_red_mostly_another():
    blue, red = SAME_WELL.upper(), DIFFERENT_WELL.upper()
    colours = {tasks: {tuple(_colours(panel)) for panel in _figure(*tasks).axes} for tasks in FIGURES}
    assert colours == {
        (DETECTION,): {(blue, blue, red)},
        SISTERS: {(red, red)},
        (GENE_COMPOUND,): {(red,) * 4},
        ORFS: {(blue, red)},
    }


@pytest.mark.parametrize(("share", "colour"), [(0.5, DIFFERENT_WELL), (0.501, SAME_WELL)])
def test_the_colour_turns_at_one_half(share, colour):
    figure = retrieval_figure(CLASSES, SCORES.assign(same_well_share=share), DETECTION)
    assert {drawn for panel in figure.axes for drawn in _colours(panel)} == {colour.upper()}


def test_the_legend_names_the_colours_that_are_there():
    detection, sisters = (_figure(*tasks).legends[0] for tasks in FIGURES[:2])
    assert [text.get_text() for text in sisters.get_texts()] == ["mostly different well positions"]
    assert len(detection.get_texts()) == 2


def _lost(note="no class has two wells in this subset, so there is nothing that could be retrieved"):
    chosen = (SCORES["Metadata_cell_line"] == "U2OS") & (SCORES["Metadata_experiment_type"] != "CRISPR")
    return without_number(SCORES, chosen, note), note


def test_a_condition_without_a_number_has_no_box_but_the_reason_within_its_place():
    scores, note = _lost()
    figure = retrieval_figure(CLASSES, scores, DETECTION)
    pixels(figure)
    panel = figure.axes[1]
    assert [number == "n/a" for number in _numbers(panel)] == [True, False, True]
    assert len(_boxes(panel)) == 1
    reasons = [text for text in panel.texts if text.get_text().replace("\n", " ") == note]
    assert len(reasons) == 2
    to_data = panel.transData.inverted()
    written = [text.get_window_extent().transformed(to_data) for text in reasons]
    assert all(box.width < 1 for box in written)
    assert all(box.y0 > panel.get_ylim()[0] for box in written)


def test_a_reason_too_long_for_its_place_is_cut_and_one_that_is_not_noted_is_said_to_be():
    scores, _ = _lost("word " * 200)
    figure = retrieval_figure(CLASSES, scores, DETECTION)
    pixels(figure)
    assert any(text.get_text().endswith("...") for text in figure.axes[1].texts)
    unsaid = retrieval_figure(CLASSES, scores.assign(note=pd.Series(np.nan, scores.index, dtype="str")), DETECTION)
    assert any(text.get_text() == "no reason is\nnoted" for text in unsaid.axes[1].texts)


def test_a_condition_without_a_row_says_so():
    absent = SCORES[(SCORES["Metadata_cell_line"] == "U2OS") & (SCORES["reference_timepoint"] == 144)]
    figure = retrieval_figure(CLASSES, SCORES.drop(absent.index), GENE_COMPOUND)
    panel = figure.axes[1]
    assert _labels(panel)[1] == "CRISPR\nlong"
    assert any(text.get_text().replace("\n", " ") == "there is no score of this condition" for text in panel.texts)
    assert len(_boxes(panel)) == 3


def test_a_table_without_any_number_is_drawn_without_boxes_and_without_a_legend():
    figure = retrieval_figure(CLASSES.head(0), without_number(SCORES, SCORES.index, "no controls"), DETECTION)
    pixels(figure)
    assert [len(_boxes(panel)) for panel in figure.axes] == [0] * 4
    assert not figure.legends


def test_one_cell_line_one_time_and_one_class_are_enough():
    one = (SCORES["Metadata_cell_line"] == "A549") & (SCORES["Metadata_timepoint"] == 24)
    classes = CLASSES[CLASSES["class_name"] == "class 007"]
    figure = retrieval_figure(classes, SCORES[one].assign(n_classes=1), DETECTION)
    pixels(figure)
    (panel,) = figure.axes
    assert _labels(panel) == ["Compound\n24 h\nn = 1"]
    assert panel.get_ylabel() == "Compound 24 h\nmAP"


def test_classes_without_a_positive_pair_are_left_out():
    more = CLASSES.assign(class_name="z" + CLASSES["class_name"], mean_average_precision=np.nan)
    with_more = retrieval_figure(pd.concat([CLASSES, more]), SCORES, DETECTION)
    assert to_png(with_more) == to_png(_figure(DETECTION))


def test_the_figure_says_which_rows_it_shows():
    rule = "subset all, metric_mode paper_2024, p_convention add_one N=100000, q_threshold 0.05, wells all"
    caption = _figure(DETECTION).get_supxlabel().replace("\n", " ")
    assert caption == f"task detection, {rule}; above each box: fraction retrieved"


@pytest.mark.parametrize("column", ["subset", "metric_mode", "p_convention", "q_threshold", "wells", "split_strategy"])
@pytest.mark.parametrize("table", ["both", "scores", "classes"])
def test_rows_of_two_rules_are_refused_in_either_table(column, table):
    classes, scores = (frame.assign(split_strategy="one") for frame in (CLASSES, SCORES))
    others = [frame.assign(**{column: "other"}) for frame in (classes, scores)]
    if table != "scores":
        classes = pd.concat([classes, others[0]]) if table == "both" else others[0]
    if table != "classes":
        scores = pd.concat([scores, others[1]]) if table == "both" else others[1]
    with pytest.raises(BadTableError, match=f"one {column}, but the tables hold 2: .*other"):
        retrieval_figure(classes, scores, DETECTION)


def test_a_score_that_comes_twice_and_a_task_without_a_score_are_refused():
    with pytest.raises(BadTableError, match="detection, CRISPR, A549, 96, low, CRISPR, 96, low comes more than once"):
        retrieval_figure(CLASSES, pd.concat([SCORES, SCORES.head(1)]), DETECTION)
    with pytest.raises(BadTableError, match="no row of task sister_guides"):
        retrieval_figure(CLASSES, SCORES[SCORES["task"] != SISTER_GUIDES], *SISTERS)


def test_scores_of_other_classes_are_refused():
    fewer = CLASSES[~((CLASSES["task"] == DETECTION) & (CLASSES["class_name"] == "class 159"))]
    for classes, held in ((fewer, "(305|304|159)"), (CLASSES.head(0), "0")):
        with pytest.raises(
            BadTableError, match=rf"scores count \d+ classes for detection, .*, but classes hold {held}$"
        ):
            retrieval_figure(classes, SCORES, DETECTION)


@pytest.mark.parametrize("tasks", [(DETECTION,), (GENE_COMPOUND,)])
def test_rows_in_any_order_give_the_same_bytes(tasks):
    one = retrieval_figure(CLASSES, SCORES, *tasks)
    two = retrieval_figure(*(table.sample(frac=1, random_state=3) for table in (CLASSES, SCORES)), *tasks)
    assert to_png(one) == to_png(two)
    assert to_svg(one) == to_svg(two)
