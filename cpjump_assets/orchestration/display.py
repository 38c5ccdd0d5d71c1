"""How tables look in the web UI: row counts, column schemas, previews and inline pictures.

Belongs here: turning stored tables and PNG bytes into Dagster metadata. Does not belong here: drawing (``figures``),
computing (``science``).
"""

import base64
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

if TYPE_CHECKING:
    import pandas as pd

    from cpjump_assets.science.schemas import Column, TableSchema
    from cpjump_assets.storage.store import StoredTable

LARGEST_PNG = 80_000
"""Bytes of an inline picture: every page that lists the event loads it again."""
LARGEST_GALLERY = 590_000
"""Characters of several inline pictures in one event."""


def table_metadata(stored: "StoredTable", schema: "TableSchema | None" = None) -> dict[str, Any]:
    """Describe a stored table: rows, columns, size, digest, origin and what it was made from."""
    return {
        "dagster/row_count": stored.rows,
        "dagster/column_schema": column_schema(stored.columns, stored.n_columns, schema),
        "bytes": stored.bytes,
        "sha256": stored.digest,
        "origin": stored.provenance.origin,
        **({"preset": stored.provenance.preset} if stored.provenance.preset else {}),
        "table": dg.MetadataValue.text(f"{stored.key}.parquet"),
    }


def column_schema(columns: Mapping[str, str], n_columns: int, schema: "TableSchema | None" = None) -> dg.TableSchema:
    """Give the column schema that the UI shows; of thousands of features, the first ones stand for all.

    Parameters
    ----------
    columns
        Type of each of the first columns, by name.
    n_columns
        Columns that the table has.
    schema
        What is declared of them.
    """
    described = {column.name: column for column in schema.columns} if schema else {}
    listed = [_column(name, kind, described.get(name)) for name, kind in columns.items()]
    if n_columns > len(listed):
        listed.append(
            dg.TableColumn("...", "float", description=f"{n_columns:,} columns in all; the others are features")
        )
    return dg.TableSchema(columns=listed)


def _column(name: str, kind: str, column: "Column | None") -> dg.TableColumn:
    if column is None:
        return dg.TableColumn(name, kind)
    constraints = dg.TableColumnConstraints(nullable=column.nullable)
    return dg.TableColumn(name, column.kind, description=column.description, constraints=constraints)


def markdown_table(frame: "pd.DataFrame") -> dg.MetadataValue:
    """Show a whole small table as markdown; a missing value, of any type, is an empty cell."""
    values = frame.astype(object).where(frame.notna(), "")
    header, *body = (
        "| " + " | ".join(map(_cell, row)) + " |" for row in (frame.columns, *values.itertuples(index=False))
    )
    return dg.MetadataValue.md("\n".join([header, "|" + "---|" * len(frame.columns), *body]))


def narrow(frame: "pd.DataFrame", shown: Mapping[str, str | Sequence[str]]) -> "pd.DataFrame":
    """Choose, order and rename the columns of a table that a dialog of the web UI shows; it is some 100 letters wide.

    Parameters
    ----------
    shown
        By the name to show: a column, or several that are joined by a blank, such as those of a condition.
    """
    columns = {
        name: frame[of] if isinstance(of, str) else [" ".join(map(str, row)) for row in frame[list(of)].to_numpy()]
        for name, of in shown.items()
    }
    return frame.assign(**columns)[list(columns)]


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return " ".join(str(value).replace("\\", "\\\\").replace("|", "\\|").split("\n"))


def picture(png: bytes, alt: str) -> dg.MetadataValue:
    """Show a small PNG inline.

    Raises
    ------
    ValueError
        If it is larger than ``LARGEST_PNG``.
    """
    if len(png) > LARGEST_PNG:
        raise ValueError(f"picture {alt!r} has {len(png)} bytes, more than the {LARGEST_PNG} that the UI should carry")
    return dg.MetadataValue.md(_inline(png, alt))


def pictures(pngs: Mapping[str, bytes]) -> dg.MetadataValue:
    """Show several PNG inline, each below its name.

    How many bytes a figure of real data takes depends on the data. One that is too large for the event, by itself or
    together with those before it, is named and not shown; its file is in the store all the same.
    """
    parts: list[str] = []
    for name, png in pngs.items():
        shown = f"### {name}\n\n{_inline(png, name)}"
        if len(png) > LARGEST_PNG or sum(map(len, parts)) + len(shown) > LARGEST_GALLERY:
            shown = f"### {name}\n\ntoo large to be shown here ({len(png):,} bytes): see the file"
        parts.append(shown)
    return dg.MetadataValue.md("\n\n".join(parts))


def _inline(png: bytes, alt: str) -> str:
    return f"![{alt}](data:image/png;base64,{base64.b64encode(png).decode()})"


def counts(values: Mapping[str, int]) -> dict[str, dg.MetadataValue]:
    """Show counts as numbers, which the UI plots over time."""
    return {name: dg.MetadataValue.int(int(value)) for name, value in values.items()}
