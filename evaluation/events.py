"""Events found in real tracking, scored against hand-collected ones.

The collector's clock differs from the tracking's by a constant. It is fitted from the truth alone:
the offset at which, in the median, the collected passers are closest to the tracked ball.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from domain import tables
from domain.errors import InputError
from evaluation.bootstrap import share_interval
from evaluation.collected import CollectedEvents, Tracking, frame_rate, load_events, load_tracking
from evaluation.event_ceiling import KICKS, label_ceiling
from evaluation.event_matching import TOLERANCES_S, count_times, pair_times, time_error_s
from evaluation.match_events import final_events
from evaluation.match_tables import column, columns
from evaluation.scores import Counts, Scores, finite, share

Analyse = Callable[[pa.Table, pa.Table, pa.Table, float], pa.Table]
"""From tables tracks, ball and identities and the frame rate to the table match_events."""

MAX_OFFSET_S = 10.0
"""Offsets from minus to plus this are tried."""

# an offset that leaves less than this share of the passes inside the tracking is not considered
_MIN_SHARE_INSIDE = 0.5
_MIN_PASSES = 3


@dataclass(frozen=True)
class ClockOffset:
    """How far the collector's stamps are behind the tracking: tracking time = stamp - offset.

    Attributes:
        offset_s: seconds.
        stamped_distance_m: median distance from passer to ball by the stamps as they are.
        fitted_distance_m: the same after the offset is taken off.
    """

    offset_s: float
    stamped_distance_m: float
    fitted_distance_m: float


def score_events(folder: Path, analyse: Analyse) -> Scores:
    """Score the events that `analyse` finds in the tracking of a folder.

    Returns:
        `offset_s`; for each event type {n, precision, recall, f1, f1_low, f1_high, f1_0_5s, f1_2s,
        time_error_s, player_accuracy, player_n}, n being the collected events that fall inside the
        tracking, matched one to one within one second, `f1_low` to `f1_high` the bootstrap interval
        of 95 %; for kicks also {ceiling_f1, ceiling_f1_0_5s, ceiling_f1_2s,
        label_time_error_median_s}, what the labels allow (evaluation/event_ceiling.py);
        `events_outside`, those that fall outside and are not counted; `passer_to_ball_m`, the
        median distance after the offset, and `passer_to_ball_stamped_m` before it.
        Types that the collector never uses are not scored.

    Raises:
        InputError: a file or column is missing or malformed, or the offset cannot be fitted.
        TableError: `analyse` returned no match_events table.
    """
    tracking, collected = load_tracking(folder), load_events(folder)
    rate = frame_rate(folder)
    clock = fit_offset(tracking, collected, rate)
    found = analyse(tracking.tracks, tracking.ball, tracking.identities, rate)
    found = final_events(tables.check("match_events", found), "the analysis")
    seconds = collected.stamped_s - clock.offset_s
    inside = (seconds >= 0) & (seconds <= column(tracking.frames, "time_s")[-1])
    return {
        "offset_s": clock.offset_s,
        **_score_types(
            collected.where(inside), seconds[inside], found, _passer_distances(tracking), rate
        ),
        "events_outside": int((~inside).sum()),
        "passer_to_ball_stamped_m": finite(clock.stamped_distance_m),
        "passer_to_ball_m": finite(clock.fitted_distance_m),
    }


def fit_offset(tracking: Tracking, collected: CollectedEvents, rate: float) -> ClockOffset:
    """Fit the constant between the two clocks, to a frame, from passers and the tracked ball.

    Args:
        rate: frames per second of the tracking, which has no gaps.

    Raises:
        InputError: fewer than three passes have a tracked passer.
    """
    distance = _passer_distances(tracking)
    passes = np.flatnonzero((collected.type == "pass") & np.isin(collected.player, [*distance]))
    if len(passes) < _MIN_PASSES:
        raise InputError(
            f"cannot fit the events' clock: expected {_MIN_PASSES} passes by tracked players, "
            f"actual {len(passes)}"
        )
    curves = np.array([distance[player] for player in collected.player[passes]])
    steps = np.arange(-round(MAX_OFFSET_S * rate), round(MAX_OFFSET_S * rate) + 1)
    stamped = collected.stamped_s[passes] * rate
    medians = np.array([_median_distance(curves, stamped - step) for step in steps])
    if np.isnan(medians).all():
        raise InputError("cannot fit the events' clock: no offset brings half the passes inside")
    # of several equally good offsets, the one that moves the events least
    best = int(np.lexsort((np.abs(steps), medians))[0])
    stamped_m = float(medians[len(steps) // 2])
    return ClockOffset(float(steps[best] / rate), stamped_m, float(medians[best]))


def _passer_distances(tracking: Tracking) -> dict[str, NDArray[np.float64]]:
    """Each player's distance in metres to the ball in every frame (frames,), NaN if unknown."""
    frame = column(tracking.tracks, "frame")
    ball = columns(tracking.ball, "x", "y")
    apart = np.linalg.norm(columns(tracking.tracks, "x", "y") - ball[frame], axis=1)
    table = np.full((len(tracking.identities), len(ball)), np.nan)
    table[column(tracking.tracks, "track"), frame] = apart
    return dict(zip(column(tracking.identities, "player").tolist(), table, strict=True))


