import pytest
import urllib3

from cpjump_assets.gallery.reference import transports
from cpjump_assets.gallery.reference.transports import Bucket, Folder, Web, open_transport
from cpjump_assets.science.errors import GalleryError, SettingsError
from cpjump_assets.simulate.s3.faults import FaultRule, TruncatedBody

PATH = "metadata/a table.csv"


@pytest.fixture
def quick(monkeypatch):
    """Let urllib3 try again without waiting in between."""
    monkeypatch.setattr(transports, "_RETRIES", transports._RETRIES.new(backoff_factor=0))


def test_a_folder(tmp_path):
    (tmp_path / "metadata").mkdir()
    (tmp_path / PATH).write_bytes(b"content")
    folder = open_transport(str(tmp_path), endpoint=None)
    assert isinstance(folder, Folder)
    assert folder.read(PATH) == b"content"
    assert folder.read("metadata/other.csv") is None
    with pytest.raises(GalleryError, match="metadata of the reference root cannot be read: Is a directory"):
        folder.read("metadata")


def test_a_bucket(served, no_waits):
    served.put(f"pilot/{PATH}", b"content")
    bucket = open_transport(f"s3://{served.bucket}/pilot", endpoint=served.server.endpoint)
    assert isinstance(bucket, Bucket)
    served.fail(FaultRule(TruncatedBody(), keys="*/a table.csv", times=1))
    assert bucket.read(PATH) == b"content"
    assert bucket.read("other.csv") is None


def test_a_web_server(web_server):
    address = web_server({"/root/metadata/a%20table.csv": (200, {}, b"content")})
    web = open_transport(f"{address}/root/", endpoint=None)
    assert isinstance(web, Web)
    assert web.read(PATH) == b"content"
    assert web.read("other.csv") is None


def test_a_path_never_leaves_the_root(tmp_path, web_server):
    (tmp_path / "root").mkdir()
    (tmp_path / "secret").write_text("x")
    for url in (str(tmp_path / "root"), web_server({"*": (200, {}, b"x")})):
        with pytest.raises(GalleryError, match="cannot be stored"):
            open_transport(url, endpoint=None).read("../secret")


@pytest.mark.parametrize("url", ["http://example.org/root", "ftp://example.org", "file:///tmp", "http://10.0.0.1/x"])
def test_other_addresses_are_refused(url):
    with pytest.raises(
        SettingsError, match=r"^CPJUMP_REFERENCE must be https://..., s3://bucket/prefix or a folder, found "
    ):
        open_transport(url, endpoint=None)


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="nowhere' is no folder"):
        open_transport(str(tmp_path / "nowhere"), endpoint=None)


def test_a_bad_bucket_address_names_the_setting_it_came_from():
    with pytest.raises(SettingsError, match=r"^CPJUMP_REFERENCE must be s3://bucket/prefix"):
        open_transport("s3:///x", endpoint=None)


def test_a_refusal_is_an_error_and_not_a_missing_file(web_server):
    address = web_server({"*": (403, {}, b"no")})
    with pytest.raises(
        GalleryError, match=rf"{address}/x \(CPJUMP_REFERENCE\) cannot be read: expected status 200, found 403"
    ):
        open_transport(address, endpoint=None).read("x")


def test_a_server_that_stays_busy_is_asked_five_times(quick, web_server):
    address = web_server({"*": (503, {}, b"busy")})
    with pytest.raises(GalleryError, match="found 503"):
        open_transport(address, endpoint=None).read("x")


def test_a_body_that_breaks_off_is_never_taken_for_the_whole(quick, web_server):
    address = web_server({"*": (200, {"Content-Length": "1000", "Connection": "close"}, b"half of it")})
    with pytest.raises(GalleryError, match="cannot be read: "):
        open_transport(address, endpoint=None).read("x")


def test_an_unreachable_server_is_named_without_its_password(quick):
    with pytest.raises(GalleryError) as caught:
        open_transport("http://user:secret@127.0.0.1:9/root", endpoint=None).read("x")
    assert "http://127.0.0.1:9/root/x (CPJUMP_REFERENCE) cannot be read: " in str(caught.value)
    assert "secret" not in str(caught.value)


def test_redirects_are_followed(web_server):
    address = web_server({"/old/x": (301, {"Location": "/new/x"}, b""), "/new/x": (200, {}, b"content")})
    assert open_transport(f"{address}/old", endpoint=None).read("x") == b"content"


@pytest.mark.parametrize("target", ["http://example.org/x", "ftp://example.org/x"])
def test_redirects_to_where_somebody_may_listen_in_are_refused(web_server, target):
    address = web_server({"*": (302, {"Location": target}, b"")})
    with pytest.raises(GalleryError, match="leads away from https"):
        open_transport(address, endpoint=None).read("x")


def test_redirects_in_a_circle_end(web_server):
    address = web_server({"*": (302, {"Location": "/x"}, b"")})
    with pytest.raises(GalleryError, match="redirects more than 5 times"):
        open_transport(address, endpoint=None).read("x")


def test_the_usual_proxy_variables_count_except_on_loopback(monkeypatch):
    for name in ("no_proxy", "NO_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://user:secret@proxy.example.org:3128")
    outside = open_transport("https://example.org/root", endpoint=None).pool
    assert isinstance(outside, urllib3.ProxyManager)
    assert outside.proxy.host == "proxy.example.org"
    assert outside.proxy_headers["proxy-authorization"].startswith("Basic ")
    assert not isinstance(open_transport("http://127.0.0.1:9", endpoint=None).pool, urllib3.ProxyManager)
    monkeypatch.setenv("NO_PROXY", "example.org")
    assert not isinstance(open_transport("https://example.org/root", endpoint=None).pool, urllib3.ProxyManager)
