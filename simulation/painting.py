"""Draws people, their shadows, the ball and the goals into a frame, from far to near."""

from collections.abc import Sequence
from typing import Protocol

import cv2
import numpy as np

from simulation.arrays import Floats, Pixels
from simulation.bystanders import SeenBystanders
from simulation.camera import NEAR_M, Eye
from simulation.faces import paint_face
from simulation.figures import L_HIP, L_SHOULDER, PARTS, R_HIP, R_SHOULDER
from simulation.goals import goal_depth, paint_ball, paint_goal
from simulation.kits import Kit, bgr
from simulation.patches import Air, Colour, Patch
from simulation.people import Person
from simulation.shadows import ball_shadow, body_shadow
from simulation.shutter import Smear
from simulation.variety import FOG, Look, fog_share
from simulation.views import FrameView

NEARBY_PX = 40  # shadows of people so far outside may fall into the picture
PATCH_TARGET_PX = 210  # a patch is enlarged until a figure is about this tall
SHADE_DARK, SHADE_LIGHT = 0.62, 1.03
LIT_SHARE, LIGHT_SHIFT = 0.66, 0.3  # the lit part of a limb: its width and offset in radii
SHIRT = np.array([part.material == "shirt" for part in PARTS])
FOLD_TILES, FOLD_SHAPE, FOLD_DEPTH = 12, (48, 24), 0.17


class Figures(Protocol):
    """People as a camera sees them: arrays over people, as in `FrameView`."""

    @property
    def eye(self) -> Eye: ...
    @property
    def joints(self) -> Floats: ...
    @property
    def rods(self) -> Floats: ...
    @property
    def radius_px(self) -> Floats: ...
    @property
    def part_depth(self) -> Floats: ...
    @property
    def depth(self) -> Floats: ...
    @property
    def boxes(self) -> Floats: ...


class Painter:
    """Draws the moving things of a match into frames."""

    def __init__(self, people: list[Person], look: Look, rng: np.random.Generator) -> None:
        self._people, self._look = people, look
        self._folds = _fold_tiles(rng)
        self._colours: dict[str, list[tuple[Colour, Colour]]] = {}

    def paint(
        self,
        image: Pixels,
        view: FrameView,
        smear: Smear | None = None,
        others: SeenBystanders | None = None,
    ) -> None:
        """Shadows first, then goals, people and the ball from far to near.

        `others` are people who take no part in the match, drawn between those who do.
        """
        groups: list[tuple[Sequence[Person], Figures]] = [(self._people, view)]
        groups += [(others.people, others)] if others is not None else []
        seen = [
            (g, i)
            for g, (people, seen_as) in enumerate(groups)
            for i in _met(image, seen_as, people)
        ]
        for group, index in seen:
            self._shadow(image, groups[group][1], index)
        ball_shadow(image, view.eye, view.ball, self._look.light)
        things = [(groups[g][1].depth[i], (g, i)) for g, i in seen]
        things += [(goal_depth(view, sign), (-1, sign)) for sign in (-1, 1)]
        things.append((view.ball_depth, (-2, 0)))
        for depth, (group, index) in sorted(things, reverse=True):
            if group == -2:
                ball = smear.ball if smear is not None else np.zeros(2)
                paint_ball(image, view, self._air(depth, view.ball[:2], ball))
            elif group == -1:
                paint_goal(image, view, index, self._air(depth, np.array([index * 52.5, 0.0])))
            else:
                moved = smear.people[index] if smear is not None and group == 0 else None
                people, figures = groups[group]
                self._figure(image, people[index], figures, index, moved)

    def paint_others(self, image: Pixels, others: SeenBystanders) -> None:
        """Only people who take no part, as a background that is thrown out of focus."""
        seen = sorted(_met(image, others, others.people), key=lambda i: -others.depth[i])
        for index in seen:
            self._shadow(image, others, index)
        for index in seen:
            self._figure(image, others.people[index], others, index, None)

    def _air(self, depth: float, place: Floats, smear: Floats | None = None) -> Air:
        """Haze, and the shade of a stand, on the way from `place` (2) to the lens."""
        light = self._look.light
        shaded = float(light.shaded(place[0], place[1])) if light.shade else 0.0
        fog = float(fog_share(np.array(depth), self._look.haze))
        moved = (0.0, 0.0) if smear is None else (float(smear[0]), float(smear[1]))
        return Air(1.0 - 0.85 * light.shade * shaded, fog, FOG, moved)

    def _figure(
        self, image: Pixels, person: Person, figures: Figures, index: int, smear: Floats | None
    ) -> None:
        reach = 0.0 if smear is None else float(np.abs(smear).max())
        patch = Patch.over(image, figures.boxes[index], PATCH_TARGET_PX, reach)
        if patch is None:
            return
        order = np.argsort(-figures.part_depth[index])
        # what is nearer than the last of the shirt, such as an arm, hides the shirt's pattern
        torso = int(np.flatnonzero(SHIRT[order])[-1]) + 1
        self._limbs(patch, person, figures, index, order[:torso])
        _dress(patch, person, figures, index, self._look.cloth_fade)
        self._limbs(patch, person, figures, index, order[torso:])
        body = figures.joints[index]
        paint_face(patch, person, body, figures.eye)
        air = self._air(figures.depth[index], body[:, :2].mean(axis=0), smear)
        patch.blend(image, air, self._folds[index % FOLD_TILES])

    def _limbs(
        self, patch: Patch, person: Person, figures: Figures, index: int, parts: np.ndarray
    ) -> None:
        rods, radius = figures.rods[index, parts], figures.radius_px[index, parts]
        lean = -LIGHT_SHIFT if self._look.light.from_left else LIGHT_SHIFT
        shift = (np.array([lean, -0.3]) * radius[:, None])[:, None]
        layers = np.stack([rods, rods + shift], axis=1).reshape(-1, 2, 2)
        widths = np.column_stack([radius, LIT_SHARE * radius]).ravel()
        colours = self._part_colours(person)
        patch.rods(layers, widths, [c for part in parts for c in colours[part]])

    def _part_colours(self, person: Person) -> list[tuple[Colour, Colour]]:
        if person.name not in self._colours:
            self._colours[person.name] = _part_colours(person, self._look.cloth_fade)
        return self._colours[person.name]

    def _shadow(self, image: Pixels, figures: Figures, index: int) -> None:
        body, light = figures.joints[index], self._look.light
        place = body[:, :2].mean(axis=0)
        sunlit = 1.0 - float(light.shaded(place[0], place[1])) if light.shade else 1.0
        body_shadow(image, figures.eye, body, figures.radius_px[index], light, sunlit)


