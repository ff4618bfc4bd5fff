"""The match as exchange formats see it: frame by frame, both teams and the ball, in metres.

Players are those of the identities; where two tracks of one player share a frame, the surer
position counts. Positions more than `MARGIN_M` outside the pitch are left out as errors.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from application.stage import WholeMatch
from domain.match import MatchOptions
from domain.periods import Period as KnownPeriod
from domain.pitch import Pitch
from stages import periods as match_time
from stages.export.play import Play
from stages.export.roster import TEAMS, Roster
from stages.export.rows import Cursor, floats, stretches
from stages.shots import Gaps

MARGIN_M = 5.0
OUTSIDE = 0
_DECIMALS = 3
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Place:
    """Where a player is: `player` indexes the roster; speed in m/s, or None where unknown."""

    player: int
    x: float
    y: float
    speed_mps: float | None
    observed: bool


@dataclass(frozen=True)
class Moment:
    """One frame: `places` of home and of away, the ball's (x, y, z) where it is known."""

    frame: int
    time_s: float
    period: int
    places: tuple[list[Place], list[Place]]
    ball: tuple[float, float, float | None] | None
    last_touch: str | None
    possession: str | None
    alive: bool


@dataclass
class Period:
    """A period as the input shows it: its frames, times in seconds, and which way home attacks.

    `kickoff_s` is that of the first frame where nobody said it.
    """

    number: int
    first_frame: int
    last_frame: int
    start_s: float
    end_s: float
    kickoff_s: float
    home_attacks_right: bool


class Positions:
    """Reads the match's positions; `moments` may be called again for another pass.

    Where the periods are known, frames outside of them are left out.
    """

    def __init__(
        self,
        match: WholeMatch,
        pitch: Pitch,
        known: Sequence[KnownPeriod] = (),
        details: MatchOptions | None = None,
    ) -> None:
        self._match = match
        self._pitch = pitch
        self._known = known
        self.details = details or MatchOptions()
        live = Gaps.read(match).without_replays(match.table("identities"))
        self.roster = Roster.read(live, details)
        self.play = Play.read(match.table("match_events") if match.has("match_events") else None)
        self.periods: dict[int, Period] = {}
        self.count = 0
        self._look_through()

    def moments(self) -> Iterator[Moment]:
        """The frames in which a player of a team, or the ball, has a place."""
        for frames, people, ball in self.stretches():
            numbers = self._numbers(frames).tolist()
            yield from _moments(frames, numbers, people, ball, self.play, self.roster)

    def _look_through(self) -> None:
        """Count the placed rows and find the periods."""
        sides: dict[int, _Sides] = {}
        for frames, people, _ in self.stretches():
            self.count += len(people.frame)
            numbers = self._numbers(frames)
            for number in sorted(set(numbers.tolist()) - {OUTSIDE}):
                chosen = frames.filter(pa.array(numbers == number))
                self._extend(number, chosen)
                first, last = chosen["frame"][0].as_py(), chosen["frame"][-1].as_py()
                inside = (people.frame >= first) & (people.frame <= last)
                sides.setdefault(number, _Sides()).add(self.roster, people, inside)
        for number, period in self.periods.items():
            told = next((p.home_attacks for p in self._known if p.number == number), None)
            estimated = sides[number].home_attacks_right()
            period.home_attacks_right = told == "right" if told else estimated

    def _extend(self, number: int, frames: pa.Table) -> None:
        first, last = frames["frame"][0].as_py(), frames["frame"][-1].as_py()
        start_s, end_s = frames["time_s"][0].as_py(), frames["time_s"][-1].as_py()
        told = next((p.kickoff_s for p in self._known if p.number == number), None)
        kickoff_s = start_s if told is None else told
        new = Period(number, first, last, start_s, end_s, kickoff_s, home_attacks_right=True)
        period = self.periods.setdefault(number, new)
        period.last_frame, period.end_s = last, end_s

    def _numbers(self, frames: pa.Table) -> NDArray[np.int64]:
        """The period of each frame (n,), `OUTSIDE` all of them; 1 where none is known."""
        if self._known:
            return match_time.numbers(self._known, floats(frames, "time_s"))
        if "period" not in frames.column_names:
            return np.ones(frames.num_rows, dtype=np.int64)
        return np.nan_to_num(floats(frames, "period"), nan=1).astype(np.int64)

    def stretches(self) -> Iterator[tuple[pa.Table, "People", pa.Table]]:
        """Rows of frames, of placed players and of the ball, a stretch of frames at a time."""
        tracks, ball = Cursor(self._match, "tracks"), Cursor(self._match, "ball")
        for frames in stretches(self._match):
            end = frames["frame"][-1].as_py() + 1
            people = People.read(tracks.until(end), self.roster, self._pitch)
            yield frames, people, ball.until(end)


