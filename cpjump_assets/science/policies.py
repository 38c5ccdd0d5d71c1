"""The control policies: which wells of the primary plates take no part in a split, by name.

Belongs here: the words, the grammar that joins them, and the refusal of any other name. Does not belong here: which
wells a word means (``splits``, ``known_issues``).

A policy is named by its base, which speaks of controls, and then by the known issues whose wells it leaves out as well,
in the order of ``ISSUE_KINDS``: ``drop_negcon_and_empty+without_seeding_failure+without_stain_anomaly``. So one policy
has one name, and a manifest says all of it in one column.
"""

from collections.abc import Collection
from dataclasses import dataclass
from itertools import combinations

from cpjump_assets.science.errors import BadTableError

DROP_NEGCON_AND_EMPTY = "drop_negcon_and_empty"
DROP_CONTROLS_AND_EMPTY = "drop_controls_and_empty"
KEEP_ALL = "keep_all"

CONTROL_POLICIES: dict[str, str] = {
    DROP_NEGCON_AND_EMPTY: "leaves out negative controls and empty wells; positive controls carry targets and stay",
    DROP_CONTROLS_AND_EMPTY: "leaves out every control, positive ones too, and empty wells",
    KEEP_ALL: "leaves out nothing",
}
"""The bases; each is a policy by itself, without any exclusion."""
DEFAULT_POLICY = DROP_NEGCON_AND_EMPTY

SEEDING_FAILURE = "seeding_failure"
STAIN_ANOMALY = "stain_anomaly"
ABSENT_FROM_OFFICIAL_TABLE = "absent_from_official_table"

ISSUE_KINDS: dict[str, str] = {
    SEEDING_FAILURE: "a plate many of whose wells hold no cells",
    STAIN_ANOMALY: "a plate on which a stain went wrong",
    ABSENT_FROM_OFFICIAL_TABLE: "a well of a primary plate that the official table lacks; no policy has it in a split",
}
"""The kinds of known issues, each of which a policy can leave out."""

_WITHOUT = "+without_"


@dataclass(frozen=True)
class ControlPolicy:
    """A control policy, taken apart.

    Attributes
    ----------
    base
        One of ``CONTROL_POLICIES``.
    without
        The kinds of known issues whose wells are left out, in the order of ``ISSUE_KINDS``.
    """

    base: str
    without: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Spell the policy as a manifest does."""
        return "".join((self.base, *(f"{_WITHOUT}{kind}" for kind in self.without)))


_EXCLUSIONS = [kinds for count in range(len(ISSUE_KINDS) + 1) for kinds in combinations(ISSUE_KINDS, count)]
POLICIES: dict[str, ControlPolicy] = {
    policy.name: policy for policy in (ControlPolicy(base, kinds) for kinds in _EXCLUSIONS for base in CONTROL_POLICIES)
}
"""Every policy that there is, by its name: three bases, each with any of the known issues left out."""


def policy_without(kinds: Collection[str], base: str = DEFAULT_POLICY) -> ControlPolicy:
    """Give the policy that leaves out the wells with known issues of these kinds, named in any order.

    Raises
    ------
    BadTableError
        For a kind that is not one of ``ISSUE_KINDS``, or another base.
    """
    unknown = sorted(set(kinds).difference(ISSUE_KINDS))
    if unknown:
        raise BadTableError(f"known issue {unknown[0]!r} is not one of {', '.join(ISSUE_KINDS)}")
    return require_policy(ControlPolicy(base, tuple(kind for kind in ISSUE_KINDS if kind in kinds)).name)


def require_policy(name: str) -> ControlPolicy:
    """Give the policy of a name.

    Raises
    ------
    BadTableError
        For any other name.
    """
    if name not in POLICIES:
        endings = ", ".join(f"{_WITHOUT}{kind}" for kind in ISSUE_KINDS)
        raise BadTableError(
            f"control policy {name!r} is not one of {', '.join(CONTROL_POLICIES)}, alone or followed by any of "
            f"{endings} in this order"
        )
    return POLICIES[name]
