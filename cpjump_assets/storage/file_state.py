"""In which state a file lies on disk, to tell whether it is still the one that was read.

Belongs here: what the system says of a file. Does not belong here: digests, what is in a file (``store``).
"""

import os
from typing import NamedTuple


class FileState(NamedTuple):
    """A file that was put in place or altered since has another inode or time of change, which no program can set."""

    inode: int
    size: int
    modified_ns: int
    changed_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> "FileState":
        """Take what tells it from another state."""
        return cls(status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
