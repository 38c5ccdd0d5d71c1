"""Measures of plates: what a simulation plants is found, and what it does not plant is not."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from cpjump_assets.science.errors import ProfileError
from cpjump_assets.science.features import Profiles, stack
from cpjump_assets.science.normalize import NormalizeConfig, normalize_plate
from cpjump_assets.science.plate_quality import (
    ALL_WELLS,
    NEGATIVE_CONTROLS,
    PLATE_QUALITY,
    measure_plate,
    plate_quality,
)
from cpjump_assets.science.plate_values import SomeWells
from cpjump_assets.science.plates import MAIN_PLATES
from cpjump_assets.simulate.config import SimulationConfig, Size
from cpjump_assets.simulate.design import read_design
from cpjump_assets.simulate.profiles import ProfileModel
from cpjump_assets.simulate.truth import plant

SHORT_PLATE = "BR00116995"
BARCODES = (SHORT_PLATE, "BR00117024", "BR00117025", "BR00117020", "BR00117021", "BR00118049")
"""Three plates of one condition, one of them short of 83 wells; both of another; the only one of a third."""
OF_COMPOUNDS = list(BARCODES[:3])
IDLE = SimulationConfig(position_effect=0.0, plate_shift=0.0, plate_scale=0.0, active_if_shared=0.0, active_if_own=0.0)


@pytest.fixture(scope="module")
def design(reference_root):
    return read_design(reference_root)


def _simulated(design, config, *, n_features=150):
    """Simulate some plates: annotated and normalized profiles by barcode, and what was planted."""
    plates = tuple(plate for plate in MAIN_PLATES if plate.barcode in BARCODES)
    truth = plant(design, Size("some", n_features, plates), 0, config)
    model = ProfileModel.of(truth, 0, config)
    annotated, normalized = {}, {}
    to_controls = NormalizeConfig("negcon")
    for plate in plates:
        wells = design.wells_of(plate)
        X = model.values(wells).astype(np.float32)
        annotated[plate.barcode] = Profiles(wells, np.asfortranarray(X), tuple(truth.features["feature"]))
        normalized[plate.barcode] = normalize_plate(annotated[plate.barcode], to_controls, dtype="float32").profiles
    return SimpleNamespace(annotated=annotated, normalized=normalized, truth=truth)


def _table(simulated):
    measured = [measure_plate(simulated.annotated[code], simulated.normalized[code]) for code in BARCODES]
    whole = stack(simulated.normalized[code] for code in BARCODES)
    complete = np.flatnonzero(np.isfinite(whole.matrix).all(axis=0))
    return plate_quality(measured, whole.take_features(complete)).set_index("Metadata_Plate")


@pytest.fixture(scope="module")
def planted(design):
    config = replace(SimulationConfig(), position_effect=1.5)
    return _simulated(design, config)


@pytest.fixture(scope="module")
def table(planted):
    return _table(planted)


@pytest.fixture(scope="module")
def idle(design):
    return _table(_simulated(design, IDLE))


def test_the_table_keeps_to_its_schema(table):
    PLATE_QUALITY.check(table.reset_index(), "table")
    assert table.index.tolist() == sorted(BARCODES)


def test_wells_and_conditions_are_those_of_the_design(table, design):
    experiment = design.experiment.query("Metadata_Batch == '2020_11_04_CPJUMP1'").set_index("Metadata_Plate")
    described = ["Metadata_cell_line", "Metadata_timepoint", "Metadata_antibiotics", "Metadata_anomaly"]
    pd.testing.assert_frame_equal(table[described], experiment.loc[table.index, described], check_names=False)
    assert table["profiled_wells"].to_dict() == {**dict.fromkeys(BARCODES, 384), SHORT_PLATE: 301}
    assert table.loc[[SHORT_PLATE, "BR00117024", "BR00117020"], "negative_controls"].tolist() == [50, 64, 60]


def test_features_without_spread_or_values_are_those_that_were_planted(table, planted):
    kinds = planted.truth.features["kind"].value_counts()
    collapsed = planted.truth.features.query("kind == 'collapsed'")["collapsed_plate"].value_counts()
    without_spread = kinds[["constant", "near_constant", "zero_mad"]].sum()
    expected = without_spread + collapsed.reindex(table.index).fillna(0).astype(int)
    assert table["zero_mad_features"].tolist() == expected.tolist()
    assert (table["features"] == 150).all()
    assert (table["missing_features"] == 0).all()
    assert table["nan_features"].between(kinds["missing"], kinds[["missing", "sparsely_missing"]].sum()).all()
    assert (table["infinite_values"] == 0).all()


def test_planted_position_effects_are_found_and_absent_ones_are_not(table, idle):
    for effect in ("row", "column", "edge"):
        assert (table[f"{effect}_effect"] > 0.04).all(), effect
        assert (table.loc[OF_COMPOUNDS, f"{effect}_p"] <= 0.01).all(), effect
        assert (table[f"{effect}_p"] <= 0.1).all(), f"{effect}: the controls of ORF plates crowd in the middle"
        assert idle[f"{effect}_effect"].abs().max() < 0.04, effect
        assert (idle[f"{effect}_p"] > 0.01).all(), effect
    assert set(table["position_wells"]) == {NEGATIVE_CONTROLS}
    assert (table["edge_difference"] > 2 * table["edge_difference_chance"]).all()
    assert (table["edge_features"] > 0.1).all()
    assert (idle["edge_difference"] / idle["edge_difference_chance"]).between(0.8, 1.25).all()
    assert (idle["edge_features"] < 0.01).all()


def test_position_effects_are_as_large_as_they_were_planted(table, planted):
    """Compare with the variance of the planted effects over the same wells, feature by feature, noise having 1."""
    of_plate = planted.truth.plates.set_index("Metadata_Plate").loc["BR00117024"]
    metadata = planted.annotated["BR00117024"].metadata.query("Metadata_control_type == 'negcon'")
    row = (metadata["Metadata_row"] - 1) / 15 - 0.5
    varies = (1.5 * of_plate["row"]) ** 2 * row.var(ddof=0)
    weights = np.random.default_rng(0).normal(size=100_000) ** 2
    others = (1.5 * of_plate[["edge", "column"]].astype(float) ** 2 * [0.06, 0.08]).sum()
    expected = (weights * varies / (weights * varies + 1 + others)).mean()
    assert table.loc["BR00117024", "row_effect"] == pytest.approx(expected, abs=0.05)


def test_the_shift_of_the_controls_is_what_the_plates_were_shifted_by(table, idle):
    alone = "BR00118049"
    assert np.isnan(table.loc[alone, "control_shift"])
    assert (table["control_shift"].drop(alone) > 0.4).all()
    assert (idle["control_shift"].drop(alone) < 0.2).all()


def test_replicates_are_more_alike_than_chance_where_reagents_act(table, idle):
    alone = "BR00118049"
    of_compounds = table.loc[OF_COMPOUNDS]
    assert (of_compounds["replicating"] > 0.3).all()
    assert (of_compounds["replicate_correlation"] > of_compounds["null_correlation"] + 0.05).all()
    assert idle["replicating"].drop(alone).between(0.0, 0.12).all()
    assert (idle["replicate_correlation"].drop(alone).abs() < 0.05).all()
    assert table.loc[alone, "replicate_plates"] == 0
    assert table.loc[alone, ["replicate_correlation", "null_95", "replicating"]].isna().all()
    assert table.loc[SHORT_PLATE, "replicate_reagents"] < table.loc["BR00117024", "replicate_reagents"] == 306


def test_nothing_depends_on_the_order_of_plates_and_wells(planted):
    def measured(code, order):
        parts = (planted.annotated[code], planted.normalized[code])
        return measure_plate(
            *(Profiles(p.metadata.iloc[order].reset_index(drop=True), p.matrix[order], p.features) for p in parts)
        )

    code = "BR00117020"
    order = np.random.default_rng(0).permutation(384)
    one, other = (pd.Series(measured(code, rows).row) for rows in (np.arange(384), order))
    by_permutation = ["row_p", "column_p", "edge_p"]
    exact = [name for name, value in one.items() if not isinstance(value, float)]
    assert one[exact].equals(other[exact])
    numbers = one.index.difference([*exact, *by_permutation])
    np.testing.assert_allclose(one[numbers].astype(float), other[numbers].astype(float), rtol=1e-6)


def test_a_plate_read_from_a_store_is_the_same(planted):
    code = "BR00117020"
    parts = planted.annotated[code], planted.normalized[code]
    lazily = measure_plate(*(SomeWells(part, np.ones(384, dtype=bool)) for part in parts))
    assert lazily.row == pytest.approx(measure_plate(*parts).row, nan_ok=True)


def test_missing_and_infinite_values_are_counted_before_normalization(planted):
    code = "BR00117020"
    annotated = planted.annotated[code]
    X = annotated.matrix.copy()
    varying = np.flatnonzero(np.isfinite(planted.normalized[code].matrix).all(axis=0))[:4]
    X[:, varying[0]] = np.nan
    X[:3, varying[1]] = np.inf
    X[5, varying[2]] = np.nan
    of_controls = (annotated.metadata["Metadata_control_type"] == "negcon").to_numpy()
    X[of_controls, varying[3]] = np.nan
    changed = annotated.with_matrix(X)
    before = measure_plate(annotated, planted.normalized[code]).row
    after = measure_plate(changed, normalize_plate(changed, NormalizeConfig("negcon")).profiles).row
    differences = {name: after[name] - before[name] for name in before if "features" in name or "infinite" in name}
    assert differences["missing_features"] == 1
    assert differences["infinite_values"] == 3
    assert differences["nan_features"] == 2
    assert differences["zero_mad_features"] == 0, "a feature without a control has no MAD, not a MAD of 0"


def test_where_controls_leave_much_of_the_plate_out_all_wells_are_asked(planted):
    code = "BR00117020"
    in_one_column = planted.annotated[code].metadata["Metadata_column"] == 12

    def moved(profiles):
        kind = pd.Series("negcon", index=profiles.metadata.index, dtype="str").where(in_one_column)
        return replace(profiles, metadata=profiles.metadata.assign(Metadata_control_type=kind))

    row = measure_plate(moved(planted.annotated[code]), moved(planted.normalized[code])).row
    assert row["position_wells"] == ALL_WELLS
    assert row["negative_controls"] == 16
    assert row["column_p"] == 0.001


def test_wells_of_the_edge_alone_say_nothing_of_the_edge(planted):
    """A refresh of one plate may hold no other well: what nothing is known of is missing, not an error."""
    code = "BR00117020"
    outer = planted.annotated[code].metadata["Metadata_is_outer"].to_numpy(dtype=bool)
    annotated, normalized = (
        Profiles(wells.metadata, wells.values(), wells.features)
        for wells in (SomeWells(profiles[code], outer) for profiles in (planted.annotated, planted.normalized))
    )
    complete = np.flatnonzero(np.isfinite(normalized.matrix).all(axis=0))
    table = plate_quality([measure_plate(annotated, normalized)], normalized.take_features(complete))
    assert table[["edge_effect", "edge_p", "edge_difference", "edge_features"]].isna().all(axis=None)
    assert table["row_effect"].notna().all()


def test_cells_are_summed_up_where_the_profiles_carry_them(planted):
    code = "BR00117020"
    counts = np.arange(384) * 10.0
    annotated = replace(
        planted.annotated[code], metadata=planted.annotated[code].metadata.assign(Metadata_cell_count=counts)
    )
    row = measure_plate(annotated, planted.normalized[code]).row
    assert row["cell_count_median"] == np.median(counts)
    assert row["cell_count_spread"] == pytest.approx(1.4826 * np.median(np.abs(counts - 1915)) / 1915)
    assert np.isnan(measure_plate(planted.annotated[code], planted.normalized[code]).row["cell_count_median"])


def test_a_plate_that_changed_since_it_was_normalized_is_refused(planted):
    one, other = planted.annotated["BR00117020"], planted.normalized[SHORT_PLATE]
    with pytest.raises(ProfileError, match=r"BR00117020 has other wells or features after normalization \(301 wells"):
        measure_plate(one, other)


def test_no_plate_is_refused(planted):
    with pytest.raises(ProfileError, match="no plate to measure"):
        plate_quality([], planted.normalized[SHORT_PLATE])