def _fold_tiles(rng: np.random.Generator) -> list[np.ndarray]:
    """Textures around 1 that break up plain cloth: folds, and less light towards the feet."""
    down = np.linspace(1.05, 0.9, FOLD_SHAPE[0], dtype=np.float32)[:, None]
    tiles = []
    for _ in range(FOLD_TILES):
        noise = rng.standard_normal(FOLD_SHAPE, dtype=np.float32)
        soft = cv2.GaussianBlur(noise, (0, 0), 0.9)
        tiles.append(np.asarray(down * (1.0 + FOLD_DEPTH * soft / soft.std() * 0.55)))
    return tiles


def _part_colours(person: Person, fade: float) -> list[tuple[Colour, Colour]]:
    """Shaded and lit colour of each part of a figure."""
    kit = person.kit
    by_material = {
        "shirt": kit.shirt,
        "sleeve": kit.sleeve,
        "forearm": kit.sleeve if person.long_sleeves else person.skin,
        "hands": kit.gloves or person.skin,
        "shorts": kit.shorts,
        "socks": kit.socks,
        "thigh": kit.shorts if kit.trousers else person.skin,
        "skin": person.skin,
        "boots": person.boots,
        "hair": person.skin if person.bald else person.hair,
    }
    colours = []
    for part in PARTS:
        colour = by_material[part.material]
        colours.append(
            (opaque(colour, SHADE_DARK, fade), opaque(colour, SHADE_LIGHT, fade)),
        )
    return colours


def opaque(colour: str, gain: float, fade: float = 0.0) -> Colour:
    """#rrggbb as light of `gain`, mixed with a share `fade` of its own grey."""
    channels = np.array(bgr(colour), dtype=float)
    grey = float(channels @ [0.114, 0.587, 0.299])
    faded = channels + fade * (0.75 * grey + 0.25 * 110.0 - channels)
    blue, green, red = (min(float(channel) * gain, 250.0) for channel in faded)
    return blue, green, red, 255.0


