"""The levels of a plate's profiles as they lie in our store, those among them that are cut from a table of the batch.

Belongs here: which table holds a level, reading one plate of it, and which features our selection keeps back. Does not
belong here: the published files, comparing (``assets.reproduction``, ``science.reproduction``).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cpjump_assets.orchestration import tables
from cpjump_assets.orchestration.tables import StoredAsset

if TYPE_CHECKING:
    from cpjump_assets.science.features import BoolArray, Profiles
    from cpjump_assets.science.levels import Level
    from cpjump_assets.storage.store import Store, StoredTable

OF_PLATES: Mapping["Level", StoredAsset] = {
    # ``aggregated_profiles`` are the published file itself.
    "aggregated": tables.CELL_MEDIAN_PROFILES,
    "annotated": tables.ANNOTATED_PROFILES,
    "normalized": tables.NORMALIZED_PROFILES,
    "normalized_whole_plate": tables.NORMALIZED_WHOLE_PLATE,
    "plate_selected": tables.PLATE_SELECTED_PROFILES,
}
OF_THE_BATCH: Mapping["Level", StoredAsset] = {
    "selected": tables.SELECTED_PROFILES,
    "spherized": tables.SPHERIZED_PROFILES,
}
COMPARED = (*OF_PLATES.values(), tables.FEATURE_SELECTION, *OF_THE_BATCH.values())
"""All assets that a comparison may read."""


class OurLevels:
    """The levels that are in a store; what belongs to the batch is opened once for all plates.

    Parameters
    ----------
    store
        Where they lie. If a table of the batch is replaced later on, the plates count as outdated and are made again.

    Raises
    ------
    StoreError
        If a table of the batch cannot be read.
    """

    def __init__(self, store: "Store") -> None:
        from cpjump_assets.science.features import plate_labels

        self._store = store
        of_the_batch = (tables.FEATURE_SELECTION, *OF_THE_BATCH.values())
        self._described = {
            asset.name: store.describe(asset.key()) for asset in of_the_batch if store.exists(asset.key())
        }
        # A selection says what it withholds: without it a level of the batch cannot be judged.
        made = OF_THE_BATCH if tables.FEATURE_SELECTION.name in self._described else {}
        self._batch = {
            level: store.open_profiles(asset.key()) for level, asset in made.items() if asset.name in self._described
        }
        self._labels = {level: plate_labels(profiles.metadata) for level, profiles in self._batch.items()}

    def __reduce__(self) -> "tuple[type[OurLevels], tuple[Store]]":
        """Open the tables anew where the levels are sent: what is open here are files of this machine."""
        return OurLevels, (self._store,)

    def tables(self, plate: str) -> dict[str, "StoredTable"]:
        """Describe all tables that a comparison of the plate may read, by asset.

        Raises
        ------
        StoreError
            As ``profiles``.
        """
        keys = {asset.name: asset.key(plate) for asset in OF_PLATES.values()}
        stored = {name: self._store.describe(key) for name, key in keys.items() if self._store.exists(key)}
        return stored | self._described

    def has(self, level: "Level", plate: str) -> bool:
        """Tell whether a level of a plate was made."""
        if level in OF_THE_BATCH:
            return level in self._batch and bool(self._wells(level, plate).any())
        return self._store.exists(OF_PLATES[level].key(plate))

    def profiles(self, level: "Level", plate: str) -> "Profiles":
        """Read the wells of a plate.

        Raises
        ------
        StoreError
            If a table cannot be read.
        """
        from cpjump_assets.science.features import Profiles
        from cpjump_assets.science.plate_values import SomeWells

        if level in OF_PLATES:
            return self._store.read_profiles(OF_PLATES[level].key(plate))
        wells = SomeWells(self._batch[level], self._wells(level, plate))
        return Profiles(wells.metadata, wells.values(), wells.features)

    def withheld(self, level: "Level", plate: str) -> frozenset[str]:
        """Name the features that our selection keeps back because a well of the plate, or the batch, lacks the value.

        Raises
        ------
        StoreError
            As ``profiles``.
        """
        import numpy as np

        if level == "plate_selected":
            normalized = self.profiles("normalized", plate)
            lacking = ~np.isfinite(normalized.matrix).all(axis=0)
            return frozenset(np.array(normalized.features)[lacking])
        if level in OF_THE_BATCH:
            selection = self._store.read(tables.FEATURE_SELECTION.key())
            return frozenset(selection.loc[selection["n_missing"] > 0, "feature"])
        return frozenset()

    def _wells(self, level: "Level", plate: str) -> "BoolArray":
        return (self._labels[level] == plate).to_numpy(dtype=bool)
