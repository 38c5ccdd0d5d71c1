"""Amounts of data and time, in words that people read at a glance.

Belongs here: spelling bytes, rates and durations, alike in errors, logs and the terminal. Does not belong here: reading
amounts that a user gives (``settings.parse_bytes``, whose units these are).
"""

import math

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
_MEGABYTE, _GIGABYTE = 10**6, 10**9
_MINUTE, _HOUR = 60, 3600


def bytes_text(count: float) -> str:
    """Spell a number of bytes with three digits: ``512 B``, ``1.13 MB``, ``23.5 GB``; units are powers of 1,000."""
    value, unit = float(count), 0
    # From 999.5 on, three digits would say 1000 of this unit.
    while abs(value) >= 999.5 and unit + 1 < len(_UNITS):
        value, unit = value / 1000, unit + 1
    if unit == 0:
        return f"{value:.0f} B"
    digits = 2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0
    return f"{value:.{digits}f} {_UNITS[unit]}"


def enough_text(count: int) -> str:
    """Spell an amount that so many bytes are within, as a setting is given: ``9MB``, ``24GB``, ``1153GB``."""
    name, unit = ("GB", _GIGABYTE) if count >= _GIGABYTE else ("MB", _MEGABYTE)
    return f"{math.ceil(count / unit)}{name}"


def objects_text(count: int) -> str:
    """Count objects: ``1 object``, ``27,648 objects``."""
    return f"{count:,} object{'' if count == 1 else 's'}"


def rate_text(count: float, seconds: float) -> str:
    """Spell the rate at which bytes came; a dash when no time has passed."""
    return f"{bytes_text(count / seconds)}/s" if seconds > 0 else "-"


def seconds_text(seconds: float) -> str:
    """Spell a duration: ``0.4 s``, ``42 s``, ``3 min 5 s``, ``2 h 10 min``."""
    return f"{seconds:.1f} s" if seconds < 9.95 else _in_whole_seconds(round(seconds))


def left_text(seconds: float) -> str:
    """Spell a duration that is still to come, which nobody knows to less than a second: ``4 s left``."""
    return f"{_in_whole_seconds(math.ceil(seconds))} left"


def _in_whole_seconds(whole: int) -> str:
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"
