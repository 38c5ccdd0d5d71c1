"""Reading again what is held: pulled files against what proved them, tables and figures against what is on record.

Belongs here: what is read, what it is compared with, the job. Does not belong here: hashing pulled files
(``gallery.transfer.verify``) and their copies in S3 (``gallery.copies``), when the job runs (``schedules``), pulling or
making anything again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.definitions.data_version import DATA_VERSION_TAG

from cpjump_assets.orchestration import tables
from cpjump_assets.orchestration.partitions import PLATE_KEYS
from cpjump_assets.orchestration.resources import Platform
from cpjump_assets.orchestration.tables import StoredAsset
from cpjump_assets.science.errors import StoreError
from cpjump_assets.science.plates import MAIN_BATCH, PlateKey

if TYPE_CHECKING:
    from pathlib import Path

    from cpjump_assets.gallery.copies import BadCopy
    from cpjump_assets.gallery.transfer.verify import VerifyReport
    from cpjump_assets.storage.store import Store

NAMED = 100
"""Bad files that a failed run names; each is a line of its message."""
_STORED = tuple(asset for asset in vars(tables).values() if isinstance(asset, StoredAsset))
_FILES = {
    tables.BENCHMARK_FIGURES.name: (("png", "png_sha256"), ("svg", "svg_sha256")),
    tables.MONTAGES.name: (("file", "sha256"),),
}
"""Columns of the tables that list files which are no tables: the name of a file, and its digest."""


@dataclass(frozen=True)
class BadFile:
    """A file that is not what it should be.

    Attributes
    ----------
    name
        Its place in the store.
    expected, found
        What is on record, and what is there.
    advice
        What to do.
    """

    name: str
    expected: str
    found: str
    advice: str

    def __str__(self) -> str:
        """Say it in one line."""
        return f"{self.name}: expected {self.expected}, found {self.found}; {self.advice}"


@dataclass(frozen=True)
class StoredReport:
    """What reading the tables again has shown.

    Attributes
    ----------
    tables, files
        Number of tables that were read, and of files that are listed in tables.
    under_way
        Tables and files that differ from the record while a run makes them anew.
    bad
        Those that are not what was recorded.
    """

    tables: int
    files: int
    under_way: tuple[str, ...]
    bad: tuple[BadFile, ...]


def verify_stored(instance: dg.DagsterInstance, store: "Store") -> StoredReport:
    """Read every table again that is on record, and the figures and montages that tables list.

    A table is compared with the data version of its latest materialization, which is its sha256; a file with its table.
    """
    read = files = 0
    under_way: list[str] = []
    bad: list[BadFile] = []
    for asset, partition in _recorded(instance):
        read += 1
        wrong = _check_table(instance, store, asset, partition)
        if wrong is not None:
            if _is_being_made(instance, asset, partition):
                under_way.append(wrong.name)
            else:
                bad.append(wrong)
            continue
        for name, digest in _listed_files(store, asset, partition):
            files += 1
            found = _digest(store, name)
            if found == digest:
                continue
            if _is_being_made(instance, asset, partition):
                under_way.append(name)
            else:
                bad.append(_bad(name, digest, found, asset, partition))
    return StoredReport(read, files, tuple(under_way), tuple(bad))


def _recorded(instance: dg.DagsterInstance) -> Iterator[tuple[StoredAsset, str | None]]:
    """Give each table that was ever made."""
    for asset in _STORED:
        if instance.get_latest_materialization_event(asset.asset_key) is None:
            continue
        partitions = sorted(instance.get_materialized_partitions(asset.asset_key))
        yield from ((asset, partition) for partition in partitions or [None])


def _check_table(
    instance: dg.DagsterInstance, store: "Store", asset: StoredAsset, partition: str | None
) -> BadFile | None:
    name = f"{asset.key(partition)}.parquet"
    # A table is written a moment before it is recorded: what differs is looked at once more.
    for _ in range(2):
        found = _digest(store, name)
        expected = _version_on_record(instance, asset, partition)
        if found == expected:
            return None
    return _bad(name, expected, found, asset, partition)


def _version_on_record(instance: dg.DagsterInstance, asset: StoredAsset, partition: str | None) -> str:
    wanted = dg.AssetRecordsFilter(asset.asset_key, asset_partitions=None if partition is None else [partition])
    (record,) = instance.fetch_materializations(wanted, limit=1).records
    return (record.asset_materialization.tags or {}).get(DATA_VERSION_TAG, "a data version")


def _listed_files(store: "Store", asset: StoredAsset, partition: str | None) -> Iterator[tuple[str, str]]:
    if asset.name not in _FILES:
        return
    table = store.read(asset.key(partition))
    for name, digest in _FILES[asset.name]:
        yield from zip(table[name], table[digest], strict=True)


def _digest(store: "Store", name: str) -> str:
    """Read a file again as the store itself holds it; what stands in the way is said in place of the digest."""
    try:
        return store.files.digest(name) or "no file"
    except OSError as error:
        return error.strerror or str(error)
    except StoreError as error:
        return str(error)


def _is_being_made(instance: dg.DagsterInstance, asset: StoredAsset, partition: str | None) -> bool:
    planned = instance.event_log_storage.get_latest_planned_materialization_info(asset.asset_key, partition)
    run = None if planned is None else instance.get_run_by_id(planned.run_id)
    return run is not None and not run.is_finished


def _bad(name: str, expected: str, found: str, asset: StoredAsset, partition: str | None) -> BadFile:
    if asset.group == tables.IMAGES.group:
        advice = f"make it again by cpjump refresh --images {partition}"
    elif asset in (tables.CELL_MEDIAN_PROFILES, tables.CELL_MEAN_PROFILES):
        advice = f"make it again by the job single_cells for {partition}"
    elif partition in PLATE_KEYS and PlateKey.parse(partition).batch != MAIN_BATCH:
        advice = f"make it again by cpjump refresh --batch {PlateKey.parse(partition).batch}"
    else:
        advice = "make it again by cpjump refresh"
    return BadFile(name, f"sha256 {expected}", found, advice)


def verify_pulled(folder: "Path") -> "VerifyReport | None":
    """Read every pulled file again; None where nothing was pulled.

    Raises
    ------
    StoreError
        If the inventory cannot be read or written.
    """
    from cpjump_assets.gallery.transfer.inventory import Inventory, is_kept_in
    from cpjump_assets.gallery.transfer.verify import verify_objects

    if not is_kept_in(folder):
        return None
    with Inventory(folder) as inventory:
        return verify_objects(inventory, folder)


def _bad_copy(bad: "BadCopy", store: str) -> BadFile:
    name = f"{store}/gallery/{bad.name}"
    return BadFile(name, bad.expected, bad.found, f"remove {name}.json: the next refresh copies or pulls it again")


def message_of(bad: Sequence[BadFile]) -> str:
    """Say which files are bad, a line for each, of very many the first."""
    lines = [f"{len(bad)} held files are bad.", *map(str, bad[:NAMED])]
    if len(bad) > NAMED:
        lines.append(f"and {len(bad) - NAMED} more")
    return "\n".join(lines)


@dg.op(description="Hashes pulled files, tables and figures again; fails when one is not what was recorded.")
def read_again(context: dg.OpExecutionContext, platform: Platform) -> None:
    """Read everything again, show how much it was, and fail with a line for each bad file."""
    store = platform.store
    stored = verify_stored(context.instance, store)
    pulled = verify_pulled(store.gallery_folder)
    copies = None if platform.copies is None else platform.copies.verify()
    bad = list(stored.bad)
    if pulled is not None:
        advice = "pull it again by cpjump verify --repair"
        bad += [BadFile(f"gallery/{item.row.key}", item.expected, item.found, advice) for item in pulled.bad]
    if copies is not None:
        bad += [_bad_copy(item, str(platform.store_place)) for item in copies.bad]
    shown = {
        "tables": stored.tables,
        "figures and montages": stored.files,
        "pulled files": 0 if pulled is None else pulled.objects,
        "pulled bytes": 0 if pulled is None else pulled.bytes,
        "bad files": len(bad),
    }
    if copies is not None:
        shown |= {"copies in S3": copies.objects, "bytes of copies in S3": copies.bytes}
    if stored.under_way:
        shown["being made meanwhile"] = ", ".join(stored.under_way)
    context.log.info(", ".join(f"{name}: {value}" for name, value in shown.items()))
    if bad:
        raise dg.Failure(message_of(bad), metadata=shown, allow_retries=False)
    context.add_output_metadata(shown)


@dg.job(
    name="verify",
    description="Reads again what is held, and fails when a file is not what was pulled or made.",
    executor_def=dg.in_process_executor,
)
def verify() -> None:
    """Hold what is on the disk against what is on record."""
    read_again()
