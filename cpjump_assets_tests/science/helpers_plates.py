"""Plates to be scored: small ones laid out by hand, and the real layout; with profiles that hold planted effects."""

import string

import numpy as np
import pandas as pd

from cpjump_assets.science.tasks import CONDITION

BATCH = "2020_11_04_CPJUMP1"
N_CONTROLS = 16

CODES = {
    ("Compound", 24): "low",
    ("Compound", 48): "high",
    ("ORF", 48): "low",
    ("ORF", 96): "high",
    ("CRISPR", 96): "low",
    ("CRISPR", 144): "high",
}


def plates(
    names,
    samples,
    *,
    kind="Compound",
    cell_line="A549",
    hours=24,
    code=None,
    controls="DMSO",
    n_controls=N_CONTROLS,
    targets=None,
):
    """Lay out plates of one condition: each sample once or more, as listed, and negative controls.

    ``targets`` maps samples to target lists, ``gene|gene``; without it, every sample has a gene of its own.
    """
    on_plate = [*samples, *([controls] * n_controls)]
    frames = [
        pd.DataFrame(
            {
                "Metadata_Batch": BATCH,
                "Metadata_Plate": name,
                "Metadata_Well": [f"{string.ascii_uppercase[i // 24]}{i % 24 + 1:02d}" for i in range(len(on_plate))],
                "Metadata_broad_sample": on_plate,
            }
        )
        for name in names
    ]
    frame = pd.concat(frames, ignore_index=True)
    sample = frame["Metadata_broad_sample"]
    lists = ("gene " + sample) if targets is None else sample.map(targets)
    lists = lists.where(sample != controls).astype("str")
    return frame.assign(
        Metadata_experiment_type=kind,
        Metadata_cell_line=cell_line,
        Metadata_timepoint=hours,
        Metadata_timepoint_code=CODES.get((kind, hours), "low") if code is None else code,
        Metadata_target=lists.str.split("|").str[0].astype("str"),
        Metadata_target_list=lists,
        Metadata_control_type=pd.Series("negcon", index=frame.index, dtype="str").where(sample == controls),
        Metadata_is_primary=True,
        Metadata_is_outer=False,
    )


