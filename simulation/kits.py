"""Kits: what each side wears, drawn by seed so that teams, keepers and referees differ."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

PATTERNS = ("plain", "plain", "plain", "stripes", "hoops", "halves", "sash")
# CIE Lab distance between the shirts of any two sides; 20 is told apart at a glance.
MIN_SHIRT_DISTANCE = 28.0
MIN_GRASS_DISTANCE = 22.0
GRASS_HEX = "#4f7f3c"

SHIRTS = (
    "#f2f2f0", "#c8102e", "#1d4fa3", "#16181d", "#f5d216", "#f26b1d", "#6cabdd", "#0b1f4b",
    "#7a1230", "#1b7a43", "#5b2a86", "#8df03a", "#e8a7c0", "#8d99a6",
)  # fmt: skip
KEEPER_SHIRTS = ("#d8f02c", "#f08a1c", "#36c6d3", "#e2469a", "#6f6f78", "#35c04a", "#202226")
REFEREE_SHIRTS = ("#17181b", "#e9e436", "#d33f8f", "#3bb4e0", "#c8322f")
DARK_SHORTS = ("#16181d", "#0b1f4b")
LIGHT = "#f2f2f0"


@dataclass(frozen=True)
class Kit:
    """Colours as #rrggbb; `pattern` lays `second` over `shirt`."""

    shirt: str
    second: str
    shorts: str
    socks: str
    pattern: str = "plain"


@dataclass(frozen=True)
class MatchKits:
    home: Kit
    away: Kit
    home_keeper: Kit
    away_keeper: Kit
    referee: Kit


def bgr(colour: str) -> tuple[int, int, int]:
    """#rrggbb as blue, green, red."""
    return int(colour[5:7], 16), int(colour[3:5], 16), int(colour[1:3], 16)


def draw_kits(rng: np.random.Generator) -> MatchKits:
    """Kits for one match: every pair of shirts is distinguishable, and each from the grass."""
    taken = [GRASS_HEX]
    home = _team_kit(rng, taken)
    away = _team_kit(rng, taken)
    referee = _single(rng, REFEREE_SHIRTS, taken, shorts="#16181d")
    home_keeper = _single(rng, KEEPER_SHIRTS, taken)
    away_keeper = _single(rng, KEEPER_SHIRTS, taken)
    return MatchKits(home, away, home_keeper, away_keeper, referee)


def _team_kit(rng: np.random.Generator, taken: list[str]) -> Kit:
    shirt = _distinct(rng, SHIRTS, taken)
    pattern = str(rng.choice(PATTERNS))
    second = LIGHT if _lightness(shirt) < 65 else str(rng.choice(DARK_SHORTS))
    shorts = str(rng.choice([shirt, second, *DARK_SHORTS]))
    return Kit(shirt, second, shorts, str(rng.choice([shirt, second])), pattern)


def _single(
    rng: np.random.Generator, palette: Sequence[str], taken: list[str], shorts: str | None = None
) -> Kit:
    shirt = _distinct(rng, palette, taken)
    return Kit(shirt, shirt, shorts or shirt, shorts or shirt)


def _distinct(rng: np.random.Generator, palette: Sequence[str], taken: list[str]) -> str:
    """A colour of `palette` far from all `taken`, or the farthest; it joins `taken`."""
    order = [str(palette[i]) for i in rng.permutation(len(palette))]
    clear = [colour for colour in order if _clearance(colour, taken) >= 0]
    chosen: str = clear[0] if clear else max(order, key=lambda c: _clearance(c, taken))
    taken.append(chosen)
    return chosen


def _clearance(colour: str, taken: Sequence[str]) -> float:
    """The least margin in Lab units between `colour` and the colours already taken."""
    margins = [
        np.linalg.norm(_lab(colour) - _lab(other)) - MIN_SHIRT_DISTANCE for other in taken[1:]
    ]
    return float(
        min([np.linalg.norm(_lab(colour) - _lab(taken[0])) - MIN_GRASS_DISTANCE, *margins])
    )


def _lab(colour: str) -> np.ndarray:
    pixel = np.array([[bgr(colour)]], np.float32) / 255
    return np.asarray(cv2.cvtColor(pixel, cv2.COLOR_BGR2LAB)[0, 0], dtype=np.float64)


def _lightness(colour: str) -> float:
    return float(_lab(colour)[0])
