"""The reference root: the paper's public tables, found by fixed rules and refused when they are not what they must be.

Belongs here: which files are read and from where, and the checks of a file as a whole. Does not belong here: how bytes
come here (``transports``), the tables in the files (``reference_tables``).
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pandas as pd

from cpjump_assets.gallery.failures import without_credentials
from cpjump_assets.gallery.reference.digests import known_digests
from cpjump_assets.gallery.reference.tables import ReferenceFile, ReferenceKind, read_table
from cpjump_assets.gallery.reference.transports import Transport, open_transport
from cpjump_assets.gallery.sniff import impostor
from cpjump_assets.science.errors import BadTableError, GalleryError
from cpjump_assets.science.plates import BATCHES

_ANNOTATION_FOLDERS = ("metadata/external_metadata", "metadata/moa")
_PLATE_MAP_COLUMN = "Plate_Map_Name"


def _annotations(name: str) -> tuple[str, ...]:
    return tuple(f"{folder}/JUMP-Target-1_{name}.tsv" for folder in _ANNOTATION_FOLDERS)


PLACES: dict[ReferenceKind, tuple[str, ...]] = {
    ReferenceKind.OFFICIAL: ("datasplits/cpjump1_metadata.csv",),
    ReferenceKind.EXPERIMENT: ("benchmark/input/experiment-metadata.tsv", "benchmark/output/experiment-metadata.tsv"),
    ReferenceKind.COMPOUNDS: _annotations("compound_metadata"),
    # The benchmark of 2024 took its target lists from the first of these; only some commits have it.
    ReferenceKind.TARGET_LISTS: (
        "benchmark/input/JUMP-Target-1_compound_metadata_additional_annotations.tsv",
        *_annotations("compound_metadata_targets"),
    ),
    ReferenceKind.CRISPR: _annotations("crispr_metadata"),
    ReferenceKind.ORF: _annotations("orf_metadata"),
}
"""Where the one file of each kind may lie, best place first: releases of the paper moved some of them."""


@dataclass(frozen=True)
class ReferenceRoot:
    """Where the reference tables lie.

    Attributes
    ----------
    url
        Address of the root, without credentials.
    transport
        Reads files below it.
    """

    url: str
    transport: Transport

    @classmethod
    def parse(cls, url: str, *, endpoint: str | None = None) -> "ReferenceRoot":
        """Make the root for an address: ``https://...``, ``s3://bucket/prefix``, or a folder.

        Parameters
        ----------
        url
            The address. When it ends in a commit whose files are known, their sha256 sums are enforced.
        endpoint
            S3 endpoint, for an ``s3://`` address.

        Raises
        ------
        SettingsError
            If the address cannot be a reference root.
        """
        return cls(url=without_credentials(url), transport=open_transport(url, endpoint=endpoint))

    def read(self, path: str) -> bytes | None:
        """Give the content of a file below the root; None when there is no such file.

        Raises
        ------
        GalleryError
            If the root cannot be read, the content is no table (an HTML page, a Git LFS pointer, nothing), or its
            sha256 is not the known one of this commit.
        """
        content = self.transport.read(path)
        if content is None:
            return None
        found = impostor(content)
        if found is not None:
            raise GalleryError(f"{path} of the reference root {self.url}: expected a table, found {found}")
        expected, actual = known_digests(self.url).get(path), hashlib.sha256(content).hexdigest()
        if expected not in (None, actual):
            raise GalleryError(f"{path} of the reference root {self.url}: expected sha256 {expected}, found {actual}")
        return content

    def files(self, *kinds: ReferenceKind) -> tuple[ReferenceFile, ...]:
        """Read the files of some kinds, by path; without an argument, of all.

        Raises
        ------
        GalleryError
            As ``read``; or if a file is missing, with the places tried.
        BadTableError
            If a barcode file does not say which plate maps there are.
        """
        wanted = kinds or tuple(ReferenceKind)
        found = [self._first_of(kind, places) for kind, places in PLACES.items() if kind in wanted]
        if {ReferenceKind.BARCODES, ReferenceKind.PLATE_MAP}.intersection(wanted):
            found += [file for batch in BATCHES for file in self._plate_map_files(batch) if file.kind in wanted]
        return tuple(sorted(found, key=lambda file: file.path))

    def _plate_map_files(self, batch: str) -> Iterator[ReferenceFile]:
        folder = f"metadata/platemaps/{batch}"
        barcodes = self._first_of(ReferenceKind.BARCODES, (f"{folder}/barcode_platemap.csv",))
        yield barcodes
        for name in _plate_map_names(barcodes):
            yield self._first_of(ReferenceKind.PLATE_MAP, (f"{folder}/platemap/{name}.txt",))

    def _first_of(self, kind: ReferenceKind, places: tuple[str, ...]) -> ReferenceFile:
        for path in places:
            content = self.read(path)
            if content is not None:
                return ReferenceFile(kind=kind, path=path, sha256=hashlib.sha256(content).hexdigest(), content=content)
        raise GalleryError(f"the reference root {self.url} (CPJUMP_REFERENCE) has no {kind}: tried {', '.join(places)}")


def combined_digest(files: Iterable[ReferenceFile]) -> str:
    """Give one sha256 for a set of files: it changes when a path or a content does, whatever their order."""
    lines = sorted(f"{file.sha256}  {file.path}\n" for file in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def file_table(files: Iterable[ReferenceFile]) -> pd.DataFrame:
    """Describe files for people: kind, path, bytes and sha256, by path."""
    rows = [(str(file.kind), file.path, len(file.content), file.sha256) for file in files]
    return pd.DataFrame(rows, columns=["kind", "path", "bytes", "sha256"]).sort_values("path", ignore_index=True)


def _plate_map_names(barcodes: ReferenceFile) -> list[str]:
    table = read_table(barcodes)
    if _PLATE_MAP_COLUMN not in table:
        raise BadTableError(
            f"{barcodes.path}: column {_PLATE_MAP_COLUMN} is missing; found: {', '.join(table.columns)}"
        )
    return sorted(table[_PLATE_MAP_COLUMN].dropna().unique())
