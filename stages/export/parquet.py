"""The public tables as Parquet files, written a segment at a time so that memory stays flat."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from application.stage import WholeMatch
from domain import tables


def write(match: WholeMatch, name: str, path: Path) -> Path:
    """Write the table `name`, with its schema and schema version; equal rows give equal bytes."""
    with pq.ParquetWriter(path, tables.SCHEMAS[name], compression="zstd") as writer:
        wrote = False
        for part in match.parts(name):
            if part.num_rows:
                writer.write_table(part)
                wrote = True
        if not wrote:
            writer.write_table(pa.Table.from_batches([], tables.SCHEMAS[name]))
    return path
