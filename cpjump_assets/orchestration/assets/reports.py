"""Reports: the published figures beside ours, and the figures of the papers drawn from our tables.

Belongs here: laying stored scores beside what others published, and drawing them. Does not belong here: the scores
(``benchmark``), the published numbers (``published``), how a figure is drawn (``figures``).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg

from cpjump_assets.orchestration import tables
from cpjump_assets.orchestration.assets.benchmark import COMMON
from cpjump_assets.orchestration.display import markdown_table, narrow, pictures
from cpjump_assets.orchestration.recording import Made, keep_table
from cpjump_assets.orchestration.resources import Platform

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from cpjump_assets.figures.benchmark import BenchmarkTables
    from cpjump_assets.storage.store import Store

_COMPARED = (tables.OVERALL_SCORES, tables.OVERALL_PERCENT_SCORES, tables.OVERALL_DIRECTIONALITY)
_DRAWN = {
    "classes": tables.OVERALL_CLASSES,
    "scores": tables.OVERALL_SCORES,
    "percents": tables.OVERALL_PERCENT_SCORES,
    "directions": tables.OVERALL_DIRECTIONALITY,
    "pairs": tables.OVERALL_DIRECTIONAL_PAIRS,
}


@dg.asset(
    **COMMON,
    deps=[dg.AssetKey(asset.name) for asset in _COMPARED],
    code_version=tables.PUBLISHED_COMPARISON.code_version,
)
def published_comparison(platform: Platform) -> dg.MaterializeResult:
    """A row is a published figure beside ours: difference, tolerance and verdict.

    Fractions retrieved, class counts, percent scores and odds ratios, of both papers; where two runs of the authors
    differ, both. On a simulated gallery it compares nothing, and says so.
    """
    from cpjump_assets.gallery.gallery import PUBLIC_ORIGIN
    from cpjump_assets.published.tables import published_figures
    from cpjump_assets.science.comparison import PUBLISHED_COMPARISON, compare_with_published, coverage

    store = platform.store
    inputs = tables.inputs_of(store, *(asset.key() for asset in _COMPARED))
    provenance = tables.provenance_from(tables.PUBLISHED_COMPARISON.code_version, inputs)
    ours = (store.read(asset.key()) for asset in _COMPARED)
    table = compare_with_published(published_figures(), *ours, simulated=provenance.origin != PUBLIC_ORIGIN)
    shown = {
        "verdicts": ", ".join(f"{count} {verdict}" for verdict, count in table["verdict"].value_counts().items()),
        "figures of each statistic": markdown_table(coverage(table)),
        "comparison": markdown_table(narrow(table, _SHOWN_COMPARISON)),
    }
    return keep_table(store, tables.PUBLISHED_COMPARISON, Made(table, shown), provenance, schema=PUBLISHED_COMPARISON)


_SHOWN_COMPARISON = {
    "verdict": "verdict",
    "published": "published",
    "ours": "ours",
    "difference": "difference",
    "tolerance": "tolerance",
    "statistic": "statistic",
    "condition": ("Metadata_experiment_type", "Metadata_cell_line", "Metadata_timepoint_code"),
    "searched": ("reference_experiment_type", "reference_timepoint_code"),
    "task": "task",
    "figure": "figure",
    "run": ("release", "run"),
}


@dg.asset(
    **{**COMMON, "kinds": {"matplotlib", "parquet"}},
    deps=[dg.AssetKey(asset.name) for asset in _DRAWN.values()],
    code_version=tables.BENCHMARK_FIGURES.code_version,
)
def benchmark_figures(platform: Platform) -> dg.MaterializeResult:
    """A row is a figure of the papers, drawn from our tables: its PNG and its SVG, with their digests.

    The files lie in `benchmark/figures` of the store. Rows of mode paper_2024 on all wells are drawn; a figure of which
    there is no row, because no plate of a modality is there, is left out and named.
    """
    from cpjump_assets.figures.benchmark import BenchmarkTables
    from cpjump_assets.science.schemas import FIGURE_FILES

    store = platform.store
    inputs = tables.inputs_of(store, *(asset.key() for asset in _DRAWN.values()))
    provenance = tables.provenance_from(tables.BENCHMARK_FIGURES.code_version, inputs)
    drawn, missing = _draw(BenchmarkTables(**{name: store.read(asset.key()) for name, asset in _DRAWN.items()}))
    table, pngs = _write_figures(store, drawn, origin=provenance.origin)
    shown = {
        "files": markdown_table(table[["title", "png", "svg"]]),
        "not drawn": "; ".join(f"{name}: {why}" for name, why in missing.items()) or "none",
        "figures": pictures(pngs),
    }
    return keep_table(store, tables.BENCHMARK_FIGURES, Made(table, shown), provenance, schema=FIGURE_FILES)


def _draw(benchmark: "BenchmarkTables") -> tuple[dict[str, "Figure"], dict[str, str]]:
    """Draw every figure that there are rows of, and say of the others why not."""
    from cpjump_assets.figures.benchmark import PAPER_FIGURES, rows_of_rule
    from cpjump_assets.figures.rows import NothingToDrawError

    chosen = rows_of_rule(benchmark)
    drawn, missing = {}, {}
    for name, figure in PAPER_FIGURES.items():
        try:
            drawn[name] = figure.draw(chosen)
        except NothingToDrawError as nothing:
            missing[name] = str(nothing)
    return drawn, missing


def _write_figures(
    store: "Store", drawn: Mapping[str, "Figure"], *, origin: str
) -> tuple["pd.DataFrame", dict[str, bytes]]:
    """Write each figure as PNG and SVG; give the list of the files, and the PNGs by what they show.

    A picture travels without its table, so its caption says where the measurements come from.
    """
    import pandas as pd

    from cpjump_assets.figures.benchmark import PAPER_FIGURES
    from cpjump_assets.figures.canvas import to_png, to_svg, write_caption

    rows, pngs = [], {}
    for name, figure in drawn.items():
        write_caption(figure, f"{figure.get_supxlabel()}; made from: {origin}")
        row: dict[str, Any] = {"figure": name, "title": PAPER_FIGURES[name].title}
        contents = {"png": to_png(figure), "svg": to_svg(figure)}
        for kind, content in contents.items():
            path = f"{tables.FIGURES_FOLDER}/{name}.{kind}"
            digest = store.write_file(path, content)
            row |= {kind: path, f"{kind}_bytes": len(content), f"{kind}_sha256": digest}
        rows.append(row)
        pngs[f"{name}: {row['title']}"] = contents["png"]
    return pd.DataFrame(rows), pngs
