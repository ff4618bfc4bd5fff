"""The tables that stages leave: their columns, types, nullability and legal ranges.

Metres and seconds; the origin is the centre spot, x runs along the touchline to the right
as the main camera sees it, y away from that camera, z up. Pixels are source pixels, y down.
A schema is a contract: change it only together with `SCHEMA_VERSION`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from domain.errors import TableError
from domain.pitch import PITCH_POINT_COUNT

SCHEMA_VERSION = 1
APPEARANCE_SIZE = 64
GLANCE_WIDTH, GLANCE_HEIGHT = 12, 7
GLANCE_SIZE = GLANCE_WIDTH * GLANCE_HEIGHT * 3


VIEWS = ("wide", "close", "other")
ROLES = ("player", "goalkeeper", "referee", "ball")
PERSON_ROLES = ("player", "goalkeeper", "referee")
CALIBRATION_STATUS = ("measured", "propagated", "none")
BALL_STATUS = ("seen", "estimated", "held", "absent")
SIDES = ("left", "right")
TEAMS = ("home", "away", "referee", "unknown")
EVENT_TYPES = (
    "possession",
    "pass",
    "cross",
    "shot",
    "goal",
    "save",
    "ball_out",
    "tackle",
    "interception",
    "dribble",
    "foul",
    "kick_off",
    "throw_in",
    "corner",
    "goal_kick",
    "free_kick",
    "penalty",
)

_f32, _f64 = pa.float32(), pa.float64()
_i32, _i64 = pa.int32(), pa.int64()
_bool, _str = pa.bool_(), pa.string()
_homography = pa.list_(_f64, 9)


def _field(
    name: str, kind: pa.DataType, low: float | None = None, high: float | None = None
) -> Any:
    """A column that is never null; `low` and `high` are its inclusive legal range."""
    return _ranged(name, kind, low, high, nullable=False)


def _nullable(
    name: str, kind: pa.DataType, low: float | None = None, high: float | None = None
) -> Any:
    """A column in which null means unknown."""
    return _ranged(name, kind, low, high, nullable=True)


def _ranged(
    name: str, kind: pa.DataType, low: float | None, high: float | None, *, nullable: bool
) -> pa.Field:
    bounds = {b"low": low, b"high": high}
    metadata = {key: repr(value).encode() for key, value in bounds.items() if value is not None}
    return pa.field(name, kind, nullable=nullable, metadata=metadata or None)


def _choice(name: str, values: tuple[str, ...], *, nullable: bool = False) -> pa.Field:
    return pa.field(name, _str, nullable=nullable, metadata={b"values": "|".join(values).encode()})


_FRAME = _field("frame", _i64, 0)
_BOX = [_field(name, _f32) for name in ("x1", "y1", "x2", "y2")]
_CONFIDENCE = _field("confidence", _f32, 0, 1)


def _schema(fields: list[pa.Field]) -> pa.Schema:
    return pa.schema(fields, metadata={b"schema_version": str(SCHEMA_VERSION).encode()})


# What the stages leave for each other, beside the public tables below.
_INTERNAL: dict[str, list[pa.Field]] = {
    # video_decoding: a row a frame of the input that is analysed
    "video_frames": [
        _FRAME,
        _field("time_s", _f64),
        _field("segment", _i32, 0),
        _field("decoded", _bool),
    ],
    # pitch_observation: a row a decoded frame
    "pitch_observations": [
        _FRAME,
        # x, y (source pixels) and confidence of each pitch point, in domain.pitch.POINTS' order;
        # null where the points were not looked for in this frame
        _nullable("points", pa.list_(_f32, PITCH_POINT_COUNT * 3)),
        # places on painted lines, six numbers each: x, y (metres), pixel u, v on the paint, and the
        # line's unit normal in the picture; null where the points are
        _nullable("lines", pa.list_(_f32)),
        # maps the previous decoded frame's pixels to this frame's, row by row; null at a cut
        _nullable("camera_motion", _homography),
        _field("cut", _bool),
        _choice("view", VIEWS),
        _field("grass_share", _f32, 0, 1),
        # mean difference of colour, 0..255, that the camera's motion leaves between this picture
        # and the one before; null where that one is not known
        _nullable("change", _f32, 0, 255),
        # the picture made GLANCE_WIDTH x GLANCE_HEIGHT small, BGR, row by row
        _field("glance", pa.list_(pa.uint8(), GLANCE_SIZE)),
    ],
    # pitch_calibration: a row for each shot but the first, at its first frame; from start_frame to
    # end_frame, not included, pictures of both shots, or of neither, were mixed (a dissolve, a
    # wipe); glances are up to GLANCES of those pictures, and none at a hard cut
    "shot_changes": [
        _FRAME,
        _field("shot", _i32, 1),
        _field("start_frame", _i64, 0),
        _field("end_frame", _i64, 0),
        _field("glances", pa.list_(pa.uint8())),
    ],
    # pitch_calibration: the size that the pitch seems to have, one row where the match's views tell
    # it (stages/pitch_size.py); whatever it says, places are on a pitch of the configured size
    "pitch_size": [
        _nullable("length_m", _f64, 0),
        _nullable("length_sigma_m", _f64, 0),
        _nullable("width_m", _f64, 0),
        _nullable("width_sigma_m", _f64, 0),
        _field("looks", _i32, 1),
    ],
    # player_tracking: what the detector saw of a track, a row an observed box
    "track_evidence": [
        _FRAME,
        _field("track", _i64, 0),
        _choice("role", PERSON_ROLES),
        _CONFIDENCE,
        _nullable("x", _f32),
        _nullable("y", _f32),
        _nullable("appearance", pa.list_(pa.float16())),
    ],
    # event_detection: a row a frame and player near enough to have or play the ball (the two
    # nearest), before names are known; turn_mps is the change of the ball's velocity there
    "touches": [
        _FRAME,
        _field("time_s", _f64),
        _field("track", _i64, 0),
        _field("distance_m", _f32, 0),
        _field("ball_x", _f32),
        _field("ball_y", _f32),
        _field("ball_speed_mps", _f32, 0),
        _field("turn_mps", _f32, 0),
        _field("confidence", _f32, 0, 1),
    ],
    # team_classification: a row a track and block of frames in which it was seen: how often it was
    # called each of PERSON_ROLES, and medians of its place and appearance
    "track_colours": [
        _FRAME,
        _field("track", _i64, 0),
        _field("boxes", _i32, 1),
        _field("coloured", _i32, 0),
        _field("votes", pa.list_(_i32, len(PERSON_ROLES))),
        _nullable("x", _f32),
        _nullable("y", _f32),
        _nullable("appearance", pa.list_(_f32, APPEARANCE_SIZE)),
    ],
    # team_classification: a row a period, where anything tells the periods: the configuration, the
    # files, tracking data, or what was found. Nothing outside of them counts in events, formations
    # and metrics
    "periods": [
        _field("period", _i32, 1),
        _field("start_s", _f64),
        _field("end_s", _f64),
        _nullable("kickoff_s", _f64),
        _choice("home_attacks", SIDES, nullable=True),
        _choice("source", ("configuration", "files", "data", "found")),
        _choice("direction_source", ("configuration", "data", "positions"), nullable=True),
    ],
    # team_classification: a row a stretch of one shot in one view, in order. `measured` is False
    # where nothing counts in events, formations and metrics: close-ups, replays and the like.
    # `replay_confidence` is that of being one, `evidence` what told it, `tracks` are those of it
    "shots": [
        _field("shot", _i32, 0),
        _field("start_frame", _i64, 0),
        _field("end_frame", _i64, 0),
        _field("start_s", _f64),
        _field("end_s", _f64),
        _choice("view", VIEWS),
        _field("replay", _bool),
        _field("replay_confidence", _f32, 0, 1),
        _field("evidence", _str),
        _field("measured", _bool),
        _field("tracks", pa.list_(_i64)),
    ],
    # formation_analysis: a row a track and second, the mean of its positions
    "track_positions": [
        _FRAME,
        _field("time_s", _f64),
        _field("track", _i64, 0),
        _field("x", _f32),
        _field("y", _f32),
    ],
    # metrics_calculation: a row a track and second, what it ran
    "track_motion": [
        _FRAME,
        _field("time_s", _f64),
        _field("track", _i64, 0),
        _field("x", _f32),
        _field("y", _f32),
        _field("sigma_m", _f32, 0),
        _field("moving_s", _f32, 0),
        _field("observed_s", _f32, 0),
        _field("distance_m", _f32, 0),
        _field("high_speed_distance_m", _f32, 0),
        _field("best_speed_mps", _f32, 0),
        _field("sprints", _i32, 0),
    ],
}

_PUBLIC: dict[str, list[pa.Field]] = {
    "frames": [
        _FRAME,
        _field("time_s", _f64),
        _nullable("period", _i32, 1),
        _nullable("match_clock_s", _f64),
        _field("segment", _i32, 0),
        _field("decoded", _bool),
        _choice("view", VIEWS),
        _field("shot", _i32, 0),
        _field("replay", _bool),
        _nullable("camera_motion", _homography),
    ],
    "detections": [
        _FRAME,
        *_BOX,
        _CONFIDENCE,
        _choice("role", ROLES),
        _nullable("appearance", pa.list_(pa.float16())),
    ],
    "calibration": [
        _FRAME,
        # from the pixels of a straight lens to metres: undo the bend of k1 first (domain.lens)
        _nullable("homography", _homography),
        _nullable("focal_px", _f64, 0),
        _nullable("pan_deg", _f64),
        _nullable("tilt_deg", _f64),
        _nullable("roll_deg", _f64),
        _nullable("camera_x", _f64),
        _nullable("camera_y", _f64),
        _nullable("camera_z", _f64),
        _nullable("k1", _f64),
        _nullable("error_m", _f32, 0),
        _choice("status", CALIBRATION_STATUS),
    ],
    "tracks": [
        _FRAME,
        _field("time_s", _f64),
        _field("track", _i64, 0),
        *_BOX,
        _nullable("x", _f32),
        _nullable("y", _f32),
        _nullable("sigma_m", _f32, 0),
        _nullable("speed_mps", _f32, 0),
        _field("observed", _bool),
    ],
    "ball": [
        _FRAME,
        _field("time_s", _f64),
        _nullable("x", _f32),
        _nullable("y", _f32),
        _nullable("z", _f32),
        _nullable("pixel_x", _f32),
        _nullable("pixel_y", _f32),
        _nullable("sigma_m", _f32, 0),
        _choice("status", BALL_STATUS),
        _CONFIDENCE,
    ],
    "identities": [
        _field("track", _i64, 0),
        _field("player", _str),
        _nullable("number", _i32, 0, 99),
        _choice("team", TEAMS),
        _choice("role", PERSON_ROLES),
        _CONFIDENCE,
    ],
    "match_events": [
        _field("event", _i64, 0),
        _choice("type", EVENT_TYPES),
        _field("start_frame", _i64, 0),
        _field("start_s", _f64),
        _nullable("start_x", _f32),
        _nullable("start_y", _f32),
        _field("end_frame", _i64, 0),
        _field("end_s", _f64),
        _nullable("end_x", _f32),
        _nullable("end_y", _f32),
        _nullable("player", _str),
        _nullable("receiver", _str),
        _choice("team", TEAMS),
        _nullable("outcome", _str),
        _CONFIDENCE,
        _field("evidence", _str),
        _field("evidence_frames", pa.list_(_i64)),
        _field("provisional", _bool),
    ],
    "formations": [
        _choice("team", TEAMS),
        _field("start_s", _f64),
        _field("end_s", _f64),
        _choice("phase", ("in_possession", "out_of_possession", "all")),
        _nullable("label", _str),
        _field("players", pa.list_(_str)),
        _field("positions", pa.list_(_str)),
        _field("x", pa.list_(_f32)),
        _field("y", pa.list_(_f32)),
        _CONFIDENCE,
    ],
    "metrics": [
        _choice("scope", ("player", "team", "match")),
        _field("subject", _str),
        _field("name", _str),
        _nullable("value", _f64),
        _field("unit", _str),
        _nullable("uncertainty", _f64, 0),
        _field("start_s", _f64),
        _field("end_s", _f64),
        _field("observed_share", _f64, 0, 1),
    ],
}

PUBLIC_TABLES = tuple(_PUBLIC)
SCHEMAS: Mapping[str, pa.Schema] = {
    name: _schema(fields) for name, fields in {**_INTERNAL, **_PUBLIC}.items()
}


def empty(name: str) -> pa.Table:
    """The table `name` without rows."""
    return SCHEMAS[name].empty_table()


def make(name: str, columns: Mapping[str, Any]) -> pa.Table:
    """Build the table `name` from columns (NumPy arrays or sequences) and check it.

    A two-dimensional array becomes a fixed-size list column; NaN rows are not turned into null:
    pass a masked array or None where a value is unknown.

    Raises:
        TableError: a column is missing, unknown, of another type, null or out of its range.
    """
    schema = SCHEMAS[name]
    if set(columns) != set(schema.names):
        raise TableError(
            f"table {name}: expected columns {schema.names}, actual {list(columns)}: "
            f"missing {sorted(set(schema.names) - set(columns))}, "
            f"unknown {sorted(set(columns) - set(schema.names))}"
        )
    try:
        arrays = [_column(columns[field.name], field.type) for field in schema]
        table = pa.Table.from_arrays(arrays, schema=schema)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise TableError(f"table {name}: {error}") from error
    return check(name, table)


def check(name: str, table: pa.Table) -> pa.Table:
    """Return `table` unchanged when it keeps the contract of `name`, else raise TableError."""
    schema = SCHEMAS[name]
    if not table.schema.equals(schema):
        raise TableError(f"table {name}: expected {schema}, actual {table.schema}")
    for field in schema:
        _check_column(name, field, table[field.name])
    return table


def _column(values: Any, kind: pa.DataType) -> pa.Array:
    if isinstance(values, pa.ChunkedArray):
        return values.combine_chunks().cast(kind)
    if isinstance(values, pa.Array):
        return values.cast(kind)
    if isinstance(values, np.ma.MaskedArray) and values.ndim == 1:
        return pa.array(values.data, kind, mask=np.ma.getmaskarray(values))
    if isinstance(values, np.ndarray) and values.ndim == 2:
        return _rows_as_lists(values, kind)
    return pa.array(values, kind)


def _rows_as_lists(values: np.ndarray, kind: pa.DataType) -> pa.Array:
    """Rows of a two-dimensional array as lists; a masked array's fully masked rows become null."""
    flat = pa.array(np.ascontiguousarray(np.ma.getdata(values)).reshape(-1), kind.value_type)
    missing = pa.array(np.ma.getmaskarray(values).all(axis=1)) if np.ma.isMA(values) else None
    if pa.types.is_fixed_size_list(kind):
        if values.shape[1] != kind.list_size:
            raise ValueError(f"expected rows of {kind.list_size} values, actual {values.shape[1]}")
        return pa.FixedSizeListArray.from_arrays(flat, type=kind, mask=missing)
    offsets = pa.array(np.arange(len(values) + 1, dtype=np.int32) * values.shape[1], pa.int32())
    return pa.ListArray.from_arrays(offsets, flat, type=kind, mask=missing)


