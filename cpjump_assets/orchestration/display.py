"""How tables look in the web UI: row counts, column schemas, previews and inline pictures.

Belongs here: turning stored tables and PNG bytes into Dagster metadata. Does not belong here: drawing (``figures``),
computing (``science``).
"""

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg

if TYPE_CHECKING:
    import pandas as pd

    from cpjump_assets.science.schemas import TableSchema
    from cpjump_assets.storage.store import StoredTable

LARGEST_PNG = 80_000
"""Bytes of an inline picture: every page that lists the event loads it again."""
_FEATURES_NAMED = 3


def table_metadata(stored: "StoredTable", schema: "TableSchema | None" = None) -> dict[str, Any]:
    """Describe a stored table: rows, columns, size, digest, origin and what it was made from."""
    return {
        "dagster/row_count": stored.rows,
        "dagster/column_schema": column_schema(stored.columns, schema),
        "bytes": stored.bytes,
        "sha256": stored.digest,
        "origin": stored.provenance.origin,
        "table": dg.MetadataValue.text(f"{stored.key}.parquet"),
    }


def column_schema(columns: tuple[str, ...], schema: "TableSchema | None" = None) -> dg.TableSchema:
    """Give the column schema that the UI shows; features are thousands, so the first few stand for all of them."""
    described = {column.name: column for column in schema.columns} if schema else {}
    metadata = [name for name in columns if name in described or name.startswith("Metadata_")]
    features = [name for name in columns if name not in metadata] if schema is None else []
    listed = [name for name in columns if schema is not None or name in metadata]
    entries = [_column(name, described.get(name)) for name in listed]
    entries += [dg.TableColumn(name, "float32", description="feature") for name in features[:_FEATURES_NAMED]]
    if len(features) > _FEATURES_NAMED:
        entries.append(dg.TableColumn("...", "float32", description=f"{len(features)} features in all"))
    return dg.TableSchema(columns=entries)


def _column(name: str, column: Any) -> dg.TableColumn:
    if column is None:
        return dg.TableColumn(name, "string")
    constraints = dg.TableColumnConstraints(nullable=column.nullable)
    return dg.TableColumn(name, column.kind, description=column.description, constraints=constraints)


def preview(frame: "pd.DataFrame", *, rows: int = 20) -> dg.MetadataValue:
    """Show the first rows of a small table as markdown."""
    return markdown_table(frame.head(rows))


def markdown_table(frame: "pd.DataFrame") -> dg.MetadataValue:
    """Show a whole small table as markdown."""
    header = "| " + " | ".join(map(str, frame.columns)) + " |"
    rule = "|" + "---|" * len(frame.columns)
    body = ["| " + " | ".join(_cell(value) for value in row) + " |" for row in frame.itertuples(index=False)]
    return dg.MetadataValue.md("\n".join([header, rule, *body]))


def _cell(value: object) -> str:
    if value is None or value != value:  # NaN is the one value that differs from itself
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value).replace("|", "\\|")


def picture(png: bytes, alt: str) -> dg.MetadataValue:
    """Show a small PNG inline.

    Raises
    ------
    ValueError
        If it is larger than ``LARGEST_PNG``.
    """
    if len(png) > LARGEST_PNG:
        raise ValueError(f"picture {alt!r} has {len(png)} bytes, more than the {LARGEST_PNG} that the UI should carry")
    return dg.MetadataValue.md(f"![{alt}](data:image/png;base64,{base64.b64encode(png).decode()})")


def counts(values: Mapping[str, int]) -> dict[str, dg.MetadataValue]:
    """Show counts as numbers, which the UI plots over time."""
    return {name: dg.MetadataValue.int(int(value)) for name, value in values.items()}
