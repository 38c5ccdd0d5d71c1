"""When two compound ids are one compound.

Belongs here: normalized names, first InChIKey blocks, the groups that they join, and the kind of each joined pair. Does
not belong here: whether such a pair crosses a split (``leakage_rules``).
"""

from itertools import combinations

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from cpjump_assets.science.schemas import STRING

ONE_COMPOUND = "one compound"
SAME_SKELETON = "same skeleton"


def normalize_names(names: pd.Series) -> pd.Series:
    """Drop case, punctuation and spaces: ``ME-0328`` and ``ME0328`` become ``me0328``."""
    return names.str.lower().str.replace(r"[\W_]+", "", regex=True)


def first_blocks(inchikeys: pd.Series) -> pd.Series:
    """Give the first block of each InChIKey: the hash of the skeleton, without stereochemistry and charge."""
    return inchikeys.str.extract(r"^([^-]*)", expand=False)


def identity_groups(compounds: pd.DataFrame) -> pd.Series:
    """Join compound ids by the union of exact name, normalized name and first InChIKey block.

    The published counts differ by the rule: 306 ids, 303 names, 302 normalized names, 302 first blocks, 301 by the
    union.

    Parameters
    ----------
    compounds
        One row per id, with ``Metadata_broad_sample``, ``Metadata_pert_iname``, ``Metadata_pert_iname_normalized`` and
        ``Metadata_InChIKey_block1``; a missing value joins nothing.

    Returns
    -------
    Series of str
        For each row the first id, in codepoint order, of its group; aligned with ``compounds``.
    """
    samples = compounds["Metadata_broad_sample"]
    n = len(samples)
    # Nodes 0..n-1 are ids; each value of each rule is a further node, joined to the ids that carry it.
    ids, values, n_nodes = [], [], n
    for column in ("Metadata_pert_iname", "Metadata_pert_iname_normalized", "Metadata_InChIKey_block1"):
        codes, uniques = pd.factorize(compounds[column])
        carriers = np.flatnonzero(codes >= 0)
        ids.append(carriers)
        values.append(codes[carriers] + n_nodes)
        n_nodes += len(uniques)
    rows, columns = np.concatenate(ids), np.concatenate(values)
    graph = coo_array((np.ones(len(rows)), (rows, columns)), shape=(n_nodes, n_nodes))
    components = connected_components(graph, directed=False)[1][:n]
    return samples.groupby(components).transform("min")


def joined_pairs(perturbations: pd.DataFrame) -> pd.DataFrame:
    """List the pairs of compound ids that name, normalized name or skeleton join, and say what each pair is.

    Parameters
    ----------
    perturbations
        The table of reagents (``schemas.PERTURBATIONS``).

    Returns
    -------
    DataFrame
        One row per pair: ``Metadata_identity_group``, ``Metadata_broad_sample``, ``other``, ``evidence`` (the rules
        that join them) and ``kind``: ``one compound`` when the normalized names or the whole InChIKeys agree, else
        ``same skeleton``: stereoisomers, such as quinine and quinidine, which may act on different targets. Pairs that
        only a third id links are left out.
    """
    compounds = perturbations[perturbations["Metadata_experiment_type"] == "Compound"].sort_values(
        "Metadata_broad_sample"
    )
    shared = compounds[compounds.duplicated("Metadata_identity_group", keep=False)]
    pairs = [
        pair
        for _, group in shared.groupby("Metadata_identity_group")
        for first, second in combinations(group.to_dict("records"), 2)
        if (pair := _pair(first, second))["evidence"]
    ]
    columns = ["Metadata_identity_group", "Metadata_broad_sample", "other", "evidence", "kind"]
    return pd.DataFrame(pairs, columns=columns, dtype=STRING)


def _pair(first: dict, second: dict) -> dict:
    rules = {
        "name": "Metadata_pert_iname",
        "normalized name": "Metadata_pert_iname_normalized",
        "InChIKey": "Metadata_InChIKey",
        "first block": "Metadata_InChIKey_block1",
    }
    evidence = [rule for rule, column in rules.items() if first[column] == second[column]]
    return {
        "Metadata_identity_group": first["Metadata_identity_group"],
        "Metadata_broad_sample": first["Metadata_broad_sample"],
        "other": second["Metadata_broad_sample"],
        "evidence": ", ".join(evidence),
        "kind": SAME_SKELETON if evidence == ["first block"] else ONE_COMPOUND,
    }
