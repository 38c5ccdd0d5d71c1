"""The design of the experiment that a simulation fills with values: plates, wells and reagents of a reference root.

Belongs here: the wells that have a profile. Does not belong here: reading a reference root, which the platform does
(``gallery.reference.metadata``), writing one (``reference_files``), or what is planted in the wells (``truth``).
"""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from cpjump_assets.gallery.reference.metadata import load_metadata
from cpjump_assets.gallery.reference.root import ReferenceRoot
from cpjump_assets.science.plates import PlateKey

_ABSENT = "absent from the official table"


@dataclass(frozen=True)
class Design:
    """Plates, reagents and wells, as the tables of the same names of the platform."""

    experiment: pd.DataFrame
    perturbations: pd.DataFrame
    wells: pd.DataFrame

    def wells_of(self, plate: PlateKey) -> pd.DataFrame:
        """Give the wells of a plate that have a profile, by name: all but those absent from the official table."""
        on_plate = (self.wells["Metadata_Batch"] == plate.batch) & (self.wells["Metadata_Plate"] == plate.barcode)
        present = self.wells["Metadata_ineligible_reason"] != _ABSENT
        return self.wells[on_plate & present].sort_values("Metadata_Well", ignore_index=True)


def read_design(root: Path) -> Design:
    """Read the design of a reference root in a folder.

    Raises
    ------
    GalleryError
        If a file is missing.
    BadTableError
        If a table is not what it must be.
    """
    return Design(*load_metadata(ReferenceRoot.parse(str(root))))
