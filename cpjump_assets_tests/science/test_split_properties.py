"""Manifests and audits of random layouts, against counts made with dictionaries and sets."""

from collections import defaultdict
from fractions import Fraction
from math import ceil, floor
from types import SimpleNamespace

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from cpjump_assets.science.identity import first_blocks, identity_groups, normalize_names
from cpjump_assets.science.leakage import audit, leaking_wells, violations
from cpjump_assets.science.plates import MAIN_BATCH
from cpjump_assets.science.policies import POLICIES
from cpjump_assets.science.positions import POSITIONS
from cpjump_assets.science.schemas import PERTURBATIONS, STRING, WELLS
from cpjump_assets.science.splits import SLICE, STRATEGIES, split_manifest

REPRESENTATION, GENE_COMPOUND, CELLCLIP = STRATEGIES
SEEDING_FAILED = "BR00116995"
TYPES = {"Compound": (24, 48), "CRISPR": (96, 144), "ORF": (48, 96)}
# A seed decides a layout, so that there is nothing to shrink.
FEW = settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.generate],
)


def reagents(rng, n_genes):
    """Invent reagents: some genes lack a modality, some compounds share names or skeletons, some act on more genes."""
    rows = [("DMSO", "Compound", "control", "negcon", None, "DMSO", None, None)]
    genes = [f"GENE{number:02d}" for number in rng.permutation(n_genes)]
    for gene in genes:
        twins = rng.random() < 0.3
        for copy in range(rng.integers(0, 3)):
            name = f"drug {gene}" if twins else f"drug {gene} {copy}"
            block = f"SKELETON{rng.integers(0, n_genes):02d}"
            listed = "|".join([gene, *rng.choice(genes, rng.integers(0, 3))])
            control = "poscon_cp" if rng.random() < 0.2 else None
            rows.append((f"BRD-{gene}-{copy}", "Compound", "trt", control, gene, name, f"{block}-{copy}-N", listed))
        for guide in range(rng.integers(0, 4)):
            rows.append((f"BRDN-{gene}-{guide}", "CRISPR", "trt", None, gene, f"BRDN-{gene}-{guide}", None, gene))
        for _ in range(rng.integers(0, 2)):
            rows.append((f"ccsb-{gene}", "ORF", "trt", None, gene, f"ccsb-{gene}", None, gene))
    rows.append(("BRDN-none", "CRISPR", "control", "negcon", "NO_SITE", "BRDN-none", None, None))
    columns = ("broad_sample", "experiment_type", "pert_type", "control_type", "target", "pert_iname", "InChIKey")
    table = pd.DataFrame(rows, columns=[f"Metadata_{name}" for name in (*columns, "target_list")])
    table["Metadata_pert_type"] = table["Metadata_pert_type"].mask(table["Metadata_control_type"].notna(), "control")
    table = table.reindex(columns=PERTURBATIONS.column_names)
    table["Metadata_pert_iname_normalized"] = normalize_names(table["Metadata_pert_iname"])
    table["Metadata_InChIKey_block1"] = first_blocks(table["Metadata_InChIKey"].astype(STRING))
    table["Metadata_identity_group"] = identity_groups(table.astype({"Metadata_broad_sample": STRING}))
    radix = dict(zip(genes, rng.integers(0, max(2, n_genes // 2), n_genes), strict=True))
    table["Metadata_target_radix"] = table["Metadata_target"].map(radix)
    return PERTURBATIONS.normalise(table, "invented")


def plates(rng, perturbations):
    """Invent plates of each modality, time and line, each with some of the reagents, DMSO and empty wells."""
    by_type = perturbations.groupby("Metadata_experiment_type")["Metadata_broad_sample"].agg(list)
    number, failed = 0, rng.integers(1, 13)
    for experiment_type, hours in TYPES.items():
        for code, timepoint in zip(("low", "high"), hours, strict=True):
            for line in ("A549", "U2OS"):
                for _ in range(rng.integers(0, 3)):
                    number += 1
                    samples = [*by_type.get(experiment_type, []), "empty"] * 2
                    samples = rng.permutation(samples)[: rng.integers(1, len(samples) + 1)]
                    yield pd.DataFrame(
                        {
                            "Metadata_Plate": SEEDING_FAILED if number == failed else f"BR{number:08d}",
                            "Metadata_Well": rng.choice(POSITIONS.index, len(samples), replace=False),
                            "Metadata_broad_sample": samples,
                            "Metadata_experiment_type": experiment_type,
                            "Metadata_cell_line": line,
                            "Metadata_timepoint": timepoint,
                            "Metadata_timepoint_code": code,
                            "Metadata_anomaly": rng.choice(["none", "WGA"]),
                            "Metadata_is_primary": rng.random() < 0.9,
                            "Metadata_in_official_table": rng.random(len(samples)) < 0.95,
                        }
                    )


@st.composite
def layouts(draw):
    """Draw a layout: a seed decides everything, so that a failure is told by one number."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    perturbations = reagents(rng, draw(st.integers(1, 9)))
    frames = list(plates(rng, perturbations))
    frames = frames or [pd.DataFrame(columns=["Metadata_Plate", "Metadata_Well"])]
    known = ["Metadata_broad_sample", "Metadata_pert_type", "Metadata_control_type", "Metadata_target"]
    known += ["Metadata_pert_iname", "Metadata_target_radix"]
    wells = pd.concat(frames, ignore_index=True).reindex(
        columns=[name for name in WELLS.column_names if name not in (*known[1:], "Metadata_row", "Metadata_column")]
    )
    wells = wells.drop(columns="Metadata_is_outer").merge(perturbations[known], how="left", on="Metadata_broad_sample")
    wells = wells.merge(POSITIONS, left_on="Metadata_Well", right_index=True)
    types = perturbations.dropna(subset="Metadata_target").groupby("Metadata_target")["Metadata_experiment_type"]
    across = wells["Metadata_target"].map(types.nunique()) == 3
    empty = wells["Metadata_broad_sample"] == "empty"
    wells = wells.assign(
        Metadata_Batch=MAIN_BATCH,
        Metadata_pert_type=wells["Metadata_pert_type"].mask(empty, "empty"),
        Metadata_pert_iname=wells["Metadata_pert_iname"].mask(empty, "empty"),
        Metadata_density=100,
        Metadata_antibiotics="absent",
        Metadata_cell_background="Parental",
        Metadata_time_delay="Day0",
        Metadata_target_is_across=across,
    )
    wells["Metadata_eligible"] = (
        wells["Metadata_is_primary"].astype(bool)
        & wells["Metadata_in_official_table"].astype(bool)
        & ~empty
        & (wells["Metadata_control_type"] != "negcon")
    )
    reason = pd.Series(None, index=wells.index, dtype=STRING).mask(~wells["Metadata_eligible"], "empty")
    wells["Metadata_ineligible_reason"] = reason
    return SimpleNamespace(wells=WELLS.normalise(wells, "invented"), perturbations=perturbations)


def taking_part(layout, policy):
    policy, *without = policy.split("+without_")
    for well in layout.wells.to_dict("records"):
        negative = well["Metadata_control_type"] == "negcon"
        empty = well["Metadata_broad_sample"] == "empty"
        kept = {
            "keep_all": True,
            "drop_negcon_and_empty": not negative and not empty,
            "drop_controls_and_empty": well["Metadata_pert_type"] == "trt",
        }[policy]
        issues = {
            "seeding_failure": well["Metadata_Plate"] == SEEDING_FAILED,
            "stain_anomaly": well["Metadata_anomaly"] != "none",
            "absent_from_official_table": not well["Metadata_in_official_table"],
        }
        kept = kept and not any(issues[kind] for kind in without)
        if kept and well["Metadata_is_primary"] and well["Metadata_in_official_table"]:
            yield well


def expected_subsets(layout, strategy, policy):
    """Assign as the note says, well by well."""
    wells = list(taking_part(layout, policy))
    if strategy == REPRESENTATION:
        code = {"low": "validate", "high": "test"}
        subset = [
            code[well["Metadata_timepoint_code"]] if well["Metadata_experiment_type"] == "Compound" else "train"
            for well in wells
        ]
    elif strategy == GENE_COMPOUND:
        wells = [well for well in wells if well["Metadata_target_is_across"] is True]
        order = sorted({(well["Metadata_target_radix"], well["Metadata_target"]) for well in wells})
        n = len(order)
        n_train, n_validate = floor(Fraction(6, 10) * n), ceil(Fraction(2, 10) * n)
        place = {target: number for number, (_, target) in enumerate(order)}
        subset = [
            "train"
            if place[well["Metadata_target"]] < n_train
            else "validate"
            if place[well["Metadata_target"]] < n_train + n_validate
            else "test"
            for well in wells
        ]
    else:
        samples = defaultdict(set)
        for well in wells:
            samples[tuple(well[name] for name in SLICE)].add(well["Metadata_broad_sample"])
        train = {key: sorted(names)[: floor(Fraction(3, 4) * len(names))] for key, names in samples.items()}
        subset = [
            "train" if well["Metadata_broad_sample"] in train[tuple(well[name] for name in SLICE)] else "test"
            for well in wells
        ]
    return {(well["Metadata_Plate"], well["Metadata_Well"]): name for well, name in zip(wells, subset, strict=True)}


def assigned(manifest):
    return {
        (plate, well): subset
        for plate, well, subset in manifest[["Metadata_Plate", "Metadata_Well", "subset"]].itertuples(index=False)
    }


@FEW
@given(layouts(), st.sampled_from(STRATEGIES), st.sampled_from(sorted(POLICIES)))
def test_each_well_gets_the_one_subset_of_the_plain_rule_and_promises_hold(layout, strategy, policy):
    manifest = split_manifest(layout.wells, strategy, policy=policy)
    assert not manifest.duplicated(["Metadata_Plate", "Metadata_Well"]).any()
    assert assigned(manifest) == expected_subsets(layout, strategy, policy)
    # A manifest without wells cannot say which policy left it so.
    assert manifest.empty or violations(manifest, layout.wells, layout.perturbations, strategy) == []


@FEW
@given(layouts(), st.sampled_from([name for name, policy in POLICIES.items() if policy.without]))
def test_an_exclusion_moves_no_other_well_of_the_representation_split(layout, policy):
    full = assigned(split_manifest(layout.wells, REPRESENTATION, policy=POLICIES[policy].base))
    part = assigned(split_manifest(layout.wells, REPRESENTATION, policy=policy))
    assert part.items() <= full.items()
    assert {key for key, _ in part.items()} == expected_subsets(layout, REPRESENTATION, policy).keys()


@FEW
@given(layouts(), st.sampled_from(STRATEGIES), st.integers(0, 99))
def test_row_order_does_not_show(layout, strategy, seed):
    wells, perturbations = (table.sample(frac=1, random_state=seed) for table in vars(layout).values())
    manifest = split_manifest(layout.wells, strategy)
    pd.testing.assert_frame_equal(split_manifest(wells, strategy), manifest)
    expected = audit(manifest, layout.wells, layout.perturbations, strategy=strategy)
    shuffled = manifest.sample(frac=1, random_state=seed)
    pd.testing.assert_frame_equal(audit(shuffled, wells, perturbations, strategy=strategy), expected)


SLICED = tuple(SLICE)
# Rule: columns that name a group; modality, None for all or "treated"; columns that need two values in a group.
PLAIN_RULES = {
    "well": (("Metadata_Plate", "Metadata_Well"), "any", ()),
    "plate": (("Metadata_Plate",), "any", ()),
    "well_position": (("Metadata_Well",), "any", ()),
    "broad_sample": (("Metadata_broad_sample",), "any", ()),
    "broad_sample_in_slice": (("Metadata_broad_sample", *SLICED), "any", ()),
    "target": (("Metadata_target",), "treated", ()),
    "target_crispr": (("Metadata_target",), "CRISPR", ()),
    "target_compound": (("Metadata_target",), "Compound", ()),
    "target_orf": (("Metadata_target",), "ORF", ()),
    "guide_pair": (("Metadata_target",), "CRISPR", ("Metadata_broad_sample",)),
    "guide_pair_in_slice": (("Metadata_target", *SLICED), "CRISPR", ("Metadata_broad_sample",)),
    "one_name": (("Metadata_pert_iname",), "Compound", ("Metadata_broad_sample",)),
    "one_name_in_slice": (("Metadata_pert_iname", *SLICED), "Compound", ("Metadata_broad_sample",)),
    "one_name_one_target": (("Metadata_pert_iname", "Metadata_target"), "Compound", ("Metadata_broad_sample",)),
    "inchikey": (("Metadata_InChIKey",), "Compound", ()),
    "inchikey_first_block": (("Metadata_InChIKey_block1",), "Compound", ("Metadata_broad_sample",)),
    "identity": (("Metadata_identity_group",), "Compound", ("Metadata_broad_sample",)),
    "same_skeleton": (
        ("Metadata_InChIKey_block1",),
        "Compound",
        ("Metadata_pert_iname_normalized", "Metadata_InChIKey"),
    ),
}


def plain_groups(layout, subset_of, rule):
    """Collect the wells of each group of a rule."""
    by, among, distinct = PLAIN_RULES[rule]
    facts = layout.perturbations.set_index("Metadata_broad_sample").to_dict("index")
    groups, values = defaultdict(list), defaultdict(set)
    for well in layout.wells.to_dict("records"):
        key = well["Metadata_Plate"], well["Metadata_Well"]
        well = facts.get(well["Metadata_broad_sample"], {}) | well
        treated = well["Metadata_control_type"] != "negcon" and well["Metadata_broad_sample"] != "empty"
        member = among == "any" or (treated and among in ("treated", well["Metadata_experiment_type"]))
        name = tuple(well.get(column) for column in by)
        if key in subset_of and member and not any(pd.isna(part) for part in name):
            groups[name].append(key)
            values[name].add(tuple(well[column] for column in distinct))
    enough = {
        name for name, found in values.items() if all(len({v[i] for v in found}) > 1 for i in range(len(distinct)))
    }
    return {name: keys for name, keys in groups.items() if name in enough}


@FEW
@given(
    layouts(),
    st.sampled_from(STRATEGIES),
    st.integers(0, 99),
    st.sampled_from([0.02, 0.5]),
    st.sampled_from(sorted(PLAIN_RULES)),
)
def test_counts_are_those_of_dictionaries_and_sets(layout, strategy, seed, share, shown):
    rng = np.random.default_rng(seed)
    manifest = split_manifest(layout.wells, strategy, policy="keep_all")
    moved = rng.random(len(manifest)) < share
    manifest["subset"] = manifest["subset"].mask(moved, pd.Series(rng.choice(["train", "test"], len(manifest))))
    table = audit(manifest, layout.wells, layout.perturbations, strategy=strategy).set_index("rule")
    subset_of = assigned(manifest)
    for rule in PLAIN_RULES:
        groups = plain_groups(layout, subset_of, rule)
        crossing = {name: keys for name, keys in groups.items() if len({subset_of[key] for key in keys}) > 1}
        counts = table.loc[rule, ["groups", "groups_crossing", "wells_crossing"]].tolist()
        assert counts == [len(groups), len(crossing), sum(map(len, crossing.values()))], rule
        if rule == shown:
            named = leaking_wells(manifest, layout.wells, layout.perturbations, rule, limit=10**6)
            wells = set(named[["Metadata_Plate", "Metadata_Well"]].itertuples(index=False, name=None))
            assert wells == {key for keys in crossing.values() for key in keys}
