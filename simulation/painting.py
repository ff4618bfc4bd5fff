"""Draws people, their shadows, the ball and the goals into a frame, with soft edges.

Everything small is drawn several times larger on a transparent patch and shrunk by area, so that
edges fall between pixels as they do in a lens.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from domain.pitch import GOAL_HEIGHT_M, GOAL_WIDTH_M
from simulation.arrays import Floats, Pixels
from simulation.ball_flight import BALL_RADIUS_M
from simulation.camera import NEAR_M, project
from simulation.figures import FIRST, L_SHOULDER, PARTS, R_SHOULDER, SECOND
from simulation.kits import Kit, bgr
from simulation.people import Person
from simulation.views import FrameView

PATCH_TARGET_PX = 210  # a patch is enlarged until a figure is about this tall
MAX_ENLARGEMENT = 6
SHADE_DARK, SHADE_LIGHT = 0.74, 1.07
SHADOW_ENLARGEMENT = 2
NET_DEPTH_M, NET_TOP_M, NET_STEP_M = 2.0, 1.0, 0.35
POST_RADIUS_M = 0.06
Colour = tuple[float, float, float, float]
LIT_SHARE, LIGHT_SHIFT = 0.68, 0.3  # the lit part of a limb: its width and offset in radii
BALL_SHADE, BALL_WHITE = (150.0, 158.0, 155.0, 255.0), (240.0, 243.0, 242.0, 255.0)
NET, POST = (70.0, 70.0, 70.0, 75.0), (225.0, 228.0, 228.0, 255.0)


@dataclass(frozen=True)
class Light:
    """Where shadows fall: metres along x and y per metre of height, and how dark they are."""

    shadows: tuple[tuple[float, float, float], ...]
    contact: float
    from_left: bool


def draw_light(rng: np.random.Generator) -> Light:
    """Sun with one shadow, floodlights with four faint ones, or an overcast sky."""
    kind = rng.choice(["sun", "flood", "overcast"])
    if kind == "sun":
        angle, reach = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 1.5)
        one = (reach * np.cos(angle), reach * np.sin(angle), rng.uniform(0.35, 0.55))
        return Light((one,), 0.25, bool(np.cos(angle) > 0))
    if kind == "flood":
        reach, dark = rng.uniform(0.8, 1.4), rng.uniform(0.1, 0.2)
        four = tuple((sx * reach, sy * reach, dark) for sx in (-1, 1) for sy in (-0.7, 0.7))
        return Light(four, 0.25, True)
    return Light((), rng.uniform(0.3, 0.45), True)


class Painter:
    """Draws the moving things of a match into frames."""

    def __init__(self, people: list[Person], light: Light) -> None:
        self._people, self._light = people, light
        self._colours = [_part_colours(person) for person in people]

    def paint(self, image: Pixels, view: FrameView) -> None:
        """Shadows first, then goals, people and the ball from far to near."""
        seen = [i for i in range(len(self._people)) if _meets(image, view, i)]
        for index in seen:
            self._shadow(image, view, index)
        _ball_shadow(image, view)
        things = [(view.depth[i], i) for i in seen]
        things += [(_goal_depth(view, sign), sign - 100) for sign in (-1, 1)]
        things.append((view.ball_depth, 1000))
        for _, thing in sorted(things, reverse=True):
            if thing == 1000:
                _ball(image, view)
            elif thing < 0:
                _goal(image, view, thing + 100)
            else:
                self._figure(image, view, thing)

    def _figure(self, image: Pixels, view: FrameView, index: int) -> None:
        patch = _Patch.over(image, view.boxes[index], PATCH_TARGET_PX)
        if patch is None:
            return
        order = np.argsort(-view.part_depth[index])
        rods, radius = view.rods[index, order], view.radius_px[index, order]
        lean = -LIGHT_SHIFT if self._light.from_left else LIGHT_SHIFT
        shift = (np.array([lean, -0.25]) * radius[:, None])[:, None]
        layers = np.stack([rods, rods + shift], axis=1).reshape(-1, 2, 2)
        widths = np.column_stack([radius, LIT_SHARE * radius]).ravel()
        patch.rods(layers, widths, [c for part in order for c in self._colours[index][part]])
        self._front(patch, view, index)
        patch.blend(image)

    def _front(self, patch: "_Patch", view: FrameView, index: int) -> None:
        """Pattern and number of the shirt."""
        person = self._people[index]
        body = view.joints[index]
        torso = _torso_quad(view, body)
        if person.kit.pattern != "plain":
            for quad in _pattern_quads(torso, person.kit.pattern):
                patch.polygon(quad, _opaque(person.kit.second, 0.95))
        if person.number is not None and _shows_back(view, body):
            patch.number(torso, str(person.number), _opaque(_number_colour(person.kit), 1.0))

    def _shadow(self, image: Pixels, view: FrameView, index: int) -> None:
        body = view.joints[index]
        foot = np.append(body[:, :2].mean(axis=0), 0.0)
        _ground_ellipse(image, view, foot, 0.34, self._light.contact)
        for dx, dy, dark in self._light.shadows:
            cast = body.copy()
            cast[:, 0] += dx * body[:, 2]
            cast[:, 1] += dy * body[:, 2]
            cast[:, 2] = 0.0
            pixels, depth = project(view.matrix, cast)
            if depth.min() > NEAR_M:
                _cast_shadow(image, pixels, view.radius_px[index], dark)


def _part_colours(person: Person) -> list[tuple[Colour, Colour]]:
    """Shaded and lit colour of each part of a figure."""
    kit = person.kit
    by_material = {
        "shirt": kit.shirt,
        "sleeve": kit.second if kit.pattern == "sash" else kit.shirt,
        "shorts": kit.shorts,
        "socks": kit.socks,
        "skin": person.skin,
        "boots": person.boots,
        "hair": person.skin if person.bald else person.hair,
    }
    colours = []
    for part in PARTS:
        colour = by_material[part.material]
        colours.append((_opaque(colour, SHADE_DARK), _opaque(colour, SHADE_LIGHT)))
    return colours


def _opaque(colour: str, gain: float) -> Colour:
    blue, green, red = (min(channel * gain, 250.0) for channel in bgr(colour))
    return blue, green, red, 255.0


def _number_colour(kit: Kit) -> str:
    return "#f5f5f5" if sum(bgr(kit.shirt)) < 360 else "#15161a"


def _meets(image: Pixels, view: FrameView, index: int) -> bool:
    x1, y1, x2, y2 = view.boxes[index]
    height, width = image.shape[:2]
    inside = x2 > -40 and y2 > -40 and x1 < width + 40 and y1 < height + 40
    return bool(inside and view.depth[index] > 3 * NEAR_M)


def _torso_quad(view: FrameView, body: Floats) -> Floats:
    """Corners (4, 2) of the shirt's visible face: left and right shoulder, right and left hip."""
    pixels, _ = project(view.matrix, body[[L_SHOULDER, R_SHOULDER, 11, 10]])
    pixels[2:] = pixels[2:] * 0.85 + pixels[[1, 0]] * 0.15
    return pixels


