"""What play looks like in numbers, and the numbers that real football shows.

Everything is measured by the same functions on simulated truth and on real tracking. Rates are
counts a minute of play (ball alive), because pauses are shortened in simulated matches.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from domain.pitch import PENALTY_AREA_HALF_WIDTH_M, Pitch
from evaluation.play_tables import PlayedMatch
from evaluation.scores import Scores, percentile, share

SPEED_REACH_S = 0.2  # speeds are central differences over twice this, which calms tracking noise
FASTEST_MPS = 12.0  # nobody runs faster (the sprint record is 12.4 m/s): a jump of the tracking
HIGH_SPEED_MPS = 5.5  # 19.8 km/h, the usual limit of high-speed running
LONG_PASS_M = 32.0  # 35 yards, the collectors' limit of a long ball
OVER_HEAD_M = 2.0
OFF_GROUND_M = 0.5
RATED_EVENTS = (
    "cross", "shot", "goal", "save", "tackle", "interception", "dribble", "foul", "ball_out",
    "throw_in", "corner", "goal_kick", "free_kick", "kick_off", "penalty",
)  # fmt: skip

REFERENCE: Mapping[str, tuple[float, float]] = {
    "distance_m_per_min": (100.0, 128.0),
    "high_speed_share": (0.01, 0.05),
    "length_out_m": (24.0, 38.0),
    "width_out_m": (34.0, 48.0),
    "share_last_third": (0.22, 0.33),
    "passes_per_min": (14.0, 19.0),
    "pass_complete": (0.75, 0.87),
    "cross_per_min": (0.3, 0.8),
    "shot_per_min": (0.38, 0.55),
    "goal_per_min": (0.04, 0.06),
    "goals_per_shot": (0.08, 0.13),
    "shots_on_target_share": (0.28, 0.40),
    "tackle_per_min": (0.7, 1.1),
    "foul_per_min": (0.3, 0.55),
    "throw_in_per_min": (0.6, 0.9),
    "corner_per_min": (0.14, 0.22),
    "goal_kick_per_min": (0.22, 0.36),
    "share_in_play": (0.52, 0.64),
}
"""Usual ranges of professional matches, low and high.

- Distance: 11.4 km with a deviation of 1.0 km over about 94 minutes an outfield player (Di Salvo
  et al., Performance characteristics according to playing position in elite soccer, 2007); the
  range is widened downwards for the two keepers, who cover about half of it.
- Goals: 169 and 172 in the 64 matches of the World Cups 2018 and 2022, 2.6 to 2.7 a match.
- The other counts are whole-season averages of the big European leagues as their public tables
  give them (both teams together, a match): passes 800 to 1050, shots 22 to 29, a third of them on
  target, one in ten a goal, corners 9 to 11, fouls 19 to 28, throw-ins 36 to 46, goal kicks 14 to
  19, tackles with those that were beaten 40 to 60, crosses 20 to 40; divided by 55 minutes with
  the ball in play.
- Time in play: 52 to 64 % of a match in the same leagues.
- Length and width out of possession: 25 to 35 by 35 to 45 m for elite teams in open play.

