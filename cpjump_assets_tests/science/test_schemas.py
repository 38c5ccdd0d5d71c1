import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cpjump_assets.science import schemas
from cpjump_assets.science.errors import BadTableError
from cpjump_assets.science.schemas import STRING, Column, TableSchema

SCHEMA = TableSchema(
    "toy",
    "a toy",
    ("plate", "well"),
    (
        Column("plate", "string", "plate"),
        Column("well", "string", "well"),
        Column("count", "integer", "count"),
        Column("share", "number", "share", nullable=True, bounds=(0, 1)),
        Column("flag", "boolean", "flag", nullable=True),
        Column("kind", "string", "kind", nullable=True, allowed=("a", "b")),
    ),
)


def toy(**changes):
    columns = {
        "plate": ["P2", "P1", "P1"],
        "well": ["A01", "B01", "A01"],
        "count": [1, 2, 3],
        "share": [0.5, np.nan, 1.0],
        "flag": [True, None, False],
        "kind": ["a", None, "b"],
    }
    return pd.DataFrame(columns | changes)


def test_a_good_table_passes_and_is_sorted_and_typed():
    table = SCHEMA.normalise(toy(extra=[7, 8, 9]), "toy.csv")
    assert list(table.columns) == [*SCHEMA.column_names, "extra"]
    assert table[["plate", "well"]].to_numpy().tolist() == [["P1", "A01"], ["P1", "B01"], ["P2", "A01"]]
    assert table["extra"].tolist() == [9, 8, 7]
    assert table.dtypes.astype(str).tolist() == ["str", "str", "int64", "float64", "boolean", "str", "int64"]
    assert table.index.tolist() == [0, 1, 2]


def test_whole_floats_become_integers_and_missing_ones_stay_missing():
    schema = TableSchema("t", "a t", ("k",), (Column("k", "integer", "k"), Column("n", "integer", "n", nullable=True)))
    table = schema.normalise(pd.DataFrame({"k": [2.0, 1.0], "n": [np.nan, 4.0]}), "t")
    assert table["k"].tolist() == [1, 2]
    assert table["n"].dtype == "Int64"
    assert table["n"].isna().tolist() == [False, True]


def test_a_column_without_any_value_is_of_every_nullable_kind():
    table = SCHEMA.normalise(toy(kind=[np.nan] * 3, flag=[None] * 3), "toy.csv")
    assert table["kind"].dtype == STRING
    assert table["flag"].isna().all()


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (toy().drop(columns=["count", "flag"]), ["toy.csv", "count, flag", "missing", "plate, well, share"]),
        (toy(count=[1, None, 3]), ["toy.csv", "count", "must have a value", "P1 B01"]),
        (toy(count=[1, 2.5, 3]), ["toy.csv", "count", "integer", "2.5", "P1 B01"]),
        (toy(count=["1", "2", "3"]), ["toy.csv", "count", "integer", "'1'", "P2 A01"]),
        (toy(count=[True, False, True]), ["toy.csv", "count", "integer"]),
        (toy(share=["x", None, None]), ["toy.csv", "share", "number", "'x'", "P2 A01"]),
        (toy(share=[0.5, np.nan, 1.5]), ["toy.csv", "share", "must lie in 0 to 1", "1.5", "P1 A01"]),
        (toy(share=[-0.1, np.nan, 1.0]), ["toy.csv", "share", "must lie in 0 to 1", "-0.1", "P2 A01"]),
        (toy(flag=["yes", None, None]), ["toy.csv", "flag", "boolean", "'yes'"]),
        (toy(flag=[1, 0, 1]), ["toy.csv", "flag", "boolean"]),
        (toy(kind=["a", "c", "b"]), ["toy.csv", "kind", "one of a, b", "'c'", "P1 B01"]),
        (toy(plate=["P2", None, "P1"]), ["toy.csv", "plate", "must have a value", "nan B01"]),
        (toy(plate=[1, 2, 3]), ["toy.csv", "plate", "string"]),
        (toy(plate=["P1", "P1", "P1"]), ["toy.csv", "1 keys (plate, well)", "more than once", "P1 A01"]),
    ],
)
def test_each_fault_is_one_error_that_names_table_column_and_key(frame, words):
    with pytest.raises(BadTableError) as error:
        SCHEMA.check(frame, "toy.csv")
    message = str(error.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_no_more_than_five_keys_are_named():
    frame = pd.DataFrame({"k": [f"k{n}" for n in range(9)], "n": ["x"] * 9})
    schema = TableSchema("t", "a t", ("k",), (Column("k", "string", "k"), Column("n", "integer", "n")))
    with pytest.raises(BadTableError, match=r"in 9 rows at k0; k1; k2; k3; k4; \.\.\.$"):
        schema.check(frame, "t")


def test_values_may_be_checked_without_the_key():
    twice = pd.concat([toy(), toy()])
    SCHEMA.check_values(twice, "toy.csv")
    with pytest.raises(BadTableError, match="3 keys"):
        SCHEMA.check(twice, "toy.csv")


@given(st.permutations(range(3)))
def test_row_order_of_the_input_does_not_show(order):
    expected = SCHEMA.normalise(toy(), "toy")
    pd.testing.assert_frame_equal(SCHEMA.normalise(toy().iloc[list(order)], "toy"), expected)


@pytest.mark.parametrize(
    "schema",
    [schemas.EXPERIMENT_METADATA, schemas.PERTURBATIONS, schemas.WELLS, schemas.SPLIT_MANIFEST, schemas.LEAKAGE_AUDIT],
    ids=lambda schema: schema.name,
)
def test_every_declared_column_has_its_line(schema):
    assert len(set(schema.column_names)) == len(schema.columns)
    assert set(schema.key) <= set(schema.column_names)
    assert not any(column.nullable for column in schema.columns if column.name in schema.key)
    for column in schema.columns:
        assert column.description
        assert "\n" not in column.description


@pytest.mark.parametrize("name", ["experiment", "perturbations", "wells"])
def test_the_real_tables_keep_to_their_schemas(real, name):
    schema = {
        "experiment": schemas.EXPERIMENT_METADATA,
        "perturbations": schemas.PERTURBATIONS,
        "wells": schemas.WELLS,
    }[name]
    table = getattr(real, name)
    schema.check(table, name)
    assert list(table.columns) == schema.column_names
    pd.testing.assert_frame_equal(schema.normalise(table.sample(frac=1, random_state=3), name), table)
