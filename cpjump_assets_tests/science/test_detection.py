"""Detection: against copairs on the same arrays, on the real layout, with planted effects and with none."""

import numpy as np
import pandas as pd
import pytest
from copairs.map import average_precision as copairs_average_precision
from scipy.stats import gmean, kstest
from sklearn.metrics import average_precision_score
from sklearn.metrics.pairwise import cosine_similarity

from cpjump_assets.science.class_scores import MetricConfig
from cpjump_assets.science.detection import CONDITION, detect, scores
from cpjump_assets.science.errors import BadTableError, ProfileError
from cpjump_assets.science.score_tables import CLASSES, SCORES

BATCH = "2020_11_04_CPJUMP1"
N_CONTROLS = 16


def _plates(names, samples, *, kind="Compound", cell_line="A549", hours=24, code="low", controls="DMSO"):
    """Lay out plates of one condition: each sample once or more, as listed, and negative controls."""
    on_plate = [*samples, *([controls] * N_CONTROLS)]
    frames = [
        pd.DataFrame(
            {
                "Metadata_Batch": BATCH,
                "Metadata_Plate": name,
                "Metadata_Well": [f"{chr(65 + i // 24)}{i % 24 + 1:02d}" for i in range(len(on_plate))],
                "Metadata_broad_sample": on_plate,
            }
        )
        for name in names
    ]
    frame = pd.concat(frames, ignore_index=True)
    return frame.assign(
        Metadata_experiment_type=kind,
        Metadata_cell_line=cell_line,
        Metadata_timepoint=hours,
        Metadata_timepoint_code=code,
        Metadata_target=("gene " + frame["Metadata_broad_sample"]).where(frame["Metadata_broad_sample"] != controls),
        Metadata_control_type=pd.Series("negcon", index=frame.index).where(frame["Metadata_broad_sample"] == controls),
        Metadata_is_primary=True,
    )


@pytest.fixture
def experiment():
    """Two conditions with doubled samples; shuffled, with empty wells and a plate that is not primary."""
    samples = [f"S{i:02d}" for i in range(20)]
    compounds = _plates(["P1", "P2", "P3"], [*samples, *samples[:2]])
    guides = _plates(["Q1", "Q2"], samples, kind="CRISPR", hours=144, code="high", controls="intergenic")
    secondary = _plates(["R1"], samples).assign(Metadata_is_primary=False)
    empty = compounds.iloc[[5]].assign(Metadata_Well="P24", Metadata_broad_sample="empty", Metadata_target=None)
    frame = pd.concat([compounds, guides, secondary, empty]).sample(frac=1, random_state=1, ignore_index=True)
    frame = frame.astype({"Metadata_target": "str"})
    return frame, _profiles(frame, acting={"S00", "S05", "S10", "S15"})


