"""Invented reagents with the composition of JUMP-Target-1.

Belongs here: 160 targets with their compounds, guides and ORFs, the negative controls, and the irregularities of the
real set: compounds of two names, stereoisomers, single guides, target lists. Does not belong here: where a reagent lies
(``plate_maps``) and what it does to cells (``truth``).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cpjump_assets.simulate import identifiers
from cpjump_assets.simulate.randomness import generator

_TARGETS_OF_ROLE = {"poscon_cp": 13, "poscon_orf": 3, "poscon_diverse": 14, "": 130}
"""Targets per kind of control; ``""`` is a treatment."""
_N_OUTER_TARGETS = 64
_N_OTHER_GENES = 200
"""Genes that only target lists name."""
_N_UNDEFINED_STEREO = 45
_N_WITHOUT_OWN_TARGET = 5
_N_WITHOUT_PUBCHEM = 10
_GUIDE_CONTROLS = {
    "NO_SITE (5 zeros)": 24,
    "NO_SITE (6 zeros)": 2,
    "NO_SITE (9 zeros)": 1,
    "ONE_INTERGENIC_SITE": 3,
}
_N_ORF_CONTROLS = 15
# Stock concentrations in mM that are not 5, and how many compounds have each; one is a fifth of the others.
_ODD_STOCKS = ("1", "4.971", "4.971", "4.9936", "4.9936", "4.9936")

# Treatment targets, by their place among the 130, whose two compounds are one and the same substance under two ids.
SAME_NAME_OTHER_SKELETON = (2,)
SAME_NAME_SAME_SKELETON = (42, 82)
SAME_NORMALIZED_NAME = (122,)
STEREOISOMER_TARGETS = (4, 5)
"""Two targets with one compound each that share the skeleton, but neither name nor target."""

DMSO_ROW = {
    "InChIKey": "IAZDPXIOMUYVGZ-UHFFFAOYSA-N",
    "pert_iname": "DMSO",
    "pubchem_cid": "679",
    "pert_type": "control",
    "control_type": "negcon",
    "smiles": "CS(=O)C",
}


@dataclass(frozen=True)
class Reagents:
    """The invented reagents; missing strings are empty.

    Attributes
    ----------
    targets
        160 rows: ``target``, ``control_type``, ``is_outer`` (lies in outer wells), ``n_compounds``, ``n_guides``.
    compounds
        306 rows, as in the compound annotation with ``target_list``, and with ``official_pert_iname``, ``mg_per_ml``
        and ``mmoles_per_liter`` as in the official split table.
    guides
        335 rows, as in the CRISPR annotation.
    orfs
        175 rows, as in the ORF annotation.
    """

    targets: pd.DataFrame
    compounds: pd.DataFrame
    guides: pd.DataFrame
    orfs: pd.DataFrame


def invent_reagents(seed: int) -> Reagents:
    """Invent the reagents of one seed."""
    rng = generator(seed, "reagents")
    n_targets = sum(_TARGETS_OF_ROLE.values())
    genes = identifiers.gene_symbols(rng, n_targets + _N_ORF_CONTROLS + _N_OTHER_GENES)
    targets = _targets(genes[:n_targets])
    return Reagents(
        targets=targets,
        compounds=_compounds(rng, targets, other_genes=genes[n_targets:]),
        guides=_guides(rng, targets),
        orfs=_orfs(rng, targets, control_genes=genes[n_targets : n_targets + _N_ORF_CONTROLS]),
    )


def _targets(genes: list[str]) -> pd.DataFrame:
    roles = [role for role, n in _TARGETS_OF_ROLE.items() for _ in range(n)]
    targets = pd.DataFrame({"target": genes, "control_type": roles})
    place = targets.groupby("control_type").cumcount()
    treatment = targets["control_type"] == ""
    # Fifteen genes have one guide: every tenth treatment, and one of each kind of positive control that has pairs.
    single = (treatment & (place % 10 == 0)) | (
        targets["control_type"].isin(["poscon_cp", "poscon_orf"]) & (place == 0)
    )
    return targets.assign(
        is_outer=treatment & (place < _N_OUTER_TARGETS),
        n_compounds=np.where(targets["control_type"] == "poscon_diverse", 1, 2),
        n_guides=np.where(single, 1, 2),
    )


def _compounds(rng: np.random.Generator, targets: pd.DataFrame, *, other_genes: list[str]) -> pd.DataFrame:
    table = targets.loc[targets.index.repeat(targets["n_compounds"]), ["target", "control_type"]].reset_index(drop=True)
    n = len(table)
    names = identifiers.compound_names(rng, n)
    blocks = identifiers.skeletons(rng, n)
    officials = _plant_identities(table, names, blocks)
    twins = pd.Series(blocks).duplicated(keep=False).to_numpy()
    stereo_defined = np.ones(n, dtype=bool)
    stereo_defined[rng.choice(np.flatnonzero(~twins), size=_N_UNDEFINED_STEREO, replace=False)] = False
    cids = rng.choice(10**8, size=n, replace=False).astype(str)
    cids[rng.choice(n, size=_N_WITHOUT_PUBCHEM, replace=False)] = ""
    stocks = np.array([*_ODD_STOCKS, *["5"] * (n - len(_ODD_STOCKS))])
    return table.assign(
        broad_sample=identifiers.compound_ids(rng, stereo_defined),
        InChIKey=identifiers.inchikeys(rng, blocks, stereo_defined),
        pert_iname=names,
        official_pert_iname=officials,
        pubchem_cid=cids,
        target_list=_target_lists(rng, table["target"], other_genes),
        pert_type=_pert_types(table["control_type"]),
        # carbon chains: valid, and plainly no drug
        smiles=["C" * (2 + i % 30) + "O" * (1 + i // 30) for i in range(n)],
        mg_per_ml=[f"{value:.5g}" for value in rng.uniform(1.0, 4.0, n)],
        mmoles_per_liter=rng.permutation(stocks),
    )


def _plant_identities(table: pd.DataFrame, names: list[str], blocks: list[str]) -> list[str]:
    """Make some pairs of ids one substance, or stereoisomers, in place; give the names of the official split table.

    As in the real annotation, two names differ from those of the official table: one is spelled without its hyphen
    there, one names a salt as well.
    """
    treatment = table.index[table["control_type"] == ""].to_numpy().reshape(-1, 2)
    for place in (*SAME_NAME_OTHER_SKELETON, *SAME_NAME_SAME_SKELETON, *SAME_NORMALIZED_NAME):
        first, second = treatment[place]
        names[second] = names[first]
    for place in (*SAME_NAME_SAME_SKELETON, *SAME_NORMALIZED_NAME):
        first, second = treatment[place]
        blocks[second] = blocks[first]
    left, right = (treatment[place][0] for place in STEREOISOMER_TARGETS)
    blocks[right] = blocks[left]

    officials = list(names)
    first, second = treatment[SAME_NORMALIZED_NAME[0]]
    names[first] = names[second] = officials[first] = f"QZ-{first:04d}"
    officials[second] = f"QZ{first:04d}"
    salt = treatment[-1][0]
    officials[salt] = f"{names[salt]}|sodium-{names[salt]}"
    return officials


def _target_lists(rng: np.random.Generator, own: pd.Series, other_genes: list[str]) -> list[str]:
    """Give sorted target lists: a third names one gene, the others more, most of those outside the 160."""
    design_genes = own.unique()
    without_own = set(rng.choice(len(own), size=_N_WITHOUT_OWN_TARGET, replace=False).tolist())
    lists = []
    for i, target in enumerate(own):
        n_more = min(int(rng.geometric(0.25)) - 1, 40) if rng.random() < 0.7 or i in without_own else 0
        n_design = int(rng.binomial(n_more, 0.15))
        more = {*rng.choice(design_genes, n_design, replace=False), *rng.choice(other_genes, n_more - n_design)}
        genes = (more - {target} or {other_genes[i % len(other_genes)]}) if i in without_own else more | {target}
        lists.append("|".join(sorted(genes)))
    return lists


def _guides(rng: np.random.Generator, targets: pd.DataFrame) -> pd.DataFrame:
    genes = targets.loc[targets.index.repeat(targets["n_guides"]), ["target", "control_type"]]
    controls = [kind for kind, n in _GUIDE_CONTROLS.items() for _ in range(n)]
    table = pd.DataFrame(
        {
            "gene": [*genes["target"], *[""] * len(controls)],
            "control_type": [*genes["control_type"], *["negcon"] * len(controls)],
            "negcon_control_type": [*[""] * len(genes), *controls],
        }
    )
    return table.assign(
        broad_sample=identifiers.guide_ids(rng, len(table)),
        pert_type=_pert_types(table["control_type"]),
        target_sequence=identifiers.guide_sequences(rng, len(table)),
    )


def _orfs(rng: np.random.Generator, targets: pd.DataFrame, *, control_genes: list[str]) -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "gene": [*targets["target"], *control_genes],
            "control_type": [*targets["control_type"], *["negcon"] * len(control_genes)],
        }
    )
    return table.assign(broad_sample=identifiers.orf_ids(rng, len(table)), pert_type=_pert_types(table["control_type"]))


def _pert_types(control_types: pd.Series) -> np.ndarray:
    return np.where(control_types == "", "trt", "control")
