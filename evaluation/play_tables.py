"""A match as arrays, whoever measured it: the simulator's truth or real tracking."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from domain.errors import InputError
from evaluation.collected import SIDES, load_events, load_passes, load_possession, load_tracking

Floats = NDArray[np.float64]

_TRUTH_TABLES: Mapping[str, tuple[str, ...]] = {
    "positions": ("frame", "track", "x", "y"),
    "frames": ("frame", "time_s", "period"),
    "ball": ("frame", "x", "y", "z"),
    "identities": ("track", "team", "role"),
    "match_events": (
        "type", "start_s", "start_x", "start_y", "end_x", "end_y", "team", "outcome",
    ),
}  # fmt: skip
_PLAYED = ("possession", "pass", "cross", "shot")
_STOPS = ("ball_out", "foul", "goal")


@dataclass(frozen=True)
class PlayedMatch:
    """Rows are frames.

    Attributes:
        time_s: (n,)
        period: (n,) 0 outside the periods.
        xy: (n, players, 2) metres, NaN where unknown.
        team: (players,) 0 home, 1 away.
        keeper: (players,)
        ball: (n, 3) metres, NaN where unknown.
        possession: (n,) 0 home, 1 away, -1 while the ball is dead.
        pass_start, pass_end: (passes, 2) metres, crosses among them; complete: (passes,).
        events: how often each of domain.tables.EVENT_TYPES occurred.
        shots_on_target: shots that the keeper saved or that went in; None where nobody tells.
    """

    time_s: Floats
    period: NDArray[np.int64]
    xy: Floats
    team: NDArray[np.int64]
    keeper: NDArray[np.bool_]
    ball: Floats
    possession: NDArray[np.int64]
    pass_start: Floats
    pass_end: Floats
    complete: NDArray[np.bool_]
    events: Mapping[str, int]
    shots_on_target: int | None = None


def load_truth(folder: Path) -> PlayedMatch:
    """The match that `footanalytics simulate` wrote to `folder`.

    Raises:
        InputError: a table or a column is missing.
    """
    tables = {name: _read(folder, name, columns) for name, columns in _TRUTH_TABLES.items()}
    frames, events = tables["frames"], tables["match_events"]
    passes = events[events["type"].isin(["pass", "cross"])]
    shots = events[events["type"] == "shot"]
    time_s = frames["time_s"].to_numpy(float)
    period = frames["period"].fillna(0).to_numpy(np.int64)
    people = _people(tables["positions"], tables["identities"], len(frames))
    return PlayedMatch(
        time_s=time_s,
        period=period,
        xy=people.xy,
        team=people.team,
        keeper=people.keeper,
        ball=_ball(tables["ball"], len(frames)),
        possession=np.where(period > 0, _possession(events, time_s), -1),
        pass_start=passes[["start_x", "start_y"]].to_numpy(float),
        pass_end=passes[["end_x", "end_y"]].to_numpy(float),
        complete=(passes["outcome"] == "complete").to_numpy(bool),
        events=Counter(events["type"]),
        shots_on_target=int(shots["outcome"].isin(["saved", "goal"]).sum()),
    )


def load_real(folder: Path) -> PlayedMatch:
    """Real tracking with collected events, laid out as evaluation.collected says.

    Raises:
        InputError: a file or column is missing, or a value is out of range.
    """
    tracking, passes = load_tracking(folder), load_passes(folder)
    frames = tracking.frames.to_pandas()
    tracks, identities = tracking.tracks.to_pandas(), tracking.identities.to_pandas()
    people = _people(tracks, identities, len(frames))
    return PlayedMatch(
        time_s=frames["time_s"].to_numpy(float),
        period=frames["period"].fillna(0).to_numpy(np.int64),
        xy=people.xy,
        team=people.team,
        keeper=people.keeper,
        ball=_ball(tracking.ball.to_pandas(), len(frames)),
        possession=load_possession(folder),
        pass_start=passes.start,
        pass_end=passes.end,
        complete=passes.complete,
        events=Counter(load_events(folder).type.tolist()),
    )


def _read(folder: Path, name: str, columns: tuple[str, ...]) -> pd.DataFrame:
    path = folder / f"{name}.parquet"
    if not path.is_file():
        raise InputError(f"no {path}: expected a folder written by `footanalytics simulate`")
    try:
        rows: pd.DataFrame = pq.read_table(path, columns=list(columns)).to_pandas()
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"cannot read {path}: {error}".splitlines()[0]) from error
    return rows


class _People(NamedTuple):
    xy: Floats
    team: NDArray[np.int64]
    keeper: NDArray[np.bool_]


def _people(rows: pd.DataFrame, identities: pd.DataFrame, frames: int) -> _People:
    players = identities[identities["team"].isin(SIDES)].sort_values("track", ignore_index=True)
    column = pd.Series(players.index, index=players["track"])
    rows = rows[rows["track"].isin(players["track"])]
    xy = np.full((frames, len(players), 2), np.nan)
    xy[rows["frame"], column[rows["track"]]] = rows[["x", "y"]].to_numpy(float)
    away = np.asarray(players["team"] == SIDES[1], dtype=np.int64)
    return _People(xy, away, (players["role"] == "goalkeeper").to_numpy(bool))


def _ball(rows: pd.DataFrame, frames: int) -> Floats:
    ball = np.full((frames, 3), np.nan)
    ball[rows["frame"]] = rows[["x", "y", "z"]].to_numpy(float)
    return ball


def _possession(events: pd.DataFrame, time_s: Floats) -> NDArray[np.int64]:
    """The side of who plays the ball lasts until the other side plays it or the ball is dead."""
    told = events[events["type"].isin([*_PLAYED, *_STOPS])]
    told = told.sort_values("start_s", kind="stable")
    side = np.where(told["type"].isin(_STOPS), -1, told["team"] == SIDES[1]).astype(np.int64)
    last = np.searchsorted(told["start_s"].to_numpy(float), time_s, side="right") - 1
    return np.where(last >= 0, side[np.maximum(last, 0)] if len(side) else -1, -1)
