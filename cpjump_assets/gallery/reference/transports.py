"""Where the reference tables are read from: a folder, https, or S3.

Belongs here: bytes by relative path, for each kind of address, with clear errors. Does not belong here: which files
there are and whether their content is right (``reference``).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote, urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3

from cpjump_assets.gallery.client import gallery_client
from cpjump_assets.gallery.failures import without_credentials
from cpjump_assets.gallery.layout import GalleryRoot, safe_relative_path
from cpjump_assets.gallery.transfer.body import read_object
from cpjump_assets.science.errors import GalleryError, SettingsError
from cpjump_assets.storage.loopback import is_loopback

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

# No answer at all is given up after three tries (1 s of waiting), a broken or busy one after five (7 s).
_RETRIES = urllib3.Retry(
    total=4,
    connect=2,
    redirect=0,
    backoff_factor=0.5,
    status_forcelist=(429, 500, 502, 503, 504),
    raise_on_status=False,
)
_REDIRECTS = 5
_TIMEOUT = urllib3.Timeout(connect=10.0, read=30.0)


class Transport(Protocol):
    """Reads files by their path below some root."""

    def read(self, path: str) -> bytes | None:
        """Give the content of a file; None when the root has no such file.

        Raises
        ------
        GalleryError
            If the root cannot be reached, or refuses.
        """


def open_transport(url: str, *, endpoint: str | None) -> Transport:
    """Choose the transport for an address.

    Parameters
    ----------
    url
        ``https://...``, ``s3://bucket/prefix``, or a folder. Plain ``http://`` is taken on loopback only, where nobody
        stands in between.
    endpoint
        S3 endpoint for an ``s3://`` address.

    Raises
    ------
    SettingsError
        If the address is none of these, or the folder is not there.
    """
    if _is_web_address(url):
        return Web(url.rstrip("/"), _connection_pool(url))
    if url.startswith("s3://"):
        return Bucket(gallery_client(endpoint), GalleryRoot.parse(url, setting="CPJUMP_REFERENCE"))
    if "://" in url:
        raise SettingsError(
            f"CPJUMP_REFERENCE must be https://..., s3://bucket/prefix or a folder, found {without_credentials(url)!r}"
        )
    folder = Path(url).expanduser()
    if not folder.is_dir():
        raise SettingsError(
            f"CPJUMP_REFERENCE must be https://..., s3://bucket/prefix or a folder; {url!r} is no folder"
        )
    return Folder(folder)


@dataclass(frozen=True)
class Folder:
    """Files of this machine."""

    root: Path

    def read(self, path: str) -> bytes | None:
        """Give the content of a file, or None; see ``Transport``."""
        try:
            return (self.root / safe_relative_path(path)).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise GalleryError(f"{path} of the reference root cannot be read: {error.strerror}") from error


@dataclass(frozen=True)
class Bucket:
    """Objects of an S3 bucket, read as anonymously as the gallery."""

    client: "S3Client"
    root: GalleryRoot

    def read(self, path: str) -> bytes | None:
        """Give the content of an object, or None; see ``Transport``."""
        return read_object(self.client, self.root.bucket, self.root.key(str(safe_relative_path(path))))


@dataclass(frozen=True)
class Web:
    """Files of a web server."""

    root: str
    pool: urllib3.PoolManager

    def read(self, path: str) -> bytes | None:
        """Give the content of a file, or None; see ``Transport``."""
        url = f"{self.root}/{quote(str(safe_relative_path(path)))}"
        shown = without_credentials(url)
        try:
            answer = self._get(url)
        except urllib3.exceptions.HTTPError as error:
            cause = type(getattr(error, "reason", None) or error).__name__
            raise GalleryError(f"{shown} (CPJUMP_REFERENCE) cannot be read: {cause}") from error
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise GalleryError(f"{shown} (CPJUMP_REFERENCE) cannot be read: expected status 200, found {answer.status}")
        return answer.data

    def _get(self, url: str) -> urllib3.BaseHTTPResponse:
        # Redirects are followed by hand, because urllib3 would also follow one from https to http.
        for _ in range(_REDIRECTS):
            answer = self.pool.request("GET", url, retries=_RETRIES, redirect=False, timeout=_TIMEOUT)
            location = answer.get_redirect_location()
            if not location:
                return answer
            url = urljoin(url, location)
            if not _is_web_address(url):
                raise GalleryError(f"{without_credentials(self.root)} (CPJUMP_REFERENCE) leads away from https")
        raise GalleryError(
            f"{without_credentials(self.root)} (CPJUMP_REFERENCE) redirects more than {_REDIRECTS} times"
        )


def _is_web_address(url: str) -> bool:
    scheme = urlsplit(url).scheme
    return scheme == "https" or (scheme == "http" and is_loopback(url))


def _connection_pool(url: str) -> urllib3.PoolManager:
    proxy = getproxies().get("https")
    if proxy is None or is_loopback(url) or proxy_bypass(urlsplit(url).netloc):
        return urllib3.PoolManager()
    credentials = urllib3.util.parse_url(proxy).auth
    return urllib3.ProxyManager(proxy, proxy_headers=urllib3.make_headers(proxy_basic_auth=credentials))
