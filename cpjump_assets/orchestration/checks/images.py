"""Checks of the image index: what of the images is missing, and what of it is not as the image sets say.

Belongs here: reading the stored tables again and turning counts into check results. Does not belong here: counting, and
how many images a plate should have (``science.image_counts``); files that were pulled (``image_files``).

Every plate that was indexed is read; a check of each plate would not run in a range of plates. What is missing upstream
is a fact about the data, so that all are warnings with numbers.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import dagster as dg

from cpjump_assets.orchestration import tables
from cpjump_assets.orchestration.display import counts, markdown_table
from cpjump_assets.orchestration.partitions import PLATE_KEYS
from cpjump_assets.orchestration.resources import Platform

if TYPE_CHECKING:
    import pandas as pd

    from cpjump_assets.storage.store import Store


@dg.asset_check(
    asset=tables.IMAGE_INDEX.asset_key,
    description=(
        "The gallery holds as many images of each plate as the experiment metadata say, or, where these were not made, "
        "as wells, sites and channels make."
    ),
)
def images_as_published(platform: Platform) -> dg.AssetCheckResult:
    """Compare the number of images with the published one."""
    from cpjump_assets.science.image_counts import expected_images
    from cpjump_assets.science.plates import PlateKey

    key = tables.EXPERIMENT_METADATA.key()
    experiment = platform.store.read(key) if platform.store.exists(key) else None
    table = _counted(platform.store)
    expected = [expected_images(PlateKey.parse(plate), experiment) for plate in table["plate"]]
    table = table.assign(expected=expected)[["plate", "expected", "in the gallery"]]
    table["difference"] = table["in the gallery"] - table["expected"]
    return _warning(
        table,
        table[table["difference"] != 0],
        {"images": table["in the gallery"].sum(), "expected": table["expected"].sum()},
    )


@dg.asset_check(
    asset=tables.IMAGE_INDEX.asset_key,
    description=(
        "The gallery holds every image that the image sets name, they name every image that it holds, and of none of "
        "them do they say something else than its name."
    ),
)
def images_as_listed(platform: Platform) -> dg.AssetCheckResult:
    """Count the files that are not in both, and those that are told in two ways."""
    kinds = ["absent", "unlisted", "unreadable names", "other findings"]
    table = _counted(platform.store)[["plate", *kinds]]
    return _warning(table, table[table[kinds].any(axis=1)], {kind: table[kind].sum() for kind in kinds})


@dg.asset_check(
    asset=tables.IMAGE_INDEX.asset_key,
    description="The gallery holds every channel of every site: one without is no use for a profile or a picture.",
)
def image_sites_complete(platform: Platform) -> dg.AssetCheckResult:
    """Count the sites that lack a channel that the plate has."""
    table = _counted(platform.store)[["plate", "sites", "incomplete sites"]]
    incomplete = table[table["incomplete sites"] > 0]
    return _warning(table, incomplete, {name: table[name].sum() for name in ("sites", "incomplete sites")})


def _indexed(store: "Store") -> list[str]:
    """Give the plates that have an index."""
    return tables.IMAGE_INDEX.stored(store, PLATE_KEYS)


def _counted(store: "Store") -> "pd.DataFrame":
    """Count the images of each indexed plate, a row each."""
    import pandas as pd

    from cpjump_assets.science.image_counts import COUNTED_COLUMNS, COUNTS, count_images

    rows = [
        {"plate": plate, **count_images(store.read(tables.IMAGE_INDEX.key(plate), COUNTED_COLUMNS))}
        for plate in _indexed(store)
    ]
    return pd.DataFrame(rows, columns=["plate", *COUNTS])


def _warning(table: "pd.DataFrame", findings: "pd.DataFrame", sums: dict[str, int]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=findings.empty,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            **counts({"plates": len(table), "plates with findings": len(findings), **sums}),
            "which": markdown_table(findings),
        },
    )


checks: list[Callable[..., Any]] = [images_as_published, images_as_listed, image_sites_complete]
