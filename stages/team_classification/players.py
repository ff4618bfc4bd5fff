"""Which tracks are one player: joins that only the whole match can make, and few of them.

A wrong join swaps two players for the rest of the match; a missed one only splits a total. So a
join needs the same team and role, a short gap, a place that the velocities predict, and no rival.
Joins across cuts are made for everybody at once (`breaks`). Who is seen in a replay is nobody's
next track: his time was counted when it was live.
"""

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stages.shots import Gaps
from stages.team_classification import breaks
from stages.team_classification.spans import Spans
from stages.team_classification.teams import KEEPER, REFEREE, Verdicts

Array = NDArray[np.float64]
MAX_GAP_S = 2.0
REACH_M = 1.5
REACH_MPS = 1.5
RIVAL_FACTOR = 1.8
RIVAL_MARGIN_M = 1.0
_TEAM_NAMES = {0: "home", 1: "away", -1: "unknown"}


def name_players(
    tracks: NDArray[np.int64], verdicts: Verdicts, spans: Spans, gaps: Gaps
) -> list[str]:
    """A player for each track, as "home-3": numbered by team in order of first appearance."""
    kinds = {
        int(track): (_TEAM_NAMES[int(team)] if role != REFEREE else "referee", int(role))
        for track, team, role in zip(tracks, verdicts.team, verdicts.role, strict=True)
    }
    live = {track: kind for track, kind in kinds.items() if track not in gaps.tracks}
    following = _joins(live, spans, gaps)
    before = {later: earlier for earlier, later in following.items()}
    order = sorted(kinds, key=lambda track: (_begins(spans, track), track))
    names: dict[int, str] = {}
    counts: dict[str, int] = {}
    for track in order:
        kind = kinds[track][0]
        if track in before and before[track] in names:
            names[track] = names[before[track]]
            continue
        counts[kind] = counts.get(kind, 0) + 1
        names[track] = f"{kind}-{counts[kind]}"
    return [names[int(track)] for track in tracks]


def _begins(spans: Spans, track: int) -> float:
    return float(spans.start[track][0]) if track in spans.start else np.inf


@dataclass(frozen=True)
class _Join:
    earlier: int
    later: int
    miss_m: float
    limit_m: float


def _joins(kinds: dict[int, tuple[str, int]], spans: Spans, gaps: Gaps) -> dict[int, int]:
    """The next track of the same player, for the tracks that have a certain one."""
    found = _keeper_joins(kinds, spans)
    known = {
        track: kind
        for track, kind in kinds.items()
        if track in spans.start and kind[0] != "unknown" and kind[1] != KEEPER
    }
    found |= breaks.joins(known, spans, gaps.breaks)
    taken = set(found.values())
    options = [
        join
        for join in _candidates(kinds, spans)
        if join.earlier not in found
        and join.later not in taken
        and not gaps.parts(spans.end[join.earlier][0], spans.start[join.later][0])
    ]
    by_earlier, by_later = _best_two(options, "earlier"), _best_two(options, "later")
    for earlier, (best, rival_m) in by_earlier.items():
        mutual, other_rival_m = by_later[best.later]
        clear_m = RIVAL_FACTOR * best.miss_m + RIVAL_MARGIN_M
        sure = best.miss_m <= best.limit_m and min(rival_m, other_rival_m) > clear_m
        if mutual is best and sure:
            found[earlier] = best.later
    return found


def _candidates(kinds: dict[int, tuple[str, int]], spans: Spans) -> list[_Join]:
    """Pairs of tracks of one team and role that may follow each other within `MAX_GAP_S`.

    Rivals count up to twice the distance that a join may have.
    """
    starts = sorted((float(at[0]), track) for track, at in spans.start.items() if track in kinds)
    times = [time for time, _ in starts]
    result = []
    for earlier, at in spans.end.items():
        kind = kinds.get(earlier)
        if kind is None or kind[0] == "unknown" or kind[1] == KEEPER:
            continue
        window = slice(bisect_right(times, at[0]), bisect_right(times, at[0] + MAX_GAP_S))
        for time, later in starts[window]:
            limit = REACH_M + REACH_MPS * (time - at[0])
            miss = _miss_m(at, spans.start[later])
            if kinds[later] == kind and miss <= RIVAL_FACTOR * limit + RIVAL_MARGIN_M:
                result.append(_Join(earlier, later, miss, limit))
    return result


def _miss_m(end: Array, start: Array) -> float:
    """How far the places are apart that one track's end and the other's start predict."""
    gap = start[0] - end[0]
    forward = end[1:3] + end[3:5] * gap - start[1:3]
    backward = start[1:3] - start[3:5] * gap - end[1:3]
    miss = (np.hypot(*forward) + np.hypot(*backward)) / 2
    return float(miss) if np.isfinite(miss) else np.inf


def _best_two(options: list[_Join], side: str) -> dict[int, tuple[_Join, float]]:
    """By track on one side: its best join, and the miss of the next best."""
    result: dict[int, tuple[_Join, float]] = {}
    for join in sorted(options, key=lambda join: (join.miss_m, join.earlier, join.later)):
        track = getattr(join, side)
        if track not in result:
            result[track] = (join, np.inf)
        elif result[track][1] == np.inf:
            result[track] = (result[track][0], join.miss_m)
    return result


def _keeper_joins(kinds: dict[int, tuple[str, int]], spans: Spans) -> dict[int, int]:
    """A team has one keeper: his tracks that do not overlap follow one another."""
    found: dict[int, int] = {}
    for team in ("home", "away"):
        keepers = [track for track, kind in kinds.items() if kind == (team, KEEPER)]
        keepers = sorted(
            (track for track in keepers if track in spans.start),
            key=lambda track: (_begins(spans, track), track),
        )
        last: int | None = None
        for track in keepers:
            if last is None:
                last = track
            elif spans.start[track][0] > spans.end[last][0]:
                found[last] = track
                last = track
    return found
