"""Proof that fits saw train wells alone: it holds for what was made so, and every other way is caught."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cpjump_assets.science.feature_selection import PAPER_2024, select_features_over
from cpjump_assets.science.features import Profiles
from cpjump_assets.science.plate_values import SomeWells
from cpjump_assets.science.spherize import SpherizeConfig
from cpjump_assets.science.strategies import GENE_COMPOUND
from cpjump_assets.science.train_fit import (
    SELECTION,
    SPHERING,
    seen_by,
    select_on_train,
    sphere_on_train,
    take_selected,
    train_fit_wells,
)
from cpjump_assets.science.train_proof import prove_selection, prove_sphering, prove_wells
from cpjump_assets_tests.science.helpers_train import by_plate, controls_too, manifest_of, mixed, poisoned, screen

CONFIG = SpherizeConfig(digits=5)


class Tables(NamedTuple):
    """What lies in the store for one strategy."""

    plates: list[Profiles]
    manifest: pd.DataFrame
    wells: pd.DataFrame
    selection: pd.DataFrame
    selected: Profiles
    sphered: Profiles

    def selection_proof(self):
        return prove_selection(self.plates, self.manifest, self.wells, self.selection, PAPER_2024)

    def sphering_proof(self):
        return prove_sphering(self.manifest, self.wells, self.selected, self.sphered, CONFIG)


def made(assign=mixed) -> Tables:
    """Make all tables as they should be."""
    plates = screen()
    manifest = manifest_of(plates, assign)
    metadata = pd.concat([plate.metadata for plate in plates], ignore_index=True)
    wells = train_fit_wells(metadata, manifest, GENE_COMPOUND)
    selection = select_on_train(plates, wells, PAPER_2024)
    selected = take_selected(plates, selection, manifest)
    return Tables(plates, manifest, wells, selection, selected, sphere_on_train(selected, wells, CONFIG).profiles)


def selected_over(tables: Tables, seen: np.ndarray) -> pd.DataFrame:
    """Select features over any wells, given for all plates below each other."""
    parts = np.split(seen, np.cumsum([len(plate.metadata) for plate in tables.plates])[:-1])
    taken = [SomeWells(plate, rows) for plate, rows in zip(tables.plates, parts, strict=True) if rows.any()]
    return select_features_over(taken, PAPER_2024)


def train_rows(tables: Tables) -> np.ndarray:
    return np.concatenate([seen_by(SELECTION, plate.metadata, tables.wells) for plate in tables.plates])


def well_of(tables: Tables, subset: str) -> int:
    """Give the position of a well of a subset among all wells."""
    row = tables.manifest.index[tables.manifest["subset"] == subset][3]
    plate, well = tables.manifest.loc[row, ["Metadata_Plate", "Metadata_Well"]]
    metadata = pd.concat([plate.metadata for plate in tables.plates], ignore_index=True)
    return int(metadata.index[(metadata["Metadata_Plate"] == plate) & (metadata["Metadata_Well"] == well)][0])


@pytest.mark.parametrize("assign", [mixed, by_plate, controls_too])
def test_what_was_fitted_on_train_is_proved(assign) -> None:
    tables = made(assign)
    selection = tables.selection_proof()
    assert selection.holds
    assert selection.wells.seen == (tables.wells["fit"] == SELECTION).sum() > 0
    assert (selection.features, selection.pairs) == (len(tables.selection), 2)
    sphering = tables.sphering_proof()
    assert sphering.holds
    assert sphering.wells.seen == (tables.wells["fit"] == SPHERING).sum() > 0
    assert sphering.values == tables.sphered.matrix.size
    assert sphering.largest_difference < 1e-6


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e6])
def test_garbage_in_held_out_wells_does_not_break_the_proof(value: float) -> None:
    tables = made()
    plates = poisoned(tables.plates, tables.manifest, value)
    assert tables._replace(plates=plates).selection_proof().holds
    selected = take_selected(plates, tables.selection, tables.manifest)
    sphered = sphere_on_train(selected, tables.wells, CONFIG).profiles
    assert tables._replace(plates=plates, selected=selected, sphered=sphered).sphering_proof().holds


@given(st.sampled_from(["validate", "test"]), st.data())
@settings(max_examples=4, deadline=None)
def test_one_held_out_well_more_is_caught(subset: str, data: st.DataObject) -> None:
    tables = made()
    rows = train_rows(tables)
    rows[well_of(tables, subset)] = True
    proof = tables._replace(selection=selected_over(tables, rows)).selection_proof()
    assert proof.wells.holds  # the record is innocent; the numbers are not
    assert not proof.holds
    assert proof.features_with_other_counts > 0
    assert proof.pairs_with_another_r == proof.pairs > 0
    train = np.flatnonzero(train_rows(tables))
    rows[data.draw(st.sampled_from(train.tolist()))] = False
    in_place_of_another = tables._replace(selection=selected_over(tables, rows)).selection_proof()
    assert not in_place_of_another.holds
    assert in_place_of_another.pairs_with_another_r == in_place_of_another.pairs > 0


def test_a_train_well_that_was_left_out_is_caught() -> None:
    tables = made()
    rows = train_rows(tables)
    rows[np.flatnonzero(rows)[7]] = False
    assert not tables._replace(selection=selected_over(tables, rows)).selection_proof().holds


def test_the_selection_over_the_batch_is_not_taken_for_one_on_train() -> None:
    tables = made()
    everything = np.ones(sum(len(plate.metadata) for plate in tables.plates), dtype=bool)
    proof = tables._replace(selection=selected_over(tables, everything)).selection_proof()
    assert not proof.holds
    assert proof.largest_difference > 1e-4


def test_a_selection_of_other_features_is_caught() -> None:
    tables = made()
    foreign = tables.selection.assign(feature=tables.selection["feature"].replace("Cells_F09", "Cells_X"))
    proof = tables._replace(selection=foreign).selection_proof()
    assert proof.features_with_other_counts == 2  # one is missing and one is not known


@pytest.mark.parametrize("feature", ["Cells_F01", "Cells_F05", "Cells_F09"])
def test_a_verdict_that_the_numbers_do_not_give_is_caught(feature: str) -> None:
    """All numbers are of the train wells; what is kept was chosen by something else."""
    tables = made()
    chosen = tables.selection["feature"] == feature
    kept = tables.selection["kept"] ^ chosen
    dropped_by = tables.selection["dropped_by"].mask(chosen & kept).mask(chosen & ~kept, "variance")
    proof = tables._replace(selection=tables.selection.assign(kept=kept, dropped_by=dropped_by)).selection_proof()
    assert proof.features_with_another_verdict == 1
    assert (proof.features_with_other_counts, proof.pairs_with_another_r) == (0, 0)
    assert not proof.holds


@pytest.mark.parametrize("fit", [SELECTION, SPHERING])
def test_a_record_with_a_held_out_well_is_caught(fit: str) -> None:
    tables = made(controls_too if fit == SPHERING else mixed)
    place = well_of(tables, "test")
    metadata = pd.concat([plate.metadata for plate in tables.plates], ignore_index=True).iloc[[place]]
    more = metadata.assign(split_strategy=GENE_COMPOUND, fit=fit, subset="train")[tables.wells.columns]
    record = pd.concat([tables.wells, more], ignore_index=True)
    everything = pd.concat([plate.metadata for plate in tables.plates], ignore_index=True)
    proof = prove_wells(fit, everything, tables.manifest, record)
    assert (proof.held_out, proof.not_allowed, proof.left_out) == (1, 1, 0)
    assert not proof.holds
    assert not tables._replace(wells=record).selection_proof().wells.holds or fit == SPHERING
    assert not tables._replace(wells=record).sphering_proof().wells.holds or fit == SELECTION
    short = tables.wells.drop(index=tables.wells.index[tables.wells["fit"] == fit][2])
    assert prove_wells(fit, everything, tables.manifest, short)._asdict() | {"seen": 0} == {
        "seen": 0,
        "held_out": 0,
        "not_allowed": 0,
        "left_out": 1,
    }


def test_a_manifest_that_moved_a_well_breaks_the_proof() -> None:
    tables = made()
    moved = tables.manifest.copy()
    moved.loc[moved.index[moved["subset"] == "train"][0], "subset"] = "test"
    proof = tables._replace(manifest=moved).selection_proof()
    assert proof.wells.held_out == 1
    assert proof.pairs_with_another_r == proof.pairs > 0


def test_sphering_by_other_controls_is_caught() -> None:
    tables = made(by_plate)
    every = tables.selected.metadata.query("Metadata_control_type == 'negcon'")
    wells = every.assign(split_strategy=GENE_COMPOUND, fit=SPHERING, subset=None)[tables.wells.columns]
    transductive = sphere_on_train(tables.selected, wells, CONFIG).profiles
    proof = tables._replace(sphered=transductive).sphering_proof()
    assert proof.wells.holds
    assert proof.values_that_differ > 0.9 * proof.values
    assert not proof.holds
    own = wells.merge(tables.wells[["Metadata_Plate", "Metadata_Well", "fit"]])
    stranger = pd.concat([own, wells[~wells["Metadata_Plate"].isin(own["Metadata_Plate"])].head(1)])
    one_more = tables._replace(sphered=sphere_on_train(tables.selected, stranger, CONFIG).profiles).sphering_proof()
    assert not one_more.holds
    assert one_more.largest_difference > 1e-3


@pytest.mark.parametrize("name", ["selected", "sphered"])
def test_altered_profiles_are_caught(name: str) -> None:
    tables = made()
    profiles = getattr(tables, name)

    def proof(changed: Profiles):
        return tables._replace(**{name: changed}).sphering_proof()

    control = int(np.flatnonzero(seen_by(SPHERING, profiles.metadata, tables.wells))[4])
    for value in (profiles.matrix[control, 3] + 0.1, np.nan):
        changed = profiles.matrix.copy()
        changed[control, 3] = value
        found = proof(profiles.with_matrix(changed))
        assert found.values_that_differ > (100 if name == "selected" else 0)
        assert not found.holds
    moved = profiles.metadata.assign(Metadata_subset=profiles.metadata["Metadata_subset"].replace("test", "train"))
    others = (
        Profiles(moved, profiles.matrix, profiles.features),
        profiles.take_features(np.arange(1, len(profiles.features))),
        Profiles(profiles.metadata[::-1].reset_index(drop=True), profiles.matrix, profiles.features),
    )
    for other in others:
        assert proof(other).values == 0
        assert not proof(other).holds
