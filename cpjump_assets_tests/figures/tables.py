"""Benchmark tables to draw: the real conditions and counts, with invented values."""

from itertools import product

import numpy as np
import pandas as pd

from cpjump_assets.figures.benchmark import BenchmarkTables
from cpjump_assets.science import tasks
from cpjump_assets.science.directionality import (
    COMPOUND_GENE,
    CORRECTED,
    DIRECTIONAL_PAIRS,
    DIRECTIONALITY,
    ORF_CRISPR,
    PUBLISHED_TABLE,
    PUBLISHED_THRESHOLDS,
)
from cpjump_assets.science.score_tables import CLASSES, PERCENT_SCORES, SCORES
from cpjump_assets.science.tasks import PERCENT_MATCHING, PERCENT_REPLICATING

LINES = ("A549", "U2OS")
CODES = ("low", "high")
HOURS = {"Compound": (24, 48), "CRISPR": (96, 144), "ORF": (48, 96)}
CLASSES_DETECTED = {"Compound": 306, "CRISPR": 305, "ORF": 160}
TYPICAL = {"Compound": 0.9, "CRISPR": 0.7, "ORF": 0.3}
SISTERS = {"Compound": (315, 402, 300, 285), "CRISPR": (73, 73, 73, 42)}
"""Classes in matching as the 2024 paper counts them: A549 short, A549 long, U2OS short, U2OS long."""
TARGETS = {"CRISPR": 120, "ORF": 29}

_NUMBERS = ["fraction_retrieved", "mean_average_precision"]


def retrieval_tables(seed=0, *, metric_mode="paper_2024", wells="all", subset="all"):
    """Give class and score rows of every task and condition, as their schemas have them."""
    rng = np.random.default_rng(seed)
    rule = {
        "subset": subset,
        "metric_mode": metric_mode,
        "p_convention": "add_one N=100000",
        "q_threshold": 0.05,
        "wells": wells,
    }
    classes, scores = [], []
    for task, condition, n, typical, share in _asked():
        precision = rng.beta(4 * typical, 4 * (1 - typical), n)
        retrieved = precision > 0.55
        key = {**rule, "task": task, **condition}
        classes.append(_class_rows(key, precision, retrieved))
        scores.append(_score_row(key, precision, retrieved, share))
    return CLASSES.normalise(pd.concat(classes), "classes"), SCORES.normalise(pd.DataFrame(scores), "scores")


def without_number(scores, chosen, note):
    """Take the number away from the chosen score rows, and say why."""
    lost = scores.copy()
    lost.loc[chosen, [f"{name}{end}" for name in _NUMBERS for end in ("", "_low", "_high")]] = np.nan
    lost.loc[chosen, "same_well_share"] = np.nan
    lost.loc[chosen, "n_classes"] = 0
    lost.loc[chosen, "note"] = note
    return lost


def percent_tables(seed=0, *, wells="all", subset="all"):
    """Give rows of both percent scores for every condition."""
    rng = np.random.default_rng(seed)
    rows = []
    for metric, condition, percent, n in _percents(rng):
        spread = 196 * np.sqrt(percent / 100 * (1 - percent / 100) / n)
        ends = {"percent_low": max(percent - spread, 0), "percent_high": min(percent + spread, 100)}
        counts = {"n_profiles": 4 * n, "n_units": n, "n_without_replicates": 0, "n_above": round(n * percent / 100)}
        rows.append(
            {
                "subset": subset,
                "metric": metric,
                "wells": wells,
                **condition,
                **counts,
                "null_95": 0.2,
                "n_features": 500,
            }
            | {"percent": percent, **ends, "n_null": 1000, "seed": 0, "note": None}
        )
    return PERCENT_SCORES.normalise(pd.DataFrame(rows).astype({"note": "str"}), "percents")


def directionality_tables(seed=0, *, wells="all", subset="all"):
    """Give scores (with the published slips as variants) and same-target pairs of both comparisons."""
    rng = np.random.default_rng(seed)
    scores, pairs = [], []
    kinds = [(ORF_CRISPR, "ORF", "CRISPR", 640), (COMPOUND_GENE, "Compound", "CRISPR", 1228)]
    for (comparison, query, reference, n), line in product([*kinds, (COMPOUND_GENE, "Compound", "ORF", 1220)], LINES):
        key = {"subset": subset, "wells": wells, "Metadata_cell_line": line, "comparison": comparison}
        key |= {"query_experiment_type": query, "reference_experiment_type": reference}
        cosine = np.clip(rng.normal(0.04, 0.2, n) + (rng.random(n) < 0.05) * rng.normal(0.25, 0.25, n), -1, 1)
        pairs.append(_pair_rows(key, cosine))
        scores.append({**key, "variant": CORRECTED, **_direction(cosine, -0.28, 0.3)})
        if comparison == ORF_CRISPR:
            scores.append({**key, "variant": PUBLISHED_THRESHOLDS, **_direction(cosine, -0.2, 0.35)})
            scores.append({**key, "variant": PUBLISHED_TABLE, **_direction(cosine, -0.2, 0.35)})
    scores = pd.DataFrame(scores).astype({"note": "str"})
    return DIRECTIONALITY.normalise(scores, "directions"), DIRECTIONAL_PAIRS.normalise(pd.concat(pairs), "pairs")


