"""Files in S3, each an object that is never altered and a small manifest that names it.

Belongs here: writing an object, proving it, publishing it; reading it back and proving that. Does not belong here: the
copies on this machine (``s3_files``), what is removed when (``s3_sweep``), what a manifest says (``manifest``).

S3 replaces an object whole, but knows no rename, and a program that is killed between two requests leaves the first. So
a file's content goes to an object whose name holds its sha256, is proved there, and only then does the manifest, the
one object that is ever replaced, name it. A reader takes the manifest first and therefore sees the old file or the new
one; of two writers the last manifest wins, and both contents are whole.
"""

import hashlib
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from io import FileIO
from pathlib import Path
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from cpjump_assets.science.errors import StoreError
from cpjump_assets.storage.digests import file_digest
from cpjump_assets.storage.files import NotAsWrittenError
from cpjump_assets.storage.manifest import SUFFIX, BadManifestError, Manifest, object_name
from cpjump_assets.storage.s3_place import S3Place, is_absent

PART_SIZE = 64 * 1024**2
"""Bytes of a part; a file of more than one part is uploaded in parts side by side."""
_CHUNK = 1024**2


class DamagedObjectError(NotAsWrittenError):
    """An object of the store is not what was written, or is gone."""


class Listed(NamedTuple):
    """An object as a listing shows it, and the moment of the listing by the server's clock."""

    name: str
    size: int
    modified: datetime
    moment: datetime


