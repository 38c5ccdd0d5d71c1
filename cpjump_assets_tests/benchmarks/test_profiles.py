import json

import numpy as np
import pandas as pd
import pytest

from benchmarks import profile_own, profile_readers, profile_rows, profiles
from benchmarks.processes import Measured
from benchmarks.profile_computations import kept_by_four_rules, same_normalized, same_sphered
from benchmarks.profile_inputs import (
    ACQUISITIONS,
    WELLS,
    Drawn,
    csv_header,
    feature_names,
    five_digits,
    load_frame,
    save,
    write_csv,
)
from benchmarks.profile_own import digest
from benchmarks.profile_reading import same_wells
from benchmarks.profile_rows import Bench, Row, Sizes, alone, row
from cpjump_assets.science.features import Profiles, stack
from cpjump_assets.storage.store import Store

TINY = Sizes(
    features=60,
    selected=40,
    plates=2,
    batch_features=30,
    correlated=40,
    sphered=20,
    cells=3 * WELLS,
    many_cells=5 * WELLS,
    cell_features=4,
)


def in_this_process(work, *arguments, cores=1):
    seconds, result = work(*arguments)
    return Measured(seconds, 100.0, result)


@pytest.fixture
def bench(tmp_path, monkeypatch):
    monkeypatch.setattr(profile_rows, "in_fresh_process", in_this_process)
    return Bench(tmp_path, TINY)


@pytest.fixture(scope="module")
def plate():
    return five_digits(Drawn.of(200, seed=0).plate(0))


@pytest.mark.filterwarnings("ignore:The SingleCells class is deprecated", "ignore:The 'mode.copy_on_write'")
def test_every_row_agrees(bench):
    rows = profiles.rows_of(bench, large=True)
    begin = {" ".join(name.split(" ")[:2]) for name in rows}
    assert begin == {
        "normalize plate",
        "select plate",
        "select batch",
        "correlate batch",
        "spherize batch",
        "read csv.gz",
        "aggregate backend",
        "load 2",
    }
    for name, make in rows.items():
        made = make(name)
        assert made.name == name and made.ours_s > 0
        assert made.agrees is not False
        if made.peer_s is not None:
            assert made.ratio == pytest.approx(made.peer_s / made.ours_s, rel=0.1, abs=0.1)


def test_rows_are_printed_as_json(monkeypatch, capsys):
    monkeypatch.setattr(profile_rows, "in_fresh_process", in_this_process)
    profiles.main(["--json", "--rows", "select plate", "--features", "30"], TINY)
    found = json.loads(capsys.readouterr().out)
    assert list(found) == ["name", "ours_s", "peer_s", "ratio", "agrees", "ours_mb", "peer_mb"]
    assert found["name"] == "select plate 384 x 30" and found["agrees"] is True


def test_unknown_rows_are_refused(capsys):
    with pytest.raises(SystemExit):
        profiles.main(["--rows", "divide"], TINY)
    assert "no row begins with 'divide'; there are: normalize plate" in capsys.readouterr().err


def test_what_has_no_peer_is_null():
    ours, theirs = Measured(0.5, 100.4, None), Measured(2.0, 200.6, None)
    assert alone("a", ours) == Row("a", 0.5, None, None, None, 100, None)
    assert row("a", ours, theirs, agrees=True) == Row("a", 0.5, 2.0, 4.0, True, 100, 201)


def test_what_is_remembered_is_made_once(bench):
    made = iter(range(5))
    assert [bench.remember(key, lambda: next(made)) for key in ("a", "b", "a")] == [0, 1, 0]


def test_plates_are_drawn_alike_alone_and_in_a_batch():
    drawn = Drawn.of(50, seed=1)
    stacked = stack(drawn.plate(number) for number in range(3))
    batch = drawn.batch(3)
    np.testing.assert_array_equal(batch.matrix, stacked.matrix)
    pd.testing.assert_frame_equal(batch.metadata, stacked.metadata)
    assert len(set(batch.metadata["Metadata_Plate"])) == 3


def test_plates_have_what_real_ones_have():
    drawn = Drawn.of(1_000, seed=2)
    X = drawn.batch(8).matrix
    values = [np.unique(column[~np.isnan(column)]).size for column in X.T]
    assert (np.array(values)[drawn.flat] == 1).all() and (np.array(values)[drawn.coarse] < 80).all()
    assert (np.isnan(X[:, drawn.sparse]).mean(axis=0) > 0.01).all()
    by_plate = np.isnan(X[:, drawn.absent]).reshape(8, WELLS, -1)
    assert by_plate.any() and (by_plate.all(axis=1) == by_plate.any(axis=1)).all()
    assert not np.isnan(Drawn.of(200, seed=2, odd=False).batch(2).matrix).any()