def _profiles(frame, *, acting=(), n_features=40, strength=1.2, seed=2):
    """Draw noise around a direction of its own for each acting sample and a small shift for each plate."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(len(frame), n_features))
    for plate in sorted(frame["Metadata_Plate"].unique()):
        X[frame["Metadata_Plate"] == plate] += 0.2 * rng.normal(size=n_features)
    for sample in sorted(acting):
        X[frame["Metadata_broad_sample"] == sample] += strength * rng.normal(size=n_features)
    return X


def _real_layout(reference_root, **condition):
    columns = [*CONDITION, "Metadata_Plate", "Metadata_Well", "Metadata_broad_sample"]
    columns += ["Metadata_target", "Metadata_control_type"]
    frame = pd.read_csv(reference_root / "datasplits" / "cpjump1_metadata.csv", usecols=columns)
    for name, value in condition.items():
        frame = frame[frame[f"Metadata_{name}"] == value]
    return frame.assign(Metadata_Batch=BATCH, Metadata_is_primary=True).reset_index(drop=True)


def _with_peer(metadata, X, wells):
    """Give the query wells of one condition, negative controls too, with what copairs says of them."""
    used = metadata["Metadata_is_primary"] & (metadata["Metadata_broad_sample"] != "empty")
    frame = metadata[used].assign(negcon=metadata["Metadata_control_type"].eq("negcon"), row=np.flatnonzero(used))
    peer = copairs_average_precision(
        frame, X[used], ["Metadata_broad_sample"], [], ["Metadata_Plate"], ["negcon"], progress_bar=False
    ).rename(columns={"average_precision": "peer"})
    both = wells.merge(
        peer[["Metadata_Plate", "Metadata_Well", "row", "negcon", "peer", "n_pos_pairs", "n_total_pairs"]],
        on=["Metadata_Plate", "Metadata_Well"],
        validate="one_to_one",
    )
    assert len(both) == len(wells) == len(peer)
    np.testing.assert_array_equal(both["n_positives"], both["n_pos_pairs"])
    np.testing.assert_array_equal(both["n_negatives"], both["n_total_pairs"] - both["n_pos_pairs"])
    return both


def _sorted_list_precision(metadata, X, row):
    """Score one well of one condition from the definition, in double precision, with scikit-learn."""
    own = metadata.loc[row]
    is_control = metadata["Metadata_control_type"].eq("negcon")
    positive = metadata["Metadata_broad_sample"].eq(own["Metadata_broad_sample"]) & (metadata.index != row)
    negative = metadata["Metadata_Plate"].eq(own["Metadata_Plate"]) & (is_control != is_control[row])
    listed = np.flatnonzero(positive | negative)
    return average_precision_score(positive.to_numpy()[listed], cosine_similarity(X[[row]], X[listed])[0])


def test_average_precision_equals_copairs(experiment):
    metadata, X = experiment
    wells = detect(metadata, X).wells
    for kind in ("Compound", "CRISPR"):
        own = metadata["Metadata_experiment_type"] == kind
        both = _with_peer(metadata[own], X[own], wells[wells["Metadata_experiment_type"] == kind])
        np.testing.assert_allclose(both["average_precision"], both["peer"], rtol=0, atol=4.5e-16)


def test_average_precision_equals_copairs_on_a_real_condition(reference_root):
    """copairs ranks in single precision: of 21 million comparisons of DMSO wells some may tie only there."""
    metadata = _real_layout(reference_root, experiment_type="Compound", cell_line="A549", timepoint=24)
    X = _profiles(metadata, acting=set(metadata["Metadata_broad_sample"].unique()[::3]), strength=0.5)
    both = _with_peer(metadata, X, detect(metadata, X).wells)
    differs = ~np.isclose(both["average_precision"], both["peer"], rtol=0, atol=4.5e-16)
    assert differs.sum() <= 2
    assert both.loc[differs, "negcon"].all()
    for well in both[differs].itertuples():
        assert well.average_precision == pytest.approx(_sorted_list_precision(metadata, X, well.row), abs=4.5e-16)
    treated = both[~both["negcon"]]
    assert treated[["n_positives", "n_total_pairs"]].value_counts().to_dict() == {
        (3, 67): 1164,
        (7, 71): 112,
        (2, 66): 3,
    }


def test_real_layout_has_the_published_numbers_of_classes(reference_root):
    metadata = _real_layout(reference_root)
    table = scores(detect(metadata, _profiles(metadata, n_features=6)))
    SCORES.check(table, "scores")
    assert len(table) == 12
    per_type = table.groupby("Metadata_experiment_type")["n_classes"].unique().map(list).to_dict()
    assert per_type == {"Compound": [306], "CRISPR": [305], "ORF": [160]}
    assert table["n_wells"].sum() == 12_729
    assert table["n_negative_controls"].sum() == 2_450
    assert table["note"].isna().all()
    assert (table["n_undecided"] == 0).all()


def test_tables_keep_to_their_schemas_and_are_sorted(experiment):
    found = detect(*experiment)
    CLASSES.check(found.classes, "classes")
    assert found.classes.columns.tolist() == CLASSES.column_names
    pd.testing.assert_frame_equal(found.classes, CLASSES.normalise(found.classes, "classes"))
    table = scores(found)
    pd.testing.assert_frame_equal(table, SCORES.normalise(table, "scores"))
    keys = ["subset", *CONDITION, "Metadata_Batch", "Metadata_Plate", "Metadata_Well"]
    pd.testing.assert_frame_equal(found.wells, found.wells.sort_values(keys, ignore_index=True))


def test_class_numbers_follow_from_those_of_its_wells(experiment):
    found = detect(*experiment)
    treated = found.wells[found.wells["Metadata_control_type"] != "negcon"]
    assert treated["p_value"].notna().all()
    grouped = treated.groupby(["Metadata_experiment_type", "Metadata_broad_sample"])
    classes = found.classes.set_index(["Metadata_experiment_type", "Metadata_broad_sample"]).sort_index()
    assert len(classes) == 40
    np.testing.assert_array_equal(classes["n_wells"], grouped.size())
    np.testing.assert_allclose(classes["mean_average_precision"], grouped["average_precision"].mean())
    for name in ("p_value", "p_low", "p_high"):
        np.testing.assert_allclose(classes[name], grouped[name].agg(gmean), rtol=1e-12)
    assert (classes["p_low"] <= classes["p_value"]).all()
    assert (classes["p_value"] <= classes["p_high"]).all()
    assert (classes["Metadata_target"] == [f"gene {sample}" for _, sample in classes.index]).all()


def test_negative_controls_ask_but_are_no_class(experiment):
    found = detect(*experiment)
    controls = found.wells[found.wells["Metadata_control_type"] == "negcon"]
    assert len(controls) == 5 * N_CONTROLS
    assert controls["average_precision"].notna().all()
    assert controls["p_value"].isna().all()
    compounds = controls[controls["Metadata_experiment_type"] == "Compound"]
    assert (compounds["n_positives"] == 3 * N_CONTROLS - 1).all()
    assert (compounds["n_negatives"] == 22).all()
    assert not found.classes["Metadata_broad_sample"].isin(["DMSO", "intergenic", "empty"]).any()


def test_planted_effects_are_found(experiment):
    classes = detect(*experiment).classes
    acting = classes["Metadata_broad_sample"].isin({"S00", "S05", "S10", "S15"})
    assert classes.loc[acting, "retrieved"].mean() > 0.8
    assert classes.loc[~acting, "retrieved"].mean() < 0.1


def test_without_effects_p_is_uniform():
    """One well from each of 200 experiments, because wells of one plate share their negatives."""
    one = _plates(["P1", "P2", "P3", "P4"], ["S1"])
    metadata = pd.concat([one.assign(Metadata_timepoint=hours) for hours in range(200)], ignore_index=True)
    metadata["Metadata_Plate"] += "-" + metadata["Metadata_timepoint"].astype("str")
    wells = detect(metadata, np.random.default_rng(3).normal(size=(len(metadata), 12))).wells
    asked = wells["Metadata_Plate"].str.startswith("P1-") & (wells["Metadata_broad_sample"] == "S1")
    assert asked.sum() == 200
    assert kstest(wells.loc[asked, "p_value"], "uniform").pvalue > 0.05


def test_without_effects_next_to_nothing_is_retrieved():
    metadata = _plates(["P1", "P2", "P3"], [f"S{i:03d}" for i in range(200)])
    found = detect(metadata, np.random.default_rng(4).normal(size=(len(metadata), 50)))
    assert found.classes["retrieved"].mean() <= 0.01


def test_result_depends_neither_on_row_order_nor_on_float_type_nor_on_what_else_is_scored(experiment):
    metadata, X = experiment
    X = X.astype(np.float32)
    found = detect(metadata, X)
    order = np.random.default_rng(5).permutation(len(metadata))
    again = detect(metadata.iloc[order], X[order].astype(np.float64))
    only = metadata["Metadata_experiment_type"] == "CRISPR"
    alone = detect(metadata[only], X[only])
    for name in ("wells", "classes", "conditions"):
        whole = getattr(found, name)
        pd.testing.assert_frame_equal(whole, getattr(again, name), check_exact=True)
        part = whole[whole["Metadata_experiment_type"] == "CRISPR"].reset_index(drop=True)
        pd.testing.assert_frame_equal(part, getattr(alone, name), check_exact=True)


def test_subsets_are_scored_by_themselves_with_the_controls_of_their_plates(experiment):
    metadata, X = experiment
    number = metadata["Metadata_broad_sample"].str.extract(r"S(\d+)", expand=False).astype(float)
    subsets = pd.Series("train", index=metadata.index).mask(number >= 12, "test").mask(number >= 18)
    found = detect(metadata, X, subsets=subsets)
    assert set(found.wells["subset"]) == {"train", "test"}
    assert (found.wells["Metadata_control_type"] != "negcon").all()
    for subset, samples in (("train", number < 12), ("test", (number >= 12) & (number < 18))):
        kept = samples | (metadata["Metadata_control_type"] == "negcon")
        alone = detect(metadata[kept], X[kept])
        expected = alone.classes.drop(columns="subset")
        own = found.classes[found.classes["subset"] == subset].drop(columns="subset").reset_index(drop=True)
        pd.testing.assert_frame_equal(own, expected, check_exact=True)


def test_a_class_that_a_split_tears_apart_keeps_only_the_positives_of_its_subset(experiment):
    metadata, X = experiment
    subsets = pd.Series("train", index=metadata.index).mask(metadata["Metadata_Plate"] == "P3", "test")
    wells = detect(metadata, X, subsets=subsets).wells
    compounds = wells[(wells["Metadata_experiment_type"] == "Compound") & (wells["Metadata_broad_sample"] == "S04")]
    assert compounds.set_index("Metadata_Plate")["n_positives"].to_dict() == {"P1": 1, "P2": 1, "P3": 0}
    assert (compounds["n_negatives"] == N_CONTROLS).all()


def test_scores_have_a_row_for_every_subset_and_condition_with_a_note_where_there_is_no_number(experiment):
    metadata, X = experiment
    compound = metadata["Metadata_experiment_type"] == "Compound"
    first_plate = metadata["Metadata_Plate"].isin(["Q1"])
    subsets = pd.Series("train", index=metadata.index).where(compound).mask(first_plate, "validate")
    table = scores(detect(metadata, X, subsets=subsets), subsets=("train", "validate", "test"))
    pd.testing.assert_frame_equal(table, SCORES.normalise(table, "scores"))
    found = table.set_index(["subset", "Metadata_experiment_type"])
    assert len(found) == 6
    assert found.loc[("train", "Compound"), "n_classes"] == 20
    assert found.loc[("train", "Compound"), "note"] is np.nan
    single = found.loc[("validate", "CRISPR")]
    assert (single["n_wells"], single["n_classes"], single["n_classes_without_positives"]) == (20, 0, 20)
    assert single["note"] == "no class has two wells"
    for subset in ("test", "validate"):
        nothing = found.loc[(subset, "Compound")]
        assert (nothing["n_wells"], nothing["n_classes"], nothing["n_negative_controls"]) == (0, 0, 3 * N_CONTROLS)
        assert nothing["note"] == "no well of this condition is in the subset"
    missing = found["n_classes"] == 0
    assert found.loc[missing, ["fraction_retrieved", "mean_average_precision"]].isna().all(axis=None)


def test_a_split_without_any_well_gives_notes_only(experiment):
    metadata, X = experiment
    nowhere = pd.Series(np.nan, index=metadata.index, dtype="str")
    found = detect(metadata, X, subsets=nowhere)
    assert found.wells.empty
    assert found.classes.empty
    table = scores(found, subsets=("test",))
    assert table["note"].tolist() == ["no well of this condition is in the subset"] * 2


def test_a_plate_without_negative_controls_is_said_and_not_scored(experiment):
    metadata, X = experiment
    kept = ~((metadata["Metadata_Plate"] == "Q2") & (metadata["Metadata_control_type"] == "negcon"))
    found = detect(metadata[kept], X[kept])
    lost = found.wells["Metadata_Plate"] == "Q2"
    assert found.wells.loc[lost, ["average_precision", "p_value"]].isna().all(axis=None)
    guides = found.classes[found.classes["Metadata_experiment_type"] == "CRISPR"]
    assert (guides["n_wells"] == 2).all()
    assert (guides["n_wells_scored"] == 1).all()
    table = scores(found).set_index("Metadata_experiment_type")
    assert table.loc["CRISPR", "note"] == "20 wells have no score: no negative control on their plates"
    assert table.loc["CRISPR", "n_classes"] == 20
    kept &= ~((metadata["Metadata_Plate"] == "Q1") & (metadata["Metadata_control_type"] == "negcon"))
    none_left = scores(detect(metadata[kept], X[kept])).set_index("Metadata_experiment_type").loc["CRISPR"]
    assert (none_left["n_classes"], none_left["n_negative_controls"]) == (0, 0)
    assert none_left["note"] == "40 wells have no score: no negative control on their plates"
    assert np.isnan(none_left["fraction_retrieved"])


def test_a_class_of_one_well_has_no_p():
    metadata = _plates(["P1", "P2"], ["S1", "S2"])
    metadata = metadata[~((metadata["Metadata_Plate"] == "P2") & (metadata["Metadata_broad_sample"] == "S2"))]
    found = detect(metadata, _profiles(metadata))
    alone = found.classes.set_index("Metadata_broad_sample").loc["S2"]
    assert (alone["n_wells"], alone["n_wells_scored"], alone["retrieved"]) == (1, 0, False)
    assert alone[["mean_average_precision", "p_value", "q_value"]].isna().all()
    row = scores(found).iloc[0]
    assert (row["n_classes"], row["n_classes_without_positives"]) == (1, 1)


def test_identical_profiles_tie_in_favour_of_positives_as_in_copairs(experiment):
    metadata, X = experiment
    found = detect(metadata, np.ones_like(X))
    assert (found.wells["average_precision"] == 1.0).all()
    assert (found.classes["p_value"] < 1e-4).all()


def test_profiles_that_cannot_be_scored_are_refused_by_name(experiment):
    metadata, X = experiment
    features = [f"Cells_{i}" for i in range(X.shape[1])]
    row = metadata.index[(metadata["Metadata_Plate"] == "P2") & (metadata["Metadata_Well"] == "A03")][0]
    for value in (np.nan, np.inf):
        broken = X.copy()
        broken[row, 7] = value
        with pytest.raises(ProfileError, match=rf"plate {BATCH}.P2, well A03: feature Cells_7 is {value}"):
            detect(metadata, broken, features=features)
    broken[row] = 0.0
    with pytest.raises(ProfileError, match="P2, well A03: every feature is 0"):
        detect(metadata, broken)


def test_profiles_that_take_no_part_may_be_broken(experiment):
    metadata, X = experiment
    broken = X.copy()
    broken[~metadata["Metadata_is_primary"] | (metadata["Metadata_broad_sample"] == "empty")] = np.nan
    pd.testing.assert_frame_equal(detect(metadata, broken).classes, detect(metadata, X).classes)


def test_bad_metadata_is_refused(experiment):
    metadata, X = experiment
    with pytest.raises(BadTableError, match="Metadata_control_type, Metadata_is_primary"):
        detect(metadata.drop(columns=["Metadata_control_type", "Metadata_is_primary"]), X)
    nameless = metadata.assign(Metadata_broad_sample=metadata["Metadata_broad_sample"].mask(metadata.index < 3))
    with pytest.raises(BadTableError, match=r"missing is Metadata_broad_sample in \d of"):
        detect(nameless, X)
    with pytest.raises(BadTableError, match="primary plate"):
        detect(metadata.assign(Metadata_is_primary=False), X)
    primary = np.flatnonzero(metadata["Metadata_is_primary"])[:1]
    plate, well = metadata.iloc[primary[0]][["Metadata_Plate", "Metadata_Well"]]
    with pytest.raises(BadTableError, match=f"{plate}, well {well} has more than one profile"):
        detect(pd.concat([metadata, metadata.iloc[primary]]), np.vstack([X, X[primary]]))
    with pytest.raises(ValueError, match="rows of metadata"):
        detect(metadata, X[1:])
    with pytest.raises(ValueError, match="subsets for"):
        detect(metadata, X, subsets=pd.Series(["train"]))


def test_strict_p_may_be_zero_and_is_named_in_the_tables(experiment):
    found = detect(*experiment, config=MetricConfig(p_convention="strict"))
    assert set(found.classes["p_convention"]) == {"strict"}
    added = detect(*experiment)
    assert set(added.classes["p_convention"]) == {"add_one N=100000"}
    p = found.wells["p_value"]
    np.testing.assert_allclose(added.wells["p_value"], (1 + 1e5 * p) / (1 + 1e5))
    assert (p == 0).any()
