"""The levels of profiles that are published, from single cells to what a model is compared on.

Belongs here: their names and order. Does not belong here: how each is made (``normalize``, ``feature_selection``,
``spherize``), what its files are called (``gallery.layout``).
"""

from typing import Literal, get_args

Level = Literal[
    "aggregated", "annotated", "normalized", "normalized_whole_plate", "plate_selected", "selected", "spherized"
]
LEVELS: tuple[Level, ...] = get_args(Level)
"""In the order in which they are made."""

MADE_OTHERWISE: frozenset[Level] = frozenset({"spherized"})
"""Levels whose files in the gallery were not made by the pipeline of its profiles (``spherize`` says how they were), so
that ours cannot be equal to them."""
