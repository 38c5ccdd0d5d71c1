"""Sphering: the whitening of pycytominer, what whitening means, planted covariances, and what is refused."""

import warnings
from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycytominer import normalize as pycytominer_normalize
from pycytominer.operations.transform import Spherize
from scipy.linalg import sqrtm
from sklearn.covariance import empirical_covariance
from sklearn.decomposition import PCA

from cpjump_assets.science.errors import ProfileError
from cpjump_assets.science.features import Profiles
from cpjump_assets.science.presets import PRESETS
from cpjump_assets.science.rounding import significant
from cpjump_assets.science.spherize import ROW_BLOCK, Sphering, SpherizeConfig, fit_spherize, sphere

METHODS = ("ZCA", "ZCA-cor")
EXACT = {method: SpherizeConfig(method, epsilon=0.0) for method in METHODS}
CONFIGS = [
    SpherizeConfig(method, epsilon=epsilon, center=center)
    for method, epsilon, center in product(METHODS, (0.0, 1e-6, 0.3), (True, False))
    if center or method == "ZCA"
]


def wells(n: int, p: int, *, seed: int = 0) -> np.ndarray:
    """Draw wells of correlated features of unlike spread and centre."""
    rng = np.random.default_rng(seed)
    mixed = rng.normal(size=(n, p)) + 0.7 * rng.normal(size=(n, 4)) @ rng.normal(size=(4, p))
    return mixed * 10 ** rng.uniform(-1, 1, p) + rng.normal(0, 3, p)


def assert_close(ours: np.ndarray, theirs: np.ndarray, rtol: float) -> None:
    """Compare with a tolerance relative to each feature's largest value: a value of exactly 0 has no digits."""
    assert ours.shape == theirs.shape
    assert (np.abs(ours - theirs) <= rtol * np.abs(theirs).max(axis=0)).all()


@pytest.mark.parametrize(("n", "p"), [(200, 20), (41, 40), (40, 40), (20, 50), (5, 30)], ids=str)
@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_the_whitening_is_pycytominers(n: int, p: int, config: SpherizeConfig) -> None:
    X, others = wells(n, p), wells(60, p, seed=1)
    theirs = Spherize(config.epsilon, config.center, config.method, return_numpy=True).fit(pd.DataFrame(X))
    ours = fit_spherize(X, config)
    assert_close(ours.apply(others), theirs.transform(pd.DataFrame(others)), 1e-9)
    assert_close(ours.apply(X), theirs.transform(pd.DataFrame(X)), 1e-9)


@pytest.mark.parametrize("preset", PRESETS)
def test_the_presets_sphere_as_pycytominer_does_by_default(preset: str) -> None:
    X = significant(wells(90, 12), 5)
    names = [f"Cells_F{i}" for i in range(12)]
    control = pd.Series(np.where(np.arange(90) % 2, "negcon", "trt"), dtype="str")
    frame = pd.DataFrame(X, columns=names).assign(Metadata_control_type=control)
    theirs = pycytominer_normalize(frame, method="spherize", samples="Metadata_control_type == 'negcon'")
    config = PRESETS[preset].spherize
    stored = Profiles.from_frame(frame.astype(dict.fromkeys(names, np.float32)))
    reference = stored.matrix[control == "negcon"]
    ours = sphere(stored, fit_spherize(reference, config), config)
    # Every digit that is kept, although the values come from a store that holds them in float32.
    assert ours.matrix.ravel().tolist() == [float(f"{value:.5g}") for value in theirs[names].to_numpy().ravel()]


@pytest.mark.parametrize("method", METHODS)
def test_reference_wells_that_outnumber_the_features_have_the_identity_as_covariance(method: str) -> None:
    X = wells(80, 30)
    sphered = fit_spherize(X, EXACT[method]).apply(X)
    np.testing.assert_allclose(np.cov(sphered.T), np.eye(30), atol=1e-10)
    np.testing.assert_allclose(sphered.mean(axis=0), 0.0, atol=1e-10)


