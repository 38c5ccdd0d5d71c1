"""Single cells through the assets: planted medians and means, plates without a backend, the preset that starts here."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from cpjump_assets.build import build_defs
from cpjump_assets.gallery.profile_file import read_profile_csv
from cpjump_assets.orchestration import tables
from cpjump_assets.orchestration.refresh import (
    FinishedRun,
    PlannedRun,
    Refresh,
    RefreshError,
    RefreshRequest,
    refresh_plan,
)
from cpjump_assets.orchestration.resources import Platform
from cpjump_assets.science.features import Profiles
from cpjump_assets.science.preset_names import PRESETS_FROM_CELLS
from cpjump_assets.science.presets import PRESETS
from cpjump_assets.settings import Settings
from cpjump_assets.simulate.backends import CellConfig
from cpjump_assets.simulate.config import Size
from cpjump_assets.simulate.writer import GALLERY, simulate_gallery
from cpjump_assets.storage.store import Store
from cpjump_assets.web import open_instance
from cpjump_assets_tests.orchestration.lab import LAB_KEYS, LAB_PLATES, Lab, served_lab

# Neighbours in the list of plates, so that one run takes both; the third one has no backend.
WITH_CELLS = LAB_PLATES[2:4]
KEYS = LAB_KEYS[2:4]
WITHOUT = LAB_KEYS[4]
SIZE = Size("cells", n_features=40, plates=LAB_PLATES[2:5], levels=(), backends=WITH_CELLS)


@dataclass(frozen=True)
class CellLab:
    """A platform whose gallery holds single cells of two plates."""

    lab: Lab
    settings: Settings

    @property
    def store(self) -> Store:
        return Platform.from_settings(self.settings).store

    @contextmanager
    def refreshing(self) -> Iterator[Refresh]:
        with open_instance(self.settings) as instance:
            yield Refresh.of(self.settings, build_defs(self.settings).resolve_job_def, instance)

    def run(self, job: str, first: str, last: str) -> FinishedRun:
        with self.refreshing() as refresh:
            return refresh.execute(PlannedRun(job, job, plate_range=(first, last)))

    def events(self, kind: dg.DagsterEventType, asset: str, run_id: str) -> dict[str, dg.DagsterEvent]:
        """Give the events of a run about an asset, by plate."""
        with open_instance(self.settings) as instance:
            records = instance.get_records_for_run(run_id, of_type=kind).records
        events = [record.event_log_entry.dagster_event for record in records]
        return {event.partition: event for event in events if event.asset_key == dg.AssetKey(asset)}

    def published(self, number: int) -> Profiles:
        plate = WITH_CELLS[number]
        return read_profile_csv(self.lab.profile_path(plate), plate)

    def planted_means(self, number: int) -> np.ndarray:
        features = pd.read_csv(self.lab.gallery.truth / "features.csv")
        return self.published(number).matrix + CellConfig().skew * features["scale"].to_numpy()


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cells")
    simulate_gallery(folder / "gallery", size=SIZE, seed=0)
    return folder


@pytest.fixture(scope="module")
def cells(gallery: Path) -> Iterator[CellLab]:
    with served_lab(gallery) as lab:
        yield CellLab(lab, lab.settings)


@pytest.fixture(scope="module")
def aggregated(cells: CellLab) -> FinishedRun:
    return cells.run("single_cells", KEYS[0], KEYS[1])


def test_medians_are_the_published_ones_and_means_the_planted_ones(cells: CellLab, aggregated: FinishedRun) -> None:
    assert aggregated.success, aggregated.errors
    for number, key in enumerate(KEYS):
        published = cells.published(number)
        medians = cells.store.read_profiles(tables.CELL_MEDIAN_PROFILES.key(key))
        assert medians.features == published.features
        assert medians.metadata["Metadata_Well"].tolist() == published.metadata["Metadata_Well"].tolist()
        np.testing.assert_array_equal(medians.matrix, published.matrix.astype(np.float32))
        means = cells.store.read_profiles(tables.CELL_MEAN_PROFILES.key(key))
        np.testing.assert_allclose(means.matrix, cells.planted_means(number), rtol=3e-7)
        assert (means.metadata["Metadata_cell_count"] % 2 == 1).all()


def test_counts_of_cells_and_the_origin_are_shown(cells: CellLab, aggregated: FinishedRun) -> None:
    events = cells.events(dg.DagsterEventType.ASSET_MATERIALIZATION, "cell_mean_profiles", aggregated.run_id)
    assert sorted(events) == sorted(KEYS)
    for key, event in events.items():
        shown = {name: value.value for name, value in event.step_materialization_data.materialization.metadata.items()}
        of_wells = cells.store.read_profiles(tables.CELL_MEAN_PROFILES.key(key)).metadata["Metadata_cell_count"]
        assert (shown["cells"], shown["wells"]) == (of_wells.sum(), len(of_wells))
        assert shown["wells without cells"] == 384 - len(of_wells)
        assert shown["origin"] == "simulated gallery, size cells, seed 0"
        assert shown["gallery key"].endswith(f"/{key.partition('.')[2]}.sqlite")


def test_cells_that_did_not_change_are_not_aggregated_again(cells: CellLab, aggregated: FinishedRun) -> None:
    path = cells.store.path(tables.CELL_MEDIAN_PROFILES.key(KEYS[0]))
    before = path.stat().st_mtime_ns
    again = cells.run("single_cells", KEYS[0], KEYS[1])
    assert again.success
    assert path.stat().st_mtime_ns == before


def test_a_plate_without_a_backend_is_named_and_the_others_are_kept(gallery: Path, tmp_path: Path) -> None:
    with served_lab(gallery) as lab:
        cells = CellLab(lab, replace(lab.settings, store=tmp_path / "store"))
        finished = cells.run("single_cells", KEYS[1], WITHOUT)
    assert not finished.success
    message = f"{WITHOUT}: s3://cellpainting-gallery/cpg0000-jump-pilot/source_4 holds no single-cell backend of this"
    assert any(message in error and KEYS[1] not in error for error in finished.errors)
    assert cells.store.exists(tables.CELL_MEDIAN_PROFILES.key(KEYS[1]))
    assert not cells.store.exists(tables.CELL_MEDIAN_PROFILES.key(WITHOUT))


def test_a_broken_backend_is_one_clear_error(gallery: Path, tmp_path: Path) -> None:
    with served_lab(gallery) as lab:
        cells = CellLab(lab, replace(lab.settings, store=tmp_path / "store"))
        path = lab.gallery.object_path(GALLERY.backend_key(WITH_CELLS[0]))
        whole = path.read_bytes()
        path.write_bytes(b"<html>busy</html>")
        try:
            finished = cells.run("single_cells", KEYS[0], KEYS[0])
        finally:
            path.write_bytes(whole)
    (error, *_) = finished.errors
    assert f"{path.name} of plate {KEYS[0]}: expected an SQLite database, found an HTML page" in error


def test_the_default_refresh_leaves_single_cells_alone() -> None:
    assert "single_cells" not in {run.job for run in refresh_plan(KEYS)}
    plan = [run.job for run in refresh_plan(KEYS, from_cells=True)]
    assert plan.index("metadata") < plan.index("single_cells") < plan.index("profiles")


def test_presets_that_take_means_are_those_that_start_from_cells() -> None:
    assert {name for name, preset in PRESETS.items() if preset.aggregation == "mean"} == set(PRESETS_FROM_CELLS)


@pytest.mark.parametrize(
    ("preset", "source", "not_from"),
    [
        ("paper_2024", "gallery_profiles", "cell_mean_profiles"),
        ("paper_2021", "cell_mean_profiles", "gallery_profiles"),
    ],
)
def test_lineage_shows_what_aggregated_profiles_are_made_from(preset: str, source: str, not_from: str) -> None:
    graph = build_defs(Settings(preset=preset)).resolve_asset_graph()
    parents = graph.get(dg.AssetKey("aggregated_profiles")).parent_keys
    assert dg.AssetKey(source) in parents
    assert dg.AssetKey(not_from) not in parents


@pytest.fixture(scope="module")
def means(gallery: Path) -> Iterator[tuple[CellLab, list[FinishedRun]]]:
    """Refresh under the preset of 2021, up to the profiles of the plates."""
    with served_lab(gallery) as lab:
        cells = CellLab(lab, replace(lab.settings, preset="paper_2021", store=gallery / "means"))
        finished: list[FinishedRun] = []
        with cells.refreshing() as refresh:
            for run in refresh.run(RefreshRequest(preset="paper_2021")):
                finished.append(run)
                if run.planned.job == "profiles":
                    break
        yield cells, finished


def test_a_refresh_of_means_starts_at_the_cells(means: tuple[CellLab, list[FinishedRun]]) -> None:
    cells, finished = means
    jobs = ["observe_reference", "observe_gallery", "observe_cells", "metadata", "single_cells", "profiles"]
    assert [run.planned.job for run in finished] == jobs
    assert all(run.success for run in finished), [run.errors for run in finished]
    for number, key in enumerate(KEYS):
        profiles = cells.store.read_profiles(tables.AGGREGATED_PROFILES.key(key))
        np.testing.assert_allclose(profiles.matrix, cells.planted_means(number), rtol=3e-7)
        assert cells.store.describe(tables.AGGREGATED_PROFILES.key(key)).provenance.preset == "paper_2021"
        assert not cells.store.exists(tables.CELL_MEDIAN_PROFILES.key(key))
        assert cells.store.exists(tables.PLATE_SELECTED_PROFILES.key(key))
    assert not cells.store.exists(tables.AGGREGATED_PROFILES.key(WITHOUT))
    assert "Metadata_cell_count" in cells.store.read_profiles(tables.NORMALIZED_PROFILES.key(KEYS[0])).metadata


def test_backends_are_observed_by_their_etag_and_size(means: tuple[CellLab, list[FinishedRun]]) -> None:
    cells, finished = means
    (run_id,) = (run.run_id for run in finished if run.planned.job == "observe_cells")
    events = cells.events(dg.DagsterEventType.ASSET_OBSERVATION, "gallery_cells", run_id)
    assert sorted(events) == sorted(KEYS)
    for plate, key in zip(WITH_CELLS, KEYS, strict=True):
        observed = events[key].asset_observation_data.asset_observation
        path = cells.lab.gallery.object_path(observed.metadata["key"].value)
        assert path.name == f"{plate.barcode}.sqlite"
        assert path.stat().st_size == observed.metadata["bytes"].value
        assert str(observed.metadata["etag"].value) in observed.tags["dagster/data_version"]


def test_means_of_a_plate_without_cells_cannot_be_asked_for() -> None:
    request = RefreshRequest(plates=(WITHOUT,), preset="paper_2021")
    with pytest.raises(RefreshError, match=f"does not hold the single-cell backend of {WITHOUT}"):
        request.choose(KEYS)
