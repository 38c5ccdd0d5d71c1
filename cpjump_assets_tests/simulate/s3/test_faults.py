"""Each fault is met by a real boto3 client, as the platform meets it."""

import gzip
import hashlib
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
)
from s3transfer.exceptions import S3DownloadFailedError

from cpjump_assets.simulate.s3.faults import (
    ChangedObject,
    ConnectionReset,
    Fault,
    FaultPlan,
    FaultRule,
    FlippedBit,
    HtmlPage,
    IgnoredHeader,
    Latency,
    OtherEtag,
    Refusal,
    SlowDown,
    StalledBody,
    TruncatedBody,
    WrongLength,
)
from cpjump_assets.simulate.s3.requests import EVERY_OPERATION, S3Request
from cpjump_assets.simulate.s3.server import S3Server

CONTENT = bytes(range(256)) * 4096  # 1 MiB: more than the buffers of a socket hold back


@pytest.fixture
def served(bucket, server):
    """Give the server, over two objects."""
    (bucket / "plate").mkdir()
    (bucket / "plate" / "a.csv").write_bytes(CONTENT)
    (bucket / "plate" / "b.csv").write_bytes(b"b")
    return server


def get(client, key="plate/a.csv", **arguments):
    return client.get_object(Bucket="gallery", Key=key, **arguments)


def request(key, operation="GET"):
    return S3Request.parse(operation, f"/gallery/{key}", {}, "1")


def test_without_a_plan_nothing_goes_wrong(served, anonymous_client):
    assert get(anonymous_client(served.endpoint))["Body"].read() == CONTENT
    assert [record.faults for record in served.requests] == [()]


def test_slow_down_is_a_503_that_boto3_retries(served, anonymous_client):
    served.faults = FaultPlan(FaultRule(SlowDown(), times=2))
    with pytest.raises(ClientError) as raised:
        get(anonymous_client(served.endpoint))
    assert raised.value.response["Error"]["Code"] == "SlowDown"
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert get(anonymous_client(served.endpoint, attempts=3))["Body"].read() == CONTENT
    assert [(record.status, record.faults) for record in served.requests] == [
        (503, ("SlowDown",)),
        (503, ("SlowDown",)),
        (200, ()),
    ]


@pytest.mark.parametrize(("code", "status"), [("InternalError", 500), ("NoSuchKey", 404), ("AccessDenied", 403)])
def test_a_request_is_refused_with_any_error_of_s3(served, anonymous_client, code, status):
    served.faults = FaultPlan(FaultRule(Refusal(code)))
    with pytest.raises(ClientError) as raised:
        get(anonymous_client(served.endpoint))
    assert raised.value.response["Error"]["Code"] == code
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == status


@pytest.mark.parametrize("operations", [{"GetObject"}, {"ListObjectsV2"}])
def test_a_page_for_people_comes_in_place_of_an_answer(served, raw_request, operations):
    served.faults = FaultPlan(FaultRule(HtmlPage(), operations=frozenset(operations)))
    target = "/gallery/plate/a.csv" if "GetObject" in operations else "/gallery?list-type=2"
    answer = raw_request(served.endpoint, "GET", target)
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html")
    assert answer.body == HtmlPage().page
    assert "etag" not in answer.headers


def test_another_etag_is_told_by_downloads_head_and_listings(served, anonymous_client):
    served.faults = FaultPlan(FaultRule(OtherEtag("odd"), "plate/a.csv"))
    client = anonymous_client(served.endpoint)
    listed = {item["Key"]: item["ETag"] for item in client.list_objects_v2(Bucket="gallery")["Contents"]}
    assert listed == {"plate/a.csv": '"odd"', "plate/b.csv": f'"{hashlib.md5(b"b").hexdigest()}"'}
    assert client.head_object(Bucket="gallery", Key="plate/a.csv")["ETag"] == '"odd"'
    answer = get(client, IfMatch='"odd"')
    assert (answer["ETag"], answer["Body"].read()) == ('"odd"', CONTENT)


@pytest.mark.parametrize("asked", [{"Range": "bytes=5-9"}, {"Range": "bytes=99999999-"}])
def test_a_server_that_does_not_know_ranges_sends_all(served, raw_request, asked):
    served.faults = FaultPlan(FaultRule(IgnoredHeader()))
    answer = raw_request(served.endpoint, "GET", "/gallery/plate/a.csv", asked)
    assert (answer.status, answer.body) == (200, CONTENT)
    assert "content-range" not in answer.headers
    assert served.requests[-1].range == asked["Range"]


