"""The reader of the published scores; the figures themselves are held against the authors' in ``test_comparison``."""

from pathlib import Path

import pandas as pd

import cpjump_assets.published
from cpjump_assets.published.tables import fractions_retrieved
from cpjump_assets.science.comparison import TOLERANCE

_CONDITION = ["task", "Metadata_experiment_type", "Metadata_cell_line", "Metadata_timepoint_code"]


def test_the_typed_file_is_read_as_it_is_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = fractions_retrieved()
    lines = Path(cpjump_assets.published.__file__).with_name("fraction_retrieved.csv").read_text("utf-8").splitlines()
    assert len(table) == len(lines) - 1
    assert table.columns.tolist() == lines[0].split(",")
    assert table.notna().all(axis=None)


def test_fractions_are_numbers_of_three_digits_and_every_row_names_its_source():
    table = fractions_retrieved()
    assert table["fraction_retrieved"].between(0.001, 0.999).all()
    assert table["fraction_retrieved"].tolist() == table["fraction_retrieved"].round(3).tolist()
    assert pd.api.types.is_integer_dtype(table["release"])
    assert table["source"].str.contains(r"Chandrasekaran et al\. 2024").all()


def test_runs_of_the_authors_differ_by_no_more_than_the_tolerance_allows():
    by_condition = fractions_retrieved().groupby(_CONDITION)["fraction_retrieved"]
    spread = by_condition.max() - by_condition.min()
    assert 0 < spread.max() <= TOLERANCE
