"""``cpjump inventory``: what is held, when it was last verified, and what changed upstream.

Belongs here: options, and the way from them to the record. Does not belong here: the sums (``gallery.holdings``), how
they look (``terminal.inventory``).
"""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from cpjump_assets.settings import Settings

if TYPE_CHECKING:
    from cpjump_assets.gallery.copies import CopiesTotal
    from cpjump_assets.gallery.holdings import Held, Upstream
    from cpjump_assets.gallery.transfer.inventory import Inventory


@click.command()
@click.option("--check", is_flag=True, help="List the gallery again, instead of going by the listings that are kept.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; it names objects that changed or vanished.")
def inventory(check: bool, as_json: bool) -> None:
    """Say what is held of the gallery, when it was last verified, and what changed upstream.

    Each listing of a refresh, of a pull or of --check is kept, so that the answer needs no network; its time is shown.
    Objects that vanished from the gallery are marked, and their files stay. Of a store in S3, what the folder of this
    machine holds is told, and how many copies of pulled objects the store has.

    \b
    Examples:
      cpjump inventory
      cpjump inventory --check
      cpjump inventory --json
    """
    from cpjump_assets.gallery.holdings import held_by_kind, upstream_by_kind
    from cpjump_assets.gallery.layout import GalleryRoot
    from cpjump_assets.gallery.transfer.amounts import bytes_text, objects_text
    from cpjump_assets.gallery.transfer.inventory import Inventory, is_kept_in
    from cpjump_assets.terminal.inventory import inventory_tables

    settings = Settings.from_environment()
    root, folder = GalleryRoot.parse(settings.gallery), settings.gallery_folder
    held: list[Held] = []
    upstream: list[Upstream] = []
    if is_kept_in(folder):
        with Inventory(folder) as record:
            if check:
                _look_again(settings, record)
            held = held_by_kind(root, record.folder_summaries())
            upstream = upstream_by_kind(root, record)
    copies = _copies(settings)
    if as_json:
        click.echo(json.dumps(_as_json(held, upstream) | ({"copies": copies._asdict()} if copies else {}), indent=2))
        return
    inventory_tables(held, upstream, folder=folder, gallery=str(root))
    if copies:
        found = f"{objects_text(copies.objects)}, {bytes_text(copies.bytes)}"
        click.echo(f"{settings.store_url} has copies of {found}; what is missing here comes from there")


def _copies(settings: Settings) -> "CopiesTotal | None":
    from cpjump_assets.gallery.copies import Copies

    copies = Copies.of(settings.store_url, settings.store_endpoint)
    return None if copies is None else copies.total()


def _look_again(settings: Settings, record: "Inventory") -> None:
    from cpjump_assets.gallery.gallery import Gallery
    from cpjump_assets.gallery.holdings import look_again
    from cpjump_assets.terminal.pull import listing

    gallery = Gallery.of(settings)
    with listing(str(gallery.root)):
        look_again(gallery, record)


def _as_json(held: "list[Held]", upstream: "list[Upstream]") -> dict[str, Any]:
    return {"held": [asdict(part) for part in held], "upstream": [asdict(part) for part in upstream]}
