"""The state of alerts, kept in the instance itself.

Belongs here: the keeper that lays the document beside the cursors of Dagster's own daemons: it lives as long as the
records that it speaks of, on SQLite and on Postgres. Does not belong here: what the document says (``alerts.state``).
"""

from dataclasses import dataclass

import dagster as dg

STATE_KEY = "cpjump/alerts"


@dataclass(frozen=True)
class InstanceKeeper:
    """Keeps the state of alerts among the daemons' cursors of an instance."""

    instance: dg.DagsterInstance

    def load(self) -> str | None:
        """Give the text that was saved last; None before the first."""
        return self.instance.daemon_cursor_storage.get_cursor_values({STATE_KEY}).get(STATE_KEY)

    def save(self, text: str) -> None:
        """Keep a text, in one transaction."""
        self.instance.daemon_cursor_storage.set_cursor_values({STATE_KEY: text})
