"""The names of the control policies: one for each, taken apart and put together, and no other."""

from itertools import permutations

import pytest

from cpjump_assets.science.errors import BadTableError
from cpjump_assets.science.policies import (
    CONTROL_POLICIES,
    ISSUE_KINDS,
    POLICIES,
    ControlPolicy,
    policy_without,
    require_policy,
)
from cpjump_assets.science.schemas import SPLIT_MANIFEST


def test_every_base_goes_with_every_set_of_known_issues():
    assert len(POLICIES) == 3 * 2**3
    assert set(CONTROL_POLICIES) <= set(POLICIES)
    for name, policy in POLICIES.items():
        assert policy.name == name
        base, *without = name.split("+without_")
        assert (policy.base, policy.without) == (base, tuple(without))
        assert list(policy.without) == [kind for kind in ISSUE_KINDS if kind in without]
        assert require_policy(name) == policy


def test_the_order_in_which_issues_are_named_does_not_show():
    expected = "drop_negcon_and_empty+without_seeding_failure+without_stain_anomaly"
    for kinds in permutations(["seeding_failure", "stain_anomaly"]):
        assert policy_without(kinds).name == expected
    assert policy_without(["stain_anomaly"] * 2, base="keep_all").name == "keep_all+without_stain_anomaly"
    assert policy_without([]) == ControlPolicy("drop_negcon_and_empty")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "drop_some",
        "drop_negcon_and_empty+",
        "drop_negcon_and_empty+without_edge",
        "+without_stain_anomaly",
        "without_stain_anomaly",
        "drop_negcon_and_empty+without_stain_anomaly+without_seeding_failure",
        "drop_negcon_and_empty+without_stain_anomaly+without_stain_anomaly",
        "drop_negcon_and_empty +without_stain_anomaly",
    ],
)
def test_any_other_name_is_refused_in_one_line_that_says_what_there_is(name):
    with pytest.raises(BadTableError) as error:
        require_policy(name)
    message = str(error.value)
    for word in (repr(name), *CONTROL_POLICIES, *(f"+without_{kind}" for kind in ISSUE_KINDS)):
        assert word in message
    assert "\n" not in message


def test_an_unknown_issue_is_refused_by_name():
    with pytest.raises(BadTableError, match="known issue 'edge' is not one of seeding_failure, stain_anomaly"):
        policy_without(["seeding_failure", "edge"])
    with pytest.raises(BadTableError, match="control policy 'keep' is not one of"):
        policy_without([], base="keep")


def test_the_schema_of_the_manifest_allows_these_policies_and_no_other():
    (column,) = [column for column in SPLIT_MANIFEST.columns if column.name == "control_policy"]
    assert set(column.allowed) == set(POLICIES)