They are ranges to compare with, not limits that a match has to keep.
"""


def compare_play(
    truths: Sequence[PlayedMatch], real: PlayedMatch | None
) -> dict[str, dict[str, object]]:
    """Each statistic of the simulated matches together, of the real one, and the usual range."""
    simulated = play_statistics(truths)
    tracking = play_statistics([real]) if real is not None else dict.fromkeys(simulated)
    return {
        name: {
            "simulated": simulated[name],
            "tracking": tracking[name],
            "reference": list(REFERENCE[name]) if name in REFERENCE else None,
        }
        for name in simulated
    }


def play_statistics(matches: Sequence[PlayedMatch]) -> Scores:
    """The statistics of all matches together; None where there is nothing to measure."""
    minutes = sum(float((_steps(match) * (match.period > 0)).sum()) for match in matches) / 60
    alive = sum(float((_steps(match) * (match.possession >= 0)).sum()) for match in matches) / 60
    return {
        "minutes": minutes,
        "share_in_play": share(alive, minutes),
        **_running(matches),
        **_shape(matches),
        **_possessions(matches, alive),
        **_ball(matches),
        **_passing(matches, alive),
        **_events(matches, alive),
    }


def _steps(match: PlayedMatch) -> NDArray[np.float64]:
    """Seconds (n,) until the next frame; the last lasts as long as the one before it."""
    steps = np.diff(match.time_s)
    return np.append(steps, steps[-1:]) if len(steps) else np.zeros(len(match.time_s))


def speeds(match: PlayedMatch) -> NDArray[np.float64]:
    """Speeds (n, players) in m/s of the players; NaN at the ends and where one is unknown."""
    return _change(match, match.xy, FASTEST_MPS)


def _change(match: PlayedMatch, xy: NDArray[np.float64], limit: float) -> NDArray[np.float64]:
    """Size (n, players) of the change a second of vectors (n, players, 2), by central
    differences; NaN where it is above `limit`, unknown, or outside the periods.
    """
    size = np.full(xy.shape[:2], np.nan)
    if len(xy) < 3:
        return size
    reach = max(round(SPEED_REACH_S / float(np.median(np.diff(match.time_s)))), 1)
    elapsed = match.time_s[2 * reach :] - match.time_s[: -2 * reach]
    moved = np.linalg.norm(xy[2 * reach :] - xy[: -2 * reach], axis=2)
    size[reach:-reach] = moved / elapsed[:, None]
    size[(match.period == 0) | ~np.isfinite(size).any(axis=1)] = np.nan
    with np.errstate(invalid="ignore"):
        size[size > limit] = np.nan
    return size


def _running(matches: Sequence[PlayedMatch]) -> Scores:
    by_match = [speeds(match) for match in matches]
    speed = np.concatenate([values[~np.isnan(values)] for values in by_match])
    scores: Scores = {
        f"speed_mps_p{percent}": percentile(speed, percent)
        for percent in (5, 25, 50, 75, 90, 95, 99)
    }
    scores["distance_m_per_min"] = share(60 * float(speed.sum()), len(speed))
    scores["high_speed_share"] = share(int((speed > HIGH_SPEED_MPS).sum()), len(speed))
    change = np.concatenate([_accelerations(match) for match in matches])
    for percent in (50, 95, 99):
        scores[f"acceleration_mps2_p{percent}"] = percentile(change, percent)
    return scores


def _accelerations(match: PlayedMatch) -> NDArray[np.float64]:
    """All sizes of accelerations in m/s2, the smoothing being that of speeds, twice."""
    velocity = np.full(match.xy.shape, np.nan)
    if len(match.xy) > 2:
        reach = max(round(SPEED_REACH_S / float(np.median(np.diff(match.time_s)))), 1)
        elapsed = match.time_s[2 * reach :] - match.time_s[: -2 * reach]
        moved = match.xy[2 * reach :] - match.xy[: -2 * reach]
        velocity[reach:-reach] = moved / elapsed[:, None, None]
    size = _change(match, velocity, 3 * FASTEST_MPS)
    return np.asarray(size[~np.isnan(size)])


def _shape(matches: Sequence[PlayedMatch]) -> Scores:
    """Medians of the outfield players' extent along and across the pitch, ball alive."""
    extents: dict[str, list[NDArray[np.float64]]] = {"in": [], "out": []}
    for match in matches:
        for team in (0, 1):
            xy = match.xy[:, (match.team == team) & ~match.keeper]
            known = ~np.isnan(xy).all(axis=(1, 2))
            for phase, side in (("in", team), ("out", 1 - team)):
                chosen = xy[known & (match.possession == side)]
                extents[phase].append(np.nanmax(chosen, axis=1) - np.nanmin(chosen, axis=1))
    return {
        f"{name}_{phase}_m": percentile(np.concatenate(parts)[:, axis], 50)
        for phase, parts in extents.items()
        for axis, name in enumerate(("length", "width"))
    }


