"""Whether an address is on this machine.

Belongs here: that one question, which every S3 client asks before it goes through a proxy.
"""

import ipaddress
from urllib.parse import urlsplit


def is_loopback(endpoint: str | None) -> bool:
    """Tell whether an address, if any, is on this machine."""
    host = urlsplit(endpoint or "").hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
