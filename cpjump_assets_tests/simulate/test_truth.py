"""The planted truth: who acts, how strongly, in which direction, and what plates do."""

from pathlib import Path

import pandas as pd
import pytest

from cpjump_assets.science.plates import MAIN_PLATES, PLATES
from cpjump_assets.simulate.config import SimulationConfig, Size
from cpjump_assets.simulate.design import Design, read_design
from cpjump_assets.simulate.reference_files import write_invented_reference
from cpjump_assets.simulate.truth import STRONG, plant, plant_perturbations, plant_plates

CONFIG = SimulationConfig()


@pytest.fixture(scope="module")
def design(tmp_path_factory: pytest.TempPathFactory) -> Design:
    root = tmp_path_factory.mktemp("reference")
    write_invented_reference(root, seed=0)
    return read_design(root)


@pytest.fixture(scope="module")
def perturbations(design: Design) -> pd.DataFrame:
    return plant_perturbations(design.perturbations, 0, CONFIG)


def test_every_reagent_has_a_row(design: Design, perturbations: pd.DataFrame):
    assert sorted(perturbations["Metadata_broad_sample"]) == sorted(design.perturbations["Metadata_broad_sample"])
    assert perturbations["Metadata_broad_sample"].is_monotonic_increasing


def test_about_half_of_the_reagents_act_and_no_negative_control(perturbations: pd.DataFrame):
    control = perturbations["Metadata_control_type"] == "negcon"
    assert not perturbations.loc[control, "active"].any()
    assert perturbations.loc[~control, "active"].mean() == pytest.approx(0.5, abs=0.07)
    diverse = perturbations.query(
        "Metadata_control_type == 'poscon_diverse' and Metadata_experiment_type == 'Compound'"
    )
    assert len(diverse) == 14 and (diverse["strength"] >= STRONG).all()


def test_only_what_acts_has_strength_and_direction(perturbations: pd.DataFrame):
    assert (perturbations["active"] == (perturbations["strength"] > 0)).all()
    assert (perturbations["active"] == perturbations["direction"].notna()).all()
    assert set(perturbations["sign"]) == {-1, 1}


def test_strengths_are_graded_and_orfs_are_weaker(perturbations: pd.DataFrame):
    active = perturbations[perturbations["active"]]
    strong = (active["strength"] >= STRONG).groupby(active["Metadata_experiment_type"]).mean()
    assert (strong > 0.1).all() and (strong < 0.9).all()
    median = active.groupby("Metadata_experiment_type")["strength"].median()
    assert median["ORF"] < 0.75 * median["CRISPR"] < 0.75 * median["Compound"]


def test_some_targets_share_a_direction_across_modalities(perturbations: pd.DataFrame):
    shared = perturbations[perturbations["direction"].fillna("").str.startswith("target ")]
    per_direction = shared.groupby("direction")
    assert (per_direction["Metadata_target"].nunique() == 1).all()
    assert (per_direction["Metadata_experiment_type"].nunique() == 3).sum() >= 20
    assert (shared["sign"] == shared["Metadata_experiment_type"].map({"Compound": 1, "CRISPR": 1, "ORF": -1})).all()
    own = perturbations[perturbations["direction"].fillna("").str.startswith("reagent ")]
    assert own.loc[own["Metadata_experiment_type"] != "Compound", "direction"].is_unique


def test_ids_of_one_compound_act_alike_and_stereoisomers_need_not(design: Design, perturbations: pd.DataFrame):
    names = design.perturbations.set_index("Metadata_broad_sample")["Metadata_pert_iname_normalized"]
    name = perturbations["Metadata_broad_sample"].map(names)
    twins = perturbations[name.duplicated(keep=False)].fillna({"direction": "none"})
    assert len(twins) == 8
    assert (twins.groupby(name)[["active", "strength", "direction", "sign"]].nunique() == 1).all(axis=None)


def test_seeds_plant_other_truths(design: Design, perturbations: pd.DataFrame):
    pd.testing.assert_frame_equal(perturbations, plant_perturbations(design.perturbations, 0, CONFIG))
    other = plant_perturbations(design.perturbations, 1, CONFIG)
    assert (perturbations["active"] != other["active"]).mean() > 0.3


def test_stain_anomalies_name_their_channel(design: Design):
    plates = plant_plates(design.experiment, MAIN_PLATES, 0, CONFIG)
    channels = plates.groupby("Metadata_anomaly")["stain_channel"].agg(lambda values: set(values.dropna()))
    assert channels.to_dict() == {"none": set(), "Phalloidin": {"AGP"}, "WGA": {"AGP"}, "Mitotracker": {"Mito"}}
    assert (plates["stain_channel"].notna() == (plates["stain_shift"] < 0)).all()


def test_a_plate_is_the_same_whichever_others_there_are(design: Design):
    every = plant_plates(design.experiment, PLATES, 0, CONFIG)
    some = plant_plates(design.experiment, (PLATES[80], PLATES[3]), 0, CONFIG)
    key = ["Metadata_Batch", "Metadata_Plate"]
    assert len(every) == 107
    expected = every.set_index(key).loc[some.set_index(key).index].reset_index()
    pd.testing.assert_frame_equal(some, expected, check_dtype=False)


def test_written_tables_say_what_was_planted(design: Design, tmp_path: Path):
    truth = plant(design, Size("test", 40, MAIN_PLATES[:2]), 0, CONFIG)
    truth.write(tmp_path)
    for name in ("perturbations", "features", "plates"):
        written = pd.read_csv(tmp_path / f"{name}.csv")
        pd.testing.assert_frame_equal(written, getattr(truth, name), check_dtype=False, rtol=1e-5)
