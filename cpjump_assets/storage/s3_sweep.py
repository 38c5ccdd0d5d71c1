"""Objects of a store in S3 that no manifest names any more.

Belongs here: which of them are removed, and when. Does not belong here: how they came (``s3_objects``).

Nothing is removed that a reader or a writer may be at: an object is written before its manifest, and a reader has read
the manifest before the object. So an object goes only when it is older than a day and the manifest of its file, if
there is one, has named another one for as long. S3 cannot remove an object on the condition that nobody wrote it again:
who publishes the very same content in the milliseconds between the last look and the removal loses it, the next reader
says so, and it is made again. An object of a file without a manifest is ours only if its name is that of its content:
others may keep files in the same bucket.
"""

from collections import defaultdict
from datetime import timedelta

from botocore.exceptions import ClientError

from cpjump_assets.storage.manifest import SUFFIX, BadManifestError, file_of_object, object_name
from cpjump_assets.storage.s3_objects import Listed, S3Objects
from cpjump_assets.storage.s3_place import is_absent

SPARED = timedelta(days=1)
"""Age of what is left alone, by the server's clock."""


def sweep_superseded(objects: S3Objects, *, spared: timedelta = SPARED) -> tuple[str, ...]:
    """Remove the objects that newer versions of their files have replaced, or whose file was removed.

    Parameters
    ----------
    spared
        Objects and manifests younger than this are left alone.

    Returns
    -------
    tuple of str
        Names of the objects that were removed, in order.

    Raises
    ------
    StoreError
        If the store cannot be listed or written.
    """
    manifests: dict[str, Listed] = {}
    contents: defaultdict[str, list[Listed]] = defaultdict(list)
    for entry in objects.listed():
        if entry.name.endswith(SUFFIX):
            manifests[entry.name.removesuffix(SUFFIX)] = entry
        elif (file := file_of_object(entry.name)) is not None:
            contents[file].append(entry)
    swept: list[str] = []
    for file, versions in sorted(contents.items()):
        manifest = manifests.get(file)
        if manifest is None or (len(versions) > 1 and _age(manifest) > spared):
            old = [entry for entry in versions if _age(entry) > spared]
            swept += _without_named(objects, file, old)
    return tuple(swept)


def _without_named(objects: S3Objects, file: str, versions: list[Listed]) -> list[str]:
    """Remove those versions of a file that its manifest, as it is now, does not name; give their names."""
    removed: list[str] = []
    for entry in versions:
        try:
            manifest = objects.manifest(file)
        except BadManifestError:
            return removed  # nobody knows which one it meant
        goes = _is_named_after_content(objects, file, entry) if manifest is None else manifest.object_name != entry.name
        if goes and _is_as_listed(objects, entry):
            with objects.place.clear_errors(f"{entry.name} cannot be removed from"):
                objects.place.client.delete_object(Bucket=objects.place.bucket, Key=objects.place.key(entry.name))
            removed.append(entry.name)
    return removed


def _is_named_after_content(objects: S3Objects, file: str, entry: Listed) -> bool:
    digest = objects.digest_of(entry.name)
    return digest is not None and entry.name == object_name(file, digest)


def _is_as_listed(objects: S3Objects, entry: Listed) -> bool:
    """Tell whether an object was not written again since the listing: its writer is about to publish it then."""
    with objects.place.clear_errors(f"{entry.name} cannot be looked up in"):
        try:
            found = objects.place.client.head_object(Bucket=objects.place.bucket, Key=objects.place.key(entry.name))
        except ClientError as error:
            if is_absent(error):
                return False
            raise
    return found["LastModified"].replace(microsecond=0) <= entry.modified


def _age(entry: Listed) -> timedelta:
    return entry.moment - entry.modified
