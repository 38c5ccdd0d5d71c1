"""Seeded random streams of the simulated gallery.

Belongs here: the one way to obtain a random generator. Does not belong here: what is drawn from it.
"""

import zlib

import numpy as np


def generator(seed: int, *stream: str) -> np.random.Generator:
    """Give the generator of one named stream.

    Streams are independent of one another, so what is drawn for one plate or one table does not depend on which others
    are made, in which order, or by how many threads.

    Parameters
    ----------
    seed
        Seed of the whole simulation, 0 or more.
    stream
        Names of the stream, from the general to the particular: ``"plate", "2020_11_04_CPJUMP1.BR00116991"``.
    """
    return np.random.default_rng([seed, *(zlib.crc32(name.encode()) for name in stream)])
