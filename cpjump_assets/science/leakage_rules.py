"""The leakage rules: which wells belong together, and which of those groups cross subsets.

Belongs here: one ``Rule`` per kind of leakage, what each strategy promises, and how a rule finds its groups in wells
with their facts. Does not belong here: where those facts come from, tables of results and errors (``leakage``).

Every rule reads a frame with one row per manifest row: ``subset`` (categorical, train first), the columns of ``wells``
and ``perturbations``, ``physical_plate`` and, for our own manifests, ``expected_subset``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from cpjump_assets.science.perturbations import EMPTY
from cpjump_assets.science.schemas import STRING
from cpjump_assets.science.splits import SLICE
from cpjump_assets.science.strategies import CELLCLIP, GENE_COMPOUND, REPRESENTATION

TRAIN_NAMES = ("train", "training")
CONFOUNDED_RATIO = 2.0
"""A class is confounded with the split when its share of one subset is at least this multiple of that of another."""


@dataclass(frozen=True)
class Groups:
    """The groups that a rule finds, and which of them break it.

    Attributes
    ----------
    codes
        Number of the group of each row, groups in sorted order; -1 for rows in none. Shape (n_rows,).
    crosses
        Whether each group breaks the rule. Shape (n_groups,).
    name
        Names a group, by number.
    detail
        Says of a group, by number, how it lies in the subsets.
    """

    codes: np.ndarray
    crosses: np.ndarray
    name: Callable[[int], str]
    detail: Callable[[int], str]

    def __len__(self) -> int:
        """Give the number of groups."""
        return len(self.crosses)

    @property
    def crossing(self) -> np.ndarray:
        """Numbers of the groups that break the rule."""
        return np.flatnonzero(self.crosses)

    @property
    def crossing_rows(self) -> np.ndarray:
        """Rows of the groups that break the rule, as a mask of shape (n_rows,)."""
        return np.isin(self.codes, self.crossing)


def _nothing(frame: pd.DataFrame, groups: Groups) -> str | None:
    return None


@dataclass(frozen=True)
class Rule:
    """One kind of leakage: its name, its description, how its groups are found, and what to add in words."""

    name: str
    description: str
    find: Callable[[pd.DataFrame], Groups]
    note: Callable[[pd.DataFrame, Groups], str | None] = _nothing


def treated(frame: pd.DataFrame) -> pd.Series:
    """Say which rows hold a reagent that is no negative control; a control's target is none."""
    return (frame["Metadata_control_type"] != "negcon") & (frame["Metadata_broad_sample"] != EMPTY)


def everyone(frame: pd.DataFrame) -> pd.Series:
    """Say yes to every row."""
    return pd.Series(True, index=frame.index)


def of_type(experiment_type: str, frame: pd.DataFrame) -> pd.Series:
    """Say which rows hold a treated well of one modality."""
    return treated(frame) & (frame["Metadata_experiment_type"] == experiment_type)


_compounds = partial(of_type, "Compound")
_guides = partial(of_type, "CRISPR")


def number_groups(frame: pd.DataFrame, by: tuple[str, ...]) -> tuple[np.ndarray, pd.DataFrame]:
    """Give each row the number of its group, groups sorted by ``by``, and for each group its values of ``by``."""
    codes = frame.groupby(list(by), sort=True).ngroup().to_numpy()
    firsts = frame[list(by)].iloc[np.unique(codes, return_index=True)[1]]
    return codes, firsts


def find_together(
    by: tuple[str, ...],
    among: Callable[[pd.DataFrame], pd.Series],
    distinct: tuple[str, ...],
    frame: pd.DataFrame,
) -> Groups:
    """Find the groups of rows that share ``by``; a group crosses when it lies in two subsets or more.

    Parameters
    ----------
    by
        Columns that name a group; rows that lack one are in none.
    among
        Which rows take part.
    distinct
        Columns that must have two values or more inside a group for it to count: ``Metadata_broad_sample`` for rules
        about two ids of one thing.
    frame
        One row per manifest row.
    """
    member = (among(frame) & frame[list(by)].notna().all(axis="columns")).to_numpy()
    codes = np.full(len(frame), -1)
    codes[member], keys = number_groups(frame.loc[member, list(by)], by)
    enough = np.ones(len(keys), dtype=bool)
    for column in distinct:
        enough &= _presence(codes, pd.factorize(frame[column])[0], len(keys)).sum(axis=1) > 1
    codes, keys = _renumber(codes, enough), keys[enough]
    presence = _presence(codes, frame["subset"].cat.codes.to_numpy(), len(keys))
    subsets = frame["subset"].cat.categories
    return Groups(
        codes,
        presence.sum(axis=1) > 1,
        lambda group: " ".join(map(str, keys.iloc[group])),
        lambda group: ", ".join(subsets[presence[group]]),
    )


