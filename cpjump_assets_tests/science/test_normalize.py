"""Normalization of a plate: the published formula, and what guards it."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pycytominer import normalize as pycytominer_normalize

from cpjump_assets.science.errors import ProfileError
from cpjump_assets.science.features import Profiles, stack
from cpjump_assets.science.normalize import (
    NEGCON_2024,
    WHOLE_PLATE_2024,
    NormalizeConfig,
    mad_robustize,
    normalize_plate,
)

N_WELLS = 48


def plate_of(matrix: np.ndarray, *, negcon: np.ndarray | None = None, plate: str = "BR1") -> Profiles:
    n, p = matrix.shape
    controls = np.arange(n) % 6 == 0 if negcon is None else negcon
    metadata = pd.DataFrame(
        {
            "Metadata_Batch": "b",
            "Metadata_Plate": plate,
            "Metadata_Well": [f"{chr(65 + i // 24)}{i % 24 + 1:02d}" for i in range(n)],
            # Treated wells are mostly blank, and some are positive controls.
            "Metadata_control_type": pd.Series(
                np.select([controls, np.arange(n) % 5 == 0], ["negcon", "poscon_cp"], default="")
            ).replace("", None),
        }
    )
    return Profiles(metadata, matrix, tuple(f"Cells_F{i}" for i in range(p)))


@pytest.fixture
def awkward() -> Profiles:
    """A plate of ordinary features followed by one of each awkward kind."""
    rng = np.random.default_rng(7)
    X = rng.normal(3, 2, size=(N_WELLS, 12))
    negcon = np.arange(N_WELLS) % 6 == 0
    X[rng.random(X.shape) < 0.03] = np.nan
    X[:, 3] = 4.0  # constant everywhere
    X[negcon, 4] = 1.5  # constant in the controls
    X[:, 5] = np.nan
    X[negcon, 6] = np.nan  # no control has a value
    X[negcon, 7] = np.where(np.arange(negcon.sum()) == 2, 5.0, np.nan)  # one control has a value
    X[:, 8] = np.where(np.arange(N_WELLS) < 30, 0.0, X[:, 8])  # more than half at one value
    return plate_of(X, negcon=negcon)


@pytest.mark.parametrize("epsilon", [0.0, 1e-18, 0.5])
@pytest.mark.parametrize("samples", ["all", "Metadata_control_type == 'negcon'"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_formula_gives_what_pycytominer_gives(awkward: Profiles, epsilon: float, samples: str, dtype: str) -> None:
    frame = awkward.with_matrix(awkward.matrix.astype(dtype)).to_frame()
    reference = (
        np.ones(N_WELLS, dtype=bool) if samples == "all" else (frame["Metadata_control_type"] == "negcon").to_numpy()
    )
    theirs = pycytominer_normalize(frame, method="mad_robustize", samples=samples, mad_robustize_epsilon=epsilon)
    theirs = theirs[list(awkward.features)].to_numpy()
    ours = mad_robustize(awkward.matrix.astype(dtype), reference, epsilon=epsilon)
    np.testing.assert_allclose(
        ours, theirs, rtol=1e-13 if dtype == "float64" else 2e-5, atol=0 if dtype == "float64" else 1e-6
    )
    assert ours.dtype == "float64"
    if epsilon == 0.0:
        assert np.isinf(ours).any()
        assert np.isnan(ours).sum() > np.isnan(awkward.matrix).sum()
    if epsilon == 1e-18 and samples != "all":
        assert np.nanmax(np.abs(ours[:, 4])) > 1e16


@pytest.mark.parametrize("config", [NEGCON_2024, WHOLE_PLATE_2024, NormalizeConfig("negcon", epsilon=1e-18)])
def test_a_plate_is_pycytominers_but_for_features_without_spread(awkward: Profiles, config: NormalizeConfig) -> None:
    samples = "all" if config.reference == "whole_plate" else "Metadata_control_type == 'negcon'"
    theirs = pycytominer_normalize(
        awkward.to_frame(), method="mad_robustize", samples=samples, mad_robustize_epsilon=config.epsilon
    )
    ours = normalize_plate(awkward, config)
    usable = ours.report["usable"].to_numpy()
    flat = [3, 8] if config.reference == "whole_plate" else [3, 4, 7]
    lost = [5] if config.reference == "whole_plate" else [5, 6]
    if config.reference == "negcon":  # feature 8 is 0 in five of the eight controls
        flat.append(8)
    assert np.flatnonzero(ours.report["zero_mad"]).tolist() == sorted(flat)
    assert np.flatnonzero(~usable).tolist() == sorted(flat + lost)
    assert np.isnan(ours.profiles.matrix[:, ~usable]).all()
    np.testing.assert_allclose(
        ours.profiles.matrix[:, usable], theirs[list(awkward.features)].to_numpy()[:, usable], rtol=1e-13
    )
    pd.testing.assert_frame_equal(ours.profiles.metadata, awkward.metadata)


def test_the_report_says_what_was_seen(awkward: Profiles) -> None:
    X = awkward.matrix.copy()
    X[1, 0], X[6, 0], X[2, 1] = np.inf, -np.inf, np.nan
    result = normalize_plate(awkward.with_matrix(X), NEGCON_2024)
    report = result.report.set_index("feature")
    negcon = X[::6]
    assert report.index.tolist() == list(awkward.features)
    assert report["n_nan"].tolist() == np.isnan(X).sum(axis=0).tolist()
    assert report["n_inf"].tolist() == [2] + [0] * 11
    assert report["n_reference"].tolist() == np.isfinite(negcon).sum(axis=0).tolist()
    values = negcon[np.isfinite(negcon[:, 0]), 0]
    assert report.loc["Cells_F0", "median"] == pytest.approx(np.median(values))
    assert report.loc["Cells_F0", "mad"] == pytest.approx(1.4826 * np.median(np.abs(values - np.median(values))))
    assert report.loc["Cells_F0", "max_abs"] == np.nanmax(np.abs(result.profiles.matrix[:, 0]))
    assert report["max_abs"].isna().tolist() == (~report["usable"]).tolist()
    assert np.isnan(result.profiles.matrix[[1, 6], 0]).all()
    assert not np.isinf(result.profiles.matrix).any()


def test_a_mad_of_mere_rounding_is_no_spread() -> None:
    X = np.random.default_rng(3).normal(size=(N_WELLS, 3))
    X[:, 1] = 1000.0 + 1e-13 * X[:, 1]
    X[:, 2] = 1000.0 + 1e-6 * X[:, 2]
    assert normalize_plate(plate_of(X), NEGCON_2024).report["zero_mad"].tolist() == [False, True, False]


plates = hnp.arrays(
    np.float64,
    st.tuples(st.integers(12, 40), st.integers(1, 4)),
    elements=st.integers(-5_000, 5_000).map(lambda k: k / 16),
)


@settings(max_examples=60, deadline=None)
@given(plates, st.sampled_from([NEGCON_2024, WHOLE_PLATE_2024]), st.randoms(use_true_random=False))
def test_reference_wells_have_median_0_and_scaled_mad_1_in_any_row_order(X, config, random) -> None:
    X = np.hstack([X, np.arange(len(X))[:, None] ** 2.0])  # one feature at least has a spread
    profiles = plate_of(X)
    result = normalize_plate(profiles, config)
    reference = np.ones(len(X), dtype=bool) if config.reference == "whole_plate" else np.arange(len(X)) % 6 == 0
    usable = result.report["usable"].to_numpy()
    Z = result.profiles.matrix[reference][:, usable]
    np.testing.assert_allclose(np.median(Z, axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(1.4826 * np.median(np.abs(Z), axis=0), 1, rtol=1e-9)
    order = np.array(random.sample(range(len(X)), len(X)))
    shuffled = normalize_plate(
        Profiles(profiles.metadata.iloc[order].reset_index(drop=True), X[order], profiles.features), config
    )
    np.testing.assert_array_equal(shuffled.profiles.matrix, result.profiles.matrix[order])
    pd.testing.assert_frame_equal(shuffled.report, result.report)


def test_scale_and_offset_of_a_plate_leave_no_trace() -> None:
    X = np.random.default_rng(5).normal(size=(N_WELLS, 6))
    one = normalize_plate(plate_of(X), NEGCON_2024).profiles.matrix
    other = normalize_plate(plate_of(X * 37.0 - 12.0), NEGCON_2024).profiles.matrix
    np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


def test_the_stored_type_is_the_callers_choice_and_the_input_stays() -> None:
    X = np.random.default_rng(5).normal(size=(N_WELLS, 6))
    profiles = plate_of(X.copy())
    single, double = (
        normalize_plate(profiles, NEGCON_2024, dtype=dtype).profiles.matrix for dtype in ("float32", "float64")
    )
    assert (single.dtype, double.dtype) == (np.float32, np.float64)
    np.testing.assert_array_equal(single, double.astype("float32"))
    np.testing.assert_array_equal(profiles.matrix, X)


@pytest.mark.parametrize(("n_controls", "refused"), [(0, True), (1, True), (2, False)])
def test_a_plate_without_enough_negative_controls_is_refused_by_name(n_controls: int, refused: bool) -> None:
    X = np.random.default_rng(5).normal(size=(N_WELLS, 4))
    profiles = plate_of(X, negcon=np.arange(N_WELLS) < n_controls)
    if not refused:
        assert normalize_plate(profiles, NEGCON_2024).report["usable"].all()
        return
    with pytest.raises(
        ProfileError, match=rf"plate b\.BR1 .* has {n_controls} negative controls, at least 2 are needed"
    ):
        normalize_plate(profiles, NEGCON_2024)


def test_what_is_no_annotated_plate_is_refused() -> None:
    X = np.random.default_rng(5).normal(size=(N_WELLS, 4))
    bare = Profiles(plate_of(X).metadata.drop(columns="Metadata_control_type"), X, plate_of(X).features)
    with pytest.raises(ProfileError, match=r"b\.BR1 is not annotated"):
        normalize_plate(bare, NEGCON_2024)
    assert normalize_plate(bare, WHOLE_PLATE_2024).report["usable"].all()
    with pytest.raises(ProfileError, match="one plate"):
        normalize_plate(stack([plate_of(X), plate_of(X, plate="BR2")]), NEGCON_2024)


def test_a_plate_without_any_spread_is_refused() -> None:
    with pytest.raises(ProfileError, match=r"plate b\.BR1 .* no feature differs between its 8 reference wells"):
        normalize_plate(plate_of(np.ones((N_WELLS, 3))), NEGCON_2024)
