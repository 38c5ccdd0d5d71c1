"""``cpjump montage``: a perturbation beside its negative control, as a picture.

Belongs here: options, and what is written. Does not belong here: where the two sites come from (``montage_pairs``),
drawing (``figures.montage``).
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cpjump_assets.commands.montage_pairs import Pair, Where, from_folders, from_gallery
from cpjump_assets.science.channels import CHANNELS, FLUORESCENCE
from cpjump_assets.science.errors import StoreError

if TYPE_CHECKING:
    from cpjump_assets.figures.montage import RangeRule


@click.command()
@click.argument("perturbation", required=False)
@click.option(
    "--plate",
    metavar="PLATE",
    help="Barcode of the main batch, or <batch>.<barcode>: take the images from the gallery.",
)
@click.option(
    "--from-folder",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Take the images from this folder instead; they are called as in the gallery.",
)
@click.option(
    "--control-folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of the control's images. Default: that of --from-folder, if --control-well is given.",
)
@click.option("--well", metavar="WELL", help="Well of the perturbation. Default: its first by name.")
@click.option(
    "--control-well", metavar="WELL", help="Well of the control. Default: the first negative control by name."
)
@click.option("--site", type=click.IntRange(min=1), help="Field of view. Default: 1, or the first in the folder.")
@click.option("--brightfield", is_flag=True, help="Show the three brightfield channels too.")
@click.option(
    "--ranges",
    type=click.Choice(["paper", "control"]),
    default="paper",
    show_default=True,
    help="Display ranges of Fig. 1 of the 2024 paper, which compare plates; or those of the control.",
)
@click.option("--field", type=click.FloatRange(min=10), metavar="UM", help="Show only the middle, so many µm wide.")
@click.option(
    "--tile", type=click.IntRange(64, 2160), default=540, show_default=True, metavar="PIXELS", help="Size of an image."
)
@click.option("--budget", metavar="AMOUNT", help="Bytes that may be pulled, such as 1GB. Default: CPJUMP_PULL_BUDGET.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="PNG to write. Default: named by content.")
def montage(
    perturbation: str | None, plate: str | None, folder: Path | None, out: Path | None, budget: str | None, **how: Any
) -> None:
    """Draw a perturbation beside its negative control: five channels and their composite, with a scale bar.

    PERTURBATION is an id, a name or a target gene, as on the plate. Images that are not in the store are pulled.

    \b
    Examples:
      cpjump montage BRD-K21728777-001-02-3 --plate BR00117010
      cpjump montage AMG900 --plate BR00117010 --site 5 --brightfield --out amg900.png
      cpjump montage AMG900 --plate BR00117010 --field 200 --ranges control
      cpjump montage --from-folder AMG900 --control-folder DMSO
    """
    if out is not None and out.suffix != ".png":
        raise StoreError(f"cannot write {out}: expected a name that ends in .png")
    control_folder = how.pop("control_folder")
    where = Where(*(how.pop(name) for name in ("well", "control_well", "site")))
    if folder and not (perturbation or plate):
        pair = from_folders(folder, control_folder, where)
    elif perturbation and plate and not (folder or control_folder):
        channels = frozenset(CHANNELS if how["brightfield"] else FLUORESCENCE)
        pair = from_gallery(perturbation, plate, where, budget=budget, channels=channels)
    else:
        raise click.UsageError("give a PERTURBATION and its --plate, or --from-folder and perhaps --control-folder")
    if how["ranges"] == "control" and len(pair.rows) == 1:
        raise click.UsageError("--ranges control needs a control: give --control-folder or --control-well")
    _write(pair, out or Path(pair.file), **how)


def _write(pair: Pair, out: Path, *, brightfield: bool, ranges: "RangeRule", field: float | None, tile: int) -> None:
    """Draw the sheet and put it in place."""
    from cpjump_assets.figures.montage import COLUMNS, COLUMNS_WITH_BRIGHTFIELD, draw_montage, file_style
    from cpjump_assets.figures.pixel_sheet import to_png
    from cpjump_assets.gallery.transfer.amounts import bytes_text
    from cpjump_assets.storage.atomic import atomic_path

    sheet = draw_montage(
        pair.rows,
        title=pair.title,
        source=pair.source,
        style=file_style(tile, field),
        columns=COLUMNS_WITH_BRIGHTFIELD if brightfield else COLUMNS,
        rule=ranges,
    )
    content = to_png(sheet)
    with atomic_path(out) as part:
        part.write_bytes(content)
    for row in pair.rows:
        click.echo(row.label)
    click.echo(f"written to {out}: {sheet.width} x {sheet.height} pixels, {bytes_text(len(content))}")
