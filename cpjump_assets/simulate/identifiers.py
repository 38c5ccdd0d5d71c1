"""Invented identifiers in the shapes of the real ones.

Belongs here: how a gene symbol, a compound, guide or ORF id, an InChIKey, a name and a guide sequence look. Does not
belong here: which reagent gets which (``reagents``). Nothing here names a real gene or substance.
"""

import string
from itertools import product

import numpy as np

_CONSONANTS = "BCDFGHKLMNPRSTVZ"
_UNDEFINED_STEREOCHEMISTRY = "UHFFFAOYSA"


def gene_symbols(rng: np.random.Generator, n: int) -> list[str]:
    """Invent gene-like symbols in families of one prefix, such as ``QXB1``; no human gene starts with QJ, QX or QZ.

    Parameters
    ----------
    n
        How many; at most 432.
    """
    symbols = [f"Q{a}{b}{member}" for a, b, member in product("JXZ", _CONSONANTS, range(1, 10))]
    return [symbols[i] for i in rng.permutation(len(symbols))[:n]]


def compound_ids(rng: np.random.Generator, stereo_defined: np.ndarray) -> list[str]:
    """Invent compound ids: ``BRD-K########-###-##-#``, or ``BRD-A`` where stereochemistry is not defined.

    Parameters
    ----------
    stereo_defined
        (n,) bool, one per compound.
    """
    numbers = rng.choice(10**8, size=len(stereo_defined), replace=False)
    salts = rng.choice([1, 3, 52, 300], p=[0.85, 0.05, 0.05, 0.05], size=len(stereo_defined))
    batches, checks = rng.integers(1, 24, len(stereo_defined)), rng.integers(0, 10, len(stereo_defined))
    return [
        f"BRD-{'K' if defined else 'A'}{number:08d}-{salt:03d}-{batch:02d}-{check}"
        for defined, number, salt, batch, check in zip(stereo_defined, numbers, salts, batches, checks, strict=True)
    ]


def guide_ids(rng: np.random.Generator, n: int) -> list[str]:
    """Invent CRISPR guide ids: ``BRDN`` and ten digits."""
    return [f"BRDN{number:010d}" for number in rng.choice(1_500_000, size=n, replace=False)]


def orf_ids(rng: np.random.Generator, n: int) -> list[str]:
    """Invent ORF ids: ``ccsbBroad304_`` and five digits."""
    return [f"ccsbBroad304_{number:05d}" for number in rng.choice(17_000, size=n, replace=False)]


def skeletons(rng: np.random.Generator, n: int) -> list[str]:
    """Invent first blocks of InChIKeys: 14 capitals, the hash of a skeleton."""
    return _words(rng, n, 14)


def inchikeys(rng: np.random.Generator, blocks: list[str], stereo_defined: np.ndarray) -> list[str]:
    """Invent InChIKeys of the right form on given first blocks; the second block tells undefined stereochemistry."""
    seconds = _words(rng, len(blocks), 8)
    return [
        f"{first}-{second + 'SA' if defined else _UNDEFINED_STEREOCHEMISTRY}-N"
        for first, second, defined in zip(blocks, seconds, stereo_defined, strict=True)
    ]


def compound_names(rng: np.random.Generator, n: int) -> list[str]:
    """Invent compound names, in turn codes like ``QV-4711`` and words like ``xozuvamib``; no two normalize alike."""
    syllables = [first + vowel for first, vowel in product("qvxzkm", "aiou")]
    words = rng.permutation(len(syllables) ** 3)[:n]
    codes = rng.permutation(9000)[:n] + 1000
    n_syllables = len(syllables)
    return [
        f"Q{'VXZ'[code % 3]}-{code}"
        if i % 2
        else syllables[word % n_syllables]
        + syllables[word // n_syllables % n_syllables]
        + syllables[word // n_syllables**2]
        + "mib"
        for i, (code, word) in enumerate(zip(codes, words, strict=True))
    ]


def guide_sequences(rng: np.random.Generator, n: int) -> list[str]:
    """Invent guide target sequences: 20 bases each, all different."""
    sequences: dict[str, None] = {}
    while len(sequences) < n:
        sequences["".join(rng.choice(list("ACGT"), size=20))] = None
    return list(sequences)


def _words(rng: np.random.Generator, n: int, length: int) -> list[str]:
    letters = np.array(list(string.ascii_uppercase))
    return ["".join(row) for row in letters[rng.integers(0, 26, size=(n, length))]]
