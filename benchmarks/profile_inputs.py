"""Drawn profiles for the measurements, and the files in which each measured process finds them.

Belongs here: plates that have what real ones have, frames and stored plates of them, files as the gallery holds them.
Does not belong here: what is done to them (``profile_own``, ``profile_pycytominer``, ``profile_readers``).
"""

import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cpjump_assets.science.features import Profiles, is_feature
from cpjump_assets.science.plates import MAIN_PLATES, PLATES
from cpjump_assets.simulate import backends
from cpjump_assets.simulate.backends import CellConfig, SimulatedCells
from cpjump_assets.simulate.profile_files import profile_csv_gz
from cpjump_assets.storage.store import Provenance, Store, TableKey

WELLS = 384
ACQUISITIONS = (*MAIN_PLATES, *(plate for plate in PLATES if plate not in MAIN_PLATES))
"""What the drawn plates are called."""
PLATE = ACQUISITIONS[0]
PROVENANCE = Provenance("benchmark", {}, "drawn for a benchmark")
_ODD = 100
"""One feature in so many is flat, one coarse, one lacks single values, and one lacks those of whole plates."""
_SPARSE, _ABSENT = 0.03, 0.05
_GAINS = (0.5, 9.0)
"""Two features of a family with a gain above 3 have r > 0.9: of all features that vary, a third stays. So it is in
reality: the ORF data of JUMP kept 1,477 of 4,762 (jump-cellpainting/datasets, issue 88)."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """Plates whose features come in families of about ten that vary together.

    Attributes
    ----------
    family, gain
        (p,), the family of each feature and how much of the family it shows.
    flat, coarse, sparse, absent
        Positions of features with one value; with few distinct values; without a value in some wells; without a value
        on some plates, as normalizing leaves a feature that does not vary among the negative controls.
    """

    seed: int
    family: np.ndarray
    gain: np.ndarray
    flat: np.ndarray
    coarse: np.ndarray
    sparse: np.ndarray
    absent: np.ndarray

    @classmethod
    def of(cls, features: int, seed: int, *, odd: bool = True) -> "Drawn":
        """Draw what all plates share; without ``odd``, each feature has many values in all wells."""
        rng = np.random.default_rng(seed)
        family = rng.integers(0, max(features // 10, 2), features)
        gain = rng.uniform(*_GAINS, features)
        kinds = rng.permutation(features)[: 4 * max(features // _ODD, 1)].reshape(4, -1)
        return cls(seed, family, gain, *(kinds if odd else kinds[:, :0]))

    @property
    def features(self) -> tuple[str, ...]:
        """Give the p names, of about the length of real ones."""
        compartments = ("Cells", "Cytoplasm", "Nuclei")
        return tuple(f"{compartments[i % 3]}_RadialDistribution_MeanFrac_{i}" for i in range(len(self.family)))

    def plate(self, number: int) -> Profiles:
        """Draw one plate, float64; a sixth of its wells are negative controls."""
        rng = np.random.default_rng([self.seed, number])
        shape = (len(self.family), WELLS)
        shared = rng.normal(size=(int(self.family.max()) + 1, WELLS))
        values = shared[self.family] * self.gain[:, None] + rng.normal(size=shape)
        values[self.flat] = 1.0
        values[self.coarse] = np.round(values[self.coarse])
        values[self.sparse] = np.where(rng.random((self.sparse.size, WELLS)) < _SPARSE, np.nan, values[self.sparse])
        values[self.absent[rng.random(self.absent.size) < _ABSENT]] = np.nan
        return Profiles(_metadata(number), values.T, self.features)

    def batch(self, plates: int) -> Profiles:
        """Draw plates below each other, float64, in one feature-major matrix."""
        values = np.empty((len(self.family), plates * WELLS))
        for number in range(plates):
            values[:, number * WELLS : (number + 1) * WELLS] = self.plate(number).matrix.T
        metadata = pd.concat([_metadata(number) for number in range(plates)], ignore_index=True)
        return Profiles(metadata, values.T, self.features)

    def store(self, folder: Path, plates: int) -> list[TableKey]:
        """Write plates as normalized profiles into a store."""
        store = Store(folder)
        keys = [plate_key(number) for number in range(plates)]
        for number, key in enumerate(keys):
            store.write_profiles(key, self.plate(number), PROVENANCE)
        return keys


def plate_key(number: int) -> TableKey:
    """Give the place of a stored plate."""
    return TableKey("profiles", "normalized_profiles", str(ACQUISITIONS[number]))


def five_digits(profiles: Profiles) -> Profiles:
    """Take the values as a file of the gallery says them."""
    text = np.char.mod("%.5g", profiles.matrix.T)
    return profiles.with_matrix(text.astype(np.float64).T)


def save(folder: Path, profiles: Profiles) -> Path:
    """Write profiles into a new folder, from which ``load_frame`` takes them."""
    folder.mkdir()
    np.save(folder / "values.npy", profiles.matrix.T)
    profiles.metadata.to_parquet(folder / "metadata.parquet")
    (folder / "features.txt").write_text("\n".join(profiles.features))
    return folder


def load_frame(folder: Path) -> pd.DataFrame:
    """Read what ``save`` wrote, as the frame that pycytominer takes: one block of float64 behind the metadata."""
    features = (folder / "features.txt").read_text().split("\n")
    metadata = pd.read_parquet(folder / "metadata.parquet")
    return Profiles(metadata, np.load(folder / "values.npy").T, tuple(features)).to_frame()


def feature_names(frame: pd.DataFrame) -> list[str]:
    """Name the features of a frame."""
    return list(filter(is_feature, frame.columns))


def write_csv(path: Path, profiles: Profiles) -> Path:
    """Write a plate as the gallery holds it."""
    metadata = profiles.metadata[["Metadata_Plate", "Metadata_Well"]]
    path.write_bytes(profile_csv_gz(metadata, list(profiles.features), profiles.matrix))
    return path


def write_backend(path: Path, cells: int, features: int) -> Path:
    """Write the single cells of a plate as an SQLite backend: about so many cells, ``features`` in each compartment."""
    profiles = Drawn.of(3 * features, seed=5, odd=False).plate(0)
    config = CellConfig(cells_per_well=cells // WELLS // 2 * 2 + 1, sites=9)
    spread = np.ones(len(profiles.features))
    backends.write_backend(SimulatedCells(PLATE, profiles, spread, seed=5, config=config), path)
    return path


def csv_header(path: Path) -> list[str]:
    """Read the names of the columns of such a file."""
    with gzip.open(path, "rt") as lines:
        return lines.readline().rstrip("\n").split(",")


def _metadata(number: int) -> pd.DataFrame:
    well, plate = np.arange(WELLS), ACQUISITIONS[number]
    return pd.DataFrame(
        {
            "Metadata_Batch": plate.batch,
            "Metadata_Plate": plate.barcode,
            "Metadata_Well": [f"{chr(65 + w // 24)}{w % 24 + 1:02d}" for w in well],
            "Metadata_control_type": pd.Series(np.where(well % 6 == 0, "negcon", ""), dtype="str").replace("", None),
        }
    )
