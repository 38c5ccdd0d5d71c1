"""The invented plate maps keep the layout rules of JUMP-Target-1."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpjump_assets.simulate.plate_maps import EMPTY_WELLS, invent_plate_maps
from cpjump_assets.simulate.reagents import Reagents, invent_reagents

Maps = dict[str, pd.DataFrame]


@pytest.fixture(scope="module")
def reagents() -> Reagents:
    return invent_reagents(4)


@pytest.fixture(scope="module")
def maps(reagents: Reagents) -> Maps:
    return invent_plate_maps(reagents, 4)


def is_outer(well: str) -> bool:
    """Tell it from the name alone: two rows or columns from the edge."""
    return well[0] in "ABOP" or well[1:] in ("01", "02", "23", "24")


def outer_wells_of(plate_map: pd.DataFrame, gene_of: dict[str, str]) -> pd.DataFrame:
    """Give per gene the number of its wells and of those that are outer."""
    treated = plate_map[plate_map["broad_sample"].isin(list(gene_of))]
    frame = pd.DataFrame(
        {"gene": treated["broad_sample"].map(gene_of), "outer": treated["well_position"].map(is_outer)}
    )
    return frame.groupby("gene")["outer"].agg(["size", "sum"])


def genes(table: pd.DataFrame, column: str) -> dict[str, str]:
    own = table[table["control_type"] != "negcon"]
    return dict(zip(own["broad_sample"], own[column], strict=True))


def copies(plate_map: pd.DataFrame) -> dict[int, int]:
    filled = plate_map.loc[plate_map["broad_sample"] != "", "broad_sample"]
    return {int(n): int(reagents) for n, reagents in filled.value_counts().value_counts().items()}


def test_every_map_is_a_full_plate(maps: Maps):
    expected = [f"{row}{column:02d}" for row in "ABCDEFGHIJKLMNOP" for column in range(1, 25)]
    for plate_map in maps.values():
        assert plate_map["well_position"].tolist() == expected
    assert set(maps["Compound"]["solvent"]) == {"DMSO"}


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_wells_per_reagent_for_any_seed(seed: int):
    made = invent_plate_maps(invent_reagents(seed), seed)
    assert copies(made["Compound"]) == {1: 292, 2: 14}
    assert copies(made["CRISPR"]) == {1: 290, 2: 45}  # 15 genes with one guide, and 30 negative controls
    assert copies(made["ORF"]) == {2: 160, 4: 15}


def test_blank_wells(maps: Maps):
    blank = {modality: set(table.loc[table["broad_sample"] == "", "well_position"]) for modality, table in maps.items()}
    assert len(blank["Compound"]) == 64
    assert sum(map(is_outer, blank["Compound"])) == 16
    assert blank["CRISPR"] == blank["ORF"] == set(EMPTY_WELLS)


def test_both_compounds_of_a_target_lie_on_one_side_and_positive_controls_inside(reagents: Reagents, maps: Maps):
    per_target = outer_wells_of(maps["Compound"], genes(reagents.compounds, "target"))
    assert set(per_target["size"]) == {2}
    assert per_target["sum"].value_counts().to_dict() == {0: 96, 2: 64}
    controls = reagents.targets.query("control_type != ''")["target"]
    assert (per_target.loc[controls, "sum"] == 0).all()


def test_genes_of_outer_compounds_are_outer_on_the_genetic_plates(reagents: Reagents, maps: Maps):
    compound_side = outer_wells_of(maps["Compound"], genes(reagents.compounds, "target"))["sum"]
    orf_side = outer_wells_of(maps["ORF"], genes(reagents.orfs, "gene"))["sum"]
    guide_side = outer_wells_of(maps["CRISPR"], genes(reagents.guides, "gene"))["sum"]
    assert (orf_side == compound_side).all()
    mixed = guide_side[guide_side == 1].index  # as CYP2A6 and MAPK14 on the real plate
    assert len(mixed) == 2
    assert (guide_side.drop(mixed) == compound_side.drop(mixed)).all()
    role = reagents.targets.set_index("target").loc[mixed]
    assert (role["n_guides"] == 1).all()
    assert sorted(role["control_type"]) == ["", "poscon_orf"]


def test_a_treatment_lies_in_a01(reagents: Reagents, maps: Maps):
    treated = {**genes(reagents.compounds, "target"), **genes(reagents.guides, "gene"), **genes(reagents.orfs, "gene")}
    for plate_map in maps.values():
        assert plate_map["broad_sample"].iloc[0] in treated
