"""Invented plate maps by the layout rules of JUMP-Target-1.

Belongs here: which reagent lies in which of the 384 wells of each modality's plate. Does not belong here: the reagents
themselves (``reagents``) and which wells lack data (``official_table``).
"""

from itertools import chain

import numpy as np
import pandas as pd
from pandas.api.typing import DataFrameGroupBy

from cpjump_assets.science.positions import POSITIONS
from cpjump_assets.simulate.randomness import generator
from cpjump_assets.simulate.reagents import Reagents

EMPTY_WELLS = ("E01", "G04", "J05", "L08")
"""Wells of the CRISPR and of the ORF plate without a reagent, as on the real plates."""
_N_OUTER_CONTROL_WELLS = 15


def invent_plate_maps(reagents: Reagents, seed: int) -> dict[str, pd.DataFrame]:
    """Lay the reagents out.

    The rules of the design: both compounds of a target lie in outer wells or both in inner ones; the gene of outer
    compounds is outer on the genetic plates too; positive controls lie inside. As on the real CRISPR plate, one gene
    with a single guide has one well on the wrong side, in exchange with a positive control.

    Returns
    -------
    dict
        By modality (Compound, CRISPR, ORF) the plate map as in its file: ``well_position`` and ``broad_sample``, for
        compounds ``solvent`` too. Blank wells are DMSO on the compound plate (64) and empty on the others (4).
    """
    crispr = _place(
        generator(seed, "plate maps", "CRISPR"),
        *_wells_of_targets(reagents, _guides_by_target(reagents)),
        controls=_controls(reagents.guides, copies=2),
        reserved=EMPTY_WELLS,
    )
    _exchange_one_well(crispr, reagents)
    orfs = {gene: [orf, orf] for gene, orf in zip(reagents.orfs["gene"], reagents.orfs["broad_sample"], strict=True)}
    maps = {
        "Compound": _place(
            generator(seed, "plate maps", "Compound"),
            *_wells_of_targets(reagents, _compounds_by_target(reagents)),
            controls=[],
            reserved=(),
        ),
        "CRISPR": crispr,
        "ORF": _place(
            generator(seed, "plate maps", "ORF"),
            *_wells_of_targets(reagents, orfs),
            controls=_controls(reagents.orfs, copies=4),
            reserved=EMPTY_WELLS,
        ),
    }
    tables = {
        modality: pd.DataFrame({"well_position": list(wells), "broad_sample": list(wells.values())})
        for modality, wells in maps.items()
    }
    tables["Compound"]["solvent"] = "DMSO"
    return tables


def _compounds_by_target(reagents: Reagents) -> dict[str, list[str]]:
    return _two_wells_each(reagents.compounds.groupby("target"))


def _guides_by_target(reagents: Reagents) -> dict[str, list[str]]:
    return _two_wells_each(reagents.guides[reagents.guides["gene"] != ""].groupby("gene"))


def _two_wells_each(by_target: DataFrameGroupBy) -> dict[str, list[str]]:
    """Give what fills the two wells of each target: its two reagents, or its only one twice."""
    samples = {str(target): group["broad_sample"].tolist() for target, group in by_target}
    return {target: pair if len(pair) == 2 else pair * 2 for target, pair in samples.items()}


def _controls(table: pd.DataFrame, *, copies: int) -> list[str]:
    return table.loc[table["control_type"] == "negcon", "broad_sample"].tolist() * copies


def _wells_of_targets(reagents: Reagents, samples: dict[str, list[str]]) -> tuple[list[str], list[str]]:
    """Give what fills the outer and the inner wells: two wells for each target."""
    is_outer = reagents.targets.set_index("target")["is_outer"]
    outer = chain.from_iterable(samples[target] for target in is_outer.index[is_outer])
    inner = chain.from_iterable(samples[target] for target in is_outer.index[~is_outer])
    return list(outer), list(inner)


def _place(
    rng: np.random.Generator,
    outer: list[str],
    inner: list[str],
    *,
    controls: list[str],
    reserved: tuple[str, ...],
) -> dict[str, str]:
    """Put reagents into wells at random, outer ones outside; ``reserved`` wells and those left over stay blank.

    A01 always holds a treatment, as on the real plates, where the published examples begin with it.
    """
    free = POSITIONS.drop(index=list(reserved))
    edge = free.index[free["Metadata_is_outer"]].tolist()
    centre = free.index[~free["Metadata_is_outer"]].tolist()
    controls = rng.permutation(controls).tolist()
    outer = outer + controls[:_N_OUTER_CONTROL_WELLS]
    inner = inner + controls[_N_OUTER_CONTROL_WELLS:]
    wells = dict.fromkeys(POSITIONS.index, "")
    wells.update(zip([edge[0], *rng.permutation(edge[1:])], outer, strict=False))
    wells.update(zip(rng.permutation(centre), inner, strict=False))
    return wells


def _exchange_one_well(wells: dict[str, str], reagents: Reagents) -> None:
    """Exchange a well between an outer single-guide gene and the single-guide gene among the ``poscon_orf`` ones."""
    single = reagents.targets[reagents.targets["n_guides"] == 1]
    pair = [
        single.loc[single["is_outer"], "target"].iloc[0],
        single.loc[single["control_type"] == "poscon_orf", "target"].iloc[0],
    ]
    guide_of = reagents.guides.set_index("gene")["broad_sample"]
    first, second = ([well for well, sample in wells.items() if sample == guide_of[gene]][-1] for gene in pair)
    wells[first], wells[second] = wells[second], wells[first]
