"""Findings: each threshold just kept to and just missed."""

import numpy as np
import pandas as pd
import pytest

from cpjump_assets.science.plate_findings import SoundPlate, plate_findings
from cpjump_assets.science.replicate_correlation import SAME_CONDITION


def _plates(n=9, **changed):
    """Give sound plates of three conditions; ``changed`` holds values of single columns by plate number."""
    table = pd.DataFrame(
        {
            "Metadata_Batch": "B",
            "Metadata_Plate": [f"P{i}" for i in range(n)],
            **dict.fromkeys(SAME_CONDITION[1:], "same"),
            "profiled_wells": 384,
            "cell_count_median": np.repeat([500.0, 1000.0, 4000.0], 3),
            "edge_effect": np.linspace(0.01, 0.03, n),
            "edge_p": 0.001,
            "replicating": 0.5,
        }
    ).assign(Metadata_timepoint=np.repeat([24, 48, 96], 3))
    for column, values in changed.items():
        for place, value in values.items():
            table.loc[place, column] = value
    return table


def _found(table, rules=None):
    return list(plate_findings(table, rules)[["Metadata_Plate", "finding"]].itertuples(index=False, name=None))


def test_sound_plates_have_no_finding_and_the_table_keeps_its_columns():
    findings = plate_findings(_plates())
    assert findings.empty
    assert findings.columns.tolist() == ["Metadata_Batch", "Metadata_Plate", "finding", "value", "bound"]


@pytest.mark.parametrize(
    ("column", "kept", "missed", "finding"),
    [
        ("profiled_wells", 346, 345, "few profiled wells"),
        ("cell_count_median", 500.0, 499.0, "few cells"),
        ("replicating", 0.1, 0.099, "replicates at chance"),
    ],
)
def test_a_plate_below_a_threshold_is_named_with_value_and_bound(column, kept, missed, finding):
    assert _found(_plates(**{column: {4: kept}})) == []
    (row,) = plate_findings(_plates(**{column: {4: missed}})).to_dict("records")
    assert (row["Metadata_Plate"], row["finding"], row["value"]) == ("P4", finding, missed)
    assert kept >= row["bound"] > missed


def test_cells_are_compared_within_a_condition_alone():
    assert _found(_plates(cell_count_median={0: 240.0})) == [("P0", "few cells")]
    assert _found(_plates(cell_count_median={8: 2_100.0})) == []


def test_an_edge_effect_far_above_the_batch_is_a_finding_unless_chance_explains_it():
    bound = 0.02 + 5 * 1.4826 * 0.005
    assert _found(_plates(edge_effect={8: bound + 1e-6})) == [("P8", "strong edge effect")]
    assert _found(_plates(edge_effect={8: bound - 1e-6})) == []
    assert _found(_plates(edge_effect={8: 0.5}, edge_p={8: 0.02})) == []


def test_missing_measures_are_no_findings():
    table = _plates().assign(cell_count_median=np.nan, replicating=np.nan, edge_effect=np.nan, edge_p=np.nan)
    assert _found(table) == []


def test_a_plate_may_have_several_findings_and_rules_may_differ():
    table = _plates(profiled_wells={2: 301}, replicating={2: 0.0, 1: 0.2})
    assert _found(table) == [("P2", "few profiled wells"), ("P2", "replicates at chance")]
    assert _found(table, SoundPlate(wells=0.5, replicating=0.3)) == [
        ("P1", "replicates at chance"),
        ("P2", "replicates at chance"),
    ]
