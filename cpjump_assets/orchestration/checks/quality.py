"""Checks of the quality of plates: which of them fall short, and in what.

Belongs here: reading the stored table again and turning findings into check results. Does not belong here: the
thresholds (``science.plate_findings``), the measures (``science.plate_quality``).
"""

from collections.abc import Callable
from typing import Any

import dagster as dg

from cpjump_assets.orchestration import tables
from cpjump_assets.orchestration.display import counts, markdown_table
from cpjump_assets.orchestration.partitions import MAIN_PLATE_KEYS
from cpjump_assets.orchestration.resources import Platform


@dg.asset_check(
    asset=tables.WELL_QUALITY.asset_key,
    description="Each row is a well: columns, types, allowed values, and all 384 wells of a stored plate, each once.",
    blocking=True,
)
def well_quality_schema(platform: Platform) -> dg.AssetCheckResult:
    """Read the tables of the main batch again; a check of each plate would not run in a range of plates."""
    from cpjump_assets.science.errors import BadTableError
    from cpjump_assets.science.positions import require_full_plate
    from cpjump_assets.science.well_quality import WELL_QUALITY

    store = platform.store
    keys = list(map(tables.WELL_QUALITY.key, tables.WELL_QUALITY.stored(store, MAIN_PLATE_KEYS)))
    problems = []
    for key in keys:
        table = store.read(key)
        try:
            WELL_QUALITY.check(table, str(key))
            require_full_plate(table["Metadata_Well"], source=str(key))
        except BadTableError as error:
            problems.append(str(error))
    return dg.AssetCheckResult(
        passed=not problems,
        metadata={
            **counts({"plates": len(keys), "columns checked": len(WELL_QUALITY.columns)}),
            **({"problem": "; ".join(problems)} if problems else {}),
        },
    )


@dg.asset_check(
    asset=tables.PLATE_QUALITY.asset_key,
    description=(
        "No plate has far fewer wells or cells than its like, replicates that are no more alike than chance, or an edge"
        " effect far above that of the batch. A plate with a finding is named; nothing is left out for it."
    ),
)
def plates_of_sound_quality(platform: Platform) -> dg.AssetCheckResult:
    """Count the findings, and name the plates."""
    from cpjump_assets.science.plate_findings import SoundPlate, plate_findings

    table = platform.store.read(tables.PLATE_QUALITY.key())
    rules = SoundPlate()
    findings = plate_findings(table, rules)
    unknown = table[["cell_count_median", "replicating", "edge_effect"]].isna().sum()
    return dg.AssetCheckResult(
        passed=findings.empty,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            **counts(
                {
                    "plates": len(table),
                    "plates with findings": findings["Metadata_Plate"].nunique(),
                    "plates without a cell count": unknown["cell_count_median"],
                    "plates without replicates": unknown["replicating"],
                }
            ),
            "which": markdown_table(findings.drop(columns="Metadata_Batch")),
            "thresholds": str(rules),
        },
    )


checks: list[Callable[..., Any]] = [well_quality_schema, plates_of_sound_quality]