@dataclass(frozen=True)
class People:
    """Placed rows of players of a team, one for each frame and player, sorted by frame."""

    frame: NDArray[np.int64]
    player: NDArray[np.int64]
    xy: Array
    speed_mps: Array
    observed: NDArray[np.bool_]

    @classmethod
    def read(cls, tracks: pa.Table, roster: Roster, pitch: Pitch) -> "People":
        frame, player = tracks["frame"].to_numpy(), roster.of_tracks(tracks["track"].to_numpy())
        xy = np.column_stack([floats(tracks, "x"), floats(tracks, "y")])
        sigma_m = np.nan_to_num(floats(tracks, "sigma_m"), nan=np.inf)
        rows = np.flatnonzero((player >= 0) & pitch.contains(xy, MARGIN_M))
        rows = rows[np.lexsort((sigma_m[rows], player[rows], frame[rows]))]
        pairs = np.column_stack([frame[rows], player[rows]])
        first = np.ones(len(rows), dtype=bool)
        first[1:] = (pairs[1:] != pairs[:-1]).any(axis=1)
        rows = rows[first]
        observed = tracks["observed"].to_numpy(zero_copy_only=False)
        return cls(
            frame[rows],
            player[rows],
            np.round(xy[rows], _DECIMALS),
            np.round(floats(tracks, "speed_mps")[rows], _DECIMALS),
            observed[rows],
        )


class _Sides:
    """Which way home attacks in a period: keepers tell it best, else the mean of everybody."""

    def __init__(self) -> None:
        self._sums = np.zeros((2, 2, 2))  # keeper or not, team, (sum of x, rows)

    def add(self, roster: Roster, people: People, inside: NDArray[np.bool_]) -> None:
        if not roster.players:
            return
        team = np.array([TEAMS.index(player.team) for player in roster.players])
        keeper = np.array([player.goalkeeper for player in roster.players])
        who = people.player[inside]
        place = (keeper[who].astype(int), team[who])
        np.add.at(self._sums[..., 0], place, people.xy[inside, 0])
        np.add.at(self._sums[..., 1], place, 1)

    def home_attacks_right(self) -> bool:
        """True as well where nothing tells."""
        (_, field_rows), (keepers, keeper_rows) = np.moveaxis(self._sums, 2, 1)
        if keeper_rows.any():
            return bool(keepers[0] - keepers[1] <= 0)
        if not field_rows.all():
            return True
        home, away = self._sums[0, :, 0] / self._sums[0, :, 1]
        return bool(home <= away)


def _moments(
    frames: pa.Table,
    periods: list[int],
    people: People,
    ball: pa.Table,
    play: Play,
    roster: Roster,
) -> Iterator[Moment]:
    numbers = frames["frame"].to_numpy()
    bounds = np.searchsorted(people.frame, [*numbers.tolist(), numbers[-1] + 1]).tolist()
    times = frames["time_s"].to_pylist()
    places = _places(people)
    balls = _balls(ball)
    home_end = len(roster.of_team("home"))
    for index, frame in enumerate(numbers.tolist()):
        here = places[bounds[index] : bounds[index + 1]]
        if periods[index] == OUTSIDE or (not here and frame not in balls):
            continue
        teams = (
            [place for place in here if place.player < home_end],
            [place for place in here if place.player >= home_end],
        )
        touch, possession, alive = play.at(frame)
        yield Moment(
            frame, times[index], periods[index], teams, balls.get(frame), touch, possession, alive
        )


def _places(people: People) -> list[Place]:
    known = np.isfinite(people.speed_mps)
    columns = (*people.xy.T, people.speed_mps, people.observed, known, people.player)
    return [
        Place(player, x, y, speed if has_speed else None, observed)
        for x, y, speed, observed, has_speed, player in zip(
            *(column.tolist() for column in columns), strict=True
        )
    ]


def _balls(ball: pa.Table) -> dict[int, tuple[float, float, float | None]]:
    xyz = np.round(np.column_stack([floats(ball, name) for name in "xyz"]), _DECIMALS)
    rows = np.flatnonzero(np.isfinite(xyz[:, :2]).all(axis=1))
    frames = ball["frame"].to_numpy()[rows]
    return {
        frame: (x, y, z if np.isfinite(z) else None)
        for frame, (x, y, z) in zip(frames.tolist(), xyz[rows].tolist(), strict=True)
    }
