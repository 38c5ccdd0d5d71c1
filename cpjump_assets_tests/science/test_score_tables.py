"""Schemas of the benchmark tables hang together; that tables keep to them is tried beside what makes the tables."""

import pandas as pd
import pytest

from cpjump_assets.science.class_scores import MetricConfig
from cpjump_assets.science.comparison import PUBLISHED_COMPARISON
from cpjump_assets.science.errors import BadTableError
from cpjump_assets.science.questions import CELL_KEY
from cpjump_assets.science.score_tables import CLASSES, SCORES, with_strategy
from cpjump_assets.science.tasks import MATCHING_TASKS, REPLICATE_TASKS, TASKS


@pytest.mark.parametrize(
    "schema", [CLASSES, SCORES, PUBLISHED_COMPARISON, with_strategy(CLASSES), with_strategy(SCORES)]
)
def test_keys_are_columns_and_no_column_comes_twice(schema):
    assert set(schema.key) <= set(schema.column_names)
    assert len(set(schema.column_names)) == len(schema.column_names)


@pytest.mark.parametrize("schema", [CLASSES, SCORES])
def test_the_key_is_what_a_score_is_about_and_the_rule_it_came_by(schema):
    own = {"class_name"} if schema is CLASSES else set()
    assert set(schema.key) == {*CELL_KEY, *MetricConfig().rule(), *own}


def test_the_table_of_a_split_has_its_strategy_first():
    schema = with_strategy(CLASSES)
    assert schema.key == ("split_strategy", *CLASSES.key)
    assert schema.column_names == ["split_strategy", *CLASSES.column_names]
    assert CLASSES.column_names[0] == "subset"


def test_every_task_is_one_on_wells_or_one_on_perturbations():
    assert len(set(TASKS)) == len(TASKS) == 6
    assert set(REPLICATE_TASKS).isdisjoint(MATCHING_TASKS)


@pytest.mark.parametrize(
    ("column", "value"), [("task", "replicability"), ("wells", "outer"), ("fraction_retrieved", 1.2), ("n_classes", -1)]
)
def test_a_score_that_cannot_be_is_refused(column, value):
    good = {
        "subset": "all",
        "task": "detection",
        "metric_mode": "paper_2024",
        "p_convention": "strict",
        "wells": "all",
        "Metadata_experiment_type": "ORF",
        "Metadata_cell_line": "A549",
        "Metadata_timepoint": 48,
        "Metadata_timepoint_code": "low",
        "reference_experiment_type": "ORF",
        "reference_timepoint": 48,
        "reference_timepoint_code": "low",
        "note": None,
    }
    good |= {name: 1 if name.startswith("n_") else 0.5 for name in SCORES.column_names if name not in good}
    table = pd.DataFrame([good]).astype({"note": "str"})
    SCORES.check(table, "scores")
    with pytest.raises(BadTableError, match=f"column {column} must"):
        SCORES.check(table.assign(**{column: value}), "scores")
