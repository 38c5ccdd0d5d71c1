"""The oracle of the index is a fresh walk through the folder."""

import os
import shutil

from cpjump_assets.simulate.s3 import key_index
from cpjump_assets.simulate.s3.key_index import KeyIndex
from cpjump_assets.simulate.s3.objects import Stamp


def walked(folder):
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    names = (path.relative_to(folder).as_posix() for path in files)
    return tuple(sorted((name for name in names if not name.endswith(".part")), key=str.encode))


def put(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def test_an_index_follows_every_change_of_its_folder(tmp_path):
    index = KeyIndex(tmp_path)
    assert index.keys() == ()
    changes = [
        lambda: put(tmp_path, "b/1.csv", "a.csv", "b/c/d/e.csv", "Z", "é", "b.csv"),
        lambda: put(tmp_path, "b/2.csv"),
        lambda: (tmp_path / "b/1.csv").rename(tmp_path / "b/c/1.csv"),
        lambda: (tmp_path / "a.csv").unlink(),
        lambda: shutil.rmtree(tmp_path / "b/c"),
        lambda: put(tmp_path, "b/c"),
        lambda: (tmp_path / "b").rename(tmp_path / "a"),
    ]
    for change in changes:
        change()
        assert index.keys() == walked(tmp_path)
    assert index.keys() == ("Z", "a/2.csv", "a/c", "b.csv", "é")


def test_changes_within_one_tick_of_the_clock_are_seen(tmp_path, monkeypatch):
    monkeypatch.setattr(Stamp, "of", lambda status: Stamp(0, 0, 0))  # a clock that does not tick
    monkeypatch.setattr(key_index, "is_settled", lambda status: False)
    index = KeyIndex(tmp_path)
    for number in range(20):
        put(tmp_path, f"{number:03}")
        assert len(index.keys()) == number + 1


def test_what_is_no_finished_regular_file_with_a_utf8_name_is_not_a_key(tmp_path):
    put(tmp_path, "kept", "unfinished.part", "folder.part/kept")
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    (tmp_path / "linked").symlink_to(tmp_path / "folder.part", target_is_directory=True)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty").mkdir()
    (tmp_path / os.fsdecode(b"latin-\xe9")).touch()
    assert KeyIndex(tmp_path).keys() == ("folder.part/kept", "kept")


def test_folders_that_did_not_change_are_not_read_again(tmp_path, monkeypatch):
    put(tmp_path, "a/1", "b/1")
    monkeypatch.setattr(key_index, "is_settled", lambda status: True)
    index = KeyIndex(tmp_path)
    index.keys()
    read = []
    scandir = os.scandir
    monkeypatch.setattr(key_index.os, "scandir", lambda path: read.append(path) or scandir(path))
    put(tmp_path, "b/2")
    assert index.keys() == ("a/1", "b/1", "b/2")
    assert read == [f"{tmp_path}/b/"]


def test_a_folder_that_is_gone_has_no_keys(tmp_path):
    put(tmp_path, "bucket/a")
    index = KeyIndex(tmp_path / "bucket")
    assert index.keys() == ("a",)
    shutil.rmtree(tmp_path / "bucket")
    assert index.keys() == ()
