"""The simulated values hold what was planted: measured from the values alone, by other means than the model's."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from pycytominer import feature_select

from cpjump_assets.science.plates import MAIN_BATCH, PlateKey
from cpjump_assets.simulate.config import SimulationConfig, Size
from cpjump_assets.simulate.design import Design, read_design
from cpjump_assets.simulate.profiles import ProfileModel
from cpjump_assets.simulate.reference_files import write_invented_reference
from cpjump_assets.simulate.truth import STRONG, Truth, plant

COMPOUND_A549 = ("BR00116991", "BR00116992", "BR00116993", "BR00116994")  # WGA
COMPOUND_U2OS = ("BR00117010", "BR00117011", "BR00117012", "BR00117013")  # Mitotracker on the first and the last
CRISPR_U2OS = ("BR00118045", "BR00118046", "BR00118047", "BR00118048")
ORF_A549 = ("BR00117020", "BR00117021")


@dataclass(frozen=True)
class Simulated:
    """Values of some plates, with what was planted in them."""

    truth: Truth
    wells: pd.DataFrame
    raw: np.ndarray

    def columns(self, *kinds: str) -> np.ndarray:
        return np.flatnonzero(self.truth.features["kind"].isin(kinds))

    def rows(self, barcode: str) -> np.ndarray:
        return np.flatnonzero(self.wells["Metadata_Plate"] == barcode)

    @property
    def controls(self) -> np.ndarray:
        return (self.wells["Metadata_control_type"] == "negcon").to_numpy()

    def strength(self) -> np.ndarray:
        """Give the planted strength per well, the plate's factor included."""
        reagent = self.truth.perturbations.set_index("Metadata_broad_sample")["strength"]
        plate = self.truth.plates.set_index("Metadata_Plate")["strength"]
        strength = self.wells["Metadata_broad_sample"].map(reagent).fillna(0.0)
        return (strength * self.wells["Metadata_Plate"].map(plate)).to_numpy()

    def normalized(self, columns: np.ndarray, *, epsilon: float = 0.0) -> np.ndarray:
        """Robustize each plate to its negative controls."""
        z = np.empty((len(self.raw), len(columns)))
        for barcode in self.wells["Metadata_Plate"].unique():
            rows = self.rows(barcode)
            reference = self.raw[np.ix_(rows[self.controls[rows]], columns)]
            median = np.nanmedian(reference, axis=0)
            mad = 1.4826 * np.nanmedian(np.abs(reference - median), axis=0)
            z[rows] = (self.raw[np.ix_(rows, columns)] - median) / (mad + epsilon)
        return z


Simulate = Callable[..., Simulated]


@pytest.fixture(scope="module")
def design(tmp_path_factory: pytest.TempPathFactory) -> Design:
    root = tmp_path_factory.mktemp("reference")
    write_invented_reference(root, seed=0)
    return read_design(root)


@pytest.fixture(scope="module")
def simulate(design: Design) -> Simulate:
    def make(*barcodes: str, n_features: int = 150, seed: int = 0, **knobs: float) -> Simulated:
        plates = tuple(PlateKey(MAIN_BATCH, barcode) for barcode in barcodes)
        config = SimulationConfig(**knobs)
        truth = plant(design, Size("test", n_features, plates), seed, config)
        model = ProfileModel.of(truth, seed, config)
        wells = [design.wells_of(plate) for plate in plates]
        return Simulated(truth, pd.concat(wells, ignore_index=True), np.vstack([model.values(part) for part in wells]))

    return make


@pytest.fixture(scope="module")
def compounds(simulate: Simulate) -> Simulated:
    return simulate(*COMPOUND_A549)


def test_wells_of_a_plate_are_all_but_the_absent_ones(design: Design):
    sizes = {
        barcode: len(design.wells_of(PlateKey(MAIN_BATCH, barcode)))
        for barcode in ("BR00116995", "BR00116993", "BR00117005", "BR00117001")
    }
    assert sizes == {"BR00116995": 301, "BR00116993": 383, "BR00117005": 383, "BR00117001": 384}


