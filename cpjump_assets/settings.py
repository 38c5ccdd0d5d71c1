"""The settings of the platform, read from the environment.

Belongs here: names, defaults and parsing; this is the only module that touches ``os.environ``. Does not belong here:
what is done with a setting. Parsing is pure: nothing is opened, listed or created.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from cpjump_assets.science.errors import SettingsError
from cpjump_assets.science.policies import ISSUE_KINDS
from cpjump_assets.science.preset_names import DEFAULT_PRESET, PRESET_NAMES

DEFAULT_GALLERY = "s3://cellpainting-gallery/cpg0000-jump-pilot/source_4"
# The paper's public repository at a commit that holds the 2024 experiment metadata and annotations.
DEFAULT_REFERENCE = (
    "https://raw.githubusercontent.com/jump-cellpainting/2024_Chandrasekaran_NatureMethods_CPJUMP1/"
    "1b9544738ddb98d8da1916c18067da52ac8c2ed7"
)


SECRETS = frozenset({"CPJUMP_ALERT_URLS", "CPJUMP_UI_TOKEN", "CPJUMP_POSTGRES_URL"})
"""Variables whose values are never printed, logged or stored."""
ALERT_SEVERITIES = ("warning", "error")
_TOKEN_LENGTH = 16
_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_AMOUNT = re.compile(rf"(?P<number>\d+(\.\d+)?) ?(?P<unit>{'|'.join(_UNITS)})?")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


@dataclass(frozen=True)
class Settings:
    """What can be set, each by the environment variable ``CPJUMP_<NAME>``, and Dagster's home.

    Attributes
    ----------
    gallery
        Root of the gallery, ``s3://bucket/prefix``, read anonymously.
    s3_endpoint
        Endpoint of the gallery; None is AWS in us-east-1.
    reference
        Root of the reference tables: an ``https://`` address, a folder, or ``s3://``.
    store
        Where the platform writes: a folder, or ``s3://bucket/prefix``.
    store_endpoint
        Endpoint of a store in S3; None is AWS. Its credentials come by the usual AWS chain.
    work
        Folder of this machine for the copies that an S3 store works on, and for Dagster's home; a store that is a
        folder has no use for it.
    connections
        Parallel S3 requests; None lets the endpoint decide.
    plates_per_run
        Plates in one Dagster run; None puts all of them in one.
    dask_scheduler
        Address of a dask scheduler whose workers make the plates; None makes them in threads of the run.
    pull_budget
        Bytes that one pull may bring at most; a larger one is refused before it begins.
    refresh_cron, observe_cron, verify_cron
        When the schedules run that refresh everything, look at the sources, and read again what is held; each as five
        cron fields in UTC.
    keep_days
        Days for which runs and their events are kept.
    fresh_days
        Days after which scores and manifests that were not made again are overdue.
    alert_urls
        Channels of alerts, as apprise addresses; secret.
    alert_on
        Least severity of a failed check that is alerted.
    ui_url
        Address of the web UI, as readers of an alert reach it.
    ui_token
        What a browser must show to the web UI; None asks for nothing. Secret.
    postgres_url
        Database of runs and events; None keeps them in SQLite. Secret.
    preset
        How profiles are made, by name (``science.presets``).
    exclude
        Kinds of known issues (``science.policies``) whose wells the splits leave out; none by default.
    home
        Dagster home, ``DAGSTER_HOME``; None keeps it beside the tables. Another preset than the default takes a folder
        in it.
    """

    gallery: str = DEFAULT_GALLERY
    s3_endpoint: str | None = None
    reference: str = DEFAULT_REFERENCE
    store: Path | str = Path("data")
    store_endpoint: str | None = None
    work: Path = Path("data")
    connections: int | None = None
    plates_per_run: int | None = None
    dask_scheduler: str | None = None
    pull_budget: int = 50_000_000_000
    refresh_cron: str = "0 3 * * 1"
    observe_cron: str = "0 2 * * 1"
    verify_cron: str = "0 4 1 * *"
    keep_days: int = 90
    fresh_days: int = 8
    alert_urls: tuple[str, ...] = field(default=(), repr=False)
    alert_on: str = "warning"
    ui_url: str = "http://127.0.0.1:3000"
    ui_token: str | None = field(default=None, repr=False)
    postgres_url: str | None = field(default=None, repr=False)
    preset: str = DEFAULT_PRESET
    exclude: tuple[str, ...] = ()
    home: Path | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "Settings":
        """Read the settings.

        Parameters
        ----------
        environment
            Variables to read; by default those of the process. An empty value counts as unset.

        Raises
        ------
        SettingsError
            If a value cannot be used, in one line that names the variable, what is expected and what was found.
        """
        given = given_variables(environment)
        return cls(**{_attribute(name): _PARSERS[name](name, value) for name, value in given.items()})

    def to_environment(self) -> dict[str, str]:
        """Give the variables that make these settings in another process."""
        values = {name: getattr(self, _attribute(name)) for name in _PARSERS}
        return {name: _spell(value) for name, value in values.items()}

    def export(self) -> None:
        """Put these settings into the environment of this process, for the children that it will start."""
        os.environ.update({**self.to_environment(), "DAGSTER_HOME": str(self.dagster_home)})

    @property
    def folder(self) -> Path:
        """Folder of this machine: the store itself, or the one that a store in S3 works in."""
        return self.store if isinstance(self.store, Path) else self.work

    @property
    def store_url(self) -> str | None:
        """Address of a store in S3; None where the store is a folder."""
        return None if isinstance(self.store, Path) else self.store

    @property
    def tables_folder(self) -> Path:
        """Folder of the tables: of all, or one of its own for another preset than the default."""
        return self.folder / self.tables_prefix

    @property
    def tables_prefix(self) -> str:
        """Where the tables lie below the store: on top, or for another preset than the default in ``presets``."""
        return "" if self.preset == DEFAULT_PRESET else f"presets/{self.preset}"

    @property
    def gallery_folder(self) -> Path:
        """Folder of the pulled objects, which all presets share."""
        return self.folder / "gallery"

    @property
    def dagster_home(self) -> Path:
        """Folder in which Dagster keeps runs and events; each preset has a history of its own."""
        if self.home is None:
            return self.tables_folder.resolve() / "dagster_home"
        of_preset = f"presets/{self.preset}"
        # A child process is given the folder of the preset itself, see ``export``.
        its_own = self.preset == DEFAULT_PRESET or self.home.match(of_preset)
        return self.home if its_own else self.home / of_preset


def given_variables(environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """Give the variables of the platform that are set, as they are spelled; an empty value counts as unset.

    The values of ``SECRETS`` are among them.

    Parameters
    ----------
    environment
        Variables to read; by default those of the process.
    """
    variables = os.environ if environment is None else environment
    return {name: variables[name].strip() for name in _PARSERS if variables.get(name, "").strip()}


def _attribute(variable: str) -> str:
    return variable.removeprefix("CPJUMP_").removeprefix("DAGSTER_").lower()


def _spell(value: object) -> str:
    """Write a value as the parser of its variable reads it."""
    if isinstance(value, tuple):
        return ",".join(value)
    return "" if value is None else str(value)


def _refuse_credentials(name: str, value: str) -> None:
    """Refuse an address that could hold a secret, without repeating it: settings are shown in the web UI."""
    try:
        url = urlsplit(value)
    except ValueError as error:
        raise SettingsError(f"{name} must be an address, found one that cannot be read: {error}") from error
    if "@" in url.netloc or ("://" in value and (url.query or url.fragment)):
        raise SettingsError(f"{name} must be an address without user name and password, query and fragment")


def _s3_url(name: str, value: str) -> str:
    _refuse_credentials(name, value)
    url = urlsplit(value)
    if url.scheme != "s3" or not _BUCKET.fullmatch(url.netloc):
        raise SettingsError(f"{name} must be s3://bucket/prefix, found {value!r}")
    return value.rstrip("/")


def _endpoint(name: str, value: str) -> str:
    _refuse_credentials(name, value)
    url = urlsplit(value)
    if url.scheme not in ("http", "https") or not url.netloc or not _has_possible_port(value):
        raise SettingsError(f"{name} must be http://host[:port] or https://host[:port], found {value!r}")
    return value.rstrip("/")


def _reference(name: str, value: str) -> str:
    _refuse_credentials(name, value)
    scheme = urlsplit(value).scheme
    if scheme in ("", "http", "https", "s3"):
        return value.rstrip("/")
    raise SettingsError(f"{name} must be a folder, https://... or s3://bucket/prefix, found {value!r}")


def _store(name: str, value: str) -> Path | str:
    if value.startswith("s3://"):
        return _s3_url(name, value)
    if "://" in value:
        _refuse_credentials(name, value)
        raise SettingsError(f"{name} must be a folder of this machine or s3://bucket/prefix, found {value!r}")
    return Path(value).expanduser()


def _folder(name: str, value: str) -> Path:
    if "://" in value:
        raise SettingsError(f"{name} must be a folder of this machine, found {value!r}")
    return Path(value).expanduser()


def _addresses(name: str, value: str) -> tuple[str, ...]:
    """Take apart a list of addresses; none of them is ever repeated, as they hold passwords and tokens."""
    addresses = tuple(address for address in re.split(r"[,\s]+(?=[a-z][a-z0-9+.-]*://)", value) if address)
    for number, address in enumerate(addresses, 1):
        if "://" not in address:
            raise SettingsError(f"{name} must be apprise addresses, comma-separated: number {number} has no ://")
    return addresses


def _severity(name: str, value: str) -> str:
    if value not in ALERT_SEVERITIES:
        raise SettingsError(f"{name} must be one of {', '.join(ALERT_SEVERITIES)}, found {value!r}")
    return value


def _postgres(name: str, value: str) -> str:
    if urlsplit(value).scheme != "postgresql":
        raise SettingsError(f"{name} must be postgresql://user:password@host:port/database")
    return value


def _token(name: str, value: str) -> str:
    if len(value) < _TOKEN_LENGTH:
        raise SettingsError(f"{name} must have at least {_TOKEN_LENGTH} characters, found {len(value)}")
    return value


def _scheduler(name: str, value: str) -> str:
    _refuse_credentials(name, value)
    url = urlsplit(value)
    if url.scheme not in ("tcp", "tls", "ws", "wss") or not url.netloc or not _has_possible_port(value):
        raise SettingsError(f"{name} must be tcp://host:port or tls://host:port, found {value!r}")
    return value


def _has_possible_port(value: str) -> bool:
    try:
        return urlsplit(value).port != 0
    except ValueError:
        return False


def _absolute(name: str, value: str) -> Path:
    if not Path(value).is_absolute():
        raise SettingsError(f"{name} must be an absolute path, found {value!r}")
    return Path(value)


def _positive(name: str, value: str) -> int:
    if not value.isdecimal() or int(value) < 1:
        raise SettingsError(f"{name} must be a whole number of at least 1, found {value!r}")
    return int(value)


def parse_bytes(name: str, value: str) -> int:
    """Read an amount of data such as ``500MB``, ``50 GB`` or a plain number of bytes; units are powers of 1,000.

    Parameters
    ----------
    name
        The variable or option to name when the amount is bad.

    Raises
    ------
    SettingsError
        If it is none of these.
    """
    match = _AMOUNT.fullmatch(value.strip().upper())
    if match is None:
        raise SettingsError(f"{name} must be an amount of data such as 500MB, 50GB or 2TB, found {value!r}")
    return round(float(match["number"]) * _UNITS[match["unit"] or "B"])


def _cron(name: str, value: str) -> str:
    if len(value.split()) != 5:
        raise SettingsError(f"{name} must have five cron fields, for example '0 3 * * 1', found {value!r}")
    return value


def _preset(name: str, value: str) -> str:
    if value not in PRESET_NAMES:
        raise SettingsError(f"{name} must be one of {', '.join(PRESET_NAMES)}, found {value!r}")
    return value


def _issues(name: str, value: str) -> tuple[str, ...]:
    kinds = {kind.strip() for kind in value.split(",")} - {""}
    unknown = sorted(kinds.difference(ISSUE_KINDS))
    if unknown:
        raise SettingsError(
            f"{name} must be known issues out of {', '.join(ISSUE_KINDS)}, comma-separated, found {unknown[0]!r} in "
            f"{value!r}"
        )
    return tuple(kind for kind in ISSUE_KINDS if kind in kinds)


_PARSERS = {
    "CPJUMP_GALLERY": _s3_url,
    "CPJUMP_S3_ENDPOINT": _endpoint,
    "CPJUMP_REFERENCE": _reference,
    "CPJUMP_STORE": _store,
    "CPJUMP_STORE_ENDPOINT": _endpoint,
    "CPJUMP_WORK": _folder,
    "CPJUMP_CONNECTIONS": _positive,
    "CPJUMP_PLATES_PER_RUN": _positive,
    "CPJUMP_DASK_SCHEDULER": _scheduler,
    "CPJUMP_PULL_BUDGET": parse_bytes,
    "CPJUMP_REFRESH_CRON": _cron,
    "CPJUMP_OBSERVE_CRON": _cron,
    "CPJUMP_VERIFY_CRON": _cron,
    "CPJUMP_KEEP_DAYS": _positive,
    "CPJUMP_FRESH_DAYS": _positive,
    "CPJUMP_ALERT_URLS": _addresses,
    "CPJUMP_ALERT_ON": _severity,
    "CPJUMP_UI_URL": _endpoint,
    "CPJUMP_UI_TOKEN": _token,
    "CPJUMP_POSTGRES_URL": _postgres,
    "CPJUMP_PRESET": _preset,
    "CPJUMP_EXCLUDE": _issues,
    "DAGSTER_HOME": _absolute,
}
