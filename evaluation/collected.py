"""Real tracking with hand-collected events, as optical trackers and event collectors publish it.

A folder holds `metadata.json` (tracking_data_frame_rate), `tracking.parquet` (frame, datetime,
period_id, ball_x, ball_y, ball_z, ball_status, and home_N_x, home_N_y, away_N_x ... by shirt
number, metres from the centre spot), `home_players.parquet` and `away_players.parquet` (id,
full_name, shirt_num, position), `event_data.parquet` (datetime, databallpy_event, original_event,
player_id) and `pass_events.parquet` (datetime, set_piece). This is databallpy's layout.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from domain import tables
from domain.errors import InputError, TableError

SIDES = ("home", "away")

# the collector's word -> our event type
EVENT_WORDS: Mapping[str, str] = {
    "pass": "pass",
    "shot": "shot",
    "dribble": "dribble",
    "tackle": "tackle",
    "own goal": "goal",
    "goal": "goal",
    "interception": "interception",
    "out": "ball_out",
    "corner awarded": "ball_out",
    "foul": "foul",
    "save": "save",
}
SET_PIECES: Mapping[str, str] = {
    "kick_off": "kick_off",
    "throw_in": "throw_in",
    "corner_kick": "corner",
    "goal_kick": "goal_kick",
    "free_kick": "free_kick",
    "penalty": "penalty",
}
# an "out" or a "foul" is collected once for each team, within milliseconds
REPEAT_S = 0.1

_PLAYER_COLUMNS = ("id", "full_name", "shirt_num", "position")
_TRACKING_COLUMNS = ("frame", "datetime", "period_id", "ball_x", "ball_y", "ball_z", "ball_status")


class Tracking(NamedTuple):
    """Tracking data as our tables; boxes are empty (all 0), every row is observed."""

    frames: pa.Table
    tracks: pa.Table
    ball: pa.Table
    identities: pa.Table


@dataclass(frozen=True)
class CollectedEvents:
    """Hand-collected events by the collector's own clock, which is not the tracking's.

    Attributes:
        stamped_s: (n,) seconds after the first tracking frame.
        type: (n,) domain.tables.EVENT_TYPES
        player: (n,) id as in identities.player, "" where none is given.
    """

    stamped_s: NDArray[np.float64]
    type: NDArray[np.str_]
    player: NDArray[np.str_]

    def where(self, rows: NDArray[Any]) -> "CollectedEvents":
        """The rows of a mask."""
        return CollectedEvents(self.stamped_s[rows], self.type[rows], self.player[rows])


@dataclass(frozen=True)
class CollectedPasses:
    """start, end: (n, 2) metres; complete: (n,) whether a team-mate got the ball."""

    start: NDArray[np.float64]
    end: NDArray[np.float64]
    complete: NDArray[np.bool_]


def load_tracking(folder: Path) -> Tracking:
    """Load tracking as (frames, tracks, ball, identities), checked by domain.tables.

    Frames are counted from 0, time runs from the first one. A player has rows for the frames in
    which the position is known; one who never plays has no track. Tracks are numbered from 0: home
    by shirt number, then away. A ball that is out of play is still tracked, and "seen".

    Raises:
        InputError: a file or column is missing, a frame is repeated, or a value is out of range.
    """
    data = _read(folder, "tracking", _TRACKING_COLUMNS)
    if data.empty or data["frame"].duplicated().any():
        raise InputError(f"{folder / 'tracking.parquet'}: expected rows with each frame once")
    data = data.sort_values("frame", ignore_index=True)
    people = _people(folder, data)
    try:
        return Tracking(
            frames=_frames(data),
            tracks=_tracks(data, people),
            ball=_ball(data),
            identities=_identities(people),
        )
    except (TableError, TypeError, ValueError) as error:
        raise InputError(f"{folder / 'tracking.parquet'}: {error}") from error


def frame_rate(folder: Path) -> float:
    """Frames per second as `metadata.json` tells.

    Raises:
        InputError: the file is missing or tells no rate above 0.
    """
    path = folder / "metadata.json"
    try:
        rate = float(json.loads(path.read_text(encoding="utf-8"))["tracking_data_frame_rate"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: expected JSON with tracking_data_frame_rate: {error}") from error
    if not 0 < rate < np.inf:
        raise InputError(f"{path}: expected tracking_data_frame_rate above 0, actual {rate}")
    return rate


def load_events(folder: Path) -> CollectedEvents:
    """Load the collected events that have a type of ours, by their stamps.

    A pass that restarts play is there twice: as a pass and as its set piece. What is collected
    once for each team (ball out, foul) is there once.

    Raises:
        InputError: a file or column is missing, or no event is known.
    """
    start = _read(folder, "tracking", ("datetime",))["datetime"].min()
    events = _read(
        folder, "event_data", ("datetime", "databallpy_event", "original_event", "player_id")
    )
    passes = _read(folder, "pass_events", ("datetime", "set_piece", "player_id"))
    words = events["databallpy_event"].fillna(events["original_event"])
    rows = pd.concat(
        [
            events.assign(type=words.map(EVENT_WORDS)),
            passes.assign(type=passes["set_piece"].map(SET_PIECES)),
        ]
    ).dropna(subset=["type", "datetime"])
    if rows.empty:
        raise InputError(f"{folder / 'event_data.parquet'}: expected events, actual none of ours")
    rows = rows.assign(stamped_s=(rows["datetime"] - start).dt.total_seconds())
    return _once(rows.sort_values(["type", "stamped_s"], kind="stable"))


def load_passes(folder: Path) -> CollectedPasses:
    """Load where the collected passes began and ended (columns start_x ... end_y, outcome).

    Raises:
        InputError: the file or a column is missing.
    """
    places = ("start_x", "start_y", "end_x", "end_y")
    rows = _read(folder, "pass_events", (*places, "outcome")).dropna(subset=list(places))
    xy = rows[list(places)].to_numpy(float)
    return CollectedPasses(xy[:, :2], xy[:, 2:], rows["outcome"].fillna(False).to_numpy(bool))


def load_possession(folder: Path) -> NDArray[np.int64]:
    """Which side has the ball in each frame: 0 home, 1 away, -1 where the ball is dead.

    Raises:
        InputError: the file or a column (ball_status, team_possession) is missing.
    """
    data = _read(folder, "tracking", ("frame", "ball_status", "team_possession"))
    data = data.sort_values("frame", ignore_index=True)
    side = data["team_possession"].map({name: i for i, name in enumerate(SIDES)})
    alive = (data["ball_status"] == "alive") & side.notna()
    return np.where(alive, side.fillna(-1), -1).astype(np.int64)


def _once(rows: pd.DataFrame) -> CollectedEvents:
    """Events ordered by type and stamp, without those that another team's row repeats."""
    stamped, kind = rows["stamped_s"].to_numpy(float), rows["type"].to_numpy(str)
    pairwise = np.isin(kind, ("ball_out", "foul"))
    repeats = (kind[1:] == kind[:-1]) & (np.diff(stamped) <= REPEAT_S) & pairwise[1:]
    kept = ~np.append(False, repeats)
    # whose player stands in the one row that is left is chance
    player = np.where(pairwise, "", rows["player_id"].fillna("").to_numpy(str))
    return CollectedEvents(stamped[kept], kind[kept], player[kept])


