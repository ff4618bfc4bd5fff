"""Totals of players, teams and the match, each with its uncertainty.

Where the numbers' uncertainties come from:

- A distance is a sum of seconds. The tracker's smoothing makes errors of position alike within
  about a second and independent beyond, so a second's way between two positions of uncertainty
  s is off by sqrt(2) s, and a total by the root of the sum of their squares. Noise also lengthens
  a way: d squared is too long by up to 4 s squared (two ends, two axes); what the total loses
  when that is taken off each second is added, squared.
- A speed is such a way in a second: sqrt(2) s per second.
- A share is that of n draws: sqrt(p (1 - p) / n), n being spells or passes.
- A mean over time is the standard error of its seconds, of which one in ten counts as new.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from stages.shots import Gaps

Array = NDArray[np.float64]
TEAMS = ("home", "away")
POSSESSION_HOLDS_S = 3.0
SHAPE_MIN_PLAYERS = 8
INDEPENDENT_S = 10.0


@dataclass(frozen=True)
class Metric:
    """A row of `metrics`, but for the time it is about."""

    scope: str
    subject: str
    name: str
    value: float | None
    unit: str
    uncertainty: float | None
    observed_share: float


@dataclass(frozen=True)
class Motion:
    """Rows of `track_motion` of players: `columns` by name, and `subject` indexing `names`."""

    columns: dict[str, Array]
    subject: NDArray[np.int64]
    names: list[str]
    teams: list[str]
    keepers: NDArray[np.bool_]

    @classmethod
    def read(cls, table: pa.Table, identities: pa.Table) -> "Motion":
        """The motion of everybody but the referees."""
        who = [row for row in identities.to_pylist() if row["team"] != "referee"]
        team_of = {row["player"]: row["team"] for row in who}
        names = sorted(team_of)
        place = {name: index for index, name in enumerate(names)}
        player = {row["track"]: place[row["player"]] for row in who}
        keeping = {row["track"] for row in who if row["role"] == "goalkeeper"}
        tracks = table["track"].to_pylist()
        rows = np.array([i for i, track in enumerate(tracks) if track in player], dtype=np.int64)
        columns = {
            name: table[name].to_numpy()[rows].astype(np.float64)
            for name in table.column_names
            if name not in ("frame", "track")
        }
        subject = np.array([player[tracks[row]] for row in rows], dtype=np.int64)
        keepers = np.array([tracks[row] in keeping for row in rows], dtype=bool)
        return cls(columns, subject, names, [team_of[name] for name in names], keepers)

    def total(self, column: Array) -> Array:
        """The sum of a column by subject."""
        sums = np.bincount(self.subject, column, minlength=len(self.names))
        return np.asarray(sums, dtype=np.float64)

    def distance_error(self) -> tuple[Array, Array]:
        """By subject, the variance of the distance and its greatest bias: see the module's top."""
        way, lasted, sigma = self["distance_m"], self["moving_s"], self["sigma_m"]
        shorter = np.sqrt(np.maximum(way**2 - (2 * sigma * lasted) ** 2, 0.0))
        return self.total(2 * sigma**2 * lasted), self.total(way - shorter)

    def __getitem__(self, name: str) -> Array:
        return self.columns[name]


def of_players(motion: Motion, duration_s: float) -> Iterator[Metric]:
    """What each player ran while he was tracked; nothing is added for the time he was not."""
    moving = motion.total(motion["moving_s"])
    distance = motion.total(motion["distance_m"])
    variance, bias = motion.distance_error()
    error = np.sqrt(variance + bias**2)
    seen = np.clip(motion.total(motion["observed_s"]) / max(duration_s, 1e-9), 0, 1)
    best = _best_rows(motion)
    fast, sprints = motion.total(motion["high_speed_distance_m"]), motion.total(motion["sprints"])
    for index, player in enumerate(motion.names):
        if moving[index] <= 0:
            continue
        row, share = best[index], float(seen[index])
        off, mean = float(error[index]), float(distance[index] / moving[index])
        top_off = float(np.sqrt(2) * motion["sigma_m"][row])
        for name, value, unit, uncertainty in (
            ("distance", float(distance[index]), "m", off),
            ("high_speed_distance", float(fast[index]), "m", None),
            ("mean_speed", mean, "m/s", off / float(moving[index])),
            ("max_speed", float(motion["best_speed_mps"][row]), "m/s", top_off),
            ("sprints", float(sprints[index]), "count", None),
            ("time_tracked", float(moving[index]), "s", None),
        ):
            yield Metric("player", player, name, value, unit, uncertainty, share)


