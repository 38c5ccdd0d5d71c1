"""What the benchmark finds of what was planted.

Belongs here: laying retrieved classes beside the planted truth. Does not belong here: planting (``truth``), retrieving
(``science.detection``).
"""

import pandas as pd

from cpjump_assets.science.rules import PAPER_RULE, rows_of
from cpjump_assets.science.tasks import DETECTION
from cpjump_assets.simulate.truth import STRONG

_STRENGTHS = ("strong", "weak", "inactive")


def recovery(truth: pd.DataFrame, classes: pd.DataFrame) -> pd.DataFrame:
    """Count how many of the strong, weak and inactive perturbations detection retrieves, by the rule of 2024.

    Parameters
    ----------
    truth
        ``Truth.perturbations``: the planted strength of each reagent.
    classes
        ``CLASSES`` of any tasks and rules. Those of detection on all wells in mode ``paper_2024`` are counted, but for
        classes that could not be scored.

    Returns
    -------
    DataFrame
        One row per modality and planted strength: ``classes`` (perturbation x condition), ``retrieved``, ``share``.
        Retrieved inactive ones are the false discoveries, which the correction keeps below 5 % of all retrieved.
    """
    by_rule = rows_of(classes, task=DETECTION, **PAPER_RULE)
    scored = by_rule[by_rule["n_queries_scored"] > 0].merge(
        truth[["Metadata_broad_sample", "strength"]], on="Metadata_broad_sample", validate="many_to_one"
    )
    scored["planted"] = pd.Categorical(
        pd.cut(
            scored["strength"], [-1, 0, STRONG, float("inf")], labels=["inactive", "weak", "strong"], right=False
        ).where(scored["strength"] > 0, "inactive"),
        categories=_STRENGTHS,
        ordered=True,
    )
    table = scored.groupby(["Metadata_experiment_type", "planted"], observed=True, as_index=False).agg(
        classes=("retrieved", "size"), retrieved=("retrieved", "sum")
    )
    return table.assign(share=table["retrieved"] / table["classes"])


def error_rates(table: pd.DataFrame) -> dict[str, float]:
    """Give the rates that a reader asks for first.

    Parameters
    ----------
    table
        What ``recovery`` gives.

    Returns
    -------
    dict
        ``strong found``: share of the strong perturbations that are retrieved; ``false discoveries``: share of the
        retrieved ones that are inactive; ``inactive retrieved``: share of the inactive ones that are retrieved.
    """
    total = table.groupby("planted", observed=False)[["classes", "retrieved"]].sum()
    retrieved = total["retrieved"].sum()
    return {
        "strong found": float(total.loc["strong", "retrieved"] / total.loc["strong", "classes"]),
        "false discoveries": float(total.loc["inactive", "retrieved"] / retrieved) if retrieved else 0.0,
        "inactive retrieved": float(total.loc["inactive", "retrieved"] / total.loc["inactive", "classes"]),
    }
