"""The log as a channel.

Belongs here: a message as one record of Python's logging. Does not belong here: where the log goes.
"""

import logging
from dataclasses import dataclass, field

from cpjump_assets.alerts.messages import Message


@dataclass(frozen=True)
class LogChannel:
    """Writes messages to a logger: errors as errors, all others as warnings.

    A recovery is a warning too: by default nothing below is shown, and who sees a failure must see its end.
    """

    logger: logging.Logger = field(default_factory=lambda: logging.getLogger("cpjump.alerts"), repr=False)
    name: str = "log"

    def send(self, message: Message) -> None:
        """Write a message."""
        level = logging.ERROR if message.level == "error" else logging.WARNING
        self.logger.log(level, "%s\n%s", message.title, message.body)
