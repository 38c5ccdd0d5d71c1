"""Experiments of the tasks on wells, and their scores from copairs and scikit-learn."""

import numpy as np
import pandas as pd
from copairs.map import average_precision as copairs_average_precision
from sklearn.metrics import average_precision_score
from sklearn.metrics.pairwise import cosine_similarity

from cpjump_assets.science.answers import answer
from cpjump_assets.science.class_scores import MetricConfig
from cpjump_assets.science.detection import ask_for_replicates
from cpjump_assets.science.layout import lay_out
from cpjump_assets.science.tasks import DETECTION, ORF_DIFFERENT_WELL, ORF_SAME_WELL
from cpjump_assets_tests.science.helpers_plates import plates, profiles

ACTING = {"S00", "S05", "S10", "S15"}
RULES = {
    DETECTION: (["Metadata_broad_sample"], []),
    ORF_SAME_WELL: (["Metadata_broad_sample", "Metadata_Well"], []),
    ORF_DIFFERENT_WELL: (["Metadata_broad_sample"], ["Metadata_Well"]),
}
"""What positives share and in what they differ."""


def two_conditions():
    """Two conditions with doubled samples; shuffled, with empty wells and a plate that is not primary."""
    samples = [f"S{i:02d}" for i in range(20)]
    compounds = plates(["P1", "P2", "P3"], [*samples, *samples[:2]])
    guides = plates(["Q1", "Q2"], samples, kind="CRISPR", hours=144, code="high", controls="intergenic")
    secondary = plates(["R1"], samples).assign(Metadata_is_primary=False)
    empty = compounds.iloc[[5]].assign(Metadata_Well="P24", Metadata_broad_sample="empty", Metadata_target=None)
    frame = pd.concat([compounds, guides, secondary, empty]).sample(frac=1, random_state=1, ignore_index=True)
    frame = frame.astype({"Metadata_target": "str"})
    return frame, profiles(frame, acting=ACTING)


def orf_conditions():
    """ORFs at two positions of two plates, but one at a single position, one once, and one that moved; two times."""
    samples = [f"S{i:02d}" for i in range(16)]
    listed = [*samples, *reversed(samples[2:]), "once"]
    early, late = (
        plates([f"O{h}", f"N{h}"], listed, kind="ORF", hours=h, code=c) for h, c in ((48, "low"), (96, "high"))
    )
    late = late.replace({"Metadata_broad_sample": {"once": "S01"}})
    early.loc[early["Metadata_broad_sample"].eq("once") & early["Metadata_Plate"].eq("N48"), "Metadata_Well"] = "P24"
    early = early[~(early["Metadata_broad_sample"].eq("S00") & early["Metadata_Plate"].eq("N48"))]
    frame = pd.concat([early, late, plates(["P1"], samples)]).sample(frac=1, random_state=2, ignore_index=True)
    return frame, profiles(frame, acting=ACTING)


def ask(metadata, X, task, config=None):
    """Answer one task on wells."""
    (questions,) = ask_for_replicates(lay_out(metadata), X, (task,))
    return answer(questions, config or MetricConfig())


def with_peer(metadata, X, queries, task=DETECTION):
    """Give the queries of one condition with what copairs says of them."""
    used = metadata["Metadata_is_primary"] & (metadata["Metadata_broad_sample"] != "empty")
    frame = metadata[used].assign(negcon=metadata["Metadata_control_type"].eq("negcon"), row=np.flatnonzero(used))
    peer = copairs_average_precision(
        frame, X[used], *RULES[task], ["Metadata_Plate"], ["negcon"], progress_bar=False
    ).rename(columns={"average_precision": "peer"})
    both = queries.merge(
        peer[["Metadata_Plate", "Metadata_Well", "row", "negcon", "peer", "n_pos_pairs", "n_total_pairs"]],
        on=["Metadata_Plate", "Metadata_Well"],
        validate="one_to_one",
    )
    assert len(both) == len(queries)
    assert len(both) == (len(peer) if task == DETECTION else (~peer["negcon"]).sum())
    np.testing.assert_array_equal(both["n_positives"], both["n_pos_pairs"])
    np.testing.assert_array_equal(both["n_negatives"], both["n_total_pairs"] - both["n_pos_pairs"])
    return both.assign(peer=both["peer"].where(both["n_pos_pairs"] > 0))


def sorted_list_precision(metadata, X, row, task=DETECTION):
    """Score one well of one condition from the definition, in double precision, with scikit-learn."""
    same, different = RULES[task]
    is_control = metadata["Metadata_control_type"].eq("negcon")
    positive = metadata[same].eq(metadata.loc[row, same]).all(axis=1) & (metadata.index != row)
    positive &= metadata[different].ne(metadata.loc[row, different]).all(axis=1)
    negative = metadata["Metadata_Plate"].eq(metadata.loc[row, "Metadata_Plate"]) & (is_control != is_control[row])
    listed = np.flatnonzero(positive | negative)
    if not positive.any():
        return np.nan
    return average_precision_score(positive.to_numpy()[listed], cosine_similarity(X[[row]], X[listed])[0])