def profiles(frame, *, acting=(), n_features=40, strength=1.2, seed=2):
    """Draw noise around a direction of its own for each acting sample and a small shift for each plate."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(len(frame), n_features))
    for plate in sorted(frame["Metadata_Plate"].unique()):
        X[frame["Metadata_Plate"] == plate] += 0.2 * rng.normal(size=n_features)
    for sample in sorted(acting):
        X[frame["Metadata_broad_sample"] == sample] += strength * rng.normal(size=n_features)
    return X


def real_layout(reference_root, **condition):
    """Read the wells of the official split table, with their target lists and where they are; a few are empty."""
    columns = [*CONDITION, "Metadata_Plate", "Metadata_Well", "Metadata_broad_sample"]
    columns += ["Metadata_target", "Metadata_control_type"]
    frame = pd.read_csv(reference_root / "datasplits" / "cpjump1_metadata.csv", usecols=columns)
    for name, value in condition.items():
        frame = frame[frame[f"Metadata_{name}"] == value]
    annotation = reference_root / "metadata" / "moa" / "JUMP-Target-1_compound_metadata_targets.tsv"
    lists = pd.read_csv(annotation, sep="\t").dropna(subset="broad_sample").set_index("broad_sample")["target_list"]
    row, column = frame["Metadata_Well"].str[0], frame["Metadata_Well"].str[1:].astype(int)
    is_compound = frame["Metadata_experiment_type"] == "Compound"
    return frame.assign(
        Metadata_Batch=BATCH,
        Metadata_is_primary=True,
        Metadata_is_outer=row.isin(list("ABOP")) | column.isin([1, 2, 23, 24]),
        Metadata_target_list=frame["Metadata_broad_sample"].map(lists).where(is_compound, frame["Metadata_target"]),
    ).reset_index(drop=True)


def is_treated(frame):
    """Tell which wells hold a perturbation that is no negative control."""
    return frame["Metadata_control_type"].ne("negcon") & frame["Metadata_broad_sample"].ne("empty")


def samples_of(frame):
    """Give the perturbations of some wells, sorted."""
    return sorted(frame.loc[is_treated(frame), "Metadata_broad_sample"].unique())


def screen():
    """Lay out a small benchmark: two cell lines, three modalities, target lists, guides in pairs or alone; shuffled.

    A549: compounds at 24 and 48 h, CRISPR at 96 h, ORF at 48 h; U2OS: compounds at 24 h, CRISPR at 144 h. Some genes
    are the target of reagents of one kind alone. ORFs are twice on a plate.
    """
    genes = [f"G{i:02d}" for i in range(16)]
    of_compound = {f"C{i:02d}": f"G{i % 9:02d}" + (f"|G{(3 * i + 5) % 13:02d}" if i % 3 else "") for i in range(26)}
    of_compound |= {"C26": "G00|G01|G02|G03", "C27": None}
    of_guide = {f"{gene}-{letter}": gene for gene in genes[:-1] for letter in "ab"}
    of_guide |= {"G04-c": "G04", "G15-a": "G15"}
    of_orf = {f"ORF-{gene}": gene for gene in genes[2:14]}
    triple, double = ["1", "2", "3"], ["1", "2"]
    orfs = [*of_orf, *reversed(of_orf)]
    guides = {"kind": "CRISPR", "controls": "NO_SITE", "targets": of_guide}
    parts = [
        plates([f"A24-{i}" for i in triple], list(of_compound), targets=of_compound),
        plates([f"A48-{i}" for i in triple], list(of_compound), targets=of_compound, hours=48),
        plates([f"AK-{i}" for i in triple], list(of_guide), **guides, hours=96),
        plates([f"AO-{i}" for i in double], orfs, kind="ORF", hours=48, controls="LacZ", targets=of_orf),
        plates([f"U24-{i}" for i in triple], list(of_compound), targets=of_compound, cell_line="U2OS"),
        plates([f"UK-{i}" for i in triple], list(of_guide), **guides, cell_line="U2OS", hours=144),
    ]
    return pd.concat(parts).sample(frac=1, random_state=1, ignore_index=True)


def target_effects(frame, *, own=1.0, shared=1.0, n_features=40, seed=3):
    """Draw noise around a direction of each sample, the sum of its own and of those of its genes.

    ``own`` and ``shared`` are strengths: numbers, or Series by sample and by gene.
    """
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(len(frame), n_features))
    treated = frame[is_treated(frame)]
    lists = treated.groupby("Metadata_broad_sample")["Metadata_target_list"].first().fillna("").str.split("|")
    genes = sorted({gene for names in lists for gene in names} - {""})
    of_gene = pd.DataFrame(rng.normal(size=(len(genes), n_features)), index=genes)
    of_gene = of_gene.mul(pd.Series(shared, index=of_gene.index), axis="index")
    of_sample = pd.DataFrame(rng.normal(size=(len(lists), n_features)), index=lists.index)
    of_sample = of_sample.mul(pd.Series(own, index=of_sample.index), axis="index")
    for sample, names in lists.items():
        of_sample.loc[sample] += of_gene.loc[[gene for gene in names if gene]].sum()
    X[treated.index] += of_sample.loc[treated["Metadata_broad_sample"]].to_numpy()
    return X


def all_detected(frame):
    """Give the classes of detection if every perturbation of every condition were retrieved."""
    keys = frame.loc[is_treated(frame), [*CONDITION, "Metadata_broad_sample"]].drop_duplicates(ignore_index=True)
    return keys.assign(subset="all", task="detection", retrieved=True)


def screen_with_effects(*, shared):
    """Give the small benchmark and profiles with effects that are detected in most cases, and shared by target."""
    frame = screen()
    samples = samples_of(frame)
    own = pd.Series(np.random.default_rng(4).uniform(0.0, 1.2, len(samples)), index=samples)
    return frame, target_effects(frame, own=own, shared=shared)