def test_strength_is_the_effect_s_root_mean_square(simulate: Simulate):
    """Squares over features of normalized wells: the noise gives 1, an effect of strength s adds s squared."""
    made = simulate(*CRISPR_U2OS, n_features=400, position_effect=0.0)
    z = made.normalized(made.columns("informative"))
    squares = np.median(z**2, axis=1) / 0.455  # the median of a chi-squared variable of one degree, for robustness
    strength = made.strength()
    for low, high in ((0.0, 0.1), (0.5, 1.0), (1.2, 1.8), (1.8, 3.0)):
        bin_ = (strength >= low) & (strength < high)
        expected = np.median(1 + strength[bin_] ** 2)
        assert np.median(squares[bin_]) == pytest.approx(expected, rel=0.12), (low, high)


def test_reagents_of_one_direction_look_alike_and_others_do_not(simulate: Simulate):
    made = simulate(*CRISPR_U2OS, *ORF_A549, n_features=400, position_effect=0.0)
    z = pd.DataFrame(made.normalized(made.columns("informative")))
    consensus = z.groupby(made.wells["Metadata_broad_sample"].to_numpy()).median()
    planted = made.truth.perturbations.set_index("Metadata_broad_sample")
    strong = planted[(planted["strength"] >= STRONG) & planted.index.isin(consensus.index)]
    vectors = consensus.loc[strong.index].to_numpy()
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosine = unit @ unit.T
    direction, sign = strong["direction"].to_numpy(), strong["sign"].to_numpy()
    pair = np.triu(np.ones_like(cosine, dtype=bool), k=1)
    same = pair & (direction[:, np.newaxis] == direction)
    assert same.sum() >= 20
    assert (sign[:, np.newaxis] * sign)[same].min() == -1
    assert (cosine * np.outer(sign, sign))[same].min() > 0.5
    assert np.abs(cosine[pair & ~same]).mean() < 0.25


def test_correlated_features_follow_their_parent(compounds: Simulated):
    features = compounds.truth.features
    z = compounds.normalized(np.arange(len(features)), epsilon=1e-18)
    r = pd.DataFrame(z[~np.isnan(z).any(axis=1)]).corr().to_numpy()
    place = {name: i for i, name in enumerate(features["feature"])}
    blocks: dict[str, list[int]] = {}
    for name, kind, parent in features[["feature", "kind", "parent"]].dropna().itertuples(index=False):
        if kind == "anticorrelated":
            assert r[place[name], place[parent]] < -0.9
        else:
            blocks.setdefault(parent, [place[parent]]).append(place[name])
    assert max(map(len, blocks.values())) >= 4
    assert min(r[np.ix_(block, block)].min() for block in blocks.values()) > 0.9
    free = compounds.columns("informative", "noise")
    apart = r[np.ix_(free, free)][~np.eye(len(free), dtype=bool)]
    assert apart.max() < 0.9


def test_zero_mad_is_where_it_was_planted(simulate: Simulate):
    probe = simulate(COMPOUND_A549[0], n_features=400)
    collapsed = probe.truth.features.dropna(subset="collapsed_plate").iloc[0]
    made = simulate(collapsed["collapsed_plate"], *COMPOUND_U2OS[:2], n_features=400)
    always = np.isin(np.arange(400), made.columns("constant", "near_constant", "zero_mad"))
    for barcode in made.wells["Metadata_Plate"].unique():
        rows = made.rows(barcode)
        values = made.raw[rows[made.controls[rows]]]
        zero = np.nanmedian(np.abs(values - np.nanmedian(values, axis=0)), axis=0) == 0
        here = (made.truth.features["collapsed_plate"] == barcode).to_numpy()
        assert here.any() == (barcode == collapsed["collapsed_plate"])
        np.testing.assert_array_equal(zero, always | here)


