"""The one S3 client of the gallery.

Belongs here: how requests are made (anonymous, region, endpoint, retries, timeouts, pool) and how many at once. Does
not belong here: what is asked for (``listing``, ``download``), what a failed answer means to the user (``failures``).
"""

import os
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cpjump_assets.storage.loopback import is_loopback

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

REGION = "us-east-1"
REQUEST_ATTEMPTS = 5
CONNECTIONS = 16
"""Requests at once: over a network they hide the time to the first byte, on loopback they share one hash."""
USER_AGENT = "cpjump-assets"


def gallery_client(
    endpoint: str | None = None,
    *,
    connections: int | None = None,
    connect_timeout: float = 10.0,
    read_timeout: float = 30.0,
    attempts: int = REQUEST_ATTEMPTS,
) -> "S3Client":
    """Make the client; it is safe to share among threads, and one per process is enough.

    Requests are not signed, and nothing of the user's AWS set-up reaches it: neither ``AWS_*`` variables (endpoints,
    profile, region, retries), nor the files in ``~/.aws``. A trust store given by ``AWS_CA_BUNDLE`` and the usual proxy
    variables do count, because without them some networks have no way out; a loopback endpoint never goes through a
    proxy.

    Parameters
    ----------
    endpoint
        Address of another S3 server, asked with the bucket in the path; None is AWS in us-east-1.
    connections
        Size of the connection pool; None is ``CONNECTIONS``.
    connect_timeout, read_timeout
        Seconds without any answer or any byte until a request counts as failed.
    attempts
        Tries of a request in all, with waits that grow in between.
    """
    # Importing boto3 costs 0.14 CPU seconds, which definitions that only name the gallery need not pay.
    import boto3.session
    from botocore import UNSIGNED
    from botocore.config import Config

    config = Config(
        signature_version=UNSIGNED,
        region_name=REGION,
        max_pool_connections=connections or CONNECTIONS,
        retries={"mode": "standard", "total_max_attempts": attempts},
        connect_timeout=connect_timeout,
        read_timeout=read_timeout,
        proxies={} if is_loopback(endpoint) else None,
        s3={"addressing_style": "path" if endpoint else "auto"},
        user_agent_extra=USER_AGENT,
    )
    session = boto3.session.Session(botocore_session=_session_of_its_own())
    return session.client("s3", endpoint_url=endpoint, config=config)


def proxy_of(client: "S3Client") -> str | None:
    """Give the proxy that stands between a client and its endpoint; None where there is none, as on loopback."""
    from botocore.utils import get_environ_proxies

    config: Any = client.meta.config
    endpoint, configured = client.meta.endpoint_url, config.proxies
    proxies = get_environ_proxies(endpoint) if configured is None else configured
    return proxies.get(urlsplit(endpoint).scheme)


def trust_store() -> str | None:
    """Give the file of certificates that requests trust: that of ``AWS_CA_BUNDLE``, or the one that botocore uses."""
    from botocore.httpsession import get_cert_path

    return get_cert_path(_session_of_its_own().get_config_variable("ca_bundle") or True)


def _session_of_its_own() -> Any:
    from botocore.session import Session

    fixed = {
        "config_file": os.devnull,
        "credentials_file": os.devnull,
        "ignore_configured_endpoint_urls": True,
    }
    variables = {
        name: (None, None, fixed.get(name, default), convert)
        for name, (_, _, default, convert) in Session.SESSION_VARIABLES.items()
        if name != "ca_bundle"
    }
    session = Session(session_vars=variables)
    # What botocore takes by default, dateutil, is more than half of the cost of a listing: 70 us of CPU a key, not 30.
    session.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_moment)
    return session


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:  # headers tell times in another form than listings
        from botocore.utils import parse_timestamp

        return parse_timestamp(text)
