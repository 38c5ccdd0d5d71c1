"""A file of JSON lines as a channel: for programs, and as the full record of what was told.

Belongs here: the line of an event, and appending whole lines. Does not belong here: any other format.
"""

import fcntl
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cpjump_assets.alerts.channels.channel import ChannelError
from cpjump_assets.alerts.events import AlertEvent
from cpjump_assets.alerts.messages import Message

FILE_NAME = "alerts.jsonl"


@dataclass(frozen=True)
class JsonLinesChannel:
    """Appends a line for each event of a message to ``alerts.jsonl`` in a folder; on the disk when ``send`` returns.

    What a crash cut off stays alone on its line: readers skip what is no JSON, and the event comes again whole.
    """

    folder: Path
    name: str = FILE_NAME

    def send(self, message: Message) -> None:
        """Append the events of a message.

        Raises
        ------
        ChannelError
            If they could not be written (no permission, disk full).
        """
        lines = "".join(f"{json.dumps(line_of(event), ensure_ascii=False)}\n" for event in message.events)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with (self.folder / FILE_NAME).open("a+b", buffering=0) as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                _append(file.fileno(), lines.encode())
                os.fsync(file.fileno())
        except OSError as error:
            raise ChannelError(f"{FILE_NAME} cannot be written: {error.strerror or error}") from error


def line_of(event: AlertEvent) -> dict[str, Any]:
    """Give an event as the object of its line; the subject with its key, the numbers as an object."""
    subject = {"key": event.subject.key} | asdict(event.subject)
    return asdict(event) | {"subject": subject, "numbers": dict(event.numbers)}


def _append(descriptor: int, content: bytes) -> None:
    """Write at the end, on a new line: all of it, or after an error nothing (a full disk takes a part)."""
    size = os.fstat(descriptor).st_size
    is_cut = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
    left = memoryview(b"\n" + content if is_cut else content)
    try:
        while left:
            left = left[os.write(descriptor, left) :]
    except OSError:
        os.ftruncate(descriptor, size)
        raise
