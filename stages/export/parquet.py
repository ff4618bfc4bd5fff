"""The public tables as Parquet files, written group by group so that memory stays flat."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from application.stage import WholeMatch
from domain import tables

ROWS_A_GROUP = 1 << 16


def write(match: WholeMatch, name: str, path: Path) -> Path:
    """Write the table `name`, with its schema and schema version.

    Equal rows give equal bytes, in whatever parts they come.
    """
    with pq.ParquetWriter(path, tables.SCHEMAS[name], compression="zstd") as writer:
        for group in _groups(match.parts(name)):
            writer.write_table(group, row_group_size=ROWS_A_GROUP)
    return path


def _groups(parts: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """The same rows, `ROWS_A_GROUP` at a time, each group in one piece of memory."""
    held: list[pa.Table] = []
    count = 0
    for part in parts:
        held.append(part)
        count += part.num_rows
        while count >= ROWS_A_GROUP:
            rows = pa.concat_tables(held)
            yield rows.slice(0, ROWS_A_GROUP).combine_chunks()
            held, count = [rows.slice(ROWS_A_GROUP)], count - ROWS_A_GROUP
    if count:
        yield pa.concat_tables(held).combine_chunks()
