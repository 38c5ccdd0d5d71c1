"""The figures of the papers by name: all of them, from the rows of one rule, small, and equal in every process."""

import hashlib
import subprocess
import sys
from dataclasses import replace

import pytest

from cpjump_assets.figures.benchmark import PAPER_FIGURES, benchmark_figures
from cpjump_assets.figures.canvas import to_png, to_svg
from cpjump_assets.science.errors import BadTableError
from cpjump_assets_tests.figures.pictures import pixels
from cpjump_assets_tests.figures.tables import benchmark_tables

RULES = [("paper_2024", "all"), ("copairs", "all"), ("paper_2024", "inner")]
LARGEST_SVG = 200_000


def test_every_figure_is_drawn_under_its_name_and_small_as_both_files():
    figures = benchmark_figures(benchmark_tables())
    assert list(figures) == list(PAPER_FIGURES)
    assert set(figures) == {
        *("figure_4a", "figure_4b", "figure_4c", "extended_data_1", "figure_5a", "figure_5b"),
        *("percent_replicating", "percent_matching"),
    }
    for figure in figures.values():
        pixels(figure)
        assert len(to_svg(figure)) < LARGEST_SVG
    assert len({to_png(figure) for figure in figures.values()}) == len(figures)


def test_names_can_be_files_and_titles_are_lines_of_their_own():
    assert all(name.isidentifier() and name.islower() for name in PAPER_FIGURES)
    titles = [figure.title for figure in PAPER_FIGURES.values()]
    assert len(set(titles)) == len(titles)
    assert not any("\n" in title for title in titles)


@pytest.mark.parametrize(("mode", "wells"), RULES[1:])
def test_of_all_rows_those_of_one_rule_are_drawn(mode, wells):
    figures = benchmark_figures(benchmark_tables(of_rules=RULES), metric_mode=mode, wells=wells)
    rule = f"subset all, metric_mode {mode}, p_convention add_one N=100000, q_threshold 0.05, wells {wells}"
    captions = {name: figure.get_supxlabel().replace("\n", " ") for name, figure in figures.items()}
    assert captions["figure_4a"] == f"task detection, {rule}; above each box: fraction retrieved"
    assert captions["figure_4b"].startswith(f"task sister_compounds, task sister_guides, {rule}; ")
    assert captions["figure_5a"] == f"comparison orf_crispr, variant corrected, subset all, wells {wells}"
    assert captions["percent_matching"] == f"metric percent_matching, subset all, wells {wells}"


def test_rows_that_are_not_there_are_named():
    tables = benchmark_tables()
    with pytest.raises(BadTableError, match="no row of task detection"):
        benchmark_figures(tables, metric_mode="copairs")
    with pytest.raises(BadTableError, match="no row of metric percent_replicating"):
        benchmark_figures(replace(tables, percents=tables.percents.head(0)))


_DIGEST = """
import hashlib
from cpjump_assets.figures.benchmark import benchmark_figures
from cpjump_assets.figures.canvas import to_png, to_svg
from cpjump_assets_tests.figures.tables import benchmark_tables
for name, figure in benchmark_figures(benchmark_tables()).items():
    print(name, hashlib.sha256(to_svg(figure)).hexdigest())
print("png", hashlib.sha256(to_png(figure)).hexdigest())
"""


def test_another_process_with_other_hashes_makes_the_same_files():
    figures = benchmark_figures(benchmark_tables())
    here = {name: hashlib.sha256(to_svg(figure)).hexdigest() for name, figure in figures.items()}
    here["png"] = hashlib.sha256(to_png(figures["percent_matching"])).hexdigest()
    environment = {"PYTHONHASHSEED": "7", "PYTHONPATH": ":".join(sys.path), "TZ": "Asia/Tokyo", "LC_ALL": "C"}
    command = [sys.executable, "-c", _DIGEST]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120, env=environment)
    assert dict(line.split() for line in ended.stdout.splitlines()) == here