def test_the_matrix_is_the_inverse_root_of_the_covariance() -> None:
    X = wells(70, 9)
    root = np.linalg.inv(sqrtm(empirical_covariance(X) * 70 / 69))
    np.testing.assert_allclose(fit_spherize(X, EXACT["ZCA"]).matrix, root, rtol=1e-8, atol=1e-10)
    correlation = np.linalg.inv(sqrtm(np.corrcoef(X.T) * 70 / 69))
    np.testing.assert_allclose(fit_spherize(X, EXACT["ZCA-cor"]).matrix, correlation, rtol=1e-8, atol=1e-10)


def test_sphered_wells_are_whitened_principal_components_turned_back() -> None:
    X = wells(70, 9)
    pca = PCA(whiten=True, svd_solver="full").fit(X)
    np.testing.assert_allclose(
        fit_spherize(X, EXACT["ZCA"]).apply(X), pca.transform(X) @ pca.components_, rtol=1e-8, atol=1e-9
    )


def test_a_planted_covariance_is_undone() -> None:
    rng = np.random.default_rng(5)
    covariance = np.array([[4.0, 3.0, 0.0], [3.0, 9.0, -2.0], [0.0, -2.0, 1.0]])
    X = rng.multivariate_normal([1.0, -2.0, 5.0], covariance, size=200_000)
    ours = fit_spherize(X, EXACT["ZCA"])
    np.testing.assert_allclose(ours.matrix, np.linalg.inv(sqrtm(covariance)), atol=0.02)
    np.testing.assert_allclose(ours.mean, [1.0, -2.0, 5.0], atol=0.03)


def test_epsilon_damps_directions_in_which_the_wells_hardly_differ() -> None:
    X = wells(60, 3)
    X[:, 2] = X[:, 0] + 1e-5 * X[:, 2]
    shift = np.array([[1.0, 0.0, -1.0]])
    moved = {
        epsilon: np.abs(fit.apply(X[:1] + shift) - fit.apply(X[:1])).max()
        for epsilon in (0.0, 1e-3, 1.0)
        for fit in [fit_spherize(X, SpherizeConfig("ZCA", epsilon))]
    }
    assert moved[0.0] > 1.2 * moved[1e-3] > 100 * moved[1.0]


@given(
    st.integers(3, 40),
    st.integers(1, 40),
    st.sampled_from(METHODS),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=60, deadline=None)
