"""What is answered is compared with moto, request by request, over the same objects; differences on purpose are named.

What has no peer is checked by itself.
"""

import gzip
import hashlib
import os
from urllib.parse import quote
from xml.etree import ElementTree

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

from cpjump_assets.simulate.s3.etags import MEBIBYTE, UploadRule
from cpjump_assets.simulate.s3.server import S3Server

PART = 5 * MEBIBYTE  # the least that S3, and moto, take for a part
OBJECTS = {
    "a/1.csv": b"one",
    "a/2.csv": b"two",
    "a/b/3.csv": b"three",
    "a-b": b"dash sorts before slash",
    "a/x": b"0123456789",
    "c/1": gzip.compress(b"1,2\n" * 100, mtime=0),
    "digits": b"0123456789",
    "empty": b"",
    "odd/ +&<>\"'%?#=;:@,*!~$()[]{}|^`": b"punctuation",
    "odd/%2F%20": b"encoded twice",
    "odd/back\\slash": b"back",
    "odd/é\U0001f9ea\uff5e": b"not ascii",
    "parts": bytes(range(256)) * (12 * MEBIBYTE // 256),
    "z": b"last",
}
ETAG = f'"{hashlib.md5(OBJECTS["digits"]).hexdigest()}"'


@pytest.fixture(scope="module")
def twins(tmp_path_factory, boto3_session):
    """Give the endpoints of our server and of moto's, over the same objects."""
    root = tmp_path_factory.mktemp("served")
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    owner = boto3_session.client(
        "s3", endpoint_url=f"http://{host}:{port}", aws_access_key_id="owner", aws_secret_access_key="owner"
    )
    owner.create_bucket(Bucket="gallery", ACL="public-read")
    in_parts = TransferConfig(multipart_threshold=PART, multipart_chunksize=PART)
    for key, content in OBJECTS.items():
        path = root / "gallery" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        owner.upload_file(str(path), "gallery", key, ExtraArgs={"ACL": "public-read"}, Config=in_parts)
    owner.close()
    with S3Server(root, upload=UploadRule(multipart_threshold=PART, part_size=PART)) as ours:
        yield ours.endpoint, f"http://{host}:{port}"
    moto.stop()


def path_of(key):
    return "/gallery/" + quote(key)


def code_of(body):
    """Read the root and the code of an error answer; nothing of other bodies."""
    if not body.startswith(b"<?xml"):
        return None
    root = ElementTree.fromstring(body)
    return root.tag, root.findtext("Code")


ALIKE = {
    **{f"GET {key}": ("GET", path_of(key), {}) for key in OBJECTS},
    **{f"HEAD {key}": ("HEAD", path_of(key), {}) for key in OBJECTS},
    **{
        f"{method} {selection}": (method, "/gallery/digits", {"Range": selection})
        for method in ("GET", "HEAD")
        for selection in (
            *("bytes=2-4", "bytes=0-0", "bytes=0-", "bytes=9-", "bytes=5-100", "bytes=-3", "bytes=-100", "bytes= 1-2"),
            *("bytes=5-2", "bytes=1-2,4-5", "bytes=a-b", "bytes=-", "bytes=10-", "bytes=10-20", "bytes=-0"),
        )
    },
    "GET range of nothing": ("GET", "/gallery/empty", {"Range": "bytes=0-"}),
    "GET end of nothing": ("GET", "/gallery/empty", {"Range": "bytes=-5"}),
    "GET range over parts": ("GET", "/gallery/parts", {"Range": f"bytes={PART - 3}-{PART + 3}"}),
    "GET if match": ("GET", "/gallery/digits", {"If-Match": ETAG}),
    "GET if match, no quotes": ("GET", "/gallery/digits", {"If-Match": ETAG.strip('"')}),
    "GET if match, other": ("GET", "/gallery/digits", {"If-Match": '"other"'}),
    "GET if none match": ("GET", "/gallery/digits", {"If-None-Match": ETAG}),
    "GET if none match, no quotes": ("GET", "/gallery/digits", {"If-None-Match": ETAG.strip('"')}),
    "GET if none match, other": ("GET", "/gallery/digits", {"If-None-Match": '"other"'}),
    "GET range if match": ("GET", "/gallery/digits", {"Range": "bytes=2-", "If-Match": ETAG}),
    "GET range if match, other": ("GET", "/gallery/digits", {"Range": "bytes=2-", "If-Match": '"other"'}),
    "HEAD if none match": ("HEAD", "/gallery/digits", {"If-None-Match": ETAG}),
    "GET no key": ("GET", "/gallery/nothing", {}),
    "HEAD no key": ("HEAD", "/gallery/nothing", {}),
    "GET folder": ("GET", "/gallery/a", {}),
    "GET folder with slash": ("GET", "/gallery/a/", {}),
    "GET key below a key": ("GET", "/gallery/digits/below", {}),
    "GET no bucket": ("GET", "/nowhere/digits", {}),
    "LIST no bucket": ("GET", "/nowhere?list-type=2", {}),
    "HEAD bucket": ("HEAD", "/gallery", {}),
    "HEAD no bucket": ("HEAD", "/nowhere", {}),
    "LIST empty token": ("GET", "/gallery?list-type=2&continuation-token=", {}),
    "GET part of an object in one piece": ("GET", "/gallery/digits?partNumber=1", {}),
}


@pytest.mark.parametrize("request_line", ALIKE.values(), ids=ALIKE)
def test_an_answer_is_that_of_moto(twins, raw_request, request_line):
    ours, theirs = (raw_request(endpoint, *request_line) for endpoint in twins)
    assert ours.status == theirs.status
    if ours.status < 300:
        assert ours.body == theirs.body
        for name in (
            "content-length",
            "content-range",
            "etag",
            "content-type",
            "accept-ranges",
            "x-amz-mp-parts-count",
        ):
            if (
                name in theirs.headers and request_line[1] != "/gallery"
            ):  # of a bucket, moto sends an empty XML document
                assert ours.headers.get(name) == theirs.headers[name], name
        assert ("content-range" in ours.headers) == ("content-range" in theirs.headers)
    elif ours.status == 304:
        assert (ours.body, ours.headers["etag"]) == (theirs.body, theirs.headers["etag"])
    else:
        assert code_of(ours.body) == code_of(theirs.body)


# What we answer, what moto answers, and why we do otherwise.
DIFFERENT = {
    "another unit is no range (RFC 9110)": (("GET", "/gallery/digits", {"Range": "items=0-1"}), 200, 206),
    "a star matches whatever is there (RFC 9110)": (("GET", "/gallery/digits", {"If-Match": "*"}), 200, 412),
    "one of several ETags is enough (RFC 9110)": (
        ("GET", "/gallery/digits", {"If-None-Match": f'"x", {ETAG}'}),
        304,
        200,
    ),
    "a bare plus is a space, as on AWS": (("GET", path_of("odd/ +").replace("%2B", "+"), {}), 404, 404),
    "a path that climbs is refused": (("GET", "/gallery/../gallery/digits", {}), 403, 404),
    "a part is answered with its range (moto sends all parts)": (("GET", "/gallery/parts?partNumber=1", {}), 206, 200),
    "and so is its head": (("HEAD", "/gallery/parts?partNumber=1", {}), 206, 200),
    "a bad length of page": (("GET", "/gallery?list-type=2&max-keys=x", {}), 400, 500),
    "a negative length of page": (("GET", "/gallery?list-type=2&max-keys=-1", {}), 400, 200),
    "a token of others": (("GET", "/gallery?list-type=2&continuation-token=zzz", {}), 400, 500),
    "an unknown encoding": (("GET", "/gallery?list-type=2&encoding-type=x", {}), 400, 200),
    "version 1 of listings is not implemented": (("GET", "/gallery", {}), 501, 200),
    "versions are not implemented": (("GET", "/gallery/digits?versionId=null", {}), 501, 200),
    "the list of buckets is not for visitors": (("GET", "/", {}), 403, 200),
    "visitors may not post": (("POST", "/gallery/new", {}), 403, 500),
    "visitors may not patch": (("PATCH", "/gallery/digits", {}), 405, 500),
    "visitors may not write": (("PUT", "/gallery/new", {}), 403, 200),
    "visitors may not delete": (("DELETE", "/gallery/new", {}), 403, 204),
}


@pytest.mark.parametrize(("request_line", "ours", "theirs"), DIFFERENT.values(), ids=DIFFERENT)
def test_an_answer_differs_from_that_of_moto_on_purpose(twins, raw_request, request_line, ours, theirs):
    assert [raw_request(endpoint, *request_line).status for endpoint in twins] == [ours, theirs]


def test_a_bare_plus_in_a_path_is_a_space_as_on_aws(bucket, server, raw_request):
    (bucket / "a b").write_bytes(b"space")
    (bucket / "a+b").write_bytes(b"plus")
    bodies = [raw_request(server.endpoint, "GET", f"/gallery/{name}").body for name in ("a+b", "a%20b", "a%2Bb")]
    assert bodies == [b"space", b"space", b"plus"]


LISTINGS = [
    {},
    {"Prefix": "a"},
    {"Prefix": "a/"},
    {"Prefix": "a/1.csv"},
    {"Prefix": "nothing"},
    {"Prefix": "odd/"},
    {"Prefix": "odd/é"},
    {"Delimiter": "/"},
    {"Delimiter": "/", "Prefix": "a"},
    {"Delimiter": "/", "Prefix": "a/"},
    {"Delimiter": "/", "MaxKeys": 2},
    {"Delimiter": ".csv"},
    {"Delimiter": "é"},
    {"StartAfter": "a/1.csv"},
    {"StartAfter": "nothing"},
    {"StartAfter": "a/1.csv", "Prefix": "a/", "MaxKeys": 1},
    {"StartAfter": "zz"},
    *({"StartAfter": start, "Delimiter": "/"} for start in ("a", "a/", "a/1.csv", "a0")),
    {"MaxKeys": 0},
    {"MaxKeys": 3},
    {"MaxKeys": len(OBJECTS)},
    {"FetchOwner": False},
    {"EncodingType": "url", "Prefix": "odd/é"},
]


@pytest.mark.parametrize("parameters", LISTINGS, ids=str)
def test_a_listing_is_that_of_moto(twins, anonymous_client, parameters):
    ours, theirs = (anonymous_client(endpoint).list_objects_v2(Bucket="gallery", **parameters) for endpoint in twins)
    for name in ("Name", "Prefix", "Delimiter", "KeyCount", "MaxKeys", "IsTruncated", "StartAfter", "EncodingType"):
        assert ours.get(name) == theirs.get(name), name
    assert ours.get("CommonPrefixes") == theirs.get("CommonPrefixes")
    entries = [
        [(entry["Key"], entry["Size"], entry["ETag"], entry["StorageClass"]) for entry in answer.get("Contents", [])]
        for answer in (ours, theirs)
    ]
    assert entries[0] == entries[1]
    assert ("NextContinuationToken" in ours) == ("NextContinuationToken" in theirs)


@pytest.mark.parametrize("delimiter", ["", "/"])
@pytest.mark.parametrize("page_size", [1, 3, 100])
def test_pages_are_those_of_moto(twins, anonymous_client, delimiter, page_size):
    ours, theirs = (
        [
            ([entry["Key"] for entry in page.get("Contents", [])], page.get("CommonPrefixes"), page["IsTruncated"])
            for page in anonymous_client(endpoint)
            .get_paginator("list_objects_v2")
            .paginate(Bucket="gallery", Delimiter=delimiter, PaginationConfig={"PageSize": page_size})
        ]
        for endpoint in twins
    )
    assert ours == theirs


def test_keys_of_a_listing_are_encoded_as_on_aws_and_decode_to_those_of_moto(twins, raw_request):
    answer = raw_request(twins[0], "GET", "/gallery?list-type=2&encoding-type=url&prefix=odd/&delimiter=%20")
    listing = ElementTree.fromstring(answer.body)
    space = {"s3": "http://s3.amazonaws.com/doc/2006-03-01/"}
    assert listing.tag == "{http://s3.amazonaws.com/doc/2006-03-01/}ListBucketResult"
    assert listing.findtext("s3:EncodingType", namespaces=space) == "url"
    assert listing.findtext("s3:Delimiter", namespaces=space) == "+"  # moto sends %20, and delimiters as they are
    assert [each.text for each in listing.findall("s3:CommonPrefixes/s3:Prefix", space)] == ["odd/+"]
    assert "odd/%C3%A9%F0%9F%A7%AA%EF%BD%9E" in [each.text for each in listing.findall("s3:Contents/s3:Key", space)]


def test_keys_of_a_listing_that_is_not_encoded_are_escaped(bucket, server, raw_request):
    name = "a&b<c>\"'\r\n\té"
    (bucket / name).write_bytes(b"")
    answer = raw_request(server.endpoint, "GET", "/gallery?list-type=2")
    space = "{http://s3.amazonaws.com/doc/2006-03-01/}"
    assert ElementTree.fromstring(answer.body).findtext(f"{space}Contents/{space}Key") == name


def test_errors_say_what_aws_says(bucket, server, raw_request):
    (bucket / "a").write_bytes(b"12345")
    answer = raw_request(server.endpoint, "GET", "/gallery/a", {"Range": "bytes=7-"})
    error = ElementTree.fromstring(answer.body)
    assert answer.headers["content-type"] == "application/xml"
    assert answer.headers["x-amz-request-id"] == error.findtext("RequestId") != ""
    found = {name: error.findtext(name) for name in ("Code", "RangeRequested", "ActualObjectSize", "Resource")}
    assert found == {
        "Code": "InvalidRange",
        "RangeRequested": "bytes=7-",
        "ActualObjectSize": "5",
        "Resource": "/gallery/a",
    }
    assert raw_request(server.endpoint, "PATCH", "/gallery/a").headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize("method", ["get_object", "head_object"])
def test_boto3_reads_the_same_of_both(twins, anonymous_client, method):
    for key in OBJECTS:
        ours, theirs = (getattr(anonymous_client(endpoint), method)(Bucket="gallery", Key=key) for endpoint in twins)
        for name in ("ContentLength", "ETag", "ContentType", "AcceptRanges"):
            assert ours[name] == theirs[name], (key, name)
        if method == "get_object":
            assert ours["Body"].read() == theirs["Body"].read() == OBJECTS[key]


def test_boto3_reads_parts_as_they_were_uploaded_to_moto(twins, anonymous_client):
    ours, theirs = (anonymous_client(endpoint) for endpoint in twins)
    whole = theirs.head_object(Bucket="gallery", Key="parts")["ETag"]
    content = b""
    for number in (1, 2, 3):
        head, peer = (client.head_object(Bucket="gallery", Key="parts", PartNumber=number) for client in (ours, theirs))
        assert (head["ContentLength"], head["PartsCount"]) == (peer["ContentLength"], peer["PartsCount"])
        part = ours.get_object(Bucket="gallery", Key="parts", PartNumber=number)
        assert (part["ContentRange"], part["ETag"]) == (head["ContentRange"], whole)
        content += part["Body"].read()
    assert content == OBJECTS["parts"]
    assert whole.endswith('-3"')


def test_boto3_downloads_in_parallel_ranges(twins, anonymous_client, tmp_path):
    anonymous_client(twins[0]).download_file("gallery", "parts", str(tmp_path / "parts"))
    assert (tmp_path / "parts").read_bytes() == OBJECTS["parts"]


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("get_object", {"Key": "nothing"}),
        ("head_object", {"Key": "nothing"}),
        ("get_object", {"Key": "digits", "Range": "bytes=99-"}),
        ("get_object", {"Key": "digits", "IfMatch": '"other"'}),
        ("get_object", {"Key": "digits", "IfNoneMatch": ETAG}),
        ("list_objects_v2", {"Bucket": "nowhere"}),
        ("head_bucket", {"Bucket": "nowhere"}),
    ],
)
def test_boto3_meets_the_same_errors(twins, anonymous_client, method, arguments):
    errors = []
    for endpoint in twins:
        with pytest.raises(ClientError) as raised:
            getattr(anonymous_client(endpoint), method)(**{"Bucket": "gallery", **arguments})
        answer = raised.value.response
        errors.append(
            (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"], type(raised.value).__name__)
        )
    assert errors[0] == errors[1]


def test_times_are_those_of_the_files(bucket, server, anonymous_client, raw_request):
    (bucket / "a").write_bytes(b"")
    os.utime(bucket / "a", (1_600_000_000, 1_600_000_000.9))
    assert (
        raw_request(server.endpoint, "HEAD", "/gallery/a").headers["last-modified"] == "Sun, 13 Sep 2020 12:26:40 GMT"
    )
    client = anonymous_client(server.endpoint)
    listed = client.list_objects_v2(Bucket="gallery")["Contents"][0]["LastModified"]
    assert listed == client.head_object(Bucket="gallery", Key="a")["LastModified"]


def test_thousands_of_keys_come_in_pages_also_with_gaps(bucket, server, anonymous_client):
    names = [f"plate-{number // 100:02}/{number:04}.csv" for number in range(2500)]
    for name in names:
        (bucket / name).parent.mkdir(exist_ok=True)
        (bucket / name).write_text(name)
    client = anonymous_client(server.endpoint)
    paginator = client.get_paginator("list_objects_v2")
    pages = list(paginator.paginate(Bucket="gallery"))
    assert [page["KeyCount"] for page in pages] == [1000, 1000, 500]
    assert [entry["Key"] for page in pages for entry in page["Contents"]] == names
    assert {entry["ETag"] for page in pages for entry in page["Contents"]} == {
        f'"{hashlib.md5(name.encode()).hexdigest()}"' for name in names
    }
    folders = paginator.paginate(Bucket="gallery", Delimiter="/", PaginationConfig={"PageSize": 7})
    assert [each["Prefix"] for page in folders for each in page["CommonPrefixes"]] == [
        f"plate-{number:02}/" for number in range(25)
    ]
    # a key that goes while its page is read is no longer listed, and is a 404
    iterator = iter(paginator.paginate(Bucket="gallery", PaginationConfig={"PageSize": 1000}))
    next(iterator)
    (bucket / names[1000]).unlink()
    assert next(iterator)["Contents"][0]["Key"] == names[1001]
    with pytest.raises(client.exceptions.NoSuchKey):
        client.get_object(Bucket="gallery", Key=names[1000])