def test_a_third_of_the_drawn_features_that_vary_stays():
    selection = profile_own.selected(Drawn.of(1_000, seed=2).plate(0).to_frame())
    varying = selection["dropped_by"] != "variance"
    assert 0.27 < len(kept_by_four_rules(selection[varying])) / varying.sum() < 0.4


def test_drawn_plates_have_names_of_their_own():
    assert len(set(ACQUISITIONS)) == len(ACQUISITIONS) >= 102


def test_five_digits_are_those_of_the_text(plate):
    values = plate.matrix[:, :3].ravel()
    assert all(np.isnan(value) or value == float(f"{value:.5g}") for value in values.tolist())


def test_saved_frames_come_back(tmp_path, plate):
    frame = load_frame(save(tmp_path / "plate", plate))
    pd.testing.assert_frame_equal(frame, plate.to_frame())
    assert feature_names(frame) == list(plate.features)


def test_all_readers_of_csv_give_the_same_values(tmp_path, plate):
    path = write_csv(tmp_path / "plate.csv.gz", plate)
    header = csv_header(path)
    assert header == ["Metadata_Plate", "Metadata_Well", *plate.features]
    for read in profile_readers.CSV_READERS.values():
        values = profile_readers.csv_values(read(path, header), list(plate.features))
        np.testing.assert_array_equal(values, plate.matrix.astype(np.float32))


def test_a_digest_tells_values_apart_but_not_their_order_in_memory(plate):
    X = plate.matrix.astype(np.float32)
    other = X.copy()
    other[5, 7] = np.nextafter(other[5, 7], np.float32(9))
    assert digest(np.ascontiguousarray(X)) == digest(np.asfortranarray(X)) != digest(other)


def normalized(plate):
    frame = plate.to_frame()
    report = pd.DataFrame({"feature": plate.features, "usable": ~np.isnan(plate.matrix).all(axis=0)})
    return frame, report


def test_one_other_value_or_a_number_without_spread_is_no_agreement(plate):
    X = plate.matrix.copy()
    X[:, 3] = np.nan
    found, report = normalized(plate.with_matrix(X))
    infinite = X.copy()
    infinite[::2, 3] = np.inf
    assert same_normalized(found, report, plate.with_matrix(infinite).to_frame())
    other = infinite.copy()
    other[5, 7] *= 1 + 1e-6
    assert not same_normalized(found, report, plate.with_matrix(other).to_frame())
    infinite[1, 3] = 1e17
    assert not same_normalized(found, report, plate.with_matrix(infinite).to_frame())


def test_what_four_rules_keep_takes_in_what_ours_drops_for_gaps():
    table = pd.DataFrame(
        {"feature": list("abc"), "kept": [True, False, False], "dropped_by": [None, "remaining_nan", "nan"]}
    )
    assert kept_by_four_rules(table) == {"a", "b"}


def test_sphered_values_near_zero_are_compared_on_the_scale_of_their_feature(plate):
    whole = plate.with_matrix(np.nan_to_num(plate.matrix))
    X = whole.matrix.copy()
    X[0, 4] = 0.0
    near, far = X.copy(), X.copy()
    near[0, 4], far[0, 4] = 1e-9, 1e-3
    frames = [whole.with_matrix(matrix).to_frame() for matrix in (X, near, far)]
    assert same_sphered(frames[1], frames[0]) and not same_sphered(frames[2], frames[0])


def test_wells_are_compared_by_name():
    drawn = Drawn.of(20, seed=0, odd=False).plate(0)
    frame = drawn.to_frame()
    shuffled = frame.sample(frac=1, random_state=0)
    shuffled = shuffled[shuffled.columns[::-1]]
    assert same_wells(drawn, shuffled)
    assert not same_wells(drawn, shuffled.iloc[1:])
    other = shuffled.copy()
    other.loc[0, drawn.features[3]] += 1e-3
    assert not same_wells(drawn, other)


def test_plates_are_stored_once(bench):
    from benchmarks.profile_computations import stored_plates

    folder, keys = stored_plates(bench, 2)
    read = Store(folder).read_profiles(keys[1])
    assert isinstance(read, Profiles) and len(read.features) == TINY.features
    before = Store(folder).path(keys[0]).stat().st_mtime_ns
    stored_plates(bench, 2)
    assert Store(folder).path(keys[0]).stat().st_mtime_ns == before
