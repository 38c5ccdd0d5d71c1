"""Reports: published figures beside ours, and the figures that are written and shown."""

import base64
import hashlib
import io
import re
from dataclasses import replace

import dagster as dg
import pandas as pd
from PIL import Image

from cpjump_assets.gallery.gallery import PUBLIC_ORIGIN
from cpjump_assets.orchestration import tables
from cpjump_assets.orchestration.display import LARGEST_PNG
from cpjump_assets.orchestration.tables import StoredAsset
from cpjump_assets_tests.orchestration.lab import Lab

FIGURES = {
    "figure_4a",
    "figure_4b",
    "figure_4c",
    "extended_data_1",
    "figure_5a",
    "figure_5b",
    "percent_replicating",
    "percent_matching",
}
SCORED = (
    tables.OVERALL_CLASSES,
    tables.OVERALL_SCORES,
    tables.OVERALL_PERCENT_SCORES,
    tables.OVERALL_DIRECTIONALITY,
    tables.OVERALL_DIRECTIONAL_PAIRS,
)


def _shown(lab: Lab, asset: StoredAsset) -> dict[str, dg.MetadataValue]:
    return dict(lab.materializations(asset)[0].asset_materialization.metadata)


def _rewrite(lab: Lab, asset: StoredAsset, frame: pd.DataFrame, *, origin: str | None = None) -> None:
    made_from = lab.store.describe(asset.key()).provenance
    lab.store.write(asset.key(), frame, replace(made_from, origin=origin or made_from.origin))


def test_figures_of_simulated_data_are_counted_and_not_compared(refreshed_lab: Lab) -> None:
    counts = _shown(refreshed_lab, tables.PUBLISHED_COMPARISON)["figures of each statistic"].value
    rows = {line.split("|")[1].strip(): line.split("|")[2:-1] for line in counts.splitlines()[2:]}
    assert set(rows) == {"fraction retrieved", "classes", "odds ratio", "percent replicating", "percent matching"}
    for published, *others in rows.values():
        assert int(published) > 0
        assert [int(number) for number in others] == [0, 0, 0]


def test_the_page_of_the_comparison_says_at_a_glance_what_was_compared(lab: Lab) -> None:
    published = len(lab.store.read(tables.PUBLISHED_COMPARISON.key()))
    assert _shown(lab, tables.PUBLISHED_COMPARISON)["verdicts"].value == f"{published} not compared: simulated data"
    for asset in SCORED:
        _rewrite(lab, asset, lab.store.read(asset.key()), origin=PUBLIC_ORIGIN)
    assert lab.run("comparison").success
    verdicts = lab.store.read(tables.PUBLISHED_COMPARISON.key())["verdict"].value_counts()
    said = _shown(lab, tables.PUBLISHED_COMPARISON)["verdicts"].value.split(", ")
    assert sorted(said) == sorted(f"{count} {verdict}" for verdict, count in verdicts.items())
    assert len(said) >= 2


def test_the_comparison_of_simulated_data_passes_its_check_with_these_words(lab: Lab) -> None:
    finished = lab.run("comparison")
    assert finished.success, finished.errors
    evaluation = lab.evaluations(finished)["published_figures_reproduced"]
    assert evaluation.passed
    assert evaluation.metadata["figures"].value == "not compared"
    assert evaluation.metadata["n_compared"].value == 0