def benchmark_tables(*, of_rules=(("paper_2024", "all"),)):
    """Give all tables, with rows of these metric modes and selections of wells."""
    retrieved = [retrieval_tables(seed, metric_mode=mode, wells=wells) for seed, (mode, wells) in enumerate(of_rules)]
    selections = sorted({wells for _, wells in of_rules})
    directed = [directionality_tables(seed, wells=wells) for seed, wells in enumerate(selections)]
    return BenchmarkTables(
        classes=pd.concat([classes for classes, _ in retrieved]),
        scores=pd.concat([scores for _, scores in retrieved]),
        percents=pd.concat([percent_tables(seed, wells=wells) for seed, wells in enumerate(selections)]),
        directions=pd.concat([scores for scores, _ in directed]),
        pairs=pd.concat([pairs for _, pairs in directed]),
    )


def _condition(query, line, code, reference=None, reference_code=None):
    reference, reference_code = reference or query, reference_code or code
    return {
        "Metadata_experiment_type": query,
        "Metadata_cell_line": line,
        "Metadata_timepoint": HOURS[query][CODES.index(code)],
        "Metadata_timepoint_code": code,
        "reference_experiment_type": reference,
        "reference_timepoint": HOURS[reference][CODES.index(reference_code)],
        "reference_timepoint_code": reference_code,
    }


def _asked():
    """Name every task and condition with its number of classes, a typical precision and the share in the same well."""
    for place, (line, code) in enumerate(product(LINES, CODES)):
        for kind, n in CLASSES_DETECTED.items():
            yield tasks.DETECTION, _condition(kind, line, code), n, TYPICAL[kind], 1 / 3 if kind == "ORF" else 0.98
        yield tasks.ORF_SAME_WELL, _condition("ORF", line, code), 320, 0.5, 1.0
        yield tasks.ORF_DIFFERENT_WELL, _condition("ORF", line, code), 160, 0.2, 0.0
        for task, kind in ((tasks.SISTER_COMPOUNDS, "Compound"), (tasks.SISTER_GUIDES, "CRISPR")):
            yield task, _condition(kind, line, code), SISTERS[kind][place], 0.1, np.nan
        for (kind, n), other in product(TARGETS.items(), CODES):
            yield tasks.GENE_COMPOUND, _condition("Compound", line, code, kind, other), n, 0.04, np.nan


def _class_rows(key, precision, retrieved):
    names = [f"class {number:03}" for number in range(len(precision))]
    facts = {"Metadata_broad_sample": None, "Metadata_target": None, "n_queries": 4, "n_queries_scored": 4}
    numbers = {"mean_average_precision": precision, "p_value": 0.1, "p_low": 0.1, "p_high": 0.1, "q_value": 0.1}
    frame = pd.DataFrame({**key, "class_name": names, **facts, **numbers, "retrieved": retrieved, "undecided": False})
    return frame.astype({"Metadata_broad_sample": "str", "Metadata_target": "str"})


def _score_row(key, precision, retrieved, share):
    n, fraction, mean = len(precision), retrieved.mean(), precision.mean()
    counts = {"n_profiles": 4 * n, "n_queries": 4 * n, "n_negative_controls": 64, "n_classes": n}
    counts |= {"n_classes_without_positives": 0, "n_retrieved": int(retrieved.sum()), "n_undecided": 0}
    numbers = {"fraction_retrieved": fraction, "mean_average_precision": mean}
    numbers |= {f"{name}_low": 0.95 * numbers[name] for name in _NUMBERS}
    numbers |= {f"{name}_high": min(1.05 * numbers[name], 1.0) for name in _NUMBERS}
    return {**key, **counts, **numbers, "same_well_share": share, "note": pd.Series([None], dtype="str")[0]}


def _percents(rng):
    for line, code in product(LINES, CODES):
        for kind, n in CLASSES_DETECTED.items():
            yield PERCENT_REPLICATING, _condition(kind, line, code), 100 * TYPICAL[kind], n
        for kind, other in product(TARGETS, CODES):
            yield PERCENT_MATCHING, _condition("Compound", line, code, kind, other), rng.uniform(6, 13), 600


def _pair_rows(key, cosine):
    names = [f"sample {number:04}" for number in range(len(cosine))]
    facts = {"query_broad_sample": names, "query_name": names, "query_timepoint": 48, "reference_gene": "GENE"}
    frame = pd.DataFrame({**key, **facts, "reference_timepoint": 96, "cosine": cosine})
    rank = frame["cosine"].rank(method="first").astype("int64")
    return frame.assign(rank_positive=len(frame) + 1 - rank, rank_negative=rank)


def _direction(cosine, t5, t95):
    n, below, above = len(cosine), int((cosine < t5).sum()), int((cosine > t95).sum())
    odds = (n - below) * above / (below * (n - above))
    return {
        "n_pairs": n,
        "n_null_pairs": 159 * n,
        "t5": t5,
        "t95": t95,
        "n_below": below,
        "n_above": above,
        "fraction_below": below / n,
        "fraction_above": above / n,
        "odds_ratio": odds,
        "odds_low": 0.7 * odds,
        "odds_high": 1.4 * odds,
        "fisher_p": 2.1e-5,
        "note": None,
    }
