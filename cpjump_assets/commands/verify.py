"""``cpjump verify``: what is held, read again and compared with its record.

Belongs here: options, and the way from them to the files. Does not belong here: hashing (``gallery.transfer.verify``),
how it looks (``terminal_inventory``).
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cpjump_assets.commands.choices import plates_of
from cpjump_assets.commands.exit_codes import FOUND
from cpjump_assets.science.errors import StoreError
from cpjump_assets.settings import Settings

if TYPE_CHECKING:
    from cpjump_assets.gallery.gallery import Gallery
    from cpjump_assets.gallery.transfer.verify import VerifyReport


@click.command()
@click.option("--prefix", "prefixes", multiple=True, help="Only objects whose keys begin so; may be given again.")
@click.option("--plates", help="Only objects of these plates: barcodes of the main batch, or <batch>.<barcode>.")
@click.option("--repair", is_flag=True, help="Pull bad files again.")
@click.option("--release", is_flag=True, help="Compare with the sums of the 2021 release too, from the reference root.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(prefixes: tuple[str, ...], plates: str | None, repair: bool, release: bool, as_json: bool) -> None:
    """Read again what is held, and compare it with what was pulled; exit with 1 when a file is bad.

    ETags are computed again from the bytes; where an object's ETag says nothing of them, the sha256 of the day of the
    pull. Bad files are named, with what was expected and what was found. Without options, everything is read. When
    --repair could pull all bad files again, the exit code is 0.

    \b
    Examples:
      cpjump verify
      cpjump verify --plates BR00117010
      cpjump verify --repair
    """
    from cpjump_assets.gallery.gallery import Gallery
    from cpjump_assets.gallery.reference.released import Release
    from cpjump_assets.gallery.reference.transports import open_transport
    from cpjump_assets.gallery.transfer.inventory import Inventory
    from cpjump_assets.gallery.transfer.verify import verify_objects
    from cpjump_assets.terminal_inventory import verify_summary
    from cpjump_assets.terminal_pull import following_pull

    if prefixes and plates:
        raise click.UsageError("--prefix and --plates both say what is read: give one of them")
    settings = Settings.from_environment()
    gallery = Gallery.connect(settings.gallery, endpoint=settings.s3_endpoint, connections=settings.connections)
    of_plates = [prefix for plate in plates_of(plates) for prefix in gallery.root.plate_prefixes(plate)]
    released = None
    if release:
        released = Release(open_transport(settings.reference, endpoint=settings.s3_endpoint), gallery.root)
    folder = settings.gallery_folder
    with Inventory(folder) as record, following_pull(verb="read") as progress:
        report = verify_objects(record, folder, prefixes or of_plates or [""], progress=progress, released=released)
    if not report.objects and (prefixes or plates):
        raise StoreError(f"nothing is held in {folder} of {plates or ', '.join(prefixes)}")
    if as_json:
        click.echo(json.dumps(report.to_json(), indent=2))
    else:
        verify_summary(report, folder=folder)
    if not report.bad:
        return
    if not repair or not _repair(gallery, report, folder):
        raise SystemExit(FOUND)


def _repair(gallery: "Gallery", report: "VerifyReport", folder: Path) -> bool:
    """Pull bad files again; tell whether all could be."""
    from cpjump_assets.gallery.transfer.report import IncompletePullError
    from cpjump_assets.terminal_inventory import repair_summary
    from cpjump_assets.terminal_pull import following_pull

    with following_pull() as progress:
        try:
            repaired = gallery.repair(report.bad, folder, progress=progress)
        except IncompletePullError as error:
            click.echo(f"cpjump: {error}", err=True)
            repaired = error.report
    done = {row.key for row in repaired.pulled}
    left = [item.row.key for item in report.bad if item.row.key not in done]
    repair_summary(repaired, left)
    return not left
