"""Normalization of a plate: the published formula, and what guards it."""

from pathlib import Path

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
    NormalizeConfig,
    mad_robustize,
    normalize_plate,
    robust_scale,
)
from cpjump_assets.science.rounding import significant

N_WELLS = 48
NEGCON, WHOLE_PLATE = NormalizeConfig("negcon"), NormalizeConfig("whole_plate")


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


@pytest.mark.parametrize("config", [NEGCON, WHOLE_PLATE, NormalizeConfig("negcon", epsilon=1e-18)])
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
    result = normalize_plate(awkward.with_matrix(X), NEGCON)
    report = result.report.set_index("feature")
    negcon = X[::6]
    assert report.index.tolist() == list(awkward.features)
    assert report["n_nan"].tolist() == np.isnan(X).sum(axis=0).tolist()
    assert report["n_inf"].tolist() == [2] + [0] * 11
    assert report["n_reference"].tolist() == np.isfinite(negcon).sum(axis=0).tolist()
    values = negcon[np.isfinite(negcon[:, 0]), 0]
    assert report.loc["Cells_F0", "median"] == pytest.approx(np.median(values))
    assert report.loc["Cells_F0", "mad"] == pytest.approx(1.4826 * np.median(np.abs(values - np.median(values))))
    assert np.isnan(result.profiles.matrix[[1, 6], 0]).all()
    assert not np.isinf(result.profiles.matrix).any()


def test_a_mad_of_mere_rounding_is_no_spread() -> None:
    X = np.random.default_rng(3).normal(size=(N_WELLS, 3))
    X[:, 1] = 1000.0 + 1e-13 * X[:, 1]
    X[:, 2] = 1000.0 + 1e-6 * X[:, 2]
    assert normalize_plate(plate_of(X), NEGCON).report["zero_mad"].tolist() == [False, True, False]


plates = hnp.arrays(
    np.float64,
    st.tuples(st.integers(12, 40), st.integers(1, 4)),
    elements=st.integers(-5_000, 5_000).map(lambda k: k / 16),
)


@settings(max_examples=60, deadline=None)
@given(plates, st.sampled_from([NEGCON, WHOLE_PLATE]), st.randoms(use_true_random=False))
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


@settings(max_examples=60, deadline=None)
@given(plates, st.sampled_from([NEGCON, WHOLE_PLATE]), st.data())
def test_scale_and_offset_of_each_feature_leave_no_trace(X, config, data) -> None:
    X = np.hstack([X, np.arange(len(X))[:, None] ** 2.0])
    # Powers of two and sixteenths: exact, so that a feature without spread stays one.
    factors = data.draw(hnp.arrays(np.float64, X.shape[1], elements=st.integers(-4, 9).map(lambda k: 2.0**k)))
    offsets = data.draw(hnp.arrays(np.float64, X.shape[1], elements=st.integers(-999, 999).map(lambda k: k / 16)))
    one, other = (normalize_plate(plate_of(values), config) for values in (X, X * factors + offsets))
    np.testing.assert_allclose(one.profiles.matrix, other.profiles.matrix, rtol=1e-9, atol=1e-12)
    assert one.report["usable"].tolist() == other.report["usable"].tolist()
    mirrored = normalize_plate(plate_of(-X), config).profiles.matrix
    np.testing.assert_array_equal(mirrored, -one.profiles.matrix)


@settings(max_examples=150, deadline=None)
@given(
    hnp.arrays(
        np.float64,
        st.tuples(st.integers(1, 12), st.integers(1, 5)),
        elements=st.one_of(st.just(np.nan), st.integers(-6, 6).map(float), st.floats(-1e6, 1e6)),
    )
)
def test_median_and_mad_are_those_of_their_definition(X: np.ndarray) -> None:
    found = robust_scale(X, np.ones(len(X), dtype=bool))
    for values, median, mad, n in zip(X.T, *found, strict=True):
        present = values[~np.isnan(values)]
        assert n == present.size
        if not n:
            assert np.isnan(median)
            assert np.isnan(mad)
            continue
        assert median == np.median(present)
        assert mad == 1.4826 * np.median(np.abs(present - median))


