"""The rules that the platform scores by, and the rows of one."""

from itertools import product

import pandas as pd

from cpjump_assets.science.class_scores import METRIC_MODES
from cpjump_assets.science.rules import PAPER_RULE, PERCENT_RULES, RETRIEVAL_RULES, rows_of
from cpjump_assets.science.tasks import WELL_SELECTIONS


def test_every_mode_is_scored_on_every_selection_of_wells_once():
    assert sorted((rule.metric_mode, rule.wells) for rule in RETRIEVAL_RULES) == sorted(
        product(METRIC_MODES, WELL_SELECTIONS)
    )
    assert [rule.wells for rule in PERCENT_RULES] == list(WELL_SELECTIONS)


def test_all_rules_keep_the_default_p_and_the_default_seed():
    assert {rule.p_label for rule in RETRIEVAL_RULES} == {"add_one N=100000"}
    assert {rule.seed for rule in (*RETRIEVAL_RULES, *PERCENT_RULES)} == {0}


def test_the_rule_that_is_shown_is_the_published_one():
    assert PAPER_RULE == {
        "metric_mode": "paper_2024",
        "p_convention": "add_one N=100000",
        "q_threshold": 0.05,
        "wells": "all",
    }


def test_rows_of_a_rule_have_every_value():
    table = pd.DataFrame(list(product(["paper_2024", "copairs"], ["all", "inner"])), columns=["metric_mode", "wells"])
    assert rows_of(table, wells="inner").index.tolist() == [1, 3]
    assert rows_of(table, metric_mode="copairs", wells="inner").index.tolist() == [3]
    assert rows_of(table, wells="outer").empty
