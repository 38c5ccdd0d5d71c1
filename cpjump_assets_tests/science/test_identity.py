from itertools import combinations

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from cpjump_assets.science.identity import first_blocks, identity_groups, joined_pairs, normalize_names


def test_case_punctuation_and_spaces_do_not_tell_names_apart():
    names = pd.Series(["ME-0328", "me 0328", "ME_0328", "glutamine-(l)", "2,5-furandimethanol"])
    assert normalize_names(names).tolist() == ["me0328"] * 3 + ["glutaminel", "25furandimethanol"]


def test_the_first_block_ends_at_the_first_dash():
    keys = pd.Series(["LOUPRKONTZGTKE-AFHBHXEDSA-N", None], dtype="str")
    assert first_blocks(keys).tolist()[0] == "LOUPRKONTZGTKE"
    assert first_blocks(keys).isna().tolist() == [False, True]
    assert first_blocks(keys.tail(1)).isna().all()


def test_published_counts_by_each_rule(real):
    compounds = real.perturbations.query("Metadata_experiment_type == 'Compound' and Metadata_broad_sample != 'DMSO'")
    counts = compounds.nunique()
    assert len(compounds) == counts["Metadata_broad_sample"] == counts["Metadata_InChIKey"] == 306
    assert counts["Metadata_pert_iname"] == 303
    assert counts["Metadata_pert_iname_normalized"] == 302
    assert counts["Metadata_InChIKey_block1"] == 302
    assert counts["Metadata_identity_group"] == 301


def test_five_pairs_of_which_one_is_of_the_same_skeleton(real):
    pairs = joined_pairs(real.perturbations)
    names = real.perturbations.set_index("Metadata_broad_sample")["Metadata_pert_iname"]
    found = {
        tuple(sorted({names[first], names[second]})): (evidence, kind)
        for _, first, second, evidence, kind in pairs.itertuples(index=False, name=None)
    }
    assert found == {
        ("BVT-948",): ("name, normalized name", "one compound"),
        ("dexamethasone",): ("name, normalized name, first block", "one compound"),
        ("thiostrepton",): ("name, normalized name, first block", "one compound"),
        ("ME-0328", "ME0328"): ("normalized name, first block", "one compound"),
        ("quinidine", "quinine"): ("first block", "same skeleton"),
    }


def test_guides_orfs_and_dmso_stand_alone(real):
    others = real.perturbations.query("Metadata_experiment_type != 'Compound' or Metadata_broad_sample == 'DMSO'")
    assert len(others) == 511
    assert (others["Metadata_identity_group"] == others["Metadata_broad_sample"]).all()


@st.composite
def compounds(draw):
    n = draw(st.integers(1, 12))
    names = draw(st.lists(st.sampled_from(["a", "A", "a-", "b", "b b", "bb", "c"]), min_size=n, max_size=n))
    blocks = draw(st.lists(st.sampled_from(["X", "Y", "Z", None]), min_size=n, max_size=n))
    table = pd.DataFrame(
        {
            "Metadata_broad_sample": [f"id{number:02d}" for number in range(n)],
            "Metadata_pert_iname": names,
            "Metadata_InChIKey_block1": pd.Series(blocks, dtype="str"),
        }
    )
    table["Metadata_pert_iname_normalized"] = normalize_names(table["Metadata_pert_iname"])
    return table.sample(frac=1, random_state=draw(st.integers(0, 9)))


@given(compounds())
def test_groups_are_those_of_joining_pair_after_pair(table):
    group = {row.Metadata_broad_sample: {row.Metadata_broad_sample} for row in table.itertuples()}
    for first, second in combinations(table.itertuples(), 2):
        same_block = first.Metadata_InChIKey_block1 == second.Metadata_InChIKey_block1
        if first.Metadata_pert_iname_normalized == second.Metadata_pert_iname_normalized or same_block:
            joined = group[first.Metadata_broad_sample] | group[second.Metadata_broad_sample]
            for member in joined:
                group[member] = joined
    expected = [min(group[sample]) for sample in table["Metadata_broad_sample"]]
    assert identity_groups(table).tolist() == expected
