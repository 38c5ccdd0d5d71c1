"""One request, as the server understood it.

Belongs here: method, bucket, key and query of a request line, and which operation they make. Does not belong here:
sockets (``server``), or what is answered (``service``).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote_plus

from cpjump_assets.simulate.s3.errors import S3Error

GET_OBJECT = "GetObject"
HEAD_OBJECT = "HeadObject"
LIST_OBJECTS = "ListObjectsV2"
HEAD_BUCKET = "HeadBucket"
EVERY_OPERATION = frozenset({GET_OBJECT, HEAD_OBJECT, LIST_OBJECTS, HEAD_BUCKET})
_OPERATIONS = {
    ("GET", True): GET_OBJECT,
    ("HEAD", True): HEAD_OBJECT,
    ("GET", False): LIST_OBJECTS,
    ("HEAD", False): HEAD_BUCKET,
}


@dataclass(frozen=True)
class S3Request:
    """One request in path style.

    Parameters
    ----------
    method
        In upper case.
    path
        As it came, without the query.
    bucket, key
        Decoded; empty where the path has none.
    query
        Decoded parameters; the last value of a name that is repeated.
    headers
        With names in lower case.
    request_id
        Given by the server.
    """

    method: str
    path: str
    bucket: str
    key: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    request_id: str

    @classmethod
    def parse(cls, method: str, target: str, headers: Mapping[str, str], request_id: str) -> "S3Request":
        """Read a request line.

        Parameters
        ----------
        method, headers, request_id
            As in the class.
        target
            Path and query, as the bytes that came, one character each.

        Raises
        ------
        S3Error
            ``InvalidURI``, if the target is no absolute path in UTF-8.
        """
        path, _, query = target.partition("?")
        try:
            # S3 reads a bare plus in a path as a space: a client that sends a key's plus as it is must not find it here
            decoded = unquote_plus(path.encode("latin-1").decode(), errors="strict")
            parameters = parse_qsl(query.encode("latin-1").decode(), keep_blank_values=True, errors="strict")
        except UnicodeError as error:
            raise S3Error("InvalidURI", URI=path) from error
        if not decoded.startswith("/"):
            raise S3Error("InvalidURI", URI=path)
        bucket, _, key = decoded[1:].partition("/")
        return cls(method, path, bucket, key, dict(parameters), headers, request_id)

    @property
    def operation(self) -> str:
        """Name the operation as boto3 does; empty for those that a read-only server does not have."""
        return _OPERATIONS.get((self.method, bool(self.key)), "") if self.bucket else ""

    @property
    def subject(self) -> str:
        """Give what the operation is about: the key, or the prefix of a listing."""
        return self.key or self.query.get("prefix", "")
