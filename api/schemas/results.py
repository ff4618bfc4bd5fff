"""What a match left: files, tables, and their rows as JSON."""

from typing import Any, Generic, Literal, TypeVar

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, create_model

from domain import tables

Row = TypeVar("Row")
_SHA256 = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
_ID = "3f0c9a5e7f214d0b9a4c8f1c2b6d7e80"


class ResultFile(BaseModel):
    """A file; `sha256` is its ETag too."""

    name: str
    size: int
    media_type: str
    sha256: str
    href: str


class Results(BaseModel):
    """What a completed match left."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "pipeline_id": _ID,
                    "files": [
                        {
                            "name": "tracks.parquet",
                            "size": 48213,
                            "media_type": "application/vnd.apache.parquet",
                            "sha256": _SHA256,
                            "href": f"/api/v1/pipeline/{_ID}/results/files/tracks.parquet",
                        }
                    ],
                    "tables": {"tracks": f"/api/v1/pipeline/{_ID}/results/tables/tracks"},
                }
            ]
        }
    )

    pipeline_id: str
    files: list[ResultFile]
    tables: dict[str, str] = Field(description="the path of each table")


class Page(BaseModel, Generic[Row]):
    """Rows of a table in their order; `next` is the path of the next page."""

    table: str
    rows: list[Row]
    next: str | None


def _row_model(name: str, table: str) -> type[BaseModel]:
    """The row of a table as a model, from the table's own contract."""
    fields: dict[str, Any] = {}
    for field in tables.SCHEMAS[table]:
        kind = _type(field)
        fields[field.name] = (kind | None, ...) if field.nullable else (kind, ...)
    return create_model(name, __doc__=f"A row of the table {table}.", **fields)


def _type(field: pa.Field) -> Any:
    choices = (field.metadata or {}).get(b"values", b"").decode()
    return Literal[tuple(choices.split("|"))] if choices else _plain_type(field.type)


def _plain_type(kind: pa.DataType) -> Any:
    if pa.types.is_list(kind):
        return list[_plain_type(kind.value_type)]  # type: ignore[misc]
    if pa.types.is_boolean(kind):
        return bool
    if pa.types.is_integer(kind):
        return int
    return float if pa.types.is_floating(kind) else str


MatchEvent: Any = _row_model("MatchEvent", "match_events")
Formation: Any = _row_model("Formation", "formations")
Metric: Any = _row_model("Metric", "metrics")

_PASS: dict[str, Any] = {
    "event": 4,
    "type": "pass",
    "start_frame": 310,
    "start_s": 12.4,
    "start_x": -8.5,
    "start_y": 3.25,
    "end_frame": 342,
    "end_s": 13.68,
    "end_x": 11.5,
    "end_y": -4.75,
    "player": "home_7",
    "receiver": "home_10",
    "team": "home",
    "outcome": "complete",
    "confidence": 0.75,
    "evidence": "the ball left one player and came to another",
    "evidence_frames": [310, 342],
    "provisional": False,
}
_SHAPE: dict[str, Any] = {
    "team": "home",
    "start_s": 0.0,
    "end_s": 60.0,
    "phase": "all",
    "label": "4-3-3",
    "players": ["home_1", "home_4"],
    "positions": ["GK", "CB"],
    "x": [-46.0, -24.5],
    "y": [0.5, 6.25],
    "confidence": 0.5,
}
_DISTANCE: dict[str, Any] = {
    "scope": "player",
    "subject": "home_7",
    "name": "distance",
    "value": 742.5,
    "unit": "m",
    "uncertainty": 6.5,
    "start_s": 0.0,
    "end_s": 360.0,
    "observed_share": 0.875,
}


class MatchEvents(Page[MatchEvent]):
    """What happened on the pitch."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"table": "match_events", "rows": [_PASS], "next": None}]}
    )


class Formations(Page[Formation]):
    """How each team stood, window by window."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"table": "formations", "rows": [_SHAPE], "next": None}]}
    )


class Metrics(Page[Metric]):
    """Figures of players, teams and the match, each with its uncertainty."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"table": "metrics", "rows": [_DISTANCE], "next": None}]}
    )


class TableRows(Page[dict[str, Any]]):
    """Rows of any table; docs of the columns are in each Parquet file's schema."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "table": "identities",
                    "rows": [
                        {
                            "track": 3,
                            "player": "home_7",
                            "number": 7,
                            "team": "home",
                            "role": "player",
                            "confidence": 1.0,
                        }
                    ],
                    "next": None,
                }
            ]
        }
    )
