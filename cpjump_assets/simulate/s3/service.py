"""What each request is answered: S3, read-only and anonymous, over a folder.

Belongs here: the operations GetObject, HeadObject, ListObjectsV2 and HeadBucket, their conditions and headers, where
the faults of the plan come in, and the record of requests. Does not belong here: sockets and threads (``server``).
"""

import itertools
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from email.utils import formatdate
from pathlib import Path

from cpjump_assets.simulate.s3.answers import Answer, HangUp, cut_body
from cpjump_assets.simulate.s3.errors import S3Error
from cpjump_assets.simulate.s3.etags import UploadRule, condition_names
from cpjump_assets.simulate.s3.faults import Fault, FaultPlan
from cpjump_assets.simulate.s3.key_index import KeyIndex
from cpjump_assets.simulate.s3.listing import ListQuery
from cpjump_assets.simulate.s3.objects import ObjectFolder, StoredObject
from cpjump_assets.simulate.s3.ranges import Span, span_of_part, span_of_range
from cpjump_assets.simulate.s3.requests import GET_OBJECT, HEAD_BUCKET, HEAD_OBJECT, LIST_OBJECTS, S3Request
from cpjump_assets.simulate.s3.xml_answers import HOST_ID, error_answer, listing_answer

REGION = "us-east-1"
_WRITES = frozenset({"PUT", "POST", "DELETE"})
# x-id only repeats the operation's name; every other parameter (versionId, acl, response-content-type, ...) would
# change the answer, so that leaving it out of account would be a wrong answer.
_OBJECT_PARAMETERS = frozenset({"partNumber", "x-id"})


@dataclass(frozen=True)
class RecordedRequest:
    """A request that came, and what it met.

    Parameters
    ----------
    method, bucket, key
        As asked for; key and bucket are empty where the request has none or cannot be read.
    query
        Decoded parameters.
    range
        The ``Range`` header; empty if there is none.
    status
        HTTP status that was sent; None if the connection was reset before.
    faults
        The kinds of faults that hit the request.
    """

    method: str
    bucket: str
    key: str
    query: Mapping[str, str]
    range: str
    status: int | None
    faults: tuple[str, ...]


class S3Service:
    """Answers requests over a folder.

    Parameters
    ----------
    root
        The folder: ``<root>/<bucket>/<key>``.
    faults
        The plan of faults; may be replaced at any time.
    upload
        How the objects count as uploaded, for their ETags.
    kept_requests
        So many requests are remembered, the latest.
    """

    def __init__(self, root: Path, *, faults: FaultPlan, upload: UploadRule, kept_requests: int):
        self.faults = faults
        self._folder = ObjectFolder(root, upload)
        self._indexes: dict[Path, KeyIndex] = {}
        self._requests: deque[RecordedRequest] = deque(maxlen=kept_requests)
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    @property
    def requests(self) -> tuple[RecordedRequest, ...]:
        """The latest requests, in the order in which their answers began."""
        with self._lock:
            return tuple(self._requests)

    @contextmanager
    def answering(self, method: str, target: str, headers: Mapping[str, str]) -> Iterator[Answer]:
        """Answer one request; the answer can be sent as long as the context lasts.

        Parameters
        ----------
        method
            In upper case.
        target
            Path and query, as the bytes that came, one character each.
        headers
            With names in lower case.
        """
        request_id = f"{next(self._numbers):016X}"
        with ExitStack() as files:
            try:
                request = S3Request.parse(method, target, headers, request_id)
            except S3Error as error:
                answer = error_answer(error, resource=target, request_id=request_id)
                record = RecordedRequest(method, "", "", {}, "", answer.status, ())
            else:
                faults = self.faults.draw(request)
                answer = self._answer(request, faults, files)
                record = _record(request, answer, faults)
            with self._lock:
                self._requests.append(record)
            yield replace(answer, headers={"x-amz-request-id": request_id, "x-amz-id-2": HOST_ID, **answer.headers})

    def _answer(self, request: S3Request, faults: tuple[Fault, ...], files: ExitStack) -> Answer:
        understood = request
        for fault in faults:
            understood = fault.change_request(understood)
        try:
            answer = self._operate(understood, faults, files)
        except S3Error as error:
            answer = error_answer(error, resource=request.path, request_id=request.request_id)
        for fault in faults:
            answer = fault.change_answer(answer, request)
        return answer

    def _operate(self, request: S3Request, faults: tuple[Fault, ...], files: ExitStack) -> Answer:
        if request.operation in (GET_OBJECT, HEAD_OBJECT):
            download = request.operation == GET_OBJECT
            changes = faults if download else self.faults.standing(request.bucket, request.key)
            return _object_answer(request, self._open(request.bucket, request.key, changes, files))
        if request.operation == LIST_OBJECTS:
            return self._list(request.bucket, request.query)
        if request.operation == HEAD_BUCKET:
            self._folder.bucket(request.bucket)
            return Answer(200, {"x-amz-bucket-region": REGION, "Content-Length": "0"})
        # an anonymous visitor may neither write nor see which buckets there are
        raise S3Error("AccessDenied" if request.method in _WRITES or not request.bucket else "MethodNotAllowed")

    def _open(self, bucket: str, key: str, changes: tuple[Fault, ...], files: ExitStack) -> StoredObject:
        stored = files.enter_context(self._folder.open(bucket, key))
        for fault in changes:
            stored = fault.change_object(stored)
        return stored

    def _list(self, bucket: str, parameters: Mapping[str, str]) -> Answer:
        folder = self._folder.bucket(bucket)
        query = ListQuery.parse(parameters)
        with self._lock:
            index = self._indexes.setdefault(folder, KeyIndex(folder))
        page = query.page(index.keys())
        described = ((key, self._describe(bucket, key)) for key in page.keys)
        return listing_answer(bucket, query, page, [(key, stored) for key, stored in described if stored is not None])

    def _describe(self, bucket: str, key: str) -> StoredObject | None:
        changes = self.faults.standing(bucket, key)
        if not changes:
            return self._folder.describe(bucket, key)
        with ExitStack() as files:
            return self._open(bucket, key, changes, files)