def _median_distance(curves: NDArray[np.float64], at: NDArray[np.float64]) -> float:
    """Median of each row of `curves` (passes, frames) at its own frame of `at` (passes,)."""
    frame = np.rint(at).astype(np.int64)
    inside = (frame >= 0) & (frame < curves.shape[1])
    metres = curves[inside, frame[inside]]
    metres = metres[~np.isnan(metres)]
    return float(np.median(metres)) if len(metres) >= _MIN_SHARE_INSIDE * len(at) else np.nan


def _score_types(
    collected: CollectedEvents,
    seconds: NDArray[np.float64],
    found: pa.Table,
    distances_m: dict[str, NDArray[np.float64]],
    rate: float,
) -> Scores:
    """Scores of each collected type; `seconds` (n,) are the collected events' on our clock."""
    scores: Scores = {}
    for kind in np.unique(collected.type):
        rows = collected.type == kind
        answer = found.filter(pc.equal(found["type"], str(kind)))
        scores[str(kind)] = _score_type(seconds[rows], collected.player[rows], answer)
        if kind in KICKS:
            nowhere = np.full(1, np.nan)
            kicks = [distances_m.get(player, nowhere) for player in collected.player[rows]]
            scores[str(kind)] |= label_ceiling(seconds[rows], kicks, rate)
    return scores


def _score_type(truth_s: NDArray[np.float64], player: NDArray[np.str_], found: pa.Table) -> Scores:
    found_s = column(found, "start_s").astype(np.float64)
    counts = {
        suffix: count_times(truth_s, found_s, tolerance)
        for suffix, tolerance in TOLERANCES_S.items()
    }
    return {
        "n": len(truth_s),
        "precision": counts[""].precision,
        "recall": counts[""].recall,
        **{f"f1{suffix}": count.f1 for suffix, count in counts.items()},
        **_interval(counts[""]),
        "time_error_s": time_error_s(truth_s, found_s),
        **_who(truth_s, player, found),
    }


def _interval(counts: Counts) -> Scores:
    """`f1_low` and `f1_high` hold F1 with 95 %; a case is an event of either side."""
    twice_hits = np.repeat([2.0, 0.0], [counts.hits, counts.false + counts.missed])
    found = share_interval(twice_hits, np.where(twice_hits > 0, 2.0, 1.0))
    return {"f1_low": found.low if found else None, "f1_high": found.high if found else None}


def _who(truth_s: NDArray[np.float64], player: NDArray[np.str_], found: pa.Table) -> Scores:
    """Of the pairs within a second whose player both sides name: the share named right."""
    i, j = pair_times(truth_s, column(found, "start_s").astype(np.float64), TOLERANCES_S[""])
    answers = np.array([name or "" for name in column(found, "player")], dtype=np.str_)[j]
    both = (player[i] != "") & (answers != "")
    right = (player[i] == answers)[both]
    return {"player_accuracy": share(int(right.sum()), len(right)), "player_n": len(right)}
