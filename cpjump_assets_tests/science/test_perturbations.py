import pandas as pd
import pytest

from cpjump_assets.science.errors import BadTableError
from cpjump_assets.science.perturbations import TARGET_LIST_FILES, perturbation_table

BETTER, TARGETS_FILE = TARGET_LIST_FILES


@pytest.fixture
def inputs(raw):
    return {
        "compounds": raw.compounds,
        "target_lists": {TARGETS_FILE: raw.targets},
        "crispr": raw.crispr,
        "orf": raw.orf,
        "official": raw.official,
    }


def test_817_reagents(real):
    assert real.perturbations.groupby("Metadata_experiment_type").size().to_dict() == {
        "CRISPR": 335,
        "Compound": 307,
        "ORF": 175,
    }
    assert real.perturbations["Metadata_broad_sample"].is_unique
    assert "empty" not in set(real.perturbations["Metadata_broad_sample"])


def test_controls_of_each_modality(real):
    counts = real.perturbations.groupby(["Metadata_experiment_type", "Metadata_control_type"]).size().to_dict()
    assert counts == {
        ("CRISPR", "negcon"): 30,
        ("CRISPR", "poscon_cp"): 25,
        ("CRISPR", "poscon_diverse"): 28,
        ("CRISPR", "poscon_orf"): 5,
        ("Compound", "negcon"): 1,
        ("Compound", "poscon_cp"): 26,
        ("Compound", "poscon_diverse"): 14,
        ("Compound", "poscon_orf"): 6,
        ("ORF", "negcon"): 15,
        ("ORF", "poscon_cp"): 13,
        ("ORF", "poscon_diverse"): 14,
        ("ORF", "poscon_orf"): 3,
    }


def test_genes_guides_and_compounds_of_each_target(real):
    reagents = real.perturbations[real.perturbations["Metadata_control_type"] != "negcon"]
    per_target = reagents.groupby(["Metadata_experiment_type", "Metadata_target"]).size()
    assert per_target.groupby("Metadata_experiment_type").size().to_dict() == {
        "CRISPR": 160,
        "Compound": 160,
        "ORF": 160,
    }
    assert (per_target["ORF"] == 1).all()
    assert " ".join(sorted(per_target["CRISPR"].index[per_target["CRISPR"] == 1])) == (
        "AKR1C1 ALK CYP2A6 EZH2 GUCY1B1 ITGB2 LYN MAPK14 NTRK1 OPRM1 PLD1 RPL3 S1PR1 SIRT2 UGT1A9"
    )
    assert (per_target["CRISPR"] == 2).sum() == 145
    assert " ".join(sorted(per_target["Compound"].index[per_target["Compound"] == 1])) == (
        "AKT1 CDK7 CHEK2 DNMT3A GABRB2 HSP90AA1 IMPDH1 KRAS NAMPT PAK4 PIK3CG PLK1 RET TUBB"
    )
    assert (per_target["Compound"] == 2).sum() == 146


def test_negative_guides_target_what_they_cut(real):
    negative = real.perturbations.query("Metadata_experiment_type == 'CRISPR' and Metadata_control_type == 'negcon'")
    assert negative["Metadata_target"].value_counts().to_dict() == {"NO_SITE": 27, "ONE_INTERGENIC_SITE": 3}
    assert negative["Metadata_target_list"].isna().all()
    assert real.perturbations["Metadata_target_sequence"].nunique() == 335


def test_dmso_is_a_reagent_by_name(real):
    dmso = real.perturbations.set_index("Metadata_broad_sample").loc["DMSO"]
    assert dmso["Metadata_control_type"] == "negcon"
    assert dmso["Metadata_smiles"] == "CS(=O)C"
    assert pd.isna(dmso["Metadata_target"])
    assert pd.isna(dmso["Metadata_target_list"])


def test_names_are_the_official_ones_and_the_annotation_keeps_its_own(real):
    named = real.perturbations[real.perturbations["Metadata_pert_iname_annotation"].notna()]
    differs = named[named["Metadata_pert_iname"] != named["Metadata_pert_iname_annotation"]]
    pairs = differs[["Metadata_pert_iname", "Metadata_pert_iname_annotation"]].to_numpy().tolist()
    assert sorted(pairs) == [["ME0328", "ME-0328"], ["salicylic-acid|sodium-salicylate", "salicylic-acid"]]


def test_every_wells_facts_in_the_official_table_are_those_of_its_reagent(real, raw):
    official = raw.official[raw.official["Metadata_broad_sample"] != "empty"]
    joined = official.merge(real.perturbations, on="Metadata_broad_sample", suffixes=("_official", ""), how="left")
    columns = ("target", "control_type", "pert_type", "pert_iname", "InChIKey", "target_sequence", "pubchem_cid")
    # The official table leaves out what is known of the solvent.
    joined = joined[joined["Metadata_broad_sample"] != "DMSO"]
    for column in columns:
        ours, theirs = joined[f"Metadata_{column}"].fillna("-"), joined[f"Metadata_{column}_official"].fillna("-")
        assert (ours == theirs).all(), column
    assert (joined["Metadata_target_radix"].astype(str) == joined["Metadata_target_radix_official"]).all()