def _check_column(name: str, field: pa.Field, column: pa.ChunkedArray) -> None:
    if column.null_count and not field.nullable:
        raise TableError(
            f"table {name}: column {field.name} has {column.null_count} nulls, expected 0"
        )
    bounds = field.metadata or {}
    if b"values" in bounds:
        _check_choice(name, field.name, column, bounds[b"values"].decode().split("|"))
    if len(column) == column.null_count or not pa.types.is_primitive(field.type):
        return
    if pa.types.is_floating(field.type) and pc.any(pc.is_nan(column)).as_py():
        raise TableError(f"table {name}: column {field.name} holds NaN, expected numbers or null")
    if b"low" in bounds or b"high" in bounds:
        low, high = float(bounds.get(b"low", b"-inf")), float(bounds.get(b"high", b"inf"))
        limits = pc.min_max(column).as_py()
        if limits["min"] < low or limits["max"] > high:
            raise TableError(
                f"table {name}: column {field.name}: expected {low} to {high}, "
                f"actual {limits['min']} to {limits['max']}"
            )


def _check_choice(name: str, column_name: str, column: pa.ChunkedArray, legal: list[str]) -> None:
    unknown = set(pc.unique(column).to_pylist()) - set(legal) - {None}
    if unknown:
        raise TableError(
            f"table {name}: column {column_name}: expected one of {legal}, actual {sorted(unknown)}"
        )