def _best_rows(motion: Motion) -> NDArray[np.int64]:
    """For each subject the row of his fastest half-second."""
    order = np.lexsort((motion["best_speed_mps"], motion.subject))
    last = np.searchsorted(motion.subject[order], np.arange(len(motion.names)), side="right") - 1
    return np.asarray(order[last], dtype=np.int64) if len(order) else last


def of_teams(
    motion: Motion, events: pa.Table | None, duration_s: float, gaps: Gaps
) -> Iterator[Metric]:
    """Distance and shape of each team from its tracks, passes and possession from the events."""
    tracked = motion.total(motion["observed_s"])
    distance = motion.total(motion["distance_m"])
    variance, bias = motion.distance_error()
    for team in TEAMS:
        members = np.array([one == team for one in motion.teams], dtype=bool)
        seen = float(tracked[members].sum() / max(duration_s * 11, 1e-9))
        off = float(np.sqrt(variance[members].sum() + bias[members].sum() ** 2))
        total = float(distance[members].sum())
        yield Metric("team", team, "distance", total, "m", off, min(seen, 1.0))
        yield from _shape(motion, members, team, duration_s)
    if events is not None:
        yield from _possession(events, duration_s, gaps)
        yield from _passes(events, duration_s, gaps)


def _shape(
    motion: Motion, members: NDArray[np.bool_], team: str, duration_s: float
) -> Iterator[Metric]:
    """Mean length and width of the outfield players in the seconds that show enough of them."""
    rows = members[motion.subject] & ~motion.keepers
    second, of_row = np.unique(motion["time_s"][rows], return_inverse=True)
    enough = np.bincount(of_row, minlength=len(second)) >= SHAPE_MIN_PLAYERS
    share = min(float(enough.sum()) / max(duration_s, 1e-9), 1.0)
    for name, axis in (("length", "x"), ("width", "y")):
        low, high = np.full(len(second), np.inf), np.full(len(second), -np.inf)
        np.minimum.at(low, of_row, motion[axis][rows])
        np.maximum.at(high, of_row, motion[axis][rows])
        values = (high - low)[enough]
        if not len(values):
            yield Metric("team", team, name, None, "m", None, 0.0)
            continue
        off = float(values.std() / np.sqrt(max(len(values) / INDEPENDENT_S, 1.0)))
        yield Metric("team", team, name, float(values.mean()), "m", off, share)


def _possession(events: pa.Table, duration_s: float, gaps: Gaps) -> Iterator[Metric]:
    """A team has the ball from its spell's start to the next spell's, or up to a little longer
    than the spell: the ball on its way to a team-mate is the team's still. Gaps are nobody's."""
    spells = _of_type(events, "possession")
    spells = [row for row in spells if row["team"] in TEAMS]
    held, count = dict.fromkeys(TEAMS, 0.0), dict.fromkeys(TEAMS, 0)
    for spell, following in zip_longest(spells, spells[1:]):
        until = spell["end_s"] + POSSESSION_HOLDS_S
        until = min(until, following["start_s"]) if following else spell["end_s"]
        lost_s = gaps.lost_s(spell["start_s"], until)
        held[spell["team"]] += max(until - spell["start_s"] - lost_s, 0.0)
        count[spell["team"]] += 1
    total, spell_count = sum(held.values()), sum(count.values())
    seen = min(total / max(duration_s, 1e-9), 1.0)
    for team in TEAMS:
        share = held[team] / total if total > 0 else None
        off = _share_error(share, spell_count)
        yield Metric("team", team, "possession", share, "share", off, seen)


def _passes(events: pa.Table, duration_s: float, gaps: Gaps) -> Iterator[Metric]:
    passes = _of_type(events, "pass")
    known = [(r["start_s"], r["end_s"]) for r in (*_of_type(events, "possession"), *passes)]
    lasted_s = sum(end_s - start_s - gaps.lost_s(start_s, end_s) for start_s, end_s in known)
    seen = min(lasted_s / max(duration_s, 1e-9), 1.0)
    for team in TEAMS:
        own = [row for row in passes if row["team"] == team]
        judged = [row["outcome"] for row in own if row["outcome"] is not None]
        share = judged.count("complete") / len(judged) if judged else None
        doubt = sum(row["confidence"] * (1 - row["confidence"]) for row in own)
        yield Metric("team", team, "passes", float(len(own)), "count", float(np.sqrt(doubt)), seen)
        off = _share_error(share, len(judged))
        yield Metric("team", team, "pass_completion", share, "share", off, seen)


def _share_error(share: float | None, count: int) -> float | None:
    if share is None or count == 0:
        return None
    return float(np.sqrt(share * (1 - share) / count))


def _of_type(events: pa.Table, kind: str) -> list[dict]:
    return [row for row in events.to_pylist() if row["type"] == kind]
