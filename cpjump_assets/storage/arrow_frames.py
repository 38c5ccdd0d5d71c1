"""Between pandas frames and Arrow tables, without loss.

Belongs here: column types on the way to a file and back. Does not belong here: files.
"""

import pandas as pd
import pyarrow as pa

_NULLABLE = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}


def to_arrow(frame: pd.DataFrame) -> pa.Table:
    """Give the columns of a frame, without its index and without what pandas would note in the schema.

    Raises
    ------
    ValueError
        If a column holds nothing and has no type.
    """
    table = pa.Table.from_pandas(frame, preserve_index=False)
    untyped = [item.name for item in table.schema if pa.types.is_null(item.type)]
    if untyped:
        raise ValueError(f"columns {untyped} hold nothing and have no type")
    # The pandas footer would tie the bytes to the pandas version; the column types say all that is needed.
    return table.replace_schema_metadata(None)


def to_frame(table: pa.Table) -> pd.DataFrame:
    """Keep integers and booleans what they are where some are missing; pandas would make floats and objects of them."""
    frame = table.to_pandas()
    for item, column in zip(table.schema, table.columns, strict=True):
        if column.null_count and item.type in _NULLABLE:
            frame[item.name] = column.to_pandas(types_mapper=_NULLABLE.get)
    return frame


def text_columns(schema: pa.Schema) -> list[str]:
    """Name the columns of text: dictionary pages help repeated text, and nothing else."""
    return [item.name for item in schema if pa.types.is_string(item.type) or pa.types.is_large_string(item.type)]
