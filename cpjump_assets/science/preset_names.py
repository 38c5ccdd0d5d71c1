"""The names of the presets, apart from what they are: settings and the command line need no more.

Belongs here: names and the default. Does not belong here: parameters (``presets``).
"""

PAPER_2024_PRESET = "paper_2024"
PAPER_2021_PRESET = "paper_2021"
PRESET_NAMES = (PAPER_2024_PRESET, PAPER_2021_PRESET)
DEFAULT_PRESET = PAPER_2024_PRESET
PRESETS_FROM_CELLS = (PAPER_2021_PRESET,)
"""Presets whose wells are aggregated here from single cells; the others begin with the gallery's medians."""
