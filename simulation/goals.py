"""Draws the goals and the ball."""

from dataclasses import replace

import numpy as np

from domain.pitch import GOAL_HEIGHT_M, GOAL_WIDTH_M
from simulation.arrays import Floats, Pixels
from simulation.camera import NEAR_M
from simulation.patches import Air, Colour, Patch
from simulation.views import FrameView

NET_DEPTH_M, NET_TOP_M, NET_STEP_M = 2.0, 1.0, 0.35
POST_RADIUS_M = 0.06
BALL_PATCH_PX = 80
BALL_SHADE, BALL_WHITE = (128.0, 138.0, 136.0, 255.0), (238.0, 241.0, 240.0, 255.0)
NET, POST = (70.0, 70.0, 70.0, 75.0), (225.0, 228.0, 228.0, 255.0)


def paint_ball(image: Pixels, view: FrameView, air: Air) -> None:
    """A white ball, shaded below, drawn along its way while the shutter was open."""
    if view.ball_depth < NEAR_M:
        return
    radius = view.ball_radius_px
    smear = np.array(air.smear)
    ends = np.stack([view.ball_px + smear / 2, view.ball_px - smear / 2])
    box = np.concatenate([ends.min(axis=0) - radius, ends.max(axis=0) + radius])
    patch = Patch.over(image, box, BALL_PATCH_PX)
    if patch is None:
        return
    # light spread over a longer way is fainter everywhere
    share = max(min(1.3 * 2 * radius / (2 * radius + float(np.hypot(*smear))), 1.0), 0.35)
    shade, white = (_thinned(colour, share) for colour in (BALL_SHADE, BALL_WHITE))
    lift = np.array([0.0, -0.22 * radius])
    patch.rods(np.stack([ends, ends + lift]), radius * np.array([1.0, 0.78]), [shade, white])
    patch.blend(image, replace(air, smear=(0.0, 0.0)))


def _thinned(colour: Colour, share: float) -> Colour:
    blue, green, red, opacity = colour
    return blue * share, green * share, red * share, opacity * share


def goal_depth(view: FrameView, sign: int) -> float:
    """Metres from the camera to the goal at x = 52.5 `sign`."""
    _, depth = view.eye.pixels(np.array([[sign * 53.5, 0.0, 1.0]]))
    return float(depth[0])


def paint_goal(image: Pixels, view: FrameView, sign: int, air: Air) -> None:
    """Posts, bar and net of the goal at x = 52.5 `sign`."""
    if goal_depth(view, sign) < 5.0:
        return
    frame, net = _goal_lines(sign)
    frame_px, _ = view.eye.pixels(frame)
    net_px, _ = view.eye.pixels(net)
    every = np.concatenate([frame_px.reshape(-1, 2), net_px.reshape(-1, 2)])
    box = np.concatenate([every.min(axis=0) - 3, every.max(axis=0) + 3])
    patch = Patch.over(image, box, 2 * int(max(box[2] - box[0], box[3] - box[1], 1)))
    if patch is None:
        return
    depth = goal_depth(view, sign)
    patch.rods(net_px, np.full(len(net_px), 0.25), [NET] * len(net_px))
    width = view.eye.focal_px * POST_RADIUS_M / depth
    patch.rods(frame_px, np.full(len(frame_px), width), [POST] * len(frame_px))
    patch.blend(image, air)


def _goal_lines(sign: int) -> tuple[Floats, Floats]:
    """Segments (n, 2, 3) in metres: the white frame, and the net."""
    x, half, top = 52.5, GOAL_WIDTH_M / 2, GOAL_HEIGHT_M
    back = x + NET_DEPTH_M
    frame = [
        [(x, -half, 0), (x, -half, top)],
        [(x, half, 0), (x, half, top)],
        [(x, -half, top), (x, half, top)],
    ]
    net = []
    for y in np.arange(-half, half + 0.01, NET_STEP_M):
        net.append([(x, y, top), (x + NET_TOP_M, y, top)])
        net.append([(x + NET_TOP_M, y, top), (back, y, 0.0)])
    for share in np.linspace(0, 1, 8):
        edge = x + NET_TOP_M + share * (back - x - NET_TOP_M)
        net.append([(edge, -half, top * (1 - share)), (edge, half, top * (1 - share))])
        height = top * (1 - share)
        net += [[(x, side, height), (edge, side, height)] for side in (-half, half)]
    mirror = np.array([sign, 1.0, 1.0])
    return np.array(frame) * mirror, np.array(net) * mirror
