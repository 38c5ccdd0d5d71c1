"""Fits on train alone: which wells they see, that no other well matters, and what they give."""

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import StandardScaler

from cpjump_assets.science.errors import ProfileError
from cpjump_assets.science.feature_selection import PAPER_2024, select_features
from cpjump_assets.science.features import Profiles, stack
from cpjump_assets.science.plates import WELL_COLUMNS
from cpjump_assets.science.policies import CONTROL_POLICIES, DEFAULT_POLICY, KEEP_ALL
from cpjump_assets.science.spherize import SpherizeConfig, fit_spherize
from cpjump_assets.science.splits import split_manifest
from cpjump_assets.science.strategies import CELLCLIP, GENE_COMPOUND, REPRESENTATION, STRATEGIES
from cpjump_assets.science.subsets import subset_of_wells
from cpjump_assets.science.train_fit import (
    SELECTION,
    SPHERING,
    TRAIN_FIT_WELLS,
    missing_by_subset,
    seen_by,
    select_on_train,
    sphere_on_train,
    take_selected,
    train_fit_wells,
    train_plates,
)
from cpjump_assets_tests.science.helpers_train import (
    FEATURES,
    by_plate,
    controls_too,
    manifest_of,
    mixed,
    plate,
    poisoned,
    screen,
)

EXACT = SpherizeConfig(epsilon=0.0)


def metadata_of(plates: list[Profiles]) -> pd.DataFrame:
    return pd.concat([profiles.metadata for profiles in plates], ignore_index=True)


def fits(plates: list[Profiles], manifest: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, Profiles, np.ndarray]:
    """Make all that is fitted on train."""
    wells = train_fit_wells(metadata_of(plates), manifest, GENE_COMPOUND)
    selection = select_on_train(plates, wells, PAPER_2024)
    selected = take_selected(plates, selection, manifest)
    return wells, selection, selected, sphere_on_train(selected, wells, EXACT).profiles.matrix


def seen(plates: list[Profiles], assign) -> dict[str, pd.DataFrame]:
    """Give the metadata of the wells that each fit sees."""
    metadata = metadata_of(plates)
    wells = train_fit_wells(metadata, manifest_of(plates, assign), GENE_COMPOUND)
    return {fit: metadata[seen_by(fit, metadata, wells)] for fit in (SELECTION, SPHERING)}


@pytest.mark.parametrize("assign", [mixed, by_plate, controls_too])
def test_selection_sees_exactly_the_train_wells(assign) -> None:
    plates = screen()
    found = seen(plates, assign)[SELECTION]
    expected = [
        (f"BR{position}", well)
        for position in range(5)
        for row, well in enumerate(plates[position].metadata["Metadata_Well"])
        if assign(position, row) == "train"
    ]
    assert list(found[["Metadata_Plate", "Metadata_Well"]].itertuples(index=False, name=None)) == expected


def test_sphering_sees_the_controls_of_plates_that_hold_train_wells() -> None:
    plates = screen()
    everywhere = seen(plates, mixed)[SPHERING]
    assert set(everywhere["Metadata_Plate"]) == {f"BR{i}" for i in range(5)}
    assert set(everywhere["Metadata_control_type"]) == {"negcon"}
    assert len(everywhere) == 5 * 16
    whole_plates = seen(plates, by_plate)[SPHERING]
    assert set(whole_plates["Metadata_Plate"]) == {"BR0", "BR1", "BR4"}
    assert len(whole_plates) == 3 * 16


def test_where_controls_are_assigned_only_those_of_train_are_seen() -> None:
    plates = screen()
    found = seen(plates, controls_too)[SPHERING]
    rows = [row for row in range(48) if row % 3 == 0 and row % 4 in (0, 3)]
    expected = [plates[0].metadata["Metadata_Well"].iloc[row] for row in rows]
    by_plate_found = found.groupby("Metadata_Plate")["Metadata_Well"].apply(list)
    assert by_plate_found.to_dict() == {f"BR{i}": expected for i in range(5)}


