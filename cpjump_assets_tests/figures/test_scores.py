"""Figures of scores, read back as pixels and as artists: heights of bars against the fractions, and missing numbers."""

import numpy as np
import pandas as pd
import pytest

from cpjump_assets.figures.canvas import MODALITY_COLOURS, to_png
from cpjump_assets.figures.scores import fraction_retrieved_figure
from cpjump_assets.science.errors import BadTableError
from cpjump_assets.science.score_tables import SCORES
from cpjump_assets.science.strategies import SUBSETS
from cpjump_assets.science.tasks import DETECTION, GENE_COMPOUND
from cpjump_assets_tests.figures.pictures import bands, pixels, where
from cpjump_assets_tests.figures.tables import retrieval_tables, without_number

ENDS = ["fraction_retrieved", "fraction_retrieved_low", "fraction_retrieved_high"]
CONDITION = ["Metadata_experiment_type", "Metadata_cell_line", "Metadata_timepoint"]
_, ALL_SCORES = retrieval_tables()
ROWS = ALL_SCORES[ALL_SCORES["task"] == DETECTION]
ROWS = pd.concat([ROWS[ROWS["Metadata_experiment_type"] == kind] for kind in MODALITY_COLOURS]).sort_values(
    CONDITION, key=lambda values: values.replace({"Compound": "A", "CRISPR": "B"})
)


def _scores(fractions, width=0.05):
    """Give the detection scores of these subsets, each with a fraction for each of the twelve conditions."""
    tables = []
    for subset, values in sorted(fractions.items()):
        fraction = np.broadcast_to(np.asarray(values, dtype=float), len(ROWS))
        ends = {"fraction_retrieved_low": np.maximum(fraction - width, 0)}
        ends |= {"fraction_retrieved": fraction, "fraction_retrieved_high": np.minimum(fraction + width, 1)}
        tables.append(ROWS.assign(subset=subset, **ends))
    return pd.concat(tables, ignore_index=True)


def _panels(figure):
    """Give the bars of each panel that has any, from top to bottom: where each is in the row, and its height."""
    filled = where(pixels(figure), *MODALITY_COLOURS.values())
    places = bands(filled.any(axis=0))
    return [
        {place.start: filled[rows, place].any(axis=1).sum() for place in places if filled[rows, place].any()}
        for rows in bands(filled.any(axis=1))
    ]


def test_36_bars_stand_as_high_as_their_fractions():
    rng = np.random.default_rng(3)
    fractions = {subset: rng.uniform(0.1, 1, 12) for subset in SUBSETS}
    panels = _panels(fraction_retrieved_figure(_scores(fractions)))
    heights = np.array([list(bars.values()) for bars in panels])
    expected = np.array([fractions[subset] for subset in SUBSETS])
    assert heights.shape == (3, 12)
    np.testing.assert_allclose(heights / heights.max(), expected / expected.max(), atol=0.015)


def test_panels_stand_in_the_order_train_validate_test():
    """The table has them as test, train, validate."""
    panels = _panels(fraction_retrieved_figure(_scores({"train": 0.2, "validate": 0.4, "test": 0.8})))
    heights = [max(bars.values()) for bars in panels]
    np.testing.assert_allclose(np.divide(heights, heights[2]), [0.25, 0.5, 1], atol=0.02)


def test_conditions_stand_in_the_colour_of_their_modality_and_in_the_order_of_the_papers():
    picture = pixels(fraction_retrieved_figure(_scores({"all": 0.5})))
    starts = {
        kind: [band.start for band in bands(where(picture, c).any(axis=0))] for kind, c in MODALITY_COLOURS.items()
    }
    assert {kind: len(places) for kind, places in starts.items()} == {"Compound": 4, "CRISPR": 4, "ORF": 4}
    assert max(starts["Compound"]) < min(starts["CRISPR"]) < max(starts["CRISPR"]) < min(starts["ORF"])


def test_a_subset_without_any_number_keeps_its_panel():
    scored = {"train": 0.6, "test": 0.3}
    without, whole = (
        fraction_retrieved_figure(_scores({**scored, "validate": validate})) for validate in (np.nan, 0.5)
    )
    assert len(_panels(without)) == 2
    assert pixels(without).shape == pixels(whole).shape


def test_a_row_without_a_number_has_no_bar_and_is_not_a_zero():
    def drawn(fifth):
        return fraction_retrieved_figure(_scores({"all": [*[0.5] * 4, fifth, *[0.5] * 7]}))

    (bars,), (all_bars,) = _panels(drawn(np.nan)), _panels(drawn(0.5))
    assert set(all_bars) - set(bars) == {sorted(all_bars)[4]}
    assert to_png(drawn(np.nan)) != to_png(drawn(0.0))


def test_a_condition_that_a_subset_lacks_is_drawn_as_one_without_a_number():
    scores = _scores({"train": 0.5, "test": [*([0.5] * 11), np.nan]})
    lacking = scores[scores["fraction_retrieved"].notna()]
    assert to_png(fraction_retrieved_figure(lacking)) == to_png(fraction_retrieved_figure(scores))