def features_of_all_kinds(rng: np.random.Generator) -> np.ndarray:
    """Draw 700 features, more than are normalized at a time: seven kinds in turn."""
    X = rng.normal(50, 7, size=(N_WELLS, 700)) * 10.0 ** rng.integers(-4, 5, 700)
    _, gappy, infinite, constant, two_valued, zero_mad, missing = (np.arange(kind, 700, 7) for kind in range(7))
    for feature in gappy:
        X[rng.choice(N_WELLS, 5, replace=False), feature] = np.nan
    for feature in infinite:
        X[rng.choice(N_WELLS, 3, replace=False), feature] = [np.inf, -np.inf, np.nan]
    X[:, constant] = X[0, constant]
    X[:, two_valued] = np.where(np.arange(N_WELLS)[:, None] // 6 % 2 == 0, 3.5, -1.0)  # half of the controls each
    X[: N_WELLS - 10, zero_mad] = 0.25
    X[:, missing] = np.nan
    return X


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("reference", ["negcon", "whole_plate"])
def test_every_kind_of_feature_wherever_it_stands(reference: str, order: str) -> None:
    X = np.array(features_of_all_kinds(np.random.default_rng(1)), order=order)
    result = normalize_plate(plate_of(X), NormalizeConfig(reference))
    report, Z = result.report, result.profiles.matrix
    wells = np.arange(N_WELLS) % 6 == 0 if reference == "negcon" else np.ones(N_WELLS, dtype=bool)
    expected = np.where(np.isinf(X), np.nan, X)
    usable = np.tile([True, True, True, False, True, False, False], 100)
    assert report["usable"].tolist() == usable.tolist()
    assert report["zero_mad"].tolist() == np.tile([False, False, False, True, False, True, False], 100).tolist()
    assert report["n_nan"].tolist() == np.isnan(X).sum(axis=0).tolist()
    assert report["n_inf"].tolist() == np.isinf(X).sum(axis=0).tolist()
    np.testing.assert_array_equal(Z[:, usable], mad_robustize(expected, wells, epsilon=0.0)[:, usable])
    assert np.isnan(Z[:, ~usable]).all()
    # The two values lie symmetrically about their median.
    np.testing.assert_allclose(np.abs(Z[:, 4::7]), 1 / 1.4826, rtol=1e-12)


def published(frame: pd.DataFrame, features: list[str], folder: Path, config: NormalizeConfig) -> np.ndarray:
    """Take a plate through the published pipeline: text of five digits, pycytominer, text of five digits."""
    samples = "all" if config.reference == "whole_plate" else "Metadata_control_type == 'negcon'"
    frame.to_csv(folder / "annotated.csv", index=False, float_format="%.5g")
    normalized = pycytominer_normalize(
        pd.read_csv(folder / "annotated.csv"),
        features=features,
        method="mad_robustize",
        samples=samples,
        mad_robustize_epsilon=config.epsilon,
    )
    normalized.to_csv(folder / "normalized.csv", index=False, float_format="%.5g")
    return pd.read_csv(folder / "normalized.csv")[features].to_numpy()


@pytest.mark.parametrize("reference", ["negcon", "whole_plate"])
@pytest.mark.parametrize("epsilon", [0.0, 1e-18])
def test_with_five_digits_a_plate_is_that_of_the_published_pipeline(
    tmp_path: Path, reference: str, epsilon: float
) -> None:
    rng = np.random.default_rng(11)
    # From areas to textures, some features far from zero for their spread: there float32 alone shows.
    X = (rng.normal(size=(N_WELLS, 400)) + rng.choice([0, 3, 400], 400)) * 10.0 ** rng.integers(-6, 7, 400)
    X[rng.random(X.shape) < 0.01] = np.nan
    profiles = plate_of(X)
    config = NormalizeConfig(reference, epsilon=epsilon, digits=5)
    theirs = published(profiles.to_frame(), list(profiles.features), tmp_path, config)
    pulled = pd.read_csv(tmp_path / "annotated.csv")[list(profiles.features)].to_numpy(dtype=np.float32)
    ours = normalize_plate(profiles.with_matrix(pulled), config, dtype="float32")
    usable = ours.report["usable"].to_numpy()
    assert usable.sum() > 350
    np.testing.assert_array_equal(ours.profiles.matrix[:, usable], theirs[:, usable].astype(np.float32))
    double = normalize_plate(profiles.with_matrix(pulled), config).profiles.matrix
    np.testing.assert_array_equal(double[:, usable], theirs[:, usable])
    # Without the restored input, or without rounding the result, it would differ.
    plain = normalize_plate(profiles.with_matrix(pulled), NormalizeConfig(reference, epsilon=epsilon))
    rounded = significant(plain.profiles.matrix, 5)
    assert (rounded[:, usable] != theirs[:, usable]).mean() > 0.1


def test_a_plate_with_missing_wells_is_normalized_to_those_it_has() -> None:
    X = np.random.default_rng(5).normal(size=(N_WELLS, 6))
    whole = plate_of(X)
    held = np.flatnonzero(np.arange(N_WELLS) % 7 != 6)  # one control of eight is missing
    part = Profiles(whole.metadata.iloc[held].reset_index(drop=True), X[held], whole.features)
    theirs = pycytominer_normalize(
        part.to_frame(),
        method="mad_robustize",
        samples="Metadata_control_type == 'negcon'",
        mad_robustize_epsilon=0.0,
    )
    ours = normalize_plate(part, NEGCON)
    assert ours.report["n_reference"].unique().tolist() == [7]
    np.testing.assert_allclose(ours.profiles.matrix, theirs[list(whole.features)].to_numpy(), rtol=1e-13)
    assert not np.allclose(ours.profiles.matrix, normalize_plate(whole, NEGCON).profiles.matrix[held])


def test_a_column_that_is_neither_metadata_nor_a_number_is_refused() -> None:
    frame = plate_of(np.random.default_rng(5).normal(size=(N_WELLS, 2))).to_frame()
    frame["Comment"] = pd.Series(["checked"] * N_WELLS)
    with pytest.raises(ProfileError, match=r"feature Comment .* plate b\.BR1, well A01 has 'checked'"):
        normalize_plate(Profiles.from_frame(frame), NEGCON)


def test_the_stored_type_is_the_callers_choice_and_the_input_stays() -> None:
    X = np.random.default_rng(5).normal(size=(N_WELLS, 6))
    profiles = plate_of(X.copy())
    single, double = (
        normalize_plate(profiles, NEGCON, dtype=dtype).profiles.matrix for dtype in ("float32", "float64")
    )
    assert (single.dtype, double.dtype) == (np.float32, np.float64)
    np.testing.assert_array_equal(single, double.astype("float32"))
    np.testing.assert_array_equal(profiles.matrix, X)


@pytest.mark.parametrize(("n_controls", "refused"), [(0, True), (1, True), (2, False)])
def test_a_plate_without_enough_negative_controls_is_refused_by_name(n_controls: int, refused: bool) -> None:
    X = np.random.default_rng(5).normal(size=(N_WELLS, 4))
    profiles = plate_of(X, negcon=np.arange(N_WELLS) < n_controls)
    if not refused:
        assert normalize_plate(profiles, NEGCON).report["usable"].all()
        return
    with pytest.raises(
        ProfileError, match=rf"plate b\.BR1 .* has {n_controls} negative controls, at least 2 are needed"
    ):
        normalize_plate(profiles, NEGCON)


def test_what_is_no_annotated_plate_is_refused() -> None:
    X = np.random.default_rng(5).normal(size=(N_WELLS, 4))
    bare = Profiles(plate_of(X).metadata.drop(columns="Metadata_control_type"), X, plate_of(X).features)
    with pytest.raises(ProfileError, match=r"b\.BR1 is not annotated"):
        normalize_plate(bare, NEGCON)
    assert normalize_plate(bare, WHOLE_PLATE).report["usable"].all()
    with pytest.raises(ProfileError, match="one plate"):
        normalize_plate(stack([plate_of(X), plate_of(X, plate="BR2")]), NEGCON)


def test_a_plate_without_any_spread_is_refused() -> None:
    with pytest.raises(ProfileError, match=r"plate b\.BR1 .* no feature differs between its 8 reference wells"):
        normalize_plate(plate_of(np.ones((N_WELLS, 3))), NEGCON)
