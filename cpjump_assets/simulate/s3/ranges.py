"""Which bytes of an object a request asks for: the ``Range`` header and ``partNumber``, as S3 reads them.

Belongs here: parsing, and what is not satisfiable. Does not belong here: the answer around the bytes (``service``).
"""

import re
from typing import NamedTuple

from cpjump_assets.simulate.s3.errors import S3Error
from cpjump_assets.simulate.s3.etags import UploadRule

# One range of up to 19 digits a side: an object has at most 5 TiB, and int() refuses thousands of digits.
_ONE_RANGE = re.compile(r"\s*bytes\s*=\s*([0-9]{0,19})\s*-\s*([0-9]{0,19})\s*", re.IGNORECASE)
_LARGEST_PART_NUMBER = 10_000


class Span(NamedTuple):
    """The bytes ``start`` to ``stop`` (exclusive) of an object, at least one of them."""

    start: int
    stop: int

    def content_range(self, size: int) -> str:
        """Write the ``Content-Range`` header of an object of ``size`` bytes."""
        return f"bytes {self.start}-{self.stop - 1}/{size}"


def span_of_range(header: str, size: int) -> Span | None:
    """Read a ``Range`` header.

    Parameters
    ----------
    header
        Such as ``bytes=0-99``, ``bytes=100-`` or ``bytes=-8``.
    size
        Bytes of the object.

    Returns
    -------
    The bytes asked for, or None where S3 answers with the whole object: several ranges, another unit, a header that is
    no range (``bytes=5-2``), and the last bytes of an empty object.

    Raises
    ------
    S3Error
        ``InvalidRange``, if the range begins behind the last byte or asks for the last 0 bytes.
    """
    found = _ONE_RANGE.fullmatch(header)
    if found is None or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if first == "":
        wanted = int(last)
        if wanted and not size:
            return None
        span = Span(max(size - wanted, 0), size)
    else:
        if last and int(last) < int(first):
            return None
        span = Span(int(first), min(int(last) + 1, size) if last else size)
    if span.start >= span.stop:
        raise S3Error("InvalidRange", RangeRequested=header.strip(), ActualObjectSize=str(size))
    return span


def span_of_part(number: str, size: int, upload: UploadRule) -> Span | None:
    """Find one part of an object, as it was uploaded.

    Parameters
    ----------
    number
        The query parameter ``partNumber``, from 1.
    size
        Bytes of the object.
    upload
        How the object was uploaded; one that was not uploaded in parts is its own part 1.

    Returns
    -------
    The bytes of the part, or None for part 1 of an empty object.

    Raises
    ------
    S3Error
        ``InvalidArgument`` for what is no part number, ``InvalidPartNumber`` if the object has fewer parts.
    """
    if not re.fullmatch(r"[0-9]{1,5}", number) or not 1 <= int(number) <= _LARGEST_PART_NUMBER:
        raise S3Error(
            "InvalidArgument",
            f"Part number must be an integer between 1 and {_LARGEST_PART_NUMBER}, inclusive",
            ArgumentName="partNumber",
            ArgumentValue=number,
        )
    parts = max(upload.part_count(size), 1)
    if int(number) > parts:
        raise S3Error("InvalidPartNumber", PartNumberRequested=number, ActualPartCount=str(parts))
    if not size:
        return None
    part_size = upload.part_size if upload.part_count(size) else size
    start = (int(number) - 1) * part_size
    return Span(start, min(start + part_size, size))