def test_the_same_plate_of_another_batch_is_not_seen() -> None:
    manifest = manifest_of(screen(), mixed)
    metadata = metadata_of([*screen(), plate("BR0", seed=0, batch="another")])
    wells = train_fit_wells(metadata, manifest, GENE_COMPOUND)
    pd.testing.assert_frame_equal(wells, train_fit_wells(metadata_of(screen()), manifest, GENE_COMPOUND))
    assert not any(seen_by(fit, metadata, wells)[-48:].any() for fit in (SELECTION, SPHERING))


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("policy", CONTROL_POLICIES)
def test_on_the_real_layout_no_held_out_well_is_seen(real, strategy: str, policy: str) -> None:
    layout = real.wells
    manifest = split_manifest(layout, strategy, policy=policy)
    wells = train_fit_wells(layout, manifest, strategy)
    TRAIN_FIT_WELLS.check(wells, "wells")
    held_out = manifest.loc[manifest["subset"] != "train", ["Metadata_Plate", "Metadata_Well"]]
    keys = pd.MultiIndex.from_frame(wells[["Metadata_Plate", "Metadata_Well"]])
    assert not keys.isin(pd.MultiIndex.from_frame(held_out)).any()
    counts = wells["fit"].value_counts()
    assert counts[SELECTION] == (manifest["subset"] == "train").sum()
    of_fit = wells.merge(layout, on=WELL_COLUMNS)
    controls = of_fit[of_fit["fit"] == SPHERING]
    assert set(controls["Metadata_control_type"]) == {"negcon"}
    assert controls["Metadata_is_primary"].all()
    if strategy == REPRESENTATION:
        assert set(of_fit["Metadata_experiment_type"]) == {"CRISPR", "ORF"}
        assert of_fit["Metadata_Plate"].nunique() == 24
    if policy == DEFAULT_POLICY:
        assert controls["subset"].isna().all()
    if policy == KEEP_ALL and strategy != GENE_COMPOUND:
        assert set(controls["subset"]) == {"train"}
    if policy == DEFAULT_POLICY and strategy != REPRESENTATION:
        # All 2,450, and those among the 85 wells that the official table lacks.
        assert len(controls) == ((layout["Metadata_control_type"] == "negcon") & layout["Metadata_is_primary"]).sum()


@pytest.mark.parametrize("assign", [mixed, by_plate, controls_too])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0.0, 1e30])
def test_no_held_out_value_changes_a_bit(assign, value: float) -> None:
    plates = screen()
    manifest = manifest_of(plates, assign)
    wells, selection, selected, sphered = fits(plates, manifest)
    assert set(selection["dropped_by"].dropna()) >= {"variance", "correlation"}
    worse = fits(poisoned(plates, manifest, value), manifest)
    pd.testing.assert_frame_equal(worse[0], wells)
    pd.testing.assert_frame_equal(worse[1], selection, check_exact=True)
    train_or_none = ~selected.metadata["Metadata_subset"].isin(["validate", "test"]).to_numpy()
    np.testing.assert_array_equal(worse[2].matrix[train_or_none], selected.matrix[train_or_none])
    np.testing.assert_array_equal(worse[3][train_or_none], sphered[train_or_none])
    assert not np.array_equal(worse[2].matrix, selected.matrix, equal_nan=True)


def test_a_train_value_does_change_the_fits() -> None:
    plates = screen()
    manifest = manifest_of(plates, mixed)
    _, selection, _, sphered = fits(plates, manifest)
    others = [profiles.with_matrix(profiles.matrix.copy()) for profiles in plates]
    others[2].matrix[1, 2] += 1.0  # a train well
    others[2].matrix[0, 2] += 1.0  # a negative control
    changed = fits(others, manifest)
    assert not changed[1].equals(selection)
    assert not np.array_equal(changed[3], sphered)


def test_the_selection_is_that_of_the_train_wells_by_themselves() -> None:
    plates = screen()
    manifest = manifest_of(plates, mixed)
    wells = train_fit_wells(metadata_of(plates), manifest, GENE_COMPOUND)
    whole = stack(plates)
    rows = (subset_of_wells(whole.metadata, manifest) == "train").to_numpy()
    alone = Profiles(whole.metadata[rows].reset_index(drop=True), whole.matrix[rows], whole.features)
    expected = select_features(alone, PAPER_2024)
    pd.testing.assert_frame_equal(select_on_train(plates, wells, PAPER_2024), expected)
    assert [len(part.metadata) for part in train_plates(plates, wells)] == [rows[:48].sum()] * 5


