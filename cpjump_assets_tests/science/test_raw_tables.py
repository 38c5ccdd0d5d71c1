import pandas as pd
import pytest

from cpjump_assets.science.errors import BadTableError
from cpjump_assets.science.raw_tables import integers, require_agreement, require_rows, truth_values

FRAME = pd.DataFrame({"plate": ["P1", "P2", "P3"], "n": ["12", None, "-3"], "t": ["TRUE", "FALSE", None]}, dtype="str")


def test_numbers_and_truth_are_read_and_missing_stays_missing():
    numbers = integers(FRAME, "n", key=["plate"], source="f.csv")
    assert numbers.dtype == "Int64"
    assert numbers.tolist() == [12, pd.NA, -3]
    truth = truth_values(FRAME, "t", key=["plate"], source="f.csv")
    assert truth.tolist() == [True, False, pd.NA]


@pytest.mark.parametrize("value", ["1.5", "x", "", "1e3", "12 "])
def test_what_is_no_whole_number_is_named(value):
    with pytest.raises(BadTableError, match=rf"f\.csv: column n must hold whole numbers; found '{value}' at P2"):
        integers(FRAME.assign(n=["1", value, "2"]), "n", key=["plate"], source="f.csv")


@pytest.mark.parametrize("value", ["true", "1", "yes"])
def test_what_is_no_truth_value_is_named(value):
    with pytest.raises(BadTableError, match=rf"column t must hold TRUE or FALSE; found '{value}' at P3"):
        truth_values(FRAME.assign(t=["TRUE", None, value]), "t", key=["plate"], source="f.csv")


def test_sources_that_disagree_are_named_with_both_values():
    frame = FRAME.assign(other=["12", None, None]).astype("str")
    require_agreement(frame.head(2), "n", "other", key=["plate"], source="a.csv", other="b.csv")
    with pytest.raises(BadTableError, match=r"a\.csv and b\.csv differ in n at 1 rows: P3: '-3' against nan"):
        require_agreement(frame, "n", "other", key=["plate"], source="a.csv", other="b.csv")


def test_an_empty_table_is_refused():
    with pytest.raises(BadTableError, match=r"f\.csv: the table has no rows"):
        require_rows(FRAME.head(0), "f.csv")
