"""How a record of Dagster is put into an alert: times, links, numbers, short sentences.

Belongs here: what all collectors say in the same way. Does not belong here: what to do about it (``advice``).
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote

import dagster as dg

_LONGEST_SENTENCE = 600
_LONGEST_NUMBER = 120
_MOST_NUMBERS = 12


def moment(timestamp: float) -> str:
    """Spell a time in UTC so that the order of the texts is the order of the times."""
    return datetime.fromtimestamp(timestamp, UTC).isoformat(timespec="microseconds")


def duration(seconds: float) -> str:
    """Spell how long something took, or how old it is."""
    for unit, length in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} seconds"


def short(text: str, *, at_most: int = _LONGEST_SENTENCE) -> str:
    """Put a text on one line, and cut what is too long for a message."""
    line = " ".join(text.split())
    return line if len(line) <= at_most else f"{line[: at_most - 3]}..."


def numbers_of(metadata: Mapping[str, dg.MetadataValue]) -> tuple[tuple[str, str], ...]:
    """Give the numbers and short texts among the metadata of a check; tables and pictures are for the web UI."""
    shown = []
    for name, value in metadata.items():
        if isinstance(value, dg.IntMetadataValue):
            shown.append((name, f"{value.value:,}"))
        elif isinstance(value, dg.FloatMetadataValue):
            shown.append((name, f"{value.value:.4g}"))
        elif isinstance(value, dg.BoolMetadataValue):
            shown.append((name, "yes" if value.value else "no"))
        elif isinstance(value, dg.TextMetadataValue) and value.value:
            shown.append((name, short(value.value, at_most=_LONGEST_NUMBER)))
    return tuple(shown[:_MOST_NUMBERS])


def run_link(ui_url: str, run_id: str) -> str:
    """Give the page of a run."""
    return f"{ui_url}/runs/{run_id}"


def check_link(ui_url: str, key: dg.AssetCheckKey) -> str:
    """Give the page of a check."""
    return f"{ui_url}/assets/{'/'.join(key.asset_key.path)}?view=checks&checkDetail={quote(key.name)}"


def asset_link(ui_url: str, key: dg.AssetKey) -> str:
    """Give the page of an asset."""
    return f"{ui_url}/assets/{'/'.join(key.path)}"


def instigator_link(ui_url: str, location: str, kind: str, name: str) -> str:
    """Give the page of a sensor or schedule; the name of its code location is the deployment's choice."""
    return f"{ui_url}/locations/{quote(location)}/{kind}s/{quote(name)}"
