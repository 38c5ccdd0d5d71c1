"""Figures of scores, read back as pixels: heights of bars against the fractions, and rows without a number."""

import numpy as np
import pandas as pd
import pytest

from cpjump_assets.figures import scores as figures
from cpjump_assets.figures.canvas import MODALITY_COLOURS
from cpjump_assets.figures.scores import fraction_retrieved_figure
from cpjump_assets.science.strategies import SUBSETS
from cpjump_assets_tests.figures.pictures import bands, pixels, where

TIMES = {"CRISPR": (96, 144), "Compound": (24, 48), "ORF": (48, 96)}
CONDITIONS = [(kind, line, time) for kind, times in TIMES.items() for line in ("A549", "U2OS") for time in times]


def _scores(fractions, width=0.05):
    """Give a score table of these subsets, each with a fraction for each of the twelve conditions."""
    rows = [
        (subset, *condition, fraction, max(fraction - width, 0), min(fraction + width, 1))
        for subset, values in sorted(fractions.items())
        for condition, fraction in zip(CONDITIONS, np.broadcast_to(values, len(CONDITIONS)), strict=True)
    ]
    condition = ["Metadata_experiment_type", "Metadata_cell_line", "Metadata_timepoint"]
    ends = ["fraction_retrieved", "fraction_retrieved_low", "fraction_retrieved_high"]
    table = pd.DataFrame(rows, columns=["subset", *condition, *ends])
    table.loc[table["fraction_retrieved"].isna(), ends] = np.nan
    return table


def _panels(png):
    """Give the bars of each panel that has any, from top to bottom: where each is in the row, and its height."""
    filled = where(pixels(png), *MODALITY_COLOURS.values())
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


def test_conditions_stand_in_the_colour_of_their_modality():
    picture = pixels(fraction_retrieved_figure(_scores({"all": 0.5})))
    starts = {
        kind: [band.start for band in bands(where(picture, c).any(axis=0))] for kind, c in MODALITY_COLOURS.items()
    }
    assert {kind: len(places) for kind, places in starts.items()} == {"Compound": 4, "CRISPR": 4, "ORF": 4}
    assert max(starts["CRISPR"]) < min(starts["Compound"]) < max(starts["Compound"]) < min(starts["ORF"])


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
    assert drawn(np.nan) != drawn(0.0)


def test_a_condition_that_a_subset_lacks_is_drawn_as_one_without_a_number():
    scores = _scores({"train": 0.5, "test": [*([0.5] * 11), np.nan]})
    lacking = scores[scores["fraction_retrieved"].notna()]
    assert fraction_retrieved_figure(lacking) == fraction_retrieved_figure(scores)


def test_a_table_without_any_number_is_drawn_without_bars():
    assert _panels(fraction_retrieved_figure(_scores(dict.fromkeys(SUBSETS, np.nan)))) == []


def test_every_bar_has_its_number_and_a_missing_one_says_so(monkeypatch):
    monkeypatch.setattr(figures, "to_png", lambda figure: figure)
    fractions = [0.0, 1.0, 0.123, 0.987, *[np.nan] * 8]
    figure = fraction_retrieved_figure(_scores({"train": fractions, "validate": np.nan, "test": 0.5}))
    words = [[text.get_text() for text in panel.texts] for panel in figure.axes]
    assert words == [["0.00", "1.00", "0.12", "0.99", *["n/a"] * 8], ["n/a"] * 12, ["0.50"] * 12]
    assert [panel.get_title(loc="left") for panel in figure.axes] == ["train wells", "validate wells", "test wells"]
    labels = [label.get_text() for label in figure.axes[-1].get_xticklabels()]
    assert labels == [f"{kind} {line} {time} h" for kind, line, time in CONDITIONS]


def test_intervals_reach_above_their_bars_and_one_that_misses_its_bar_is_drawn_from_it():
    narrow, wide = (pixels(fraction_retrieved_figure(_scores({"all": 0.5}, width))) for width in (0.0, 0.3))
    dark = [(picture.max(axis=2) < 100).sum() for picture in (narrow, wide)]
    assert dark[1] > dark[0] + 12 * 20
    beside = _scores({"all": 0.5}).assign(fraction_retrieved_low=0.55)
    assert len(_panels(fraction_retrieved_figure(beside))) == 1


@pytest.mark.parametrize("subsets", [{"all": 0.5}, dict.fromkeys(SUBSETS, 1.0)])
def test_rows_in_any_order_give_the_same_bytes(subsets):
    scores = _scores(subsets)
    shuffled = scores.sample(frac=1, random_state=np.random.RandomState(2))
    assert fraction_retrieved_figure(shuffled) == fraction_retrieved_figure(scores)
