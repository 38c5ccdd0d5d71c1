"""Planted leaks: each takes a sound manifest and lets one kind of thing cross."""

from collections.abc import Callable

import pandas as pd

Leak = Callable[[pd.DataFrame, pd.DataFrame], pd.DataFrame]


def move(manifest: pd.DataFrame, rows: pd.Series) -> pd.DataFrame:
    """Put the wells of a mask into another subset than the one they are in."""
    leaked = manifest.copy()
    here = leaked.loc[rows, "subset"].iloc[0]
    leaked.loc[rows, "subset"] = "test" if here == "train" else "train"
    return leaked


def well_twice(manifest: pd.DataFrame, perturbations: pd.DataFrame) -> pd.DataFrame:
    """List a well once more, in another subset."""
    again = move(manifest.head(1), pd.Series(True, index=manifest.head(1).index))
    return pd.concat([manifest, again], ignore_index=True)


def key_twice(manifest: pd.DataFrame, perturbations: pd.DataFrame) -> pd.DataFrame:
    """List a well once more, in the same subset."""
    return pd.concat([manifest, manifest.head(1)], ignore_index=True)


def missing_well(manifest: pd.DataFrame, perturbations: pd.DataFrame) -> pd.DataFrame:
    """Leave a well out."""
    return manifest.iloc[1:].reset_index(drop=True)


def one_replicate(manifest: pd.DataFrame, perturbations: pd.DataFrame) -> pd.DataFrame:
    """Move one well of a compound away from its replicates."""
    compounds = manifest.index[manifest["Metadata_experiment_type"] == "Compound"]
    return move(manifest, pd.Series(manifest.index == compounds[0], index=manifest.index))


def one_guide_of_a_pair(manifest: pd.DataFrame, perturbations: pd.DataFrame) -> pd.DataFrame:
    """Move all wells of one guide away from the other guide of its gene."""
    guides = manifest[manifest["Metadata_experiment_type"] == "CRISPR"]
    pairs = guides.groupby("Metadata_target")["Metadata_broad_sample"].nunique()
    samples = guides.loc[guides["Metadata_target"] == pairs.index[pairs == 2][0], "Metadata_broad_sample"]
    return move(manifest, manifest["Metadata_broad_sample"] == samples.iloc[0])


def one_modality_of_a_target(manifest: pd.DataFrame, perturbations: pd.DataFrame) -> pd.DataFrame:
    """Move all ORF wells of a target away from its guides and compounds."""
    subsets = manifest.groupby("Metadata_target")["subset"].nunique()
    of_target = manifest["Metadata_target"] == subsets.index[subsets == 1][0]
    return move(manifest, of_target & (manifest["Metadata_experiment_type"] == "ORF"))


def one_id_of_a_name(manifest: pd.DataFrame, perturbations: pd.DataFrame) -> pd.DataFrame:
    """Move all wells of one id of a compound away from its other id, which has the same name and target."""
    compounds = perturbations[perturbations["Metadata_experiment_type"] == "Compound"]
    twins = compounds[compounds.duplicated(["Metadata_pert_iname", "Metadata_target"], keep=False)]
    return move(manifest, manifest["Metadata_broad_sample"] == twins["Metadata_broad_sample"].iloc[0])
