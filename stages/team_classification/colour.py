"""Clothes in one light, and as points whose distances tell kits apart.

The grass beside a player is the reference for the light that falls on him: in the shade it is
darker and bluer, and so is the shirt. Scaling each channel of the shirt's XYZ by what brings the
grass to the match's usual grass (von Kries 1902, in XYZ) undoes that.
"""

import numpy as np
from numpy.typing import NDArray

from stages import clothing
from stages.clothing import LEGS_PALETTE, TORSO_PALETTE, Palette

Array = NDArray[np.float64]

TORSO, SHORTS, GRASS = clothing.TORSO_LAB, clothing.SHORTS_LAB, clothing.GRASS_LAB
_PALETTES: tuple[tuple[slice, Palette], ...] = (
    (clothing.TORSO_SHARES, TORSO_PALETTE),
    (clothing.SHORTS_SHARES, LEGS_PALETTE),
    (clothing.SOCKS_SHARES, LEGS_PALETTE),
)
# brightness tells less than hue, as folds and shade change it
_TORSO_WEIGHTS = np.array([0.35, 0.5, 0.5])
# square roots of shares differ by at most the square root of two: a shirt of other colours is
# then as far as 35 in CIELab; shorts and socks, which teams may share, tell less
_SHARES_WEIGHTS = np.concatenate([np.full(27, 25.0), np.full(12, 14.0), np.full(12, 14.0)])
_MAX_GAIN = 2.5
_MIN_GRASS_L = 8.0
_WHITE = np.array([0.9505, 1.0, 1.089])
# grass nearer than this to the usual (CIELab) is worn or mown the other way: in the same light
_SAME_LIGHT, _OTHER_LIGHT = 6.0, 12.0


def lab_to_xyz(lab: Array) -> Array:
    """CIELab (..., 3), D65, to XYZ with Y = 1 for white."""
    fy = (lab[..., 0] + 16) / 116
    f = np.stack([fy + lab[..., 1] / 500, fy, fy - lab[..., 2] / 200], axis=-1)
    linear = (f - 4 / 29) * 3 * (6 / 29) ** 2
    return np.asarray(np.where(f > 6 / 29, f**3, linear) * _WHITE)


def xyz_to_lab(xyz: Array) -> Array:
    """XYZ (..., 3) with Y = 1 for white to CIELab, D65."""
    part = xyz / _WHITE
    f = np.where(part > (6 / 29) ** 3, np.cbrt(part), part / (3 * (6 / 29) ** 2) + 4 / 29)
    lab = 116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])
    return np.stack(lab, axis=-1)


def hex_to_lab(colour: str) -> Array:
    """`#rrggbb` (sRGB) to CIELab (3,)."""
    srgb = np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)]) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    return np.asarray(xyz_to_lab((to_xyz @ linear)[None])[0])


def relight(appearance: Array) -> Array:
    """Appearances (n, 64) with the clothes as the match's median grass would have them lit.

    Where no grass is seen beside the player, or it looks as usual, the colour stays as it is.
    """
    grass = appearance[:, GRASS]
    seen = grass[:, 0] > _MIN_GRASS_L
    if not seen.any():
        return appearance
    usual = np.median(grass[seen], axis=0, keepdims=True)
    off = np.where(seen, np.linalg.norm(grass - usual, axis=1), 0.0)
    other = np.flatnonzero(off > _SAME_LIGHT)
    blend = np.minimum((off[other] - _SAME_LIGHT) / (_OTHER_LIGHT - _SAME_LIGHT), 1)[:, None]
    gain = lab_to_xyz(usual) / np.maximum(lab_to_xyz(grass[other]), 1e-6)
    gain = np.clip(gain, 1 / _MAX_GAIN, _MAX_GAIN)
    result = appearance.copy()
    for part in (TORSO, SHORTS):
        lit = xyz_to_lab(lab_to_xyz(appearance[other, part]) * gain)
        result[other, part] += blend * (lit - appearance[other, part])
    for part, palette in _PALETTES:
        shares = appearance[other, part]
        lit = xyz_to_lab(lab_to_xyz(palette.colours)[None] * gain[:, None])
        result[other, part] += blend * (palette.shares(lit, shares) - shares)
    return result


def features(appearance: Array) -> Array:
    """Appearances (n, 64) as points in which distance is about a colour difference in CIELab.

    Between square roots of shares it is Hellinger's: what is there in one and not in the other.
    """
    shares = np.sqrt(np.clip(appearance[:, clothing.SHARES], 0, None))
    return np.column_stack([appearance[:, TORSO] * _TORSO_WEIGHTS, shares * _SHARES_WEIGHTS])
