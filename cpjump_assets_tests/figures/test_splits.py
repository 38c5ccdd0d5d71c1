"""Figures of splits, read back as pixels: lengths and areas of bars against the counts that they stand for."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from cpjump_assets.figures.canvas import MODALITY_COLOURS, VERDICT_COLOURS, to_png
from cpjump_assets.figures.splits import leakage_figure, subsets_figure
from cpjump_assets.science.strategies import CELLCLIP, STRATEGIES, SUBSETS
from cpjump_assets_tests.figures.pictures import bands, pixels, where

BELOW_THE_LEGEND = 35


def _bars(figure):
    """Give the coloured part of each bar, by modality, shape (modalities, width), from top to bottom."""
    picture = pixels(figure)[BELOW_THE_LEGEND:]
    filled = np.array([where(picture, colour) for colour in MODALITY_COLOURS.values()])
    return [filled[:, rows].mean(axis=1) for rows in bands(filled.any(axis=(0, 2)))]


def _manifest(counts):
    rows = [(subset, kind) for (subset, kind), wells in counts.items() for _ in range(wells)]
    frame = pd.DataFrame(rows, columns=["subset", "Metadata_experiment_type"], dtype="str")
    return frame.sample(frac=1, random_state=np.random.RandomState(0))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_bars_of_real_manifests_are_as_long_as_their_wells_are_many(splits, strategy):
    manifest = splits.manifests[strategy]
    wells = pd.crosstab(manifest["subset"], manifest["Metadata_experiment_type"])
    present = [subset for subset in SUBSETS if subset in wells.index]
    lengths = np.array([bar.sum(axis=1) for bar in _bars(subsets_figure(manifest))])
    assert lengths.shape == (len(present), len(MODALITY_COLOURS))
    share = wells.loc[present, list(MODALITY_COLOURS)].to_numpy() / len(manifest)
    np.testing.assert_allclose(lengths / lengths.sum(), share, atol=0.006)


def test_subsets_stand_in_the_order_train_validate_test_whatever_the_order_of_rows():
    counts = {("test", "ORF"): 10, ("validate", "ORF"): 40, ("train", "ORF"): 20}
    lengths = [bar.sum() for bar in _bars(subsets_figure(_manifest(counts)))]
    np.testing.assert_allclose(np.divide(lengths, lengths[0]), [1, 2, 0.5], atol=0.02)


def test_modalities_are_stacked_and_do_not_cover_each_other():
    (bar,) = _bars(subsets_figure(_manifest({("train", kind): 30 for kind in MODALITY_COLOURS})))
    starts_and_ends = [np.flatnonzero(part > 0.5)[[0, -1]] for part in bar]
    assert all(0 < second[0] - first[1] <= 3 for first, second in pairwise(starts_and_ends))


def test_an_empty_subset_keeps_its_place(splits):
    """The CellCLIP-style strategy has no validate."""
    picture = pixels(subsets_figure(splits.manifests[CELLCLIP]))[BELOW_THE_LEGEND:]
    train, test = bands(where(picture, *MODALITY_COLOURS.values()).any(axis=1))
    height = train.stop - train.start
    assert test.start - train.stop > 1.2 * height


def test_a_manifest_without_wells_is_drawn_without_bars(splits):
    figure = subsets_figure(splits.manifests[CELLCLIP].head(0))
    assert _bars(figure) == []
    assert to_png(figure) == to_png(subsets_figure(_manifest({})))


def _audit(*rows):
    columns = ["rule", "groups", "groups_crossing", "promised", "verdict"]
    return pd.DataFrame(rows, columns=columns)


def _shares(figure):
    """Give length and verdict of each bar, from top to bottom; the axis is at 0."""
    picture = pixels(figure)
    filled = {verdict: where(picture, colour) for verdict, colour in VERDICT_COLOURS.items()}
    rows = bands(np.any(list(filled.values()), axis=0).sum(axis=1) > 3)
    found = [max(((part[row].any(axis=0).sum(), verdict) for verdict, part in filled.items())) for row in rows]
    return [length for length, _ in found], [verdict for _, verdict in found]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_bars_of_real_audits_are_the_shares_that_cross(splits, strategy):
    audit = splits.audits[strategy]
    crossing = audit[audit["groups_crossing"] > 0]
    lengths, verdicts = _shares(leakage_figure(audit))
    assert verdicts == crossing["verdict"].tolist()
    share = (crossing["groups_crossing"] / crossing["groups"]).to_numpy()
    np.testing.assert_allclose(np.divide(lengths, max(lengths)), share / share.max(), atol=0.01)


def test_a_breach_has_another_colour_than_a_warning_and_its_words_fit():
    audit = _audit(
        ("a_breach", 12_729, 12_729, True, "breach"),
        ("a_warning", 12_729, 6_364, False, "warning"),
        ("a_rule_that_holds", 12_729, 0, True, "ok"),
        ("nothing_to_cross", 0, 0, False, "ok"),
    )
    lengths, verdicts = _shares(leakage_figure(audit))
    assert verdicts == ["breach", "warning"]
    assert lengths[1] / lengths[0] == pytest.approx(0.5, abs=0.01)


def test_counts_and_promises_stand_in_words_where_a_bar_is_too_short_to_be_seen():
    audit = _audit(
        ("broken", 12_729, 1, True, "breach"),
        ("kept", 160, 0, True, "ok"),
        ("crossed", 40, 40, False, "warning"),
        ("empty", 0, 0, False, "ok"),
    )
    (axes,) = leakage_figure(audit).axes
    words = ["1/12,729, promise broken", "0/160, promise kept", "40/40", "0/0"]
    assert [text.get_text().strip() for text in axes.texts] == words
    assert [label.get_text() for label in axes.get_yticklabels()] == audit["rule"].tolist()


@pytest.mark.parametrize("figure", [subsets_figure, leakage_figure])
def test_drawn_again_the_bytes_are_the_same(splits, figure):
    table = (splits.manifests if figure is subsets_figure else splits.audits)[CELLCLIP]
    shuffled = table.sample(frac=1, random_state=np.random.RandomState(1)) if figure is subsets_figure else table.copy()
    assert to_png(figure(table)) == to_png(figure(shuffled))
