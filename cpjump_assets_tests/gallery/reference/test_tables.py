import csv
import hashlib
import io

import pandas as pd
import pytest

from cpjump_assets.gallery.reference.root import ReferenceRoot
from cpjump_assets.gallery.reference.tables import (
    ReferenceFile,
    ReferenceKind,
    barcode_plate_maps,
    plate_maps,
    read_table,
    target_lists,
    the_table,
)
from cpjump_assets.science.errors import BadTableError
from cpjump_assets.science.plates import BATCHES, MAIN_BATCH

MAPS = ["JUMP-Target-1_compound_platemap", "JUMP-Target-1_crispr_platemap", "JUMP-Target-1_orf_platemap"]


def _file(kind: ReferenceKind, content: str | bytes, path: str = "folder/file.tsv") -> ReferenceFile:
    raw = content.encode() if isinstance(content, str) else content
    return ReferenceFile(kind=kind, path=path, sha256=hashlib.sha256(raw).hexdigest(), content=raw)


@pytest.fixture(scope="module")
def real_files(reference_root):
    return ReferenceRoot.parse(str(reference_root)).files()


def test_every_real_table_is_read_to_the_letter(real_files):
    for file in real_files:
        delimiter = "," if file.path.endswith(".csv") else "\t"
        header, *rows = csv.reader(io.StringIO(file.content.decode()), delimiter=delimiter)
        missing = {"", "NA"} if file.kind == ReferenceKind.OFFICIAL else {""}
        frame = read_table(file)
        assert list(frame.columns) == header
        assert set(map(str, frame.dtypes)) == {"str"}
        expected = [[None if value in missing else value for value in row] for row in rows]
        assert frame.astype(object).where(frame.notna(), None).to_numpy().tolist() == expected, file.path


def test_rows_of_the_real_tables(real_files):
    rows = {kind: len(the_table(real_files, kind)) for kind in ("official split table", "experiment metadata")}
    assert rows == {"official split table": 15_275, "experiment metadata": 117}
    assert len(the_table(real_files, ReferenceKind.COMPOUNDS)) == 307
    assert len(the_table(real_files, ReferenceKind.CRISPR)) == 335
    orfs = the_table(real_files, ReferenceKind.ORF)
    assert len(orfs) == 176
    assert orfs.isna().all(axis=1).sum() == 1


def test_na_is_missing_in_the_official_table_and_text_elsewhere():
    content = "broad_sample,gene\nNA,\nnan,None\n"
    official = read_table(_file(ReferenceKind.OFFICIAL, content))
    assert official.isna().to_numpy().tolist() == [[True, True], [False, False]]
    other = read_table(_file(ReferenceKind.BARCODES, content))
    assert other["broad_sample"].tolist() == ["NA", "nan"]
    assert other["gene"].isna().tolist() == [True, False]


def test_texts_stay_texts():
    frame = read_table(_file(ReferenceKind.EXPERIMENT, "Time\tId\tFlag\n024\t1e5\tTRUE\n"))
    assert frame.iloc[0].tolist() == ["024", "1e5", "TRUE"]


def test_quoted_fields_with_separators():
    frame = read_table(_file(ReferenceKind.OFFICIAL, 'name,"the id"\n"(R)-(-)-a, b",7\n'))
    assert frame.to_dict("list") == {"name": ["(R)-(-)-a, b"], "the id": ["7"]}


@pytest.mark.parametrize("row", ["x", "x\ty\tz"])
def test_a_row_of_another_length_is_named(row):
    with pytest.raises(BadTableError, match=r"folder/file.tsv: expected a table of 2 columns: .*Row #3"):
        read_table(_file(ReferenceKind.ORF, f"broad_sample\tgene\na\tb\n{row}\n"))


def test_a_column_that_comes_twice_is_named():
    with pytest.raises(BadTableError, match=r"folder/file.tsv: columns come more than once: gene"):
        read_table(_file(ReferenceKind.ORF, "gene\tgene\na\tb\n"))


def test_text_in_another_encoding_is_named():
    with pytest.raises(BadTableError, match=r"folder/file.tsv: .*UTF8"):
        read_table(_file(ReferenceKind.ORF, "broad_sample\tgene\na\tGröße\n".encode("latin-1")))


def test_a_table_without_rows_is_named():
    with pytest.raises(BadTableError, match=r"folder/file.tsv: expected rows below the header, found none"):
        read_table(_file(ReferenceKind.ORF, "broad_sample\tgene\n"))


def test_marks_and_line_ends_make_no_difference():
    plain = read_table(_file(ReferenceKind.ORF, "broad_sample\tgene\na\t\n"))
    marked = read_table(_file(ReferenceKind.ORF, "\ufeffbroad_sample\tgene\r\na\t\r\n"))
    pd.testing.assert_frame_equal(plain, marked)


def test_plate_maps_by_name_and_barcodes_by_batch(real_files):
    maps, barcodes = plate_maps(real_files), barcode_plate_maps(real_files)
    assert sorted(maps) == MAPS
    assert {len(frame) for frame in maps.values()} == {384}
    assert list(barcodes) == list(BATCHES)
    assert {batch: len(frame) for batch, frame in barcodes.items()} == {
        batch: len(plates) for batch, plates in BATCHES.items()
    }


def test_copies_of_a_plate_map_must_agree(real_files):
    files = [file for file in real_files if file.kind == ReferenceKind.PLATE_MAP]
    main = next(file for file in files if MAIN_BATCH + "/" in file.path and "orf" in file.name)
    other = next(file for file in files if MAIN_BATCH + "/" not in file.path and "orf" in file.name)
    changed = _file(ReferenceKind.PLATE_MAP, other.content.replace(b"A01", b"A02", 1), other.path)
    with pytest.raises(BadTableError, match=f"plate map {main.name} differs between {main.path} and {other.path}"):
        plate_maps([main, changed])


def test_target_lists_say_which_file_they_are_from(real_files):
    ((name, frame),) = target_lists(real_files).items()
    assert name == "JUMP-Target-1_compound_metadata_targets.tsv"
    assert frame["target_list"].str.contains("|", regex=False).any()
