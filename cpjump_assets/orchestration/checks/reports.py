"""Checks of the reports: the published figures beside ours, and the drawn figures.

Belongs here: verdicts over a whole report. Does not belong here: how ours and theirs are compared
(``science.comparison``).
"""

from collections.abc import Callable
from typing import Any

import dagster as dg

from cpjump_assets.orchestration import tables
from cpjump_assets.orchestration.display import counts, markdown_table
from cpjump_assets.orchestration.resources import Platform

_ERROR, _WARN = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN


@dg.asset_check(
    asset=tables.PUBLISHED_COMPARISON.asset_key,
    description=(
        "Ours reproduces every published figure that it is compared with. Simulated data are not compared, and the "
        "check passes with these words."
    ),
)
def published_figures_reproduced(platform: Platform) -> dg.AssetCheckResult:
    """Count the published figures that ours does not reproduce, by statistic."""
    from cpjump_assets.science.comparison import coverage

    found = coverage(platform.store.read(tables.PUBLISHED_COMPARISON.key()))
    numbers = found.drop(columns="statistic").sum()
    words = "compared" if numbers["n_compared"] else "not compared"
    return dg.AssetCheckResult(
        passed=bool(numbers["n_differing"] == 0),
        severity=_WARN,
        metadata={"figures": words, **counts(numbers), "by statistic": markdown_table(found)},
    )


@dg.asset_check(
    asset=tables.BENCHMARK_FIGURES.asset_key,
    description="Every figure that is listed lies in the store, as PNG and SVG, as it was drawn.",
)
def figures_as_drawn(platform: Platform) -> dg.AssetCheckResult:
    """Compare the digests of the files with the list."""
    store = platform.store
    listed = store.read(tables.BENCHMARK_FIGURES.key())
    digests = {row[kind]: row[f"{kind}_sha256"] for row in listed.to_dict("records") for kind in ("png", "svg")}
    odd = [name for name, digest in digests.items() if store.file_digest(name) != digest]
    return dg.AssetCheckResult(
        passed=not odd, severity=_ERROR, metadata={"files": len(digests), "which": ", ".join(odd) or "none"}
    )


checks: list[Callable[..., Any]] = [published_figures_reproduced, figures_as_drawn]
