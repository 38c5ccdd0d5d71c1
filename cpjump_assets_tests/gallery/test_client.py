import pytest
from boto3.session import Session
from moto import mock_aws

from cpjump_assets.gallery.client import gallery_client, proxy_of, trust_store
from cpjump_assets.storage.loopback import is_loopback

LEADS_ASTRAY = {
    "AWS_ENDPOINT_URL": "http://astray.invalid:1",
    "AWS_ENDPOINT_URL_S3": "http://astray.invalid:2",
    "AWS_REGION": "eu-west-1",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_PROFILE": "nobody",
    "AWS_USE_FIPS_ENDPOINT": "true",
    "AWS_USE_DUALSTACK_ENDPOINT": "true",
    "AWS_MAX_ATTEMPTS": "1",
    "AWS_RETRY_MODE": "legacy",
    "AWS_ACCESS_KEY_ID": "key-of-the-user",
    "AWS_SECRET_ACCESS_KEY": "secret-of-the-user",
}


@pytest.fixture
def misled(monkeypatch, tmp_path):
    for name, value in LEADS_ASTRAY.items():
        monkeypatch.setenv(name, value)
    config = tmp_path / ".aws" / "config"
    config.parent.mkdir()
    config.write_text(
        "[default]\nendpoint_url = http://astray.invalid:3\nregion = eu-west-1\nmax_attempts = 1\n"
        "s3 =\n  addressing_style = path\n  use_accelerate_endpoint = true\n"
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))


def _request_url(client) -> str:
    return client.generate_presigned_url("get_object", Params={"Bucket": "cellpainting-gallery", "Key": "a/b"})


def test_without_an_endpoint_it_is_aws_whatever_the_users_own_settings_say(misled):
    client = gallery_client()
    assert _request_url(client) == "https://cellpainting-gallery.s3.amazonaws.com/a/b"
    assert client.meta.region_name == "us-east-1"
    assert client.meta.config.retries == {"mode": "standard", "total_max_attempts": 5}


def test_with_an_endpoint_it_is_that_one_whatever_the_users_own_settings_say(misled):
    assert _request_url(gallery_client("http://127.0.0.1:9")) == "http://127.0.0.1:9/cellpainting-gallery/a/b"


def test_the_settings_that_lead_astray_do_lead_a_plain_client_astray(misled, monkeypatch):
    monkeypatch.delenv("AWS_PROFILE")
    assert Session().client("s3").meta.endpoint_url == "http://astray.invalid:2"


def test_requests_are_not_signed(misled, served):
    served.put("a", b"x")
    sent = []
    served.client.meta.events.register("before-send.s3", lambda request, **_: sent.append(request))
    served.client.get_object(Bucket=served.bucket, Key="a")
    assert "Authorization" not in sent[0].headers
    assert "key-of-the-user" not in f"{sent[0].url}{dict(sent[0].headers)}"


def test_loopback_requests_do_not_go_through_a_proxy(monkeypatch, served):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    served.put("a", b"x")
    assert gallery_client(served.server.endpoint).get_object(Bucket=served.bucket, Key="a")["Body"].read() == b"x"


def test_the_pool_has_room_for_every_connection():
    assert gallery_client().meta.config.max_pool_connections == 16
    assert gallery_client(connections=40).meta.config.max_pool_connections == 40


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("http://127.0.0.1:9", True),
        ("http://localhost:9", True),
        ("http://[::1]:9", True),
        ("http://127.1.2.3", True),
        (None, False),
        ("https://s3.example.org", False),
        ("http://10.0.0.1:9", False),
        ("http://localhost.example.org", False),
    ],
)
def test_loopback_is_told_from_a_network(endpoint, expected):
    assert is_loopback(endpoint) is expected


def test_the_proxy_of_an_endpoint_is_that_of_its_scheme(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert proxy_of(gallery_client()) is None
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example.org:3128")
    monkeypatch.setenv("NO_PROXY", "inside.example.org")
    assert proxy_of(gallery_client()) == "http://proxy.example.org:3128"
    assert proxy_of(gallery_client("http://s3.example.org")) is None
    assert proxy_of(gallery_client("https://inside.example.org")) is None
    assert proxy_of(gallery_client("https://127.0.0.1:9")) is None


def test_the_users_trust_store_counts(monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "own.pem"))
    assert trust_store() == str(tmp_path / "own.pem")
    monkeypatch.delenv("AWS_CA_BUNDLE")
    assert trust_store().endswith((".pem", ".crt"))


def test_it_speaks_to_another_implementation_of_s3():
    with mock_aws():
        Session().client("s3", region_name="us-east-1").create_bucket(Bucket="mirror", ACL="public-read")
        assert gallery_client().list_objects_v2(Bucket="mirror")["KeyCount"] == 0
