"""Files in S3: whole or not at all, whoever writes, dies or damages; equal to those of a folder byte for byte."""

import json
import pickle
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cpjump_assets.science.errors import StoreError
from cpjump_assets.science.features import Profiles
from cpjump_assets.storage import s3_objects
from cpjump_assets.storage.digests import file_digest
from cpjump_assets.storage.files import Files, LocalFiles
from cpjump_assets.storage.manifest import BadManifestError, Manifest, file_of_object
from cpjump_assets.storage.s3_files import S3Files
from cpjump_assets.storage.s3_objects import S3Objects
from cpjump_assets.storage.s3_place import S3Place
from cpjump_assets.storage.s3_sweep import sweep_superseded
from cpjump_assets.storage.store import Provenance, Store, TableKey
from cpjump_assets_tests.processes import free_port
from cpjump_assets_tests.stores import BUCKET, StoreServer, rclone_store

KEY = TableKey("profiles", "normalized_profiles", "2020_11_04_CPJUMP1.BR00117010")
MADE = Provenance("1", {"wells": "ab"}, "gallery")
NAME = "splits/manifest.parquet"
both_servers = pytest.mark.parametrize("server", ["moto", "rclone"], indirect=True)


def _frame(seed: int = 0) -> pd.DataFrame:
    values = np.random.default_rng(seed).normal(size=24).astype("float32")
    return pd.DataFrame({"Metadata_Well": [f"A{i:02d}" for i in range(1, 25)], "Cells_Area": values})


def _write(files: Files, name: str, content: bytes) -> None:
    with files.writing(name) as part:
        part.write_bytes(content)


def _read(files: Files, name: str) -> bytes | None:
    path = files.local(name)
    return None if path is None else path.read_bytes()


@pytest.fixture
def files(place: S3Place, work: Path) -> S3Files:
    return S3Files(place, work)


@pytest.fixture
def elsewhere(place: S3Place, tmp_path: Path) -> S3Files:
    """Give the same store as another machine sees it, which has nothing yet."""
    return S3Files(place, tmp_path / "elsewhere")


def _object_keys(server: StoreServer, place: S3Place) -> list[str]:
    return [key for key in server.keys(f"{place.prefix}/") if not key.endswith(".json")]


@both_servers
def test_what_one_machine_writes_another_reads(files: S3Files, elsewhere: S3Files) -> None:
    assert (_read(elsewhere, NAME), elsewhere.exists(NAME), elsewhere.digest(NAME)) == (None, False, None)
    for content in (b"first", b""):
        _write(files, NAME, content)
        assert (_read(files, NAME), _read(elsewhere, NAME)) == (content, content)
    assert elsewhere.exists(NAME)
    files.remove(NAME)
    files.remove(NAME)
    assert (_read(files, NAME), _read(elsewhere, NAME), elsewhere.exists(NAME)) == (None, None, False)


def test_a_folder_and_s3_answer_alike(files: S3Files, tmp_path: Path) -> None:
    both: tuple[Files, Files] = (files, LocalFiles(tmp_path / "folder"))
    for one in both:
        for name in ("a/2 é+%.png", "a/1.json", "a/b/3.png", "a.png"):
            _write(one, name, name.encode())
    asked = ("a", "a/b", "nothing", "")
    assert [files.names(folder) for folder in asked] == [both[1].names(folder) for folder in asked]
    assert files.names("a") == ("a/1.json", "a/2 é+%.png")
    assert files.digest("a/1.json") == both[1].digest("a/1.json") == file_digest(tmp_path / "folder" / "a" / "1.json")


def test_a_table_has_the_same_bytes_as_in_a_folder(place: S3Place, work: Path, tmp_path: Path) -> None:
    in_folder, in_s3 = Store(tmp_path / "folder"), Store(work, files=S3Files(place, work))
    for store in (in_folder, in_s3):
        store.write(KEY, _frame(), MADE)
        store.write_profiles(TableKey("profiles", "x"), Profiles.from_frame(_frame(1)), MADE)
    assert in_s3.describe(KEY) == in_folder.describe(KEY)
    fresh = Store(tmp_path / "fresh", files=S3Files(place, tmp_path / "fresh"))
    assert fresh.describe(TableKey("profiles", "x")) == in_folder.describe(TableKey("profiles", "x"))
    pd.testing.assert_frame_equal(fresh.read(KEY), _frame())
    fresh.remove(KEY)
    assert (in_s3.find(KEY), in_s3.exists(KEY)) == (None, False)
    with pytest.raises(StoreError, match=f"not in the store {place}: materialize normalized_profiles first"):
        in_s3.read(KEY)


