"""Figures of benchmark scores.

Belongs here: drawing scores as the 2024 paper does. Does not belong here: computing them (``science.detection``).
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from cpjump_assets.figures.canvas import MODALITY_COLOURS, MUTED, new_figure, to_png
from cpjump_assets.science.strategies import SUBSETS

_CONDITION = ["Metadata_experiment_type", "Metadata_cell_line", "Metadata_timepoint"]


def fraction_retrieved_figure(scores: pd.DataFrame) -> bytes:
    """Draw the fraction retrieved of each condition with its interval, a panel for each subset, after Fig. 4a (2024).

    Parameters
    ----------
    scores
        Score rows; a row without a number is marked n/a, because a missing score is a finding too.
    """
    present = set(scores["subset"])
    subsets = [subset for subset in SUBSETS if subset in present] or sorted(present)
    conditions = scores.drop_duplicates(_CONDITION).sort_values(_CONDITION)[_CONDITION]
    figure, panels = new_figure(0.36 * len(conditions) + 1.4, 1.7 * len(subsets) + 1.3, panels=len(subsets))
    for panel, subset in zip(panels, subsets, strict=True):
        _draw_bars(panel, conditions.merge(scores[scores["subset"] == subset], on=_CONDITION, how="left"))
        panel.set_title(f"{subset} wells", loc="left", fontsize=8)
        panel.set_ylabel("fraction retrieved", fontsize=8)
    labels = [f"{kind} {line} {hours} h" for kind, line, hours in conditions.itertuples(index=False)]
    panels[-1].set_xticks(range(len(labels)), labels, rotation=90, fontsize=7)
    return to_png(figure)


def _draw_bars(panel: Axes, rows: pd.DataFrame) -> None:
    value, low, high = (rows[f"fraction_retrieved{end}"].to_numpy(dtype=float) for end in ("", "_low", "_high"))
    scored = np.flatnonzero(~np.isnan(value))
    colours = [MODALITY_COLOURS[kind] for kind in rows["Metadata_experiment_type"].iloc[scored]]
    # A percentile interval need not hold the estimate; where it does not, there is nothing to draw on that side.
    spread = np.maximum([(value - low)[scored], (high - value)[scored]], 0)
    panel.bar(scored, value[scored], color=colours, yerr=spread, ecolor=MUTED, error_kw={"linewidth": 1})
    for place, number in enumerate(value):
        top, text = (0.0, "n/a") if np.isnan(number) else (np.fmax(number, high[place]), f"{number:.2f}")
        panel.text(place, top + 0.03, text, ha="center", fontsize=7, color=MUTED if text == "n/a" else "black")
    panel.set_ylim(0, 1.18)
    panel.set_yticks(np.linspace(0, 1, 5))
    panel.set_xlim(-0.6, len(rows) - 0.4)
