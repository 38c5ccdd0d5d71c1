"""Counts of what is found of what was planted, against counts by hand and by a loop."""

import numpy as np
import pandas as pd
import pytest

from cpjump_assets.simulate.recovery import error_rates, recovery
from cpjump_assets.simulate.truth import STRONG


def _truth(strengths):
    return pd.DataFrame({"Metadata_broad_sample": list(strengths), "strength": list(strengths.values())})


def _classes(rows, **rule):
    columns = ["Metadata_broad_sample", "Metadata_experiment_type", "n_queries_scored", "retrieved"]
    published = {
        "task": "detection",
        "metric_mode": "paper_2024",
        "p_convention": "add_one N=100000",
        "q_threshold": 0.05,
        "wells": "all",
    }
    return pd.DataFrame(rows, columns=columns).assign(**published | rule)


def _rows(table):
    return [tuple(row) for row in table.astype({"planted": "str"}).itertuples(index=False)]


PLANTED = {"s1": 2.5, "s2": STRONG, "w1": STRONG - 1e-9, "w2": 0.01, "i1": 0.0, "i2": 0.0}


def test_each_class_is_counted_under_the_strength_that_was_planted():
    classes = _classes(
        [
            ("s1", "Compound", 5, True),
            ("s1", "Compound", 5, False),
            ("s2", "Compound", 5, True),
            ("w1", "Compound", 5, True),
            ("w2", "Compound", 5, False),
            ("i1", "Compound", 5, True),
            ("i2", "Compound", 5, False),
            ("i1", "ORF", 4, False),
        ]
    )
    table = recovery(_truth(PLANTED), classes)
    assert _rows(table) == [
        ("Compound", "strong", 3, 2, 2 / 3),
        ("Compound", "weak", 2, 1, 0.5),
        ("Compound", "inactive", 2, 1, 0.5),
        ("ORF", "inactive", 1, 0, 0.0),
    ]


def test_classes_that_could_not_be_scored_are_left_out():
    classes = _classes([("s1", "ORF", 0, False), ("s2", "ORF", 1, True), ("i1", "ORF", 0, False)])
    assert _rows(recovery(_truth(PLANTED), classes)) == [("ORF", "strong", 1, 1, 1.0)]


@pytest.mark.parametrize(
    "other",
    [{"task": "orf_same_well"}, {"task": "sister_guides"}, {"metric_mode": "copairs"}, {"wells": "inner"}],
    ids=lambda rule: next(iter(rule.values())),
)
def test_only_detection_by_the_rule_of_2024_on_all_wells_is_counted(other):
    asked = _classes([("s1", "ORF", 4, True), ("i1", "ORF", 4, False)])
    both = pd.concat([_classes([("s1", "ORF", 4, False), ("i2", "ORF", 4, True)], **other), asked])
    assert _rows(recovery(_truth(PLANTED), both)) == _rows(recovery(_truth(PLANTED), asked))


def test_a_reagent_that_is_planted_twice_is_refused():
    truth = pd.concat([_truth(PLANTED), _truth({"s1": 0.0})])
    with pytest.raises(pd.errors.MergeError):
        recovery(truth, _classes([("s1", "ORF", 1, True)]))


def test_random_classes_agree_with_a_loop():
    rng = np.random.default_rng(4)
    names = [f"r{number}" for number in range(60)]
    strength = dict(zip(names, rng.choice([0.0, 0.3, 1.19, 1.2, 3.0], 60), strict=True))
    kinds = ["Compound", "CRISPR", "ORF"]
    rows = [
        (name, kinds[rng.integers(3)], int(rng.integers(3)), bool(rng.random() < 0.5)) for name in names for _ in "1234"
    ]
    counted = {}
    for name, kind, scored, retrieved in rows:
        if scored:
            planted = "inactive" if strength[name] == 0 else "weak" if strength[name] < 1.2 else "strong"
            total = counted.setdefault((kind, planted), [0, 0])
            total[0] += 1
            total[1] += retrieved
    table = recovery(_truth(strength), _classes(rows).sample(frac=1, random_state=1))
    assert {(kind, planted): [n, found] for kind, planted, n, found, _ in _rows(table)} == counted
    assert len(counted) == 9


def test_error_rates_are_over_all_modalities_and_name_what_they_are():
    classes = _classes(
        [("s1", "Compound", 5, True)] * 3
        + [("s2", "ORF", 5, False)]
        + [("w1", "ORF", 5, True)] * 4
        + [("i1", "Compound", 5, True)]
        + [("i2", "ORF", 5, False)] * 9
    )
    assert error_rates(recovery(_truth(PLANTED), classes)) == {
        "strong found": 0.75,
        "false discoveries": 0.125,
        "inactive retrieved": 0.1,
    }


def test_nothing_retrieved_is_no_false_discovery():
    classes = _classes([("s1", "ORF", 5, False), ("i1", "ORF", 5, False)])
    assert error_rates(recovery(_truth(PLANTED), classes))["false discoveries"] == 0.0
