"""What a failed listing means to somebody who has just set the platform up.

Belongs here: telling by the cause of an error at which rung it happened, with a line of advice. Does not belong here:
asking (``endpoint``), the one-line errors of all other requests (``gallery.failures``).
"""

from typing import NamedTuple
from urllib.parse import urlsplit

from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ProxyConnectionError,
    ReadTimeoutError,
    SSLError,
)
from urllib3.exceptions import NameResolutionError

from cpjump_assets.gallery.failures import status
from cpjump_assets.gallery.gallery import Gallery
from cpjump_assets.science.errors import GalleryError

HOST, CONNECTION, TLS, S3, BUCKET, LISTING, PREFIX = RUNGS = (
    "host name",
    "connection",
    "TLS",
    "S3",
    "bucket",
    "anonymous listing",
    "prefix",
)
"""The rungs between a name and a listing, each of which takes those before it."""
_OTHER_REGION = ("PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException")


class Trouble(NamedTuple):
    """Where a listing failed.

    Attributes
    ----------
    rung
        One of ``RUNGS``.
    found
        What is wrong.
    advice
        What to do.
    """

    rung: str
    found: str
    advice: str


def trouble_of(error: GalleryError, gallery: Gallery) -> Trouble:
    """Tell by the cause of an error at which rung it happened."""
    host, other = _host(gallery), elsewhere(gallery)
    match error.__cause__:
        case ClientError() as refusal:
            return _refusal(refusal, gallery)
        case SSLError() as failure:
            return _tls_trouble(str(failure), host, other)
        case ProxyConnectionError():
            advice = "check HTTPS_PROXY and HTTP_PROXY, or name the host in NO_PROXY"
            return Trouble(CONNECTION, "the proxy on the way does not answer", advice)
        case EndpointConnectionError(kwargs={"error": NameResolutionError()}):
            return Trouble(HOST, f"no host of the name {host}", f"check name and network, {other}")
        case EndpointConnectionError(kwargs={"error": Exception(__cause__=OSError(strerror=str(reason)))}):
            return Trouble(CONNECTION, f"{host}: {reason.lower()}", f"start the server there, {other}")
        case ConnectTimeoutError():
            advice = f"a firewall or a proxy may be in the way: check the network, {other}"
            return Trouble(CONNECTION, f"{host} does not accept a connection", advice)
        case ReadTimeoutError() | ConnectionClosedError() | EndpointConnectionError():
            advice = f"look after the server, {other}"
            return Trouble(CONNECTION, f"{host} accepts a connection and gives no answer", advice)
        case _:
            return _no_s3(host, other)


def _host(gallery: Gallery) -> str:
    return urlsplit(gallery.client.meta.endpoint_url).netloc.rpartition("@")[2]


def elsewhere(gallery: Gallery) -> str:
    """Say how another endpoint is taken than this one."""
    if _host(gallery).endswith(".amazonaws.com"):
        return "or set CPJUMP_S3_ENDPOINT to the address of a mirror"
    return "or set CPJUMP_S3_ENDPOINT to the address of an S3 server, unset is AWS"


def _no_s3(host: str, other: str) -> Trouble:
    advice = f"a web page or a login answers there: log in, {other}"
    return Trouble(S3, f"{host} does not answer as an S3 server does", advice)


def _tls_trouble(text: str, host: str, other: str) -> Trouble:
    if "WRONG_VERSION_NUMBER" in text:
        return Trouble(TLS, f"{host} speaks plain http", f"set CPJUMP_S3_ENDPOINT to http://{host}")
    if "has expired" in text or "not yet valid" in text:
        advice = "set the clock of this machine; if it is right, the server needs a new certificate"
        return Trouble(TLS, f"the certificate of {host} is not valid today", advice)
    if "mismatch" in text or "doesn't match" in text:
        advice = f"take the name that the certificate is for, {other}"
        return Trouble(TLS, f"the certificate is not that of {host}", advice)
    advice = "set AWS_CA_BUNDLE to the file with the certificates that your network trusts"
    return Trouble(TLS, f"nobody that is trusted here vouches for the certificate of {host}", advice)


def _refusal(error: ClientError, gallery: Gallery) -> Trouble:
    """Tell what a refusal means; botocore makes up a code of digits when the answer is none of S3."""
    code, bucket = error.response["Error"].get("Code", ""), gallery.root.bucket
    host, other = _host(gallery), elsewhere(gallery)
    if code == "NoSuchBucket":
        advice = f"set CPJUMP_GALLERY to a bucket of this server, {other}"
        return Trouble(BUCKET, f"no bucket {bucket} on {host}", advice)
    if code in _OTHER_REGION:
        advice = "set CPJUMP_S3_ENDPOINT to the address of its region: only us-east-1 is asked by itself"
        return Trouble(BUCKET, f"bucket {bucket} lies in another region", advice)
    if code.isdecimal() or not code:
        return _no_s3(host, other)
    if status(error) == 403:
        advice = f"set CPJUMP_GALLERY to a bucket that anyone may list, {other}"
        return Trouble(LISTING, f"refused without an account ({code})", advice)
    if status(error) >= 500:
        return Trouble(S3, f"{host} is in trouble ({code})", "run `cpjump doctor` again later")
    return Trouble(LISTING, f"refused ({code})", f"check CPJUMP_GALLERY, {other}")
