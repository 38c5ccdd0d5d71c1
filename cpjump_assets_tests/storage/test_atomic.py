"""Partial files: swept when their writer is gone, left alone while it writes, or kept for the next writer."""

import fcntl
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cpjump_assets.science.errors import StoreError
from cpjump_assets.storage.atomic import atomic_file, atomic_path, resumable_file, side_file, sweep_abandoned

_WRITE = """
import sys, time
from pathlib import Path
from cpjump_assets.storage.atomic import atomic_path
with atomic_path(Path(sys.argv[1])) as part:
    part.write_bytes(b"half")
    print(part.name, flush=True)
    time.sleep(60)
"""


def test_what_a_killed_writer_left_is_swept_and_the_former_file_stays(tmp_path: Path) -> None:
    final = tmp_path / "folder" / "table.parquet"
    with atomic_path(final) as part:
        part.write_bytes(b"whole")
    writer = subprocess.Popen([sys.executable, "-c", _WRITE, str(final)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    name = writer.stdout.readline().strip()
    assert sweep_abandoned(tmp_path) == [], "a file that is being written must stay"
    assert (final.parent / name).exists()
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    writer.stdout.close()
    assert sweep_abandoned(tmp_path) == [final.parent / name]
    assert [path.name for path in final.parent.iterdir()] == ["table.parquet"]
    assert final.read_bytes() == b"whole"


def test_a_file_that_is_given_up_leaves_the_former_one_and_nothing_else(tmp_path: Path) -> None:
    final = tmp_path / "file"
    final.write_bytes(b"former")
    with pytest.raises(ValueError, match="given up"), atomic_file(final) as file:
        file.write(b"half")
        raise ValueError("given up")
    assert final.read_bytes() == b"former"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_resumable_file_is_kept_while_its_side_file_tells_what_is_good_in_it(tmp_path: Path) -> None:
    final = tmp_path / "folder" / "file"
    side = side_file(final)
    with pytest.raises(ValueError, match="given up"), resumable_file(final) as file:
        file.write(b"half")
        side.write_text("4 bytes are good")
        raise ValueError("given up")
    assert sweep_abandoned(tmp_path) == []
    with resumable_file(final) as file:
        assert file.read() == b"half"
        file.write(b" and half")
    assert final.read_bytes() == b"half and half"
    assert [path.name for path in final.parent.iterdir()] == ["file"]


def test_without_a_side_file_nothing_is_kept(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="given up"), resumable_file(tmp_path / "file") as file:
        file.write(b"half")
        raise ValueError("given up")
    assert list(tmp_path.iterdir()) == []


def test_a_resumable_file_has_one_writer_and_the_next_one_does_not_write_into_what_is_finished(tmp_path: Path) -> None:
    final = tmp_path / "file"
    with resumable_file(final) as first:
        first.write(b"first")
        with pytest.raises(StoreError, match="another process is writing it"), resumable_file(final):
            pass
    with resumable_file(final) as second:
        assert second.read() == b""
        assert final.read_bytes() == b"first"
        second.write(b"second")
    assert final.read_bytes() == b"second"


def test_a_writer_that_is_finished_between_opening_and_locking_is_not_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    final = tmp_path / "file"
    lock = fcntl.flock
    finished = []

    def finish_first(file: object, how: int) -> None:
        if not finished:
            finished.append(final.with_name("file.part").rename(final))
        lock(file, how)  # type: ignore[arg-type]

    final.with_name("file.part").write_bytes(b"finished just now")
    monkeypatch.setattr(fcntl, "flock", finish_first)
    with resumable_file(final) as file:
        assert file.read() == b""
        assert final.read_bytes() == b"finished just now"