def test_target_lists_of_the_file_at_hand(real):
    compounds = real.perturbations[real.perturbations["Metadata_InChIKey"].notna()].query(
        "Metadata_pert_iname != 'DMSO'"
    )
    assert set(compounds["Metadata_target_list_source"]) == {TARGETS_FILE}
    lists = compounds["Metadata_target_list"].str.split("|")
    assert lists.map(len).value_counts().sort_index().head(6).tolist() == [98, 47, 23, 30, 19, 15]
    genes = set(compounds["Metadata_target"])
    cut = lists.map(lambda listed: len(genes.intersection(listed))).value_counts().sort_index()
    assert cut.tolist() == [1, 219, 48, 22, 8, 3, 3, 1, 1]
    own = [target in listed for target, listed in zip(compounds["Metadata_target"], lists, strict=True)]
    assert own.count(False) == 5


def test_a_gene_reagent_targets_its_own_gene(real):
    genetic = real.perturbations.query("Metadata_experiment_type != 'Compound'").dropna(subset="Metadata_target_list")
    assert (genetic["Metadata_target_list"] == genetic["Metadata_target"]).all()
    assert genetic.groupby("Metadata_experiment_type")["Metadata_target_list_source"].unique().map(list).to_dict() == {
        "CRISPR": ["JUMP-Target-1_crispr_metadata.tsv"],
        "ORF": ["JUMP-Target-1_orf_metadata.tsv"],
    }


def test_the_benchmarks_own_target_lists_are_preferred_and_named(inputs, raw):
    lists = raw.targets.assign(target_list=raw.targets["target_list"].where(raw.targets.index > 0, "TP53|EGFR"))
    both = {TARGETS_FILE: raw.targets, BETTER: lists}
    table = perturbation_table(**inputs | {"target_lists": both}).set_index("Metadata_broad_sample")
    first = table.loc[raw.targets.loc[0, "broad_sample"]]
    assert first["Metadata_target_list"] == "TP53|EGFR"
    assert first["Metadata_target_list_source"] == BETTER


def test_row_order_of_the_files_does_not_show(inputs, raw, real):
    shuffled = {name: frame.sample(frac=1, random_state=4) for name, frame in inputs.items() if name != "target_lists"}
    table = perturbation_table(**shuffled, target_lists={TARGETS_FILE: raw.targets.sample(frac=1, random_state=5)})
    pd.testing.assert_frame_equal(table, real.perturbations)


def _blank(frame, row):
    frame = frame.copy()
    frame.loc[row] = None
    return frame


def _set(frame, row, column, value):
    frame = frame.copy()
    frame.loc[row, column] = value
    return frame


@pytest.mark.parametrize(
    ("name", "spoil", "words"),
    [
        ("compounds", lambda f: _blank(f, 3), ["compound_metadata.tsv", "exactly one row, DMSO"]),
        ("compounds", lambda f: f[f["pert_iname"] != "DMSO"], ["compound_metadata.tsv", "exactly one row", "none"]),
        ("compounds", lambda f: _set(f, 306, "pert_iname", "water"), ["exactly one row, DMSO", "water"]),
        ("compounds", lambda f: f.drop(columns="InChIKey"), ["compound_metadata.tsv", "InChIKey"]),
        ("compounds", lambda f: pd.concat([f, f.head(1)]), ["more than once", "BRD-A86665761-001-01-1"]),
        ("compounds", lambda f: f.head(0), ["compound_metadata.tsv", "no rows"]),
        ("crispr", lambda f: _blank(f, 3), ["crispr_metadata.tsv", "broad_sample", "must have a value"]),
        ("crispr", lambda f: _set(f, 0, "control_type", "other"), ["control_type", "'other'", "BRDN0001480888"]),
        ("crispr", lambda f: _set(f, 0, "gene", "TP53"), ["BRDN0001480888", "'TP53'", "'HIF1A'", "Metadata_target"]),
        ("orf", lambda f: _blank(f, 3), ["orf_metadata.tsv", "one all-blank row", "found 2"]),
        ("orf", lambda f: _set(f, 3, "broad_sample", None), ["orf_metadata.tsv", "broad_sample", "must have a value"]),
        ("orf", lambda f: f.drop(index=0), ["cpjump1_metadata.csv", "no annotation", "ccsbBroad304_00900"]),
        ("official", lambda f: f.drop(columns="Metadata_target_radix"), ["cpjump1_metadata.csv", "target_radix"]),
        ("official", lambda f: _set(f, 0, "Metadata_pert_iname", "x"), ["each reagent", "ccsbBroad304_00900"]),
        ("official", lambda f: _set(f, 0, "Metadata_target_radix", "x"), ["ccsbBroad304_00900"]),
    ],
)
def test_a_bad_file_is_one_error_that_names_what_is_wrong(inputs, name, spoil, words):
    with pytest.raises(BadTableError) as error:
        perturbation_table(**inputs | {name: spoil(inputs[name])})
    for word in words:
        assert word in str(error.value)


def test_without_target_lists_or_with_short_ones_nothing_is_made(inputs, raw):
    with pytest.raises(BadTableError, match=BETTER):
        perturbation_table(**inputs | {"target_lists": {}})
    with pytest.raises(BadTableError, match=f"{TARGETS_FILE}: 1 compounds of .* are missing: BRD-A86665761-001-01-1"):
        perturbation_table(**inputs | {"target_lists": {TARGETS_FILE: raw.targets.drop(index=0)}})


def test_the_orf_file_may_lack_its_blank_row(inputs, raw, real):
    table = perturbation_table(**inputs | {"orf": raw.orf.dropna(how="all")})
    pd.testing.assert_frame_equal(table, real.perturbations)
