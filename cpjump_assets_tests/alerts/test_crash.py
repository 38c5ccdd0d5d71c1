"""A process that delivers is killed in the window between a channel's acceptance and the record of it."""

import subprocess
import sys
import threading
from pathlib import Path

from cpjump_assets.alerts.keeping import load_state, save_state
from cpjump_assets.alerts.state import AlertState
from cpjump_assets_tests.alerts.samples import FileKeeper, event, plate_check
from cpjump_assets_tests.receivers import HttpReceiver

DELIVER = """
import sys
from functools import partial
from pathlib import Path
from cpjump_assets.alerts.channels import open_channels
from cpjump_assets.alerts.delivery import deliver
from cpjump_assets.alerts.keeping import load_state, save_state
from cpjump_assets_tests.alerts.samples import FileKeeper

folder, url = Path(sys.argv[1]), sys.argv[2]
keeper = FileKeeper(folder)
deliver(load_state(keeper), open_channels([url], folder=folder), save=partial(save_state, keeper))
"""


def test_a_kill_repeats_the_one_message_in_its_window_and_loses_none(tmp_path: Path, webhook: HttpReceiver) -> None:
    keeper = FileKeeper(tmp_path)
    events = [event(plate_check(number), minute=number) for number in range(3)]
    save_state(keeper, load_state(keeper).receive(events, "3"))
    keys = [one.key for one in events]
    command = [sys.executable, "-c", DELIVER, str(tmp_path), webhook.url]
    started, killed = threading.Event(), threading.Event()

    def kill_at_the_second(post: dict[str, object]) -> None:
        if len(webhook.posts) == 2:
            started.wait()
            process.kill()
            process.wait()
            killed.set()

    webhook.before_answer = kill_at_the_second
    process = subprocess.Popen(command)
    started.set()
    assert killed.wait(120)
    webhook.before_answer = None
    state = AlertState.from_text(keeper.path.read_text())
    assert [queued.message.keys for queued in state.outbox] == [(keys[1],), (keys[2],)]
    subprocess.run(command, check=True)
    assert webhook.keys == [keys[0], keys[1], keys[1], keys[2]]
    assert load_state(keeper).outbox == ()
    lines = (tmp_path / "alerts.jsonl").read_text().splitlines()
    assert len(lines) == 3, "the channels that had recorded their acceptance get nothing again"
