"""Positions second by second, and what is known of each second of the match."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from domain import tables

Array = NDArray[np.float64]
_HOLDS_S = 5
_AROUND_S = 150


def split(rows: pa.Table, *, final: bool) -> tuple[pa.Table, pa.Table]:
    """Rows of the seconds after which something has been seen, and the others."""
    if final or not rows.num_rows:
        return rows, rows.slice(rows.num_rows)
    second = np.floor(rows["time_s"].to_numpy())
    count = int(np.searchsorted(second, second[-1]))
    return rows.slice(0, count), rows.slice(count)


def reduce(rows: pa.Table) -> pa.Table:
    """The table `track_positions` of whole seconds of `tracks`; unknown places are left out."""
    x = np.asarray(rows["x"].to_numpy(), dtype=np.float64)
    y = np.asarray(rows["y"].to_numpy(), dtype=np.float64)
    known = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    second = np.floor(rows["time_s"].to_numpy()[known]).astype(np.int64)
    track = rows["track"].to_numpy()[known]
    order = np.lexsort((track, second))
    chosen, second, track = known[order], second[order], track[order]
    new = (np.diff(second, prepend=-1) != 0) | (np.diff(track, prepend=-1) != 0)
    starts = np.flatnonzero(new)
    sizes = np.diff(starts, append=len(chosen))
    means = [
        np.add.reduceat(values[chosen], starts) / sizes if len(starts) else np.empty(0)
        for values in (x, y)
    ]
    columns = {
        "frame": _first_frames(rows["frame"].to_numpy()[chosen], second)[starts],
        "time_s": second[starts].astype(np.float64),
        "track": track[starts],
        "x": means[0],
        "y": means[1],
    }
    return tables.make("track_positions", columns)


def _first_frames(frame: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each row the first frame of its second; rows are sorted by second."""
    starts = np.flatnonzero(np.diff(second, prepend=-1))
    if not len(starts):
        return frame
    return np.repeat(np.minimum.reduceat(frame, starts), np.diff(starts, append=len(frame)))


@dataclass(frozen=True)
class Positions:
    """Rows of `track_positions` of named players: arrays with a value a row.

    `team` is 0 or 1 for home or away; `player` indexes `names`.
    """

    second: NDArray[np.int64]
    team: NDArray[np.int64]
    player: NDArray[np.int64]
    keeper: NDArray[np.bool_]
    xy: Array
    names: list[str]

    @classmethod
    def read(cls, parts: Iterable[pa.Table], identities: pa.Table) -> "Positions":
        """The players of both teams; other tracks are left out."""
        who = identities.to_pydict()
        names = sorted(set(who["player"]))
        place = {name: index for index, name in enumerate(names)}
        team = {
            track: ("home", "away").index(team)
            for track, team in zip(who["track"], who["team"], strict=True)
            if team in ("home", "away")
        }
        table = pa.concat_tables(parts).combine_chunks()
        track = table["track"].to_pylist()
        rows = np.array([index for index, one in enumerate(track) if one in team], dtype=np.int64)
        chosen = [track[row] for row in rows]
        player = {one: place[name] for one, name in zip(who["track"], who["player"], strict=True)}
        keepers = {
            one for one, role in zip(who["track"], who["role"], strict=True) if role == "goalkeeper"
        }
        xy = np.column_stack([table["x"].to_numpy()[rows], table["y"].to_numpy()[rows]])
        return cls(
            table["time_s"].to_numpy()[rows].astype(np.int64),
            np.array([team[one] for one in chosen], dtype=np.int64),
            np.array([player[one] for one in chosen], dtype=np.int64),
            np.array([one in keepers for one in chosen], dtype=bool),
            xy.astype(np.float64),
            names,
        )

    def home_attacks(self, start: int, end: int) -> float | None:
        """+1 where home attacks toward +x in the seconds from `start` to `end`, else -1.

        The keepers tell, around that time: each stands at his own goal. Where none is seen it is
        the outfield players: the team that defends a side is on the mean nearer to it.
        """
        first, last = np.searchsorted(self.second, [start - _AROUND_S, end + _AROUND_S])
        rows = slice(int(first), int(last))
        x, keeper = self.xy[rows, 0], self.keeper[rows]
        toward = np.where(self.team[rows] == 0, -1.0, 1.0) * np.sign(x)
        if keeper.any() and toward[keeper].sum() != 0:
            return float(np.sign(toward[keeper].sum()))
        teams = [x[(self.team[rows] == team) & ~keeper] for team in (0, 1)]
        if not all(len(team) for team in teams):
            return None
        apart = float(teams[1].mean() - teams[0].mean())
        return float(np.sign(apart)) if apart else None


def possession(touches: pa.Table, identities: pa.Table, seconds: int) -> NDArray[np.int64]:
    """The team, 0 or 1, that has the ball in each second, -1 for neither.

    It is the team of most of the touches in that second, or of the last ones up to `_HOLDS_S` ago.
    """
    who = identities.to_pydict()
    team = dict(zip(who["track"], who["team"], strict=True))
    teams = np.array([team.get(track, "unknown") for track in touches["track"].to_pylist()])
    second = np.floor(touches["time_s"].to_numpy()).astype(np.int64)
    weight = touches["confidence"].to_numpy().astype(np.float64)
    score = np.zeros((2, seconds))
    for index, name in enumerate(("home", "away")):
        rows = teams == name
        score[index] = np.bincount(second[rows], weight[rows], seconds)[:seconds]
    owner = np.where(score[0] == score[1], -1, np.where(score[0] > score[1], 0, 1))
    source = np.maximum.accumulate(np.where(owner >= 0, np.arange(seconds), -_HOLDS_S - 1))
    recent = np.arange(seconds) - source <= _HOLDS_S
    return np.asarray(np.where(recent, owner[np.maximum(source, 0)], -1))
