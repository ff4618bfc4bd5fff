"""Spells: who had the ball, from when to when, once the tracks have names."""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

# a change of the ball's velocity that only a contact makes: friction and drag change it by under
# 2 m/s within the window, and three times the noise of a well tracked ball is about as much
CONTACT_MPS = 3.0
# a ball rolling past at 4 m/s leaves a radius of 1.8 m within 0.9 s; one that stays longer is held
HELD_S = 0.9
SAME_RUN_S = 0.3
DRIBBLE_GAP_S = 2.0
PEAK_S = 0.16


@dataclass(frozen=True)
class Names:
    """What is known of each track, by track; referees are not in it. `keepers` are players."""

    players: dict[int, str]
    teams: dict[int, str]
    keepers: frozenset[str]

    @classmethod
    def read(cls, identities: pa.Table) -> "Names":
        """The names in the table `identities`."""
        rows = [
            row
            for row in identities.to_pylist()
            if row["role"] != "referee" and row["team"] != "referee"
        ]
        return cls(
            {row["track"]: row["player"] for row in rows},
            {row["track"]: row["team"] for row in rows},
            frozenset(row["player"] for row in rows if row["role"] == "goalkeeper"),
        )

    @classmethod
    def of_tracks(cls, touches: pa.Table) -> "Names":
        """Each track its own player of no known team, where nothing named them."""
        tracks = pc.unique(touches["track"]).to_pylist()
        players = {track: f"track-{track}" for track in tracks}
        return cls(players, dict.fromkeys(tracks, "unknown"), frozenset())


@dataclass(frozen=True)
class Place:
    """A frame, its time, and where the ball was then, in metres."""

    frame: int
    time_s: float
    x: float
    y: float

    def metres_to(self, other: "Place") -> float:
        return float(np.hypot(other.x - self.x, other.y - self.y))


@dataclass(frozen=True)
class Spell:
    """A player's time with the ball.

    `start` and `end` are where the ball came near and left; `first` and `last` are the first and
    last contact, or the same where none shows in the ball's course.
    """

    player: str
    team: str
    start: Place
    first: Place
    last: Place
    end: Place
    turn_mps: float
    confidence: float

    @property
    def lasted_s(self) -> float:
        return self.end.time_s - self.start.time_s


@dataclass(frozen=True)
class _Nearest:
    """The nearest named player in each frame, and the ball there; `contact_mps` is zero but at
    the moments when the change of the ball's velocity peaks."""

    frame: NDArray[np.int64]
    time_s: NDArray[np.float64]
    xy: NDArray[np.float64]
    contact_mps: NDArray[np.float64]
    confidence: NDArray[np.float64]
    players: list[str]
    teams: list[str]

    def place(self, row: int) -> Place:
        x, y = self.xy[row].tolist()
        return Place(int(self.frame[row]), float(self.time_s[row]), x, y)

    def spell(self, start: int, end: int) -> Spell:
        contacts = start + np.flatnonzero(self.contact_mps[start:end] >= CONTACT_MPS)
        touched = contacts if len(contacts) else np.array([start, end - 1])
        return Spell(
            self.players[start],
            self.teams[start],
            self.place(start),
            self.place(int(touched[0])),
            self.place(int(touched[-1])),
            self.place(end - 1),
            float(self.contact_mps[start:end].max()),
            float(self.confidence[start:end].max()),
        )


def spells(touches: pa.Table, names: Names) -> list[Spell]:
    """The spells of a match in order of time, one player's at a time.

    A run of frames in which the same player is nearest to the ball counts as a spell when the
    ball's velocity changed in it as only a contact changes it, or when the ball stayed long.
    """
    nearest = _nearest(touches, names)
    if nearest is None:
        return []
    players = np.array(nearest.players)
    changed = players[1:] != players[:-1]
    starts = np.flatnonzero(changed | (np.diff(nearest.time_s) > SAME_RUN_S)) + 1
    starts = np.concatenate([[0], starts]).tolist()
    runs = [
        nearest.spell(start, end)
        for start, end in zip(starts, [*starts[1:], len(nearest.frame)], strict=True)
    ]
    return _joined([run for run in runs if _had_the_ball(run)])


def _nearest(touches: pa.Table, names: Names) -> _Nearest | None:
    tracks = touches["track"].to_pylist()
    named = np.flatnonzero([track in names.players for track in tracks])
    frame = touches["frame"].to_numpy()
    rows = named[np.diff(frame[named], prepend=-1) != 0]
    if not len(rows):
        return None
    time_s = touches["time_s"].to_numpy()[rows]
    xy = np.column_stack([touches["ball_x"].to_numpy()[rows], touches["ball_y"].to_numpy()[rows]])
    turn = touches["turn_mps"].to_numpy()[rows].astype(np.float64)
    return _Nearest(
        frame[rows],
        time_s,
        xy.astype(np.float64),
        np.where(_peaks(turn, time_s), turn, 0.0),
        touches["confidence"].to_numpy()[rows].astype(np.float64),
        [names.players[tracks[row]] for row in rows],
        [names.teams[tracks[row]] for row in rows],
    )


def _peaks(values: NDArray[np.float64], time_s: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Where a value is the greatest within `PEAK_S`: a kick is one moment, not all around it."""
    peak = np.ones(len(values), bool)
    for shift in range(1, len(values)):
        near = time_s[shift:] - time_s[:-shift] <= PEAK_S
        if not near.any():
            break
        peak[shift:] &= ~(near & (values[:-shift] >= values[shift:]))
        peak[:-shift] &= ~(near & (values[shift:] > values[:-shift]))
    return peak


def _had_the_ball(run: Spell) -> bool:
    return run.turn_mps >= CONTACT_MPS or run.lasted_s >= HELD_S


def _joined(runs: list[Spell]) -> list[Spell]:
    """One spell of a player's runs that follow one another closely: a dribble."""
    result: list[Spell] = []
    for run in runs:
        before = result[-1] if result else None
        apart_s = run.start.time_s - before.end.time_s if before else np.inf
        if before and before.player == run.player and apart_s <= DRIBBLE_GAP_S:
            result[-1] = replace(
                before,
                last=run.last,
                end=run.end,
                turn_mps=max(before.turn_mps, run.turn_mps),
                confidence=max(before.confidence, run.confidence),
            )
        else:
            result.append(run)
    return result