def test_a_table_without_any_number_is_drawn_without_bars():
    assert _panels(fraction_retrieved_figure(_scores(dict.fromkeys(SUBSETS, np.nan)))) == []


def test_every_bar_has_its_number_and_a_missing_one_says_so():
    fractions = [0.0, 1.0, 0.1234, 0.9871, *[np.nan] * 8]
    figure = fraction_retrieved_figure(_scores({"train": fractions, "validate": np.nan, "test": 0.5}))
    words = [[text.get_text() for text in panel.texts] for panel in figure.axes]
    assert words == [["0.000", "1.000", "0.123", "0.987", *["n/a"] * 8], ["n/a"] * 12, ["0.500"] * 12]
    assert [panel.get_title(loc="left") for panel in figure.axes] == ["train wells", "validate wells", "test wells"]
    labels = [label.get_text() for label in figure.axes[-1].get_xticklabels()]
    assert labels == [f"{kind} {line} {time} h" for kind, line, time in ROWS[CONDITION].itertuples(index=False)]


def test_a_missing_number_has_its_note_and_all_of_it_fits():
    note = "no well of this condition is in the subset"
    scores = without_number(_scores({"all": 0.5}), ROWS["Metadata_experiment_type"].to_numpy() == "CRISPR", note)
    figure = fraction_retrieved_figure(scores)
    pixels(figure)
    words = [text.get_text().replace("\n", " ") for text in figure.axes[0].texts]
    assert words == ["0.500"] * 4 + [f"n/a: {note}"] * 4 + ["0.500"] * 4
    top = figure.axes[0].get_ylim()[1]
    written = figure.axes[0].texts[4].get_window_extent().transformed(figure.axes[0].transData.inverted())
    assert written.y1 < top
    assert written.width < 1


def test_intervals_reach_above_their_bars_and_one_that_misses_its_bar_is_drawn_from_it():
    narrow, wide = (pixels(fraction_retrieved_figure(_scores({"all": 0.5}, width))) for width in (0.05, 0.09))
    # Where its middle falls between two pixels, a line is a grey of 112.
    dark = [(picture.max(axis=2) < 130).sum() for picture in (narrow, wide)]
    assert dark[1] > dark[0] + 12 * 5
    beside = _scores({"all": 0.5}).assign(fraction_retrieved_low=0.55)
    assert len(_panels(fraction_retrieved_figure(beside))) == 1


def test_across_modalities_bars_say_what_is_searched_in_its_colour_on_a_scale_that_fits():
    figure = fraction_retrieved_figure(ALL_SCORES, GENE_COMPOUND)
    (panel,) = figure.axes
    labels = [label.get_text() for label in panel.get_xticklabels()]
    assert len(set(labels)) == 16
    assert labels[:2] == ["Compound A549 24 h\nCRISPR 96 h", "Compound A549 24 h\nCRISPR 144 h"]
    colours = [MODALITY_COLOURS["CRISPR"]] * 2 + [MODALITY_COLOURS["ORF"]] * 2
    assert [_hex(bar) for bar in panel.patches] == colours * 4
    assert panel.get_yticks()[-1] == pytest.approx(0.2)


def _hex(bar):
    return "#" + "".join(f"{round(255 * channel):02X}" for channel in bar.get_facecolor()[:3])


def test_the_figure_says_which_rows_it_shows():
    figure = fraction_retrieved_figure(_scores({"all": 0.5}).assign(split_strategy="cellclip_cpjump_style"))
    rule = "metric_mode paper_2024, p_convention add_one N=100000, q_threshold 0.05, wells all"
    caption = figure.get_supxlabel().replace("\n", " ")
    assert caption == f"task detection, split_strategy cellclip_cpjump_style, {rule}"


@pytest.mark.parametrize("column", ["metric_mode", "p_convention", "q_threshold", "wells", "split_strategy"])
def test_rows_of_two_rules_are_refused(column):
    one = _scores({"all": 0.5}).assign(split_strategy="one")
    with pytest.raises(BadTableError, match=f"one {column}, but the tables hold 2: .*other"):
        fraction_retrieved_figure(pd.concat([one, one.assign(**{column: "other"})]))


def test_a_row_that_comes_twice_and_a_task_without_rows_are_refused():
    scores = _scores({"all": 0.5})
    with pytest.raises(BadTableError, match=r"all, Compound, A549, 24, low, .* comes more than once"):
        fraction_retrieved_figure(pd.concat([scores, scores.head(1)]))
    with pytest.raises(BadTableError, match="no row of task gene_compound"):
        fraction_retrieved_figure(scores, GENE_COMPOUND)


@pytest.mark.parametrize("subsets", [{"all": 0.5}, dict.fromkeys(SUBSETS, 1.0)])
def test_rows_in_any_order_give_the_same_bytes(subsets):
    scores = _scores(subsets)
    SCORES.check(scores, "scores")
    shuffled = scores.sample(frac=1, random_state=np.random.RandomState(2))
    assert to_png(fraction_retrieved_figure(shuffled)) == to_png(fraction_retrieved_figure(scores))