def _shows_back(view: FrameView, body: Floats) -> bool:
    """Whether the right shoulder is on the right in the picture, as it is from behind."""
    pixels, _ = project(view.matrix, body[[L_SHOULDER, R_SHOULDER]])
    return bool(pixels[1, 0] - pixels[0, 0] > 3.0)


def _pattern_quads(torso: Floats, pattern: str) -> Floats:
    """Parts of the shirt in the second colour: quadrilaterals (n, 4, 2) inside the torso."""
    shapes = np.array(PATTERN_SHAPES[pattern])
    u, v = shapes[..., :1], shapes[..., 1:]
    left, right, low_right, low_left = torso
    top, bottom = left + (right - left) * u, low_left + (low_right - low_left) * u
    return np.asarray(top + (bottom - top) * v)


def _quad(u1: float, u2: float, v1: float, v2: float) -> list[tuple[float, float]]:
    return [(u1, v1), (u2, v1), (u2, v2), (u1, v2)]


# Corners across (0 to 1) and down (0 to 1) the front or back of a shirt.
PATTERN_SHAPES = {
    "stripes": [_quad(u, u + 0.2, 0.0, 1.0) for u in (-0.1, 0.4, 0.9)],
    "hoops": [_quad(-0.25, 1.25, v, v + 0.17) for v in (0.1, 0.45, 0.8)],
    "halves": [_quad(0.5, 1.25, 0.0, 1.0)],
    "sash": [[(-0.1, 0.0), (0.25, 0.0), (1.1, 1.0), (0.75, 1.0)]],
}


