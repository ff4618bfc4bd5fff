"""People beside the pitch: staff, substitutes, ball boys, stewards, photographers.

They take no part in the match and stand in no table of the truth: who counts them as players has
invented them.
"""

from dataclasses import dataclass

import numpy as np

from simulation.arrays import Bools, Floats, Ints
from simulation.camera import NEAR_M, Eye
from simulation.contacts import GESTURE_HOLD
from simulation.figures import BIAS_M, END, FIRST, SECOND, START, Pose, joints, radii_m
from simulation.kits import LIGHT, Kit, MatchKits
from simulation.people import Person, dressed
from simulation.views import figure_boxes

COATS = ("#16181d", "#1c2433", "#2b2d31", "#0b1f4b", "#3a3d42", "#5b2020", "#6a6d70")
BIBS = ("#e6f03c", "#f0663c", "#e84a8c", "#6cf07a", "#f2f2f0")
VESTS = ("#e9f23a", "#f08a1c", "#e9f23a")
NEAREST_M = 20.0  # nobody stands before a camera at the touchline: he would hide the match
JOG_MPS, JOG_WAY_M = 2.6, 9.0


@dataclass(frozen=True)
class SeenBystanders:
    """Those in the picture, as `FrameView` holds people; `people` in the same order."""

    people: list[Person]
    eye: Eye
    joints: Floats
    rods: Floats
    radius_px: Floats
    part_depth: Floats
    depth: Floats
    boxes: Floats


@dataclass(frozen=True)
class _Place:
    """Where somebody stands, which way (radians from +x) and how tall; joggers go to and fro."""

    x: float
    y: float
    heading: float
    person: Person
    height_m: float = 1.78
    jogs: bool = False
    gesture: int = 0


class Bystanders:
    """Everybody beside one match's pitch, seen through any camera at any time."""

    def __init__(self, kits: MatchKits, taken: float, rng: np.random.Generator) -> None:
        every = _technical_areas(kits, rng) + _warming_up(kits, rng) + _around(rng)
        self._places = [place for place in every if rng.random() < taken]
        self._phase = rng.uniform(0.0, 60.0, len(self._places))
        self._height_m = np.array([place.height_m for place in self._places])
        self._radius_m = radii_m(
            np.array([place.person.girth for place in self._places]),
            np.array([place.person.hair_volume for place in self._places]),
        )

    def seen(self, eye: Eye, time_s: float) -> SeenBystanders | None:
        """Those whom a camera may see at `time_s`; None when there are none."""
        position, heading, speed = self._movement(time_s)
        chosen = np.flatnonzero(_ahead(eye, position))
        if not len(chosen):
            return None
        body = joints(self._pose(position, heading, speed, chosen, time_s))
        first, second = body[:, FIRST], body[:, SECOND]
        ends = np.stack([first + (second - first) * s[None, :, None] for s in (START, END)], axis=2)
        rods, depths = eye.pixels(ends)
        part_depth = depths.mean(axis=2)
        radius = eye.focal_px * self._radius_m[chosen] / np.maximum(part_depth, NEAR_M)
        return SeenBystanders(
            people=[self._places[i].person for i in chosen],
            eye=eye,
            joints=body,
            rods=rods,
            radius_px=radius,
            part_depth=part_depth - BIAS_M,
            depth=part_depth.mean(axis=1),
            boxes=figure_boxes(rods, radius),
        )

    def _movement(self, time_s: float) -> tuple[Floats, Floats, Floats]:
        """Positions (n, 2), headings (n) and speeds (n); joggers run a triangle wave along x."""
        position = np.array([[place.x, place.y] for place in self._places]).reshape(-1, 2)
        heading = np.array([place.heading for place in self._places])
        jogs = np.array([place.jogs for place in self._places], dtype=bool)
        way = (time_s + self._phase) * JOG_MPS / JOG_WAY_M
        out = np.mod(way, 2.0) < 1.0
        shift = JOG_WAY_M * (1.0 - np.abs(np.mod(way, 2.0) - 1.0))
        position[:, 0] += np.where(jogs, shift, 0.25 * np.sin(0.5 * (time_s + self._phase)))
        heading = np.where(jogs, np.where(out, 0.0, np.pi), heading)
        return position, heading, np.where(jogs, JOG_MPS, 0.0)

    def _pose(
        self, position: Floats, heading: Floats, speed: Floats, chosen: Ints, time_s: float
    ) -> Pose:
        still = np.zeros(len(chosen))
        gesture = np.array([self._places[i].gesture for i in chosen])
        gait = 2 * np.pi * (time_s * 1.35 + self._phase[chosen])
        return Pose(
            position[chosen], heading[chosen], speed[chosen], gait, still, still, gesture,
            self._height_m[chosen],
        )  # fmt: skip