def test_a_store_that_does_not_answer_is_not_taken_for_one_without_the_table(work: Path) -> None:
    nobody = S3Place(BUCKET, "x", f"http://127.0.0.1:{free_port()}")
    store = Store(work, files=S3Files(nobody, work))
    with pytest.raises(StoreError, match=f"{KEY}.parquet cannot be looked up in {nobody}"):
        store.find(KEY)


def test_profiles_that_are_open_stay_those_that_were_opened(place: S3Place, work: Path, tmp_path: Path) -> None:
    ours, theirs = (Store(folder, files=S3Files(place, folder)) for folder in (work, tmp_path / "theirs"))
    ours.write_profiles(KEY, Profiles.from_frame(_frame(0)), MADE)
    opened = theirs.open_profiles(KEY)
    ours.write_profiles(KEY, Profiles.from_frame(_frame(1)), MADE)
    np.testing.assert_array_equal(opened.values()[:, 0], _frame(0)["Cells_Area"])
    np.testing.assert_array_equal(theirs.open_profiles(KEY).values()[:, 0], _frame(1)["Cells_Area"])


def test_a_name_cannot_leave_the_store(place: S3Place, work: Path) -> None:
    store = Store(work, files=S3Files(place, work))
    with pytest.raises(StoreError, match="outside of the store"):
        store.write_file("../outside.png", b"")


def test_files_can_be_sent_to_another_process(files: S3Files) -> None:
    _write(files, NAME, b"content")
    assert _read(pickle.loads(pickle.dumps(files)), NAME) == b"content"


