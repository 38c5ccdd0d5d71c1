"""The real reference tables, read once with pandas alone, and the platform's tables made of them."""

from types import SimpleNamespace

import pandas as pd
import pytest


def _tsv(path):
    return pd.read_csv(path, sep="\t", dtype=str)


@pytest.fixture(scope="session")
def raw(reference_root):
    """Give every raw reference table, as strings, under the names of the science functions' parameters."""
    annotations, splits = reference_root / "metadata" / "moa", reference_root / "datasplits"
    batches = sorted((reference_root / "metadata" / "platemaps").iterdir())
    return SimpleNamespace(
        experiment=_tsv(reference_root / "benchmark" / "output" / "experiment-metadata.tsv"),
        compounds=_tsv(annotations / "JUMP-Target-1_compound_metadata.tsv"),
        targets=_tsv(annotations / "JUMP-Target-1_compound_metadata_targets.tsv"),
        crispr=_tsv(annotations / "JUMP-Target-1_crispr_metadata.tsv"),
        orf=_tsv(annotations / "JUMP-Target-1_orf_metadata.tsv"),
        official=pd.read_csv(splits / "cpjump1_metadata.csv", dtype=str),
        barcodes={batch.name: pd.read_csv(batch / "barcode_platemap.csv", dtype=str) for batch in batches},
        plate_maps={path.stem: _tsv(path) for batch in batches for path in sorted((batch / "platemap").iterdir())},
        released_representation=pd.read_csv(splits / "representation_learning_split_example_1.csv", dtype=str),
        released_gene_compound=pd.read_csv(splits / "gene_compound_split_example_1.csv", dtype=str),
    )


@pytest.fixture(scope="session")
def real(raw):
    """Give experiment metadata, perturbations and wells, made of the real reference tables."""
    from cpjump_assets.science.experiments import experiment_metadata
    from cpjump_assets.science.perturbations import perturbation_table
    from cpjump_assets.science.wells import well_table

    experiment = experiment_metadata(raw.experiment)
    perturbations = perturbation_table(
        compounds=raw.compounds,
        target_lists={"JUMP-Target-1_compound_metadata_targets.tsv": raw.targets},
        crispr=raw.crispr,
        orf=raw.orf,
        official=raw.official,
    )
    wells = well_table(experiment, raw.barcodes, raw.plate_maps, perturbations, raw.official)
    return SimpleNamespace(experiment=experiment, perturbations=perturbations, wells=wells)