def test_constant_and_near_constant_values(compounds: Simulated):
    for column in compounds.columns("constant"):
        assert len(np.unique(compounds.raw[:, column])) == 1
    for column in compounds.columns("near_constant"):
        _, counts = np.unique(compounds.raw[:, column], return_counts=True)
        assert len(counts) == 2
        assert counts.min() / len(compounds.raw) == pytest.approx(0.03, abs=0.015)


def test_missing_values_are_where_they_were_planted(compounds: Simulated):
    share = np.isnan(compounds.raw).mean(axis=0)
    missing, sparse = compounds.columns("missing"), compounds.columns("sparsely_missing")
    np.testing.assert_allclose(share[missing], 0.2, atol=0.05)
    assert (share[sparse] > 0).all() and (share[sparse] < 0.02).all()
    assert share.sum() == share[missing].sum() + share[sparse].sum()


def test_feature_selection_drops_what_it_should(simulate: Simulate):
    """pycytominer as oracle of the rules, run in their order, each on what the ones before left."""
    made = simulate(*COMPOUND_A549[:2], *CRISPR_U2OS[:2], n_features=120)
    features = made.truth.features
    collapsed_here = features["collapsed_plate"].isin(made.wells["Metadata_Plate"])
    assert not collapsed_here.any()
    names = features["feature"].tolist()
    frame = pd.DataFrame(made.normalized(np.arange(len(names)), epsilon=1e-18), columns=names)
    left: dict[str, set[str]] = {}
    for rule in ("frequency_threshold", "correlation_threshold", "drop_na_columns", "blocklist"):
        frame = feature_select(frame, features=list(frame.columns), operation=rule)
        left[rule] = set(frame.columns)
    dropped_by_variance = set(names) - left["frequency_threshold"]
    assert dropped_by_variance == set(
        features.loc[features["kind"].isin(["constant", "near_constant", "zero_mad"]), "feature"]
    )
    dropped_by_correlation = left["frequency_threshold"] - left["correlation_threshold"]
    blocks = features.loc[features["kind"] == "correlated"].groupby("parent")["feature"].agg(set)
    assert all(len(({parent} | copies) & left["correlation_threshold"]) == 1 for parent, copies in blocks.items())
    assert len(dropped_by_correlation) == (features["kind"] == "correlated").sum()
    dropped_later = left["correlation_threshold"] - left["blocklist"]
    assert dropped_later == set(features.loc[features["kind"].isin(["missing", "blocklisted"]), "feature"])


def test_raw_values_are_on_the_scale_of_their_measurement(compounds: Simulated):
    location = compounds.truth.features["location"].to_numpy()
    assert np.nanmin(compounds.raw) > 0
    np.testing.assert_allclose(np.nanmedian(compounds.raw, axis=0) / location, 1.0, atol=0.35)


def test_a_failed_stain_lowers_the_values_of_its_channel(simulate: Simulate):
    made = simulate(*COMPOUND_U2OS, n_features=400, plate_shift=0.0, plate_scale=0.0)
    features = made.truth.features
    failed, sound = (np.concatenate([made.rows(b) for b in pair]) for pair in (COMPOUND_U2OS[::3], COMPOUND_U2OS[1:3]))
    step = (made.raw[failed].mean(axis=0) - made.raw[sound].mean(axis=0)) / features["scale"].to_numpy()
    mito = (features["kind"] == "informative") & (features["channel"] == "Mito")
    others = (features["kind"] == "informative") & (features["channel"] != "Mito")
    np.testing.assert_allclose(step[mito], -3.0, atol=0.5)
    np.testing.assert_allclose(step[others], 0.0, atol=0.5)


