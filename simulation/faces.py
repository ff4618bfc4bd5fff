"""Faces of people who are filmed from near: eyes, brows, nose, mouth and ears."""

from dataclasses import dataclass

import numpy as np

from simulation.arrays import Floats
from simulation.camera import Eye
from simulation.figures import HEAD, L_SHOULDER, R_SHOULDER
from simulation.kits import bgr
from simulation.patches import Colour, Patch
from simulation.people import Person

HEAD_RADIUS_M = 0.092
LEAST_HEAD_PX = 9.0  # smaller faces show nothing


@dataclass(frozen=True)
class Feature:
    """A rod of a face between two points: metres left, forward and up of the head's middle."""

    start: tuple[float, float, float]
    end: tuple[float, float, float]
    radius_m: float
    colour: str  # white, dark, hair, shade, lips


def _pair(
    left: float, forward: float, up: float, wide: float, radius_m: float, colour: str
) -> list[Feature]:
    """The same on both sides of a face: `wide` metres across, from `left` on outwards."""
    return [
        Feature((side * left, forward, up), (side * (left + wide), forward, up), radius_m, colour)
        for side in (-1, 1)
    ]


FEATURES = (
    *_pair(0.090, -0.005, 0.0, 0.002, 0.02, "shade"),  # ears
    *_pair(0.024, 0.082, 0.022, 0.016, 0.008, "white"),
    *_pair(0.032, 0.086, 0.022, 0.001, 0.0065, "dark"),
    *_pair(0.018, 0.084, 0.042, 0.03, 0.005, "hair"),  # brows
    Feature((0.0, 0.088, 0.02), (0.0, 0.104, -0.014), 0.009, "shade"),  # nose
    Feature((-0.022, 0.082, -0.045), (0.022, 0.082, -0.045), 0.0055, "lips"),
)


def paint_face(patch: Patch, person: Person, body: Floats, eye: Eye) -> None:
    """The face of a figure with joints `body` (18, 3), where it is turned to the camera."""
    (centre,), (depth,) = eye.pixels(body[HEAD][None])
    scale = eye.focal_px / max(float(depth), 1.0)
    if HEAD_RADIUS_M * scale < LEAST_HEAD_PX or not np.isfinite(centre).all():
        return
    axes = _axes(body)
    towards = eye.place - body[HEAD]
    towards /= np.linalg.norm(towards)
    for feature in FEATURES:
        ends = np.array([feature.start, feature.end]) @ axes
        if (ends.mean(axis=0) / HEAD_RADIUS_M) @ towards > 0.35:
            pixels, _ = eye.pixels(ends + body[HEAD])
            radius = np.array([feature.radius_m * scale])
            patch.rods(pixels[None], radius, [_ink(feature.colour, person)])


def _axes(body: Floats) -> Floats:
    """Rows: left, forward and up of a figure, unit vectors in metres of the pitch."""
    left = body[L_SHOULDER] - body[R_SHOULDER]
    left[2] = 0.0
    left /= max(float(np.linalg.norm(left)), 1e-6)
    up = np.array([0.0, 0.0, 1.0])
    return np.stack([left, np.cross(left, up), up])


def _ink(colour: str, person: Person) -> Colour:
    skin, hair = np.array(bgr(person.skin), float), np.array(bgr(person.hair), float)
    inks = {
        "white": np.minimum(0.5 * skin + 120.0, 235.0),
        "dark": np.array([26.0, 22.0, 24.0]),
        "hair": 0.8 * hair,
        "shade": 0.8 * skin,
        "lips": skin * [0.62, 0.6, 0.8],
    }
    blue, green, red = (float(channel) for channel in inks[colour])
    return blue, green, red, 255.0