def _dress(patch: Patch, person: Person, figures: Figures, index: int, fade: float) -> None:
    """Pattern of the shirt; on the back name and number, on the front the sponsor."""
    kit, torso = person.kit, _torso_quad(figures.eye, figures.joints[index])
    for quad in _quads(torso, PATTERN_SHAPES[kit.pattern]):
        patch.polygon(quad, opaque(kit.second, 0.9, fade))
    across = float(torso[1, 0] - torso[0, 0])
    if abs(across) < 3.0:
        return
    if across > 0 and person.number is not None:
        ink = opaque(_number_colour(kit), 0.95, fade)
        patch.polygon(_quads(torso, [NAME_SHAPE])[0], _mixed(ink, opaque(kit.shirt, 0.9, fade)))
        patch.number(torso, str(person.number), ink)
    elif across < 0 and kit.sponsor:
        patch.polygon(_quads(torso, [SPONSOR_SHAPE])[0], opaque(kit.sponsor, 0.9, fade))


def _mixed(first: Colour, second: Colour) -> Colour:
    return tuple((a + b) / 2 for a, b in zip(first, second, strict=True))  # type: ignore[return-value]


def _number_colour(kit: Kit) -> str:
    return "#f5f5f5" if sum(bgr(kit.shirt)) < 360 else "#15161a"


def _met(image: Pixels, figures: Figures, people: Sequence[Person]) -> list[int]:
    """Those of `people` whose figure reaches into the picture or close to it."""
    size = np.array([image.shape[1], image.shape[0]])
    boxes = figures.boxes[: len(people)]
    inside = (boxes[:, 2:] > -NEARBY_PX).all(axis=1) & (boxes[:, :2] < size + NEARBY_PX).all(axis=1)
    return [int(i) for i in np.flatnonzero(inside & (figures.depth[: len(people)] > 3 * NEAR_M))]


def _torso_quad(eye: Eye, body: Floats) -> Floats:
    """Corners (4, 2) of the shirt's visible face: left and right shoulder, right and left hip.

    From behind the right shoulder is on the right in the picture.
    """
    pixels, _ = eye.pixels(body[[L_SHOULDER, R_SHOULDER, R_HIP, L_HIP]])
    pixels[2:] = pixels[2:] * 0.85 + pixels[[1, 0]] * 0.15
    return pixels


def _quads(torso: Floats, shapes: Sequence[Sequence[tuple[float, float]]]) -> list[Floats]:
    """Quadrilaterals (4, 2) in pixels of shapes given across and down the torso."""
    left, right, low_right, low_left = torso
    quads = []
    for shape in shapes:
        u, v = np.array(shape)[:, :1], np.array(shape)[:, 1:]
        top, bottom = left + (right - left) * u, low_left + (low_right - low_left) * u
        quads.append(np.asarray(top + (bottom - top) * v))
    return quads


def _quad(u1: float, u2: float, v1: float, v2: float) -> list[tuple[float, float]]:
    return [(u1, v1), (u2, v1), (u2, v2), (u1, v2)]


# Corners across (0 to 1) and down (0 to 1) the front or back of a shirt.
PATTERN_SHAPES: dict[str, list[list[tuple[float, float]]]] = {
    "plain": [],
    "stripes": [_quad(u, u + 0.2, 0.0, 1.0) for u in (-0.1, 0.4, 0.9)],
    "pinstripes": [_quad(u, u + 0.06, 0.0, 1.0) for u in (0.0, 0.23, 0.47, 0.7, 0.93)],
    "hoops": [_quad(-0.25, 1.25, v, v + 0.17) for v in (0.1, 0.45, 0.8)],
    "halves": [_quad(0.5, 1.25, 0.0, 1.0)],
    "sash": [[(-0.1, 0.0), (0.25, 0.0), (1.1, 1.0), (0.75, 1.0)]],
    "centre": [_quad(0.37, 0.63, 0.0, 1.0)],
    "yoke": [_quad(-0.25, 1.25, -0.08, 0.27)],
    "band": [_quad(-0.25, 1.25, 0.36, 0.58)],
}
NAME_SHAPE = _quad(0.2, 0.8, 0.1, 0.16)
SPONSOR_SHAPE = _quad(0.22, 0.78, 0.36, 0.5)