def test_positions_shift_values_at_the_edge_and_along_rows_and_columns(simulate: Simulate):
    made = simulate(*ORF_A549, n_features=200, position_effect=1.0)
    flat = simulate(*ORF_A549, n_features=200, position_effect=0.0)
    letters, numbers = made.wells["Metadata_Well"].str[0], made.wells["Metadata_Well"].str[1:].astype(int)
    halves = {
        "edge": letters.isin(["A", "P"]) | numbers.isin([1, 24]),
        "row": letters > "H",
        "column": numbers > 12,
    }
    quiet = (made.strength() == 0) | made.controls
    for name, half in halves.items():
        steps = []
        for simulated in (made, flat):
            z = simulated.normalized(simulated.columns("noise"))
            steps.append(np.abs(z[quiet & half].mean(axis=0) - z[quiet & ~half].mean(axis=0)).mean())
        assert steps[0] > 2 * steps[1], name


def test_plates_have_shifts_and_scales_of_their_own(compounds: Simulated):
    columns = compounds.columns("informative")
    spread = compounds.truth.features["scale"].to_numpy()[columns]
    values = [compounds.raw[np.ix_(compounds.rows(barcode), columns)] / spread for barcode in COMPOUND_A549]
    centres = np.array([np.median(plate, axis=0) for plate in values])
    assert centres.std(axis=0).mean() == pytest.approx(0.8, abs=0.5)
    assert len({round(float(np.median(plate.std(axis=0))), 3) for plate in values}) == 4


def average_precision(similarity: np.ndarray, positive: np.ndarray) -> float:
    ranks = np.flatnonzero(positive[np.argsort(-similarity, kind="stable")]) + 1
    return float((np.arange(1, len(ranks) + 1) / ranks).mean())


def detected(made: Simulated, columns: np.ndarray) -> "pd.Series[bool]":
    """Detect perturbations of one condition: cosine average precision of replicates against the plate's controls."""
    z = made.normalized(columns)
    unit = z / np.linalg.norm(z, axis=1, keepdims=True)
    similarity = unit @ unit.T
    sample, plate = (made.wells[f"Metadata_{name}"].to_numpy() for name in ("broad_sample", "Plate"))
    rng = np.random.default_rng(0)
    null: dict[tuple[int, int], np.ndarray] = {}
    log_p: dict[str, list[float]] = {}
    for i in np.flatnonzero(~made.controls & (sample != "empty")):
        others = (sample == sample[i]) & (np.arange(len(sample)) != i)
        used = others | (made.controls & (plate == plate[i]))
        shape = (int(others.sum()), int(used.sum()))
        if shape not in null:
            labels = np.arange(shape[1]) < shape[0]
            null[shape] = np.array([average_precision(rng.random(shape[1]), labels) for _ in range(10_000)])
        ap = average_precision(similarity[i, used], others[used])
        p = (1 + (null[shape] >= ap).sum()) / (1 + len(null[shape]))
        log_p.setdefault(sample[i], []).append(np.log(p))
    p = pd.Series({name: np.exp(np.mean(values)) for name, values in log_p.items()}).sort_values()
    q = (p * len(p) / np.arange(1, len(p) + 1))[::-1].cummin()
    return q < 0.05


@pytest.mark.parametrize("barcodes", [COMPOUND_A549, CRISPR_U2OS, ORF_A549], ids=["compound", "crispr", "orf"])
def test_strong_effects_are_detected_and_inactive_reagents_are_not(simulate: Simulate, barcodes: tuple[str, ...]):
    made = simulate(*barcodes, n_features=300)
    found = detected(made, made.columns("informative", "noise", "anticorrelated"))
    planted = made.truth.perturbations.set_index("Metadata_broad_sample").loc[found.index]
    assert found[planted["strength"] >= STRONG].mean() > 0.9
    assert found[~planted["active"]].mean() < 0.05
    weak = planted["active"] & (planted["strength"] < 0.5)
    assert found[weak].mean() < 0.8  # the grades reach below what can be seen
