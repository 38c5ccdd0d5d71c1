"""Manifests: which object of a store in S3 is the published version of a file.

Belongs here: what a manifest says and how it is spelled. Does not belong here: requests (``s3_objects``).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cpjump_assets.storage.files import NotAsWrittenError

SUFFIX = ".json"
_VERSION = 1
_DIGITS = 16
_OBJECT = re.compile(rf"(?P<name>.+)\.[0-9a-f]{{{_DIGITS}}}", re.DOTALL)
_SHA256 = re.compile(r"[0-9a-f]{64}")


class BadManifestError(NotAsWrittenError):
    """A manifest is not what this platform writes."""


@dataclass(frozen=True)
class Manifest:
    """The published version of a file.

    Attributes
    ----------
    name
        Of the file, from the store's prefix on.
    sha256
        Of its content, as 64 hexadecimal digits.
    size
        Bytes of its content.
    etag
        Of the object, as it was when the object was proved to have this content; another one means another object.
    note
        What else is known of the file.
    """

    name: str
    sha256: str
    size: int
    etag: str
    note: Mapping[str, Any] = field(default_factory=dict)

    @property
    def object_name(self) -> str:
        """Name of the object with the content, which no other content can have."""
        return object_name(self.name, self.sha256)

    def to_bytes(self) -> bytes:
        """Serialize; equal manifests are equal bytes."""
        content = {
            "version": _VERSION,
            "name": self.name,
            "object": self.object_name,
            "sha256": self.sha256,
            "bytes": self.size,
            "etag": self.etag,
            "note": dict(self.note),
        }
        return json.dumps(content, sort_keys=True).encode()

    @classmethod
    def from_bytes(cls, content: bytes, name: str) -> "Manifest":
        """Read back what ``to_bytes`` wrote for a file of this name.

        Raises
        ------
        BadManifestError
            If it is anything else: what a store holds is input from outside.
        """
        try:
            found = json.loads(content)
            read = cls(name, found["sha256"], found["bytes"], found["etag"], found["note"])
            sound = (
                found["version"] == _VERSION
                and found["object"] == read.object_name
                and _SHA256.fullmatch(read.sha256) is not None
                and isinstance(read.size, int)
                and isinstance(read.note, dict)
            )
        except (ValueError, TypeError, KeyError) as error:
            raise BadManifestError(f"the manifest of {name} cannot be read: {error!r}") from error
        if not sound:
            raise BadManifestError(f"the manifest of {name} is not one that this release of the platform wrote")
        return read


def object_name(name: str, sha256: str) -> str:
    """Give the name of the object that holds this content of a file."""
    return f"{name}.{sha256[:_DIGITS]}"


def file_of_object(key: str) -> str | None:
    """Give the name of the file whose content an object holds; None for what is no such object."""
    match = _OBJECT.fullmatch(key)
    return None if match is None else match["name"]
