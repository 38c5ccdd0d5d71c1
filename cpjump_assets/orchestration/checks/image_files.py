"""Checks of the pulled images: which are no images, out of focus or saturated.

Belongs here: reading the stored tables again and turning findings into check results. Does not belong here: the
thresholds (``science.image_quality``), what is asked of a file (``imaging.tiff``). All findings are facts of the data,
so they are warnings: nothing is left out for them.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import dagster as dg

from cpjump_assets.orchestration import tables
from cpjump_assets.orchestration.display import counts, markdown_table
from cpjump_assets.orchestration.partitions import PLATE_KEYS
from cpjump_assets.orchestration.resources import Platform
from cpjump_assets.orchestration.tables import StoredAsset

if TYPE_CHECKING:
    import pandas as pd

    from cpjump_assets.science.image_quality import SoundImage
    from cpjump_assets.storage.store import Store

_SHOWN = 50
"""Findings that a check names; a stain that failed on a plate gives one for each image of the channel."""


@dg.asset_check(
    asset=tables.IMAGES.asset_key,
    description=(
        "Every pulled file is an image of its plate: a whole TIFF of 16 bits and the plate's size, not the same number"
        " in every pixel. Files of zeros exist upstream. Images that the gallery does not have are counted."
    ),
)
def images_usable(platform: Platform) -> dg.AssetCheckResult:
    """Name the files that cannot be used, of all plates."""
    from cpjump_assets.science.image_table import ABSENT, IMAGES, UNUSABLE

    table = _of_all_plates(platform.store, tables.IMAGES)
    unusable = table.loc[table["status"] == UNUSABLE, [*IMAGES.key, "reason"]]
    return _warning(table, unusable, {"absent": (table["status"] == ABSENT).sum()})


@dg.asset_check(
    asset=tables.IMAGE_QUALITY.asset_key,
    description=(
        "No image is far more blurred than the others of its plate and channel, by the slope of its power spectrum."
    ),
)
def images_in_focus(platform: Platform) -> dg.AssetCheckResult:
    """Name the blurred images of all plates."""
    from cpjump_assets.science.image_quality import SoundImage, blurred_images

    return _judge(platform.store, blurred_images, SoundImage())


@dg.asset_check(
    asset=tables.IMAGE_QUALITY.asset_key,
    description="No image has more than a hundredth of its pixels at the greatest value, where intensities are lost.",
)
def images_not_saturated(platform: Platform) -> dg.AssetCheckResult:
    """Name the saturated images of all plates."""
    from cpjump_assets.science.image_quality import SoundImage, saturated_images

    return _judge(platform.store, saturated_images, SoundImage())


def _judge(
    store: "Store", find: Callable[["pd.DataFrame", "SoundImage"], "pd.DataFrame"], rules: "SoundImage"
) -> dg.AssetCheckResult:
    table = _of_all_plates(store, tables.IMAGE_QUALITY)
    unmeasured = {"not measured": table["mean"].isna().sum()}
    checked = _warning(table, find(table, rules), unmeasured)
    return checked._replace(metadata={**checked.metadata, "thresholds": dg.MetadataValue.text(str(rules))})


def _of_all_plates(store: "Store", asset: StoredAsset) -> "pd.DataFrame":
    import pandas as pd

    from cpjump_assets.science.errors import StoreError

    keys = list(map(asset.key, asset.stored(store, PLATE_KEYS)))
    if not keys:
        raise StoreError(f"no plate of {asset.name} is in the store: materialize it first")
    return pd.concat([store.read(key) for key in keys], ignore_index=True)


def _warning(table: "pd.DataFrame", found: "pd.DataFrame", others: dict[str, int]) -> dg.AssetCheckResult:
    """Warn of findings, the first of them by name."""
    shown = found.drop(columns="Metadata_Batch").head(_SHOWN)
    return dg.AssetCheckResult(
        passed=found.empty,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            **counts({"images": len(table), "findings": len(found), **others}),
            "which": markdown_table(shown),
        },
    )


checks: list[Callable[..., Any]] = [images_usable, images_in_focus, images_not_saturated]
