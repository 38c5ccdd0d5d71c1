import hashlib
import shutil
from pathlib import Path

import pytest

from cpjump_assets.gallery.reference.digests import KNOWN_SHA256, known_digests
from cpjump_assets.gallery.reference.root import ReferenceRoot, combined_digest, file_table
from cpjump_assets.gallery.reference.tables import ReferenceKind
from cpjump_assets.science.errors import BadTableError, GalleryError
from cpjump_assets.science.plates import BATCHES, MAIN_BATCH
from cpjump_assets.settings import DEFAULT_REFERENCE

COMMIT_OF_2021 = "4ad23669a9e7083a8920b4385d0647958b057318"
OFFICIAL = "datasplits/cpjump1_metadata.csv"
ADDITIONAL = "benchmark/input/JUMP-Target-1_compound_metadata_additional_annotations.tsv"


@pytest.fixture
def copy(reference_root, tmp_path):
    """Give a writable copy of the real reference tables, at the address of a commit whose files are known."""
    root = tmp_path / COMMIT_OF_2021
    for folder in ("datasplits", "benchmark", "metadata"):
        shutil.copytree(reference_root / folder, root / folder, copy_function=shutil.copyfile)
    for path in root.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return root


def _files(root: Path, *kinds: ReferenceKind):
    return ReferenceRoot.parse(str(root)).files(*kinds)


def test_the_files_of_the_real_reference_data_are_found(reference_root):
    files = _files(reference_root)
    paths = [file.path for file in files]
    assert len(set(paths)) == len(paths) == 1 + 1 + 6 + 8 + 4
    assert all(file.content == (reference_root / file.path).read_bytes() for file in files)
    assert all(file.sha256 == hashlib.sha256(file.content).hexdigest() for file in files)
    assert {file.path for file in files if file.kind == ReferenceKind.BARCODES} == {
        f"metadata/platemaps/{batch}/barcode_platemap.csv" for batch in BATCHES
    }
    assert sorted(
        file.name for file in files if file.kind == ReferenceKind.PLATE_MAP and MAIN_BATCH + "/" in file.path
    ) == [
        "JUMP-Target-1_compound_platemap.txt",
        "JUMP-Target-1_crispr_platemap.txt",
        "JUMP-Target-1_orf_platemap.txt",
    ]
    one_file = {
        file.kind: file.path for file in files if file.kind not in (ReferenceKind.BARCODES, ReferenceKind.PLATE_MAP)
    }
    assert one_file == {
        ReferenceKind.OFFICIAL: OFFICIAL,
        ReferenceKind.EXPERIMENT: "benchmark/output/experiment-metadata.tsv",
        ReferenceKind.COMPOUNDS: "metadata/moa/JUMP-Target-1_compound_metadata.tsv",
        ReferenceKind.TARGET_LISTS: "metadata/moa/JUMP-Target-1_compound_metadata_targets.tsv",
        ReferenceKind.CRISPR: "metadata/moa/JUMP-Target-1_crispr_metadata.tsv",
        ReferenceKind.ORF: "metadata/moa/JUMP-Target-1_orf_metadata.tsv",
    }


def test_only_the_kinds_asked_for_are_read(reference_root):
    files = _files(reference_root, ReferenceKind.ORF, ReferenceKind.CRISPR)
    assert [file.kind for file in files] == [ReferenceKind.CRISPR, ReferenceKind.ORF]


@pytest.mark.parametrize(
    ("kind", "better", "worse"),
    [
        (
            ReferenceKind.EXPERIMENT,
            "benchmark/input/experiment-metadata.tsv",
            "benchmark/output/experiment-metadata.tsv",
        ),
        (
            ReferenceKind.ORF,
            "metadata/external_metadata/JUMP-Target-1_orf_metadata.tsv",
            "metadata/moa/JUMP-Target-1_orf_metadata.tsv",
        ),
        (ReferenceKind.TARGET_LISTS, ADDITIONAL, "metadata/moa/JUMP-Target-1_compound_metadata_targets.tsv"),
        (
            ReferenceKind.TARGET_LISTS,
            "metadata/external_metadata/JUMP-Target-1_compound_metadata_targets.tsv",
            "metadata/moa/JUMP-Target-1_compound_metadata_targets.tsv",
        ),
    ],
)
def test_the_better_place_is_taken_where_the_root_has_it(copy, kind, better, worse):
    assert [file.path for file in _files(copy, kind)] == [worse]
    (copy / better).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(copy / worse, copy / better)
    assert [file.path for file in _files(copy, kind)] == [better]


def test_a_missing_file_is_one_error_with_the_places_tried(copy):
    (copy / "metadata/moa/JUMP-Target-1_orf_metadata.tsv").unlink()
    with pytest.raises(GalleryError) as caught:
        _files(copy)
    assert str(caught.value).endswith(
        "(CPJUMP_REFERENCE) has no ORF annotations: tried "
        "metadata/external_metadata/JUMP-Target-1_orf_metadata.tsv, metadata/moa/JUMP-Target-1_orf_metadata.tsv"
    )


def test_a_plate_map_that_a_barcode_file_names_must_be_there(copy):
    (copy / f"metadata/platemaps/{MAIN_BATCH}/platemap/JUMP-Target-1_orf_platemap.txt").unlink()
    with pytest.raises(
        GalleryError, match=f"has no plate map: tried metadata/platemaps/{MAIN_BATCH}/platemap/JUMP-Target-1_orf"
    ):
        _files(copy)


