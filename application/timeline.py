"""Calls a timeline stage so that it sees only complete frames, however its input is cut.

Producers finish at different frames (a smoother holds rows back), so a consumer reads up to the
lowest watermark of its inputs; rows past it wait in the carried record.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from application import records
from application.stage import Rows, StageResult, TimelineStage
from domain import tables

AT_END = 2**62


class Carried(msgspec.Struct):
    """What a timeline stage hands from one segment to the next."""

    state: bytes
    consumed: int = 0
    watermark: int = 0
    pending: dict[str, bytes] = {}


@dataclass(frozen=True)
class Delivery:
    """New rows of one table, and the frame before which none is missing any more."""

    rows: pa.Table
    watermark: int


def begin(stage: TimelineStage) -> Carried:
    """The carried record before the first segment."""
    return Carried(state=records.encode(stage.start()))


def step(
    stage: TimelineStage, carried: Carried, deliveries: Mapping[str, Delivery], *, final: bool
) -> tuple[StageResult, Carried]:
    """Give `stage` the frames that are now complete and return what became final.

    Args:
        deliveries: for each table that the stage reads, what came since the last call.
        final: nothing comes after this; every frame is complete.
    """
    end = AT_END if final else min(delivery.watermark for delivery in deliveries.values())
    end = max(end, carried.consumed)
    complete, pending = {}, {}
    for name, delivery in deliveries.items():
        complete[name], rest = _divide(_with_pending(name, delivery.rows, carried), end)
        if rest.num_rows:
            pending[name] = records.table_bytes(rest)
    state = records.decode(carried.state, stage.state_type)
    result = stage.advance(Rows(carried.consumed, end, complete), state, final=final)
    checked = {name: tables.check(name, table) for name, table in result.tables.items()}
    after = Carried(
        records.encode(result.state), end, AT_END if final else result.watermark, pending
    )
    return StageResult(checked, result.state, after.watermark, result.files), after


def _with_pending(name: str, rows: pa.Table, carried: Carried) -> pa.Table:
    if name not in carried.pending:
        return rows
    return pa.concat_tables([records.table_from_bytes(carried.pending[name]), rows])


def _divide(rows: pa.Table, end: int) -> tuple[pa.Table, pa.Table]:
    """Rows of the frames before `end`, and the others."""
    count = pc.sum(pc.less(rows["frame"], end)).as_py() or 0
    return rows.slice(0, count).combine_chunks(), rows.slice(count)
