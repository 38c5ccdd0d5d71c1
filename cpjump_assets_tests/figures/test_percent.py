"""Bars of the percent scores, read back as artists: heights, intervals, words, colours and the line of chance."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from cpjump_assets.figures.canvas import MODALITY_COLOURS, to_png, to_svg
from cpjump_assets.figures.percent import percent_figure
from cpjump_assets.science.errors import BadTableError
from cpjump_assets_tests.figures.pictures import pixels
from cpjump_assets_tests.figures.tables import percent_tables

PERCENTS = percent_tables()
REPLICATING, MATCHING = "percent_replicating", "percent_matching"
ORDER = {kind: place for place, kind in enumerate(MODALITY_COLOURS)}


def _rows(metric, line, percents=PERCENTS):
    """Give the rows of a panel in the order of its bars: by time of the query within modality, then by reference."""
    rows = percents[(percents["metric"] == metric) & (percents["Metadata_cell_line"] == line)]
    by = ["Metadata_experiment_type", "Metadata_timepoint", "reference_experiment_type", "reference_timepoint"]
    return rows.sort_values(by, key=lambda values: values.replace(ORDER))


@cache
def _panels(metric):
    """Give the panels of the whole table, drawn once."""
    return percent_figure(PERCENTS, metric).axes


@pytest.mark.parametrize(("metric", "bars"), [(REPLICATING, 6), (MATCHING, 8)])
def test_bars_numbers_and_intervals_are_those_of_the_table(metric, bars):
    panels = _panels(metric)
    assert [panel.get_title() for panel in panels] == ["A549", "U2OS"]
    for panel in panels:
        rows = _rows(metric, panel.get_title())
        assert len(panel.patches) == bars
        np.testing.assert_allclose([bar.get_height() for bar in panel.patches], rows["percent"])
        assert [text.get_text() for text in panel.texts] == [f"{percent:.1f}" for percent in rows["percent"]]
        ends = np.array([segment[:, 1] for segment in panel.collections[0].get_segments()])
        np.testing.assert_allclose(ends, rows[["percent_low", "percent_high"]])


def test_replicating_is_coloured_by_modality_and_matching_by_what_is_searched():
    replicating, matching = (_panels(metric)[0] for metric in (REPLICATING, MATCHING))
    compound, crispr, orf = MODALITY_COLOURS.values()
    assert _colours(replicating) == [compound] * 2 + [crispr] * 2 + [orf] * 2
    assert _colours(matching) == ([crispr] * 2 + [orf] * 2) * 2


def _colours(panel):
    return [to_hex(bar.get_facecolor()).upper() for bar in panel.patches]


def test_bars_are_named_by_their_conditions():
    replicating, matching = (
        [label.get_text() for label in _panels(metric)[1].get_xticklabels()] for metric in (REPLICATING, MATCHING)
    )
    assert replicating == ["Compound 24 h", "Compound 48 h", "CRISPR 96 h", "CRISPR 144 h", "ORF 48 h", "ORF 96 h"]
    genes = ["CRISPR 96 h", "CRISPR 144 h", "ORF 48 h", "ORF 96 h"]
    assert matching == [f"Compound {hours} h\n{gene}" for hours in (24, 48) for gene in genes]


@pytest.mark.parametrize("metric", [REPLICATING, MATCHING])
def test_chance_is_a_dashed_line_at_5_percent(metric):
    for panel in _panels(metric):
        (chance,) = (line for line in panel.lines if line.get_linestyle() == "--")
        assert list(chance.get_ydata()) == [5, 5]


@pytest.mark.parametrize(("greatest", "top"), [(4, 20), (20, 20), (20.1, 40), (97, 100), (100, 100)])
def test_the_scale_ends_at_the_next_fifth_and_never_below_an_interval(greatest, top):
    percents = PERCENTS.assign(percent=2.0, percent_low=1.0, percent_high=greatest)
    assert percent_figure(percents, MATCHING).axes[0].get_yticks()[-1] == top


def _lost(rows):
    percents, note = PERCENTS.copy(), "no sample has two profiles in this subset"
    percents.loc[rows, ["percent", "percent_low", "percent_high"]] = np.nan
    percents.loc[rows, "note"] = note
    return percents, note


@pytest.mark.parametrize("metric", [REPLICATING, MATCHING])
def test_a_missing_number_has_its_reason_in_place_of_the_bar(metric):
    percents, note = _lost(PERCENTS["Metadata_timepoint"] == 24)
    figure = percent_figure(percents, metric)
    pixels(figure)
    for panel in figure.axes:
        rows = _rows(metric, panel.get_title(), percents)
        said = [text.get_text().replace("\n", " ") for text in panel.texts]
        expected = [f"n/a: {note}" if np.isnan(value) else f"{value:.1f}" for value in rows["percent"]]
        assert said == expected
        assert len(panel.patches) == rows["percent"].notna().sum()


def test_a_table_without_any_number_keeps_its_scale():
    percents, _ = _lost(PERCENTS.index)
    panels = percent_figure(percents, REPLICATING).axes
    assert [len(panel.patches) for panel in panels] == [0, 0]
    assert panels[0].get_yticks()[-1] == 100


@pytest.mark.parametrize("metric", [REPLICATING, MATCHING])
def test_one_cell_line_and_one_condition_are_enough(metric):
    figure = percent_figure(_rows(metric, "U2OS").head(1), metric)
    pixels(figure)
    (panel,) = figure.axes
    assert len(panel.patches) == 1


@pytest.mark.parametrize("column", ["subset", "wells"])
def test_rows_of_two_rules_are_refused(column):
    with pytest.raises(BadTableError, match=f"one {column}, but the tables hold 2: all, other"):
        percent_figure(pd.concat([PERCENTS, PERCENTS.assign(**{column: "other"})]), MATCHING)


def test_rows_of_two_seeds_and_a_metric_without_rows_are_refused():
    with pytest.raises(BadTableError, match=r"percent_matching: .* comes more than once"):
        percent_figure(pd.concat([PERCENTS, PERCENTS.assign(seed=1)]), MATCHING)
    with pytest.raises(BadTableError, match="no row of metric percent_matching"):
        percent_figure(PERCENTS[PERCENTS["metric"] == REPLICATING], MATCHING)


def test_rows_in_any_order_give_the_same_bytes():
    one, two = (percent_figure(table, MATCHING) for table in (PERCENTS, PERCENTS.sample(frac=1, random_state=4)))
    assert to_png(one) == to_png(two)
    assert to_svg(one) == to_svg(two)
