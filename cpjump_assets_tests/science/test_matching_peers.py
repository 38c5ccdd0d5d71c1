"""Perturbation matching against copairs and scikit-learn on the same consensus profiles."""

import numpy as np
import pandas as pd
import pytest
from copairs.map import average_precision as copairs_average_precision
from copairs.map import mean_average_precision as copairs_mean_average_precision
from copairs.map import multilabel
from sklearn.metrics import average_precision_score
from sklearn.metrics.pairwise import cosine_similarity

from cpjump_assets.science.class_scores import MetricConfig
from cpjump_assets.science.detection import detect
from cpjump_assets.science.matching import match
from cpjump_assets.science.tasks import CONDITION, GENE_COMPOUND, REFERENCE, SISTER_COMPOUNDS, SISTER_GUIDES
from cpjump_assets_tests.science.helpers_plates import real_layout, samples_of, screen_with_effects, target_effects

ROUNDING = 4.5e-16
"""Two sums of the same terms in another order."""
ITEM = ["Metadata_broad_sample", "class_name"]
CELL = ["task", *CONDITION, *REFERENCE]


def consensus_items(frame, X, detected, condition):
    """Make the detected perturbations of one condition with their genes and median profiles, with pandas alone."""
    keys = [*CONDITION, "Metadata_broad_sample"]
    kept = frame[keys].merge(detected.loc[detected["retrieved"], keys], how="left", on=keys, indicator=True)
    own = (frame[CONDITION] == condition).all(axis=1) & (kept["_merge"] == "both")
    items = frame[own].groupby("Metadata_broad_sample").agg({"Metadata_target_list": "first", **_firsts(CONDITION)})
    medians = pd.DataFrame(X[own]).groupby(frame.loc[own, "Metadata_broad_sample"].to_numpy()).median()
    labels = items["Metadata_target_list"].map(lambda genes: sorted(set(genes.split("|"))) if genes == genes else [])
    items = items.assign(labels=labels.astype(object), profile=list(medians.loc[items.index].to_numpy()))
    return items[items["labels"].map(len) > 0].reset_index()


def _firsts(columns):
    return dict.fromkeys(columns, "first")


def items_of_cell(task, asking, searched):
    """Choose the items of a task as its rule in words says."""
    if task == SISTER_COMPOUNDS:
        return asking
    if task == SISTER_GUIDES:
        genes = asking["labels"].str[0].value_counts()
        return asking[asking["labels"].str[0].map(genes) > 1].reset_index(drop=True)
    present = {gene for labels in searched["labels"] for gene in labels}
    cut = asking.assign(labels=asking["labels"].map(lambda labels: [gene for gene in labels if gene in present]))
    return pd.concat([cut[cut["labels"].map(len) > 0], searched], ignore_index=True)


def ask_copairs(task, items):
    """Give what copairs says of each item and gene."""
    X = np.stack(items["profile"])
    items = items.assign(gene=items["labels"].str[0]).drop(columns="profile")
    if task == SISTER_GUIDES:
        found = copairs_average_precision(items, X, ["gene"], [], [], ["gene"], distance="cosine", progress_bar=False)
        return found.assign(class_name=found["gene"])
    modality = ["Metadata_experiment_type"] if task == GENE_COMPOUND else []
    found = multilabel.average_precision(
        items,
        X,
        pos_sameby=["labels"],
        pos_diffby=modality,
        neg_sameby=[],
        neg_diffby=["labels", *modality],
        multilabel_col="labels",
        distance="abs_cosine",
        progress_bar=False,
    )
    return found.assign(class_name=found["labels"])


def sorted_list_precision(task, items, sample, gene):
    """Score one item and gene from the definition, in double precision, with scikit-learn."""
    (row,) = np.flatnonzero(items["Metadata_broad_sample"] == sample)
    own = set(items.at[row, "labels"])
    other = np.arange(len(items)) != row
    if task == GENE_COMPOUND:
        other &= (items["Metadata_experiment_type"] != items.at[row, "Metadata_experiment_type"]).to_numpy()
    positive = other & items["labels"].map(lambda labels: gene in labels).to_numpy()
    negative = other & items["labels"].map(lambda labels: not own & set(labels)).to_numpy()
    listed = np.flatnonzero(positive | negative)
    X = np.stack(items["profile"])
    similarity = cosine_similarity(X[[row]], X[listed])[0]
    if task != SISTER_GUIDES:
        similarity = np.abs(similarity)
    return average_precision_score(positive[listed], similarity)


def by_cell(table):
    """Give the key of each cell and its rows."""
    return ((dict(zip(CELL, key, strict=True)), own) for key, own in table.groupby(CELL))


def peer_of_cell(frame, X, detected, cell):
    """Give the items of a cell, made with pandas alone, and what copairs says of them."""
    asking = consensus_items(frame, X, detected, pd.Series({name: cell[name] for name in CONDITION}))
    reference = {name.replace("reference", "Metadata"): cell[name] for name in REFERENCE}
    reference = pd.Series({"Metadata_cell_line": cell["Metadata_cell_line"], **reference})
    items = items_of_cell(cell["task"], asking, consensus_items(frame, X, detected, reference[CONDITION]))
    return items, ask_copairs(cell["task"], items)


