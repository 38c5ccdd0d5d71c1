"""The published facts about the plate acquisitions: condition, stain anomaly, images, and their official order.

Belongs here: the 117 rows of the paper's ``experiment-metadata.tsv`` (107 acquisitions and the DeepProfiler batch),
typed compactly, and the order and replicate numbers of the official split table. Does not belong here: what is on a
plate (``plate_maps``) and what is planted on it (``truth``).
"""

import pandas as pd

from cpjump_assets.science.experiments import TIMEPOINTS
from cpjump_assets.science.plates import BATCHES, DEEP_PROFILER_BATCH, MAIN_BATCH

_CONDITION_COLUMNS = ("Perturbation", "Cell_type", "Time", "Density", "Antibiotics", "Cell_line", "Anomaly")
# Conditions of the main batch with the numbers of their plates; a barcode is BR00 and the number.
_CONDITIONS: tuple[tuple[tuple[str | int, ...], str], ...] = (
    (("compound", "A549", 24, 100, "absent", "Parental", "WGA"), "116991 116992 116993 116994"),
    (("compound", "U2OS", 24, 100, "absent", "Parental", "WGA"), "116995 117024 117025 117026"),
    (("compound", "A549", 48, 80, "absent", "Parental", "none"), "117008 117009"),
    (("compound", "A549", 48, 100, "absent", "Parental", "none"), "117015 117016 117017 117019"),
    (("compound", "A549", 48, 100, "absent", "Cas9", "none"), "117050 117051 117052 117053"),
    (("compound", "A549", 48, 120, "absent", "Parental", "none"), "117054 117055"),
    (("compound", "U2OS", 48, 100, "absent", "Parental", "Mitotracker"), "117010 117013"),
    (("compound", "U2OS", 48, 100, "absent", "Parental", "none"), "117011 117012"),
    (("crispr", "U2OS", 144, 100, "absent", "Cas9", "WGA"), "116996 116997 116998 116999"),
    (("crispr", "A549", 144, 100, "absent", "Cas9", "none"), "117000 117003 117004 117005"),
    (("crispr", "A549", 144, 100, "Puromycin", "Cas9", "none"), "117001 117002"),
    (("crispr", "A549", 96, 100, "absent", "Cas9", "Phalloidin"), "118041 118042 118043 118044"),
    (("crispr", "U2OS", 96, 100, "absent", "Cas9", "Phalloidin"), "118045 118046 118047 118048"),
    (("orf", "A549", 48, 100, "absent", "Parental", "none"), "117020 117021"),
    (("orf", "U2OS", 48, 100, "absent", "Parental", "none"), "117022 117023"),
    (("orf", "A549", 96, 100, "absent", "Parental", "Phalloidin"), "117006 118050"),
    (("orf", "A549", 96, 100, "Blasticidin", "Parental", "Phalloidin"), "118049"),
    (("orf", "U2OS", 96, 100, "absent", "Parental", "Phalloidin"), "118039 118040"),
)
_CONDITION_OF = {
    f"BR00{number}": dict(zip(_CONDITION_COLUMNS, condition, strict=True))
    for condition, numbers in _CONDITIONS
    for number in numbers.split()
}
_DEEP_PROFILER_PLATES = tuple(
    f"BR00{number}"
    for first, last in ((117010, 117013), (116996, 116999), (118039, 118040))
    for number in range(first, last + 1)
)

# Batch: delay between staining and imaging, times imaged, images of a complete plate.
_IMAGING: dict[str, tuple[str, int, int]] = {
    MAIN_BATCH: ("Day0", 1, 27648),
    DEEP_PROFILER_BATCH: ("Day0", 1, 27648),
    "2020_11_18_CPJUMP1_TimepointDay1": ("Day1", 1, 12288),
    "2020_11_19_TimepointDay4": ("Day4", 1, 12288),
    "2020_12_02_CPJUMP1_2WeeksTimePoint": ("Week2", 2, 27648),
    "2020_12_07_CPJUMP1_4WeeksTimePoint": ("Week4", 3, 27648),
    "2020_12_08_CPJUMP1_Bleaching": ("Day0", 2, 27648),
}
# Plates with other numbers of images: 16 sites instead of 9, or some images short.
_IMAGES: dict[str, str] = {
    MAIN_BATCH: "116992:27640 116993:27352 116994:27576 117015:49144 117016:49152 117017:49144 117019:49152 "
    "117000:27640 117003:27632 117005:27568 118041:27560 118046:27640",
    "2020_11_18_CPJUMP1_TimepointDay1": "117006:12272 118040:12280 118050:12280",
    "2020_11_19_TimepointDay4": "117022:12208 117023:12280",
    "2020_12_02_CPJUMP1_2WeeksTimePoint": "117020:27320 117021:27632",
    "2020_12_07_CPJUMP1_4WeeksTimePoint": "117021:27640",
    "2020_12_08_CPJUMP1_Bleaching": " ".join(f"{n}{r}:21504" for n in (116991, 116992) for r in "ABCDEF"),
}

