"""The bytes of profile files, against pandas as an oracle."""

import gzip
import io

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from cpjump_assets.simulate.profile_files import profile_csv_gz

FLOATS = st.floats(allow_infinity=False, allow_subnormal=False, width=32)


def written(values: np.ndarray) -> tuple[bytes, pd.DataFrame]:
    n, p = values.shape
    metadata = pd.DataFrame({"Metadata_Plate": ["BR1"] * n, "Metadata_Well": [f"A{i:02d}" for i in range(n)]})
    features = [f"Cells_{i}" for i in range(p)]
    frame = pd.concat([metadata, pd.DataFrame(values, columns=features)], axis="columns")
    return profile_csv_gz(metadata, features, values), frame


@settings(max_examples=60, deadline=None)
@given(values=arrays(np.float64, array_shapes(min_dims=2, max_dims=2, max_side=6), elements=FLOATS))
def test_text_is_what_pandas_writes_with_five_digits(values: np.ndarray):
    content, frame = written(values)
    expected = frame.to_csv(index=False, float_format="%.5g", lineterminator="\n")
    assert gzip.decompress(content).decode() == expected


def test_missing_values_are_blank():
    content, _ = written(np.array([[1.0, np.nan, 2.0], [np.nan, np.nan, np.nan]]))
    assert gzip.decompress(content).decode().splitlines()[1:] == ["BR1,A00,1,,2", "BR1,A01,,,"]


def test_the_stream_has_no_name_and_no_time():
    content, _ = written(np.ones((3, 3)))
    assert content[:3] == b"\x1f\x8b\x08"
    assert content[3] == 0  # no file name, no comment
    assert content[4:8] == bytes(4)  # no time
    assert content == written(np.ones((3, 3)))[0]


def test_five_digits_are_kept():
    values = np.random.default_rng(0).lognormal(size=(50, 20))
    content, frame = written(values)
    read = pd.read_csv(io.BytesIO(content), compression="gzip")
    np.testing.assert_allclose(read.iloc[:, 2:], frame.iloc[:, 2:], rtol=5.1e-5)