def compare_with_copairs(own, cell, items, peer):
    """Compare the queries of a cell; give how many had a positive, and those that differ by more than rounding.

    copairs ranks in single precision, so similarities closer than 6e-8 may tie only there. A query that differs must
    agree with scikit-learn in double precision.
    """
    assert set(own["Metadata_broad_sample"]) == set(items["Metadata_broad_sample"])
    peer = peer[peer["n_pos_pairs"] > 0]  # of single labels, copairs also lists queries without positives
    both = own.merge(peer[[*ITEM, "n_pos_pairs", "n_total_pairs", "average_precision"]], on=ITEM, how="outer")
    assert len(both) == len(own)
    asked = both["n_positives"] > 0
    assert (asked == both["n_pos_pairs"].notna()).all()
    both = both[asked]
    np.testing.assert_array_equal(both["n_positives"], both["n_pos_pairs"])
    np.testing.assert_array_equal(both["n_positives"] + both["n_negatives"], both["n_total_pairs"])
    same = np.isclose(both["average_precision_x"], both["average_precision_y"], rtol=0, atol=ROUNDING)
    for query in both[~same].itertuples():
        expected = sorted_list_precision(cell["task"], items, query.Metadata_broad_sample, query.class_name)
        assert query.average_precision_x == pytest.approx(expected, abs=ROUNDING)
    return len(both), (~same).sum()


@pytest.fixture(scope="module")
def small():
    """Give the small benchmark, its profiles, and what detection says of them."""
    frame, X = screen_with_effects(shared=0.3)
    return frame, X, detect(frame, X).classes


@pytest.fixture(scope="module")
def peers(small):
    """Give the items of each cell of the small benchmark, and what copairs says of them."""
    return [(cell, *peer_of_cell(*small, cell)) for cell, _ in by_cell(match(*small).scores)]


@pytest.fixture(scope="module")
def real(reference_root):
    """Give one condition of each modality on the real layout, with profiles, and what detection says of them."""
    frame = real_layout(reference_root, cell_line="A549")
    hours = frame["Metadata_experiment_type"].map({"Compound": 24, "CRISPR": 144, "ORF": 96})
    frame = frame[frame["Metadata_timepoint"] == hours].reset_index(drop=True)
    samples = samples_of(frame)
    own = pd.Series(np.random.default_rng(5).uniform(0.0, 1.0, len(samples)), index=samples)
    X = target_effects(frame, own=own, shared=0.15, n_features=60)
    return frame, X, detect(frame, X).classes


def of_cell(table, cell):
    return table[(table[CELL] == cell).all(axis=1)]


def test_average_precision_equals_copairs(small, peers):
    queries = match(*small).queries
    found = [compare_with_copairs(of_cell(queries, cell), cell, items, peer) for cell, items, peer in peers]
    n_compared, n_differing = np.sum(found, axis=0)
    assert len(found) == 10
    assert n_compared > 300
    assert n_differing == 0


def test_average_precision_equals_copairs_on_real_conditions(real):
    assert 0.5 < real[2]["retrieved"].mean() < 0.95
    answers = match(*real)
    assert answers.scores["task"].tolist() == [SISTER_COMPOUNDS, SISTER_GUIDES, GENE_COMPOUND, GENE_COMPOUND]
    found = [compare_with_copairs(own, cell, *peer_of_cell(*real, cell)) for cell, own in by_cell(answers.queries)]
    n_compared, n_differing = np.sum(found, axis=0)
    assert n_compared > 1500
    assert n_differing <= 2


def test_average_precision_equals_scikit_learn_query_by_query(small, peers):
    queries = match(*small).queries
    n_compared = 0
    for cell, items, _ in peers:
        own = of_cell(queries, cell)
        for query in own[own["average_precision"].notna()].iloc[::5].itertuples():
            expected = sorted_list_precision(cell["task"], items, query.Metadata_broad_sample, query.class_name)
            assert query.average_precision == pytest.approx(expected, abs=ROUNDING)
            n_compared += 1
    assert n_compared > 60


def test_mean_average_precision_p_and_calls_equal_copairs(small, peers, tmp_path):
    """p within four standard errors of 20,000 draws; calls, but where the draws leave the call open."""
    answers = match(*small, config=MetricConfig(metric_mode="copairs", null_size=20_000))
    assert answers.queries["p_value"].isna().all()
    z, n_open = [], 0
    for cell, _, peer in peers:
        theirs = copairs_mean_average_precision(
            peer, ["class_name"], null_size=20_000, threshold=0.05, seed=0, progress_bar=False, cache_dir=tmp_path
        )
        ours = of_cell(answers.classes, cell)
        both = ours[ours["n_queries_scored"] > 0].merge(theirs, on="class_name", suffixes=("", "_peer"), how="outer")
        assert len(both) == len(theirs) > 0
        np.testing.assert_allclose(both["mean_average_precision"], both["mean_average_precision_peer"], rtol=1e-14)
        standard_error = np.sqrt(both["p_value"] * (1 - both["p_value"]) / 20_000) + 1 / 20_001
        z.append((both["p_value_peer"] - both["p_value"]) / standard_error)
        is_near = (both["q_value"] / 0.05 - 1).abs() < 4 * standard_error / both["p_value"]
        n_open += is_near.sum()
        assert (both["retrieved"] == both["below_corrected_p"])[~is_near].all()
    z = np.concatenate(z)
    assert len(z) > 80
    assert np.abs(z).max() < 4
    assert n_open < 5
