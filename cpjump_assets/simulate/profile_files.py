"""Profile files as the gallery holds them: gzipped CSV, numbers with five significant digits, missing values blank.

Belongs here: the bytes. Does not belong here: the values (``profiles``) and the key (``gallery.layout``).
"""

import gzip
import io
from collections.abc import Sequence

import numpy as np
import pandas as pd

_COMPRESSION = 4
"""Level 4 takes a seventh of the time of level 9 for files 9 % larger: 7.2 MB a full plate, near the real ones."""


def profile_csv_gz(metadata: pd.DataFrame, features: Sequence[str], values: np.ndarray) -> bytes:
    """Write profiles in the gallery's format; the same input gives the same bytes.

    Whole rows go through one ``%`` format: 0.27 s for a full plate, where ``DataFrame.to_csv`` takes 1.6 s.

    Parameters
    ----------
    metadata
        n rows of strings, the first columns of the file.
    features
        p names.
    values
        (n, p); NaN is written as nothing.

    Returns
    -------
    bytes
        A gzip stream without name and time.
    """
    line = ",".join(["%.5g"] * len(features)) + "\n"
    rows = [f"{','.join([*metadata.columns, *features])}\n"]
    for keys, row in zip(metadata.itertuples(index=False, name=None), values, strict=True):
        numbers = line % tuple(row.tolist())
        rows.append(f"{','.join(keys)},{numbers.replace('nan', '')}")
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", fileobj=buffer, mode="wb", compresslevel=_COMPRESSION, mtime=0) as stream:
        stream.write("".join(rows).encode())
    return buffer.getvalue()
