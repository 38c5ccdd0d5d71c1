"""The words of a split: strategies, subsets and control policies.

Belongs here: the names that are allowed, what each means in one line, and the refusal of any other. Does not belong
here: how wells are assigned (``splits``) or what each strategy promises (``leakage_rules``).
"""

from cpjump_assets.science.errors import BadTableError, UnknownStrategyError

REPRESENTATION = "cpjump1_official_representation"
GENE_COMPOUND = "cpjump1_official_gene_compound"
CELLCLIP = "cellclip_cpjump_style"

STRATEGY_DESCRIPTIONS: dict[str, str] = {
    REPRESENTATION: "CRISPR and ORF wells train, compounds at the early time validate, at the late time test",
    GENE_COMPOUND: "targets that all modalities share, by radix: 60 % train, 20 % validate, 20 % test",
    CELLCLIP: "within each cell line, type and time, the first 75 % of the sorted samples train, the rest test",
}
STRATEGIES: tuple[str, ...] = tuple(STRATEGY_DESCRIPTIONS)
DEFAULT_STRATEGY = REPRESENTATION

SUBSETS: tuple[str, ...] = ("train", "validate", "test")

DROP_NEGCON_AND_EMPTY = "drop_negcon_and_empty"
DROP_CONTROLS_AND_EMPTY = "drop_controls_and_empty"
KEEP_ALL = "keep_all"

CONTROL_POLICIES: dict[str, str] = {
    DROP_NEGCON_AND_EMPTY: "leaves out negative controls and empty wells; positive controls carry targets and stay",
    DROP_CONTROLS_AND_EMPTY: "leaves out every control, positive ones too, and empty wells",
    KEEP_ALL: "leaves out nothing",
}
DEFAULT_POLICY = DROP_NEGCON_AND_EMPTY


def require_strategy(strategy: str) -> str:
    """Return ``strategy`` if it is one of the three.

    Raises
    ------
    UnknownStrategyError
        For any other name.
    """
    if strategy not in STRATEGIES:
        raise UnknownStrategyError(f"split strategy {strategy!r} is not one of {', '.join(STRATEGIES)}")
    return strategy


def require_policy(policy: str) -> str:
    """Return ``policy`` if it is a named control policy.

    Raises
    ------
    BadTableError
        For any other name.
    """
    if policy not in CONTROL_POLICIES:
        raise BadTableError(f"control policy {policy!r} is not one of {', '.join(CONTROL_POLICIES)}")
    return policy
