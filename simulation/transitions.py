"""From one shot to the next: dissolves, and the wipe behind a sweeping logo around replays."""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from simulation.arrays import Bools, Floats, Ints, Pixels
from simulation.film import Film, Shot
from simulation.kits import MatchKits, bgr
from simulation.views import FrameView

SLANT = 0.35  # the sweep's lean as a share of the picture's height
STRIPES = 5
WORDS = ("FSN", "LIGA 1", "ARENA+", "KICK TV", "M")


@dataclass(frozen=True)
class Transition:
    """`share` (0 to 1) of the way from one shot to the next; the cut itself is at a half."""

    kind: str  # dissolve, wipe
    other: Shot  # the one of the two shots that is not on air
    share: float


def transition_at(film: Film, shot_index: int, frame: int) -> Transition | None:
    """The transition that `frame` of shot `shot_index` is part of, if any."""
    shot = film.shots[shot_index]
    if frame < shot.first + shot.reach and shot_index > 0:
        share = (frame - shot.first + shot.reach + 0.5) / (2 * shot.reach)
        return Transition(shot.cue.opening, film.shots[shot_index - 1], share)
    if shot_index + 1 < len(film.shots):
        after = film.shots[shot_index + 1]
        if frame >= after.first - after.reach:
            share = (frame - after.first + after.reach + 0.5) / (2 * after.reach)
            return Transition(after.cue.opening, after, share)
    return None


def settled_frames(film: Film) -> Ints:
    """The frames that show one shot alone, no part of a dissolve or a wipe."""
    shots = film.shot_index()
    alone = [transition_at(film, int(shot), frame) is None for frame, shot in enumerate(shots)]
    return np.flatnonzero(alone)


def behind_wipe(view: FrameView, change: Transition, size: tuple[int, int]) -> FrameView:
    """The view when what a wipe covers is not seen."""
    if change.kind != "wipe":
        return view
    middles = (view.boxes[:, :2] + view.boxes[:, 2:]) / 2
    hidden = covered(np.concatenate([middles, view.ball_px[None]]), change.share, size)
    visible = np.where(hidden[:-1], 0.0, view.visible)
    return replace(view, visible=visible, ball_visible=view.ball_visible and not hidden[-1])


def covered(points: Floats, share: float, size: tuple[int, int]) -> Bools:
    """Which of points (n, 2) in pixels lie behind the logo of a wipe."""
    trailing, leading = _edges(share, size)
    slanted = points[:, 0] + SLANT * points[:, 1]
    return np.asarray((slanted >= trailing) & (slanted < leading))


def _edges(share: float, size: tuple[int, int]) -> tuple[float, float]:
    """Where the sweep ends and begins along the picture's upper edge, in pixels."""
    way = size[0] + SLANT * size[1]
    trailing, leading = (np.clip((share - start) / 0.42, 0.0, 1.0) for start in (0.58, 0.0))
    return float(way * trailing), float(way * leading)


class WipeLook:
    """The logo of a broadcaster in his colours, drawn by the seed."""

    def __init__(self, kits: MatchKits, rng: np.random.Generator) -> None:
        pool = [bgr(kits.home.shirt), bgr(kits.away.shirt), (40, 30, 24), (200, 60, 20)]
        first, second = rng.choice(len(pool), 2, replace=False)
        self._colours = [_mixed(pool[first], pool[second], i / (STRIPES - 1)) for i in _zigzag()]
        self._word = str(rng.choice(WORDS))

    def draw(self, image: Pixels, share: float) -> None:
        """Sweep the logo over `image`."""
        height, width = image.shape[:2]
        trailing, leading = _edges(share, (width, height))
        steps = np.linspace(trailing, leading, STRIPES + 1)
        for low, high, colour in zip(steps[:-1], steps[1:], self._colours, strict=True):
            lean = SLANT * height
            corners = [(low, 0), (high, 0), (high - lean, height), (low - lean, height)]
            fixed = np.rint(np.array(corners) * 16).astype(np.int32)
            cv2.fillConvexPoly(image, fixed, colour, cv2.LINE_AA, 4)
        self._badge(image, (trailing + leading) / 2 - SLANT * height / 2)

    def _badge(self, image: Pixels, x: float) -> None:
        """A round badge with the broadcaster's word in the middle of the sweep."""
        height = image.shape[0]
        radius, place = height // 5, (round(x), height // 2)
        cv2.circle(image, place, radius, (245, 245, 245), -1, cv2.LINE_AA)
        cv2.circle(image, place, radius, self._colours[0], max(radius // 10, 1), cv2.LINE_AA)
        font, thick = cv2.FONT_HERSHEY_DUPLEX, max(radius // 22, 1)
        (wide, high), _ = cv2.getTextSize(self._word, font, 1.0, thick)
        size = min(1.4 * radius / wide, 1.0 * radius / high)
        at = round(x - size * wide / 2), round(height / 2 + size * high / 2)
        cv2.putText(image, self._word, at, font, size, self._colours[0], thick, cv2.LINE_AA)


def _zigzag() -> list[int]:
    """Stripes from both sides to the middle: 0 2 4 2 0 of four fourths."""
    return [min(i, STRIPES - 1 - i) * 2 for i in range(STRIPES)]


def _mixed(
    first: tuple[int, int, int], second: tuple[int, int, int], share: float
) -> tuple[float, ...]:
    return tuple(a + (b - a) * share for a, b in zip(first, second, strict=True))
