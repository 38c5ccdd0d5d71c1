"""The reference root of a simulated gallery: the tables that the paper's public repository holds.

Belongs here: writing an invented root, and copying a real one, so that the platform reads both alike. Does not belong
here: what the tables say (``reagents``, ``plate_maps``, ``official_table``, ``plate_facts``).
"""

from pathlib import Path

import pandas as pd

from cpjump_assets.gallery.reference.root import ReferenceRoot
from cpjump_assets.science.perturbations import COMPOUND_FILE, CRISPR_FILE, OFFICIAL_FILE, ORF_FILE, TARGET_LIST_FILES
from cpjump_assets.simulate.official_table import official_table
from cpjump_assets.simulate.plate_facts import experiment_metadata
from cpjump_assets.simulate.plate_maps import invent_plate_maps
from cpjump_assets.simulate.reagents import DMSO_ROW, Reagents, invent_reagents

PLATE_MAPS_FOLDER = Path("metadata", "platemaps")
_ANNOTATIONS_FOLDER = Path("metadata", "moa")
_COMPOUND_COLUMNS = [
    "broad_sample",
    "InChIKey",
    "pert_iname",
    "pubchem_cid",
    "target",
    "pert_type",
    "control_type",
    "smiles",
]
_GUIDE_COLUMNS = ["broad_sample", "gene", "pert_type", "control_type", "target_sequence", "negcon_control_type"]
_ORF_COLUMNS = ["broad_sample", "gene", "pert_type", "control_type"]


def copy_reference(source: Path, target: Path) -> None:
    """Copy the tables that the platform reads of a reference root, byte for byte, and nothing else that may lie there.

    Raises
    ------
    GalleryError, BadTableError
        If ``source`` lacks one of them, or one is no table.
    """
    for file in ReferenceRoot.parse(str(source)).files():
        copy = target / file.path
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(file.content)


def write_invented_reference(target: Path, seed: int) -> None:
    """Invent reagents and plate maps and write every table of a reference root, with the plates of the real one."""
    reagents = invent_reagents(seed)
    plate_maps = invent_plate_maps(reagents, seed)
    _write(official_table(reagents, plate_maps, seed), target / "datasplits" / OFFICIAL_FILE)
    plates = experiment_metadata()
    _write(plates, target / "benchmark" / "output" / "experiment-metadata.tsv")
    _write_annotations(reagents, target / _ANNOTATIONS_FOLDER)
    map_of_name = {f"JUMP-Target-1_{modality.lower()}_platemap": table for modality, table in plate_maps.items()}
    for batch, barcodes in plates.groupby("Batch", sort=False):
        folder = target / PLATE_MAPS_FOLDER / str(batch)
        _write(barcodes[["Assay_Plate_Barcode", "Plate_Map_Name"]], folder / "barcode_platemap.csv")
        for name in sorted(set(barcodes["Plate_Map_Name"])):
            _write(map_of_name[name], folder / "platemap" / f"{name}.txt")


def _write_annotations(reagents: Reagents, folder: Path) -> None:
    """Write the four annotation files; DMSO has a blank id, and one all-blank row of the ORF file the empty wells."""
    compounds = pd.concat([reagents.compounds, pd.DataFrame([DMSO_ROW])], ignore_index=True)
    with_lists = [*_COMPOUND_COLUMNS[:5], "target_list", *_COMPOUND_COLUMNS[5:]]
    _write(compounds[_COMPOUND_COLUMNS], folder / COMPOUND_FILE)
    _write(compounds[with_lists], folder / TARGET_LIST_FILES[-1])
    _write(reagents.guides[_GUIDE_COLUMNS], folder / CRISPR_FILE)
    middle = len(reagents.orfs) // 2
    blank = pd.DataFrame([dict.fromkeys(_ORF_COLUMNS, "")])
    _write(pd.concat([reagents.orfs[:middle], blank, reagents.orfs[middle:]])[_ORF_COLUMNS], folder / ORF_FILE)


def _write(table: pd.DataFrame, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, sep="," if path.suffix == ".csv" else "\t", index=False, lineterminator="\n")
