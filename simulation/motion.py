"""The play seen at the video's frame times: positions, speeds, gait, kicks."""

from dataclasses import dataclass

import numpy as np

from simulation.arrays import Floats, Ints
from simulation.people import PEOPLE
from simulation.play import PlayRecord
from simulation.state import TICK_S

# Length of a full stride (two steps) in metres by speed: about 1.4 m walking, 3.5 m at 7 m/s
# (Weyand et al., Faster top running speeds are achieved with greater ground forces, 2000).
STRIDE_BASE_M = 0.95
STRIDE_PER_MPS = 0.37
IDLE_STRIDE_HZ = 0.25
SPEED_WINDOW_S = 0.16
KICK_BACK_S, KICK_THROUGH_S = 0.22, 0.28
KICK_SWING_RAD = 0.95


@dataclass(frozen=True)
class Motion:
    """Rows are frames. time_s (n); position, velocity (n, 25, 2) in metres and metres a second;
    heading, lean, gait, kick (n, 25) in radians; gesture (n, 25); ball (n, 3) metres and
    ball_velocity (n, 3); team, carrier (n).
    """

    time_s: Floats
    position: Floats
    velocity: Floats
    heading: Floats
    lean: Floats
    gait: Floats
    kick: Floats
    gesture: Ints
    ball: Floats
    ball_velocity: Floats
    team: Ints
    carrier: Ints

    @property
    def speed_mps(self) -> Floats:
        """Speeds (n, 25)."""
        return np.asarray(np.linalg.norm(self.velocity, axis=2))


def at_frames(record: PlayRecord, time_s: Floats) -> Motion:
    """The record at `time_s` (n) in any order, between ticks by straight lines."""
    tick = np.minimum(np.rint(time_s / TICK_S).astype(np.int64), len(record.ball) - 1)
    velocity = _smooth_velocity(record.position)
    gait = _gait(np.linalg.norm(velocity, axis=2))
    return Motion(
        time_s=time_s,
        position=_between(record.position, time_s),
        velocity=_between(velocity, time_s),
        heading=record.heading[tick],
        lean=record.lean[tick],
        gait=_between(gait, time_s),
        kick=_kick_swings(record, time_s),
        gesture=record.gesture[tick],
        ball=_between(record.ball, time_s),
        ball_velocity=_between(_ball_velocity(record), time_s),
        team=record.team[tick],
        carrier=record.carrier[tick],
    )


def _between(values: Floats, time_s: Floats) -> Floats:
    exact = np.minimum(time_s / TICK_S, len(values) - 1.001)
    low = exact.astype(np.int64)
    share = (exact - low).reshape(-1, *[1] * (values.ndim - 1))
    return np.asarray(values[low] * (1 - share) + values[low + 1] * share)


def _smooth_velocity(position: Floats) -> Floats:
    """Central differences over `SPEED_WINDOW_S`."""
    reach = max(round(SPEED_WINDOW_S / TICK_S / 2), 1)
    padded = np.concatenate(
        [position[:1].repeat(reach, 0), position, position[-1:].repeat(reach, 0)]
    )
    return np.asarray((padded[2 * reach :] - padded[: -2 * reach]) / (2 * reach * TICK_S))


def _ball_velocity(record: PlayRecord) -> Floats:
    """The ball's velocity; zero where a new ball is laid down."""
    velocity = np.gradient(record.ball, TICK_S, axis=0)
    velocity[np.linalg.norm(velocity, axis=1) > 45.0] = 0.0
    return np.asarray(velocity)


def _gait(speed: Floats) -> Floats:
    """Phase of the stride in radians; it runs on with the distance covered."""
    strides_per_s = speed / (STRIDE_BASE_M + STRIDE_PER_MPS * speed)
    start = np.linspace(0.0, 40.0, PEOPLE)
    return np.asarray(start + np.cumsum(2 * np.pi * strides_per_s * TICK_S, axis=0))


def _kick_swings(record: PlayRecord, time_s: Floats) -> Floats:
    """Angle (n, 25) of the kicking leg around each pass and shot: back, through, and down again."""
    swings = np.zeros((len(time_s), PEOPLE))
    keys = np.array([-KICK_BACK_S, -0.08, 0.05, KICK_THROUGH_S])
    angles = np.array([0.0, -0.7, 1.0, 0.0]) * KICK_SWING_RAD
    order = np.argsort(time_s, kind="stable")
    sorted_s = time_s[order]
    for action in record.actions:
        if action.kind in ("pass", "cross", "shot") and action.player is not None:
            low, high = np.searchsorted(sorted_s, action.start_s + keys[[0, -1]])
            swings[order[low:high], action.player] = np.interp(
                sorted_s[low:high] - action.start_s, keys, angles
            )
    return swings
