"""What is known to be wrong with plates and wells of CPJUMP1, from the documents, and which wells it concerns.

Belongs here: the table of known issues, each with its reason and source, and finding the wells that they concern. Does
not belong here: the names of the kinds and of the policies that leave them out (``policies``), leaving wells out of a
split (``splits``), or what is measured on the profiles themselves (``quality``).
"""

import numpy as np
import pandas as pd

from cpjump_assets.science.perturbations import OFFICIAL_FILE
from cpjump_assets.science.plates import MAIN_BATCH, PLATE_COLUMNS, WELL_COLUMNS
from cpjump_assets.science.policies import ABSENT_FROM_OFFICIAL_TABLE, ISSUE_KINDS, SEEDING_FAILURE, STAIN_ANOMALY
from cpjump_assets.science.schemas import STRING, Column, TableSchema
from cpjump_assets.science.strategies import SUBSETS

_REPOSITORY = "jump-cellpainting/2024_Chandrasekaran_NatureMethods_CPJUMP1"
_PROTOCOL_REPOSITORY = "carpenter-singh-lab/2023_Cimini_NatureProtocols"
_NO_ANOMALY = "none"

KNOWN_ISSUES = TableSchema(
    "known_issues",
    "a known issue of a plate acquisition, or of one well of it",
    ("issue", *WELL_COLUMNS),
    (
        Column("issue", "string", "kind of issue", allowed=tuple(ISSUE_KINDS)),
        Column("Metadata_Batch", "string", "batch of plates that were imaged together"),
        Column("Metadata_Plate", "string", "barcode of the plate"),
        Column("Metadata_Well", "string", "position of the one well; missing for the whole plate", nullable=True),
        Column("Metadata_anomaly", "string", "stain that went wrong; missing for other issues", nullable=True),
        Column("reason", "string", "what is wrong, in a sentence"),
        Column("source", "string", "file and column, or thread, that says so"),
    ),
)

# The threads name the plate and no wells. Its 83 wells without a profile lie in every second row, columns 1 to 14; how
# few cells the other wells of these rows hold is not told, so that the issue is one of the plate.
_SEEDING_FAILURES: dict[tuple[str, str], tuple[str, str]] = {
    (MAIN_BATCH, "BR00116995"): (
        "About a quarter of the wells hold no cells; only 301 of 384 have a profile.",
        f"{_REPOSITORY}#45 and #80",
    )
}
# What the threads say beyond the name of the stain: 299.2 instead of 229.2 uL of phalloidin, an increase in WGA.
_STAIN_NOTES = {"Phalloidin": ": 30 % more than planned", "WGA": ": more than planned"}
_STAIN_SOURCE = f"experiment-metadata.tsv, column Anomaly; {_REPOSITORY}#46; {_PROTOCOL_REPOSITORY}#2"


def known_issues(wells: pd.DataFrame) -> pd.DataFrame:
    """Give every known issue of the plates and wells.

    Parameters
    ----------
    wells
        ``WELLS``, in any row order.

    Returns
    -------
    DataFrame
        ``KNOWN_ISSUES``. Of the published tables 129 rows: the seeding failure of BR00116995; a stain anomaly of 43
        plate acquisitions, 27 of them in the main batch (Phalloidin 13, WGA 12, Mitotracker 2) and 26 among the 40
        primary plates (12, 12, 2); and 85 wells that the official table lacks (83 of BR00116995, one each of BR00116993
        and BR00117005). The experiment metadata name no anomaly for the plates of the bleaching batch, although these
        are WGA plates of the main batch, imaged again; neither does this table.
    """
    acquisitions = wells[[*PLATE_COLUMNS, "Metadata_anomaly"]].drop_duplicates()
    parts = [_seeding_failures(acquisitions), _stain_anomalies(acquisitions), _absent_wells(wells)]
    table = pd.concat([part.reindex(columns=KNOWN_ISSUES.column_names).astype(STRING) for part in parts])
    return KNOWN_ISSUES.normalise(table, KNOWN_ISSUES.name)