def test_a_server_that_does_not_know_if_match_sends_what_it_has(served, raw_request):
    other_version = {"If-Match": '"00000000000000000000000000000000"'}
    assert raw_request(served.endpoint, "GET", "/gallery/plate/a.csv", other_version).status == 412
    served.faults = FaultPlan(FaultRule(IgnoredHeader("if-match")))
    answer = raw_request(served.endpoint, "GET", "/gallery/plate/a.csv", other_version)
    assert (answer.status, answer.body) == (200, CONTENT)


def test_a_length_that_is_too_small_ends_the_body_early(served, raw_request):
    served.faults = FaultPlan(FaultRule(WrongLength(0.25), times=1))
    assert raw_request(served.endpoint, "GET", "/gallery/plate/a.csv").body == CONTENT[: len(CONTENT) // 4]


def test_a_length_that_is_too_large_is_never_reached(served, anonymous_client):
    served.faults = FaultPlan(FaultRule(WrongLength(2), times=1))
    client = anonymous_client(served.endpoint)
    with pytest.raises((IncompleteReadError, ResponseStreamingError)):
        get(client)["Body"].read()
    assert get(client)["Body"].read() == CONTENT


def test_a_reset_connection_is_one_that_boto3_retries(served, anonymous_client):
    served.faults = FaultPlan(FaultRule(ConnectionReset(), times=2))
    with pytest.raises((ConnectionClosedError, EndpointConnectionError), match=r"reset|closed"):
        get(anonymous_client(served.endpoint))
    assert get(anonymous_client(served.endpoint, attempts=3))["Body"].read() == CONTENT
    assert [record.status for record in served.requests] == [None, None, 200]


def test_a_reset_is_a_tcp_reset_and_not_an_end(served, raw_request):
    served.faults = FaultPlan(FaultRule(ConnectionReset()))
    with pytest.raises(ConnectionResetError) as raised:
        raw_request(served.endpoint, "GET", "/gallery/plate/a.csv")
    assert raised.type is ConnectionResetError  # http.client's error for an orderly end is a subclass


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_a_truncated_body_breaks_off_where_it_is_told_to(served, anonymous_client, share):
    served.faults = FaultPlan(FaultRule(TruncatedBody(share), times=1))
    client = anonymous_client(served.endpoint)
    answer = get(client)
    assert answer["ContentLength"] == len(CONTENT)
    received = b""
    with pytest.raises((IncompleteReadError, ResponseStreamingError)):
        for chunk in answer["Body"].iter_chunks(1000):
            received += chunk
    assert len(received) <= int(share * len(CONTENT))
    assert received == CONTENT[: len(received)]
    assert get(client)["Body"].read() == CONTENT


def test_a_truncated_download_is_resumed_by_range_and_if_match(served, anonymous_client, raw_request):
    served.faults = FaultPlan(FaultRule(TruncatedBody(0.25), times=1))
    client = anonymous_client(served.endpoint)
    first = get(client)
    head = b""
    with pytest.raises((IncompleteReadError, ResponseStreamingError)):
        for chunk in first["Body"].iter_chunks(1 << 10):
            head += chunk
    rest = get(client, Range=f"bytes={len(head)}-", IfMatch=first["ETag"])
    assert head + rest["Body"].read() == CONTENT
    assert [record.status for record in served.requests] == [200, 206]


def test_a_stalled_body_runs_into_the_timeout_of_the_client(served, anonymous_client):
    served.faults = FaultPlan(FaultRule(StalledBody(5), times=1))
    client = anonymous_client(served.endpoint, read_timeout=0.5)
    with pytest.raises(ReadTimeoutError):
        get(client)["Body"].read()
    assert get(client)["Body"].read() == CONTENT


def test_a_stalled_body_comes_whole_to_a_client_that_waits(served, anonymous_client):
    served.faults = FaultPlan(FaultRule(StalledBody(0.2)))
    started = time.monotonic()
    assert get(anonymous_client(served.endpoint))["Body"].read() == CONTENT
    assert time.monotonic() - started >= 0.2


def test_a_server_is_closed_although_a_body_is_stalled(bucket, anonymous_client):
    (bucket / "a").write_bytes(CONTENT)
    with S3Server(bucket.parent, faults=FaultPlan(FaultRule(StalledBody(600)))) as server:
        body = get(anonymous_client(server.endpoint), "a")["Body"]
        started = time.monotonic()
    assert time.monotonic() - started < 300
    with pytest.raises((IncompleteReadError, ResponseStreamingError)):
        body.read()


def test_a_flipped_bit_is_accepted_by_boto3_and_found_by_the_etag(served, anonymous_client):
    served.faults = FaultPlan(FaultRule(FlippedBit(), times=1))
    answer = get(anonymous_client(served.endpoint))
    received = answer["Body"].read()
    assert len(received) == len(CONTENT)
    differing = [position for position, (one, other) in enumerate(zip(received, CONTENT, strict=True)) if one != other]
    assert differing == [len(CONTENT) // 2]
    assert (received[differing[0]] ^ CONTENT[differing[0]]).bit_count() == 1
    assert answer["ETag"] == f'"{hashlib.md5(CONTENT).hexdigest()}"' != f'"{hashlib.md5(received).hexdigest()}"'


def test_a_bit_is_flipped_within_the_range_that_is_sent(served, anonymous_client):
    served.faults = FaultPlan(FaultRule(FlippedBit()))
    received = get(anonymous_client(served.endpoint), Range="bytes=100-104")["Body"].read()
    assert received == bytes([100, 101, 102 ^ 1, 103, 104])


def test_an_empty_body_has_no_bit_to_flip(bucket, server, anonymous_client):
    (bucket / "empty").write_bytes(b"")
    server.faults = FaultPlan(FaultRule(FlippedBit()))
    assert get(anonymous_client(server.endpoint), "empty")["Body"].read() == b""


def test_a_changed_object_fails_the_condition_of_the_second_request(served, bucket, anonymous_client):
    served.faults = FaultPlan(FaultRule(ChangedObject(), "plate/a.csv", after=1))
    client = anonymous_client(served.endpoint)
    first = get(client)
    with pytest.raises(ClientError) as raised:
        get(client, Range="bytes=10-", IfMatch=first["ETag"])
    assert raised.value.response["Error"]["Code"] == "PreconditionFailed"
    second = get(client)
    content = second["Body"].read()
    assert (len(content), content[:-1]) == (len(CONTENT), CONTENT[:-1])
    assert second["ETag"] == f'"{hashlib.md5(content).hexdigest()}"' != first["ETag"]
    assert (second["LastModified"] - first["LastModified"]).total_seconds() == 1
    assert get(client, "plate/b.csv")["Body"].read() == b"b"
    assert (bucket / "plate" / "a.csv").read_bytes() == CONTENT


def test_a_changed_object_is_seen_changed_by_everybody_once_it_is(served, anonymous_client):
    served.faults = FaultPlan(FaultRule(ChangedObject(lambda content: content + b"more"), "plate/a.csv", after=1))
    client = anonymous_client(served.endpoint)

    def seen():
        listed = client.list_objects_v2(Bucket="gallery")["Contents"][0]
        head = client.head_object(Bucket="gallery", Key="plate/a.csv")
        assert (listed["ETag"], listed["Size"]) == (head["ETag"], head["ContentLength"])
        return head["ETag"], head["ContentLength"]

    before = seen()
    assert seen() == before
    get(client)["Body"].read()
    assert seen() == (f'"{hashlib.md5(CONTENT + b"more").hexdigest()}"', len(CONTENT) + 4)
    assert hashlib.md5(get(client)["Body"].read()).hexdigest() in seen()[0]


def test_a_changed_object_may_be_a_valid_file(bucket, server, anonymous_client):
    (bucket / "a.csv.gz").write_bytes(gzip.compress(b"old"))
    server.faults = FaultPlan(FaultRule(ChangedObject(lambda content: gzip.compress(b"new", mtime=0))))
    assert gzip.decompress(get(anonymous_client(server.endpoint), "a.csv.gz")["Body"].read()) == b"new"


def test_a_parallel_download_notices_an_object_that_changes(bucket, server, anonymous_client, tmp_path):
    (bucket / "large").write_bytes(CONTENT * 20)  # three ranges of 8 MiB
    server.faults = FaultPlan(FaultRule(ChangedObject(), after=1))
    with pytest.raises(S3DownloadFailedError, match="did not match expected ETag"):
        anonymous_client(server.endpoint).download_file("gallery", "large", str(tmp_path / "large"))
    assert not (tmp_path / "large").exists()


def test_latency_holds_back_the_first_byte(served, anonymous_client):
    served.faults = FaultPlan(FaultRule(Latency(0.2), operations=EVERY_OPERATION))
    client = anonymous_client(served.endpoint)
    for call in (
        lambda: get(client, "plate/b.csv"),
        lambda: client.head_object(Bucket="gallery", Key="plate/b.csv"),
        lambda: client.list_objects_v2(Bucket="gallery"),
        lambda: client.head_bucket(Bucket="gallery"),
    ):
        started = time.monotonic()
        call()
        assert time.monotonic() - started >= 0.2
    served.faults = FaultPlan(FaultRule(Latency(5)))
    with pytest.raises(ReadTimeoutError):
        get(anonymous_client(served.endpoint, read_timeout=0.5))


def test_several_faults_may_hit_one_request(served, anonymous_client):
    served.faults = FaultPlan(FaultRule(Latency(0.2)), FaultRule(SlowDown()))
    started = time.monotonic()
    with pytest.raises(ClientError, match="SlowDown"):
        get(anonymous_client(served.endpoint))
    assert time.monotonic() - started >= 0.2
    assert served.requests[0].faults == ("Latency", "SlowDown")


def test_a_fault_hits_the_keys_of_its_pattern(served, anonymous_client):
    served.faults = FaultPlan(FaultRule(SlowDown(), "*/a.csv"))
    client = anonymous_client(served.endpoint)
    assert get(client, "plate/b.csv")["Body"].read() == b"b"
    with pytest.raises(ClientError, match="SlowDown"):
        get(client)


def test_a_fault_hits_the_operations_it_names(served, anonymous_client):
    listing = FaultRule(SlowDown(), "plate/*", times=1, operations=frozenset({"ListObjectsV2"}))
    served.faults = FaultPlan(listing)
    client = anonymous_client(served.endpoint)
    get(client)
    client.list_objects_v2(Bucket="gallery")  # of another prefix
    with pytest.raises(ClientError, match="SlowDown"):
        client.list_objects_v2(Bucket="gallery", Prefix="plate/")
    assert client.list_objects_v2(Bucket="gallery", Prefix="plate/")["KeyCount"] == 2


def test_faults_are_switched_off_while_the_server_runs(served, anonymous_client):
    client = anonymous_client(served.endpoint)
    served.faults = FaultPlan(FaultRule(SlowDown()))
    with pytest.raises(ClientError, match="SlowDown"):
        get(client)
    served.faults = FaultPlan()
    assert get(client)["Body"].read() == CONTENT


def test_a_new_kind_of_fault_is_one_small_class(served, raw_request):
    @dataclass(frozen=True)
    class WrongLength(Fault):
        def change_answer(self, answer, request):
            return replace(answer, headers={**answer.headers, "ETag": '"wrong"'})

    served.faults = FaultPlan(FaultRule(WrongLength()))
    assert raw_request(served.endpoint, "GET", "/gallery/plate/b.csv").headers["etag"] == '"wrong"'


def test_the_window_of_a_rule_is_counted_for_each_key():
    plan = FaultPlan(FaultRule(SlowDown(), after=1, times=2))
    hits = [bool(plan.draw(request(key))) for key in ("a", "a", "b", "a", "a", "b", "b", "b")]
    assert hits == [False, True, False, True, False, True, True, False]


def test_looking_at_what_stands_does_not_count():
    plan = FaultPlan(FaultRule(SlowDown(), times=1))
    for _ in range(3):
        assert plan.standing("gallery", "a") == (SlowDown(),)
    assert plan.draw(request("a")) == (SlowDown(),)
    assert plan.standing("gallery", "a") == ()


def drawn(seed, *, threads=1):
    """Draw ten times for each of 200 keys with a chance of 0.3, in any order; count the hits of each key."""
    plan = FaultPlan(FaultRule(SlowDown(), probability=0.3), seed=seed)
    hits = Counter()
    lock = threading.Lock()

    def draw(key):
        hit = bool(plan.draw(request(key)))
        with lock:
            hits[key] += hit

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(draw, [f"{number}" for number in range(200)] * 10))
    return hits


def test_chance_is_seeded_and_does_not_depend_on_the_order_of_threads():
    assert drawn(1) == drawn(1, threads=8)
    assert drawn(1) != drawn(2)
    # 2,000 draws of 0.3: the standard deviation is 20.5 hits
    assert 600 - 5 * 20.5 < drawn(1).total() < 600 + 5 * 20.5
    assert len(set(drawn(1).values())) > 3


@pytest.mark.parametrize(
    "wrong",
    [
        {"times": 0},
        {"after": -1},
        {"probability": 0},
        {"probability": 1.1},
        {"operations": frozenset()},
        {"operations": frozenset({"PutObject"})},
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused(wrong):
    with pytest.raises(ValueError, match=r"needed, not|operations are some of"):
        FaultRule(SlowDown(), **wrong)
