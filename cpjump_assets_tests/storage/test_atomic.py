"""Partial files: swept when their writer is gone, left alone while it writes."""

import signal
import subprocess
import sys
from pathlib import Path

from cpjump_assets.storage.atomic import atomic_path, sweep_abandoned

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