def _possessions(matches: Sequence[PlayedMatch], alive_min: float) -> Scores:
    lengths = np.concatenate([_possession_lengths(match) for match in matches])
    thirds = np.concatenate([_thirds(match) for match in matches])
    aside = np.concatenate([np.abs(m.ball[m.possession >= 0, 1]) for m in matches])
    aside = aside[~np.isnan(aside)]
    return {
        "possessions_per_min": share(len(lengths), alive_min),
        "possession_s_mean": share(float(lengths.sum()), len(lengths)),
        "possession_s_p50": percentile(lengths, 50),
        "possession_s_p90": percentile(lengths, 90),
        **{
            f"share_{name}_third": share(int((thirds == third).sum()), len(thirds))
            for third, name in enumerate(("own", "middle", "last"))
        },
        "share_wide": share(int((aside > PENALTY_AREA_HALF_WIDTH_M).sum()), len(aside)),
    }


def _possession_lengths(match: PlayedMatch) -> NDArray[np.float64]:
    """Seconds of each stretch during which one side has the ball alive."""
    starts = np.flatnonzero(np.diff(match.possession, prepend=-2))
    seconds = np.add.reduceat(_steps(match), starts) if len(starts) else np.zeros(0)
    return np.asarray(seconds[match.possession[starts] >= 0])


def _thirds(match: PlayedMatch) -> NDArray[np.int64]:
    """0, 1 or 2 for the side's own, the middle and the last third, a row a frame of play."""
    alive = (match.possession >= 0) & ~np.isnan(match.ball[:, 0])
    x = match.ball[alive, 0] * _attack_signs(match)[alive, match.possession[alive]]
    third = Pitch().length_m / 3
    return np.asarray(np.digitize(x, [-third / 2, third / 2]))


def _attack_signs(match: PlayedMatch) -> NDArray[np.int64]:
    """1 where a team attacks +x, else -1 (n, 2): its keeper stands at the other end."""
    signs = np.zeros((len(match.period), 2), np.int64)
    for period in np.unique(match.period):
        frames = match.period == period
        for team in (0, 1):
            x = match.xy[frames][:, (match.team == team) & match.keeper, 0]
            signs[frames, team] = -1 if np.nansum(x) > 0 else 1
    return signs


def _ball(matches: Sequence[PlayedMatch]) -> Scores:
    height = np.concatenate([m.ball[(m.possession >= 0), 2] for m in matches])
    height = height[~np.isnan(height)]
    return {
        "ball_off_ground_share": share(int((height > OFF_GROUND_M).sum()), len(height)),
        "ball_over_head_share": share(int((height > OVER_HEAD_M).sum()), len(height)),
    }


def _passing(matches: Sequence[PlayedMatch], alive_min: float) -> Scores:
    length = np.concatenate([np.linalg.norm(m.pass_end - m.pass_start, axis=1) for m in matches])
    complete = sum(int(m.complete.sum()) for m in matches)
    return {
        "passes_per_min": share(len(length), alive_min),
        "pass_complete": share(complete, len(length)),
        **{f"pass_length_m_p{p}": percentile(length, p) for p in (10, 25, 50, 75, 90)},
        "pass_long_share": share(int((length > LONG_PASS_M).sum()), len(length)),
    }


def _events(matches: Sequence[PlayedMatch], alive_min: float) -> Scores:
    counts = {kind: sum(m.events.get(kind, 0) for m in matches) for kind in RATED_EVENTS}
    told = [m.shots_on_target for m in matches if m.shots_on_target is not None]
    on_target = sum(told) if len(told) == len(matches) else None
    return {
        **{f"{kind}_per_min": share(count, alive_min) for kind, count in counts.items()},
        "goals_per_shot": share(counts["goal"], counts["shot"]),
        "shots_on_target_share": share(on_target, counts["shot"])
        if on_target is not None
        else None,
    }
