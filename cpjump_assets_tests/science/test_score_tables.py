"""Schemas of the benchmark tables hang together; that tables keep to them is tried beside what makes the tables."""

import pytest

from cpjump_assets.science.score_tables import CLASSES, PUBLISHED_COMPARISON, SCORES, with_strategy


@pytest.mark.parametrize("schema", [CLASSES, SCORES, PUBLISHED_COMPARISON, with_strategy(SCORES)])
def test_keys_are_columns_and_no_column_comes_twice(schema):
    assert set(schema.key) <= set(schema.column_names)
    assert len(set(schema.column_names)) == len(schema.column_names)


def test_the_table_of_a_split_has_its_strategy_first():
    schema = with_strategy(CLASSES)
    assert schema.key == ("split_strategy", *CLASSES.key)
    assert schema.column_names == ["split_strategy", *CLASSES.column_names]
    assert CLASSES.column_names[0] == "subset"
