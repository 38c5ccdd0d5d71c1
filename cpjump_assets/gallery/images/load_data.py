"""Image sets of a plate, ``load_data.csv``: which file shows which channel of which site, as the pipeline was told.

Belongs here: finding the file among its like, and its two forms. Does not belong here: what the gallery really holds
(``measurements``), joining the two (``science.image_index``).

Tables since 2025 have an address a channel, ``URL_OrigMito``; older ones a name and a folder of the computer that they
were made on, ``FileName_OrigMito`` and ``PathName_OrigMito``. Both end alike, ``<measurement>/Images/<name>``, and that
is all that is read of them. What stands before it is not always true: some addresses say ``broad/`` for ``source_4/``,
the folders of a laboratory are nobody's, and a mirror has another bucket.
"""

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from cpjump_assets.gallery.layout import GalleryRoot
from cpjump_assets.gallery.listing import GalleryObject
from cpjump_assets.gallery.sniff import GZIP_MAGIC, impostor, unpack_gzip
from cpjump_assets.science.channels import named_channel
from cpjump_assets.science.errors import BadTableError
from cpjump_assets.science.features import listed
from cpjump_assets.science.plates import PlateKey
from cpjump_assets.science.positions import N_COLUMNS, N_ROWS, row_number, well_name
from cpjump_assets.science.schemas import STRING

_STEMS, _ENDINGS = ("load_data", "load_data_with_illum"), (".csv", ".csv.gz", ".parquet")
_NAMES = tuple(stem + ending for stem in _STEMS for ending in _ENDINGS)
"""Names of the file, best first: the second stem has the same images and the illumination functions beside them."""

_PARQUET_MAGIC = b"PAR1"
_WELL, _SITE = "Metadata_Well", "Metadata_Site"
_URL, _FILE, _PATH = "URL_Orig", "FileName_Orig", "PathName_Orig"
_WELL_NAME = re.compile(r"(?P<letter>[A-P])(?P<column>\d{1,2})|r(?P<row>\d{1,2})c(?P<number>\d{1,2})", re.ASCII)
_ADDRESS = re.compile(r"(?P<place>.*/)(?P<tail>[^/]+/[^/]+/[^/]+)")
_MISSING = ["", "nan", "NaN", "NA"]


@dataclass(frozen=True)
class ImageSets:
    """What the image sets of a plate name.

    Attributes
    ----------
    images
        ``key``, ``Metadata_Well``, ``Metadata_Site`` and ``channel`` of each image.
    measurements
        Measurement folders in which the images lie.
    unknown_channels
        Channels of the table that are none of the eight; their images are left out.
    moved
        Images whose address names another place than that of the gallery, and which are read as if they lay there.
    """

    images: pd.DataFrame
    measurements: tuple[str, ...]
    unknown_channels: tuple[str, ...]
    moved: int


def find_load_data(objects: Iterable[GalleryObject]) -> GalleryObject | None:
    """Find the file of the image sets in the listing of a plate's ``load_data_csv`` folder; None if there is none."""
    by_name = {item.key.rpartition("/")[2]: item for item in objects}
    return next((by_name[name] for name in _NAMES if name in by_name), None)


def read_load_data(content: bytes, plate: PlateKey, root: GalleryRoot, *, source: str) -> ImageSets:
    """Read the image sets of a plate.

    Parameters
    ----------
    content
        The file: CSV, gzipped or not, or Parquet; the content says which.
    plate
        The plate acquisition whose images they are.
    root
        The gallery: keys are given as they are in it.
    source
        Key or name of the file.

    Returns
    -------
    ImageSets
        An image set without a file for some channel names no image there.

    Raises
    ------
    BadTableError
        If the content is something else, or broken; if it lacks well, site or images; or has a well, a site or an
        address that cannot be read. The message names the file and the plate.
    """
    source = f"{source} of plate {plate}"
    table = _read_table(content, source)
    wells, sites = _wells(table, source), _sites(table, source)
    addresses = _addresses(table, source)
    known = [name for name in addresses if named_channel(name) is not None]
    if not known:
        raise BadTableError(f"{source}: expected images of a known channel, found those of {listed(list(addresses))}")
    channels = [named_channel(name) for name in known]
    named = pd.concat([addresses[name] for name in known], keys=channels, names=["channel", "row"])
    if named.empty:
        raise BadTableError(f"{source}: expected image sets, found a table that names no image")
    parts = _split(named, source)
    folder = root.images_prefix(plate.batch)
    rows = named.index.get_level_values("row")
    images = {
        "key": folder + parts["tail"].array,
        _WELL: wells.loc[rows].array,
        _SITE: sites.loc[rows].array,
        "channel": named.index.get_level_values("channel").astype(STRING),
    }
    return ImageSets(
        images=pd.DataFrame(images),
        measurements=tuple(sorted(parts["tail"].str.partition("/")[0].unique())),
        unknown_channels=tuple(name for name in addresses if name not in known),
        moved=int((~parts["place"].str.endswith("/" + folder)).sum()),
    )


