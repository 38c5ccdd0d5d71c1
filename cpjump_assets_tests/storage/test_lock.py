"""The lock keeps a second holder out, and is free again when its holder ends, however it ends."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cpjump_assets.science.errors import StoreError
from cpjump_assets.storage.lock import BusyError, exclusive, is_locked

_HOLD = """
import sys, time
from pathlib import Path
from cpjump_assets.storage.lock import exclusive
with exclusive(Path(sys.argv[1]), busy="busy"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_holder_is_refused_with_the_given_words(tmp_path: Path) -> None:
    path = tmp_path / "store" / "lock"
    with (
        exclusive(path, busy="free"),
        pytest.raises(StoreError, match="another refresh is at work"),
        exclusive(path, busy="another refresh is at work"),
    ):
        pass
    with exclusive(path, busy="not free"):
        assert path.exists()


def test_a_killed_holder_lets_go(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    holder = subprocess.Popen([sys.executable, "-c", _HOLD, str(path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(BusyError, match="busy"), exclusive(path, busy="busy"):
        pass
    assert is_locked(path)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    assert not is_locked(path)
    with exclusive(path, busy="still held"):
        pass


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("in the way")
    with pytest.raises(StoreError, match="cannot write lock in"), exclusive(tmp_path / "store" / "lock", busy=""):
        pass
