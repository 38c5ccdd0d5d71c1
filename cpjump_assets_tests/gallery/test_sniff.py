import pytest

from cpjump_assets.gallery.sniff import impostor


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "an empty file"),
        (b"\n \n", "an empty file"),
        (b"<!DOCTYPE html>\n<html>", "an HTML page"),
        (b"\xef\xbb\xbf\n<HTML lang='en'>", "an HTML page"),
        (b"<!-- saved page --><html><body>", "an HTML page"),
        (b'<?xml version="1.0"?><Error><Code>NoSuchKey</Code></Error>', "an XML document, as S3 sends for errors"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:6e9c894b\nsize 143155\n",
            "a Git LFS pointer, not the file that it points to",
        ),
    ],
)
def test_impostors_are_named(content, said):
    assert impostor(content) == said


@pytest.mark.parametrize(
    "content", [b"Metadata_Plate,Metadata_Well\n", b"well_position\tbroad_sample\n", b"version,x\n1,2\n"]
)
def test_tables_pass(content):
    assert impostor(content) is None


def test_all_real_tables_pass(reference_root):
    tables = [path for path in reference_root.rglob("*") if path.suffix in (".csv", ".tsv", ".txt")]
    assert len(tables) > 20
    assert [path for path in tables if impostor(path.read_bytes())] == []
