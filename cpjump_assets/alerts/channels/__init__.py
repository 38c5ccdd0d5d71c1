"""Channels of alerts: by apprise address, a JSON-lines file, the log."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cpjump_assets.alerts.channels.apprise_channel import AppriseChannel
from cpjump_assets.alerts.channels.channel import Channel
from cpjump_assets.alerts.channels.json_lines import JsonLinesChannel
from cpjump_assets.alerts.channels.log import LogChannel


def open_channels(urls: Sequence[str], *, folder: Path, logger: logging.Logger | None = None) -> tuple[Channel, ...]:
    """Give all channels: the log and the file, which are always there, and one for each address.

    Nothing is opened or sent. An address that apprise does not know is a channel too, one that fails with a clear
    reason: it does not stop the others.

    Parameters
    ----------
    urls
        Apprise addresses; one that is given twice counts once.
    folder
        Where ``alerts.jsonl`` lies.
    logger
        Where the log channel writes; ``cpjump.alerts`` by default.
    """
    log = LogChannel() if logger is None else LogChannel(logger)
    return (log, JsonLinesChannel(folder), *_by_address(urls))


def _by_address(urls: Sequence[str]) -> list[AppriseChannel]:
    channels: list[AppriseChannel] = []
    for url in dict.fromkeys(urls):
        channel, names = AppriseChannel(url), {other.name for other in channels}
        while channel.name in names:
            channel = replace(channel, twin=channel.twin + 1)
        channels.append(channel)
    return channels


__all__ = ["Channel", "open_channels"]
