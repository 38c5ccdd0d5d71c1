"""Our profiles beside the published ones, level by level.

Belongs here: how two profiles of a plate are compared, the verdict, and what it comes to over plates. Does not belong
here: which levels there are (``levels``), how ours come about (``normalize``, ``feature_selection``, ``spherize``),
which files the gallery holds.

Published files carry five significant digits, so that two values are equal when both are the same number at five
digits. One thing differs on purpose: the published selections keep a feature that a few wells lack, ours never do
(``feature_selection``). Such features are counted as withheld, and do not stand against a level.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cpjump_assets.science.features import Matrix, Profiles, listed
from cpjump_assets.science.levels import LEVELS, Level
from cpjump_assets.science.plates import PlateKey
from cpjump_assets.science.rounding import significant
from cpjump_assets.science.schemas import Column, TableSchema

DIGITS = 5
LEAST_EQUAL = 0.999
"""Share of equal values at which a level is reproduced: computed by one definition, values differ only where a rounding
falls the other way, one in millions; 0.1 % is less than one well of 384, or a few features of thousands, by another."""

_SHARE = (0.0, 1.0)
_AT_LEAST_NOTHING = (0.0, float("inf"))

PROFILE_REPRODUCTION = TableSchema(
    "profile_reproduction",
    "a level of a plate's profiles, ours beside the published file",
    ("Metadata_Batch", "Metadata_Plate", "level"),
    (
        Column("Metadata_Batch", "string", "batch of the plate"),
        Column("Metadata_Plate", "string", "barcode of the plate"),
        Column("level", "string", "how far the profiles have been processed", allowed=LEVELS),
        Column("reproduces", "boolean", f"same wells, same features but withheld ones, {LEAST_EQUAL:.1%} of values"),
        Column("wells", "integer", "wells on both sides"),
        Column("wells_only_ours", "integer", "wells that the published file lacks"),
        Column("wells_only_published", "integer", "wells that ours lack"),
        Column("features", "integer", "features on both sides"),
        Column("features_only_ours", "integer", "features that the published file lacks"),
        Column("features_only_published", "integer", "features that ours lack"),
        Column("features_withheld", "integer", "of those, features that we keep back because a well lacks the value"),
        Column("examples_only_ours", "string", "the first features that the published file lacks", nullable=True),
        Column("examples_only_published", "string", "the first that ours lack, withheld ones last", nullable=True),
        Column("values", "integer", "wells x features on both sides"),
        Column("finite_on_both", "integer", "values that are numbers on both sides"),
        Column("finite_on_neither", "integer", "values that are missing or infinite on both sides, as at a MAD of 0"),
        Column("finite_only_ours", "integer", "values that are missing or infinite in the published file alone"),
        Column("finite_only_published", "integer", "values that are missing or infinite in ours alone"),
        Column("equal", "integer", f"values that are the same number at {DIGITS} significant digits"),
        Column("different", "integer", "values that are numbers on any side and not equal"),
        Column("within_one_unit", "integer", "equal values, and those one unit of the last digit apart"),
        Column("share_equal", "number", "equal values among those that are numbers on any side", True, bounds=_SHARE),
        Column("share_within_one_unit", "number", "the same of values within one unit", True, bounds=_SHARE),
        Column("largest_difference", "number", "largest |ours - published|", True, bounds=_AT_LEAST_NOTHING),
        Column("largest_difference_feature", "string", "where it is; missing when it is 0", nullable=True),
        Column("largest_difference_well", "string", "where it is; missing when it is 0", nullable=True),
        Column("largest_relative_difference", "number", "by the larger of the two sizes", True, bounds=(0.0, 2.0)),
        Column("largest_relative_difference_feature", "string", "where it is; missing when it is 0", nullable=True),
        Column("largest_relative_difference_well", "string", "where it is; missing when it is 0", nullable=True),
    ),
)


def compare_level(
    ours: Profiles, published: Profiles, *, plate: PlateKey, level: Level, withheld: Collection[str] = ()
) -> dict[str, Any]:
    """Compare one level of a plate with its published file.

    Values are compared after both were rounded to five significant digits: float32, in which ours are stored, holds
    seven, so that rounding gives back the number that was meant.

    Parameters
    ----------
    ours, published
        The wells of the plate, each once; of the metadata only ``Metadata_Well`` matters. Infinite values are allowed.
    plate, level
        What is compared.
    withheld
        Features that our selection never keeps because a well lacks their value.

    Returns
    -------
    dict
        A row of ``PROFILE_REPRODUCTION``.
    """
    wells = _Sides.of(ours.metadata["Metadata_Well"], published.metadata["Metadata_Well"])
    features = _Sides.of(ours.features, published.features)
    values = _compare_values(_values(ours, wells, features), _values(published, wells, features), wells, features)
    held_back = [name for name in features.only_published if name in withheld]
    unexplained = [name for name in features.only_published if name not in withheld]
    alike = not (wells.only_ours or wells.only_published or features.only_ours or unexplained)
    return {
        "Metadata_Batch": plate.batch,
        "Metadata_Plate": plate.barcode,
        "level": level,
        "reproduces": bool(alike and values["share_equal"] >= LEAST_EQUAL),
        "wells": len(wells.both),
        "wells_only_ours": len(wells.only_ours),
        "wells_only_published": len(wells.only_published),
        "features": len(features.both),
        "features_only_ours": len(features.only_ours),
        "features_only_published": len(features.only_published),
        "features_withheld": len(held_back),
        "examples_only_ours": listed(features.only_ours) or None,
        "examples_only_published": listed([*unexplained, *held_back]) or None,
        **values,
    }


def reproduction_table(rows: Iterable[Mapping[str, Any]], source: str) -> pd.DataFrame:
    """Put the rows of ``compare_level`` together, as ``PROFILE_REPRODUCTION``; levels in the order of the alphabet.

    Parameters
    ----------
    rows
        None at all gives an empty table with all columns.
    source
        What to call the table in an error.
    """
    frame = pd.DataFrame(list(rows), columns=PROFILE_REPRODUCTION.column_names)
    return PROFILE_REPRODUCTION.normalise(frame, source)


def summarize_reproduction(table: pd.DataFrame) -> pd.DataFrame:
    """Sum up the comparisons of many plates, level by level.

    Parameters
    ----------
    table
        Rows of ``PROFILE_REPRODUCTION``.

    Returns
    -------
    DataFrame
        One row per level that was compared, in the order of ``LEVELS``: ``level``; ``plates``; ``reproduced`` (plates);
        ``values`` and how many are ``different``; ``worst_share_equal`` and ``worst_plate``; ``largest_difference`` and
        ``largest_at`` (plate, well and feature of it; missing when it is 0); ``largest_relative_difference``;
        ``one_side_wells`` (on one side only), ``one_side_features`` (without the withheld) and ``withheld``.
    """
    present = [level for level in LEVELS if level in set(table["level"])]
    return pd.DataFrame([_summary(level, table[table["level"] == level]) for level in present], columns=_SUMMARY)


_SUMMARY = [
    "level",
    "plates",
    "reproduced",
    "values",
    "different",
    "worst_share_equal",
    "worst_plate",
    "largest_difference",
    "largest_relative_difference",
    "largest_at",
    "one_side_wells",
    "one_side_features",
    "withheld",
]


def _summary(level: str, rows: pd.DataFrame) -> dict[str, Any]:
    # A plate without any value to compare is the worst there is.
    worst = rows.sort_values("share_equal", na_position="first", kind="stable").iloc[0]
    largest = rows.sort_values("largest_difference", ascending=False, kind="stable").iloc[0]
    place = largest[["Metadata_Plate", "largest_difference_well", "largest_difference_feature"]]
    one_side_features = rows["features_only_ours"] + rows["features_only_published"] - rows["features_withheld"]
    return {
        "level": level,
        "plates": len(rows),
        "reproduced": int(rows["reproduces"].sum()),
        "values": int(rows["values"].sum()),
        "different": int(rows["different"].sum()),
        "worst_share_equal": worst["share_equal"],
        "worst_plate": worst["Metadata_Plate"],
        "largest_difference": rows["largest_difference"].max(),
        "largest_relative_difference": rows["largest_relative_difference"].max(),
        "largest_at": " ".join(place) if place.notna().all() else None,
        "one_side_wells": int((rows["wells_only_ours"] + rows["wells_only_published"]).sum()),
        "one_side_features": int(one_side_features.sum()),
        "withheld": int(rows["features_withheld"].sum()),
    }


class _Sides(NamedTuple):
    """Names on both sides and on one side only; each in the order of its own side, common ones in that of ours."""

    both: list[str]
    only_ours: list[str]
    only_published: list[str]

    @classmethod
    def of(cls, ours: Iterable[str], published: Iterable[str]) -> "_Sides":
        # Dictionaries keep the order, which sets do not.
        mine, theirs = dict.fromkeys(ours), dict.fromkeys(published)
        return cls(
            [name for name in mine if name in theirs],
            [name for name in mine if name not in theirs],
            [name for name in theirs if name not in mine],
        )


def _values(profiles: Profiles, wells: _Sides, features: _Sides) -> Matrix:
    """Give the values of the common features, one row each, in the common wells."""
    rows = pd.Index(profiles.metadata["Metadata_Well"]).get_indexer(pd.Index(wells.both, dtype="str"))
    columns = pd.Index(profiles.features).get_indexer(pd.Index(features.both, dtype="str"))
    return profiles.matrix.T[columns][:, rows]


def _compare_values(ours: Matrix, published: Matrix, wells: _Sides, features: _Sides) -> dict[str, Any]:
    """Count what agrees; both are (features, wells)."""
    is_finite, is_published = np.isfinite(ours), np.isfinite(published)
    on_both = is_finite & is_published
    # Nearly all values are equal before any rounding: only the others need it.
    unlike = on_both & (ours != published)
    x, y = significant(ours[unlike], DIGITS), significant(published[unlike], DIGITS)
    n_both, on_any = int(on_both.sum()), int((is_finite | is_published).sum())
    equal, near = n_both - int((x != y).sum()), n_both - int((~_within_one_unit(x, y)).sum())
    difference = np.abs(x - y)
    # Two zeros of different sign are equal already, so that no size is 0 here.
    relative = difference / np.maximum(np.abs(x), np.abs(y))
    places = np.argwhere(unlike)
    return {
        "values": ours.size,
        "finite_on_both": n_both,
        "finite_on_neither": ours.size - on_any,
        "finite_only_ours": int((is_finite & ~is_published).sum()),
        "finite_only_published": int((is_published & ~is_finite).sum()),
        "equal": equal,
        "different": on_any - equal,
        "within_one_unit": near,
        "share_equal": equal / on_any if on_any else np.nan,
        "share_within_one_unit": near / on_any if on_any else np.nan,
        **_largest("largest_difference", difference, places, wells, features, compared=n_both > 0),
        **_largest("largest_relative_difference", relative, places, wells, features, compared=n_both > 0),
    }


def _within_one_unit(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell which numbers of five digits are equal or neighbours; the larger of the two says what a unit is."""
    size = np.maximum(np.abs(x), np.abs(y))
    # Five digits lie 4e-6 apart in log10 at least, rounding 1e-15: both margins are far from either.
    unit = 10.0 ** (np.floor(np.log10(size) + 1e-9) - (DIGITS - 1))
    within: NDArray[np.bool_] = np.abs(x - y) <= unit * (1 + 1e-6)
    return within


def _largest(
    name: str,
    differences: NDArray[np.float64],
    places: NDArray[np.intp],
    wells: _Sides,
    features: _Sides,
    *,
    compared: bool,
) -> dict[str, Any]:
    nowhere = {f"{name}_feature": None, f"{name}_well": None}
    if not differences.any():
        return {name: 0.0 if compared else np.nan, **nowhere}
    worst = int(differences.argmax())
    feature, well = places[worst]
    return {
        name: float(differences[worst]),
        f"{name}_feature": features.both[feature],
        f"{name}_well": wells.both[well],
    }
