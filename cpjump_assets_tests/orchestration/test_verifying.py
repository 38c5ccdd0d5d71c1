"""What is held is read again, and one bad file fails the run with a line that says what to do."""

import os
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from cpjump_assets.build import build_defs
from cpjump_assets.gallery.transfer.inventory import Inventory
from cpjump_assets.orchestration import tables, verifying
from cpjump_assets.orchestration.partitions import PLATE_KEYS
from cpjump_assets.orchestration.tables import StoredAsset
from cpjump_assets.orchestration.verifying import NAMED, BadFile, StoredReport, message_of, verify_pulled, verify_stored
from cpjump_assets.science.strategies import STRATEGIES
from cpjump_assets.settings import Settings
from cpjump_assets.storage.s3_objects import S3Objects
from cpjump_assets_tests.orchestration.lab import LAB_KEYS, Lab, copy_of
from cpjump_assets_tests.stores import moto_store

BLEACHED = next(key for key in PLATE_KEYS if "Bleaching" in key)
MANIFEST = "splits/split_manifest/cellclip_cpjump_style.parquet"


@pytest.fixture(scope="module")
def verified_lab(refreshed_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Give a copy of the lab; each test leaves its files as they were."""
    with copy_of(refreshed_lab, tmp_path_factory.mktemp("verified") / "lab") as lab:
        yield lab


def _execute(lab: Lab) -> tuple[dg.ExecuteInProcessResult, dict[str, object]]:
    """Run the job; give what it shows."""
    with lab.instance() as instance:
        job = build_defs(lab.settings).resolve_job_def("verify")
        result = job.execute_in_process(instance=instance, raise_on_error=False)
    if result.success:
        (shown,) = (event.step_output_data.metadata for event in result.all_events if event.is_successful_output)
    else:
        shown = _failure(result).metadata
    return result, {name: entry.value for name, entry in shown.items()}


def _failure(result: dg.ExecuteInProcessResult) -> dg.Failure:
    (event,) = result.get_step_failure_events()
    return event.step_failure_data.user_failure_data


def _stored(lab: Lab) -> StoredReport:
    with lab.instance() as instance:
        return verify_stored(instance, lab.store)


def _flip(path: Path) -> None:
    """Change a bit in the middle of a file, its size and times left as they were."""
    status = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_a_sound_store_is_read_whole(verified_lab: Lab) -> None:
    result, shown = _execute(verified_lab)
    assert result.success
    root, gallery = verified_lab.store.root, verified_lab.store.gallery_folder
    assert shown["tables"] == len([path for path in root.rglob("*.parquet") if not path.is_relative_to(gallery)])
    assert shown["figures and montages"] == len(list((root / tables.FIGURES_FOLDER).iterdir()))
    with Inventory(gallery) as inventory:
        assert (shown["pulled files"], shown["pulled bytes"]) == inventory.totals_below("")
    assert shown["pulled files"] >= len(LAB_KEYS)
    assert shown["bad files"] == 0


def test_each_bad_file_is_a_line_with_what_to_do(lab: Lab) -> None:
    root = lab.store.root
    figure = next((root / tables.FIGURES_FOLDER).glob("*.svg"))
    pulled = next(lab.store.gallery_folder.rglob(f"*{LAB_KEYS[0].rpartition('.')[2]}.csv.gz"))
    expected = lab.store.describe(tables.SPLIT_MANIFEST.key(STRATEGIES[-1])).digest
    _flip(root / MANIFEST)
    _flip(figure)
    pulled.write_bytes(pulled.read_bytes()[:-1])
    gone = f"profiles/annotated_profiles/{LAB_KEYS[1]}.parquet"
    (root / gone).unlink()
    selected = "profiles/selected_profiles.parquet"
    (root / selected).unlink()
    (root / selected).mkdir()

    result, shown = _execute(lab)

    assert not result.success
    assert shown["bad files"] == 5
    head, *lines = _failure(result).description.splitlines()
    assert head == "5 held files are bad."
    bad = {line.partition(":")[0]: line for line in lines}
    assert set(bad) == {
        MANIFEST,
        figure.relative_to(root).as_posix(),
        pulled.relative_to(root).as_posix(),
        gone,
        selected,
    }
    assert f"expected sha256 {expected}, found " in bad[MANIFEST]
    assert "found no file; make it again by cpjump refresh" in bad[gone]
    assert bad[pulled.relative_to(root).as_posix()].endswith("; pull it again by cpjump verify --repair")

    assert lab.run("profiles", plates=LAB_KEYS[1:2], assets=["annotated_profiles"]).success
    assert {item.name for item in _stored(lab).bad} == set(bad) - {gone, pulled.relative_to(root).as_posix()}


def test_a_table_that_a_run_is_making_is_not_called_bad_and_its_neighbour_is(
    verified_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifying, "_STORED", (tables.SPLIT_MANIFEST,))
    neighbour = f"splits/split_manifest/{STRATEGIES[0]}.parquet"
    before = {name: (verified_lab.store.root / name).read_bytes() for name in (MANIFEST, neighbour)}
    for name in before:
        _flip(verified_lab.store.root / name)
    try:
        assert {item.name for item in _stored(verified_lab).bad} == set(before)
        with verified_lab.instance() as instance:
            job = build_defs(verified_lab.settings).resolve_job_def("strategy")
            run = instance.create_run_for_job(job, tags={"dagster/partition": STRATEGIES[-1]})
            report = verify_stored(instance, verified_lab.store)
            assert report.under_way == (MANIFEST,)
            assert [item.name for item in report.bad] == [neighbour]
            instance.report_run_failed(run)
        assert {item.name for item in _stored(verified_lab).bad} == set(before)
    finally:
        for name, content in before.items():
            (verified_lab.store.root / name).write_bytes(content)


def test_a_figure_that_a_run_is_drawing_is_not_called_bad(verified_lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verifying, "_STORED", (tables.BENCHMARK_FIGURES,))
    path = min((verified_lab.store.root / tables.FIGURES_FOLDER).glob("*.png"))
    content, name = path.read_bytes(), f"{tables.FIGURES_FOLDER}/{path.name}"
    _flip(path)
    try:
        assert [item.name for item in _stored(verified_lab).bad] == [name]
        with verified_lab.instance() as instance:
            run = instance.create_run_for_job(build_defs(verified_lab.settings).resolve_job_def("comparison"))
            report = verify_stored(instance, verified_lab.store)
            assert (report.under_way, report.bad) == ((name,), ())
            instance.report_run_failed(run)
    finally:
        path.write_bytes(content)


@pytest.mark.parametrize(
    ("partition", "command"),
    [(LAB_KEYS[0], "cpjump refresh"), (BLEACHED, f"cpjump refresh --batch {BLEACHED.partition('.')[0]}")],
)
def test_the_advice_names_the_batch_of_a_plate_that_a_plain_refresh_leaves_out(
    verified_lab: Lab, monkeypatch: pytest.MonkeyPatch, partition: str, command: str
) -> None:
    monkeypatch.setattr(verifying, "_STORED", (StoredAsset("profiles", "of_a_test", "1"),))
    with verified_lab.instance() as instance:
        instance.report_runless_asset_event(dg.AssetMaterialization("of_a_test", partition=partition))
        (bad,) = verify_stored(instance, verified_lab.store).bad
        instance.wipe_assets([dg.AssetKey("of_a_test")])
    assert bad.advice == f"make it again by {command}"


def test_copies_in_a_store_in_s3_are_read_again(tmp_path: Path) -> None:
    file = tmp_path / "a.csv.gz"
    file.write_bytes(b"pulled")
    with moto_store() as server:
        objects = S3Objects(server.place("read_again/gallery"))
        sound, damaged = (objects.publish(f"p/{name}.csv.gz.etag", file) for name in "ab")
        server.put(f"read_again/gallery/{damaged.object_name}", b"polled")
        settings = Settings(store=server.url("read_again"), store_endpoint=server.endpoint, work=tmp_path)
        with dg.DagsterInstance.ephemeral() as instance:
            job = build_defs(settings).resolve_job_def("verify")
            result = job.execute_in_process(instance=instance, raise_on_error=False)
    _, line = _failure(result).description.splitlines()
    place = f"{server.url('read_again')}/gallery/{damaged.name}"
    assert line.startswith(f"{place}: expected sha256 {sound.sha256}, found sha256 ")
    assert f"; remove {place}.json: the next refresh " in line
    shown = {name: entry.value for name, entry in _failure(result).metadata.items()}
    assert (shown["copies in S3"], shown["bytes of copies in S3"], shown["bad files"]) == (2, 6, 1)


def test_nothing_is_made_of_a_store_that_holds_nothing(tmp_path: Path) -> None:
    assert verify_pulled(tmp_path / "gallery") is None
    assert not (tmp_path / "gallery").exists()


def test_of_very_many_bad_files_the_first_are_named() -> None:
    bad = [BadFile(f"file {number}", "one", "another", "pull it") for number in range(NAMED + 5)]
    lines = message_of(bad).splitlines()
    assert lines[0] == f"{NAMED + 5} held files are bad."
    assert lines[1] == "file 0: expected one, found another; pull it"
    assert lines[-1] == "and 5 more"
    assert len(lines) == NAMED + 2


def test_every_asset_with_files_beside_its_table_is_known() -> None:
    assert {asset.name for asset in verifying._STORED} >= set(verifying._FILES)
