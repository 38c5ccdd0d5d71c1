"""Fitted profiles through Dagster: what the tables hold and say, and that a fit on other wells turns its check red."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cpjump_assets.orchestration import tables
from cpjump_assets.orchestration.refresh import FinishedRun
from cpjump_assets.science.feature_selection import select_features_over
from cpjump_assets.science.presets import require_preset
from cpjump_assets.science.spherize import fit_spherize, sphere
from cpjump_assets.science.strategies import CELLCLIP, GENE_COMPOUND, REPRESENTATION, STRATEGIES
from cpjump_assets.science.subsets import subset_of_wells
from cpjump_assets.science.train_fit import SELECTION, SPHERING, sphere_on_train
from cpjump_assets_tests.orchestration.lab import LAB_KEYS, Lab

PRESET = require_preset("paper_2024")
CHECK = "fitted_on_train_only"
KEY = ["Metadata_Batch", "Metadata_Plate", "Metadata_Well"]


def _found(lab: Lab, finished: FinishedRun) -> dict[str, object]:
    evaluation = lab.evaluations(finished)[CHECK]
    return {"passed": evaluation.passed, **{name: value.value for name, value in evaluation.metadata.items()}}


def _shown(lab: Lab, asset: tables.StoredAsset) -> dict[str, object]:
    event = lab.materializations(asset)[0].event_log_entry.dagster_event
    return {name: value.value for name, value in event.step_materialization_data.materialization.metadata.items()}


def test_the_controls_of_the_batch_come_out_white(refreshed_lab: Lab) -> None:
    store = refreshed_lab.store
    selected = store.read_profiles(tables.SELECTED_PROFILES.key())
    sphered = store.read_profiles(tables.SPHERIZED_PROFILES.key())
    pd.testing.assert_frame_equal(sphered.metadata, selected.metadata)
    assert sphered.features == selected.features
    negcon = (sphered.metadata["Metadata_control_type"] == "negcon").to_numpy()
    np.testing.assert_allclose(np.cov(sphered.matrix[negcon].T), np.eye(len(sphered.features)), atol=1e-3)
    expected = sphere(selected, fit_spherize(selected.matrix[negcon], PRESET.spherize), PRESET.spherize)
    np.testing.assert_allclose(sphered.matrix, expected.matrix, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_fits_see_train_wells_and_controls_of_plates_that_hold_some(refreshed_lab: Lab, strategy: str) -> None:
    store = refreshed_lab.store
    manifest = store.read(tables.SPLIT_MANIFEST.key(strategy))
    fits = store.read(tables.TRAIN_FIT_WELLS.key(strategy))
    profiled = store.read_profiles(tables.SELECTED_PROFILES.key()).metadata
    seen = fits.merge(profiled, on=KEY)
    assert len(seen) == len(fits)
    train = profiled[subset_of_wells(profiled, manifest) == "train"]
    selection, sphering = (seen[seen["fit"] == fit] for fit in (SELECTION, SPHERING))
    assert set(map(tuple, selection[KEY].to_numpy())) == set(map(tuple, train[KEY].to_numpy()))
    negcon = profiled[profiled["Metadata_control_type"] == "negcon"]
    expected = negcon[negcon["Metadata_Plate"].isin(train["Metadata_Plate"])]
    assert set(map(tuple, sphering[KEY].to_numpy())) == set(map(tuple, expected[KEY].to_numpy()))
    types = {"CRISPR", "ORF"} if strategy == REPRESENTATION else {"CRISPR", "ORF", "Compound"}
    assert set(sphering["Metadata_experiment_type"]) == types


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_profiles_are_those_of_the_split_and_the_controls(refreshed_lab: Lab, strategy: str) -> None:
    store = refreshed_lab.store
    manifest = store.read(tables.SPLIT_MANIFEST.key(strategy))
    selection = store.read(tables.TRAIN_FEATURE_SELECTION.key(strategy))
    selected = store.read_profiles(tables.TRAIN_SELECTED_PROFILES.key(strategy))
    everything = store.read_profiles(tables.SELECTED_PROFILES.key()).metadata
    subsets = subset_of_wells(everything, manifest)
    rows = subsets.notna() | (everything["Metadata_control_type"] == "negcon")
    expected = everything[rows].assign(Metadata_subset=subsets).reset_index(drop=True)
    pd.testing.assert_frame_equal(selected.metadata, expected)
    assert selected.features == tuple(selection.loc[selection["kept"], "feature"])
    one = store.read_profiles(tables.NORMALIZED_PROFILES.key(LAB_KEYS[0]))
    own = selected.metadata["Metadata_Plate"] == one.metadata["Metadata_Plate"].iloc[0]
    wells = one.metadata["Metadata_Well"].isin(selected.metadata.loc[own, "Metadata_Well"]).to_numpy()
    values = one.to_frame().loc[wells, list(selected.features)].to_numpy()
    np.testing.assert_array_equal(selected.matrix[own.to_numpy()], values)
    sphered = store.read_profiles(tables.TRAIN_SPHERIZED_PROFILES.key(strategy))
    pd.testing.assert_frame_equal(sphered.metadata, selected.metadata)
    assert np.isfinite(sphered.matrix).all()


def test_tables_say_what_they_were_made_from(refreshed_lab: Lab) -> None:
    store = refreshed_lab.store
    manifest = store.describe(tables.SPLIT_MANIFEST.key(CELLCLIP)).digest
    for asset in (
        tables.TRAIN_FIT_WELLS,
        tables.TRAIN_FEATURE_SELECTION,
        tables.TRAIN_SELECTED_PROFILES,
        tables.TRAIN_SPHERIZED_PROFILES,
    ):
        provenance = store.describe(asset.key(CELLCLIP)).provenance
        assert provenance.inputs[f"splits/split_manifest/{CELLCLIP}"] == manifest
        assert "simulated" in provenance.origin.lower()
        assert provenance.preset == PRESET.name
    assert "SelectionConfig" in store.describe(tables.TRAIN_FEATURE_SELECTION.key(CELLCLIP)).provenance.inputs
    for asset in (tables.SPHERIZED_PROFILES.key(), tables.TRAIN_SPHERIZED_PROFILES.key(CELLCLIP)):
        assert "SpherizeConfig" in store.describe(asset).provenance.inputs


def test_what_is_fitted_over_the_batch_is_called_transductive_and_the_rest_is_not(refreshed_lab: Lab) -> None:
    for asset in (tables.FEATURE_SELECTION, tables.SELECTED_PROFILES, tables.SPHERIZED_PROFILES):
        assert "transductive" in _shown(refreshed_lab, asset)["fitted on"]
    for asset in (tables.TRAIN_FEATURE_SELECTION, tables.TRAIN_SELECTED_PROFILES, tables.TRAIN_SPHERIZED_PROFILES):
        assert "train wells" in _shown(refreshed_lab, asset)["fitted on"]
        assert "transductive" not in _shown(refreshed_lab, asset)["fitted on"]


def test_tables_fitted_on_train_prove_it(refreshed_lab: Lab, lab: Lab) -> None:
    for asset in (tables.TRAIN_FEATURE_SELECTION, tables.TRAIN_SPHERIZED_PROFILES):
        finished = lab.check(asset.name, partition=GENE_COMPOUND)
        found = _found(lab, finished)
        assert finished.success
        assert found["passed"]
        assert found["wells seen"] > 300
        assert found["validate or test wells seen"] == 0
        assert found["largest difference"] < 1e-4
    assert found["values"] == lab.store.read_profiles(tables.TRAIN_SPHERIZED_PROFILES.key(GENE_COMPOUND)).matrix.size


def test_a_selection_over_the_batch_in_place_of_that_on_train_turns_the_check_red(lab: Lab) -> None:
    store, key = lab.store, tables.TRAIN_FEATURE_SELECTION.key(REPRESENTATION)
    provenance = store.describe(key).provenance
    plates = [store.open_profiles(tables.NORMALIZED_PROFILES.key(plate)) for plate in LAB_KEYS]
    store.write(key, select_features_over(plates, PRESET.selection), provenance)
    finished = lab.check("train_feature_selection", partition=REPRESENTATION)
    found = _found(lab, finished)
    assert not found["passed"]
    assert not finished.success
    assert found["features"] == 40
    assert found["pairs with another r"] > 0
    assert found["features with other counts"] > 0
    assert found["altered since recorded"] == "train_feature_selection"


def test_a_whitening_by_all_controls_turns_the_check_red(lab: Lab) -> None:
    store, key = lab.store, tables.TRAIN_SPHERIZED_PROFILES.key(REPRESENTATION)
    provenance = store.describe(key).provenance
    selected = store.read_profiles(tables.TRAIN_SELECTED_PROFILES.key(REPRESENTATION))
    every = selected.metadata[selected.metadata["Metadata_control_type"] == "negcon"].assign(fit=SPHERING)
    store.write_profiles(key, sphere_on_train(selected, every, PRESET.spherize).profiles, provenance)
    found = _found(lab, lab.check("train_spherized_profiles", partition=REPRESENTATION))
    assert not found["passed"]
    assert found["wells seen that may not be"] == 0  # the record is untouched: the values tell
    assert found["values that differ"] > 0.9 * found["values"]


def test_a_record_that_holds_a_test_well_turns_the_check_red_and_is_not_used(lab: Lab) -> None:
    store, key = lab.store, tables.TRAIN_FIT_WELLS.key(GENE_COMPOUND)
    record = store.read(key)
    manifest = store.read(tables.SPLIT_MANIFEST.key(GENE_COMPOUND))
    test = manifest[manifest["subset"] == "test"].iloc[0]
    more = record.iloc[[0]].assign(
        Metadata_Plate=test["Metadata_Plate"], Metadata_Well=test["Metadata_Well"], fit=SPHERING, subset=None
    )
    planted = pd.concat([record, more], ignore_index=True).astype(record.dtypes)
    store.write(key, planted, store.describe(key).provenance)
    found = _found(lab, lab.check("train_spherized_profiles", partition=GENE_COMPOUND))
    assert not found["passed"]
    assert found["validate or test wells seen"] == 1
    finished = lab.run("strategy", partition=GENE_COMPOUND, assets=["train_spherized_profiles"])
    assert not finished.success
    assert "materialize train_fit_wells again" in " ".join(finished.errors)


def test_a_table_that_cannot_be_proved_says_why(lab: Lab) -> None:
    key = tables.SPLIT_MANIFEST.key(GENE_COMPOUND)
    manifest = lab.store.read(key)
    lab.store.write(key, manifest[manifest["subset"] != "train"], lab.store.describe(key).provenance)
    found = _found(lab, lab.check("train_feature_selection", partition=GENE_COMPOUND))
    assert not found["passed"]
    assert "cannot be fitted on train alone" in found["problem"]


def test_held_out_wells_of_garbage_leave_the_fit_as_it_was(lab: Lab) -> None:
    store = lab.store
    fits = (tables.TRAIN_FIT_WELLS, tables.TRAIN_FEATURE_SELECTION)
    before = {asset: store.read(asset.key(CELLCLIP)) for asset in fits}
    manifest = store.read(tables.SPLIT_MANIFEST.key(CELLCLIP))
    for plate in LAB_KEYS:
        key = tables.NORMALIZED_PROFILES.key(plate)
        profiles = store.read_profiles(key)
        held_out = (subset_of_wells(profiles.metadata, manifest) == "test").to_numpy()
        assert held_out.any()
        garbage = np.where(held_out[:, None], np.float32(1e9), profiles.matrix)
        garbage[held_out, ::3] = np.nan
        store.write_profiles(key, replace(profiles, matrix=garbage), store.describe(key).provenance)
    finished = lab.run(
        "strategy",
        partition=CELLCLIP,
        assets=["train_fit_wells", "train_feature_selection", "train_selected_profiles", "train_spherized_profiles"],
    )
    assert finished.success, finished.errors
    for asset, table in before.items():
        pd.testing.assert_frame_equal(store.read(asset.key(CELLCLIP)), table, check_exact=True)
    selected = store.read_profiles(tables.TRAIN_SELECTED_PROFILES.key(CELLCLIP))
    assert np.isnan(selected.matrix).any()
    shown = _shown(lab, tables.TRAIN_SELECTED_PROFILES)
    assert shown["values missing"] == np.isnan(selected.matrix).sum()
    sphered = store.read_profiles(tables.TRAIN_SPHERIZED_PROFILES.key(CELLCLIP))
    assert _shown(lab, tables.TRAIN_SPHERIZED_PROFILES)["values taken as the centre"] == shown["values missing"]
    assert np.isfinite(sphered.matrix).all()


def test_a_sphered_value_that_is_no_number_is_found(lab: Lab) -> None:
    store, key = lab.store, tables.SPHERIZED_PROFILES.key()
    profiles = store.read_profiles(key)
    profiles.matrix[3, 2] = np.nan
    again = pd.concat([profiles.metadata[:-1], profiles.metadata[:1]], ignore_index=True)
    twice = replace(profiles, metadata=again)
    store.write_profiles(key, twice, store.describe(key).provenance)
    evaluation = lab.evaluations(lab.check("spherized_profiles"))["spherized_profiles_finite"]
    assert not evaluation.passed
    assert [value.value for value in evaluation.metadata.values()] == [1, 1]