def _read(folder: Path, name: str, wanted: Sequence[str]) -> pd.DataFrame:
    path = folder / f"{name}.parquet"
    if not path.is_file():
        raise InputError(f"no {path}: expected a folder of tracking with collected events")
    try:
        data = pd.read_parquet(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"cannot read {path}: {error}".splitlines()[0]) from error
    missing = [name for name in wanted if name not in data.columns]
    if missing:
        raise InputError(f"{path}: missing columns {missing}")
    return data


def _people(folder: Path, data: pd.DataFrame) -> pd.DataFrame:
    """The players who have a position in some frame, a row each: side, prefix and their facts."""
    parts = [_read(folder, f"{side}_players", _PLAYER_COLUMNS).assign(side=side) for side in SIDES]
    people = pd.concat([part.sort_values("shirt_num") for part in parts], ignore_index=True)
    if people["id"].duplicated().any() or people[["side", "shirt_num"]].duplicated().any():
        raise InputError(f"{folder}: expected each player's id and shirt number once")
    people["prefix"] = people["side"] + "_" + people["shirt_num"].astype(str)
    plays = [f"{p}_x" in data and data[f"{p}_x"].notna().any() for p in people["prefix"]]
    playing = people[plays].reset_index(drop=True)
    if playing.empty:
        raise InputError(f"{folder / 'tracking.parquet'}: expected players' columns home_N_x ...")
    return playing


