"""Sphering: profiles turned and scaled so that features do not vary together over reference wells.

Belongs here: the whitening transform, its fit and its configuration. Does not belong here: which wells it is fitted on
(``train_fit``), the features that it takes (``feature_selection``).

The transform is that of ``Spherize`` in pycytominer 1.7.1, after Kessy, Lewin and Strimmer, "Optimal whitening and
decorrelation" (2018). It refuses more. pycytominer lets pass features that depend on each other among more wells than
features (on centred values its test for that does not fire), and, with ``ZCA``, a feature that is the same in all
wells; what other wells have in such a direction it then multiplies by up to 1 / epsilon, a million.

The ``_spherized`` files that the gallery holds of the 40 primary plates are another thing, made by a notebook of the
2024 repository (``benchmark/3.spherize_profiles.ipynb``) and not by the pipeline of the profiles. It whitened the
plates of each condition by themselves, from profiles normalized to the whole plate, on every feature without a missing
value, by a ZCA-cor of its own: eigenvalues of the correlations are lifted to at least a tenth of the one at the knee of
their curve. And it wrote the wells of all plates of the condition into the file of each plate. Its author advises to
make sphered profiles anew (jump-cellpainting/datasets, discussion of that mistake). No published configuration of the
pipeline asks for sphering: method, epsilon and centring are pycytominer's defaults in both presets.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from cpjump_assets.science.errors import ProfileError
from cpjump_assets.science.features import BoolArray, Matrix, Profiles, listed
from cpjump_assets.science.rounding import significant

ROW_BLOCK = 4096
"""Wells that are sphered at once: float64 values of all wells of a batch would take twice the memory of the result."""

Float64Array = NDArray[np.float64]


@dataclass(frozen=True)
class SpherizeConfig:
    """How profiles are sphered.

    Attributes
    ----------
    method
        ``ZCA`` turns back to the axes of the features, so that each sphered feature is still about the one it is named
        after; ``ZCA-cor`` does so on standardized features.
    epsilon
        Added to each singular value of the reference wells (centred, and standardized for ``ZCA-cor``): the larger,
        the less a direction is amplified in which they hardly differ. 1e-6 is pycytominer's default.
    center
        Whether the mean of the reference wells is subtracted first.
    digits
        Significant digits of the values that are read and of the result; None takes all as they are. Profiles are
        stored in float32: what it adds to the decimal number that was meant would change the fifth digit of 3 values
        in 1,000.
    """

    method: Literal["ZCA", "ZCA-cor"] = "ZCA-cor"
    epsilon: float = 1e-6
    center: bool = True
    digits: int | None = None

    def __post_init__(self) -> None:
        if self.method == "ZCA-cor" and not self.center:
            raise ValueError("ZCA-cor whitens correlations, which are about the mean: it cannot do without center")


@dataclass(frozen=True, eq=False)
class Sphering:
    """A fitted whitening of p features: (x - mean) / scale, times a matrix.

    Attributes
    ----------
    mean
        (p,), of the reference wells; 0 where nothing is subtracted.
    scale
        (p,), standard deviation of the reference wells (divided by n) for ``ZCA-cor``, else 1.
    matrix
        (p, p), symmetric.
    """

    mean: Float64Array
    scale: Float64Array
    matrix: Float64Array

    def apply(self, X: Matrix) -> Float64Array:
        """Sphere wells, (n, p), in any number and of any kind; a missing value makes its whole well missing.

        Returns
        -------
        ndarray
            (n, p), float64, in feature-major order.
        """
        Z = np.subtract(X.T, self.mean[:, None], dtype=np.float64)
        Z /= self.scale[:, None]
        sphered: Float64Array = self.matrix @ Z
        return sphered.T


def fit_spherize(reference: Matrix, config: SpherizeConfig, *, features: Sequence[str] = ()) -> Sphering:
    """Fit the whitening: where the reference wells outnumber the features, their covariance becomes the identity.

    With X the centred (and standardized) reference wells and X = U S V' its singular value decomposition, the matrix is
    sqrt(n - 1) V (S + epsilon)^-1 V'. Where n <= p there are only r < p singular values above rounding; in the
    directions that the wells do not span, the r-th stands in.

    Parameters
    ----------
    reference
        (n, p), such as the negative controls of a batch, in any order; float32 or float64.
    config
        Method, epsilon and centring.
    features
        p names, for messages; without them a feature is called by its position.

    Raises
    ------
    ProfileError
        If there are fewer than two wells, a value is missing or infinite, a feature is the same in all wells, or
        features depend linearly on each other; the message names the features.
    """
    X = np.array(_with_digits(reference, config), dtype=np.float64, order="F")
    n, p = X.shape
    names = list(features) or [f"feature {position}" for position in range(p)]
    if n < 2:
        raise ProfileError(f"profiles are sphered by at least two reference wells, found {n}")
    lacking: BoolArray = np.asarray(~np.isfinite(X).all(axis=0))
    if lacking.any():
        raise ProfileError(f"{lacking.sum():,} features lack a value in some reference well: {_named(names, lacking)}")
    mean, variance = X.mean(axis=0), X.var(axis=0)
    # As scikit-learn judges it: a variance that the rounding of the mean alone can give is none.
    constant: BoolArray = np.asarray(variance <= (n * np.finfo(float).eps * mean) ** 2)
    if constant.any():
        raise ProfileError(
            f"{constant.sum():,} features are the same in all {n:,} reference wells: {_named(names, constant)}"
        )
    mean = mean if config.center else np.zeros(p)
    scale = np.sqrt(variance) if config.method == "ZCA-cor" else np.ones(p)
    X -= mean
    X /= scale
    return Sphering(mean, scale, _whitening(_spectrum(X, names, center=config.center), n, config.epsilon))


def sphere(
    profiles: Profiles, sphering: Sphering, config: SpherizeConfig, *, dtype: DTypeLike = np.float64
) -> Profiles:
    """Sphere profiles, and round them as configured.

    Parameters
    ----------
    profiles
        n wells with the p features of the fit, in their order.
    sphering
        The fit.
    config
        Says how many digits count.
    dtype
        Of the result; everything is computed in float64.
    """
    X = profiles.matrix
    sphered = np.empty(X.shape[::-1], dtype=dtype)
    for start in range(0, len(X), ROW_BLOCK):
        rows = slice(start, start + ROW_BLOCK)
        sphered[:, rows] = _with_digits(sphering.apply(_with_digits(X[rows], config)), config).T
    return profiles.with_matrix(sphered.T)


def _with_digits(X: Matrix, config: SpherizeConfig) -> Matrix:
    return X if config.digits is None else significant(X, config.digits)


class _Spectrum(NamedTuple):
    """The r singular values of n wells x p features that are above rounding, falling, and their vectors, (r, p)."""

    values: Float64Array
    vectors: Float64Array


def _spectrum(X: Float64Array, names: Sequence[str], *, center: bool) -> _Spectrum:
    n, p = X.shape
    # The triangle of X = QR has the singular values and right vectors of X. The eigenvectors of X'X would be found
    # as fast, but a singular value only to the square root of the precision.
    small = np.linalg.qr(X, mode="r") if n > p else X
    _, values, vectors = np.linalg.svd(small, full_matrices=False)
    rank = int((values > values[0] * max(n, p) * np.finfo(float).eps).sum())
    # Wells that are centred span one direction less than there are wells; what is left of it is rounding of the mean.
    rank = min(rank, n - center)
    if rank < min(p, n - 1):
        raise ProfileError(_dependent_features(names, vectors, rank, n) if n > p else _dependent_wells(rank, n))
    return _Spectrum(values[:rank], vectors[:rank])


def _whitening(spectrum: _Spectrum, n: int, epsilon: float) -> Float64Array:
    """Give sqrt(n - 1) V (S + epsilon)^-1 V', where S goes on with its last value and V with any completion."""
    inverse = 1.0 / (spectrum.values + epsilon)
    # The last value in all directions, less what the others have less: a product of a matrix with its own transpose,
    # symmetric to the last bit, that needs none of the vectors beyond the r-th.
    factor = spectrum.vectors.T * np.sqrt(inverse[-1] - inverse)
    whitening: Float64Array = -(factor @ factor.T)
    whitening[np.diag_indices_from(whitening)] += inverse[-1]
    whitening *= np.sqrt(n - 1)
    return whitening


def _dependent_features(names: Sequence[str], vectors: Float64Array, rank: int, n: int) -> str:
    weights = np.abs(vectors[rank:]).max(axis=0)
    falling = np.argsort(-weights, kind="stable")
    involved = [names[position] for position in falling.tolist() if weights[position] > 0.01]
    return (
        f"the {len(names):,} features depend linearly on each other among the {n:,} reference wells (rank {rank:,}): "
        f"above all {listed(involved)}"
    )


def _dependent_wells(rank: int, n: int) -> str:
    return f"the profiles of {n:,} reference wells depend linearly on each other, as repeated ones do: rank {rank:,}"


def _named(names: Sequence[str], chosen: BoolArray) -> str:
    return listed([names[position] for position in np.flatnonzero(chosen).tolist()])
