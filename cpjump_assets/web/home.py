"""The Dagster home: where runs, events and schedules are kept, whichever command makes them.

Belongs here: making the home, choosing its ``dagster.yaml``, opening the instance. Does not belong here: what that file
says, where the home lies (``settings``).
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from cpjump_assets.orchestration.history import clear_history_errors
from cpjump_assets.science.errors import SettingsError, StoreError
from cpjump_assets.settings import Settings
from cpjump_assets.storage.atomic import atomic_path
from cpjump_assets.storage.lock import in_turn

_PRESET_KEY = "cpjump/preset"
"""Where a database says whose history it holds, among the cursors of Dagster's own daemons."""
OPENING = "opening.lock"
"""File of the home that is locked while an instance opens it."""


def instance_settings(settings: Settings) -> Path:
    """Give the project's ``dagster.yaml``, or the one for Postgres: in an installed package, else above it."""
    name = "dagster.yaml" if settings.postgres_url is None else "dagster.postgres.yaml"
    package = Path(__file__).parents[1]
    beside, above = package / name, package.parent / name
    return beside if beside.is_file() else above


def prepare_home(settings: Settings) -> Path:
    """Make the Dagster home and put the project's ``dagster.yaml`` into it; one that lies elsewhere is ignored.

    A ``dagster.yaml`` that is already there is left alone: somebody chose it.

    Raises
    ------
    SettingsError
        If the folder cannot be made, or if Postgres is asked for and the file that is there does not name it.
    """
    home = settings.dagster_home
    chosen = home / "dagster.yaml"
    try:
        home.mkdir(parents=True, exist_ok=True)
        if not chosen.exists():
            with atomic_path(chosen) as part:  # half a file would be somebody's choice for the next command
                shutil.copyfile(instance_settings(settings), part)
        if settings.postgres_url is not None and "CPJUMP_POSTGRES_URL" not in chosen.read_text():
            raise SettingsError(
                f"CPJUMP_POSTGRES_URL is set, but {chosen} keeps runs elsewhere: move it away, and the project's "
                "dagster.postgres.yaml takes its place"
            )
    except OSError as error:
        raise SettingsError(f"CPJUMP_STORE or DAGSTER_HOME: {home} cannot be written: {error.strerror}") from error
    except StoreError as error:
        raise SettingsError(f"CPJUMP_STORE or DAGSTER_HOME: {error}") from error
    return home


@contextmanager
def open_instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    """Open the instance in which runs and events of these settings are recorded.

    Raises
    ------
    SettingsError
        As ``prepare_home``, or if the Postgres database holds the history of another preset.
    HistoryError
        If its database cannot be opened, or fails while the block runs.
    """
    with clear_history_errors(settings):
        home = prepare_home(settings)
        # Two that make the databases of a home at once leave them with two versions, and nobody can open it again.
        with in_turn(home / OPENING):
            opened = dg.DagsterInstance.from_config(str(home))
        with opened as instance:
            if settings.postgres_url is not None:
                _require_own_history(instance, settings.preset)
            yield instance


def _require_own_history(instance: dg.DagsterInstance, preset: str) -> None:
    """Refuse the database of another preset: their assets have the same names, and would be taken for each other."""
    kept = instance.daemon_cursor_storage.get_cursor_values({_PRESET_KEY}).get(_PRESET_KEY)
    if kept is None:
        instance.daemon_cursor_storage.set_cursor_values({_PRESET_KEY: preset})
    elif kept != preset:
        raise SettingsError(
            f"CPJUMP_POSTGRES_URL: this database holds the history of the preset {kept}; give {preset} a database of "
            "its own"
        )