def test_figures_of_the_public_gallery_are_compared_and_a_difference_is_a_counted_warning(lab: Lab) -> None:
    for asset in SCORED:
        _rewrite(lab, asset, lab.store.read(asset.key()), origin=PUBLIC_ORIGIN)
    finished = lab.run("comparison")
    assert finished.success, finished.errors
    comparison = lab.store.read(tables.PUBLISHED_COMPARISON.key())
    assert lab.store.describe(tables.PUBLISHED_COMPARISON.key()).provenance.origin == PUBLIC_ORIGIN
    assert set(comparison["task"][comparison["ours"].notna()]) >= {"detection", "sister_compounds", "gene_compound"}
    evaluation = lab.evaluations(finished)["published_figures_reproduced"]
    assert (evaluation.passed, evaluation.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert evaluation.metadata["figures"].value == "compared"
    differing = (comparison["verdict"] == "differs").sum()
    assert evaluation.metadata["n_differing"].value == differing > 10
    assert evaluation.metadata["n_reproduced"].value == (comparison["verdict"] == "reproduces").sum() >= 3


def test_every_figure_lies_in_the_store_as_png_and_svg(refreshed_lab: Lab) -> None:
    listed = refreshed_lab.store.read(tables.BENCHMARK_FIGURES.key())
    assert set(listed["figure"]) == FIGURES
    folder = refreshed_lab.store.root / "benchmark" / "figures"
    assert {path.name for path in folder.iterdir()} == {f"{name}.{kind}" for name in FIGURES for kind in ("png", "svg")}
    for row in listed.itertuples(index=False):
        png, svg = ((refreshed_lab.store.root / path).read_bytes() for path in (row.png, row.svg))
        assert (len(png), len(svg)) == (row.png_bytes, row.svg_bytes)
        assert [hashlib.sha256(content).hexdigest() for content in (png, svg)] == [row.png_sha256, row.svg_sha256]
        assert Image.open(io.BytesIO(png)).width > 200
        words = " ".join(re.sub(r"<[^>]*>", " ", svg.decode()).split())
        assert "made from: simulated gallery, size lab, seed 0" in words


def test_the_event_shows_every_figure_and_stays_small(refreshed_lab: Lab) -> None:
    shown = _shown(refreshed_lab, tables.BENCHMARK_FIGURES)
    found = re.findall(r"!\[(\w+): [^\]]*\]\(data:image/png;base64,([^)]+)\)", shown["figures"].value)
    assert {name for name, _ in found} == FIGURES
    folder = refreshed_lab.store.root / "benchmark" / "figures"
    for name, content in found:
        png = base64.b64decode(content, validate=True)
        assert png == (folder / f"{name}.png").read_bytes()
        assert len(png) <= LARGEST_PNG
    (record, *_) = refreshed_lab.materializations(tables.BENCHMARK_FIGURES)
    assert len(dg.serialize_value(record.event_log_entry)) < 600_000
    assert shown["not drawn"].value == "none"
    assert all(f"benchmark/figures/{name}.svg" in shown["files"].value for name in FIGURES)


def test_a_figure_that_was_altered_or_lost_is_noticed_and_made_again(lab: Lab) -> None:
    before = lab.digests()
    folder = lab.store.root / "benchmark" / "figures"
    (folder / "figure_4a.svg").write_text("<svg/>")
    (folder / "figure_5b.png").unlink()
    found = lab.evaluations(lab.check("benchmark_figures"))["figures_as_drawn"]
    assert not found.passed
    assert found.metadata["which"].value == "benchmark/figures/figure_4a.svg, benchmark/figures/figure_5b.png"
    finished = lab.run("comparison")
    assert finished.success, finished.errors
    assert lab.evaluations(finished)["figures_as_drawn"].passed
    assert lab.digests() == before


def test_a_figure_without_a_row_is_left_out_and_named(lab: Lab) -> None:
    for asset in SCORED[:2]:
        table = lab.store.read(asset.key())
        _rewrite(lab, asset, table[~table["task"].str.startswith("orf")])
    finished = lab.run("comparison", assets=["benchmark_figures"])
    assert finished.success, finished.errors
    listed = lab.store.read(tables.BENCHMARK_FIGURES.key())
    assert set(listed["figure"]) == FIGURES - {"extended_data_1"}
    assert _shown(lab, tables.BENCHMARK_FIGURES)["not drawn"].value.startswith("extended_data_1: nothing to draw")
