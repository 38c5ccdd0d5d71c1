"""Pulling for several plates of a run at once.

Belongs here: what every asset does that pulls objects: say how many, keep to the budget, log, report. Does not belong
here: which objects (``assets``), the pull itself (``gallery.transfer``).
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import dagster as dg

if TYPE_CHECKING:
    from cpjump_assets.gallery.gallery import Gallery
    from cpjump_assets.gallery.listing import GalleryObject
    from cpjump_assets.gallery.transfer.report import PullReport
    from cpjump_assets.orchestration.resources import Platform


def pull_ahead(
    context: dg.AssetExecutionContext, platform: "Platform", gallery: "Gallery", objects: Iterable["GalleryObject"]
) -> "PullReport":
    """Pull the objects of all plates at once, which is faster than plate by plate, after saying how many.

    An object that cannot be pulled is logged and no more: it fails again, for its own plate alone, when that asks for
    it.

    Raises
    ------
    GalleryError
        If they have more bytes than one pull may bring, or one after another cannot be pulled.
    StoreError
        If they cannot be written.
    """
    from cpjump_assets.gallery.transfer.amounts import bytes_text, objects_text
    from cpjump_assets.gallery.transfer.progress import LogProgress
    from cpjump_assets.gallery.transfer.report import IncompletePullError

    folder = platform.store.gallery_folder
    wanted = list(objects)
    for damage in gallery.recall(wanted, folder).damaged:
        context.log.warning(f"{damage}; it is pulled again")
    plan = gallery.plan(wanted, folder)
    context.log.info(
        f"{objects_text(plan.objects)}, {bytes_text(plan.bytes)}: {plan.held_objects:,} are held, "
        f"{len(plan.missing):,} of {bytes_text(plan.missing_bytes)} are to be pulled"
    )
    try:
        report = gallery.pull(wanted, folder, progress=LogProgress(context.log.info), budget=platform.pull_budget)
    except IncompletePullError as error:
        if error.given_up:
            raise
        context.log.warning(str(error))
        report = error.report
    context.log.info(", ".join(f"{name} {value:,}" for name, value in pull_numbers(report).items()))
    for key in report.absent:
        context.log.warning(f"{key} was listed, and does not exist any more")
    return report


def pull_numbers(report: "PullReport") -> dict[str, Any]:
    """Give the numbers of a pull, to log or to show."""
    return {name.replace("_", " "): value for name, value in report.sums().items()}


def pull_metadata(report: "PullReport") -> dict[str, Any]:
    """Show a pull beside each of the plates that it was for."""
    return {"pull of all plates of the run": dg.MetadataValue.json(pull_numbers(report))}
