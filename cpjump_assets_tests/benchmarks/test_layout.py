import numpy as np
import pytest

from benchmarks.layout import copies_of, real_layout, synthetic_profiles


@pytest.fixture(scope="module")
def layout(reference_root):
    return real_layout(reference_root)


def test_the_real_layout_holds_the_wells_of_the_40_primary_plates(layout):
    assert len(layout) == 15_179 and layout["Metadata_Plate"].nunique() == 40
    assert (layout["Metadata_broad_sample"] != "empty").all()


def test_compounds_have_many_targets_and_reagents_of_genes_their_own(layout):
    lists = layout["Metadata_target_list"]
    is_compound = layout["Metadata_experiment_type"] == "Compound"
    assert lists[is_compound].str.contains("|", regex=False).any()
    assert lists[~is_compound].equals(layout.loc[~is_compound, "Metadata_target"])
    assert set(layout.loc[lists.isna(), "Metadata_broad_sample"]) == {"DMSO"}


def test_copies_share_neither_plates_nor_reagents(layout):
    three = copies_of(layout, 3)
    assert three.head(len(layout)).equals(layout)
    for column in ("Metadata_Plate", "Metadata_broad_sample"):
        assert three[column].nunique() == 3 * layout[column].nunique()


def test_profiles_are_the_same_each_time_and_replicates_are_alike(layout):
    part = layout[layout["Metadata_Plate"].isin(layout["Metadata_Plate"].unique()[:2])].reset_index(drop=True)
    X = synthetic_profiles(part, n_features=40)
    assert np.array_equal(X, synthetic_profiles(part, n_features=40))
    assert not np.array_equal(X, synthetic_profiles(part, seed=1, n_features=40))
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    samples = part["Metadata_broad_sample"].to_numpy()
    same = (samples[:, np.newaxis] == samples) & ~np.eye(len(part), dtype=bool)
    cosines = unit @ unit.T
    assert cosines[same].mean() > cosines[~same].mean() + 0.2