def test_properties(n: int, p: int, method: str, seed: int) -> None:
    X = wells(n, p, seed=seed)
    config = SpherizeConfig(method)
    fit = fit_spherize(X, config)
    assert np.array_equal(fit.matrix, fit.matrix.T)
    assert np.linalg.eigvalsh(fit.matrix).min() > 0
    others = wells(10, p, seed=seed + 1)
    sphered = fit.apply(others)
    scale = np.abs(sphered).max()
    rng = np.random.default_rng(seed)
    rows, columns = rng.permutation(n), rng.permutation(p)
    np.testing.assert_allclose(fit_spherize(X[rows], config).apply(others), sphered, rtol=0, atol=1e-6 * scale)
    turned = fit_spherize(X[:, columns], config).apply(others[:, columns])
    np.testing.assert_allclose(turned, sphered[:, columns], rtol=0, atol=1e-6 * scale)
    order = rng.permutation(10)
    np.testing.assert_allclose(fit.apply(others[order]), sphered[order], rtol=0, atol=1e-12 * scale)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_zca_cor_does_not_know_the_unit_of_a_feature(seed: int) -> None:
    X, others = wells(50, 6, seed=seed), wells(9, 6, seed=seed + 1)
    rng = np.random.default_rng(seed)
    unit, origin = 10 ** rng.uniform(-3, 3, 6), rng.normal(size=6)
    ours = fit_spherize(X * unit + origin, SpherizeConfig()).apply(others * unit + origin)
    np.testing.assert_allclose(ours, fit_spherize(X, SpherizeConfig()).apply(others), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_neither_memory_order_nor_precision_of_the_input_matters(order: str, dtype: type) -> None:
    X = wells(50, 6).astype(np.float32)
    before = X.copy()
    fit = fit_spherize(np.array(X, dtype=dtype, order=order), SpherizeConfig())
    expected = fit_spherize(X.astype(np.float64), SpherizeConfig())
    np.testing.assert_allclose(fit.matrix, expected.matrix, rtol=1e-12)
    np.testing.assert_allclose(
        fit.apply(np.array(X, dtype=dtype, order=order)), expected.apply(X), rtol=1e-9, atol=1e-12
    )
    assert np.array_equal(X, before)


def test_profiles_are_sphered_in_blocks_and_keep_their_wells() -> None:
    n = ROW_BLOCK + 17
    metadata = pd.DataFrame({"Metadata_Well": np.arange(n).astype(str)})
    profiles = Profiles(metadata, wells(n, 3), ("a", "b", "c"))
    fit = fit_spherize(profiles.matrix[:50], SpherizeConfig())
    sphered = sphere(profiles, fit, SpherizeConfig(), dtype=np.float32)
    assert sphered.matrix.dtype == np.float32
    np.testing.assert_array_equal(sphered.matrix, fit.apply(profiles.matrix).astype(np.float32))
    assert sphered.features == profiles.features
    pd.testing.assert_frame_equal(sphered.metadata, metadata)


def test_a_missing_value_makes_its_well_missing_and_no_other() -> None:
    X = wells(50, 4)
    fit = fit_spherize(X, SpherizeConfig())
    X[3, 1] = np.nan
    assert np.isnan(fit.apply(X)).all(axis=1).nonzero()[0].tolist() == [3]
    assert np.isnan(fit.apply(X)).sum() == 4


NAMES = [f"Cells_F{i}" for i in range(5)]


def refusal(X: np.ndarray, config: SpherizeConfig, names: list[str]) -> str:
    with pytest.raises(ProfileError) as caught, warnings.catch_warnings():
        warnings.simplefilter("error")
        fit_spherize(X, config, features=names)
    return str(caught.value)


@pytest.mark.parametrize("method", METHODS)
def test_what_cannot_be_sphered_is_refused_by_name(method: str) -> None:
    config = SpherizeConfig(method)
    X = wells(30, 5)
    assert refusal(X[:1], config, NAMES) == "profiles are sphered by at least two reference wells, found 1"
    assert "found 0" in refusal(X[:0], config, NAMES)
    for value in (np.nan, np.inf, -np.inf):
        lacking = X.copy()
        lacking[4, 2] = value
        assert refusal(lacking, config, NAMES) == "1 features lack a value in some reference well: Cells_F2"
    constant = X.copy()
    constant[:, [1, 3]] = 0.1, 1e6 / 3
    assert refusal(constant, config, NAMES) == "2 features are the same in all 30 reference wells: Cells_F1, Cells_F3"
    dependent = X.copy()
    dependent[:, 4] = X[:, 0] - 2 * X[:, 1]
    message = refusal(dependent, config, NAMES)
    assert "5 features depend linearly on each other among the 30 reference wells (rank 4)" in message
    assert {"Cells_F0", "Cells_F1", "Cells_F4"} == set(message.rpartition("above all ")[2].split(", "))
    few = wells(6, 20)
    few[4] = few[5] = few[3]
    assert "6 reference wells depend linearly" in refusal(few, config, [f"F{i}" for i in range(20)])


def test_without_names_a_feature_is_called_by_its_position() -> None:
    X = wells(30, 5)
    X[:, 3] = 1.0
    assert refusal(X, SpherizeConfig(), []).endswith("feature 3")


def test_pycytominer_lets_dependent_features_pass() -> None:
    X = wells(30, 5)
    X[:, 4] = X[:, 0] - 2 * X[:, 1]
    W = Spherize(method="ZCA").fit(pd.DataFrame(X)).W
    assert np.abs(W).max() > 1e5


def test_correlations_are_not_whitened_without_centring() -> None:
    with pytest.raises(ValueError, match="ZCA-cor"):
        SpherizeConfig("ZCA-cor", center=False)


def test_a_fit_is_mean_scale_and_matrix() -> None:
    X = wells(40, 3)
    fit = fit_spherize(X, SpherizeConfig())
    np.testing.assert_allclose(fit.mean, X.mean(axis=0))
    np.testing.assert_allclose(fit.scale, X.std(axis=0))
    again = Sphering(fit.mean, fit.scale, fit.matrix)
    np.testing.assert_allclose(again.apply(X), (X - X.mean(axis=0)) / X.std(axis=0) @ fit.matrix, rtol=1e-9, atol=1e-12)
    plain = fit_spherize(X, SpherizeConfig("ZCA", center=False))
    assert plain.mean.tolist() == [0.0] * 3
    assert plain.scale.tolist() == [1.0] * 3
