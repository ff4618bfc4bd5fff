"""What a broadcaster lays over the picture: scoreboard, watermark, banners."""

from dataclasses import dataclass

import cv2
import numpy as np

from simulation.arrays import Floats, Pixels
from simulation.kits import MatchKits, bgr

TEAMS = ("HAR", "HIL", "NOR", "ALT", "VEL", "RIV", "MON", "KES", "LUM", "ORB", "CAS", "SOL")
WATERMARKS = ("SCOUT FEED", "LIGA 1 HD", "FSN", "ARENA+", "KICK TV", "WORLD FEED")
BANNERS = ("NEXT: HALF-TIME", "POSSESSION 54 - 46", "SUBSTITUTION", "ATTENDANCE 41 207", "QUANTA")
BANNER_EVERY_S, BANNER_FOR_S = 37.0, 6.0
FONT = cv2.FONT_HERSHEY_DUPLEX


@dataclass(frozen=True)
class _Panel:
    """A picture (h, w, 3) at `corner` x, y of the frame, of `opacity` (h, w) 0 to 1."""

    image: Pixels
    corner: tuple[int, int]
    opacity: Floats

    def lay(self, image: Pixels) -> None:
        (x, y), (high, wide) = self.corner, self.image.shape[:2]
        area = image[y : y + high, x : x + wide]
        share = self.opacity[: area.shape[0], : area.shape[1], None]
        front = self.image[: area.shape[0], : area.shape[1]]
        area[:] = (area * (1 - share) + front * share + 0.5).astype(np.uint8)


class Graphics:
    """One broadcaster's graphics for one match: `kind` none, corner (scoreboard) or full."""

    def __init__(
        self, kind: str, kits: MatchKits, size: tuple[int, int], rng: np.random.Generator
    ) -> None:
        self._kind, self._size, self._kits = kind, size, kits
        self._unit = size[1] / 720
        self._teams = [str(name) for name in rng.choice(TEAMS, 2, replace=False)]
        self._goals = [int(n) for n in rng.integers(0, 4, 2)]
        self._minute = int(rng.integers(0, 85))
        self._dark = tuple(int(c) for c in rng.integers(15, 75, 3))
        self._left, self._top = rng.uniform(0.03, 0.07), rng.uniform(0.04, 0.075)
        self._phase = rng.uniform(0.0, BANNER_EVERY_S)
        self._banner = self._lower_third(str(rng.choice(BANNERS)), rng)
        self._mark = self._watermark(str(rng.choice(WATERMARKS)), rng)
        self._clock: tuple[int, _Panel] | None = None

    def draw(self, image: Pixels, time_s: float) -> None:
        """Lay what is on air at `time_s` over a frame of the video."""
        if self._kind == "none":
            return
        self._scoreboard(int(time_s)).lay(image)
        if self._kind == "full":
            self._mark.lay(image)
            if (time_s + self._phase) % BANNER_EVERY_S < BANNER_FOR_S:
                self._banner.lay(image)

    def _scoreboard(self, second: int) -> _Panel:
        if self._clock is None or self._clock[0] != second:
            self._clock = (second, self._draw_scoreboard(second))
        return self._clock[1]

    def _draw_scoreboard(self, second: int) -> _Panel:
        wide, high = self._px(236), self._px(30)
        image = np.full((high, wide, 3), self._dark, dtype=np.uint8)
        clock = f"{self._minute + second // 60:02d}:{second % 60:02d}"
        score = f"{self._teams[0]} {self._goals[0]} - {self._goals[1]} {self._teams[1]}"
        image[:, : self._px(64)] = 232
        self._write(image, clock, (8, 21), 0.55, (20, 20, 20))
        self._write(image, score, (74, 21), 0.55, (240, 240, 240))
        for at, kit in ((66, self._kits.home), (230, self._kits.away)):
            image[:, self._px(at) : self._px(at + 4)] = bgr(kit.shirt)
        corner = (round(self._left * self._size[0]), round(self._top * self._size[1]))
        return _Panel(image, corner, np.full((high, wide), 0.94))

    def _watermark(self, word: str, rng: np.random.Generator) -> _Panel:
        scale, weight = 0.8 * self._unit, max(round(2 * self._unit), 1)
        (wide, high), below = cv2.getTextSize(word, FONT, scale, weight)
        mask = np.zeros((high + below + 4, wide + 4), dtype=np.uint8)
        cv2.putText(mask, word, (2, high + 2), FONT, scale, 255, weight, cv2.LINE_AA)
        low = rng.random() < 0.6
        corner = (self._size[0] - wide - self._px(40), self._px(32))
        if low:
            corner = (corner[0], self._size[1] - high - self._px(44))
        white = np.full((*mask.shape, 3), 235, dtype=np.uint8)
        return _Panel(white, corner, mask / 255.0 * rng.uniform(0.3, 0.7))

    def _lower_third(self, text: str, rng: np.random.Generator) -> _Panel:
        wide, high = self._px(rng.uniform(380, 760)), self._px(54)
        image = np.full((high, wide, 3), self._dark, dtype=np.uint8)
        image[: self._px(5)] = bgr(self._kits.home.shirt)
        self._write(image, text, (22, 37), 0.8, (242, 242, 242))
        corner = ((self._size[0] - wide) // 2, round(0.85 * self._size[1]))
        return _Panel(image, corner, np.full((high, wide), rng.uniform(0.75, 0.97)))

    def _write(
        self,
        image: Pixels,
        text: str,
        place: tuple[int, int],
        scale: float,
        colour: tuple[int, int, int],
    ) -> None:
        at, weight = (self._px(place[0]), self._px(place[1])), max(round(self._unit), 1)
        cv2.putText(image, text, at, FONT, scale * self._unit, colour, weight, cv2.LINE_AA)

    def _px(self, length: float) -> int:
        return max(round(length * self._unit), 1)
