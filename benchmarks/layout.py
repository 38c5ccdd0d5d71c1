"""The real layout of CPJUMP1 with profiles that are drawn: what every measurement of retrieval is fed.

Belongs here: wells and target lists from the reference tables, larger layouts made of copies, and seeded profiles with
effects of plate, reagent and target. Does not belong here: what is measured on them.
"""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

from cpjump_assets.science.perturbations import DMSO, EMPTY, TARGET_LIST_FILES
from cpjump_assets.science.plates import MAIN_BATCH
from cpjump_assets.science.tasks import CONDITION
from cpjump_assets.simulate.reference_files import write_invented_reference

REFERENCE = Path(__file__).resolve().parents[2] / "shared" / "data" / "cpjump1"
N_FEATURES = 600
_COLUMNS = ["Metadata_Plate", "Metadata_Well", "Metadata_broad_sample", "Metadata_target", "Metadata_control_type"]
_MEAN_STRENGTH = 0.9
"""Of reagents, beside noise of 1: about two thirds of them are detected, as in the published scores."""
_TARGET_SHARE = 0.02
"""How much of an effect's variance the reagents of a target have in common: few targets match, as published."""


@contextmanager
def chosen_reference(named: Path | None) -> Iterator[Path]:
    """Give the named reference root, else the real one beside the project, else an invented one of the same design."""
    if named is not None or REFERENCE.is_dir():
        yield named or REFERENCE
        return
    with tempfile.TemporaryDirectory() as folder:
        print(f"no real reference tables at {REFERENCE}: invented ones of the same design", file=sys.stderr)
        write_invented_reference(Path(folder), seed=0)
        yield Path(folder)


def real_layout(reference: Path) -> pd.DataFrame:
    """Read the wells of the 40 primary plates that hold something, each with its target list, ``gene|gene|...``."""
    table = reference / "datasplits" / "cpjump1_metadata.csv"
    if not table.is_file():
        sys.exit(f"benchmarks: {reference} is no reference root, it has no {table.relative_to(reference)}")
    frame = pd.read_csv(table, usecols=[*CONDITION, *_COLUMNS])
    frame = frame[frame["Metadata_broad_sample"] != EMPTY].reset_index(drop=True)
    lists = frame["Metadata_broad_sample"].map(_target_lists(reference / "metadata" / "moa"))
    return frame.assign(
        Metadata_Batch=MAIN_BATCH,
        Metadata_is_primary=True,
        Metadata_target_list=lists.where(frame["Metadata_experiment_type"] == "Compound", frame["Metadata_target"]),
    )


def _target_lists(annotations: Path) -> pd.Series:
    """Give the target list of each compound, of the better file that is there."""
    files = [annotations / name for name in TARGET_LIST_FILES if (annotations / name).is_file()]
    table = pd.read_csv(files[0], sep="\t", usecols=["broad_sample", "target_list"]).dropna(subset="broad_sample")
    return table.set_index("broad_sample")["target_list"]


def copies_of(layout: pd.DataFrame, n: int) -> pd.DataFrame:
    """Lay n libraries out like the real one, each on plates of its own: names of plates and reagents differ."""
    parts = []
    for copy in range(n):
        names = {
            column: layout[column] + (f".{copy}" if copy else "")
            for column in ("Metadata_Plate", "Metadata_broad_sample")
        }
        parts.append(layout.assign(**names))
    return pd.concat(parts, ignore_index=True)


def synthetic_profiles(layout: pd.DataFrame, *, seed: int = 20210101, n_features: int = N_FEATURES) -> np.ndarray:
    """Draw profiles: noise, a shift per plate, and per reagent a direction, partly its target's, of its own strength.

    Strengths are very different; negative controls have none. CRISPR goes against the direction of its target.
    """
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((len(layout), n_features))
    plates, _ = pd.factorize(layout["Metadata_Plate"], sort=True)
    samples, names = pd.factorize(layout["Metadata_broad_sample"], sort=True)
    wells = pd.Series(np.arange(len(layout))).groupby(samples).first().to_numpy()
    of_sample = layout.iloc[wells]
    targets, genes = pd.factorize(of_sample["Metadata_target"].fillna(DMSO), sort=True)
    strengths = rng.gamma(1.0, _MEAN_STRENGTH, len(names))
    strengths[of_sample["Metadata_control_type"] == "negcon"] = 0.0
    signs = np.where(of_sample["Metadata_experiment_type"] == "CRISPR", -1.0, 1.0)
    shared = signs[:, np.newaxis] * rng.standard_normal((len(genes), n_features))[targets]
    own = rng.standard_normal((len(names), n_features))
    effects = np.sqrt(_TARGET_SHARE) * shared + np.sqrt(1.0 - _TARGET_SHARE) * own
    X += 0.2 * rng.standard_normal((plates.max() + 1, n_features))[plates]
    X += (strengths[:, np.newaxis] * effects)[samples]
    return X
