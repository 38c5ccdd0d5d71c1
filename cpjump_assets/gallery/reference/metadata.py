"""The metadata tables, from a reference root: read the files that each needs, and let science build it.

Belongs here: which files make which table. Does not belong here: reading a file (``reference_tables``), building a
table (``science.experiments``, ``science.perturbations``, ``science.wells``).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from cpjump_assets.gallery.reference.root import ReferenceRoot
from cpjump_assets.gallery.reference.tables import (
    ReferenceFile,
    ReferenceKind,
    barcode_plate_maps,
    plate_maps,
    read_table,
    target_lists,
    the_table,
)
from cpjump_assets.science.experiments import experiment_metadata
from cpjump_assets.science.perturbations import perturbation_table
from cpjump_assets.science.strategies import GENE_COMPOUND, REPRESENTATION
from cpjump_assets.science.wells import well_table

_RELEASED = {
    REPRESENTATION: "datasplits/representation_learning_split_example_1.csv",
    GENE_COMPOUND: "datasplits/gene_compound_split_example_1.csv",
}


@dataclass(frozen=True)
class Loaded:
    """A metadata table, and the files that it was made from.

    Attributes
    ----------
    table
        The table.
    inputs
        sha256 of each reference file, by its path below the root.
    """

    table: pd.DataFrame
    inputs: Mapping[str, str]


class Metadata(NamedTuple):
    """The three metadata tables."""

    experiment_metadata: pd.DataFrame
    perturbations: pd.DataFrame
    wells: pd.DataFrame


def load_experiment_metadata(root: ReferenceRoot) -> Loaded:
    """Load ``EXPERIMENT_METADATA``.

    Raises
    ------
    GalleryError, BadTableError
        If a file cannot be had, or is not what it must be; so do all functions of this module.
    """
    files = root.files(ReferenceKind.EXPERIMENT)
    return Loaded(experiment_metadata(the_table(files, ReferenceKind.EXPERIMENT)), _digests(files))


def load_perturbations(root: ReferenceRoot) -> Loaded:
    """Load ``PERTURBATIONS``."""
    files = root.files(
        ReferenceKind.COMPOUNDS,
        ReferenceKind.TARGET_LISTS,
        ReferenceKind.CRISPR,
        ReferenceKind.ORF,
        ReferenceKind.OFFICIAL,
    )
    table = perturbation_table(
        compounds=the_table(files, ReferenceKind.COMPOUNDS),
        target_lists=target_lists(files),
        crispr=the_table(files, ReferenceKind.CRISPR),
        orf=the_table(files, ReferenceKind.ORF),
        official=the_table(files, ReferenceKind.OFFICIAL),
    )
    return Loaded(table, _digests(files))


def load_wells(root: ReferenceRoot, *, experiment_metadata: pd.DataFrame, perturbations: pd.DataFrame) -> Loaded:
    """Load ``WELLS``, given the two other metadata tables."""
    files = root.files(ReferenceKind.BARCODES, ReferenceKind.PLATE_MAP, ReferenceKind.OFFICIAL)
    table = well_table(
        experiment_metadata,
        barcode_plate_maps(files),
        plate_maps(files),
        perturbations,
        the_table(files, ReferenceKind.OFFICIAL),
    )
    return Loaded(table, _digests(files))


def load_metadata(root: ReferenceRoot) -> Metadata:
    """Load all three tables, without a store."""
    experiments = load_experiment_metadata(root).table
    reagents = load_perturbations(root).table
    return Metadata(
        experiments, reagents, load_wells(root, experiment_metadata=experiments, perturbations=reagents).table
    )


def load_released_example(root: ReferenceRoot, strategy: str) -> pd.DataFrame | None:
    """Load the example split that the authors released for a strategy; None where they or the root have none."""
    path = _RELEASED.get(strategy)
    content = None if path is None else root.read(path)
    if path is None or content is None:
        return None
    # Written by R, like the official table: the same dialect.
    return read_table(ReferenceFile(ReferenceKind.OFFICIAL, path, hashlib.sha256(content).hexdigest(), content))


def _digests(files: tuple[ReferenceFile, ...]) -> dict[str, str]:
    return {file.path: file.sha256 for file in files}
