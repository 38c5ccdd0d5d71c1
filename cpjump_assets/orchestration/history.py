"""The database of runs and events, SQLite or Postgres, as something that can fail.

Belongs here: saying in one line that it did. Does not belong here: which database it is (``settings``,
``dagster.yaml``), what is recorded in it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from cpjump_assets.science.errors import CpjumpError
from cpjump_assets.settings import Settings


class HistoryError(CpjumpError):
    """The database of runs and events cannot be read or written."""


@contextmanager
def clear_history_errors(settings: Settings) -> Iterator[None]:
    """Say in one line, without a password, that the database of runs and events failed while the block ran.

    Raises
    ------
    HistoryError
        If it did: it is down, full, or refuses the user.
    """
    try:
        yield
    except (DBAPIError, *_gave_up(settings)) as error:
        failed = error if isinstance(error, DBAPIError) else error.__cause__
        raise _clear(settings, failed) from error


def _gave_up(settings: Settings) -> tuple[type[Exception], ...]:
    """Give what Dagster raises when it has tried often enough; it comes with an extra that SQLite does not need."""
    if settings.postgres_url is None:
        return ()
    from dagster_postgres.utils import DagsterPostgresException

    return (DagsterPostgresException,)


def _clear(settings: Settings, failed: BaseException | None) -> HistoryError:
    what = getattr(failed, "orig", failed)
    reason = str(what).strip().splitlines()[0]
    return HistoryError(
        f"runs and events cannot be read or recorded in {_place(settings)}: {reason}. What was stored is whole, and "
        "the next refresh goes on from there"
    )


def _place(settings: Settings) -> str:
    if settings.postgres_url is None:
        return str(settings.dagster_home)
    url = make_url(settings.postgres_url)
    return f"Postgres at {url.host}:{url.port or 5432}, database {url.database} (CPJUMP_POSTGRES_URL)"
