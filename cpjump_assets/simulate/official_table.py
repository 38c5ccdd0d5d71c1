"""The official split table, on invented reagents and plate maps.

Belongs here: the 30 columns of ``datasplits/cpjump1_metadata.csv`` with their conventions (``NA``, ``TRUE``, low and
high), and the 85 wells it lacks. Does not belong here: reading such a table (``science.perturbations``,
``science.wells``).
"""

import numpy as np
import pandas as pd

from cpjump_assets.simulate.plate_facts import official_plates
from cpjump_assets.simulate.randomness import generator
from cpjump_assets.simulate.reagents import Reagents

OFFICIAL_COLUMNS = (
    "Metadata_Plate",
    "Metadata_Well",
    "Metadata_plate_map_name",
    "Metadata_broad_sample",
    "Metadata_genes",
    "Metadata_pert_type",
    "Metadata_control_type",
    "Metadata_Assay_Plate_Barcode",
    "Metadata_Plate_Map_Name",
    "Metadata_cell_line",
    "Metadata_timepoint",
    "Metadata_experiment_type",
    "Metadata_experiment_condition",
    "Metadata_replicate_id",
    "Metadata_negcon_control_type",
    "Metadata_target_sequence",
    "Metadata_mg_per_ml",
    "Metadata_mmoles_per_liter",
    "Metadata_solvent",
    "Metadata_target",
    "Metadata_pert_iname",
    "Metadata_pubchem_cid",
    "Metadata_InChIKey",
    "Metadata_gene",
    "Metadata_negcon_or_other",
    "Metadata_negcon_control_type_trimmed",
    "Metadata_timepoint_code",
    "Metadata_target_radix",
    "n",
    "Metadata_target_is_across",
)
"""Columns of the published file, in its order."""

# The names under which the source plates are known in the published table.
_SOURCE_PLATES = {"Compound": "C-7210-01-CMP-013", "CRISPR": "DXH.92.93.94.95.A", "ORF": "DOG.30.31.32.33.A"}
_N_ABSENT_DMSO, _N_ABSENT_TREATED = 14, 69
_PLATE_WITH_MANY_ABSENT = "BR00116995"
_PLATES_WITH_ONE_ABSENT = {"BR00116993": "Compound", "BR00117005": "CRISPR"}
_DMSO = {"broad_sample": "DMSO", "pert_iname": "DMSO", "pert_type": "control", "control_type": "negcon"}
_EMPTY = {"broad_sample": "empty", "pert_iname": "empty", "pert_type": "empty", "target": "empty"}


def official_table(reagents: Reagents, plate_maps: dict[str, pd.DataFrame], seed: int) -> pd.DataFrame:
    """Give the official split table of invented reagents: 15,275 wells of the 40 primary plates, strings throughout.

    Returns
    -------
    DataFrame
        ``OFFICIAL_COLUMNS``; missing values are ``NA``, as in the published file. A target's radix is one of 1-179, its
        own; ``n`` counts the modalities that have the target.
    """
    by_modality = [_wells(reagents, modality, plate_map) for modality, plate_map in plate_maps.items()]
    wells = pd.concat(by_modality, ignore_index=True).fillna("NA")
    wells = wells.assign(**_target_columns(wells, seed))
    plates = official_plates().assign(
        Metadata_Assay_Plate_Barcode=lambda table: table["Metadata_Plate"], Metadata_experiment_condition="Standard"
    )
    table = plates.merge(wells, on="Metadata_experiment_type", how="left")  # keeps the order: plate by plate, by well
    absent = absent_wells(plate_maps)
    kept = [key not in absent for key in zip(table["Metadata_Plate"], table["Metadata_Well"], strict=True)]
    return table.loc[kept, list(OFFICIAL_COLUMNS)].astype(str).reset_index(drop=True)


def absent_wells(plate_maps: dict[str, pd.DataFrame]) -> set[tuple[str, str]]:
    """Choose the 85 (plate, well) pairs without data.

    As in the published table, 83 lie in every second row of the left half of one plate, 14 of them DMSO; two other
    plates lack the lowest treated well of their first column.
    """
    compound = plate_maps["Compound"]
    every_second_row_first = sorted(
        compound["well_position"], key=lambda well: ("ACEGIKMO".find(well[0]) < 0, well[1:], well[0])
    )
    is_dmso = (compound.set_index("well_position")["broad_sample"] == "").to_dict()
    dmso = [well for well in every_second_row_first if is_dmso[well]][:_N_ABSENT_DMSO]
    treated = [well for well in every_second_row_first if not is_dmso[well]][:_N_ABSENT_TREATED]
    absent = {(_PLATE_WITH_MANY_ABSENT, well) for well in dmso + treated}
    for plate, modality in _PLATES_WITH_ONE_ABSENT.items():
        absent.add((plate, _lowest_treated_well(plate_maps[modality])))
    return absent


def _lowest_treated_well(plate_map: pd.DataFrame) -> str:
    treated = plate_map[plate_map["broad_sample"] != ""]
    return str(treated.loc[treated["well_position"].str.endswith("01"), "well_position"].iloc[-1])


def _wells(reagents: Reagents, modality: str, plate_map: pd.DataFrame) -> pd.DataFrame:
    """Give the 384 wells of one modality's plate with the columns that depend on the reagent alone."""
    blank = _DMSO if modality == "Compound" else _EMPTY
    samples = plate_map["broad_sample"].mask(plate_map["broad_sample"] == "", blank["broad_sample"])
    table = pd.concat([_annotation(reagents, modality), pd.DataFrame([blank])]).set_index("broad_sample")
    wells = table.loc[samples].reset_index().replace("", np.nan)
    wells = wells.assign(
        Well=plate_map["well_position"],
        experiment_type=modality,
        plate_map_name=_SOURCE_PLATES[modality],
        Plate_Map_Name=_SOURCE_PLATES[modality],
        solvent="DMSO" if modality == "Compound" else "NA",
        negcon_or_other=np.where(wells["control_type"] == "negcon", "negcon", "pert"),
    )
    wells.loc[wells["pert_type"] == "empty", "negcon_or_other"] = "empty"
    return wells.add_prefix("Metadata_").fillna("NA")


def _annotation(reagents: Reagents, modality: str) -> pd.DataFrame:
    """Give one modality's reagents under the names of the official table."""
    if modality == "Compound":
        return reagents.compounds.assign(pert_iname=reagents.compounds["official_pert_iname"])
    if modality == "ORF":
        table = reagents.orfs.assign(target=reagents.orfs["gene"])
    else:
        cuts = reagents.guides["negcon_control_type"].str.partition(" (")[0]
        target = reagents.guides["gene"].where(reagents.guides["gene"] != "", cuts)
        table = reagents.guides.assign(target=target, negcon_control_type_trimmed=cuts)
    return table.assign(pert_iname=table["broad_sample"], genes=table["gene"])


def _target_columns(wells: pd.DataFrame, seed: int) -> dict[str, pd.Series]:
    """Give each target its radix, a random rank of its own, and the number of modalities that have it."""
    targets = sorted(wells["Metadata_target"].unique())
    radix = generator(seed, "target radix").permutation(len(targets)) + 1
    modalities = wells.groupby("Metadata_target")["Metadata_experiment_type"].nunique()
    n = wells["Metadata_target"].map(modalities)
    return {
        "Metadata_target_radix": wells["Metadata_target"].map(dict(zip(targets, radix, strict=True))),
        "n": n,
        "Metadata_target_is_across": (n == len(_SOURCE_PLATES)).map({True: "TRUE", False: "FALSE"}),
    }
