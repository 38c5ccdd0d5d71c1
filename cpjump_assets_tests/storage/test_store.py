"""The store: whole or not at all, equal bytes for equal inputs, one clear error."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cpjump_assets.science.errors import StoreError
from cpjump_assets.science.features import Profiles
from cpjump_assets.storage.atomic import atomic_path
from cpjump_assets.storage.store import Provenance, Store, TableKey

KEY = TableKey("profiles", "normalized_profiles", "2020_11_04_CPJUMP1.BR00117010")
MADE = Provenance("1", {"wells": "ab", "aggregated_profiles": "cd"}, "gallery")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def _frame(seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {"Metadata_Well": [f"A{i:02d}" for i in range(1, 25)], "Cells_Area": rng.normal(size=24).astype("float32")}
    )


def test_a_table_reads_back_as_it_was_written(store: Store) -> None:
    stored = store.write(KEY, _frame(), MADE)
    pd.testing.assert_frame_equal(store.read(KEY), _frame())
    assert stored.rows == 24
    assert stored.columns == {"Metadata_Well": "large_string", "Cells_Area": "float"}
    assert store.describe(KEY) == stored
    assert store.read(KEY, ["Metadata_Well"]).columns.tolist() == ["Metadata_Well"]


def test_profiles_read_back_whole_and_in_parts(store: Store) -> None:
    profiles = Profiles.from_frame(_frame())
    stored = store.write_profiles(KEY, profiles, MADE)
    assert (stored.rows, stored.provenance) == (24, MADE)
    assert store.write_profiles(KEY, profiles, MADE).digest == stored.digest
    np.testing.assert_array_equal(store.read_profiles(KEY).matrix, profiles.matrix)
    opened = store.open_profiles(KEY)
    assert opened.features == ("Cells_Area",)
    pd.testing.assert_frame_equal(opened.metadata, profiles.metadata)
    np.testing.assert_array_equal(opened.values(0, 1), profiles.matrix)
    pd.testing.assert_frame_equal(store.read(KEY), _frame())


def test_profiles_that_vanish_or_break_after_they_were_opened_say_so(store: Store) -> None:
    store.write_profiles(KEY, Profiles.from_frame(_frame()), MADE)
    opened = store.open_profiles(KEY)
    store.path(KEY).write_bytes(b"PAR1 broken")
    with pytest.raises(StoreError, match="was replaced or altered after it was opened"):
        opened.values()
    with pytest.raises(StoreError, match="cannot be read as the Parquet table"):
        store.open_profiles(KEY)
    store.remove(KEY)
    with pytest.raises(StoreError, match="materialize normalized_profiles first"):
        opened.values()
    with pytest.raises(StoreError, match="materialize normalized_profiles first"):
        store.open_profiles(KEY)


@pytest.mark.parametrize("name", [b"Metadata_Well", b"Cells_AreaShape_Area"])
def test_names_that_are_no_text_any_more_say_so(store: Store, name: bytes) -> None:
    profiles = Profiles(pd.DataFrame({"Metadata_Well": ["A01"]}), np.ones((1, 1)), ("Cells_AreaShape_Area",))
    store.write_profiles(KEY, profiles, MADE)
    broken = store.path(KEY).read_bytes().replace(name, name[:-1] + b"\xff")
    store.path(KEY).write_bytes(broken)
    for read in (store.read, store.read_profiles, store.describe):
        with pytest.raises(StoreError, match="cannot be read as the Parquet table"):
            read(KEY)


def test_a_file_that_was_altered_or_replaced_is_described_anew(store: Store) -> None:
    first = store.write(KEY, _frame(), MADE)
    assert store.describe(KEY) == first
    content = bytearray(store.path(KEY).read_bytes())
    content[20] ^= 1
    store.path(KEY).write_bytes(content)
    assert store.describe(KEY).digest == hashlib.sha256(content).hexdigest() != first.digest
    assert store.write(KEY, _frame(), MADE) == first


def test_a_wide_table_is_described_by_its_first_columns(store: Store) -> None:
    wide = pd.DataFrame(np.zeros((2, 50), dtype="float32"), columns=[f"Cells_{index}" for index in range(50)])
    stored = store.write(KEY, wide, MADE)
    assert (stored.n_columns, list(stored.columns)) == (50, list(wide)[:40])


def test_pulled_objects_may_lie_outside_of_the_tables(tmp_path: Path) -> None:
    assert Store(tmp_path).gallery_folder == tmp_path / "gallery"
    assert Store(tmp_path / "presets" / "other", tmp_path / "gallery").gallery_folder == tmp_path / "gallery"


def test_provenance_names_the_preset_where_there_is_one(store: Store) -> None:
    of_preset = replace(MADE, preset="paper_2021")
    assert store.write(KEY, _frame(), of_preset).provenance == of_preset
    assert store.write(KEY, _frame(), MADE).provenance.preset is None


def test_integers_and_booleans_keep_their_kind_when_some_or_all_are_missing(store: Store) -> None:
    frame = pd.DataFrame(
        {
            "whole": pd.Series([1, 2, 3], dtype="int64"),
            "some": pd.Series([1, None, 3], dtype="Int64"),
            "none": pd.Series([None, None, None], dtype="boolean"),
            "text": pd.Series(["a", None, "b"], dtype="str"),
        }
    )
    store.write(KEY, frame, MADE)
    pd.testing.assert_frame_equal(store.read(KEY), frame)


def test_a_column_without_a_type_is_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="Metadata_target_is_across"):
        store.write(KEY, pd.DataFrame({"Metadata_target_is_across": [None, None]}), MADE)


def test_the_partition_key_keeps_what_stands_behind_its_dot(store: Store) -> None:
    assert store.path(KEY).name == "2020_11_04_CPJUMP1.BR00117010.parquet"


def test_equal_inputs_give_equal_bytes_in_any_order_of_the_inputs(store: Store) -> None:
    first = store.write(KEY, _frame(), MADE)
    turned = Provenance("1", {"aggregated_profiles": "cd", "wells": "ab"}, "gallery")
    assert store.write(KEY, _frame(), turned).digest == first.digest
    assert store.write(KEY, _frame(1), turned).digest != first.digest


def test_provenance_tells_tables_apart_by_code_inputs_and_origin(store: Store) -> None:
    store.write(KEY, _frame(), MADE)
    found = store.find(KEY)
    assert found is not None
    assert found.provenance == MADE
    for other in (
        Provenance("2", MADE.inputs, MADE.origin),
        Provenance("1", {**MADE.inputs, "wells": "ef"}, MADE.origin),
        Provenance("1", MADE.inputs, "simulated gallery, size small, seed 0"),
    ):
        assert found.provenance != other


def test_an_absent_or_unreadable_table_is_not_found(store: Store) -> None:
    assert store.find(KEY) is None
    store.write(KEY, _frame(), MADE)
    store.path(KEY).write_bytes(b"PAR1 no more")
    assert store.find(KEY) is None


def test_a_failed_write_keeps_the_former_table_and_leaves_nothing_behind(store: Store) -> None:
    before = store.write(KEY, _frame(), MADE)

    def fail_halfway() -> None:
        with atomic_path(store.path(KEY)) as part:
            part.write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_halfway()
    assert store.describe(KEY) == before
    assert list(store.root.rglob("*.part")) == []


def test_a_store_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    # A file where the store's folder should be stands for every reason why the folder cannot be made.
    (tmp_path / "store").write_text("in the way")
    with pytest.raises(StoreError, match=r"cannot write 2020_11_04_CPJUMP1\.BR00117010\.parquet"):
        Store(tmp_path / "store").write(KEY, _frame(), MADE)


def test_an_absent_and_an_altered_table_are_named(store: Store) -> None:
    with pytest.raises(StoreError, match="materialize normalized_profiles first"):
        store.read(KEY)
    store.write(KEY, _frame(), MADE)
    content = store.path(KEY).read_bytes()
    store.path(KEY).write_bytes(content[: len(content) // 2])
    with pytest.raises(StoreError, match="cannot be read as the Parquet table"):
        store.read(KEY)


def test_a_foreign_parquet_file_is_refused(store: Store) -> None:
    store.path(KEY).parent.mkdir(parents=True)
    _frame().to_parquet(store.path(KEY))
    with pytest.raises(StoreError, match="carries no provenance"):
        store.describe(KEY)


def test_a_key_cannot_leave_the_store(store: Store) -> None:
    with pytest.raises(StoreError, match="outside of the store"):
        store.path(TableKey("profiles", "x", "../../../etc/passwd"))


def test_a_file_that_is_no_table_is_written_whole_and_known_by_its_digest(store: Store) -> None:
    name = "benchmark/figures/figure_4a.png"
    assert store.file_digest(name) is None
    assert store.write_file(name, b"first") == hashlib.sha256(b"first").hexdigest()
    assert store.write_file(name, b"second") == store.file_digest(name) == hashlib.sha256(b"second").hexdigest()
    assert [path.name for path in (store.root / "benchmark" / "figures").iterdir()] == ["figure_4a.png"]


def test_a_file_that_cannot_be_written_leaves_the_former_one(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.write_file("figures/a.svg", b"first")

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StoreError, match=r"cannot write a.svg in .*: No space left on device"):
        store.write_file("figures/a.svg", b"second")
    assert [path.read_bytes() for path in (store.root / "figures").iterdir()] == [b"first"]


@pytest.mark.parametrize("name", ["../outside.png", "figures/../../outside.png", "/etc/outside.png"])
def test_a_file_never_lies_outside_of_the_store(store: Store, name: str) -> None:
    with pytest.raises(StoreError, match="would lie outside of the store"):
        store.write_file(name, b"")