def find_unevenly_spread(column: str, frame: pd.DataFrame) -> Groups:
    """Find the classes of ``column`` whose share of the wells of one subset is a multiple of that of another."""
    codes, classes = pd.factorize(frame[column], sort=True)
    subsets = frame["subset"].cat.categories
    counts = np.zeros((len(classes), len(subsets)))
    known = codes >= 0
    np.add.at(counts, (codes[known], frame["subset"].cat.codes.to_numpy()[known]), 1)
    shares = counts / np.maximum(counts.sum(axis=0), 1)
    uneven = shares.max(axis=1, initial=0) >= CONFOUNDED_RATIO * shares.min(axis=1, initial=1)
    return Groups(
        codes,
        uneven & (len(subsets) > 1),
        lambda group: str(classes[group]),
        lambda group: ", ".join(f"{s} {p:.0%}" for s, p in zip(subsets, shares[group], strict=True)),
    )


def find_target_list_hits(subset: str, frame: pd.DataFrame) -> Groups:
    """Find the compounds of a held-out subset that act on a gene which is the target of a training well.

    A compound acts on its own target and on every gene of its ``target_list``.
    """
    in_train = frame["subset"].isin(TRAIN_NAMES) & treated(frame)
    train_targets = set(frame.loc[in_train, "Metadata_target"].dropna())
    held_out = (_compounds(frame) & (frame["subset"] == subset)).to_numpy()
    codes = np.full(len(frame), -1)
    codes[held_out], samples = pd.factorize(frame.loc[held_out, "Metadata_broad_sample"], sort=True)
    facts = frame[held_out].drop_duplicates("Metadata_broad_sample").set_index("Metadata_broad_sample")
    acts_on = facts["Metadata_target_list"].fillna("") + "|" + facts["Metadata_target"].fillna("")
    hits = [sorted(train_targets.intersection(acts_on[sample].split("|"))) for sample in samples]
    return Groups(
        codes,
        np.array([bool(genes) for genes in hits], dtype=bool),
        lambda group: str(samples[group]),
        lambda group: "train has " + ", ".join(hits[group]),
    )


def find_departures(frame: pd.DataFrame) -> Groups:
    """Find the wells that lie in another subset than the one that the strategy assigns."""
    known = frame[frame["expected_subset"].notna()]
    ours, expected = known["subset"].astype(STRING), known["expected_subset"].astype(STRING)
    codes = np.full(len(frame), -1)
    codes[frame["expected_subset"].notna()] = np.arange(len(known))
    return Groups(
        codes,
        (ours != expected).to_numpy(dtype=bool),
        lambda group: f"{known['Metadata_Plate'].iloc[group]} {known['Metadata_Well'].iloc[group]}",
        lambda group: f"{ours.iloc[group]} for {expected.iloc[group]}",
    )


def _presence(codes: np.ndarray, values: np.ndarray, n_groups: int) -> np.ndarray:
    """Say which group has which value: a mask of shape (n_groups, n_values)."""
    presence = np.zeros((n_groups, int(values.max(initial=-1)) + 1), dtype=bool)
    known = (codes >= 0) & (values >= 0)
    presence[codes[known], values[known]] = True
    return presence


