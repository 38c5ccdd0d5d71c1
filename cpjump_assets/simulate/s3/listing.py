"""ListObjectsV2: its parameters, and pages of sorted keys.

Belongs here: the rules of prefix, delimiter, start and length of a page. Does not belong here: which keys there are
(``key_index``), or how a page is written (``xml_answers``).
"""

import base64
import binascii
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cpjump_assets.simulate.s3.errors import S3Error

LARGEST_PAGE = 1000
"""S3 gives at most so many entries a page, whatever is asked for."""


_LARGEST_MAX_KEYS = 2**31 - 1
_KNOWN_PARAMETERS = frozenset(
    {"list-type", "prefix", "delimiter", "max-keys", "start-after", "continuation-token", "encoding-type"}
    | {"fetch-owner", "x-id"}  # without effect: nobody owns a file here, and x-id repeats the operation's name
)


@dataclass(frozen=True)
class ListQuery:
    """What a request wants listed.

    Parameters
    ----------
    prefix, delimiter
        As in ``list_page``; empty for none.
    max_keys
        Entries on a page at most, 0 to 1000.
    start_after, continuation_token
        As asked for; None where the request has none. A token is the stronger.
    url_encoded
        Whether keys are to be URL-encoded in the answer.
    """

    prefix: str
    delimiter: str
    max_keys: int
    start_after: str | None
    continuation_token: str | None
    url_encoded: bool

    @classmethod
    def parse(cls, parameters: Mapping[str, str]) -> "ListQuery":
        """Read the parameters of a request.

        Raises
        ------
        S3Error
            ``NotImplemented`` for version 1 and for other things than a listing, ``InvalidArgument`` for a bad value.
        """
        if parameters.get("list-type") != "2" or not parameters.keys() <= _KNOWN_PARAMETERS:
            raise S3Error("NotImplemented", "Of a bucket only ListObjectsV2 is implemented")
        encoding = parameters.get("encoding-type")
        if encoding not in (None, "url"):
            raise _invalid("encoding-type", encoding, "Invalid Encoding Method specified in Request")
        return cls(
            prefix=parameters.get("prefix", ""),
            delimiter=parameters.get("delimiter", ""),
            max_keys=_max_keys(parameters.get("max-keys", str(LARGEST_PAGE))),
            start_after=parameters.get("start-after"),
            continuation_token=parameters.get("continuation-token"),
            url_encoded=encoding == "url",
        )

    def page(self, keys: Sequence[str]) -> "Page":
        """Take the page from sorted keys.

        Raises
        ------
        S3Error
            ``InvalidArgument``, if the continuation token is none of ours.
        """
        after = self.start_after or "" if self.continuation_token is None else entry_of(self.continuation_token)
        return list_page(keys, prefix=self.prefix, delimiter=self.delimiter, after=after, limit=self.max_keys)


def _max_keys(value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) <= 10 and int(value) <= _LARGEST_MAX_KEYS):
        raise _invalid("max-keys", value, f"max-keys must be an integer between 0 and {_LARGEST_MAX_KEYS}")
    return min(int(value), LARGEST_PAGE)


def _invalid(name: str, value: str, message: str) -> S3Error:
    return S3Error("InvalidArgument", message, ArgumentName=name, ArgumentValue=value)


@dataclass(frozen=True)
class Page:
    """One page of a listing.

    Parameters
    ----------
    keys, common_prefixes
        In the order of their UTF-8 bytes, each list by itself, as S3 answers.
    truncated
        Whether entries follow behind ``last``.
    last
        The last entry; empty on an empty page.
    """

    keys: tuple[str, ...]
    common_prefixes: tuple[str, ...]
    truncated: bool
    last: str


def list_page(keys: Sequence[str], *, prefix: str, delimiter: str, after: str, limit: int) -> Page:
    """Take one page from sorted keys.

    Parameters
    ----------
    keys
        Sorted. Python orders strings by code point, which is the order of their UTF-8 bytes, S3's.
    prefix
        Only keys that begin so.
    delimiter
        Keys that hold it behind the prefix are rolled up to one common prefix; empty for none.
    after
        Only entries, keys or common prefixes, that are greater than this.
    limit
        Entries at most; 0 gives an empty page that is not truncated, as on S3.
    """
    position = max(bisect_left(keys, prefix), bisect_right(keys, after) if after else 0)
    names: list[str] = []
    prefixes: list[str] = []
    last = ""
    while limit and position < len(keys) and keys[position].startswith(prefix):
        if len(names) + len(prefixes) == limit:
            return Page(tuple(names), tuple(prefixes), True, last)
        key = keys[position]
        cut = key.find(delimiter, len(prefix)) if delimiter else -1
        if cut < 0:
            last = key
            names.append(key)
            position += 1
            continue
        common = key[: cut + len(delimiter)]
        if common > after:
            last = common
            prefixes.append(common)
        # a bisection past all that is rolled up: a listing of 51 plates does not walk their 1.4 million images
        position = bisect_right(keys, common, lo=position, key=lambda other: other[: len(common)])
    return Page(tuple(names), tuple(prefixes), False, last)


def token_of(last: str) -> str:
    """Write the continuation token of the page that follows an entry."""
    return base64.urlsafe_b64encode(last.encode()).decode()


def entry_of(token: str) -> str:
    """Read a continuation token.

    Raises
    ------
    S3Error
        ``InvalidArgument``, if the token is none of ours.
    """
    try:
        entry = base64.b64decode(token.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError):
        entry = ""
    if not entry:
        raise _invalid("continuation-token", token, "The continuation token provided is incorrect")
    return entry
