"""Shapes and uniqueness of invented identifiers."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cpjump_assets.science.identity import normalize_names
from cpjump_assets.simulate import identifiers

SHAPES = {
    "compound": r"BRD-[AK]\d{8}-\d{3}-\d{2}-\d",
    "guide": r"BRDN000\d{7}",
    "orf": r"ccsbBroad304_\d{5}",
    "inchikey": r"[A-Z]{14}-[A-Z]{8}SA-N",
    "sequence": r"[ACGT]{20}",
    "gene": r"[A-Z][A-Z0-9]{2,9}",
}


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def invented(rng: np.random.Generator, n: int) -> dict[str, list[str]]:
    stereo_defined = np.arange(n) % 7 != 0
    return {
        "compound": identifiers.compound_ids(rng, stereo_defined),
        "guide": identifiers.guide_ids(rng, n),
        "orf": identifiers.orf_ids(rng, n),
        "inchikey": identifiers.inchikeys(rng, identifiers.skeletons(rng, n), stereo_defined),
        "sequence": identifiers.guide_sequences(rng, n),
        "gene": identifiers.gene_symbols(rng, n),
    }


def test_identifiers_have_the_right_shape_and_are_unique(rng: np.random.Generator):
    for kind, values in invented(rng, 375).items():
        assert len(values) == len(set(values)) == 375, kind
        wrong = [value for value in values if not re.fullmatch(SHAPES[kind], value)]
        assert not wrong, (kind, wrong[:3])


def test_real_identifiers_have_the_same_shapes(reference_root: Path):
    folder = reference_root / "metadata" / "moa"
    compounds, guides, orfs = (
        pd.read_csv(folder / f"JUMP-Target-1_{name}_metadata.tsv", sep="\t") for name in ("compound", "crispr", "orf")
    )
    real = {
        "compound": compounds["broad_sample"],
        "guide": guides["broad_sample"],
        "orf": orfs["broad_sample"],
        "inchikey": compounds["InChIKey"],
        "sequence": guides["target_sequence"],
        "gene": orfs["gene"],
    }
    for kind, values in real.items():
        assert values.dropna().str.fullmatch(SHAPES[kind]).all(), kind


def test_undefined_stereochemistry_shows_in_id_and_key_alike(rng: np.random.Generator):
    values = invented(rng, 60)
    for compound, key in zip(values["compound"], values["inchikey"], strict=True):
        assert compound.startswith("BRD-A") == key.endswith("-UHFFFAOYSA-N")


def test_compound_names_stay_different_when_normalized(rng: np.random.Generator):
    names = pd.Series(identifiers.compound_names(rng, 306))
    assert normalize_names(names).is_unique
    assert names.str.contains("-").sum() == 153