def test_what_is_equal_is_not_sent_again(
    files: S3Files, place: S3Place, server: StoreServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(files, NAME, b"content")
    manifest = server.read(place.key(f"{NAME}.json"))
    monkeypatch.setattr(S3Objects, "_put", None)
    _write(files, NAME, b"content")
    assert server.read(place.key(f"{NAME}.json")) == manifest


def test_the_copy_of_this_machine_counts_only_while_it_is_the_published_version(files: S3Files, work: Path) -> None:
    _write(files, NAME, b"content")
    (work / NAME).write_bytes(b"altered")
    assert _read(files, NAME) == b"content"
    (work / NAME).unlink()
    assert _read(files, NAME) == b"content"


@pytest.mark.parametrize("damaged", [b"conten", b"CONTENT", b"", None], ids=["truncated", "altered", "empty", "gone"])
def test_a_damaged_object_is_noticed_and_mended_by_making_it_again(
    files: S3Files, elsewhere: S3Files, server: StoreServer, place: S3Place, damaged: bytes | None
) -> None:
    _write(files, NAME, b"content")
    (key,) = _object_keys(server, place)
    if damaged is None:
        place.client.delete_object(Bucket=BUCKET, Key=key)
    else:
        server.put(key, damaged)
    with pytest.raises(StoreError, match=r"manifest\.parquet in s3://.* is not what was written: expected 7 bytes"):
        elsewhere.local(NAME)
    assert (elsewhere.digest(NAME) is None) == (damaged is None)
    _write(files, NAME, b"content")
    assert _read(elsewhere, NAME) == b"content"


def test_a_damage_that_a_server_does_not_show_is_mended_too(
    files: S3Files, server: StoreServer, place: S3Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(files, NAME, b"content")
    (key,) = _object_keys(server, place)
    server.put(key, b"CONTENT")
    monkeypatch.setattr(S3Objects, "is_whole", lambda *_: True)
    other = S3Files(place, Path(f"{files._folder}-other"))
    with pytest.raises(StoreError, match="is not what was written"):
        other.local(NAME)
    _write(other, NAME, b"content")
    assert server.read(key) == b"content"


def test_an_upload_that_does_not_arrive_whole_is_not_published(
    files: S3Files, place: S3Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(files, NAME, b"first")
    client = place.client
    put = client.put_object

    def lossy(**asked: object) -> object:
        body = asked.pop("Body")
        whole = body if isinstance(body, bytes) else body.read()
        return put(**asked, Body=whole if asked["Key"].endswith(".json") else whole[:-1])

    monkeypatch.setattr(client, "put_object", lossy)
    with pytest.raises(StoreError, match="did not arrive whole"):
        _write(files, NAME, b"second")
    monkeypatch.undo()
    assert _read(files, NAME) == b"first"


@both_servers
def test_flipped_bits_of_the_right_length_do_not_arrive_either(
    files: S3Files, place: S3Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = place.client
    put = client.put_object
    monkeypatch.setattr(client, "put_object", lambda **asked: put(**asked | {"Body": b"CONTENT"}))
    # rclone repeats the right checksum for it, which it was told and never compared.
    with pytest.raises(StoreError, match="did not arrive whole"):
        _write(files, NAME, b"content")
    monkeypatch.undo()
    assert _read(files, NAME) is None


def test_a_server_without_any_sum_is_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with rclone_store(tmp_path / "served", "--etag-hash", "none") as server:
        place = server.place("p")
        files = S3Files(place, tmp_path / "work")
        _write(files, NAME, b"content")
        assert _read(S3Files(place, tmp_path / "other"), NAME) == b"content"
        put = place.client.put_object
        monkeypatch.setattr(place.client, "put_object", lambda **asked: put(**asked | {"Body": b"CONTENT"}))
        with pytest.raises(StoreError, match="did not arrive whole"):
            _write(files, NAME, b"another")


@both_servers
def test_a_large_file_goes_in_parts_and_is_proved(
    files: S3Files, elsewhere: S3Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_objects, "PART_SIZE", 5 * 1024**2)
    content = np.random.default_rng(0).bytes(12 * 1024**2)
    _write(files, NAME, content)
    assert _read(elsewhere, NAME) == content


def test_a_write_that_fails_leaves_the_former_version(
    files: S3Files, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(files, NAME, b"first")
    with pytest.raises(KeyboardInterrupt), files.writing(NAME) as part:
        part.write_bytes(b"half")
        raise KeyboardInterrupt
    assert _read(files, NAME) == b"first"
    assert [path.name for path in work.rglob("*") if path.is_file()] == ["manifest.parquet"]


_DIE = """
import os, sys
from pathlib import Path
from cpjump_assets.storage.s3_files import S3Files
from cpjump_assets.storage.s3_place import S3Place
place = S3Place(*sys.argv[1:4])
put, calls = place.client.put_object, []
def dying(**asked):
    calls.append(asked["Key"])
    if len(calls) == int(sys.argv[4]):
        os.kill(os.getpid(), 9)
    return put(**asked)
place.client.put_object = dying
with S3Files(place, Path(sys.argv[5])).writing("splits/manifest.parquet") as part:
    part.write_bytes(b"second")
"""


@pytest.mark.parametrize("request_number", [1, 2], ids=["before the object", "between object and manifest"])
def test_a_killed_writer_leaves_the_former_version(
    files: S3Files, elsewhere: S3Files, server: StoreServer, place: S3Place, tmp_path: Path, request_number: int
) -> None:
    _write(files, NAME, b"first")
    arguments = [place.bucket, place.prefix, str(place.endpoint), str(request_number), str(tmp_path / "dying")]
    assert subprocess.run([sys.executable, "-c", _DIE, *arguments], check=False).returncode == -9
    assert len(_object_keys(server, place)) == request_number  # the second one that nobody names
    assert (_read(files, NAME), _read(elsewhere, NAME)) == (b"first", b"first")
    survivor = S3Files(place, tmp_path / "dying")
    assert [Path(name).suffix for name in survivor.sweep()] == [".part"]
    _write(survivor, NAME, b"second")
    assert _read(elsewhere, NAME) == b"second"


_RACE = """
import hashlib, sys
from pathlib import Path
from cpjump_assets.storage.s3_files import S3Files
from cpjump_assets.storage.s3_place import S3Place
files = S3Files(S3Place(*sys.argv[1:4]), Path(sys.argv[4]))
mark = sys.argv[5].encode()
allowed = {b"1", b"2"}
for number in range(15):
    with files.writing("splits/manifest.parquet") as part:
        part.write_bytes(mark * 1000 + b"%03d" % number)
    found = files.local("splits/manifest.parquet").read_bytes()
    assert found[:1] in allowed and found[:1000] == found[:1] * 1000 and len(found) == 1003, found[:20]
"""


def test_of_two_writers_of_one_file_one_wins_and_nothing_is_torn(
    files: S3Files, elsewhere: S3Files, place: S3Place, tmp_path: Path
) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", _RACE, place.bucket, place.prefix, str(place.endpoint), str(tmp_path / folder), mark]
        )
        for folder, mark in (("one", "1"), ("two", "2"))
    ]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        found = _read(elsewhere, NAME)
        if found is not None:
            assert len(found) == 1003
            assert len(set(found[:1000])) == 1
            seen.add(found)
    assert [writer.wait() for writer in writers] == [0, 0]
    last = _read(files, NAME)
    assert last is not None
    assert last[1000:] == b"014"
    assert len(seen) > 1


def test_a_reader_who_is_overtaken_takes_the_new_version(
    files: S3Files, elsewhere: S3Files, server: StoreServer, place: S3Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old object is swept, after a day's sleep, between the two requests of a reader."""
    _write(files, NAME, b"old")
    (old,) = _object_keys(server, place)
    fetch, calls = S3Objects.fetch, []

    def overtaken(objects: S3Objects, manifest: Manifest, file: object) -> None:
        calls.append(manifest)
        if len(calls) == 1:
            _write(files, NAME, b"new")
            place.client.delete_object(Bucket=BUCKET, Key=old)
        fetch(objects, manifest, file)

    monkeypatch.setattr(S3Objects, "fetch", overtaken)
    assert _read(elsewhere, NAME) == b"new"
    assert len(calls) == 2


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"null", b'"text"', b"\xff", b'{"version": 2}'])
def test_a_manifest_that_is_none_is_named_and_replaced_by_the_next_writer(
    files: S3Files, server: StoreServer, place: S3Place, content: bytes
) -> None:
    server.put(place.key(f"{NAME}.json"), content)
    with pytest.raises(BadManifestError, match=r"the manifest of splits/manifest\.parquet"):
        files.local(NAME)
    _write(files, NAME, b"content")
    assert _read(files, NAME) == b"content"


def test_a_manifest_cannot_name_an_object_of_another_file() -> None:
    sound = Manifest(NAME, "a" * 64, 3, '"e"', {"etag": "x"})
    assert Manifest.from_bytes(sound.to_bytes(), NAME) == sound
    assert file_of_object(sound.object_name) == NAME
    for change in ({"object": "secrets.aaaaaaaaaaaaaaaa"}, {"sha256": "a" * 63}, {"bytes": "3"}, {"note": []}):
        content = json.dumps(json.loads(sound.to_bytes()) | change).encode()
        with pytest.raises(BadManifestError):
            Manifest.from_bytes(content, NAME)


def test_the_sweep_takes_what_nobody_names_and_spares_the_rest(
    files: S3Files, elsewhere: S3Files, server: StoreServer, place: S3Place
) -> None:
    for content in (b"one", b"two", b"three"):
        _write(files, NAME, content)
    _write(files, "removed.png", b"removed")
    files.remove("removed.png")
    _write(files, "kept.png", b"kept")
    for foreign in ("refresh.lease", "notes.txt", "theirs.bin.0123456789abcdef", f"{NAME}.json.0123456789abcdef"):
        server.put(place.key(foreign), b"not ours")
    objects = S3Objects(place)
    before = server.keys(f"{place.prefix}/")
    assert sweep_superseded(objects) == ()  # all of it is younger than a day
    assert files.sweep() == ()
    assert server.keys(f"{place.prefix}/") == before

    swept = sweep_superseded(objects, spared=timedelta(seconds=-5))
    assert sorted(file_of_object(name) for name in swept) == ["removed.png", NAME, NAME]
    assert set(server.keys(f"{place.prefix}/")) == set(before) - {place.key(name) for name in swept}
    assert (_read(elsewhere, NAME), _read(elsewhere, "kept.png")) == (b"three", b"kept")
    assert sweep_superseded(objects, spared=timedelta(seconds=-5)) == ()


def test_the_sweep_spares_what_is_published_while_it_goes(
    files: S3Files, place: S3Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version that was superseded comes back after the sweep has listed it."""
    for content in (b"old", b"new"):
        _write(files, NAME, content)
    listed, objects = S3Objects.listed, S3Objects(place)

    def listed_before(found: S3Objects, *asked: object, **more: object) -> object:
        entries = list(listed(found, *asked, **more))
        _write(files, NAME, b"old")
        return iter(entries)

    monkeypatch.setattr(S3Objects, "listed", listed_before)
    (swept,) = sweep_superseded(objects, spared=timedelta(seconds=-5))
    assert _read(files, NAME) == b"old"
    assert files.digest(NAME) == file_digest(files._folder / NAME)
    assert file_of_object(swept) == NAME


def test_a_store_that_cannot_be_used_is_one_clear_error(moto: StoreServer, tmp_path: Path) -> None:
    nowhere = S3Files(S3Place("no-such-bucket", "p", moto.endpoint), tmp_path)
    with pytest.raises(
        StoreError, match=r"cannot be (written to|looked up in) s3://no-such-bucket/p .*NoSuchBucket.*bucket"
    ):
        _write(nowhere, NAME, b"content")
    silent = S3Files(S3Place(BUCKET, "p", "http://127.0.0.1:9"), tmp_path)
    with pytest.raises(StoreError, match=r"splits/manifest\.parquet cannot be looked up in .*127\.0\.0\.1:9"):
        silent.local(NAME)


def test_without_credentials_the_error_says_where_they_come_from(
    moto: StoreServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name, value in (
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_SHARED_CREDENTIALS_FILE", "none"),
        ("AWS_CONFIG_FILE", "none"),
    ):
        monkeypatch.setenv(name, value)
    place = S3Place(BUCKET, "p", moto.endpoint.replace("127.0.0.1", "localhost"))  # a client of its own
    with pytest.raises(StoreError, match="no AWS credentials were found"):
        S3Files(place, tmp_path).local(NAME)
