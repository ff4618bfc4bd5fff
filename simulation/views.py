"""What a camera sees at a frame: figures as rods in pixels, boxes, who hides whom."""

from dataclasses import dataclass

import numpy as np

from simulation.arrays import Bools, Floats
from simulation.ball_flight import BALL_RADIUS_M
from simulation.camera import NEAR_M, CameraPath, Eye
from simulation.figures import (
    BIAS_M,
    END,
    FIRST,
    SECOND,
    START,
    Pose,
    joints,
    radii_m,
)
from simulation.motion import Motion
from simulation.people import Person

# A person is labelled when this share of the figure is inside the picture and unhidden.
SEEN_SHARE = 0.35
MIN_HEIGHT_PX = 5.0
NEAREST_M = 3.0  # nobody nearer to the lens than this is drawn
SHUTTER_S = 1.0 / 250.0


@dataclass(frozen=True)
class FrameView:
    """One frame through the camera.

    rods (25, parts, 2, 2): end points of every part in pixels; radius_px, part_depth (25, parts);
    depth (25) metres; boxes (25, 4) of whole figures; visible (25) share seen; ball_px (2),
    ball_tail_px (2) where it was when the shutter opened, ball_radius_px, ball_depth,
    ball_visible; joints (25, 18, 3) metres.
    """

    eye: Eye
    joints: Floats
    rods: Floats
    radius_px: Floats
    part_depth: Floats
    depth: Floats
    boxes: Floats
    visible: Floats
    ball: Floats
    ball_px: Floats
    ball_tail_px: Floats
    ball_radius_px: float
    ball_depth: float
    ball_visible: bool

    def clipped(self, width: int, height: int) -> Floats:
        """Boxes (25, 4) cut off at the picture's edges."""
        return np.asarray(np.clip(self.boxes, 0.0, [width, height, width, height]))


class Viewer:
    """Looks at a match through its camera, frame by frame."""

    def __init__(self, people: list[Person], motion: Motion, camera: CameraPath) -> None:
        self._motion, self._camera = motion, camera
        self._speed = motion.speed_mps
        self._height_m = np.array([person.height_m for person in people])
        self._radius_m = radii_m(
            np.array([person.girth for person in people]),
            np.array([person.hair_volume for person in people]),
        )

    def view(self, frame: int) -> FrameView:
        """What the camera sees at `frame`."""
        eye = self._camera.eye(frame)
        body = joints(self._pose(frame))
        first, second = body[:, FIRST], body[:, SECOND]
        ends = np.stack(
            [first + (second - first) * share[None, :, None] for share in (START, END)], axis=2
        )
        rods, depths = eye.pixels(ends)
        part_depth = depths.mean(axis=2)
        safe = np.maximum(part_depth, NEAR_M)
        radius = eye.focal_px * self._radius_m / safe
        depth = part_depth.mean(axis=1)
        boxes = figure_boxes(rods, radius)
        ball, tail, ball_radius, ball_depth = self._ball(frame, eye)
        visible = self._visible_shares(rods, radius, depth, boxes)
        seen = self._ball_seen(ball, ball_depth, rods, radius, depth)
        return FrameView(
            eye, body, rods, radius, part_depth - BIAS_M, depth, boxes, visible,
            self._motion.ball[frame], ball, tail, ball_radius, ball_depth, seen,
        )  # fmt: skip

    def _pose(self, frame: int) -> Pose:
        motion = self._motion
        return Pose(
            motion.position[frame],
            motion.heading[frame],
            self._speed[frame],
            motion.gait[frame],
            motion.kick[frame],
            motion.lean[frame],
            motion.gesture[frame],
            self._height_m,
        )

    def _ball(self, frame: int, eye: Eye) -> tuple[Floats, Floats, float, float]:
        here = self._motion.ball[frame]
        before = here - self._motion.ball_velocity[frame] * SHUTTER_S
        before[2] = max(before[2], BALL_RADIUS_M)
        pixels, depths = eye.pixels(np.stack([here, before]))
        depth = float(depths[0])
        return pixels[0], pixels[1], eye.focal_px * BALL_RADIUS_M / max(depth, NEAR_M), depth

    def _visible_shares(self, rods: Floats, radius: Floats, depth: Floats, boxes: Floats) -> Floats:
        """Share (25) of each figure's parts, by area, inside the picture and not behind another."""
        middles = rods.mean(axis=2)
        size = np.array([self._camera.width, self._camera.height])
        inside = ((middles >= 0) & (middles < size)).all(axis=2)
        free = inside & ~_hidden(middles, rods, radius, depth, boxes)
        length = np.linalg.norm(rods[:, :, 1] - rods[:, :, 0], axis=2)
        area = 2 * radius * length + np.pi * radius**2
        share = (free * area).sum(axis=1) / area.sum(axis=1)
        return np.where(depth > NEAREST_M, share, 0.0)

    def _ball_seen(
        self, ball: Floats, ball_depth: float, rods: Floats, radius: Floats, depth: Floats
    ) -> bool:
        size = np.array([self._camera.width, self._camera.height])
        if ball_depth < NEAR_M or not ((ball >= 0) & (ball < size)).all():
            return False
        nearer = np.flatnonzero((depth > NEAR_M) & (depth < ball_depth))
        return not bool(_covers(rods[nearer], radius[nearer], ball[None]).any())


def figure_boxes(rods: Floats, radius: Floats) -> Floats:
    """Boxes (n, 4) around all rods, x1 y1 x2 y2."""
    low = (rods.min(axis=2) - radius[..., None]).min(axis=1)
    high = (rods.max(axis=2) + radius[..., None]).max(axis=1)
    return np.concatenate([low, high], axis=1)


def _hidden(middles: Floats, rods: Floats, radius: Floats, depth: Floats, boxes: Floats) -> Bools:
    """Which part middles (n, parts, 2) lie behind another, nearer figure."""
    hidden = np.zeros(middles.shape[:2], dtype=bool)
    meets = (boxes[:, None, :2] < boxes[None, :, 2:]).all(axis=2)
    meets &= meets.T & (depth[None] < depth[:, None]) & (depth > NEAR_M)[None]
    for back, front in zip(*np.nonzero(meets), strict=True):
        hidden[back] |= _covers(rods[front][None], radius[front][None], middles[back]).any(axis=1)
    return hidden


def _covers(rods: Floats, radius: Floats, points: Floats) -> Bools:
    """Whether each of points (m, 2) lies in each figure: (m, n) from rods (n, parts, 2, 2)."""
    start, along = rods[:, :, 0], rods[:, :, 1] - rods[:, :, 0]
    offset = points[:, None, None] - start[None]
    length2 = np.maximum((along**2).sum(axis=-1), 1e-9)
    share = np.clip((offset * along[None]).sum(axis=-1) / length2[None], 0.0, 1.0)
    distance2 = ((offset - share[..., None] * along[None]) ** 2).sum(axis=-1)
    return np.asarray((distance2 < radius[None] ** 2).any(axis=2))
