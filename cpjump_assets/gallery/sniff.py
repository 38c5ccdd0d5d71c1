"""Content that is not what its name says, by its first bytes.

Belongs here: the impostors that are met where a table should be. Does not belong here: what a right table looks like
(``profile_file``, ``reference_tables``).
"""

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
