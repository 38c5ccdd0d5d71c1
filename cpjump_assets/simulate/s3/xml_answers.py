"""The answers of S3 that are XML: errors and listings.

Belongs here: elements, their order, escaping and URL encoding. Does not belong here: what is listed (``listing``), or
which error it is (``errors``).
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from urllib.parse import quote_plus

from cpjump_assets.simulate.s3.answers import Answer
from cpjump_assets.simulate.s3.errors import S3Error
from cpjump_assets.simulate.s3.listing import ListQuery, Page, token_of
from cpjump_assets.simulate.s3.objects import StoredObject

_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'
HOST_ID = "simulated-gallery"
_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
# Control characters are written as references: a parser would turn a bare carriage return into a line feed. Those below
# 32 that XML 1.0 does not allow at all are what encoding-type=url is for.
_REFERENCES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}
    | {chr(code): f"&#x{code:x};" for code in (*range(32), 0x7F)}
)


def error_answer(error: S3Error, *, resource: str, request_id: str) -> Answer:
    """Answer with an error.

    Parameters
    ----------
    error
        Code, message and further elements.
    resource
        The path that was asked for.
    request_id
        As in the header ``x-amz-request-id``.
    """
    elements = {
        "Code": error.code,
        "Message": error.message,
        **error.details,
        "Resource": resource,
        "RequestId": request_id,
        "HostId": HOST_ID,
    }
    return _xml_answer(error.status, f"<Error>{_elements(elements)}</Error>", error.headers)


def listing_answer(bucket: str, query: ListQuery, page: Page, objects: Iterable[tuple[str, StoredObject]]) -> Answer:
    """Answer with a page of a listing.

    Parameters
    ----------
    bucket, query
        What was asked for; it is repeated in the answer.
    page
        The page, for its common prefixes and its end.
    objects
        The keys of the page that are still there, with their objects.
    """
    name = _url_encoded if query.url_encoded else str
    contents = [_contents(name(key), stored) for key, stored in objects]
    prefixes = [
        f"<CommonPrefixes><Prefix>{_text(name(each))}</Prefix></CommonPrefixes>" for each in page.common_prefixes
    ]
    head = {
        "Name": bucket,
        "Prefix": name(query.prefix),
        "StartAfter": None if query.start_after is None else name(query.start_after),
        "ContinuationToken": query.continuation_token,
        "NextContinuationToken": token_of(page.last) if page.truncated else None,
        "KeyCount": str(len(contents) + len(prefixes)),
        "MaxKeys": str(query.max_keys),
        "Delimiter": name(query.delimiter) or None,
        "EncodingType": "url" if query.url_encoded else None,
        "IsTruncated": "true" if page.truncated else "false",
    }
    result = f"{_elements(head)}{''.join(contents)}{''.join(prefixes)}"
    return _xml_answer(200, f'<ListBucketResult xmlns="{_NAMESPACE}">{result}</ListBucketResult>', {})


def _xml_answer(status: int, root: str, headers: Mapping[str, str]) -> Answer:
    body = (_DECLARATION + root).encode()
    return Answer(status, {"Content-Type": "application/xml", "Content-Length": str(len(body)), **headers}, (body,))


def _contents(key: str, stored: StoredObject) -> str:
    modified = datetime.fromtimestamp(stored.last_modified, UTC)
    return (
        f"<Contents><Key>{_text(key)}</Key><LastModified>{modified:%Y-%m-%dT%H:%M:%S}.000Z</LastModified>"
        f"<ETag>&quot;{stored.etag}&quot;</ETag><Size>{stored.size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
    )


def _elements(values: Mapping[str, str | None]) -> str:
    return "".join(f"<{tag}>{_text(value)}</{tag}>" for tag, value in values.items() if value is not None)


def _text(value: str) -> str:
    return value.translate(_REFERENCES)


def _url_encoded(value: str) -> str:
    """Encode as S3 does for encoding-type=url: a slash stays, a space becomes a plus."""
    return quote_plus(value, safe="/")
