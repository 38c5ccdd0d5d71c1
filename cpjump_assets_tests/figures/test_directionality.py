"""Box plots of directionality, read back as artists: quartiles, thresholds, words and colours."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from cpjump_assets.figures.canvas import CELL_LINE_COLOURS, LINE_GREY, MODALITY_COLOURS, to_png, to_svg
from cpjump_assets.figures.directionality import directionality_figure
from cpjump_assets.science.errors import BadTableError
from cpjump_assets_tests.figures.pictures import pixels
from cpjump_assets_tests.figures.tables import directionality_tables

SCORES, PAIRS = directionality_tables()
NUMBERS = ["t5", "t95", "fraction_below", "fraction_above", "odds_ratio", "odds_low", "odds_high", "fisher_p"]


def _panel(comparison, scores=SCORES, pairs=PAIRS):
    (panel,) = directionality_figure(pairs, scores, comparison).axes
    return panel


def _words(panel):
    return [text.get_text() for text in panel.texts]


def test_cell_lines_have_their_colour_in_5a_and_gene_modalities_in_5b():
    colours = {
        comparison: [to_hex(box.get_edgecolor()).upper() for box in _panel(comparison).patches]
        for comparison in ("orf_crispr", "compound_gene")
    }
    of_genes = [MODALITY_COLOURS["CRISPR"], MODALITY_COLOURS["ORF"]]
    assert colours == {"orf_crispr": list(CELL_LINE_COLOURS.values()), "compound_gene": of_genes * 2}


def test_boxes_are_named_and_counted():
    labels = [label.get_text() for label in _panel("compound_gene").get_xticklabels()]
    assert labels == [
        f"{line}\nCompound and {kind}\nn = {n}"
        for line in ("A549", "U2OS")
        for kind, n in (("CRISPR", "1,228"), ("ORF", "1,220"))
    ]


@pytest.mark.parametrize("comparison", ["orf_crispr", "compound_gene"])
def test_boxes_are_the_quartiles_of_the_signed_cosines(comparison):
    pairs = PAIRS[PAIRS["comparison"] == comparison]
    expected = [
        np.percentile(of_box, [25, 75])
        for _, of_box in pairs.groupby(["Metadata_cell_line", "reference_experiment_type"])["cosine"]
    ]
    edges = [box.get_path().vertices[:, 1] for box in _panel(comparison).patches]
    np.testing.assert_allclose([[edge.min(), edge.max()] for edge in edges], expected)


def test_thresholds_stand_at_the_percentiles_with_the_share_of_pairs_beyond():
    scores = SCORES.assign(t5=-0.2, t95=0.37, fraction_below=0.0312, fraction_above=0.1288)
    panel = _panel("orf_crispr", scores)
    heights = [segment[0][1] for bars in panel.collections for segment in bars.get_segments()]
    assert heights == [-0.2, 0.37] * 2
    assert _words(panel)[:2] == ["3.1 %\nbelow -0.20", "12.9 %\nabove 0.37"]
    below, above = panel.texts[:2]
    assert below.get_position()[1] < -0.2 < 0.37 < above.get_position()[1]


def test_the_thresholds_of_the_published_slip_are_not_drawn():
    heights = {segment[0][1] for bars in _panel("orf_crispr").collections for segment in bars.get_segments()}
    assert heights == {-0.28, 0.3}


@pytest.mark.parametrize(
    ("odds", "p", "words"),
    [
        (2.031, 3.2e-5, "odds ratio 2.03 (1.50 to 2.70)\np = 3e-05\nmore often positive"),
        (0.4, 0.0004, "odds ratio 0.40 (1.50 to 2.70)\np = 0.0004\nmore often negative"),
        (1.2, 0.31, "odds ratio 1.20 (1.50 to 2.70)\np = 0.3\nneither side more often"),
        (1.2, 0.05, "odds ratio 1.20 (1.50 to 2.70)\np = 0.05\nneither side more often"),
    ],
)
def test_the_test_is_said_in_words(odds, p, words):
    beyond = {"fraction_below": 0.1, "fraction_above": 0.1 * odds}
    scores = SCORES.assign(**beyond, odds_ratio=odds, odds_low=1.5, odds_high=2.7, fisher_p=p)
    assert _words(_panel("orf_crispr", scores))[2] == words


def test_zero_is_a_dashed_grey_line():
    zero = [line for line in _panel("orf_crispr").lines if line.get_linestyle() == "--"]
    assert [(list(line.get_ydata()), line.get_color()) for line in zero] == [([0, 0], LINE_GREY)]


def _without(columns, note):
    lost = SCORES["Metadata_cell_line"] == "U2OS"
    scores = SCORES.copy()
    scores.loc[lost, columns] = np.nan
    scores.loc[lost, "note"] = note
    return scores


def test_without_pairs_the_reason_stands_in_place_of_the_box():
    panel = _panel("compound_gene", _without(NUMBERS, "no pair of one target in this subset"))
    assert len(panel.patches) == 2
    said = [words.replace("\n", " ") for words in _words(panel)]
    assert said.count("n/a: no pair of one target in this subset") == 2
    pixels(panel.figure)


def test_without_an_odds_ratio_the_box_stays_and_the_reason_stands_above():
    note = "no odds ratio: 0 pairs below t5, 12 above, of 120"
    panel = _panel("orf_crispr", _without(["odds_ratio", "odds_low", "odds_high"], note))
    assert len(panel.patches) == 2
    assert _words(panel)[-1].replace("\n", " ") == f"{note} p = 2e-05 more often positive"
    pixels(panel.figure)
    unsaid = _panel("orf_crispr", _without(["odds_ratio"], None))
    assert _words(unsaid)[-1].startswith("no reason is noted\np = ")


def test_a_score_without_its_pairs_has_no_box():
    panel = _panel("orf_crispr", pairs=PAIRS[PAIRS["Metadata_cell_line"] == "A549"])
    assert len(panel.patches) == 1


def test_one_cell_line_is_enough():
    panel = _panel("orf_crispr", SCORES[SCORES["Metadata_cell_line"] == "U2OS"])
    pixels(panel.figure)
    assert [label.get_text().split("\n")[0] for label in panel.get_xticklabels()] == ["U2OS"]
    assert to_hex(panel.patches[0].get_edgecolor()).upper() == CELL_LINE_COLOURS["U2OS"]


@pytest.mark.parametrize("column", ["subset", "wells"])
def test_rows_of_two_rules_are_refused_in_either_table(column):
    others = SCORES.assign(**{column: "other"}), PAIRS.assign(**{column: "other"})
    for scores, pairs in ((pd.concat([SCORES, others[0]]), PAIRS), (SCORES, others[1])):
        with pytest.raises(BadTableError, match=f"one {column}, but the tables hold 2: all, other"):
            directionality_figure(pairs, scores, "orf_crispr")


def test_a_score_that_comes_twice_and_a_comparison_without_a_score_are_refused():
    with pytest.raises(BadTableError, match="A549, ORF, CRISPR comes more than once"):
        directionality_figure(PAIRS, pd.concat([SCORES, SCORES]), "orf_crispr")
    with pytest.raises(BadTableError, match="no row of comparison compound_gene, variant corrected"):
        directionality_figure(PAIRS, SCORES[SCORES["comparison"] == "orf_crispr"], "compound_gene")


def test_rows_in_any_order_give_the_same_bytes():
    one = directionality_figure(PAIRS, SCORES, "compound_gene")
    two = directionality_figure(*(table.sample(frac=1, random_state=5) for table in (PAIRS, SCORES)), "compound_gene")
    assert to_png(one) == to_png(two)
    assert to_svg(one) == to_svg(two)
