"""An invented reference root is read like a real one; a copied one is the real one."""

from pathlib import Path

import pytest

from cpjump_assets.gallery.reference.metadata import load_metadata
from cpjump_assets.gallery.reference.root import ReferenceRoot
from cpjump_assets.science.errors import GalleryError
from cpjump_assets.simulate.reference_files import copy_reference, write_invented_reference


@pytest.fixture(scope="module")
def invented(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("invented")
    write_invented_reference(root, seed=1)
    return root


def files_below(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def test_the_platform_reads_the_invented_tables_with_the_published_counts(invented: Path):
    experiments, perturbations, wells = load_metadata(ReferenceRoot.parse(str(invented)))
    assert (len(experiments), len(perturbations), len(wells)) == (117, 817, 107 * 384)
    main = wells[wells["Metadata_Batch"] == "2020_11_04_CPJUMP1"]
    assert main["Metadata_ineligible_reason"].value_counts().to_dict() == {
        "not a primary plate": 4_224,
        "negative control": 2_450,
        "empty": 96,
        "absent from the official table": 85,
    }
    assert main["Metadata_eligible"].sum() == 12_729


def test_invented_files_lie_where_the_real_ones_do(invented: Path, reference_root: Path):
    ours = files_below(invented)
    assert ours <= files_below(reference_root)
    assert {file.path for file in ReferenceRoot.parse(str(reference_root)).files()} <= ours


def test_headers_are_those_of_the_real_files(invented: Path, reference_root: Path):
    for name in sorted(files_below(invented)):
        ours, theirs = ((root / name).read_text().splitlines() for root in (invented, reference_root))
        assert ours[0] == theirs[0], name
        assert len(ours) == len(theirs), name


def test_blank_rows_are_those_of_the_real_files(invented: Path):
    moa = invented / "metadata" / "moa"
    orfs = (moa / "JUMP-Target-1_orf_metadata.tsv").read_text().splitlines()
    assert orfs.count("\t\t\t") == 1
    compounds = (moa / "JUMP-Target-1_compound_metadata_targets.tsv").read_text().splitlines()
    blank = [line.split("\t") for line in compounds if line.startswith("\t")]
    assert [(row[2], row[4], row[7]) for row in blank] == [("DMSO", "", "negcon")]


def test_a_copy_has_the_tables_that_the_platform_reads_and_nothing_else(reference_root: Path, tmp_path: Path):
    copy_reference(reference_root, tmp_path)
    copied = files_below(tmp_path)
    assert "datasplits/cpjump1_metadata.csv" in copied
    assert "lfs_pointers_2021.csv" not in copied
    for name in copied:
        assert (tmp_path / name).read_bytes() == (reference_root / name).read_bytes()
    assert load_metadata(ReferenceRoot.parse(str(tmp_path))).perturbations.shape[0] == 817


def test_a_folder_that_is_no_reference_root_is_refused(tmp_path: Path):
    (tmp_path / "datasplits").mkdir()
    with pytest.raises(GalleryError, match=r"cpjump1_metadata\.csv"):
        copy_reference(tmp_path, tmp_path / "copy")