def _read_table(content: bytes, source: str) -> pd.DataFrame:
    """Read the columns that say what is where, as text."""
    if content.startswith(_PARQUET_MAGIC):
        return _read_parquet(content, source)
    text = unpack_gzip(content, source) if content.startswith(GZIP_MAGIC) else content
    found = impostor(text)
    if found is not None:
        raise BadTableError(f"{source}: expected a table of image sets, found {found}")
    header = text.partition(b"\n")[0].decode("utf-8-sig", errors="replace").rstrip("\r")
    columns = _wanted(next(csv.reader([header])), source)
    try:
        table = pa_csv.read_csv(
            pa.BufferReader(text),
            read_options=pa_csv.ReadOptions(use_threads=False),
            convert_options=pa_csv.ConvertOptions(
                include_columns=columns,
                column_types=dict.fromkeys(columns, pa.string()),
                null_values=_MISSING,
                strings_can_be_null=True,
            ),
        )
    except pa.ArrowInvalid as error:
        raise BadTableError(f"{source}: the table cannot be read: {error}") from error
    return table.to_pandas()


def _read_parquet(content: bytes, source: str) -> pd.DataFrame:
    try:
        file = pq.ParquetFile(pa.BufferReader(content))
        table = file.read(columns=_wanted(file.schema_arrow.names, source), use_threads=False)
    except (pa.ArrowInvalid, OSError) as error:
        raise BadTableError(f"{source}: the Parquet file cannot be read: {error}") from error
    return table.to_pandas().astype(STRING)


def _wanted(columns: list[str], source: str) -> list[str]:
    wanted = [name for name in columns if name in (_WELL, _SITE) or name.startswith((_URL, _FILE, _PATH))]
    repeated = sorted({name for name in wanted if wanted.count(name) > 1})
    if repeated:
        raise BadTableError(f"{source}: columns come more than once: {listed(repeated)}")
    has_images = any(name.startswith((_URL, _FILE)) for name in wanted)
    missing = [name for name in (_WELL, _SITE) if name not in wanted]
    missing += [] if has_images else [f"{_URL}... or {_FILE}..."]
    if missing:
        raise BadTableError(f"{source}: columns {', '.join(missing)} are missing; found: {listed(columns)}")
    return wanted


def _wells(table: pd.DataFrame, source: str) -> pd.Series:
    """Give the name of each well as ``A01``, from that, ``A1`` or ``r01c01``."""
    names = {name: _well(name) for name in table[_WELL].dropna().unique()}
    unreadable = [name for name, well in names.items() if well is None]
    if unreadable or table[_WELL].isna().any():
        raise BadTableError(f"{source}: expected wells A01 to P24, found {listed(unreadable) or 'rows without one'}")
    return table[_WELL].map(names).astype(STRING)


def _well(name: str) -> str | None:
    match = _WELL_NAME.fullmatch(name)
    if match is None:
        return None
    row = row_number(match["letter"]) if match["letter"] else int(match["row"])
    column = int(match["column"] or match["number"])
    return well_name(row, column) if 1 <= row <= N_ROWS and 1 <= column <= N_COLUMNS else None


def _sites(table: pd.DataFrame, source: str) -> pd.Series:
    sites = table[_SITE]
    unreadable = ~sites.str.fullmatch(r"[0-9]{1,4}").fillna(False).astype(bool)
    if unreadable.any():
        found = sites[unreadable].fillna("rows without one").unique().tolist()
        raise BadTableError(f"{source}: expected numbers of sites, found {listed(found)}")
    return sites.astype("int64")


def _addresses(table: pd.DataFrame, source: str) -> dict[str, pd.Series]:
    """Give where the images of each channel lie, by the table's name of the channel; rows without an image left out."""
    columns = table.columns.tolist()
    urls = [name.removeprefix(_URL) for name in columns if name.startswith(_URL)]
    if urls:
        return {name: table[_URL + name].dropna().map(_without_escapes) for name in urls}
    channels = [name.removeprefix(_FILE) for name in columns if name.startswith(_FILE)]
    without = [_PATH + name for name in channels if _PATH + name not in columns]
    if without:
        raise BadTableError(f"{source}: columns {listed(without)} are missing, which say where the files lie")
    paths = {name: table[_PATH + name].str.replace("\\", "/").str.rstrip("/") for name in channels}
    return {name: (paths[name] + "/" + table[_FILE + name]).dropna() for name in channels}


def _without_escapes(url: str) -> str:
    return url if url.startswith("s3:") else unquote(url)


def _split(addresses: pd.Series, source: str) -> pd.DataFrame:
    """Cut each address before its ``<measurement>/<folder>/<name>``."""
    parts = addresses.str.extract(_ADDRESS)
    unreadable = parts["tail"].isna()
    if unreadable.any():
        found = listed(addresses[unreadable].unique().tolist())
        raise BadTableError(f"{source}: expected addresses .../<measurement>/Images/<name>, found {found}")
    return parts