def _renumber(codes: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """Give the kept groups the numbers 0, 1, ..., and put the rows of the others into none."""
    numbers = np.append(np.where(keep, np.cumsum(keep) - 1, -1), -1)
    return numbers[codes]


def _shared_keys(frame: pd.DataFrame, groups: Groups) -> str:
    compounds = frame[_compounds(frame)].drop_duplicates("Metadata_broad_sample")
    shared = compounds.loc[compounds.duplicated("Metadata_InChIKey"), "Metadata_InChIKey"].nunique()
    return f"{shared} keys are shared by two ids"


def _skeletons(frame: pd.DataFrame, groups: Groups) -> str | None:
    skeletons = SAME_SKELETON_RULE.find(frame)
    rows = frame[skeletons.codes >= 0].drop_duplicates("Metadata_broad_sample").sort_values("Metadata_pert_iname")
    named = rows["Metadata_pert_iname"] + " (" + rows["Metadata_target"].fillna("no target") + ")"
    pairs = named.groupby(rows["Metadata_InChIKey_block1"]).agg(" and ".join)
    return f"same skeleton, not one compound: {'; '.join(pairs)}" if len(pairs) else None


def _no_train(frame: pd.DataFrame, groups: Groups) -> str | None:
    return None if frame["subset"].isin(TRAIN_NAMES).any() else "no subset is named train"


def _together(
    name: str,
    description: str,
    *by: str,
    among: Callable[[pd.DataFrame], pd.Series] = everyone,
    distinct: tuple[str, ...] = (),
    note: Callable[[pd.DataFrame, Groups], str | None] = _nothing,
) -> Rule:
    return Rule(name, description, partial(find_together, by, among, distinct), note)


_TWO_IDS = ("Metadata_broad_sample",)
_TARGET = "Metadata_target"

SAME_SKELETON_RULE = _together(
    "same_skeleton",
    "compounds of one skeleton whose names and InChIKeys differ: stereoisomers, reported, not one compound",
    "Metadata_InChIKey_block1",
    among=_compounds,
    distinct=("Metadata_pert_iname_normalized", "Metadata_InChIKey"),
)
RULES: tuple[Rule, ...] = (
    _together("well", "a well; no image or cell of it is in two subsets", "physical_plate", "Metadata_Well"),
    _together("plate", "a plate: its wells share staining, batch and edge effects", "physical_plate"),
    _together("well_position", "a position on any plate: its wells share position effects", "Metadata_Well"),
    _together("broad_sample", "the replicates of a reagent under all conditions", "Metadata_broad_sample"),
    _together(
        "broad_sample_in_slice",
        "the replicates of a reagent in one cell line, type and time",
        "Metadata_broad_sample",
        *SLICE,
    ),
    _together("target", "all reagents of a target, in all modalities", _TARGET, among=treated),
    *(
        _together(
            f"target_{experiment_type.lower()}",
            f"all {experiment_type} reagents of a target",
            _TARGET,
            among=partial(of_type, experiment_type),
        )
        for experiment_type in ("CRISPR", "Compound", "ORF")
    ),
    _together("guide_pair", "the guides of a gene that has two or more", _TARGET, among=_guides, distinct=_TWO_IDS),
    _together(
        "guide_pair_in_slice",
        "the guides of a gene that has two or more, in one cell line and time",
        _TARGET,
        *SLICE,
        among=_guides,
        distinct=_TWO_IDS,
    ),
    _together(
        "one_name",
        "compound ids that carry one name",
        "Metadata_pert_iname",
        among=_compounds,
        distinct=_TWO_IDS,
    ),
    _together(
        "one_name_in_slice",
        "compound ids that carry one name, in one cell line and time",
        "Metadata_pert_iname",
        *SLICE,
        among=_compounds,
        distinct=_TWO_IDS,
    ),
    _together(
        "one_name_one_target",
        "compound ids that carry one name and share a target",
        "Metadata_pert_iname",
        _TARGET,
        among=_compounds,
        distinct=_TWO_IDS,
    ),
    _together("inchikey", "compounds of one InChIKey", "Metadata_InChIKey", among=_compounds, note=_shared_keys),
    _together(
        "inchikey_first_block",
        "compound ids that share the first block of the InChIKey",
        "Metadata_InChIKey_block1",
        among=_compounds,
        distinct=_TWO_IDS,
    ),
    _together(
        "identity",
        "compound ids joined by name, normalized name or first block of the InChIKey",
        "Metadata_identity_group",
        among=_compounds,
        distinct=_TWO_IDS,
        note=_skeletons,
    ),
    SAME_SKELETON_RULE,
    Rule(
        "stain_anomaly",
        "a stain anomaly; crossing when twice as frequent in one subset as in another",
        partial(find_unevenly_spread, "Metadata_anomaly"),
    ),
    Rule(
        "plate_row",
        "a row of the plates; crossing when twice as frequent in one subset as in another",
        partial(find_unevenly_spread, "Metadata_row"),
    ),
)
FOLLOWS_STRATEGY = Rule(
    "follows_strategy", "a well; crossing when it is not where the strategy puts it", find_departures
)

_WITHIN_SLICES = frozenset({"well", "broad_sample_in_slice"})
PROMISES: dict[str, frozenset[str]] = {
    REPRESENTATION: _WITHIN_SLICES,
    GENE_COMPOUND: frozenset({"well", "broad_sample", "target", "guide_pair", "one_name_one_target"}),
    CELLCLIP: _WITHIN_SLICES,
}
"""Rules that never break under each strategy; a breach blocks. Every other rule only warns."""


def target_list_rule(subset: str) -> Rule:
    """Give the rule that no compound of a held-out subset acts on a target of the training wells."""
    return Rule(
        f"target_list_{subset}",
        f"a compound of {subset}; crossing when it acts, by its target list, on a target that train has",
        partial(find_target_list_hits, subset),
        _no_train,
    )
