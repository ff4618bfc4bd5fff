"""What a message on each topic holds: versioned JSON, described in docs/events.md.

Add a field only as nullable, so that old consumers and the broker accept it; anything else needs
a new `SCHEMA_VERSION` and new topics.
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pulsar.schema import Array, Double, Integer, JsonSchema, Long, Record, String

from application.state import LogEntry
from domain.errors import TableError
from domain.grid import END, Cell
from domain.pipeline import EventKind

SCHEMA_VERSION = 1
LAST_CELL = Cell("event_detection", END)
"""Its completion makes the match events final."""

_ROW_BITS = 16
_NUMBER_LIMIT = 1 << (63 - _ROW_BITS)


class PipelineEvent(Record):  # type: ignore[misc]
    """A message of the topic `.pipeline`."""

    schema_version = Integer(required=True)
    event_id = String(required=True)
    kind = String(required=True)
    time = String(required=True)
    pipeline_id = String(required=True)
    attempt = Integer(required=True)
    cell = String()
    stage = String()
    segment = Integer()
    key = String()
    message = String()


class MatchEvent(Record):  # type: ignore[misc]
    """A message of the topic `.match`: a row of the table `match_events`."""

    schema_version = Integer(required=True)
    event_id = String(required=True)
    pipeline_id = String(required=True)
    key = String(required=True)
    events = Integer(required=True)
    event = Long(required=True)
    type = String(required=True)
    start_frame = Long(required=True)
    start_s = Double(required=True)
    start_x = Double()
    start_y = Double()
    end_frame = Long(required=True)
    end_s = Double(required=True)
    end_x = Double()
    end_y = Double()
    player = String()
    receiver = String()
    team = String(required=True)
    outcome = String()
    confidence = Double(required=True)
    evidence = String(required=True)
    evidence_frames = Array(Long(), required=True)


class CompactJson(JsonSchema):  # type: ignore[misc]
    """JSON without the line breaks that the client's own schema class writes."""

    def encode(self, obj: Record) -> bytes:
        self._validate_object_type(obj)
        return json.dumps(content(obj), separators=(",", ":"), allow_nan=False).encode()


def content(record: Record) -> dict[str, Any]:
    """The fields of a message in the order of its schema."""
    return {name: getattr(record, name) for name in type(record)._fields}


@dataclass(frozen=True)
class Message:
    """A message to send. `sequence` rises within a topic; the broker drops one that does not."""

    sequence: int
    record: Record
    key: str
    time_ms: int
    properties: Mapping[str, str]


def pipeline_message(entry: LogEntry) -> Message:
    """A domain event as a message of the topic `.pipeline`."""
    event = entry.event
    inside = event.cell is not None and event.cell.segment != END
    record = PipelineEvent(
        schema_version=SCHEMA_VERSION,
        event_id=event.event_id,
        kind=event.kind.value,
        time=_rfc3339(entry.time),
        pipeline_id=event.pipeline_id,
        attempt=event.attempt,
        cell=str(event.cell) if event.cell else None,
        stage=event.cell.stage if event.cell else None,
        segment=event.cell.segment if event.cell and inside else None,
        key=event.key or None,
        message=event.message or None,
    )
    return _message(entry, entry.number, record, event.kind.value)


def ends_the_match(entry: LogEntry) -> bool:
    """Whether the match events are final with this entry."""
    return entry.event.kind == EventKind.STAGE_COMPLETED and entry.event.cell == LAST_CELL


def match_messages(entry: LogEntry, table: pa.Table) -> Sequence[Message]:
    """The final rows of the table `match_events` as messages of the topic `.match`.

    Raises:
        TableError: there are more rows than sequence ids for them.
    """
    rows = _plain(table.filter(pc.invert(table["provisional"]))).to_pylist()
    if len(rows) > 1 << _ROW_BITS or entry.number >= _NUMBER_LIMIT:
        raise TableError(
            f"pipeline {entry.event.pipeline_id}: {len(rows)} match events at log number "
            f"{entry.number} have no sequence ids: at most {1 << _ROW_BITS} a match"
        )
    return [
        _message(entry, (entry.number << _ROW_BITS) + place, record, record.type)
        for place, record in enumerate(_match_event(entry, row, len(rows)) for row in rows)
    ]


def number_of_match(sequence: int) -> int:
    """The log number that a sequence id of the topic `.match` was made of; -1 for none."""
    return sequence >> _ROW_BITS


def _match_event(entry: LogEntry, row: dict[str, Any], events: int) -> MatchEvent:
    event = entry.event
    name = f"{event.pipeline_id}/{event.cell}/{event.key}/{row['event']}"
    return MatchEvent(
        schema_version=SCHEMA_VERSION,
        event_id=str(uuid.uuid5(uuid.NAMESPACE_URL, name)),
        pipeline_id=event.pipeline_id,
        key=event.key,
        events=events,
        **{column: value for column, value in row.items() if column != "provisional"},
    )


def _message(entry: LogEntry, sequence: int, record: Record, kind: str) -> Message:
    properties = {
        "event_id": record.event_id,
        "kind": kind,
        "number": str(entry.number),
        "schema_version": str(SCHEMA_VERSION),
    }
    if entry.traceparent:
        properties["traceparent"] = entry.traceparent
    time_ms = round(entry.time * 1000)
    return Message(sequence, record, entry.event.pipeline_id, time_ms, properties)


def _plain(table: pa.Table) -> pa.Table:
    """32-bit numbers by their shortest decimal form: 0.9, not 0.8999999761581421."""
    for place, field in enumerate(table.schema):
        if field.type == pa.float32():
            short = pc.cast(pc.cast(table[field.name], pa.string()), pa.float64())
            table = table.set_column(place, field.name, short)
    return table


def _rfc3339(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).isoformat(timespec="milliseconds")