def _technical_areas(kits: MatchKits, rng: np.random.Generator) -> list[_Place]:
    """Coaches and staff before the benches of one touchline, and the fourth official."""
    side = float(rng.choice([-1, 1]))
    inward, places = -side * np.pi / 2, []
    for sign in (-1.0, 1.0):
        coat = str(rng.choice(COATS))
        for _ in range(int(rng.integers(1, 4))):
            at = sign * rng.uniform(6.0, 22.0)
            kit = _coat(coat if rng.random() < 0.6 else str(rng.choice(COATS)))
            turn = inward + rng.normal(0.0, 0.7)
            places.append(_place(at, side * rng.uniform(36.6, 37.6), turn, kit, rng, holds=True))
        for seat in range(9):
            kit = _coat(coat) if rng.random() < 0.6 else _bib(kits, sign, rng)
            at = sign * (9.0 + 0.8 * seat)
            places.append(_place(at, side * 39.2, inward, kit, rng, height_m=1.28))
    places.append(_place(rng.uniform(-2, 2), side * 37.2, inward, kits.referee, rng))
    return places


def _warming_up(kits: MatchKits, rng: np.random.Generator) -> list[_Place]:
    """Substitutes who jog between a corner and the benches, in bibs."""
    side, places = float(rng.choice([-1, 1])), []
    for sign in (-1.0, 1.0):
        bib = _bib(kits, sign, rng)
        for _ in range(int(rng.integers(0, 5))):
            at, y = sign * rng.uniform(30.0, 44.0), side * rng.uniform(36.6, 39.5)
            places.append(_place(at, y, -side * np.pi / 2, bib, rng, jogs=bool(rng.random() < 0.7)))
    return places


def _around(rng: np.random.Generator) -> list[_Place]:
    """Ball boys and stewards along the boards, photographers beside the goals."""
    boys, vest = _plain(str(rng.choice(BIBS + COATS))), _plain(str(rng.choice(VESTS)), "#202226")
    places = []
    for x in (-40.0, -20.0, 0.0, 20.0, 40.0):
        for side in (-1.0, 1.0):
            at, height = x + rng.uniform(-5, 5), rng.uniform(1.2, 1.65)
            places.append(_place(at, side * 38.8, -side * np.pi / 2, boys, rng, height_m=height))
            places.append(_place(at + 9.0, side * 40.2, side * np.pi / 2, vest, rng))
    for side in (-1.0, 1.0):
        inward = 0.0 if side < 0 else np.pi
        places += [_place(side * 57.5, y, inward, boys, rng, height_m=1.45) for y in (-24.0, 24.0)]
        for y in rng.uniform(6.0, 28.0, 5) * rng.choice([-1, 1], 5):
            kit = _coat(str(rng.choice(COATS)))
            at = side * rng.uniform(58.2, 59.2)
            places.append(_place(at, float(y), inward, kit, rng, height_m=1.15, holds=True))
    return places


def _place(
    x: float,
    y: float,
    heading: float,
    kit: Kit,
    rng: np.random.Generator,
    height_m: float | None = None,
    jogs: bool = False,
    holds: bool = False,
) -> _Place:
    name = f"bystander_{rng.integers(1 << 40)}"
    bare = Person(name, "none", "none", None, "none", None, kit, 1.78, 0.0)
    person = dressed(bare, rng)
    tall = float(rng.uniform(1.66, 1.92)) if height_m is None else height_m
    gesture = GESTURE_HOLD if holds and rng.random() < 0.4 else 0
    return _Place(float(x), float(y), float(heading), person, tall, jogs, gesture)


def _coat(colour: str) -> Kit:
    return Kit(colour, colour, "#1b1d22", "#1b1d22", trousers=True)


def _plain(shirt: str, shorts: str | None = None) -> Kit:
    return Kit(shirt, shirt, shorts or shirt, shorts or shirt)


def _bib(kits: MatchKits, sign: float, rng: np.random.Generator) -> Kit:
    """A bib over what a side trains in."""
    side = kits.home if sign < 0 else kits.away
    return Kit(str(rng.choice(BIBS)), LIGHT, side.shorts, side.socks, sleeves=side.shirt)


def _ahead(eye: Eye, position: Floats) -> Bools:
    """Who stands before the camera and not far outside the picture."""
    chest = np.column_stack([position, np.full(len(position), 0.9)])
    pixels, depth = eye.pixels(chest)
    reach = 2.0 * eye.focal_px / np.maximum(depth, NEAR_M)
    near = (pixels > -reach[:, None]).all(axis=1)
    near &= (pixels < np.array([eye.width, eye.height]) + reach[:, None]).all(axis=1)
    return np.asarray(near & (depth > NEAREST_M))
