"""The clients in Python: one piece of work, in this process, with its clocks.

Belongs here: what each does between its imports and its last file. Does not belong here: who starts it
(``pull_clients``). It runs as ``python -m benchmarks.pull_python WORK TASK``, imports what the work needs, and no more,
and starts its clock then.
"""

import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

BUCKET = "bench"
Task = Mapping[str, Any]
"""A ``pull_clients.Task`` as JSON."""
Work = Callable[[], Any]
"""What is timed. It gives what there is to say of a pull, or the keys of a listing."""


def ours(task: Task) -> Work:
    """Pull as the platform does: listed, verified, recorded in an inventory."""
    import boto3.session  # noqa: F401 - the client imports it late

    from cpjump_assets.gallery.gallery import Gallery
    from cpjump_assets.gallery.listing import list_objects

    def work() -> Mapping[str, Any]:
        gallery = Gallery.connect(f"s3://{BUCKET}", endpoint=task["endpoint"], connections=task["workers"])
        objects = list_objects(gallery.client, BUCKET, task["prefix"] + "/")
        report = gallery.pull(objects, Path(task["folder"]))
        return {"proved": len(report.pulled) - len(report.unverified)}

    return work


def download_as_ours(task: Task, *, by_boto3: bool = False, by_hashlib: bool = False) -> Work:
    """Download as the platform does, without a record; with another reader, or another MD5."""
    from threading import Event

    import boto3.session  # noqa: F401 - the client imports it late

    from cpjump_assets.gallery.transfer import md5_lanes
    from cpjump_assets.gallery.transfer.etag import plain_md5

    if by_hashlib:
        md5_lanes.md5 = plain_md5  # before those who use it are imported
    from cpjump_assets.gallery.client import gallery_client
    from cpjump_assets.gallery.listing import GalleryObject, list_objects
    from cpjump_assets.gallery.transfer.body import RetryPolicy
    from cpjump_assets.gallery.transfer.boto_reader import BotoReader
    from cpjump_assets.gallery.transfer.download import download
    from cpjump_assets.gallery.transfer.http_reader import HttpReader

    def work() -> Mapping[str, Any]:
        client = gallery_client(task["endpoint"], connections=task["workers"])
        reader = (BotoReader if by_boto3 else HttpReader)(client, BUCKET, connections=task["workers"])
        folder, retry, stop = Path(task["folder"]), RetryPolicy(), Event()

        def fetch(item: GalleryObject) -> bool:
            final = folder / item.key.rpartition("/")[2]
            done = download(reader, client, BUCKET, item, final, retry=retry, stop=stop)
            return done.verification in ("etag-md5", "etag-multipart")

        with ThreadPoolExecutor(task["workers"]) as pool:
            return {"proved": sum(pool.map(fetch, list_objects(client, BUCKET, task["prefix"] + "/")))}

    return work


def download_file(task: Task) -> Work:
    """Pull with boto3 as its manual has it, several objects at once."""
    import boto3
    from botocore import UNSIGNED
    from botocore.config import Config

    def work() -> Mapping[str, Any]:
        config = Config(signature_version=UNSIGNED, region_name="us-east-1", max_pool_connections=10 * task["workers"])
        client = boto3.client("s3", endpoint_url=task["endpoint"], config=config)
        folder = _made(task)

        def fetch(key: str) -> None:
            client.download_file(BUCKET, key, str(folder / key.rpartition("/")[2]))

        _in_threads(fetch, [key for key, *_ in _paginated(client, task)], task)
        return {}

    return work


def obstore(task: Task) -> Work:
    """Pull with obstore: each object whole into memory, then into its file."""
    from obstore.store import S3Store

    def work() -> Mapping[str, Any]:
        store = S3Store(
            BUCKET,
            endpoint=task["endpoint"],
            region="us-east-1",
            skip_signature=True,
            client_options={"allow_http": True},
        )
        folder = _made(task)

        def fetch(key: str) -> None:
            (folder / key.rpartition("/")[2]).write_bytes(store.get(key).bytes())

        keys = [item["path"] for page in store.list(task["prefix"] + "/") for item in page]
        _in_threads(fetch, keys, task)
        return {}

    return work


def list_ours(task: Task) -> Work:
    """List as the platform does."""
    import boto3.session  # noqa: F401 - the client imports it late

    from cpjump_assets.gallery.client import gallery_client
    from cpjump_assets.gallery.listing import list_objects

    def work() -> list[str]:
        client = gallery_client(task["endpoint"])
        return [item.key for item in list_objects(client, BUCKET, task["prefix"] + "/")]

    return work


def list_paginator(task: Task) -> Work:
    """List with boto3's paginator."""
    import boto3
    from botocore import UNSIGNED
    from botocore.config import Config

    def work() -> list[str]:
        config = Config(signature_version=UNSIGNED, region_name="us-east-1")
        client = boto3.client("s3", endpoint_url=task["endpoint"], config=config)
        return [key for key, *_ in _paginated(client, task)]

    return work


def _paginated(client: Any, task: Task) -> list[tuple[str, int, str, Any]]:
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=task["prefix"] + "/")
    return [
        (item["Key"], item["Size"], item["ETag"], item["LastModified"]) for page in pages for item in page["Contents"]
    ]


def _made(task: Task) -> Path:
    folder = Path(task["folder"])
    folder.mkdir()
    return folder


def _in_threads(fetch: Callable[[str], None], keys: list[str], task: Task) -> None:
    with ThreadPoolExecutor(task["workers"]) as pool:
        for _ in pool.map(fetch, keys):
            pass  # an error of a thread is raised here


WORK: Mapping[str, Callable[[Task], Work]] = MappingProxyType(
    {
        "ours": ours,
        "download_file": download_file,
        "obstore": obstore,
        "download as we do": download_as_ours,
        "download by boto3": partial(download_as_ours, by_boto3=True),
        "download by hashlib": partial(download_as_ours, by_hashlib=True),
        "list ours": list_ours,
        "list paginator": list_paginator,
    }
)


def digest_of_keys(keys: Iterable[str]) -> str:
    """Give what two listings share if they name the same keys, each once, in whatever order."""
    return hashlib.sha256("\n".join(sorted(keys)).encode()).hexdigest()


def main(name: str, task: Task) -> None:
    """Do the work, and print its clocks and what it gave as one line of JSON."""
    work = WORK[name](task)
    start, used = time.perf_counter(), time.process_time()
    result = work()
    clocks = {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - used}
    from benchmarks.processes import peak_megabytes

    told = {"keys": digest_of_keys(result)} if isinstance(result, list) else result
    print(json.dumps({**clocks, "megabytes": peak_megabytes(), **told}))


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
