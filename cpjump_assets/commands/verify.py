"""``cpjump verify``: what is held, read again and compared with its record.

Belongs here: options, and the way from them to the files. Does not belong here: hashing (``gallery.transfer.verify``),
how it looks (``terminal.inventory``).
"""

import json
from typing import TYPE_CHECKING

import click

from cpjump_assets.commands.choices import plates_of
from cpjump_assets.commands.exit_codes import FOUND
from cpjump_assets.science.errors import StoreError
from cpjump_assets.settings import Settings

if TYPE_CHECKING:
    from cpjump_assets.gallery.layout import GalleryRoot
    from cpjump_assets.gallery.reference.released import Release
    from cpjump_assets.gallery.transfer.verify import Repair, VerifyReport


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
    from cpjump_assets.gallery.layout import GalleryRoot
    from cpjump_assets.gallery.transfer.inventory import Inventory, is_kept_in
    from cpjump_assets.gallery.transfer.verify import verify_objects
    from cpjump_assets.terminal.inventory import repair_summary, verify_summary
    from cpjump_assets.terminal.pull import following_pull

    if prefixes and plates:
        raise click.UsageError("--prefix and --plates both say what is read: give one of them")
    settings = Settings.from_environment()
    root, folder = GalleryRoot.parse(settings.gallery), settings.gallery_folder
    if not is_kept_in(folder):
        raise StoreError(f"nothing is held in {folder}{_where_copies_are(settings)}")
    of_plates = [prefix for plate in plates_of(plates) for prefix in root.plate_prefixes(plate)]
    released = _released(settings, root) if release else None
    with Inventory(folder) as record, following_pull(verb="read") as progress:
        wanted = prefixes or of_plates or [""]
        report = verify_objects(record, folder, wanted, progress=progress, released=released)
    if not report.objects and (prefixes or plates):
        raise StoreError(f"nothing is held in {folder} of {plates or ', '.join(prefixes)}")
    if not as_json:
        verify_summary(report, folder=folder)
    repaired = _repair(settings, report) if repair and report.bad else None
    if as_json:
        click.echo(json.dumps(report.to_json() | (repaired.to_json() if repaired else {}), indent=2))
    elif repaired:
        repair_summary(repaired)
    if report.bad and (repaired is None or repaired.left):
        raise SystemExit(FOUND)


def _where_copies_are(settings: Settings) -> str:
    """Say of a store in S3 that a folder without files is no loss."""
    url = settings.store_url
    return "" if url is None else f"; the copies in {url} are verified as they are fetched"


def _released(settings: Settings, root: "GalleryRoot") -> "Release":
    from cpjump_assets.gallery.reference.released import Release
    from cpjump_assets.gallery.reference.transports import open_transport

    return Release(open_transport(settings.reference, endpoint=settings.s3_endpoint), root)


def _repair(settings: Settings, report: "VerifyReport") -> "Repair":
    from cpjump_assets.gallery.gallery import Gallery
    from cpjump_assets.gallery.transfer.report import IncompletePullError
    from cpjump_assets.gallery.transfer.verify import Repair
    from cpjump_assets.terminal.pull import following_pull

    gallery = Gallery.of(settings)
    with following_pull() as progress:
        try:
            pulled = gallery.repair(report.bad, settings.gallery_folder, progress=progress)
        except IncompletePullError as error:
            click.echo(f"cpjump: {error}", err=True)
            pulled = error.report
    return Repair.of(report.bad, pulled)
