"""Figures of splits: what each subset holds, and what crosses between subsets.

Belongs here: drawing manifests and audits. Does not belong here: the rules of either (``science.splits``,
``science.leakage``).
"""

import pandas as pd
from matplotlib.figure import Figure

from cpjump_assets.figures.canvas import MODALITY_COLOURS, VERDICT_COLOURS, new_figure
from cpjump_assets.science.strategies import SUBSETS


def subsets_figure(manifest: pd.DataFrame) -> Figure:
    """Draw the wells of each subset, stacked by modality.

    Parameters
    ----------
    manifest
        ``SPLIT_MANIFEST`` of one strategy.
    """
    counts = pd.crosstab(manifest["subset"], manifest["Metadata_experiment_type"]).reindex(SUBSETS, fill_value=0)
    figure, ((axes,),) = new_figure(5.2, 2.2)
    left = pd.Series(0, index=counts.index)
    for modality, colour in MODALITY_COLOURS.items():
        width = counts.get(modality, pd.Series(0, index=counts.index))
        axes.barh(counts.index, width, left=left, color=colour, label=modality)
        left = left + width
    for place, total in enumerate(left):
        axes.text(total, place, f" {total:,}", va="center", fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, max(left.max() * 1.15, 1))
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel("wells", fontsize=8)
    axes.legend(fontsize=7, frameon=False, ncols=3, loc="lower right", bbox_to_anchor=(1, 1))
    return figure


def leakage_figure(audit: pd.DataFrame) -> Figure:
    """Draw the share of groups that cross subsets, for each leakage rule, in the colour of its verdict.

    Counts and the fate of a promise stand beside each bar in words: one group among thousands is a bar too thin to see.

    Parameters
    ----------
    audit
        ``LEAKAGE_AUDIT`` of one strategy.
    """
    figure, ((axes,),) = new_figure(6.4, 0.22 * len(audit) + 0.7)
    share = (audit["groups_crossing"] / audit["groups"].where(audit["groups"] > 0)).fillna(0)
    colours = [VERDICT_COLOURS[verdict] for verdict in audit["verdict"]]
    axes.barh(audit["rule"], share, color=colours)
    for place, row in enumerate(audit.itertuples(index=False)):
        promise = f", promise {'broken' if row.groups_crossing else 'kept'}" if row.promised else ""
        label = f" {row.groups_crossing:,}/{row.groups:,}{promise}"
        axes.text(share.iloc[place], place, label, va="center", fontsize=7)
    axes.set_ylim(len(audit) - 0.4, -0.6)
    axes.set_xlim(0, 1.5)
    axes.set_xticks([0, 0.5, 1], ["0", "50 %", "100 %"])
    axes.set_xlabel("share of groups that cross subsets", fontsize=8)
    return figure
