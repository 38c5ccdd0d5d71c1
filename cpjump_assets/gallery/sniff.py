"""Content that is not what its name says, by its first bytes, and content that is packed.

Belongs here: the impostors that are met where a table should be, and gzip files that are broken. Does not belong here:
what a right table looks like (``profile_file``, ``images.load_data``, ``reference.tables``).
"""

import gzip

from isal import igzip
from isal.igzip_lib import IsalError

from cpjump_assets.science.errors import BadTableError

GZIP_MAGIC = b"\x1f\x8b"

_LFS_POINTER = b"version https://git-lfs.github.com/spec/"


def impostor(content: bytes) -> str | None:
    """Name what stands in for a table; None when the content may be one.

    Parameters
    ----------
    content
        The content, or its first kilobyte, not compressed.
    """
    start = content[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not start:
        return "an empty file"
    if start.startswith((b"<!doctype html", b"<html")) or b"<html" in start[:512]:
        return "an HTML page"
    if start.startswith(b"<?xml"):
        return "an XML document, as S3 sends for errors"
    if start.startswith(_LFS_POINTER):
        return "a Git LFS pointer, not the file that it points to"
    return None


def unpack_gzip(content: bytes, source: str) -> bytes:
    """Unpack a gzip file.

    Raises
    ------
    BadTableError
        If it is truncated or corrupt, naming ``source``.
    """
    try:
        unpacked: bytes = igzip.decompress(content)
    except EOFError as error:
        raise BadTableError(f"{source}: the gzip file is truncated: it ends after {len(content):,} bytes") from error
    except (gzip.BadGzipFile, IsalError) as error:  # type: ignore[misc]  # declared as an instance in its stub
        raise BadTableError(f"{source}: the gzip file is corrupt: {error}") from error
    return unpacked
