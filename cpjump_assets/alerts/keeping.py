"""Where the state of alerts is kept.

Belongs here: what the state needs of its keeper, and the way between the two. Does not belong here: the keeper in
Dagster's own database (``orchestration.alerting``).
"""

from typing import Protocol

from cpjump_assets.alerts.state import AlertState


class StateKeeper(Protocol):
    """Keeps one text so that it outlives the process."""

    def load(self) -> str | None:
        """Give the text that was saved last; None before the first."""
        ...

    def save(self, text: str) -> None:
        """Keep a text; when this returns, the next ``load`` gives it, in any process."""
        ...


def load_state(keeper: StateKeeper) -> AlertState:
    """Read the state; an empty one before the first.

    Raises
    ------
    StoreError
        If what is kept is not a state that this version reads.
    """
    text = keeper.load()
    return AlertState() if text is None else AlertState.from_text(text)


def save_state(keeper: StateKeeper, state: AlertState) -> None:
    """Keep the state; it fits ``save`` of ``delivery.deliver`` by ``functools.partial``."""
    keeper.save(state.to_text())
