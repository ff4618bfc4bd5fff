"""Everything about a match's picture that its seed decides, and between which limits.

`VARIETY` is the one place for the ranges of the domain randomisation (Tobin et al., Domain
randomization, 2017); `draw_look` draws from it. Kits and people have palettes of their own in
`kits` and `people`; how likely the hard cases of kits are is said here.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from simulation.arrays import Floats
from simulation.options import SimulationOptions

FOG = (186.0, 184.0, 178.0)
FOG_REACH_M = 100.0
LOOK_STREAM = 5  # of the seed's random streams; 1 to 4 are looks, play, camera, rendering


@dataclass(frozen=True)
class Span:
    """A number drawn evenly between two limits."""

    low: float
    high: float

    def draw(self, rng: np.random.Generator) -> float:
        return float(rng.uniform(self.low, self.high))


@dataclass(frozen=True)
class Sometimes:
    """0 but with probability `chance`, and then a number between two limits."""

    chance: float
    low: float
    high: float

    def draw(self, rng: np.random.Generator) -> float:
        happens, value = rng.random() < self.chance, float(rng.uniform(self.low, self.high))
        return value if happens else 0.0


Weighted = tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Variety:
    """Ranges. Colours are blue, green, red of 255 before the camera's own grading."""

    light: Weighted = (("sun", 0.36), ("flood", 0.34), ("overcast", 0.30))
    sun_reach: Span = Span(0.4, 1.9)  # metres of shadow per metre of height
    sun_dark: Span = Span(0.32, 0.58)
    flood_reach: Span = Span(0.6, 1.5)
    flood_dark: Span = Span(0.06, 0.19)
    contact_dark: Span = Span(0.12, 0.34)
    stand_shadow: Sometimes = Sometimes(0.45, 0.38, 0.62)  # under the sun; how dark
    stand_shadow_edge_m: Span = Span(-30.0, 30.0)
    stand_shadow_soft_m: Span = Span(0.15, 0.9)
    haze: Sometimes = Sometimes(0.30, 0.06, 0.26)  # share of fog 100 m away
    rain: Sometimes = Sometimes(0.2, 0.25, 1.0)  # not under the sun
    wet: Sometimes = Sometimes(0.25, 0.2, 1.0)
    frost: Sometimes = Sometimes(0.05, 0.1, 0.35)  # paler grass in cold light

    mowing: Weighted = (
        ("bands", 0.46), ("checks", 0.14), ("rings", 0.06), ("lengthwise", 0.08),
        ("diagonal", 0.06), ("plain", 0.20),
    )  # fmt: skip
    mowing_contrast: Span = Span(2.5, 11.0)
    grass_green: Span = Span(108.0, 146.0)
    grass_blue: Span = Span(0.36, 0.60)  # of green; real pitches 0.38 to 0.62
    grass_red: Span = Span(0.55, 0.84)  # of green; real pitches 0.55 to 0.82
    blades: Span = Span(0.5, 1.25)  # strength of the grass' unevenness
    goalmouth_wear: Sometimes = Sometimes(0.75, 0.05, 0.6)
    worn_patches: Sometimes = Sometimes(0.5, 0.05, 0.4)
    line_paint: Span = Span(0.55, 0.95)
    line_wear: Span = Span(0.05, 0.55)
    apron: Weighted = (("grass", 0.4), ("tarmac", 0.2), ("turf", 0.25), ("track", 0.15))
    apron_from_m: Span = Span(2.4, 5.0)

    stands: Weighted = (("tall", 0.5), ("low", 0.32), ("open", 0.18))
    amateur_stands: Weighted = (("low", 0.4), ("open", 0.6))
    crowd: Span = Span(0.12, 0.98)
    stand_light: Span = Span(0.45, 1.05)
    night_stand_light: Span = Span(0.25, 0.75)
    cloth_fade: Span = Span(0.06, 0.24)  # how far cloth is from its palette towards grey
    bystanders: Span = Span(0.35, 1.0)  # share of places beside the pitch that are taken

    exposure: Span = Span(0.78, 1.16)
    contrast: Span = Span(0.9, 1.16)
    saturation: Span = Span(0.68, 1.12)
    warmth: Span = Span(-0.07, 0.07)
    tint: Span = Span(-0.04, 0.04)
    vignette: Sometimes = Sometimes(0.3, 0.06, 0.25)
    lens_blur_px: Span = Span(0.45, 0.95)  # at a width of 1280
    sharpen: Span = Span(0.1, 0.8)
    day_noise: Span = Span(0.8, 3.4)  # of 255, before compression
    night_noise: Span = Span(1.4, 4.2)
    shutter_s: Span = Span(1 / 500, 1 / 70)
    crf: Span = Span(19.0, 29.0)  # x264: 18 hardly shows, 28 is a poor stream

    like_kits: float = 0.15  # share of matches whose sides are hard to tell apart
    like_keepers: float = 0.25
    graphics: Weighted = (("none", 0.25), ("corner", 0.35), ("full", 0.40))