def concerned(wells: pd.DataFrame, issues: pd.DataFrame) -> pd.Series:
    """Say which wells have one of the issues, their own or one of their plate.

    Parameters
    ----------
    wells
        ``Metadata_Batch``, ``Metadata_Plate`` and ``Metadata_Well``, and any other columns.
    issues
        Rows of ``KNOWN_ISSUES``.

    Returns
    -------
    Series of bool
        With the index of ``wells``.
    """
    of_plate = issues["Metadata_Well"].isna()
    found = _is_among(wells, issues[of_plate], PLATE_COLUMNS) | _is_among(wells, issues[~of_plate], WELL_COLUMNS)
    return pd.Series(found, index=wells.index)


def issues_by_plate(issues: pd.DataFrame) -> pd.DataFrame:
    """Give the issues with one row for each plate acquisition; single wells are counted.

    Parameters
    ----------
    issues
        ``KNOWN_ISSUES``.

    Returns
    -------
    DataFrame
        ``issue``, ``Metadata_Batch``, ``Metadata_Plate``, ``Metadata_anomaly`` and ``wells``: a number, or ``all``.
    """
    key = ["issue", *PLATE_COLUMNS, "Metadata_anomaly"]
    table = issues.groupby(key, dropna=False, as_index=False).agg(wells=("Metadata_Well", "count"))
    return table.assign(wells=table["wells"].astype(STRING).mask(table["wells"] == 0, "all"))


def issues_in_subsets(manifest: pd.DataFrame, issues: pd.DataFrame) -> pd.DataFrame:
    """Count the wells with known issues in each subset of a split: an issue of one subset alone confounds it.

    Parameters
    ----------
    manifest
        ``SPLIT_MANIFEST``; it assigns wells of the main batch.
    issues
        ``KNOWN_ISSUES``.

    Returns
    -------
    DataFrame
        ``issue``, ``Metadata_anomaly``, ``subset``, ``wells`` and ``share`` (of the wells of the subset), where there
        are such wells; one with two issues counts in both. Under the default policy the representation split of the
        published tables has only WGA plates in validate, none in test (there 25 % are Mitotracker), and in train 50 %
        Phalloidin and 17 % WGA.
    """
    assigned = manifest.assign(Metadata_Batch=MAIN_BATCH)
    sizes = assigned["subset"].value_counts()
    rows = []
    for (issue, anomaly), those in issues.groupby(["issue", "Metadata_anomaly"], dropna=False):
        wells = assigned.loc[concerned(assigned, those), "subset"].value_counts()
        rows += [(issue, anomaly, name, wells[name], wells[name] / sizes[name]) for name in SUBSETS if name in wells]
    return pd.DataFrame(rows, columns=["issue", "Metadata_anomaly", "subset", "wells", "share"])


def _seeding_failures(acquisitions: pd.DataFrame) -> pd.DataFrame:
    plates = pd.MultiIndex.from_frame(acquisitions[PLATE_COLUMNS])
    known = acquisitions.loc[plates.isin(list(_SEEDING_FAILURES)), PLATE_COLUMNS]
    told = [_SEEDING_FAILURES[key] for key in known.itertuples(index=False, name=None)]
    reasons, sources = [reason for reason, _ in told], [source for _, source in told]
    return known.assign(issue=SEEDING_FAILURE, reason=reasons, source=sources)


def _stain_anomalies(acquisitions: pd.DataFrame) -> pd.DataFrame:
    stained = acquisitions[acquisitions["Metadata_anomaly"] != _NO_ANOMALY]
    stain = stained["Metadata_anomaly"]
    reason = "The " + stain + " stain deviates from the protocol" + stain.map(_STAIN_NOTES).fillna("") + "."
    return stained.assign(issue=STAIN_ANOMALY, reason=reason, source=_STAIN_SOURCE)


def _absent_wells(wells: pd.DataFrame) -> pd.DataFrame:
    absent = wells.loc[wells["Metadata_is_primary"] & ~wells["Metadata_in_official_table"], WELL_COLUMNS]
    return absent.assign(
        issue=ABSENT_FROM_OFFICIAL_TABLE,
        reason="The official split table has no row of the well.",
        source=OFFICIAL_FILE,
    )


def _is_among(wells: pd.DataFrame, issues: pd.DataFrame, key: list[str]) -> np.ndarray:
    return pd.MultiIndex.from_frame(wells[key]).isin(pd.MultiIndex.from_frame(issues[key]))
