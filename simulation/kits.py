"""Kits: what each side wears, drawn by seed so that teams, keepers and referees differ."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from simulation.variety import VARIETY

# Share of a shirt that a pattern gives to the second colour.
PATTERNS = {
    "plain": 0.0, "stripes": 0.4, "pinstripes": 0.2, "hoops": 0.4, "halves": 0.5, "sash": 0.25,
    "centre": 0.25, "yoke": 0.3, "band": 0.25,
}  # fmt: skip
PATTERN_WEIGHTS = (0.40, 0.14, 0.07, 0.08, 0.06, 0.06, 0.06, 0.07, 0.06)
# CIE Lab distance between the shirts of any two sides, as seen from afar; 20 is told apart at a
# glance. Law 4 wants sides that can be told apart; the hard cases are what leagues let pass.
MIN_SHIRT_DISTANCE = 28.0
HARD_SHIRT_DISTANCE = 17.0
MIN_GRASS_DISTANCE = 22.0
GRASS_HEX = "#4f7f3c"

SHIRTS = (
    "#f2f2f0", "#f2f2f0", "#c8102e", "#a31621", "#1d4fa3", "#16181d", "#f5d216", "#f26b1d",
    "#6cabdd", "#0b1f4b", "#7a1230", "#1b7a43", "#5b2a86", "#8df03a", "#e8a7c0", "#8d99a6",
    "#16a3a0", "#d8c69a", "#2b3a2f", "#e03c78",
)  # fmt: skip
KEEPER_SHIRTS = (
    "#d8f02c", "#f08a1c", "#36c6d3", "#e2469a", "#6f6f78", "#35c04a", "#202226", "#f5d216",
    "#7d3fb0", "#b9bec6", "#1f5f3a",
)  # fmt: skip
REFEREE_SHIRTS = ("#17181b", "#17181b", "#e9e436", "#d33f8f", "#3bb4e0", "#c8322f", "#2f6f3e")
DARK_SHORTS = ("#16181d", "#0b1f4b")
LIGHT = "#f2f2f0"


@dataclass(frozen=True)
class Kit:
    """Colours as #rrggbb; `pattern` lays `second` over `shirt`, sleeves have a colour of theirs."""

    shirt: str
    second: str
    shorts: str
    socks: str
    pattern: str = "plain"
    sleeves: str = ""
    gloves: str = ""
    sponsor: str = ""
    trousers: bool = False

    @property
    def sleeve(self) -> str:
        return self.sleeves or self.shirt


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
    """Kits for one match: sides, keepers and officials are distinguishable, at times only just."""
    hard_sides = rng.random() < VARIETY.like_kits
    hard_keepers = rng.random() < VARIETY.like_keepers
    taken: list[np.ndarray] = []
    home = _team_kit(rng, taken, MIN_SHIRT_DISTANCE)
    away = _team_kit(rng, taken, HARD_SHIRT_DISTANCE if hard_sides else MIN_SHIRT_DISTANCE)
    referee = _single(rng, REFEREE_SHIRTS, taken, MIN_SHIRT_DISTANCE, dark=True)
    least = HARD_SHIRT_DISTANCE if hard_keepers else MIN_SHIRT_DISTANCE
    home_keeper = _single(rng, KEEPER_SHIRTS, taken, least)
    away_keeper = _single(rng, KEEPER_SHIRTS, taken, least)
    return MatchKits(home, away, home_keeper, away_keeper, referee)


def seen_from_afar(kit: Kit) -> np.ndarray:
    """CIE Lab (3) of the shirt with its pattern run together."""
    share = PATTERNS[kit.pattern]
    return (1 - share) * _lab(kit.shirt) + share * _lab(kit.second)


def _team_kit(rng: np.random.Generator, taken: list[np.ndarray], least: float) -> Kit:
    drawn = [_any_team_kit(rng, shirt) for shirt in rng.permutation(SHIRTS)]
    return _distinct(drawn, taken, least)


def _any_team_kit(rng: np.random.Generator, shirt: str) -> Kit:
    light = _lightness(shirt) < 65
    accents = [LIGHT, LIGHT, "#f5d216", "#16181d"] if light else [*DARK_SHORTS, "#c8102e"]
    second = str(rng.choice([colour for colour in accents if colour != shirt]))
    pattern = str(rng.choice(list(PATTERNS), p=PATTERN_WEIGHTS))
    shorts = str(rng.choice([shirt, shirt, second, *DARK_SHORTS, LIGHT]))
    socks = str(rng.choice([shirt, second, shorts]))
    sleeves = second if rng.random() < 0.22 else ""
    sponsor = str(rng.choice(["", second, LIGHT if light else "#16181d"]))
    return Kit(str(shirt), second, shorts, socks, pattern, sleeves, sponsor=sponsor)


def _single(
    rng: np.random.Generator,
    palette: Sequence[str],
    taken: list[np.ndarray],
    least: float,
    dark: bool = False,
) -> Kit:
    """A plain kit of an official (`dark` shorts and socks) or a keeper, who wears gloves."""
    kits = []
    for shirt in rng.permutation(palette):
        trousers = "#16181d" if dark else str(rng.choice([shirt, shirt, "#16181d"]))
        gloves = "" if dark else str(rng.choice(["#f2f2f0", "#d8f02c", "#16181d", "#f0663c"]))
        kits.append(Kit(str(shirt), str(shirt), trousers, trousers, gloves=gloves))
    return _distinct(kits, taken, least)


def _distinct(kits: Sequence[Kit], taken: list[np.ndarray], least: float) -> Kit:
    """The first kit far enough from all `taken` and from grass, or the farthest; it joins them.

    Where less distance than usual is allowed, the nearest of the legal ones is taken.
    """
    margins = [_clearance(seen_from_afar(kit), taken, least) for kit in kits]
    clear = [i for i, margin in enumerate(margins) if margin >= 0]
    if clear and taken and least < MIN_SHIRT_DISTANCE:
        chosen = kits[min(clear, key=lambda i: margins[i])]
    else:
        chosen = kits[clear[0]] if clear else kits[int(np.argmax(margins))]
    taken.append(seen_from_afar(chosen))
    return chosen


def _clearance(shirt: np.ndarray, taken: Sequence[np.ndarray], least: float) -> float:
    """The least margin in Lab units between a shirt, those already taken and grass."""
    margins = [float(np.linalg.norm(shirt - other)) - least for other in taken]
    return min([float(np.linalg.norm(shirt - _lab(GRASS_HEX))) - MIN_GRASS_DISTANCE, *margins])


def _lab(colour: str) -> np.ndarray:
    pixel = np.array([[bgr(colour)]], np.float32) / 255
    return np.asarray(cv2.cvtColor(pixel, cv2.COLOR_BGR2LAB)[0, 0], dtype=np.float64)


def _lightness(colour: str) -> float:
    return float(_lab(colour)[0])