_MODALITY_NAMES = {"compound": "Compound", "crispr": "CRISPR", "orf": "ORF"}
# Plates of a condition stand in the order of their official replicate number.
_OFFICIAL_ORDER = (
    "118050 117006",
    "118039 118040",
    "117020 117021",
    "117022 117023",
    "118041 118042 118043 118044",
    "118045 118046 118047 118048",
    "117003 117004 117005 117000",
    "116997 116998 116999 116996",
    "116991 116992 116993 116994",
    "116995 117024 117025 117026",
    "117017 117019 117015 117016",
    "117012 117013 117010 117011",
)


def experiment_metadata() -> pd.DataFrame:
    """Give the 117 rows of the published ``experiment-metadata.tsv``, in its order and with its columns.

    Source: ``benchmark/output/experiment-metadata.tsv`` of the 2024 paper's public repository.
    """
    main, *others = BATCHES.items()
    batches = dict([main, (DEEP_PROFILER_BATCH, _DEEP_PROFILER_PLATES), *others])
    rows = [_acquisition(batch, barcode) for batch, barcodes in batches.items() for barcode in barcodes]
    table = pd.DataFrame(rows)
    order = [list(batches).index(batch) for batch in table["Batch"]]
    return (
        table.assign(order=order)
        .sort_values(["order", "Perturbation", "Assay_Plate_Barcode"], ignore_index=True)
        .drop(columns="order")
    )


def _acquisition(batch: str, barcode: str) -> dict[str, str | int]:
    condition = _CONDITION_OF[barcode.rstrip("ABCDEF")]
    delay, times_imaged, images = _IMAGING[batch]
    short = dict(pair.split(":") for pair in _IMAGES.get(batch, "").split())
    round_ = barcode[len("BR00116991") :]
    return {
        "Batch": batch,
        "Plate_Map_Name": f"JUMP-Target-1_{condition['Perturbation']}_platemap",
        "Assay_Plate_Barcode": barcode,
        **{name: condition[name] for name in _CONDITION_COLUMNS[:-1]},
        "Time_delay": delay,
        # the six rounds of bleaching come after the first imaging of the plate
        "Times_imaged": times_imaged + ("ABCDEF".index(round_) if round_ else 0),
        # the published table names no anomaly for plates that were imaged again and again
        "Anomaly": "none" if round_ else condition["Anomaly"],
        "Number_of_images": int(short.get(barcode.removeprefix("BR00"), images)),
    }


def official_plates() -> pd.DataFrame:
    """Give the 40 plates of the official split table in its order.

    Returns
    -------
    DataFrame
        ``Metadata_Plate``, ``Metadata_experiment_type`` (Compound, CRISPR, ORF), ``Metadata_cell_line``,
        ``Metadata_timepoint`` (hours), ``Metadata_timepoint_code`` (low or high within the type) and
        ``Metadata_replicate_id`` (1-4).

    Notes
    -----
    Source: ``datasplits/cpjump1_metadata.csv`` of the paper's public repository.
    """
    rows = []
    for numbers in _OFFICIAL_ORDER:
        for replicate, number in enumerate(numbers.split(), start=1):
            condition = _CONDITION_OF[f"BR00{number}"]
            experiment_type = _MODALITY_NAMES[str(condition["Perturbation"])]
            rows.append(
                {
                    "Metadata_Plate": f"BR00{number}",
                    "Metadata_experiment_type": experiment_type,
                    "Metadata_cell_line": condition["Cell_type"],
                    "Metadata_timepoint": condition["Time"],
                    "Metadata_timepoint_code": TIMEPOINTS[experiment_type][int(condition["Time"])],
                    "Metadata_replicate_id": replicate,
                }
            )
    return pd.DataFrame(rows)
