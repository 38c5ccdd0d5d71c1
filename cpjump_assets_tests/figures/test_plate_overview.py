"""The overview of plates, read back from what was drawn and as pixels."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from cpjump_assets.figures.canvas import MODALITY_COLOURS, VERDICT_COLOURS, to_png
from cpjump_assets.figures.plate_overview import plate_overview_figure
from cpjump_assets.figures.rows import NothingToDrawError
from cpjump_assets.orchestration.display import LARGEST_PNG
from cpjump_assets.science.plate_findings import plate_findings
from cpjump_assets.science.plates import MAIN_BATCH
from cpjump_assets.simulate.plate_facts import experiment_metadata
from cpjump_assets_tests.figures.pictures import pixels, where

KNOWN_BAD = "BR00116995"
FOUND = VERDICT_COLOURS["breach"]


def _plates():
    """Give the 51 plates of the main batch with numbers from a seed; the known bad one has 301 profiles."""
    rng = np.random.default_rng(0)
    facts = experiment_metadata()
    facts = facts[facts["Batch"] == MAIN_BATCH].reset_index(drop=True)
    n = len(facts)
    kind = facts["Perturbation"].map({"compound": "Compound", "crispr": "CRISPR", "orf": "ORF"})
    table = pd.DataFrame(
        {
            "Metadata_Batch": MAIN_BATCH,
            "Metadata_Plate": facts["Assay_Plate_Barcode"],
            "Metadata_experiment_type": kind,
            "Metadata_cell_line": facts["Cell_type"],
            "Metadata_timepoint": facts["Time"],
            "Metadata_density": facts["Density"],
            "Metadata_antibiotics": facts["Antibiotics"],
            "Metadata_cell_background": facts["Cell_line"],
            "Metadata_time_delay": "Day0",
            "Metadata_anomaly": facts["Anomaly"],
            "Metadata_is_primary": (facts["Density"] == 100)
            & (facts["Antibiotics"] == "absent")
            & ((kind != "Compound") | (facts["Cell_line"] == "Parental")),
            "profiled_wells": np.where(facts["Assay_Plate_Barcode"] == KNOWN_BAD, 301, 384),
            "cell_count_median": np.nan,
            "replicate_correlation": rng.uniform(0.05, 0.3, n),
            "null_correlation": 0.0,
            "null_95": 0.2,
            "replicating": 0.5,
            "control_shift": rng.uniform(0.5, 2, n),
            "zero_mad_features": rng.integers(10, 40, n),
        }
    )
    effects = {f"{name}_effect": rng.uniform(-0.01, 0.1, n) for name in ("row", "column", "edge")}
    p = {f"{name}_p": rng.uniform(0.001, 0.03, n) for name in ("row", "column", "edge")}
    return table.assign(**effects, **p)


def _figure(plates):
    return plate_overview_figure(plates, plate_findings(plates))


def _panels(figure):
    return {axes.get_title().replace("\n", " "): axes for axes in figure.axes if axes.get_title()}


def _lines(figure):
    """Give what is written at the left of each line, from top to bottom."""
    sheet = figure.axes[0]
    texts = [text for text in sheet.texts if text.get_position()[0] < 1 and text.get_position()[1] >= 0]
    return [text.get_text() for text in sorted(texts, key=lambda text: text.get_position()[1])]


def test_plates_stand_below_their_condition_modality_by_modality_and_secondary_arms_last():
    lines = _lines(_figure(_plates()))
    assert len(lines) == 51 + 17
    conditions = [line for line in lines if not line.startswith("BR")]
    assert conditions[:6] == [
        "Compound A549 24 h",
        "Compound A549 48 h",
        "Compound A549 48 h, density 80 %",
        "Compound A549 48 h, Cas9",
        "Compound A549 48 h, density 120 %",
        "Compound U2OS 24 h",
    ]
    assert "CRISPR A549 144 h, Puromycin" in conditions
    assert lines[lines.index("Compound U2OS 24 h") + 1] == KNOWN_BAD
    assert lines[-3:] == ["ORF U2OS 96 h", "BR00118039", "BR00118040"]


@pytest.mark.parametrize(
    ("title", "column", "factor"),
    [
        ("profiled wells", "profiled_wells", 1),
        ("replicate correlation", "replicate_correlation", 1),
        ("row effect, % of variance", "row_effect", 100),
        ("edge effect, % of variance", "edge_effect", 100),
        ("zero-MAD features", "zero_mad_features", 1),
    ],
)
def test_dots_stand_at_the_values_of_their_plates(title, column, factor):
    plates = _plates()
    figure = _figure(plates)
    lines = _lines(figure)
    (dots,) = (c for c in _panels(figure)[title].collections if len(c.get_offsets()) == 51)
    found = {lines[int(y)]: x for x, y in dots.get_offsets()}
    expected = plates.set_index("Metadata_Plate")[column] * factor
    assert found == pytest.approx(expected.to_dict())


def test_effects_that_chance_explains_are_hollow_and_colours_are_those_of_the_modalities():
    plates = _plates()
    figure = _figure(plates)
    lines = _lines(figure)
    (dots,) = (c for c in _panels(figure)["row effect, % of variance"].collections if len(c.get_offsets()) == 51)
    plates = plates.set_index("Metadata_Plate").loc[[lines[int(y)] for _, y in dots.get_offsets()]]
    edges = [to_hex(colour).upper() for colour in dots.get_edgecolors()]
    faces = [to_hex(colour).upper() for colour in dots.get_facecolors()]
    colours = plates["Metadata_experiment_type"].map(MODALITY_COLOURS).tolist()
    assert edges == colours
    expected = ["#FFFFFF" if p > 0.01 else c for p, c in zip(plates["row_p"], colours, strict=True)]
    assert faces == expected
    assert 5 < faces.count("#FFFFFF") < 46


def test_the_known_bad_plate_stands_out_and_the_anomalies_are_named():
    figure = _figure(_plates())
    texts = {text.get_text(): text for text in figure.axes[0].texts}
    assert to_hex(texts[KNOWN_BAD].get_color()).upper() == FOUND
    assert texts["few profiled wells"].get_position()[1] == texts[KNOWN_BAD].get_position()[1]
    anomalies = [text.get_text() for text in figure.axes[0].texts]
    assert [anomalies.count(stain) for stain in ("WGA", "Phalloidin", "Mitotracker", "none")] == [12, 13, 2, 0]
    behind = "#FCE6D8"
    assert where(pixels(figure), behind).sum() > 3_000


def test_without_findings_nothing_stands_out():
    plates = _plates().assign(profiled_wells=384)
    figure = _figure(plates)
    assert not where(pixels(figure), "#FCE6D8").any()
    assert FOUND not in {to_hex(text.get_color()).upper() for text in figure.axes[0].texts}


def test_cells_have_a_panel_where_they_are_known():
    plates = _plates()
    assert "cells in a well" not in _panels(_figure(plates))
    assert "cells in a well" in _panels(_figure(plates.assign(cell_count_median=1_000.0)))


def test_a_plate_without_replicates_has_no_dot_there():
    plates = _plates()
    columns = ["replicate_correlation", "null_correlation", "null_95", "replicating"]
    plates.loc[plates["Metadata_Plate"] == "BR00118049", columns] = np.nan
    figure = _figure(plates)
    pixels(figure)
    dots = _panels(figure)["replicate correlation"].collections[-1].get_offsets()
    assert np.ma.masked_invalid(dots).mask.any(axis=1).sum() == 1


def test_the_picture_is_small_even_if_every_plate_has_findings():
    plates = _plates().assign(replicating=0.01, cell_count_median=np.random.default_rng(1).uniform(500, 2_000, 51))
    figure = _figure(plates)
    pixels(figure)
    assert len(to_png(figure, colours=128)) < LARGEST_PNG


def test_plates_in_any_order_give_the_same_bytes():
    plates = _plates()
    assert to_png(_figure(plates)) == to_png(_figure(plates.sample(frac=1, random_state=1)))


def test_one_plate_is_drawn_and_none_is_refused():
    plates = _plates()
    pixels(_figure(plates.head(1)))
    with pytest.raises(NothingToDrawError, match="plates"):
        _figure(plates.head(0))