class _Patch:
    """A transparent, enlarged piece of the picture to draw on."""

    def __init__(self, corner: tuple[int, int], size: tuple[int, int], factor: int) -> None:
        self._corner, self._size, self._factor = corner, size, factor
        self._canvas = np.zeros((size[1] * factor, size[0] * factor, 4), dtype=np.uint8)

    @classmethod
    def over(cls, image: Pixels, box: Floats, target_px: int) -> "_Patch | None":
        """A patch over a box x1 y1 x2 y2, cut at the picture's edges; None when nothing is left."""
        height, width = image.shape[:2]
        x1, y1 = max(int(box[0]) - 2, 0), max(int(box[1]) - 2, 0)
        x2, y2 = min(int(box[2]) + 3, width), min(int(box[3]) + 3, height)
        if x2 <= x1 or y2 <= y1:
            return None
        tall = max(box[3] - box[1], box[2] - box[0], 1.0)
        factor = int(np.clip(target_px / tall, 1, MAX_ENLARGEMENT))
        return cls((x1, y1), (x2 - x1, y2 - y1), factor)

    def _fixed(self, points: Floats) -> np.ndarray:
        """Picture coordinates to sixteenths of the canvas' pixels."""
        return np.rint(((points - self._corner) * self._factor - 0.5) * 16).astype(np.int32)

    def rods(self, ends: Floats, radius: Floats, colours: list[Colour]) -> None:
        """Rods from and to `ends` (n, 2, 2) with round tips, painted in order."""
        widths = np.maximum(np.rint(2 * radius * self._factor), 1).astype(int).tolist()
        for (start, end), width, colour in zip(
            self._fixed(ends).tolist(), widths, colours, strict=True
        ):
            cv2.line(self._canvas, start, end, colour, width, cv2.LINE_8, 4)

    def polygon(self, corners: Floats, colour: Colour) -> None:
        cv2.fillConvexPoly(self._canvas, self._fixed(corners), colour, cv2.LINE_8, 4)

    def number(self, torso: Floats, text: str, colour: Colour) -> None:
        """The number in the upper half of the back."""
        corners = (torso - self._corner) * self._factor
        wide = float(np.linalg.norm(corners[1] - corners[0]))
        size = wide / (26.0 if len(text) > 1 else 18.0) * 0.62
        middle = corners.mean(axis=0) - [0.31 * wide, -0.08 * wide]
        place = int(middle[0]), int(middle[1])
        weight = max(round(wide / 12), 1)
        cv2.putText(self._canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, colour, weight)

    def blend(self, image: Pixels) -> None:
        x, y = self._corner
        wide, high = self._size
        small = cv2.resize(self._canvas, (wide, high), interpolation=cv2.INTER_AREA)
        area = image[y : y + high, x : x + wide]
        clear = 255 - small[..., 3:].astype(np.uint16)
        area[:] = np.minimum(small[..., :3] + (area * clear + 127) // 255, 255)


def _darken(image: Pixels, corner: tuple[int, int], mask: Pixels, strength: float) -> None:
    """Darken the picture under a mask (h, w) of 0 to 255 laid at `corner`."""
    x, y = corner
    area = image[y : y + mask.shape[0], x : x + mask.shape[1]]
    keep = 256 - (mask.astype(np.uint32) * round(256 * strength)) // 255
    area[:] = (area * keep[..., None]) >> 8


def _cast_shadow(image: Pixels, pixels: Floats, radius: Floats, dark: float) -> None:
    reach = float(radius.max())
    box = np.concatenate([pixels.min(axis=0) - reach, pixels.max(axis=0) + reach])
    height, width = image.shape[:2]
    x1, y1 = max(int(box[0]), 0), max(int(box[1]), 0)
    x2, y2 = min(int(box[2]) + 1, width), min(int(box[3]) + 1, height)
    if x2 <= x1 or y2 <= y1:
        return
    factor = SHADOW_ENLARGEMENT
    mask = np.zeros(((y2 - y1) * factor, (x2 - x1) * factor), dtype=np.uint8)
    fixed = np.rint((pixels - [x1, y1]) * factor * 16).astype(np.int32).tolist()
    for a, b, r in zip(FIRST, SECOND, radius, strict=True):
        width_px = max(round(1.4 * float(r) * factor), 1)
        cv2.line(mask, fixed[a], fixed[b], 255, width_px, cv2.LINE_8, 4)
    small = cv2.resize(mask, (x2 - x1, y2 - y1), interpolation=cv2.INTER_AREA)
    _darken(image, (x1, y1), small, dark)


def _ground_ellipse(
    image: Pixels, view: FrameView, centre: Floats, radius_m: float, dark: float
) -> None:
    """A soft dark spot of `radius_m` on the ground."""
    angle = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    ring = np.column_stack([np.cos(angle), np.sin(angle), np.zeros(12)]) * radius_m + centre
    pixels, depth = project(view.matrix, ring)
    if depth.min() < NEAR_M:
        return
    x1, y1 = np.floor(pixels.min(axis=0)).astype(int) - 1
    x2, y2 = np.ceil(pixels.max(axis=0)).astype(int) + 2
    height, width = image.shape[:2]
    if x1 < 0 or y1 < 0 or x2 > width or y2 > height:
        return
    mask = np.zeros((y2 - y1, x2 - x1), dtype=np.uint8)
    fixed = np.rint((pixels - [x1, y1]) * 16).astype(np.int32)
    cv2.fillConvexPoly(mask, fixed, 255, cv2.LINE_AA, 4)
    _darken(image, (int(x1), int(y1)), cv2.blur(mask, (3, 3)), dark)


def _ball_shadow(image: Pixels, view: FrameView) -> None:
    under = np.array([view.ball[0], view.ball[1], 0.0])
    height = float(view.ball[2]) - BALL_RADIUS_M
    _ground_ellipse(
        image, view, under, 1.15 * BALL_RADIUS_M + 0.02 * height, 0.4 / (1 + 0.4 * height)
    )


def _ball(image: Pixels, view: FrameView) -> None:
    """A white ball, shaded below, drawn along its way while the shutter was open."""
    if view.ball_depth < NEAR_M:
        return
    radius = view.ball_radius_px
    ends = np.stack([view.ball_px, view.ball_tail_px])
    box = np.concatenate([ends.min(axis=0) - radius, ends.max(axis=0) + radius])
    patch = _Patch.over(image, box, 80)
    if patch is None:
        return
    lift = np.array([0.0, -0.22 * radius])
    layers = np.stack([ends, ends + lift])
    patch.rods(layers, radius * np.array([1.0, 0.78]), [BALL_SHADE, BALL_WHITE])
    patch.blend(image)


def _goal_depth(view: FrameView, sign: int) -> float:
    _, depth = project(view.matrix, np.array([[sign * 53.5, 0.0, 1.0]]))
    return float(depth[0])


def _goal(image: Pixels, view: FrameView, sign: int) -> None:
    """Posts, bar and net of the goal at x = 52.5 `sign`."""
    if _goal_depth(view, sign) < 5.0:
        return
    frame, net = _goal_lines(sign)
    frame_px, _ = project(view.matrix, frame)
    net_px, _ = project(view.matrix, net)
    every = np.concatenate([frame_px.reshape(-1, 2), net_px.reshape(-1, 2)])
    box = np.concatenate([every.min(axis=0) - 3, every.max(axis=0) + 3])
    patch = _Patch.over(image, box, 2 * int(max(box[2] - box[0], box[3] - box[1], 1)))
    if patch is None:
        return
    depth = _goal_depth(view, sign)
    focal = view.ball_radius_px * max(view.ball_depth, NEAR_M) / BALL_RADIUS_M
    patch.rods(net_px, np.full(len(net_px), 0.25), [NET] * len(net_px))
    width = focal * POST_RADIUS_M / depth
    patch.rods(frame_px, np.full(len(frame_px), width), [POST] * len(frame_px))
    patch.blend(image)


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
