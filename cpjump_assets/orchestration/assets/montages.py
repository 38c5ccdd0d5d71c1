"""Montages: pulled images drawn so that people can look at them.

Belongs here: loading, drawing, storing the files and their list. Does not belong here: which images are pulled
(``images``), which sites stand beside each other (``science.image_montages``), how they are drawn (``figures``).
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import dagster as dg

from cpjump_assets.orchestration import tables
from cpjump_assets.orchestration.assets.metadata import wells
from cpjump_assets.orchestration.assets.profiles import plate_input
from cpjump_assets.orchestration.display import counts, markdown_table, narrow, pictures
from cpjump_assets.orchestration.partitions import plates
from cpjump_assets.orchestration.recording import Made, PlateInput, map_plates
from cpjump_assets.orchestration.resources import Platform

if TYPE_CHECKING:
    import pandas as pd

    from cpjump_assets.figures.montage import MontageRow
    from cpjump_assets.gallery.copies import PulledFiles
    from cpjump_assets.science.image_montages import MontagePlan, MontageSite
    from cpjump_assets.storage.store import Store

_LARGEST_OVERVIEW, _LARGEST_MONTAGE = 60_000, 46_000
"""Bytes of the inline pictures: an overview and eight montages fit into one event (``display.LARGEST_GALLERY``)."""


@dg.asset(
    group_name="images",
    owners=["team:cpjump"],
    kinds={"pillow", "parquet"},
    partitions_def=plates,
    backfill_policy=dg.BackfillPolicy.single_run(),
    deps=[dg.AssetKey(tables.IMAGES.name), wells],
    code_version=tables.MONTAGES.code_version,
)
def montages(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:
    """A row is a montage: a perturbation beside a negative control of its plate, channel by channel and composite.

    Colours and display ranges are those of Fig. 1 of the 2024 paper on every plate, so that montages compare: what is
    dark here is dark under the microscope. The files lie in `images/montages/<plate>` of the store.
    """
    from cpjump_assets.science.image_montages import MONTAGES

    store, files = platform.store, platform.pulled_files
    # Described before it is read: if it is replaced in between, the plates count as outdated and are made again.
    layout_version = store.describe(tables.WELLS.key())
    layout = store.read(tables.WELLS.key())

    def make(plate: str) -> Made:
        return _draw(store, _load(store, files, plate, layout))

    def source(plate: str) -> PlateInput:
        if store.exists(tables.MONTAGES.key(plate)) and altered_montages(store, plate):
            store.remove(tables.MONTAGES.key(plate))  # a list without its files would count as made
        inputs = {"images": store.describe(tables.IMAGES.key(plate)), "wells": layout_version}
        return plate_input(tables.MONTAGES, inputs)

    return map_plates(context, platform, tables.MONTAGES, source=source, make=make, schema=MONTAGES)


def altered_montages(store: "Store", plate: str) -> list[str]:
    """Give the listed files of a plate that are not in the store as they were drawn."""
    listed = store.read(tables.MONTAGES.key(plate), columns=["file", "sha256"])
    return [name for name, digest in listed.itertuples(index=False) if store.file_digest(name) != digest]


class _Plate(NamedTuple):
    """What the sheets of a plate are drawn from: the sites by well, and the words that all of them share."""

    key: str
    plan: "MontagePlan"
    wells: "pd.DataFrame"
    rows: "dict[str, MontageRow]"
    words: dict[str, str]


def _load(store: "Store", files: "PulledFiles", plate: str, layout: "pd.DataFrame") -> _Plate:
    """Read the held images of a plate."""
    from cpjump_assets.figures.montage_words import plate_words
    from cpjump_assets.science.image_montages import plan_montages
    from cpjump_assets.science.plates import PLATE_COLUMNS, PlateKey

    key = tables.IMAGES.key(plate)
    plan, source = plan_montages(store.read(key)), store.describe(key).provenance.origin
    of_plate = layout.set_index([*PLATE_COLUMNS, "Metadata_Well"], drop=False).loc[PlateKey.parse(plate)]
    rows = {
        site.well: _read_site(files, site, of_plate.loc[site.well]) for site in (*plan.controls, *plan.perturbations)
    }
    return _Plate(plate, plan, of_plate, rows, {"title": plate_words(of_plate.iloc[0]), "source": source})


def _read_site(files: "PulledFiles", site: "MontageSite", well: "pd.Series") -> "MontageRow":
    """Read the images of a site, each as it was when it was pulled and opened."""
    from cpjump_assets.figures.montage import MontageRow
    from cpjump_assets.figures.montage_words import well_words
    from cpjump_assets.imaging.tiff import read_tiff
    from cpjump_assets.science.errors import StoreError
    from cpjump_assets.storage.store import file_digest

    channels = {}
    files.bring(image.path for image in site.images.values())
    for channel, image in site.images.items():
        path = files.folder / image.path
        if not path.is_file() or file_digest(path) != image.sha256:
            raise StoreError(f"the image {path} is not what was pulled: materialize images again")
        channels[channel] = read_tiff(path)
    return MontageRow(well_words(well, site.site), channels)


def _draw(store: "Store", plate: _Plate) -> Made:
    """Draw the montages of a plate, write their files, and show them below an overview of all sites."""
    import pandas as pd

    from cpjump_assets.science.image_montages import MONTAGES

    records, shown = [], _overview(plate)
    for site in plate.plan.perturbations:
        record, picture = _montage(store, plate, site)
        records.append(record)
        shown[plate.rows[site.well].label] = picture
    table = MONTAGES.normalise(pd.DataFrame(records, columns=MONTAGES.column_names), f"montages of {plate.key}")
    _remove_others(store, plate.key, set(table["file"]))
    named = table.assign(png=table["Metadata_broad_sample"] + ".png")
    return Made(
        table,
        {
            **counts({"montages": len(table), "montages with absent images": table["absent"].notna().sum()}),
            "files": markdown_table(narrow(named, _SHOWN)),
            "folder of the files": f"{tables.MONTAGES_FOLDER}/{plate.key}",
            "pictures": pictures(shown),
        },
    )


_SHOWN = {
    "name": "Metadata_pert_iname",
    "target": "Metadata_target",
    "well": "Metadata_Well",
    "control": "control_well",
    "absent": "absent",
    "file": "png",
}


def _overview(plate: _Plate) -> dict[str, bytes]:
    """Draw the composites of all sites into one small picture; none if there are no sites."""
    from cpjump_assets.figures.montage import OVERVIEW, MontageRow, draw_overview
    from cpjump_assets.figures.montage_words import short_words
    from cpjump_assets.figures.pixel_sheet import to_small_png

    if not plate.rows:
        return {}
    sites = [MontageRow(short_words(plate.wells.loc[well]), row.channels) for well, row in plate.rows.items()]
    sheet = draw_overview(sites, **plate.words, style=OVERVIEW)
    return {"composites of all sites, negative controls first": to_small_png(sheet, _LARGEST_OVERVIEW)}


def _montage(store: "Store", plate: _Plate, site: "MontageSite") -> tuple[dict[str, Any], bytes]:
    """Write the montage of a perturbation; give its row of the list, and a small picture of it."""
    from cpjump_assets.figures.montage import INLINE, draw_montage, file_style
    from cpjump_assets.figures.pixel_sheet import to_png, to_small_png
    from cpjump_assets.science.image_montages import MONTAGES

    control = plate.plan.control
    beside = [site] if control is None else [site, control]
    rows = [plate.rows[one.well] for one in beside]
    sheet = draw_montage(rows, **plate.words, style=file_style())
    content, name = to_png(sheet), f"{tables.MONTAGES_FOLDER}/{plate.key}/{site.broad_sample}.png"
    record = {
        **plate.wells.loc[site.well].reindex(MONTAGES.column_names).dropna(),
        "Metadata_Site": site.site,
        "control_well": control.well if control else None,
        "control_site": control.site if control else None,
        "absent": "|".join(f"{one.well} {channel}" for one in beside for channel in one.absent) or None,
        "file": name,
        "bytes": len(content),
        "sha256": store.write_file(name, content),
        "height": sheet.height,
        "width": sheet.width,
    }
    return record, to_small_png(draw_montage(rows, **plate.words, style=INLINE), _LARGEST_MONTAGE)


def _remove_others(store: "Store", plate: str, listed: set[str]) -> None:
    """Remove the montages of a former selection, which nothing lists any more."""
    for name in store.file_names(f"{tables.MONTAGES_FOLDER}/{plate}"):
        if name not in listed:
            store.remove_file(name)
