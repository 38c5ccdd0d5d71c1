"""A small experiment of all three modalities, for the scores that compare them."""

import numpy as np
import pandas as pd

BATCH = "2020_11_04_CPJUMP1"
TIMES = {"Compound": (24, 48), "CRISPR": (96, 144), "ORF": (48, 96)}
N_PLATES = {"Compound": 3, "CRISPR": 3, "ORF": 2}
N_CONTROLS = 6


def genes(n):
    """Name some genes."""
    return [f"G{number:02d}" for number in range(n)]


def experiment(n_genes=12, lines=("A549",), kinds=("Compound", "CRISPR", "ORF")):
    """Lay out two compounds and two guides a gene and one ORF in two wells; every fifth compound has two targets."""
    plates = [
        _plate(f"{kind}{line}{hours}{number}", _reagents(kind, n_genes)).assign(
            Metadata_experiment_type=kind,
            Metadata_cell_line=line,
            Metadata_timepoint=hours,
            Metadata_timepoint_code=code,
        )
        for kind in kinds
        for line in lines
        for hours, code in zip(TIMES[kind], ("low", "high"), strict=True)
        for number in range(N_PLATES[kind])
    ]
    return pd.concat(plates, ignore_index=True)


def profiles(metadata, *, n_features=40, noise=1.0, seed=0, **directions):
    """Draw noise, and add to each well the directions of its values in some columns: ``target={"G00": vector}``."""
    X = noise * np.random.default_rng(seed).normal(size=(len(metadata), n_features))
    for column, vectors in directions.items():
        for row, value in enumerate(metadata[f"Metadata_{column}"]):
            if value in vectors:
                X[row] += vectors[value]
    return X


def directions(names, *, n_features=40, seed=1, strength=1.0):
    """Give each name a direction of its own."""
    rng = np.random.default_rng(seed)
    return {name: strength * rng.normal(size=n_features) for name in names}


def _reagents(kind, n_genes):
    every = genes(n_genes)
    if kind == "ORF":
        own = [(f"orf-{gene}", gene, gene, gene) for gene in every for _ in range(2)]
    elif kind == "CRISPR":
        own = [(f"guide-{gene}-{guide}", gene, gene, gene) for gene in every for guide in "ab"]
    else:
        own = [(f"brd-{gene}-{copy}", gene, gene, f"drug {gene}{copy}") for gene in every for copy in "ab"]
        for place in range(0, len(own), 5):
            sample, gene, _, name = own[place]
            own[place] = (sample, gene, f"{gene}|{every[(place // 2 + 3) % n_genes]}|ABSENT", name)
    control = "DMSO" if kind == "Compound" else f"{kind}-control"
    target = None if kind == "Compound" else "NO_SITE"
    return own + [(control, target, None, control)] * N_CONTROLS


def _plate(name, reagents):
    columns = ["Metadata_broad_sample", "Metadata_target", "Metadata_target_list", "Metadata_pert_iname"]
    frame = pd.DataFrame(reagents, columns=columns, dtype="str")
    place = np.arange(len(frame)) * 7 % 384  # scattered: inner and outer wells of each reagent kind
    row, column = place // 24, place % 24
    is_control = frame["Metadata_broad_sample"].str.contains("DMSO|control")
    return frame.assign(
        Metadata_Batch=BATCH,
        Metadata_Plate=name,
        Metadata_Well=[f"{chr(65 + r)}{c + 1:02d}" for r, c in zip(row, column, strict=True)],
        Metadata_is_outer=(row < 2) | (row > 13) | (column < 2) | (column > 21),
        Metadata_control_type=pd.Series("negcon", index=frame.index).where(is_control),
        Metadata_is_primary=True,
    )
