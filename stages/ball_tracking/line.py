"""The ball's path once its candidates are decided: a Kalman filter forward, then smoothed back.

The smoother is that of Rauch, Tung and Striebel (1965) with a fixed lag. Both axes share one
covariance, so each step is a handful of numbers, and all frames of a call are smoothed together.
"""

import numpy as np
from numpy.typing import NDArray

from stages import ground
from stages.ball_tracking.hypotheses import (
    BIRTH_MPS,
    Noise,
    advance_covariance,
    corrected,
    kicked_covariance,
)
from stages.ball_tracking.state import ABSENT, BORN, KICKED, KIND, BallTrackingState, Frames

FloatArray = NDArray[np.float64]

SUPPORT_GAIN = 0.2
FITS_MOTION = 2.0  # log odds that a decided path adds to a box's own evidence
MISSED_EVIDENCE = -2.0


def decided(state: BallTrackingState, index: int, code: int, noise: Noise) -> None:
    """Fill the columns of held frame `index`, whose ball is candidate `code`, missed or absent."""
    frames = state.frames
    frames.code[index] = code
    if code == ABSENT:
        return
    if code >= 0 and (code // KIND == BORN or _broken(frames, index)):
        _begin(state, index, code, noise)
    else:
        _go_on(state, index, code, noise)
    frames.confidence[index] = 1 / (1 + np.exp(-state.support))


def _broken(frames: Frames, index: int) -> bool:
    return index == 0 or bool(frames.line[index - 1] < 0)


def _begin(state: BallTrackingState, index: int, code: int, noise: Noise) -> None:
    frames, candidate = state.frames, state.frames.candidates[index, code % KIND]
    frames.line[index] = state.lines
    state.lines += 1
    state.support = float(candidate[3])
    frames.place[index] = candidate[:2]
    frames.velocity[index] = 0.0
    frames.covariance[index] = (noise.seen, 0.0, (BIRTH_MPS * noise.scale) ** 2)


def _go_on(state: BallTrackingState, index: int, code: int, noise: Noise) -> None:
    frames, before = state.frames, index - 1
    elapsed_s = float(frames.elapsed_s[index])
    frames.line[index] = frames.line[before]
    velocity = frames.velocity[before : before + 1]
    place, jacobian = ground.move(
        frames.motion[index], frames.place[before : before + 1] + velocity * elapsed_s
    )
    velocity = (jacobian * velocity[:, None, :]).sum(axis=2)
    zoom = ground.scale_of(jacobian)[0]
    covariance = frames.covariance[before : before + 1]
    if code >= 0 and code // KIND == KICKED:
        covariance = kicked_covariance(covariance, np.zeros(1), noise.scale)
    covariance = advance_covariance(covariance, elapsed_s, noise.scale) * zoom**2
    frames.zoom[index] = zoom
    frames.predicted[index] = np.concatenate([place[0], velocity[0]])
    frames.predicted_covariance[index] = covariance[0]
    evidence = MISSED_EVIDENCE
    if code >= 0:
        candidate = frames.candidates[index, code % KIND]
        evidence = float(candidate[3]) + FITS_MOTION
        place, velocity, covariance = corrected(
            (place, velocity, covariance), candidate[None, :2], noise.seen
        )
    state.support += SUPPORT_GAIN * (evidence - state.support)
    frames.place[index], frames.velocity[index] = place[0], velocity[0]
    frames.covariance[index] = covariance[0]


def smooth(frames: Frames, count: int, lag: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """The first `count` frames, each smoothed by up to `lag` frames after it of the same line.

    Returns:
        Places (count, 2), velocities (count, 2) and variances of the place (count,).
    """
    first, last = np.arange(count), len(frames.frame) - 1
    state = np.full((count, 4), np.nan)
    covariance = np.full((count, 3), np.nan)
    for step in range(lag, -1, -1):
        at = np.minimum(first + step, last)
        inside = (first + step <= last) & (frames.line[at] == frames.line[first])
        inside &= frames.line[first] >= 0
        before, before_covariance = _back(frames, at, state, covariance)
        fresh = np.isnan(covariance[:, 0])[:, None]
        filtered = np.column_stack([frames.place[at], frames.velocity[at]])
        new_state = np.where(fresh, filtered, before)
        new_covariance = np.where(fresh, frames.covariance[at], before_covariance)
        state = np.where(inside[:, None], new_state, state)
        covariance = np.where(inside[:, None], new_covariance, covariance)
    return state[:, :2], state[:, 2:], covariance[:, 0]


def _back(
    frames: Frames, at: NDArray[np.int64], state: FloatArray, covariance: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """One step back: `state` (n, 4) and `covariance` (n, 3) are of the frames after `at`."""
    after = np.minimum(at + 1, len(frames.frame) - 1)
    t, zoom = frames.elapsed_s[after], frames.zoom[after]
    a, b, c = frames.covariance[at].T
    p, m, s = frames.predicted_covariance[after].T
    scale = zoom / (p * s - m * m)
    # gain = P F' inverse(predicted P), two by two
    g00, g01 = scale * ((a + b * t) * s - b * m), scale * (b * p - (a + b * t) * m)
    g10, g11 = scale * ((b + c * t) * s - c * m), scale * (c * p - (b + c * t) * m)
    error = state - frames.predicted[after]
    place = frames.place[at] + g00[:, None] * error[:, :2] + g01[:, None] * error[:, 2:]
    velocity = frames.velocity[at] + g10[:, None] * error[:, :2] + g11[:, None] * error[:, 2:]
    dp, dm, ds = (covariance - frames.predicted_covariance[after]).T
    new_covariance = np.column_stack(
        [
            a + g00 * g00 * dp + 2 * g00 * g01 * dm + g01 * g01 * ds,
            b + g00 * g10 * dp + (g00 * g11 + g01 * g10) * dm + g01 * g11 * ds,
            c + g10 * g10 * dp + 2 * g10 * g11 * dm + g11 * g11 * ds,
        ]
    )
    return np.column_stack([place, velocity]), new_covariance
