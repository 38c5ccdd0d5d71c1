"""The values of simulated profiles: a latent-factor model with planted effects of reagents, positions and plates.

Belongs here: the model, plate by plate. Does not belong here: what is planted (``truth``, ``features``) and the files
(``profile_files``).

In standard deviations of replicate noise, the value of feature f in well w of plate p is::

    z = sum over three factors k of weight[f, k] * (effect[w, k] + sqrt(factor_share) * noise[w, k])
        + own noise + position effects

and the raw value is location + scale * (plate scale * z + plate shift), on which a condition shift and a stain anomaly
work as well. Sums run in a fixed order without BLAS, so that the bytes do not depend on the number of threads.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cpjump_assets.science.positions import N_COLUMNS, N_ROWS, POSITIONS
from cpjump_assets.simulate.config import SimulationConfig
from cpjump_assets.simulate.features import LIKE_INFORMATIVE
from cpjump_assets.simulate.randomness import generator
from cpjump_assets.simulate.truth import Truth

_FACTORS_PER_FEATURE = 3
_COPY_CORRELATION = 0.98
_FLOOR_SHARE = 0.8
_SECOND_VALUE_SHARE = 0.03
_MISSING_SHARE = {"missing": 0.2, "sparsely_missing": 0.005}
_CONDITION_SHIFT = 1.0


@dataclass(frozen=True)
class ProfileModel:
    """The model of one simulation; p features, k latent factors.

    Attributes
    ----------
    features
        p rows, as planted.
    plates
        Plate effects by (batch, barcode).
    factors
        (p, 3) int, the factors that each feature loads on.
    weights
        (p, 3), of unit length per feature; 0 for features that carry no effect.
    position_weights
        (p, 3), response to the edge, row and column effects.
    effects
        Reagent x k: the planted effect of each reagent on the factors; root mean square over factors = strength.
    """

    features: pd.DataFrame
    plates: pd.DataFrame
    factors: np.ndarray
    weights: np.ndarray
    position_weights: np.ndarray
    effects: pd.DataFrame
    seed: int
    config: SimulationConfig

    @classmethod
    def of(cls, truth: Truth, seed: int, config: SimulationConfig) -> "ProfileModel":
        """Draw the loadings and directions that realize a planted truth."""
        rng = generator(seed, "loadings")
        shape = (len(truth.features), _FACTORS_PER_FEATURE)
        factors = rng.random((shape[0], config.n_factors)).argsort(axis=1)[:, :_FACTORS_PER_FEATURE]
        weights = rng.normal(size=shape)
        weights /= np.sqrt((weights**2).sum(axis=1, keepdims=True))
        weights[~truth.features["kind"].isin(LIKE_INFORMATIVE)] = 0.0
        return cls(
            features=truth.features,
            plates=truth.plates.set_index(["Metadata_Batch", "Metadata_Plate"]),
            factors=factors,
            weights=weights,
            position_weights=config.position_effect * rng.normal(size=shape),
            effects=_effects(truth.perturbations, seed, config.n_factors),
            seed=seed,
            config=config,
        )

    def values(self, wells: pd.DataFrame) -> np.ndarray:
        """Simulate one plate.

        Parameters
        ----------
        wells
            n wells of one plate, as ``design.Design.wells_of`` gives them.

        Returns
        -------
        ndarray
            (n, p) raw measurements; NaN where a feature has no value.
        """
        batch, barcode = wells[["Metadata_Batch", "Metadata_Plate"]].iloc[0]
        plate = self.plates.loc[(batch, barcode)]
        rng = generator(self.seed, "profiles", f"{batch}.{barcode}")
        latent = self._latent(rng, wells["Metadata_broad_sample"], plate)
        own_noise = np.sqrt(1.0 - self.config.factor_share * (self.weights != 0).any(axis=1))
        z = latent + own_noise * rng.normal(size=latent.shape)
        z += self._position_effects(wells["Metadata_Well"], plate)
        self._follow_parents(rng, z)
        raw = self._measure(rng, z, plate)
        self._collapse(rng, raw, barcode)
        self._lose_values(rng, raw)
        return raw

    def _latent(self, rng: np.random.Generator, samples: pd.Series, plate: pd.Series) -> np.ndarray:
        """Give what features share: effects and factor noise, dimmed where the stain of a channel failed."""
        noise = rng.normal(size=(len(samples), self.config.n_factors))
        effects = self.effects.reindex(samples).fillna(0.0).to_numpy()  # wells without a reagent have no effect
        factors = plate["strength"] * effects + np.sqrt(self.config.factor_share) * noise
        latent = sum(self.weights[:, j] * factors[:, self.factors[:, j]] for j in range(_FACTORS_PER_FEATURE))
        return latent * np.where(self._stained(plate), plate["stain_gain"], 1.0)

    def _position_effects(self, wells: pd.Series, plate: pd.Series) -> np.ndarray:
        position = POSITIONS.loc[wells]
        row, column = position["Metadata_row"].to_numpy(), position["Metadata_column"].to_numpy()
        to_edge = np.minimum.reduce([row - 1, N_ROWS - row, column - 1, N_COLUMNS - column])
        effects = {
            "edge": np.exp(-to_edge),
            "row": (row - 1) / (N_ROWS - 1) - 0.5,
            "column": (column - 1) / (N_COLUMNS - 1) - 0.5,
        }
        return sum(
            plate[name] * np.outer(effect, self.position_weights[:, j])
            for j, (name, effect) in enumerate(effects.items())
        )

    def _follow_parents(self, rng: np.random.Generator, z: np.ndarray) -> None:
        """Replace, in place, correlated and anticorrelated features by noisy copies of their parents."""
        copies = np.flatnonzero(self.features["parent"].notna())
        parents = pd.Index(self.features["feature"]).get_indexer(self.features["parent"].iloc[copies])
        sign = np.where(self.features["kind"].iloc[copies] == "anticorrelated", -1.0, 1.0)
        noise = rng.normal(size=(len(z), len(copies)))
        z[:, copies] = sign * (_COPY_CORRELATION * z[:, parents] + np.sqrt(1.0 - _COPY_CORRELATION**2) * noise)

    def _measure(self, rng: np.random.Generator, z: np.ndarray, plate: pd.Series) -> np.ndarray:
        """Put z on the scale of the measurement, with the shifts of condition, plate and stain."""
        p = len(self.features)
        condition = [plate[f"Metadata_{name}"] for name in ("experiment_type", "cell_line", "timepoint_code")]
        shift = _CONDITION_SHIFT * generator(self.seed, "condition", *condition).normal(size=p)
        shift += plate["shift"] + self.config.plate_shift * rng.normal(size=p)
        shift += np.where(self._stained(plate), plate["stain_shift"], 0.0)
        scale = plate["scale"] * np.exp(self.config.plate_scale * rng.normal(size=p))
        location, spread = (self.features[name].to_numpy() for name in ("location", "scale"))
        return location + spread * (scale * z + shift)

    def _stained(self, plate: pd.Series) -> np.ndarray:
        """Tell which features measure the channel of the plate's stain anomaly."""
        return (self.features["channel"] == plate["stain_channel"]).to_numpy()

    def _collapse(self, rng: np.random.Generator, raw: np.ndarray, barcode: str) -> None:
        """Put, in place, constant and floor values where the kind of a feature asks for them."""
        kind, location = self.features["kind"], self.features["location"].to_numpy()
        floored = (kind == "zero_mad") | ((kind == "collapsed") & (self.features["collapsed_plate"] == barcode))
        same = np.broadcast_to(location, raw.shape)
        for columns, share, otherwise in (
            (kind == "constant", 1.0, same),
            (kind == "near_constant", 1.0 - _SECOND_VALUE_SHARE, 1.1 * same),
            (floored, _FLOOR_SHARE, location + np.abs(raw - location)),
        ):
            places = np.flatnonzero(columns)
            at_floor = rng.random((len(raw), len(places))) < share
            raw[:, places] = np.where(at_floor, location[places], otherwise[:, places])

    def _lose_values(self, rng: np.random.Generator, raw: np.ndarray) -> None:
        for kind, share in _MISSING_SHARE.items():
            places = np.flatnonzero(self.features["kind"] == kind)
            lost = rng.random((len(raw), len(places))) < share
            raw[:, places] = np.where(lost, np.nan, raw[:, places])


def _effects(perturbations: pd.DataFrame, seed: int, n_factors: int) -> pd.DataFrame:
    """Give each active reagent its effect on the factors: strength times a direction of root mean square 1."""
    active = perturbations[perturbations["active"]]
    directions = {}
    for label in sorted(active["direction"].unique()):
        vector = generator(seed, "direction", label).normal(size=n_factors)
        directions[label] = vector / np.sqrt((vector**2).mean())
    lengths = (active["strength"] * active["sign"]).to_numpy()
    effects = lengths[:, np.newaxis] * np.array([directions[label] for label in active["direction"]])
    return pd.DataFrame(effects, index=active["Metadata_broad_sample"].to_numpy())