def _frames(data: pd.DataFrame) -> pa.Table:
    count = len(data)
    period = data["period_id"].astype("Int32")
    return tables.make(
        "frames",
        {
            "frame": np.arange(count),
            "time_s": _seconds(data),
            "period": pa.array(period, pa.int32(), from_pandas=True),
            "match_clock_s": [None] * count,
            "segment": np.zeros(count, np.int32),
            "decoded": np.zeros(count, bool),
            "view": ["wide"] * count,
            "shot": np.zeros(count, np.int32),
            "replay": np.zeros(count, bool),
            "camera_motion": [None] * count,
        },
    )


def _tracks(data: pd.DataFrame, people: pd.DataFrame) -> pa.Table:
    """By frame, then track."""
    x, y = (data[[f"{p}_{axis}" for p in people["prefix"]]].to_numpy(float) for axis in "xy")
    frame, track = np.nonzero(~np.isnan(x) & ~np.isnan(y))
    count = len(frame)
    return tables.make(
        "tracks",
        {
            "frame": frame,
            "time_s": _seconds(data)[frame],
            "track": track,
            **dict.fromkeys(("x1", "y1", "x2", "y2"), np.zeros(count, np.float32)),
            "x": x[frame, track].astype(np.float32),
            "y": y[frame, track].astype(np.float32),
            "sigma_m": [None] * count,
            "speed_mps": [None] * count,
            "observed": np.ones(count, bool),
        },
    )


def _ball(data: pd.DataFrame) -> pa.Table:
    place = {axis: data[f"ball_{axis}"].to_numpy(np.float32) for axis in "xyz"}
    known = ~np.isnan(place["x"]) & ~np.isnan(place["y"])
    return tables.make(
        "ball",
        {
            "frame": np.arange(len(data)),
            "time_s": _seconds(data),
            **{axis: _masked(values, known) for axis, values in place.items()},
            **dict.fromkeys(("pixel_x", "pixel_y", "sigma_m"), [None] * len(data)),
            "status": np.where(known, "seen", "absent").tolist(),
            "confidence": known.astype(np.float32),
        },
    )


def _identities(people: pd.DataFrame) -> pa.Table:
    keepers = people["position"] == "goalkeeper"
    return tables.make(
        "identities",
        {
            "track": np.arange(len(people)),
            "player": people["id"].astype(str).tolist(),
            "number": people["shirt_num"].to_numpy(np.int32),
            "team": people["side"].tolist(),
            "role": np.where(keepers, "goalkeeper", "player").tolist(),
            "confidence": np.ones(len(people), np.float32),
        },
    )


def _seconds(data: pd.DataFrame) -> NDArray[np.float64]:
    """Seconds since the first frame, (frames,)."""
    return np.asarray((data["datetime"] - data["datetime"].iloc[0]).dt.total_seconds(), np.float64)


def _masked(values: NDArray[np.float32], known: NDArray[np.bool_]) -> Any:
    return np.ma.masked_array(np.nan_to_num(values), mask=~known | np.isnan(values))