def test_rows_are_the_wells_of_the_split_and_the_controls_of_primary_plates() -> None:
    plates = screen()
    manifest = manifest_of(plates, mixed)
    _, selection, selected, sphered = fits(plates, manifest)
    metadata = metadata_of(plates)
    rows = metadata["Metadata_Plate"] != "BR9"  # here every well of a primary plate is assigned or a control
    expected = metadata[rows].assign(Metadata_subset=subset_of_wells(metadata, manifest)).reset_index(drop=True)
    pd.testing.assert_frame_equal(selected.metadata, expected)
    assert selected.features == tuple(selection.loc[selection["kept"], "feature"])
    kept = [FEATURES.index(name) for name in selected.features]
    np.testing.assert_array_equal(selected.matrix, stack(plates).matrix[rows][:, kept])
    assert sphered.shape == selected.matrix.shape


def test_the_controls_that_are_seen_come_out_white() -> None:
    plates = screen()
    manifest = manifest_of(plates, by_plate)
    wells, _, selected, sphered = fits(plates, manifest)
    rows = seen_by(SPHERING, selected.metadata, wells)
    np.testing.assert_allclose(np.cov(sphered[rows].T), np.eye(len(selected.features)), atol=1e-5)
    others = (selected.metadata["Metadata_control_type"] == "negcon").to_numpy() & ~rows
    assert others.sum() == 2 * 16
    assert np.abs(np.cov(sphered[others].T) - np.eye(len(selected.features))).max() > 0.05


def test_a_value_that_is_missing_outside_of_train_stays_missing_and_is_the_centre_of_the_sphering() -> None:
    plates = screen()
    manifest = manifest_of(plates, mixed)
    position = FEATURES.index("Cells_F08")
    plates[1].matrix[[2, 4], position] = np.nan, np.inf  # a validate and a test well
    plates[3].matrix[0, position] = np.nan  # a negative control
    wells, selection, selected, sphered = fits(plates, manifest)
    assert selection.set_index("feature").loc["Cells_F08", ["kept", "n_missing"]].tolist() == [True, 0]
    column = selected.features.index("Cells_F08")
    assert np.argwhere(np.isnan(selected.matrix)).tolist() == [[50, column], [52, column], [144, column]]
    assert np.isfinite(sphered).all()
    rows = seen_by(SPHERING, selected.metadata, wells)
    filled = selected.matrix.astype(np.float64)
    filled[np.isnan(filled)] = np.nanmean(filled[rows, column])
    expected = fit_spherize(filled[rows], EXACT).apply(filled)
    np.testing.assert_allclose(sphered, expected, rtol=1e-5, atol=1e-5)
    assert abs(StandardScaler().fit(filled[rows]).transform(filled)[50, column]) < 1e-12
    made = sphere_on_train(selected, wells, EXACT)
    assert (made.n_reference, made.n_reference_gaps, made.n_gaps) == (80, 1, 3)
    table = missing_by_subset(selected).set_index("wells of")
    assert table["values missing"].to_dict() == {"train": 0, "validate": 1, "test": 1, "no subset": 1}
    assert table["wells"].sum() == len(selected.metadata)


def test_what_cannot_be_fitted_is_refused() -> None:
    plates = screen()
    metadata = metadata_of(plates)
    with pytest.raises(ProfileError, match="feature_selection cannot be fitted on train alone: of 288"):
        train_fit_wells(metadata, manifest_of(plates, lambda position, row: "test"), GENE_COMPOUND)
    none = metadata.assign(Metadata_control_type=pd.Series(None, index=metadata.index, dtype="str"))
    with pytest.raises(ProfileError, match="spherize cannot be fitted on train alone"):
        train_fit_wells(none, manifest_of(plates, mixed), GENE_COMPOUND)
    manifest = manifest_of(plates, mixed)
    wells, selection, selected, _ = fits(plates, manifest)
    other = Profiles(plates[1].metadata, plates[1].matrix[:, 1:], FEATURES[1:])
    with pytest.raises(ProfileError, match=r"BR1 lacks selected features: Cells_F0"):
        take_selected([plates[0], other], selection.assign(kept=selection["feature"] == FEATURES[0]), manifest)
    selected.matrix[:, 2] = np.nan
    with pytest.raises(ProfileError, match=selected.features[2]):
        sphere_on_train(selected, wells, EXACT)


def test_the_cellclip_strategy_is_among_those_that_mix_subsets_on_a_plate(real) -> None:
    manifest = split_manifest(real.wells, CELLCLIP)
    assert (manifest.groupby("Metadata_Plate")["subset"].nunique() == 2).all()
