"""Which wells the 2024 benchmark scores, and who belongs together: condition, plate, subset, perturbation.

Belongs here: choosing the wells that take part, refusing metadata that cannot be scored, and the codes that tasks
compute with. Does not belong here: positives and negatives (the tasks ``detection`` and ``matching``).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from cpjump_assets.science.arrays import Bools, Ints
from cpjump_assets.science.errors import BadTableError
from cpjump_assets.science.features import well_label
from cpjump_assets.science.selections import flags, taking_part
from cpjump_assets.science.tasks import CONDITION, EVERY_WELL, WellSelection

WELL = ["Metadata_Batch", "Metadata_Plate", "Metadata_Well"]
SAMPLE = ["Metadata_broad_sample", "Metadata_target", "Metadata_control_type"]
NO_SUBSET = -1
"""Subset code of a well that does not ask: a negative control, which is background in every subset."""


@dataclass(frozen=True)
class Layout:
    """The wells that take part, sorted by condition, batch, plate, well; arrays of shape (n_wells,).

    Attributes
    ----------
    metadata
        The metadata that were given, in their own order; of categories, the values.
    rows
        Where each well stands in ``metadata`` and in the profiles.
    subset_names
        What the codes of ``subsets`` stand for; also subsets that hold no well.
    subsets
        Subset in which a well asks, or ``NO_SUBSET``.
    conditions, plates, positions, samples
        Codes that rise as what they stand for: condition; batch and plate; well; ``broad_sample``.
    is_control
        Whether a well is a negative control.
    """

    metadata: pd.DataFrame
    rows: Ints
    subset_names: tuple[str, ...]
    subsets: Ints
    conditions: Ints
    plates: Ints
    positions: Ints
    samples: Ints
    is_control: Bools

    def by_condition(self) -> Iterator[Ints]:
        """Give the wells of each condition, in the order of the conditions."""
        bounds = np.searchsorted(self.conditions, np.arange(self.n_conditions + 1))
        return (np.arange(first, end) for first, end in pairwise(bounds))

    @property
    def n_conditions(self) -> int:
        """Count the conditions."""
        return int(self.conditions[-1]) + 1

    @cached_property
    def condition_table(self) -> pd.DataFrame:
        """Describe each condition by its columns."""
        first = np.searchsorted(self.conditions, np.arange(self.n_conditions))
        table = pd.DataFrame(self.columns(first, CONDITION))
        return table.astype({"Metadata_timepoint": "int64"})

    def with_asking_controls(self) -> "Layout":
        """Give the same layout with negative controls that ask in its one subset."""
        if len(self.subset_names) != 1:
            raise ValueError("negative controls belong to no subset of a split: they can ask where all wells are one")
        return replace(self, subsets=np.zeros_like(self.subsets))

    def columns(self, wells: Ints, names: Sequence[str]) -> dict[str, Any]:
        """Give some columns of the metadata of some wells."""
        return {name: self.metadata[name].array[self.rows[wells]] for name in names}

    def label(self, row: int) -> str:
        """Name a row of ``metadata`` for an error message."""
        return well_label(self.metadata, row)


def lay_out(
    metadata: pd.DataFrame,
    subsets: pd.Series | None = None,
    *,
    subset_names: Sequence[str] = (EVERY_WELL,),
    wells: WellSelection = EVERY_WELL,
) -> Layout:
    """Choose the wells that take part and say who belongs together.

    Parameters
    ----------
    metadata
        A row per profile, in any order, with the ``Metadata_`` columns of ``wells``: batch, plate, well, condition,
        broad_sample, target, control_type, is_primary. Other plates and empty wells are left out here.
    subsets
        Subset of each row of ``metadata``, in its order, missing for a well outside of the split: what
        ``subsets.subset_of_wells`` gives. By default all wells are one subset, ``all``. Negative controls are
        background, whatever subset is given for them, and do not ask.
    subset_names
        The subsets to score. Wells of other subsets take no part.
    wells
        Which wells take part by position, controls too.

    Raises
    ------
    BadTableError
        If a column or a value of it is missing or cannot be what it must, a well comes twice, or no well of a primary
        plate is there.
    """
    _refuse_missing_columns(metadata)
    metadata = _without_categories(metadata)
    is_control = (metadata["Metadata_control_type"] == "negcon").to_numpy(dtype=bool, na_value=False)
    names = tuple(sorted(subset_names))
    subset = _subset_codes(metadata, subsets, names)
    subset[is_control] = NO_SUBSET
    is_primary = flags(metadata, "Metadata_is_primary")
    is_empty = (metadata["Metadata_broad_sample"] == "empty").to_numpy(dtype=bool, na_value=False)
    rows = np.flatnonzero(is_primary & ~is_empty & (is_control | (subset != NO_SUBSET)) & taking_part(metadata, wells))
    if not rows.size:
        raise BadTableError(f"none of the {len(metadata)} profiles to score is of a well of a primary plate")

    frame = metadata.iloc[rows]
    _refuse_missing(frame[[*WELL, *CONDITION, "Metadata_broad_sample"]])
    _refuse_broken_hours(frame["Metadata_timepoint"])
    conditions = _codes(*(frame[column] for column in CONDITION))
    plates = _codes(frame["Metadata_Batch"], frame["Metadata_Plate"])
    positions = _codes(frame["Metadata_Well"])
    samples = _codes(frame["Metadata_broad_sample"])
    order = np.lexsort((positions, plates, conditions))
    _refuse_duplicates(frame, plates, positions)
    return Layout(
        metadata,
        rows[order],
        names,
        subset[rows[order]],
        conditions[order],
        plates[order],
        positions[order],
        samples[order],
        is_control[rows[order]],
    )


def _refuse_missing_columns(metadata: pd.DataFrame) -> None:
    needed = [*WELL, *CONDITION, *SAMPLE, "Metadata_is_primary"]
    missing = [column for column in needed if column not in metadata.columns]
    if missing:
        raise BadTableError(f"profiles to score lack the columns {', '.join(missing)}")


def _without_categories(metadata: pd.DataFrame) -> pd.DataFrame:
    """Give categories as their values: categories sort by an order of their own, and take no other value."""
    names = [name for name, dtype in metadata.dtypes.items() if isinstance(dtype, pd.CategoricalDtype)]
    return metadata.assign(**{str(name): metadata[name].astype("object").infer_objects() for name in names})


def _subset_codes(metadata: pd.DataFrame, subsets: pd.Series | None, names: tuple[str, ...]) -> Ints:
    """Give the place in ``names`` of the subset of each row, NO_SUBSET for a row that is in none of them."""
    if subsets is None:
        if len(names) != 1:
            raise ValueError(f"without subsets all wells are one, not {', '.join(names) or 'none'}")
        return np.zeros(len(metadata), dtype=np.int64)
    if len(subsets) != len(metadata):
        raise ValueError(f"{len(subsets)} subsets for {len(metadata)} rows of metadata")
    return pd.Index(names).get_indexer(pd.Index(subsets)).astype(np.int64)


def _refuse_missing(frame: pd.DataFrame) -> None:
    """Refuse wells of which is not known where, in which condition or of which sample they are."""
    missing = frame.isna().sum()
    if missing.any():
        counts = ", ".join(f"{name} in {count}" for name, count in missing[missing > 0].items())
        raise BadTableError(f"profiles to score must say what they are of; missing is {counts} of {len(frame)} rows")


def _refuse_broken_hours(hours: pd.Series) -> None:
    """Refuse a time point that is no whole number: scores are told apart, and seeded, by whole hours."""
    numbers = pd.to_numeric(hours, errors="coerce")
    odd = hours[numbers.isna() | (numbers % 1 != 0)]
    if len(odd):
        raise BadTableError(f"Metadata_timepoint must be whole hours, found {odd.iloc[0]} in {len(odd)} rows")


def _refuse_duplicates(frame: pd.DataFrame, plates: Ints, positions: Ints) -> None:
    """Refuse a well that comes twice, be it in one condition or in two."""
    order = np.lexsort((positions, plates))
    repeated = order[1:][(np.diff(plates[order]) == 0) & (np.diff(positions[order]) == 0)]
    if repeated.size:
        well = well_label(frame, int(repeated[0]))
        raise BadTableError(f"{well} has more than one profile; {repeated.size} rows are too many")


def _codes(*columns: pd.Series) -> Ints:
    """Give each distinct tuple of some columns a number, in the order of the tuples."""
    codes = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        values, distinct = pd.factorize(column, sort=True)
        codes = np.unique(codes * len(distinct) + values, return_inverse=True)[1]
    return codes
