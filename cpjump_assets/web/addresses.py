"""The addresses under which the web UI is reached: this machine's, and a proxy's.

Belongs here: which ``Host`` headers are ours, and the origin of the pages that each of them serves. Does not belong
here: what is done with a request that names another (``guard``).
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

from cpjump_assets.science.errors import SettingsError
from cpjump_assets.settings import Settings

HOST = "127.0.0.1"
_DEFAULT_PORTS = {"http": 80, "https": 443}

Origins = Mapping[str, str]
"""For each ``Host`` header that is ours, the origin of the pages that are read under it."""


def own_origins(port: int, ui_url: str = Settings.ui_url) -> Origins:
    """Give the addresses of a web UI on a port of this machine.

    Parameters
    ----------
    port
        Its port on loopback.
    ui_url
        ``Settings.ui_url``: where it is reached from elsewhere, through a proxy or a tunnel. The default of the setting
        adds nothing: a page of another program on port 3000 is not ours.

    Raises
    ------
    SettingsError
        If the address has a path: the UI answers at the root of its host.
    """
    origins = {**_origin(f"http://{HOST}:{port}"), **_origin(f"http://localhost:{port}")}
    if ui_url == Settings.ui_url:
        return origins
    if urlsplit(ui_url).path:
        raise SettingsError(f"CPJUMP_UI_URL must have no path, the web UI has a host to itself, found {ui_url!r}")
    return origins | _origin(ui_url)


def _origin(url: str) -> dict[str, str]:
    """Give the origin by each spelling of its host: browsers leave the usual port away, proxies may name it."""
    parts = urlsplit(url.lower())
    usual = _DEFAULT_PORTS[parts.scheme]
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    if parts.port not in (None, usual):
        return {f"{host}:{parts.port}": f"{parts.scheme}://{host}:{parts.port}"}
    return dict.fromkeys((f"{host}", f"{host}:{usual}"), f"{parts.scheme}://{host}")
