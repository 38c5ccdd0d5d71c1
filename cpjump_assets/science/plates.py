"""The plate acquisitions of CPJUMP1 and their keys.

Belongs here: the published list of batches and plate barcodes, the one spelling of a plate key, and the columns that
say which plate and which well a row is of. Does not belong
here: what is on a plate (``wells``), or what the gallery holds of it (``gallery.listing``).
"""

from typing import NamedTuple

from cpjump_assets.science.errors import BadTableError

MAIN_BATCH = "2020_11_04_CPJUMP1"
DEEP_PROFILER_BATCH = "2020_11_04_CPJUMP1_DL"
"""Ten plates of the main batch with DeepProfiler features: the same images, so no acquisitions of their own."""

# Plate lists as in the experiment metadata of the 2024 paper: 107 acquisitions without the DeepProfiler batch.
_TIME_DELAY_PLATES = (
    *(f"BR00{number}" for number in (117006, 117020, 117021, 117022, 117023)),
    *(f"BR00{number}" for number in (118039, 118040, 118050)),
)
BATCHES: dict[str, tuple[str, ...]] = {
    MAIN_BATCH: tuple(
        f"BR00{number}"
        for first, last in (
            (116991, 117006),
            (117008, 117013),
            (117015, 117017),
            (117019, 117026),
            (117050, 117055),
            (118039, 118050),
        )
        for number in range(first, last + 1)
    ),
    "2020_11_18_CPJUMP1_TimepointDay1": _TIME_DELAY_PLATES,
    "2020_11_19_TimepointDay4": _TIME_DELAY_PLATES,
    "2020_12_02_CPJUMP1_2WeeksTimePoint": _TIME_DELAY_PLATES,
    "2020_12_07_CPJUMP1_4WeeksTimePoint": _TIME_DELAY_PLATES,
    "2020_12_08_CPJUMP1_Bleaching": tuple(
        f"BR00{number}{round_}" for number in range(116991, 116995) for round_ in "ABCDEF"
    ),
}

PLATE_COLUMNS = ["Metadata_Batch", "Metadata_Plate"]
WELL_COLUMNS = [*PLATE_COLUMNS, "Metadata_Well"]
"""A barcode comes again in other batches, so that it takes the batch to tell a plate, or a well, from all others."""


class PlateKey(NamedTuple):
    """A plate acquisition: its batch and its barcode."""

    batch: str
    barcode: str

    def __str__(self) -> str:
        """Give the partition key, ``<batch>.<barcode>``."""
        return f"{self.batch}.{self.barcode}"

    @classmethod
    def parse(cls, key: str) -> "PlateKey":
        """Read a partition key.

        Raises
        ------
        BadTableError
            If the key is not that of one of the 107 published acquisitions.
        """
        batch, _, barcode = key.partition(".")
        if barcode not in BATCHES.get(batch, ()):
            raise BadTableError(
                f"plate {key!r} is not one of the {len(PLATES)} acquisitions <batch>.<barcode> of CPJUMP1"
            )
        return cls(batch, barcode)


PLATES: tuple[PlateKey, ...] = tuple(PlateKey(batch, barcode) for batch, codes in BATCHES.items() for barcode in codes)
MAIN_PLATES: tuple[PlateKey, ...] = tuple(plate for plate in PLATES if plate.batch == MAIN_BATCH)
