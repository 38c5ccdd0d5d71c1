"""The machine: the settings in force, and whether its folders and Dagster's home can be written.

Belongs here: looking, with a file that is gone again at once. Does not belong here: making folders, which is left to
whoever fills them; the gallery and the reference root; a store in S3 (``s3_store``).
"""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from cpjump_assets.gallery.doctor.findings import Finding, Status, attempt
from cpjump_assets.gallery.failures import without_credentials
from cpjump_assets.gallery.layout import GalleryRoot
from cpjump_assets.gallery.transfer.amounts import bytes_text
from cpjump_assets.gallery.transfer.inventory import FILE_NAME, Inventory, is_kept_in
from cpjump_assets.science.errors import SettingsError, StoreError
from cpjump_assets.settings import SECRETS, Settings

SETTINGS, STORE = "settings", "store"
FOLDER, SPACE, INVENTORY, HOME = "folder", "free space", "inventory", "Dagster home"
ENVIRONMENT, DEFAULT = "environment", "default"
"""Where a setting comes from."""
_UNSET = {
    "CPJUMP_S3_ENDPOINT": "AWS, us-east-1",
    "CPJUMP_STORE_ENDPOINT": "AWS",
    "CPJUMP_DASK_SCHEDULER": "none",
    "CPJUMP_ALERT_URLS": "the log and a file",
    "CPJUMP_UI_TOKEN": "none",
    "CPJUMP_POSTGRES_URL": "SQLite",
    "CPJUMP_CONNECTIONS": "as many as serve best",
    "CPJUMP_PLATES_PER_RUN": "all",
    "CPJUMP_EXCLUDE": "nothing",
}


def bad_settings(given: Mapping[str, str]) -> Iterator[Finding]:
    """Give the variables that cannot be used, each by itself.

    Parameters
    ----------
    given
        The variables that are set, by name.
    """
    for name, value in given.items():
        try:
            GalleryRoot.parse(Settings.from_environment({name: value}).gallery)
        except SettingsError as error:
            advice = f"correct {name}, or unset it"
            yield Finding(SETTINGS, name, Status.ERROR, str(error), where=ENVIRONMENT, advice=advice)


def settings_findings(settings: Settings, given: Mapping[str, str]) -> Iterator[Finding]:
    """Say what each setting is and where it comes from, without anything in an address that could be secret.

    Parameters
    ----------
    settings
        In force.
    given
        The variables that are set, by name; the others have their default.
    """
    shown = settings.to_environment() | {
        "CPJUMP_STORE": settings.store_url or str(settings.folder.absolute()),
        "CPJUMP_WORK": str(settings.work.absolute()),
        "CPJUMP_PULL_BUDGET": f"{bytes_text(settings.pull_budget)} a pull",
        "DAGSTER_HOME": str(settings.dagster_home),
    }
    shown |= {name: "set" for name in SECRETS if shown[name]}
    for name, value in shown.items():
        text = without_credentials(value) if "://" in value else value or _UNSET[name]
        yield Finding(SETTINGS, name, Status.OK, text, where=ENVIRONMENT if name in given else DEFAULT)


def store_findings(settings: Settings) -> Iterator[Finding]:
    """Look whether the store and Dagster's home can be written, have room, and what is held already."""
    elsewhere = f"set {_variable(settings)} to a folder that you may write to"
    yield from attempt(STORE, FOLDER, lambda: _folder_findings(settings), advice=elsewhere)
    yield from attempt(STORE, SPACE, lambda: _space_findings(settings), advice=elsewhere)
    unreadable = f"move {FILE_NAME} away: what is held is then pulled again"
    yield from attempt(STORE, INVENTORY, lambda: _inventory_findings(settings.gallery_folder), advice=unreadable)
    home = "set DAGSTER_HOME to a folder that you may write to"
    yield from attempt(STORE, HOME, lambda: _home_findings(settings.dagster_home), advice=home)


def _folder_findings(settings: Settings) -> Iterator[Finding]:
    for folder in (settings.tables_folder, settings.gallery_folder):
        _require_writable(folder)
    state = "" if settings.folder.is_dir() else ", made when something is written"
    yield Finding(STORE, FOLDER, Status.OK, f"{settings.folder.absolute()}{state}")


def _space_findings(settings: Settings) -> Iterator[Finding]:
    free = shutil.disk_usage(_nearest(settings.gallery_folder)).free
    enough = free >= settings.pull_budget
    yield Finding(
        STORE,
        SPACE,
        Status.OK if enough else Status.WARNING,
        bytes_text(free),
        expected=f"at least {bytes_text(settings.pull_budget)}, as one pull may bring",
        advice="" if enough else f"make room there, move it ({_variable(settings)}), or lower CPJUMP_PULL_BUDGET",
    )


def _inventory_findings(folder: Path) -> Iterator[Finding]:
    if not is_kept_in(folder):
        advice = "`cpjump refresh` pulls the profiles of the main batch and makes everything of them"
        yield Finding(STORE, INVENTORY, Status.OK, "nothing pulled yet", advice=advice)
        return
    with Inventory(folder) as inventory:
        held = inventory.folder_summaries()
    objects, unverified = sum(one.objects for one in held), sum(one.unverified for one in held)
    found = f"{objects:,} objects, {bytes_text(sum(one.bytes for one in held))}, {unverified:,} of them unverified"
    yield Finding(STORE, INVENTORY, Status.OK, found)


def _variable(settings: Settings) -> str:
    """Name the variable that says where the platform writes on this machine."""
    return "CPJUMP_STORE" if settings.store_url is None else "CPJUMP_WORK"


def _home_findings(home: Path) -> Iterator[Finding]:
    _require_writable(home)
    state = "" if (home / "dagster.yaml").is_file() else ", made at the first run"
    yield Finding(STORE, HOME, Status.OK, f"{home}{state}")


def _require_writable(folder: Path) -> None:
    """Write a file that has no name, where the folder is or would be made."""
    nearest = _nearest(folder)
    if not nearest.is_dir():
        raise StoreError(f"{folder} cannot be made: {nearest} is no folder")
    try:
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        raise StoreError(f"{nearest} cannot be written: {error.strerror or error}") from error


def _nearest(path: Path) -> Path:
    """Give what is there of a path: itself, or the nearest folder above it that exists."""
    whole = path.absolute()
    try:
        return next(place for place in (whole, *whole.parents) if place.exists())
    except OSError as error:
        raise StoreError(f"{path} cannot be looked at: {error.strerror or error}") from error