def test_a_barcode_file_cannot_lead_out_of_the_root(copy, tmp_path):
    (tmp_path / "secret.txt").write_text("x")
    root = copy.rename(tmp_path / "unpinned")
    barcodes = root / f"metadata/platemaps/{MAIN_BATCH}/barcode_platemap.csv"
    barcodes.write_text("Assay_Plate_Barcode,Plate_Map_Name\nBR00116991,../../../../../secret\n")
    with pytest.raises(GalleryError, match="cannot be stored"):
        _files(root, ReferenceKind.PLATE_MAP)


def test_a_barcode_file_without_its_column_is_named(copy, tmp_path):
    root = copy.rename(tmp_path / "unpinned")
    (root / f"metadata/platemaps/{MAIN_BATCH}/barcode_platemap.csv").write_text("Assay_Plate_Barcode\nBR00116991\n")
    with pytest.raises(BadTableError, match="column Plate_Map_Name is missing; found: Assay_Plate_Barcode"):
        _files(root, ReferenceKind.PLATE_MAP)


def test_every_known_sum_is_that_of_the_real_file(reference_root):
    known = KNOWN_SHA256[COMMIT_OF_2021]
    assert known == {path: hashlib.sha256((reference_root / path).read_bytes()).hexdigest() for path in known}
    read = {file.path for file in _files(reference_root)}
    assert read - set(known) == {"benchmark/output/experiment-metadata.tsv"}


def test_the_official_table_is_known_at_the_default_commit():
    assert known_digests(DEFAULT_REFERENCE) == known_digests(f"{DEFAULT_REFERENCE}/")
    assert known_digests(DEFAULT_REFERENCE)[OFFICIAL].startswith("69bfe6d5")
    assert known_digests("https://example.org/root") == {}


def test_one_changed_byte_of_a_known_file_is_refused(copy):
    expected = hashlib.sha256((copy / OFFICIAL).read_bytes()).hexdigest()
    content = bytearray((copy / OFFICIAL).read_bytes())
    content[-2] ^= 1
    (copy / OFFICIAL).write_bytes(content)
    found = hashlib.sha256(content).hexdigest()
    with pytest.raises(
        GalleryError, match=f"{OFFICIAL} of the reference root .*: expected sha256 {expected}, found {found}"
    ):
        _files(copy, ReferenceKind.OFFICIAL)
    # A root of one's own may differ.
    assert _files(copy.rename(copy.with_name("mine")), ReferenceKind.OFFICIAL)[0].sha256 == found


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<!DOCTYPE html><html></html>", "an HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "a Git LFS pointer"),
        (b"", "an empty file"),
    ],
)
def test_what_is_no_table_is_named(copy, content, said):
    (copy / OFFICIAL).write_bytes(content)
    with pytest.raises(GalleryError, match=f"{OFFICIAL} of the reference root .*: expected a table, found {said}"):
        _files(copy, ReferenceKind.OFFICIAL)


def test_a_web_root_gives_the_same_files_as_the_folder(reference_root, web_server):
    expected = _files(reference_root)
    answers = {f"/{COMMIT_OF_2021}/{file.path}": (200, {}, file.content) for file in expected}
    assert _files(f"{web_server(answers)}/{COMMIT_OF_2021}") == expected


def test_a_wrong_sum_over_the_web_is_refused(reference_root, web_server):
    content = (reference_root / OFFICIAL).read_bytes()[:-1]
    address = web_server({f"/{COMMIT_OF_2021}/{OFFICIAL}": (200, {}, content)})
    with pytest.raises(GalleryError, match="expected sha256 69bfe6d5"):
        ReferenceRoot.parse(f"{address}/{COMMIT_OF_2021}").files(ReferenceKind.OFFICIAL)


def test_a_bucket_gives_the_same_files_as_the_folder(reference_root, served):
    expected = _files(reference_root)
    for file in expected:
        served.put(f"reference/{file.path}", file.content)
    root = ReferenceRoot.parse(f"s3://{served.bucket}/reference", endpoint=served.server.endpoint)
    assert root.files() == expected


def test_the_combined_digest_tells_paths_and_contents_but_not_the_order(reference_root, copy):
    files = _files(reference_root)
    assert combined_digest(files) == combined_digest(files[::-1]) == combined_digest(_files(copy))
    assert combined_digest(files) != combined_digest(files[1:])
    experiment = copy / "benchmark/output/experiment-metadata.tsv"
    experiment.write_text(experiment.read_text().replace("WGA", "wga", 1))
    assert combined_digest(files) != combined_digest(_files(copy))


def test_files_are_described_by_path(reference_root):
    table = file_table(_files(reference_root))
    assert list(table.columns) == ["kind", "path", "bytes", "sha256"]
    assert table["path"].is_monotonic_increasing
    assert table.loc[table["path"] == OFFICIAL, "bytes"].item() == 3_200_348


def test_passwords_do_not_reach_messages(web_server):
    address = web_server({}).replace("http://", "http://user:secret@")
    with pytest.raises(GalleryError) as caught:
        ReferenceRoot.parse(address).files(ReferenceKind.OFFICIAL)
    assert "secret" not in str(caught.value)
