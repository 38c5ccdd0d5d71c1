"""From keys to files: what is an object, which version of it, and that no key leads out of its bucket."""

import hashlib
import os
import time
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cpjump_assets.simulate.s3 import objects
from cpjump_assets.simulate.s3.errors import S3Error
from cpjump_assets.simulate.s3.etags import UploadRule
from cpjump_assets.simulate.s3.objects import ObjectFolder


def test_a_replaced_file_is_a_new_object(bucket, server, anonymous_client):
    client = anonymous_client(server.endpoint)
    fixed = (1_600_000_000, 1_600_000_000)
    for content in (b"first", b"other", b"third"):  # one length, one time: only name and content tell them apart
        (bucket / "a.part").write_bytes(content)
        os.utime(bucket / "a.part", fixed)
        (bucket / "a.part").rename(bucket / "a")
        expected = f'"{hashlib.md5(content).hexdigest()}"'
        assert client.get_object(Bucket="gallery", Key="a")["ETag"] == expected
        assert client.list_objects_v2(Bucket="gallery")["Contents"][0]["ETag"] == expected
        assert client.get_object(Bucket="gallery", Key="a")["Body"].read() == content


def test_a_file_rewritten_in_place_has_a_new_etag_once_the_clock_has_ticked(bucket, server, anonymous_client):
    client = anonymous_client(server.endpoint)
    for content in (b"first", b"other"):
        (bucket / "a").write_bytes(content)
        os.utime(bucket / "a", (1_600_000_000, 1_600_000_000))
        time.sleep(0.1)
        for _ in range(2):
            head = client.head_object(Bucket="gallery", Key="a")
            assert head["ETag"] == f'"{hashlib.md5(content).hexdigest()}"'


def test_a_file_rewritten_within_one_tick_of_the_clock_has_a_new_etag(bucket, monkeypatch):
    monkeypatch.setattr(objects.Stamp, "of", lambda status: objects.Stamp(0, 0, 0))  # a clock that does not tick
    monkeypatch.setattr(objects, "is_settled", lambda status: False)
    folder = ObjectFolder(bucket.parent, UploadRule())
    for content in (b"first", b"other"):
        (bucket / "a").write_bytes(content)
        assert folder.describe("gallery", "a").etag == hashlib.md5(content).hexdigest()


@pytest.mark.parametrize(("age", "settled"), [(-1, False), (0, False), (1, True)])
def test_a_file_is_settled_when_the_clock_has_ticked_since(age, settled):
    status = SimpleNamespace(st_ctime_ns=time.time_ns() - age * 1_000_000_000)
    assert objects.is_settled(status) == settled


def test_an_etag_is_computed_once(bucket, server, anonymous_client, monkeypatch):
    (bucket / "a").write_bytes(b"content")
    time.sleep(0.1)
    computed = []
    etag = UploadRule.etag
    monkeypatch.setattr(UploadRule, "etag", lambda *arguments: computed.append(1) or etag(*arguments))
    client = anonymous_client(server.endpoint)
    for _ in range(3):
        client.get_object(Bucket="gallery", Key="a")
        client.list_objects_v2(Bucket="gallery")
    assert computed == [1]


def test_an_unfinished_file_is_no_object(bucket, server, anonymous_client):
    (bucket / "a.part").write_bytes(b"half")
    client = anonymous_client(server.endpoint)
    assert client.list_objects_v2(Bucket="gallery")["KeyCount"] == 0
    with pytest.raises(client.exceptions.NoSuchKey):
        client.get_object(Bucket="gallery", Key="a.part")


SECRET = b"not to be served"
PIECES = st.sampled_from(
    [
        *("..", ".", "", "/", "\\", "gallery", "inside", "secret", "link"),
        *("%2e%2e", "..%2f", "%2f", "%5c..", "%00", "%c0%ae"),
    ]
)


@pytest.fixture
def guarded(bucket):
    """Give a folder to serve with a secret above it, one beside the bucket, and links to both."""
    (bucket.parent.parent / "secret").write_bytes(SECRET)
    (bucket.parent / "secret").write_bytes(SECRET)
    (bucket / "inside").mkdir()
    (bucket / "inside" / "open").write_bytes(b"open")
    (bucket / "link").symlink_to(bucket.parent / "secret")
    (bucket / "inside" / "link").symlink_to(bucket.parent.parent, target_is_directory=True)
    (bucket.parent / "linked").symlink_to(bucket.parent.parent, target_is_directory=True)
    return bucket.parent


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.lists(PIECES, max_size=7), start=st.sampled_from(["/", "/gallery/", "/linked/", "//", "/../"]))
def test_no_path_leads_out_of_a_bucket(server, guarded, raw_request, pieces, start):
    answer = raw_request(server.endpoint, "GET", start + "/".join(pieces))
    assert SECRET not in answer.body
    assert answer.status in (400, 403, 404, 501)


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/gallery/../secret", 403),
        ("/gallery/%2e%2e/%2e%2e/secret", 403),
        ("/gallery/inside/../../secret", 403),
        ("/gallery/inside/..%2f..%2fsecret", 403),
        ("/../secret", 400),
        ("/gallery/link", 404),
        ("/gallery/inside/link/secret", 404),
        ("/linked/secret", 404),
        ("/linked?list-type=2", 404),
        ("/secret/", 404),
        ("/gallery//inside/open", 404),
        ("/gallery/inside//open", 404),
        ("/gallery/inside/open%00", 404),
        (f"/gallery/{'a' * 300}", 404),
        (f"/gallery/{'a/' * 600}", 400),
        ("/gallery/%ff", 400),
    ],
)
def test_a_path_that_is_no_key_is_refused(server, guarded, raw_request, target, status):
    answer = raw_request(server.endpoint, "GET", target)
    assert (answer.status, SECRET in answer.body) == (status, False)


def test_a_file_replaced_while_it_is_sent_stays_the_version_that_was_opened(bucket):
    folder = ObjectFolder(bucket.parent, UploadRule())
    (bucket / "a").write_bytes(b"first")
    with folder.open("gallery", "a") as first:
        (bucket / "a.part").write_bytes(b"second version")
        (bucket / "a.part").rename(bucket / "a")
        assert (first.read(), first.etag) == (b"first", hashlib.md5(b"first").hexdigest())
    with folder.open("gallery", "a") as second:
        assert (second.read(), second.size) == (b"second version", 14)


def test_a_listed_key_that_is_gone_by_now_is_left_out_and_other_refusals_are_not(bucket):
    folder = ObjectFolder(bucket.parent, UploadRule())
    (bucket / "a.part").write_bytes(b"")
    (bucket / "folder").mkdir()
    assert [folder.describe("gallery", key) for key in ("nothing", "a.part/below", "a.part", "folder")] == [None] * 4
    with pytest.raises(S3Error, match="AccessDenied"):
        folder.describe("gallery", "folder/../a.part")


def test_a_new_version_has_the_etag_of_its_content_and_is_younger(bucket):
    folder = ObjectFolder(bucket.parent, UploadRule(multipart_threshold=6, part_size=4))
    (bucket / "a").write_bytes(b"12345")
    with folder.open("gallery", "a") as stored:
        changed = stored.with_content(b"1234567")
    digests = hashlib.md5(b"1234").digest() + hashlib.md5(b"567").digest()
    assert (changed.read(), changed.size) == (b"1234567", 7)
    assert changed.etag == f"{hashlib.md5(digests).hexdigest()}-2"
    assert changed.last_modified == stored.last_modified + 1