@dataclass(frozen=True)
class S3Objects:
    """Files below a place in S3.

    Attributes
    ----------
    place
        Where.
    """

    place: S3Place
    _damaged: set[str] = field(default_factory=set, repr=False, compare=False)

    def publish(self, name: str, path: Path, note: Mapping[str, Any] | None = None) -> Manifest:
        """Write the content of a file to an object, prove it, and let the manifest name it.

        What the store holds already in this version is not sent again, unless it was found damaged.

        Raises
        ------
        StoreError
            If it cannot be written or proved; the former version stays published.
        """
        sha256, size, noted = file_digest(path), path.stat().st_size, dict(note or {})
        former = self._former(name)
        if former and (former.sha256, former.note) == (sha256, noted) and self._can_stay(former):
            return former
        with self.place.clear_errors(f"{name} cannot be written to"):
            etag = self._put(object_name(name, sha256), path, sha256, size)
            manifest = Manifest(name, sha256, size, etag, noted)
            self.place.client.put_object(
                Bucket=self.place.bucket,
                Key=self.place.key(name + SUFFIX),
                Body=manifest.to_bytes(),
                ContentType="application/json",
            )
        self._damaged.discard(manifest.object_name)
        return manifest

    def manifest(self, name: str) -> Manifest | None:
        """Give the manifest of a file; None where there is none.

        Raises
        ------
        StoreError
            If it cannot be read.
        """
        with self.place.clear_errors(f"{name} cannot be looked up in"):
            try:
                answer = self.place.client.get_object(Bucket=self.place.bucket, Key=self.place.key(name + SUFFIX))
                content = answer["Body"].read()
            except ClientError as error:
                if is_absent(error):
                    return None
                raise
        return Manifest.from_bytes(content, name)

    def exists(self, name: str) -> bool:
        """Tell whether a file is published under this name."""
        return self._head(name + SUFFIX, name) is not None

    def is_whole(self, manifest: Manifest) -> bool:
        """Tell whether the object that a manifest names is the one that was proved; it is not read."""
        found = self._head(manifest.object_name, manifest.name)
        return found is not None and (found["ContentLength"], found.get("ETag", "")) == (manifest.size, manifest.etag)

    def fetch(self, manifest: Manifest, file: FileIO) -> None:
        """Write the content that a manifest names to an open file, and prove it.

        Raises
        ------
        DamagedObjectError
            If the object is gone, or its content is not what was written.
        StoreError
            If it cannot be read.
        """
        from boto3.s3.transfer import TransferConfig

        key = self.place.key(manifest.object_name)
        with self.place.clear_errors(f"{manifest.name} cannot be read from"):
            try:
                # Buffered: on a full disk an unbuffered file takes a part of what it is given, and says nothing.
                with open(file.fileno(), "wb", closefd=False) as buffered:
                    config = TransferConfig(multipart_threshold=PART_SIZE)
                    self.place.client.download_fileobj(self.place.bucket, key, buffered, Config=config)
            except ClientError as error:
                if is_absent(error):
                    raise self._damage(manifest, "no object") from error
                raise
        file.seek(0)
        found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != manifest.sha256:
            raise self._damage(manifest, f"{Path(file.name).stat().st_size:,} bytes of sha256 {found}")

    def digest(self, manifest: Manifest) -> str | None:
        """Read the object that a manifest names, and give its sha256; as ``digest_of``."""
        return self.digest_of(manifest.object_name)

    def digest_of(self, name: str) -> str | None:
        """Read an object, and give its sha256; None where it is gone.

        Raises
        ------
        StoreError
            If it cannot be read.
        """
        with self.place.clear_errors(f"{name} cannot be read from"):
            try:
                return self._digest_of(self.place.key(name))
            except ClientError as error:
                if is_absent(error):
                    return None
                raise

    def remove(self, name: str) -> None:
        """Take a file away: its manifest, so that readers who have seen it still find the object."""
        with self.place.clear_errors(f"{name} cannot be removed from"):
            self.place.client.delete_object(Bucket=self.place.bucket, Key=self.place.key(name + SUFFIX))

    def listed(self, prefix: str = "", *, folders: bool = True) -> Iterator[Listed]:
        """List manifests and objects alike, a page at a time.

        Parameters
        ----------
        prefix
            What the names begin with.
        folders
            Whether to look into folders below.
        """
        whole = self.place.key(prefix) if prefix or not self.place.prefix else f"{self.place.prefix}/"
        cut = len(self.place.key("x")) - 1
        asked: dict[str, Any] = {"Bucket": self.place.bucket, "Prefix": whole} | ({} if folders else {"Delimiter": "/"})
        with self.place.clear_errors(f"{prefix or 'the store'} cannot be listed in"):
            for page in self.place.client.get_paginator("list_objects_v2").paginate(**asked):
                moment = _moment(page["ResponseMetadata"]["HTTPHeaders"])
                for entry in page.get("Contents", ()):
                    yield Listed(entry["Key"][cut:], entry["Size"], entry["LastModified"], moment)

    def names(self, prefix: str = "", *, folders: bool = True) -> Iterator[str]:
        """Give the names of the published files, in order; as ``listed``."""
        listed = self.listed(prefix, folders=folders)
        return (entry.name.removesuffix(SUFFIX) for entry in listed if entry.name.endswith(SUFFIX))

    def _former(self, name: str) -> Manifest | None:
        # A manifest that cannot be understood is replaced, which is what a writer is there for.
        with suppress(BadManifestError):
            return self.manifest(name)
        return None

    def _can_stay(self, manifest: Manifest) -> bool:
        return manifest.object_name not in self._damaged and self.is_whole(manifest)

    def _put(self, name: str, path: Path, sha256: str, size: int) -> str:
        """Send a file to an object, prove what arrived, and give its ETag."""
        from boto3.s3.transfer import TransferConfig

        client, bucket, key = self.place.client, self.place.bucket, self.place.key(name)
        checked_by_server = False
        if size <= PART_SIZE:
            told = b64encode(bytes.fromhex(sha256)).decode()
            with path.open("rb") as body:
                answer = client.put_object(Bucket=bucket, Key=key, Body=body, ChecksumSHA256=told)
            # A server that compares the sum says so here. Others keep it unread: their HEAD repeats what it was told.
            checked_by_server = answer.get("ChecksumSHA256") == told
        else:
            config = TransferConfig(multipart_threshold=PART_SIZE, multipart_chunksize=PART_SIZE)
            client.upload_file(str(path), bucket, key, Config=config)
        found = client.head_object(Bucket=bucket, Key=key)
        etag = found.get("ETag", "")
        whole = found["ContentLength"] == size and (
            checked_by_server
            or etag.strip('"') == _etag_of(path, size)
            or self._digest_of(key) == sha256  # no sum that says anything: read it back
        )
        if not whole:
            raise StoreError(
                f"{name} did not arrive whole in {self.place}: expected {size:,} bytes of sha256 {sha256}, found "
                f"{found['ContentLength']:,} bytes of ETag {etag}"
            )
        return etag

    def _head(self, name: str, what: str) -> Mapping[str, Any] | None:
        with self.place.clear_errors(f"{what} cannot be looked up in"):
            try:
                return self.place.client.head_object(Bucket=self.place.bucket, Key=self.place.key(name))
            except ClientError as error:
                if is_absent(error):
                    return None
                raise

    def _digest_of(self, key: str) -> str:
        running = hashlib.sha256()
        for chunk in self.place.client.get_object(Bucket=self.place.bucket, Key=key)["Body"].iter_chunks(_CHUNK):
            running.update(chunk)
        return running.hexdigest()

    def _damage(self, manifest: Manifest, found: str) -> DamagedObjectError:
        self._damaged.add(manifest.object_name)
        return DamagedObjectError(
            f"{manifest.name} in {self.place} is not what was written: expected {manifest.size:,} bytes of sha256 "
            f"{manifest.sha256}, found {found}; make it again"
        )


def _etag_of(path: Path, size: int) -> str:
    """Give the ETag that most servers make of what ``_put`` sends: the MD5, or that of the MD5s of the parts."""
    sums: list[bytes] = []
    with path.open("rb") as stream:
        while not sums or stream.tell() < size:
            running, left = hashlib.md5(usedforsecurity=False), PART_SIZE
            while left and (chunk := stream.read(min(_CHUNK, left))):
                running.update(chunk)
                left -= len(chunk)
            sums.append(running.digest())
    if size <= PART_SIZE:
        return sums[0].hex()
    return f"{hashlib.md5(b''.join(sums), usedforsecurity=False).hexdigest()}-{len(sums)}"


def _moment(headers: Mapping[str, str]) -> datetime:
    from email.utils import parsedate_to_datetime

    return parsedate_to_datetime(headers["date"])