VARIETY = Variety()


@dataclass(frozen=True)
class Light:
    """Shadows as metres along x and y per metre of height and how dark they are; the edge of a
    stand's shadow is the line normal . (x, y) = edge_m, beyond which all is in the shade.
    """

    kind: str
    shadows: tuple[tuple[float, float, float], ...]
    contact: float
    from_left: bool
    shade: float
    edge_normal: tuple[float, float]
    edge_m: float
    edge_soft_m: float

    def shaded(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Share (0 to 1) in which each place lies in the stand's shadow."""
        beyond = self.edge_normal[0] * x + self.edge_normal[1] * y - self.edge_m
        return np.asarray(np.clip(0.5 + beyond / max(2 * self.edge_soft_m, 1e-6), 0.0, 1.0))


@dataclass(frozen=True)
class Grass:
    mowing: str
    mowing_contrast: float
    colour: tuple[float, float, float]
    blades: float
    goalmouth_wear: float
    worn_patches: float
    line_paint: float
    line_wear: float
    wet: float
    frost: float
    apron: str
    apron_from_m: float


@dataclass(frozen=True)
class Lens:
    """From the scene's light to the file: optics, sensor, grading and compression."""

    exposure: float
    contrast: float
    saturation: float
    warmth: float
    tint: float
    vignette: float
    lens_blur_px: float
    sharpen: float
    noise: float
    shutter_s: float
    crf: int


@dataclass(frozen=True)
class Look:
    """One match's picture."""

    light: Light
    grass: Grass
    lens: Lens
    haze: float
    rain: float
    stands: str
    crowd: float
    stand_light: float
    cloth_fade: float
    bystanders: float
    graphics: str


def draw_look(options: SimulationOptions) -> Look:
    """The look of a match, by its seed; the camera decides whether there are graphics."""
    rng, ranges = np.random.default_rng([options.seed, LOOK_STREAM]), VARIETY
    kind = pick(ranges.light, rng)
    night = kind == "flood"
    light, grass, rain = _light(kind, rng), _grass(rng), ranges.rain.draw(rng)
    rain = 0.0 if kind == "sun" else rain
    lens = _lens(night, rng)
    stand = ranges.night_stand_light if night else ranges.stand_light
    haze, crowd, stand_light = ranges.haze.draw(rng), ranges.crowd.draw(rng), stand.draw(rng)
    fade, bystanders = ranges.cloth_fade.draw(rng), ranges.bystanders.draw(rng)
    graphics = pick(ranges.graphics, rng)
    amateur = options.camera in ("amateur", "drone")
    return Look(
        light=light,
        grass=grass,
        lens=lens,
        haze=haze,
        rain=rain,
        stands=pick(ranges.amateur_stands if amateur else ranges.stands, rng),
        crowd=crowd,
        stand_light=stand_light,
        cloth_fade=fade,
        bystanders=bystanders,
        graphics="none" if amateur else graphics,
    )


def fog_share(distance_m: ArrayLike, haze: float) -> Floats:
    """Share of fog in what is seen `distance_m` away, where it is `haze` at 100 m."""
    return np.asarray(1.0 - (1.0 - haze) ** (np.asarray(distance_m) / FOG_REACH_M))


def pick(weighted: Weighted, rng: np.random.Generator) -> str:
    """One of the names, by weight."""
    names, weights = zip(*weighted, strict=True)
    share = np.array(weights) / sum(weights)
    return str(names[int(rng.choice(len(names), p=share))])


def _light(kind: str, rng: np.random.Generator) -> Light:
    """Sun with one shadow, floodlights with four faint ones, or an overcast sky."""
    ranges, angle = VARIETY, float(rng.uniform(0, 2 * np.pi))
    reach, dark = ranges.sun_reach.draw(rng), ranges.sun_dark.draw(rng)
    contact = ranges.contact_dark.draw(rng)
    lamps, lamp_dark = ranges.flood_reach.draw(rng), ranges.flood_dark.draw(rng)
    shade, edge = ranges.stand_shadow.draw(rng), ranges.stand_shadow_edge_m.draw(rng)
    soft = ranges.stand_shadow_soft_m.draw(rng)
    shadows: tuple[tuple[float, float, float], ...] = ()
    if kind == "sun":
        shadows = ((reach * np.cos(angle), reach * np.sin(angle), dark),)
    elif kind == "flood":
        shadows = tuple((sx * lamps, sy * lamps, lamp_dark) for sx in (-1, 1) for sy in (-0.7, 0.7))
    # a stand's roof is parallel to the side it stands on: mostly a touchline
    sides = [(0.0, 1.0), (0.0, -1.0), (0.0, 1.0), (1.0, 0.0), (-1.0, 0.0)]
    normal = sides[int(rng.integers(len(sides)))]
    return Light(
        kind=kind,
        shadows=shadows,
        contact=contact,
        from_left=bool(np.cos(angle) > 0),
        shade=shade if kind == "sun" else 0.0,
        edge_normal=normal,
        edge_m=edge * (1.0 if normal[0] == 0 else 1.6),
        edge_soft_m=soft,
    )


def _grass(rng: np.random.Generator) -> Grass:
    ranges = VARIETY
    green = ranges.grass_green.draw(rng)
    colour = (green * ranges.grass_blue.draw(rng), green, green * ranges.grass_red.draw(rng))
    return Grass(
        mowing=pick(ranges.mowing, rng),
        mowing_contrast=ranges.mowing_contrast.draw(rng),
        colour=colour,
        blades=ranges.blades.draw(rng),
        goalmouth_wear=ranges.goalmouth_wear.draw(rng),
        worn_patches=ranges.worn_patches.draw(rng),
        line_paint=ranges.line_paint.draw(rng),
        line_wear=ranges.line_wear.draw(rng),
        wet=ranges.wet.draw(rng),
        frost=ranges.frost.draw(rng),
        apron=pick(ranges.apron, rng),
        apron_from_m=ranges.apron_from_m.draw(rng),
    )


def _lens(night: bool, rng: np.random.Generator) -> Lens:
    ranges = VARIETY
    return Lens(
        exposure=ranges.exposure.draw(rng),
        contrast=ranges.contrast.draw(rng),
        saturation=ranges.saturation.draw(rng),
        warmth=ranges.warmth.draw(rng),
        tint=ranges.tint.draw(rng),
        vignette=ranges.vignette.draw(rng),
        lens_blur_px=ranges.lens_blur_px.draw(rng),
        sharpen=ranges.sharpen.draw(rng),
        noise=(ranges.night_noise if night else ranges.day_noise).draw(rng),
        shutter_s=ranges.shutter_s.draw(rng),
        crf=round(ranges.crf.draw(rng)),
    )
