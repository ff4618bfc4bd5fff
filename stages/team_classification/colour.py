"""Shirt colours in one light, and the two colours that the teams wear.

The grass beside a player is the reference for the light that falls on him: in the shade it is
darker and bluer, and so is the shirt. Scaling each channel of the shirt's XYZ by what brings the
grass to the match's usual grass (von Kries 1902, in XYZ) undoes that.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

TORSO, SHORTS, GRASS = slice(0, 3), slice(3, 6), slice(6, 9)
HISTOGRAM = slice(12, 60)
# of the weights: a shirt tells more than shorts, which both teams may share; brightness tells less
# than hue, as folds and shade change it
_WEIGHTS = np.array([0.7, 1.0, 1.0, 0.3, 0.4, 0.4])
_HISTOGRAM_WEIGHT = 12.0
_MAX_GAIN = 2.5
_MIN_GRASS_L = 8.0
_WHITE = np.array([0.9505, 1.0, 1.089])
_CANDIDATES = 40
_FAR = 30.0
_MIN_SPREAD = 11.0
# grass nearer than this to the usual (CIELab) is worn or mown the other way: in the same light
_SAME_LIGHT, _OTHER_LIGHT = 6.0, 12.0
# halving one bell curve at its mean gives two lumps 2.65 of their standard deviations apart
_ONE_LUMP, _TWO_TEAMS = 2.65, 4.5


def lab_to_xyz(lab: Array) -> Array:
    """CIELab (n, 3), D65, to XYZ with Y = 1 for white."""
    fy = (lab[:, 0] + 16) / 116
    f = np.column_stack([fy + lab[:, 1] / 500, fy, fy - lab[:, 2] / 200])
    linear = (f - 4 / 29) * 3 * (6 / 29) ** 2
    return np.asarray(np.where(f > 6 / 29, f**3, linear) * _WHITE)


def xyz_to_lab(xyz: Array) -> Array:
    """XYZ (n, 3) with Y = 1 for white to CIELab, D65."""
    part = xyz / _WHITE
    f = np.where(part > (6 / 29) ** 3, np.cbrt(part), part / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.column_stack(
        [116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])]
    )


def hex_to_lab(colour: str) -> Array:
    """`#rrggbb` (sRGB) to CIELab (3,)."""
    srgb = np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)]) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    return np.asarray(xyz_to_lab((to_xyz @ linear)[None])[0])


def relight(appearance: Array) -> Array:
    """Appearances (n, 64) with torso and shorts as the match's median grass would have them lit.

    Where no grass is seen beside the player, or it looks as usual, the colour stays as it is.
    """
    grass = appearance[:, GRASS]
    seen = grass[:, 0] > _MIN_GRASS_L
    if not seen.any():
        return appearance
    usual = np.median(grass[seen], axis=0, keepdims=True)
    off = np.where(seen, np.linalg.norm(grass - usual, axis=1), 0.0)
    share = np.clip((off - _SAME_LIGHT) / (_OTHER_LIGHT - _SAME_LIGHT), 0, 1)[:, None]
    gain = lab_to_xyz(usual) / np.maximum(lab_to_xyz(grass), 1e-6)
    gain = np.clip(gain, 1 / _MAX_GAIN, _MAX_GAIN)
    result = appearance.copy()
    for part in (TORSO, SHORTS):
        lit = xyz_to_lab(lab_to_xyz(appearance[:, part]) * gain)
        result[:, part] += share * (lit - appearance[:, part])
    return result


def features(appearance: Array) -> Array:
    """Appearances (n, 64) as points in which distance is about a colour difference in CIELab."""
    colours = appearance[:, :6] * _WEIGHTS
    shares = np.sqrt(np.clip(appearance[:, HISTOGRAM], 0, None))
    return np.column_stack([colours, _HISTOGRAM_WEIGHT * shares])


@dataclass(frozen=True)
class Kits:
    """Two teams' colours: `centres` (2, d) in feature space, and how far shirts stray from them.

    `separation` is 0 where the shirts look like one lump and 1 where they are clearly two.
    """

    centres: Array
    spread: float
    separation: float


def find_kits(points: Array, weights: Array) -> Kits | None:
    """The two colours that explain most of the shirts; None for fewer than two shirts.

    Every pair among the tracks seen most is tried as the two centres. The cost of a shirt grows
    with its distance only so far, so that officials or a keeper cannot pull a centre to
    themselves; the best pair is then refined by means over the shirts near it.
    """
    if len(points) < 2:
        return None
    candidates = np.argsort(-weights, kind="stable")[:_CANDIDATES]
    cost = np.minimum(_distances(points, points[candidates]), _FAR) ** 2
    first, second = np.triu_indices(len(candidates), 1)
    total = np.array(
        [weights @ np.minimum(cost[:, a], cost[:, b]) for a, b in zip(first, second, strict=True)]
    )
    best = int(total.argmin())
    centres = points[candidates[[first[best], second[best]]]]
    for _ in range(20):
        distance = _distances(points, centres)
        own, near = distance.argmin(axis=1), distance.min(axis=1) < _FAR
        centres = np.stack([_mean(points, weights, near & (own == k), centres[k]) for k in (0, 1)])
    return _kits(points, weights, centres)


def _distances(points: Array, centres: Array) -> Array:
    """(n, k) Euclidean distances."""
    return np.asarray(np.sqrt(((points[:, None] - centres[None]) ** 2).sum(axis=2)))


def _mean(points: Array, weights: Array, chosen: NDArray[np.bool_], fallback: Array) -> Array:
    if not chosen.any():
        return fallback
    return np.asarray(np.average(points[chosen], axis=0, weights=weights[chosen]))


def _kits(points: Array, weights: Array, centres: Array) -> Kits:
    distance = _distances(points, centres)
    own, near = distance.argmin(axis=1), distance.min(axis=1) < _FAR
    apart = centres[1] - centres[0]
    length = float(np.linalg.norm(apart))
    if not near.any() or length == 0:
        return Kits(centres, _MIN_SPREAD, 0.0)
    off = ((points - centres[own]) @ apart / length)[near]
    within = max(float(np.sqrt(np.average(off**2, weights=weights[near]))), 1.0)
    spread = max(float(np.median(distance.min(axis=1)[near])), _MIN_SPREAD)
    lumps = (length / within - _ONE_LUMP) / (_TWO_TEAMS - _ONE_LUMP)
    return Kits(centres, spread, float(np.clip(lumps, 0, 1)))


def likelihood(points: Array, centre: Array, spread: float) -> Array:
    """Log-likelihood (n,) of shirts under a colour, bounded below: anything may be an outlier."""
    distance = np.linalg.norm(points - centre, axis=1)
    return np.asarray(np.maximum(-0.5 * (distance / spread) ** 2, -12.0))
