"""The invented reagents have the composition of JUMP-Target-1, irregularities included."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpjump_assets.science.identity import identity_groups, normalize_names
from cpjump_assets.simulate.reagents import STEREOISOMER_TARGETS, Reagents, invent_reagents


@pytest.fixture(scope="module")
def reagents() -> Reagents:
    return invent_reagents(0)


def counts(series: pd.Series) -> dict[str, int]:
    return {str(value): int(n) for value, n in series.value_counts().items()}


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_numbers_of_the_design_hold_for_any_seed(seed: int):
    made = invent_reagents(seed)
    assert counts(made.compounds["control_type"]) == {"": 260, "poscon_cp": 26, "poscon_orf": 6, "poscon_diverse": 14}
    assert counts(made.guides["control_type"]) == {
        "": 247,
        "negcon": 30,
        "poscon_cp": 25,
        "poscon_orf": 5,
        "poscon_diverse": 28,
    }
    assert counts(made.orfs["control_type"]) == {
        "": 130,
        "negcon": 15,
        "poscon_cp": 13,
        "poscon_orf": 3,
        "poscon_diverse": 14,
    }
    ids = pd.concat([table["broad_sample"] for table in (made.compounds, made.guides, made.orfs)])
    assert ids.is_unique and len(ids) == 306 + 335 + 175
    assert made.targets["target"].is_unique and len(made.targets) == 160
    assert not set(made.orfs.loc[made.orfs["control_type"] == "negcon", "gene"]) & set(made.targets["target"])


def test_one_modality_has_the_targets_of_the_others(reagents: Reagents):
    targets = set(reagents.targets["target"])
    assert set(reagents.compounds["target"]) == targets
    assert set(reagents.guides["gene"]) - {""} == targets
    assert set(reagents.orfs.loc[reagents.orfs["control_type"] != "negcon", "gene"]) == targets
    roles = reagents.targets.set_index("target")["control_type"]
    for table, gene in ((reagents.compounds, "target"), (reagents.guides, "gene"), (reagents.orfs, "gene")):
        own = table[table[gene].isin(targets)]
        assert (own["control_type"].to_numpy() == roles[own[gene]].to_numpy()).all()


def test_fourteen_targets_have_one_compound_and_fifteen_genes_one_guide(reagents: Reagents):
    per_target = reagents.compounds["target"].value_counts()
    assert counts(per_target) == {"2": 146, "1": 14}
    diverse = reagents.targets.query("control_type == 'poscon_diverse'")["target"]
    assert set(per_target.index[per_target == 1]) == set(diverse)
    per_gene = reagents.guides.loc[reagents.guides["gene"] != "", "gene"].value_counts()
    assert counts(per_gene) == {"2": 145, "1": 15}


def test_negative_control_guides(reagents: Reagents):
    assert counts(reagents.guides["negcon_control_type"]) == {
        "": 305,
        "NO_SITE (5 zeros)": 24,
        "NO_SITE (6 zeros)": 2,
        "NO_SITE (9 zeros)": 1,
        "ONE_INTERGENIC_SITE": 3,
    }


def test_five_pairs_of_ids_are_one_compound_or_stereoisomers(reagents: Reagents):
    """The counts of the real set: 306 ids, 303 names, 302 normalized names, 302 skeletons, 301 by their union."""
    compounds = pd.DataFrame(
        {
            "Metadata_broad_sample": reagents.compounds["broad_sample"],
            "Metadata_pert_iname": reagents.compounds["official_pert_iname"],
            "Metadata_pert_iname_normalized": normalize_names(reagents.compounds["official_pert_iname"]),
            "Metadata_InChIKey_block1": reagents.compounds["InChIKey"].str[:14],
        }
    )
    assert reagents.compounds["InChIKey"].nunique() == 306
    assert compounds.drop(columns="Metadata_broad_sample").nunique().tolist() == [303, 302, 302]
    groups = identity_groups(compounds)
    assert groups.nunique() == 301
    pairs = reagents.compounds[groups.duplicated(keep=False)].groupby(groups)
    assert sorted(pairs["target"].nunique()) == [1, 1, 1, 1, 2]  # the last are stereoisomers with different targets
    treatments = reagents.targets.query("control_type == ''")["target"]
    (stereoisomers,) = (pair for _, pair in pairs if pair["target"].nunique() == 2)
    assert set(stereoisomers["target"]) == set(treatments.iloc[list(STEREOISOMER_TARGETS)])
    assert stereoisomers["official_pert_iname"].nunique() == 2


def test_two_official_names_differ_from_the_annotation(reagents: Reagents):
    compounds = reagents.compounds
    drifted = compounds[compounds["pert_iname"] != compounds["official_pert_iname"]]
    assert len(drifted) == 2
    assert drifted["official_pert_iname"].str.contains("sodium", regex=False).sum() == 1


def test_target_lists(reagents: Reagents):
    lists = reagents.compounds["target_list"].str.split("|")
    assert all(genes == sorted(set(genes)) and genes for genes in lists)
    own = [target in genes for target, genes in zip(reagents.compounds["target"], lists, strict=True)]
    assert own.count(False) == 5
    within_design = lists.map(lambda genes: len(set(genes) & set(reagents.targets["target"])))
    assert (within_design > 1).mean() == pytest.approx(0.29, abs=0.08)  # 28.8 % of the real compounds


def test_odd_identifiers(reagents: Reagents):
    compounds = reagents.compounds
    assert compounds["broad_sample"].str.startswith("BRD-A").sum() == 45
    assert (compounds["pubchem_cid"] == "").sum() == 10
    assert counts(compounds["mmoles_per_liter"]) == {"5": 300, "4.9936": 3, "4.971": 2, "1": 1}


def test_seeds_make_different_reagents():
    first, again, other = invent_reagents(0), invent_reagents(0), invent_reagents(1)
    pd.testing.assert_frame_equal(first.compounds, again.compounds)
    assert not set(first.compounds["broad_sample"]) & set(other.compounds["broad_sample"])
