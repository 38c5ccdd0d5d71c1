"""The words of a split: strategies and subsets.

Belongs here: the names that are allowed, what each means in one line, and the refusal of any other. Does not belong
here: the control policies (``policies``), how wells are assigned (``splits``) or what each strategy promises
(``leakage_rules``).
"""

from cpjump_assets.science.errors import UnknownStrategyError

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
