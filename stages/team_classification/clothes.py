"""The kits of the match as they were told: how far what people wear is from them."""

import itertools

import numpy as np
from numpy.typing import NDArray

from domain.match import Kit
from stages.team_classification import colour

Array = NDArray[np.float64]
# of the difference of shorts, as against that of shirts
_SHORTS_COUNT = 0.4
# a colour on a sheet and in a picture differ by about so much (CIELab); most of it is the light's
# and the camera's, the same for both teams: between them the sheets tell three times as much
_SHEET = 25.0
TEAM_GAIN = 3.0
_UNTOLD = 0.6


def told(kits: tuple[Kit, Kit]) -> bool:
    """Whether anything is known of what the players wear."""
    return any(kit.shirt or kit.shorts for kit in kits)


def misfits(appearance: Array, kits: tuple[Kit, Kit]) -> Array:
    """How little the clothes (n, 64) are home's and away's, (n, 2): half squared distances over
    what a sheet's colour is usually off by.

    A team of which nothing is told may wear anything.
    """
    return np.column_stack([_misfit(appearance, kit) for kit in kits])


def _misfit(appearance: Array, kit: Kit) -> Array:
    if not kit.shirt and not kit.shorts:
        return np.full(len(appearance), _UNTOLD)
    squared = np.zeros(len(appearance))
    if kit.shirt:
        squared += _to_shirt(appearance[:, colour.TORSO], kit.shirt) ** 2
    if kit.shorts:
        off = appearance[:, colour.SHORTS] - colour.hex_to_lab(kit.shorts)
        squared += _SHORTS_COUNT * (off**2).sum(axis=1)
    return squared / (2 * _SHEET**2)


def _to_shirt(torso: Array, shirt: tuple[str, ...]) -> Array:
    """Distances (n,) of colours from a shirt's; from afar its stripes are any mixture of two."""
    colours = [colour.hex_to_lab(each) for each in shirt]
    if len(colours) == 1:
        return np.asarray(np.linalg.norm(torso - colours[0], axis=1))
    pairs = itertools.combinations(colours, 2)
    return np.asarray(np.min([_to_segment(torso, one, other) for one, other in pairs], axis=0))


def _to_segment(points: Array, one: Array, other: Array) -> Array:
    along = other - one
    part = np.clip((points - one) @ along / max(float(along @ along), 1e-9), 0, 1)
    return np.asarray(np.linalg.norm(points - one - part[:, None] * along, axis=1))
