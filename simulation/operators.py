"""Camera operators: where each camera of a match stands and how it follows the play."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter1d

from simulation.arrays import Floats
from simulation.camera import CameraPath
from simulation.hand_held import amateur
from simulation.hovering import drone

HALF_LENGTH_M, HALF_WIDTH_M = 52.5, 34.0
LAG_S = 0.22
SMOOTH_S = 0.75
BREATHE_S = 3.0

# The main camera of broadcast matches: near the halfway line, 20 to 35 m behind the near touchline
# and 12 to 25 m up (FIFA Stadium Guidelines, broadcast camera positions).
MAIN_BACK_M = (20.0, 35.0)
MAIN_HEIGHT_M = (12.0, 25.0)
MAIN_SIDE_M = (-5.0, 5.0)
MAIN_VIEW_M = (44.0, 68.0)  # metres across the picture at the ball
MAIN_SHARE = ((0.84, 0.96), (0.42, 0.65))  # how much of the ball's way the camera pans and tilts
LINE_AT_M = 36.0  # the cameras of the 16 m lines stand beside the main one, level with those lines
LINE_VIEW_M = (34.0, 46.0)
BEHIND_GOAL_BACK_M = (18.0, 32.0)
BEHIND_GOAL_HEIGHT_M = (10.0, 22.0)
BEHIND_GOAL_SIDE_M = (-5.0, 5.0)
BEHIND_GOAL_VIEW_M = (54.0, 74.0)
STATIC_BACK_M, STATIC_HEIGHT_M, STATIC_SIDE_M = (36.0, 50.0), (18.0, 32.0), (-8.0, 8.0)
STATIC_VIEW_M = (104.0, 124.0)
# Radial distortion of broadcast lenses, k1 of domain.lens: mean, spread, least, most. In wide views
# of real matches lines bend by 6 to 10 px of 1920 at the edges (docs/notes/calibration.md); with
# 58 m across at 75 m the edge is 0.39 focal lengths from the middle, and 10 px there are 0.07.
LENS_K1 = (-0.015, 0.022, -0.07, 0.03)


@dataclass(frozen=True)
class Stance:
    """A camera at `place` (3) metres that shows `view_m` metres across at the point it aims at:
    `share` (2) of the way from the centre spot to the ball, plus `offset` (2) metres.
    """

    place: Floats
    view_m: float
    share: tuple[float, float] = (1.0, 1.0)
    offset: tuple[float, float] = (0.0, 0.0)
    k1: float = 0.0
    breathes: bool = False  # whether the operator zooms slowly in and out
    closes_in: bool = False  # whether he zooms in towards the ends

    def on_ball(self, view_m: float) -> "Stance":
        """The same camera with the ball in the middle of `view_m` metres, as in replays."""
        return replace(self, view_m=view_m, share=(1.0, 0.9), offset=(0.0, 0.0))


def camera_path(
    kind: str, ball: Floats, fps: float, size: tuple[int, int], rng: np.random.Generator
) -> CameraPath:
    """The camera `kind` over all frames of a match with a ball at `ball` (n, 3)."""
    if kind == "wide":
        return _static(len(ball), size, rng)
    if kind == "amateur":
        return amateur(ball, fps, size, rng)
    if kind == "drone":
        return drone(ball, fps, size, rng)
    stance = main_stance(rng) if kind == "main" else behind_goal_stance(-1, rng)
    return follow(stance, ball, fps, size, rng)


def main_stance(rng: np.random.Generator) -> Stance:
    """The main camera of a match."""
    side, back, height = (
        rng.uniform(*limits) for limits in (MAIN_SIDE_M, MAIN_BACK_M, MAIN_HEIGHT_M)
    )
    place = np.array([side, -HALF_WIDTH_M - back, height])
    view_m, k1 = rng.uniform(*MAIN_VIEW_M), draw_k1(rng)
    share = rng.uniform(*MAIN_SHARE[0]), rng.uniform(*MAIN_SHARE[1])
    return Stance(place, view_m, share, (0.0, 1.5), k1, breathes=True, closes_in=True)


def draw_k1(rng: np.random.Generator) -> float:
    """The distortion of a broadcast lens."""
    mean, spread, least, most = LENS_K1
    return float(np.clip(rng.normal(mean, spread), least, most))


def line_stance(main: Stance, sign: int, rng: np.random.Generator) -> Stance:
    """The camera level with the penalty area's line of the end `sign`, on the main one's stand."""
    beside = np.array([sign * LINE_AT_M, rng.uniform(-2.0, 2.0), rng.uniform(-3.0, 1.0)])
    view_m, k1 = rng.uniform(*LINE_VIEW_M), draw_k1(rng)
    return Stance(main.place + beside, view_m, (0.9, 0.6), (0.0, 1.0), k1, breathes=True)


def behind_goal_stance(sign: int, rng: np.random.Generator) -> Stance:
    """The tactical camera high behind the goal at x = 52.5 `sign`."""
    back, side, height = (
        rng.uniform(*limits)
        for limits in (BEHIND_GOAL_BACK_M, BEHIND_GOAL_SIDE_M, BEHIND_GOAL_HEIGHT_M)
    )
    place = np.array([sign * (HALF_LENGTH_M + back), side, height])
    view_m, k1 = rng.uniform(*BEHIND_GOAL_VIEW_M), draw_k1(rng)
    return Stance(place, view_m, (0.6, 0.5), (0.0, 0.0), k1)


def follow(
    stance: Stance, ball: Floats, fps: float, size: tuple[int, int], rng: np.random.Generator
) -> CameraPath:
    """The camera of `stance` on a ball at `ball` (n, 3), `fps` rows a second of play."""
    aim = operator_aim(ball, fps) * stance.share + stance.offset
    view_m = np.full(len(ball), stance.view_m)
    if stance.breathes:
        view_m *= _breathe(len(ball), fps, rng)
    if stance.closes_in:
        view_m *= 1.0 - 0.14 * np.clip((np.abs(aim[:, 0]) - 25.0) / 20.0, 0.0, 1.0)
    return aimed(size, stance.place, aim, view_m, fps, rng, k1=stance.k1)


def operator_aim(ball: Floats, fps: float, slack: float = 1.0) -> Floats:
    """The point (n, 2) that an operator keeps in the middle: the ball, late and smooth by `slack`
    times what is usual.
    """
    inside = np.clip(ball[:, :2], [-HALF_LENGTH_M, -HALF_WIDTH_M], [HALF_LENGTH_M, HALF_WIDTH_M])
    lag = min(round(LAG_S * slack * fps), len(ball) - 1)
    late = np.concatenate([inside[:1].repeat(lag, axis=0), inside[: len(inside) - lag]])
    return np.asarray(gaussian_filter1d(late, SMOOTH_S * slack * fps, axis=0, mode="nearest"))


def _breathe(count: int, fps: float, rng: np.random.Generator) -> Floats:
    """A slow factor (n) around 1 with which operators zoom in and out."""
    knots = max(int(count / fps / BREATHE_S) + 4, 4)
    values = rng.uniform(0.92, 1.08, knots)
    seconds = np.arange(count) / fps
    raw = np.interp(seconds, (np.arange(knots) - 1) * BREATHE_S, values)
    return np.asarray(gaussian_filter1d(raw, 1.0 * fps, mode="nearest"))


def aimed(
    size: tuple[int, int],
    place: Floats,
    aim: Floats,
    view_m: Floats,
    fps: float,
    rng: np.random.Generator,
    shake: float = 1.0,
    k1: float = 0.0,
) -> CameraPath:
    """A camera at `place` that looks at `aim` (n, 2 on the ground, or 3) with `view_m` (n) metres
    across there; `shake` times the tremor of a tripod that shows 50 m.
    """
    ground = aim if aim.shape[1] == 3 else np.column_stack([aim, np.zeros(len(aim))])
    offset = ground - place
    flat = np.hypot(offset[:, 0], offset[:, 1])
    tremor = shake * gaussian_filter1d(
        rng.normal(0.0, 0.25, (len(aim), 2)), 0.3 * fps, axis=0, mode="nearest"
    )
    return CameraPath(
        width=size[0],
        height=size[1],
        focal_px=size[0] * np.hypot(flat, offset[:, 2]) / view_m,
        pan_deg=np.degrees(np.arctan2(offset[:, 0], offset[:, 1])) + 0.2 * tremor[:, 0],
        tilt_deg=np.degrees(np.arctan2(-offset[:, 2], flat)) + 0.15 * tremor[:, 1],
        roll_deg=np.full(len(aim), rng.uniform(-0.35, 0.35)),
        position=np.tile(place, (len(aim), 1)),
        k1=np.full(len(aim), k1),
    )


def _static(count: int, size: tuple[int, int], rng: np.random.Generator) -> CameraPath:
    """One view of the whole pitch from a camera that nobody touches."""
    side, back, height = (
        rng.uniform(*limits) for limits in (STATIC_SIDE_M, STATIC_BACK_M, STATIC_HEIGHT_M)
    )
    place, view_m = np.array([side, -HALF_WIDTH_M - back, height]), rng.uniform(*STATIC_VIEW_M)
    aim, k1 = rng.uniform([-2.0, -3.0], [2.0, 3.0])[None], draw_k1(rng)
    once = aimed(size, place, aim, np.array([view_m]), 25.0, rng, k1=k1)
    return once.take(np.zeros(count, dtype=np.int64))
