"""Published files are pulled and compared with ours; those of pycytominer are reproduced, each deviation explained."""

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from cpjump_assets.orchestration import tables
from cpjump_assets.orchestration.partitions import contiguous_ranges
from cpjump_assets.orchestration.refresh import refresh_plan
from cpjump_assets.science.features import is_feature
from cpjump_assets.science.reproduction import PROFILE_REPRODUCTION
from cpjump_assets.simulate.writer import GALLERY
from cpjump_assets.storage.store import Provenance
from cpjump_assets_tests.orchestration.lab import LAB_KEYS, LAB_PLATES, Lab, copy_of
from cpjump_assets_tests.pycytominer_files import Levels, published_levels, put

SIMULATED = ["annotated", "normalized", "normalized_whole_plate", "plate_selected", "selected"]
PLATE, OTHER = LAB_PLATES[:2]
PAIR = LAB_KEYS[:2]
CHECK = "reproduces_published_profiles"


def reproduction(lab: Lab, key: str = LAB_KEYS[0]) -> pd.DataFrame:
    return lab.store.read(tables.PROFILE_REPRODUCTION.key(key)).set_index("level")


def level_path(lab: Lab, level: str) -> Path:
    return lab.gallery.object_path(GALLERY.level_key(PLATE, level))


def rewrite(path: Path, edit: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    path.write_bytes(gzip.compress(edit(pd.read_csv(path)).to_csv(index=False).encode(), 1, mtime=0))


class Peer:
    """A lab whose published files, of all plates and levels, are those that pycytominer makes."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.levels: Levels = published_levels(lab.gallery, lab.store.read(tables.WELLS.key()))
        put(lab.gallery, self.levels)
        for first, last in contiguous_ranges(LAB_KEYS):
            self.run = lab.run("reproduction", plates=LAB_KEYS[LAB_KEYS.index(first) : LAB_KEYS.index(last) + 1])
            assert self.run.success, self.run.errors
        self.table = pd.concat(lab.store.read(tables.PROFILE_REPRODUCTION.key(key)) for key in LAB_KEYS)


@pytest.fixture(scope="module")
def peer(refreshed_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    with copy_of(refreshed_lab, tmp_path_factory.mktemp("peer") / "lab") as lab:
        yield Peer(lab)


def test_every_level_of_pycytominer_is_reproduced_on_every_plate(peer: Peer) -> None:
    PROFILE_REPRODUCTION.check(peer.table, "all plates")
    assert peer.table.groupby("Metadata_Plate")["level"].agg(list).to_dict() == {
        plate.barcode: [*SIMULATED, "spherized"] for plate in LAB_PLATES
    }
    assert peer.table["reproduces"].all()
    assert (peer.table[["wells_only_ours", "wells_only_published", "features_only_ours"]] == 0).all(axis=None)
    by_text = peer.table[peer.table["level"] != "spherized"]
    assert (by_text["share_equal"] == 1.0).all()
    assert (by_text["largest_difference"] == 0.0).all()


def test_sphered_values_differ_where_rounding_falls_the_other_way_and_nowhere_else(peer: Peer) -> None:
    sphered = peer.table[peer.table["level"] == "spherized"]
    # Two decompositions of one matrix agree to some 1e-13: one value in millions may round to the neighbour.
    assert (sphered["share_equal"] >= 0.9999).all()
    assert (sphered["share_within_one_unit"] == 1.0).all()


@pytest.mark.parametrize("level", ["normalized", "normalized_whole_plate"])
def test_where_published_values_are_infinite_or_missing_ours_are_missing(peer: Peer, level: str) -> None:
    rows = peer.table[peer.table["level"] == level].set_index("Metadata_Plate")
    for plate in LAB_PLATES:
        frame = peer.levels[level][plate]
        values = frame[[name for name in frame if is_feature(name)]].to_numpy()
        row = rows.loc[plate.barcode]
        # Infinite where a MAD is 0, missing at the median of such a feature and where nothing was measured.
        assert row["finite_on_neither"] == (~np.isfinite(values)).sum() > np.isinf(values).sum() > 0
        assert row["finite_only_ours"] == row["finite_only_published"] == 0


def test_the_features_that_only_the_published_selections_keep_are_those_that_wells_lack(peer: Peer) -> None:
    planted = pd.read_csv(peer.lab.gallery.truth / "features.csv").set_index("feature")["kind"]
    for level in ("plate_selected", "selected"):
        rows = peer.table[peer.table["level"] == level]
        assert (rows["features_only_published"] == rows["features_withheld"]).all()
        assert rows["features_withheld"].sum() > 0
        names = {name for text in rows["examples_only_published"].dropna() for name in text.split(", ")}
        assert {planted[name] for name in names} == {"sparsely_missing"}


def test_the_check_counts_plates_levels_and_what_they_come_to(peer: Peer) -> None:
    evaluation = peer.lab.evaluations(peer.run)[CHECK]
    assert (evaluation.passed, evaluation.severity) == (True, dg.AssetCheckSeverity.WARN)
    shown = evaluation.metadata
    assert shown["plates"].value == 6
    assert shown["levels compared"].value == shown["levels reproduced"].value == 36
    assert shown["levels that should be and are not"].value == 0
    rows = [line.split("|")[1].strip() for line in shown["by level"].value.splitlines()[2:]]
    assert rows == [*SIMULATED, "spherized"]


def test_a_refresh_compares_the_plates_that_have_published_levels(refreshed_lab: Lab) -> None:
    for key in PAIR:
        table = reproduction(refreshed_lab, key)
        assert table.index.tolist() == SIMULATED
        assert table["reproduces"].all()
        assert (table["share_equal"] == 1.0).all()
    for key in LAB_KEYS[2:]:
        assert reproduction(refreshed_lab, key).empty


def test_what_was_compared_is_on_record(refreshed_lab: Lab) -> None:
    records = {record.partition_key: record for record in refreshed_lab.materializations(tables.PROFILE_REPRODUCTION)}
    assert sorted(records) == sorted(LAB_KEYS)
    metadata = records[LAB_KEYS[0]].asset_materialization.metadata
    published = level_path(refreshed_lab, "normalized").name
    assert published in metadata["published normalized"].value
    assert "etag-md5" in metadata["published normalized"].value
    assert len(metadata["levels"].value.splitlines()) == 2 + len(SIMULATED)
    assert records[LAB_KEYS[4]].asset_materialization.metadata["levels"].value.startswith("nothing to compare")
    provenance = refreshed_lab.store.describe(tables.PROFILE_REPRODUCTION.key(LAB_KEYS[0])).provenance
    assert provenance.preset == "paper_2024"
    assert {f"published {level}" for level in SIMULATED} < set(provenance.inputs)
    ours = refreshed_lab.store.describe(tables.NORMALIZED_PROFILES.key(LAB_KEYS[0])).digest
    assert provenance.inputs["normalized_profiles"] == ours


def test_nothing_is_pulled_or_compared_again_until_a_published_file_changes(lab: Lab) -> None:
    before = lab.digests()
    assert lab.run("reproduction", plates=PAIR).success
    assert lab.digests() == before
    rewrite(level_path(lab, "normalized"), lambda frame: frame)
    assert lab.run("reproduction", plates=PAIR).success
    changed = {path for path, digest in lab.digests().items() if before.get(path) != digest}
    assert changed == {f"{tables.PROFILE_REPRODUCTION.key(LAB_KEYS[0])}.parquet"}


def test_another_published_value_is_a_warning_that_says_where(lab: Lab) -> None:
    def edit(frame: pd.DataFrame) -> pd.DataFrame:
        frame.loc[frame["Metadata_Well"] == "C05", feature] += 1000.0
        return frame.drop(columns=absent).loc[frame["Metadata_Well"] != "P24"]

    names = list(filter(is_feature, pd.read_csv(level_path(lab, "normalized"))))
    usable = lab.store.read_profiles(tables.NORMALIZED_PROFILES.key(LAB_KEYS[0]))
    feature = usable.features[int(np.flatnonzero(np.isfinite(usable.matrix).all(axis=0))[0])]
    absent = next(name for name in names if name != feature)
    rewrite(level_path(lab, "normalized"), edit)
    finished = lab.run("reproduction", plates=PAIR)
    assert finished.success, finished.errors
    row = reproduction(lab).loc["normalized"]
    assert not row["reproduces"]
    assert (row["wells"], row["wells_only_ours"]) == (383, 1)
    assert (row["features_only_ours"], row["examples_only_ours"]) == (1, absent)
    assert row["largest_difference"] == pytest.approx(1000.0, abs=0.05)  # a unit of the fifth digit of 1,000
    assert (row["largest_difference_feature"], row["largest_difference_well"]) == (feature, "C05")
    evaluation = lab.evaluations(finished)[CHECK]
    assert (evaluation.passed, evaluation.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert evaluation.metadata["levels that should be and are not"].value == 1
    assert f"{PLATE.barcode} C05 {feature}" in evaluation.metadata["largest differences"].value
    assert absent in evaluation.metadata["features on one side only"].value


def test_sphered_files_are_shown_and_do_not_decide(lab: Lab) -> None:
    put(lab.gallery, {"spherized": {PLATE: pd.read_csv(level_path(lab, "normalized_whole_plate"))}})
    finished = lab.run("reproduction", plates=PAIR)
    assert finished.success, finished.errors
    assert not reproduction(lab).loc["spherized", "reproduces"]
    evaluation = lab.evaluations(finished)[CHECK]
    assert evaluation.passed
    assert "| spherized | 1 | 0 |" in evaluation.metadata["by level"].value


def test_aggregated_profiles_are_compared_where_the_cells_were_aggregated_here(lab: Lab) -> None:
    pulled = lab.store.read_profiles(tables.AGGREGATED_PROFILES.key(LAB_KEYS[0]))
    made = Provenance(tables.CELL_MEDIAN_PROFILES.code_version, {}, "simulated", "paper_2024")
    unrounded = pulled.with_matrix(pulled.matrix * np.float32(1 + 1e-5))
    lab.store.write_profiles(tables.CELL_MEDIAN_PROFILES.key(LAB_KEYS[0]), unrounded, made)
    assert lab.run("reproduction", plates=PAIR).success
    assert "published aggregated" in lab.store.describe(tables.PROFILE_REPRODUCTION.key(PAIR[0])).provenance.inputs
    row = reproduction(lab).loc["aggregated"]
    assert row["share_equal"] < row["share_within_one_unit"] == 1.0
    assert not row["reproduces"]
    assert "aggregated" not in reproduction(lab, LAB_KEYS[1]).index


def test_without_a_published_file_there_is_nothing_to_compare(lab: Lab) -> None:
    for plate in (PLATE, OTHER):
        for level in SIMULATED:
            lab.gallery.object_path(GALLERY.level_key(plate, level)).unlink()
    finished = lab.run("reproduction", plates=PAIR)
    assert finished.success, finished.errors
    assert reproduction(lab).empty
    evaluation = lab.evaluations(finished)[CHECK]
    assert evaluation.passed
    assert evaluation.metadata["levels"].value.startswith("nothing to compare")


def test_a_published_file_that_cannot_be_read_is_one_clear_line_and_costs_no_other_plate(lab: Lab) -> None:
    path = level_path(lab, "normalized")
    path.write_bytes(path.read_bytes()[:2000])
    rewrite(lab.gallery.object_path(GALLERY.level_key(OTHER, "normalized")), lambda frame: frame)
    before = lab.digests()
    finished = lab.run("reproduction", plates=PAIR)
    assert not finished.success
    (message,) = finished.errors
    assert path.name in message and "truncated" in message and "\n" not in message
    changed = {path for path, digest in lab.digests().items() if before.get(path) != digest}
    assert changed == {f"{tables.PROFILE_REPRODUCTION.key(LAB_KEYS[1])}.parquet"}


def test_means_of_cells_are_not_compared_with_the_published_medians() -> None:
    assert "reproduction" in {run.job for run in refresh_plan(PAIR)}
    assert "reproduction" not in {run.job for run in refresh_plan(PAIR, from_cells=True)}