def _object_answer(request: S3Request, stored: StoredObject) -> Answer:
    """Answer GetObject and HeadObject: conditions first, then the bytes asked for."""
    if not request.query.keys() <= _OBJECT_PARAMETERS:
        raise S3Error("NotImplemented", f"Of an object's parameters only {sorted(_OBJECT_PARAMETERS)} are implemented")
    headers = {
        "Last-Modified": formatdate(stored.last_modified, usegmt=True),
        "ETag": f'"{stored.etag}"',
        "Accept-Ranges": "bytes",
    }
    if "if-match" in request.headers and not condition_names(request.headers["if-match"], stored.etag):
        raise S3Error("PreconditionFailed", Condition="If-Match")
    if "if-none-match" in request.headers and condition_names(request.headers["if-none-match"], stored.etag):
        return Answer(304, headers)
    headers["Content-Type"] = "binary/octet-stream"
    if "partNumber" in request.query and stored.upload.part_count(stored.size):
        headers["x-amz-mp-parts-count"] = str(stored.upload.part_count(stored.size))
    span = _span(request, stored)
    if span is None:
        return Answer(200, {**headers, "Content-Length": str(stored.size)}, stored.content)
    body, _ = cut_body(stored.content, span.stop)
    _, body = cut_body(body, span.start)
    headers |= {"Content-Range": span.content_range(stored.size), "Content-Length": str(span.stop - span.start)}
    return Answer(206, headers, body)


def _span(request: S3Request, stored: StoredObject) -> Span | None:
    asked, part = request.headers.get("range"), request.query.get("partNumber")
    if asked is not None and part is not None:
        raise S3Error("InvalidRequest", "Cannot specify both Range header and partNumber query parameter")
    if part is not None:
        return span_of_part(part, stored.size, stored.upload)
    return None if asked is None else span_of_range(asked, stored.size)


def _record(request: S3Request, answer: Answer, faults: tuple[Fault, ...]) -> RecordedRequest:
    unsent = any(isinstance(step, HangUp) for step in answer.before)
    return RecordedRequest(
        method=request.method,
        bucket=request.bucket,
        key=request.key,
        query=request.query,
        range=request.headers.get("range", ""),
        status=None if unsent else answer.status,
        faults=tuple(type(fault).__name__ for fault in faults),
    )
