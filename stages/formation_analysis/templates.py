"""Formations as ten places, and which of them a team's places fit best.

As in Bialkowski et al. (2014), "Large-scale analysis of soccer matches using spatiotemporal
tracking data", and Shaw and Glickman (2019), "Dynamic analysis of team strategy in professional
football": places relative to the team's centre, brought to one scale, matched by assignment.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

Array = NDArray[np.float64]

# Half the width of a line of so many players, in metres, and how far its outer players stand ahead
# of its inner ones: full-backs and wing-backs go higher than centre-backs. Only the proportions
# matter, and that all formations share them.
_HALF_WIDTH_M = {1: 0.0, 2: 6.0, 3: 17.0, 4: 19.0, 5: 22.0}
_OUTER_AHEAD_M = 4.0
_BACK_FOUR = (0.0, "LB LCB RCB RB")
_BACK_THREE = (0.0, "LCB CB RCB")
_BACK_FIVE = (0.0, "LWB LCB CB RCB RWB")
_CURVED = (_BACK_FOUR, _BACK_FIVE)
# each line: how far it is ahead of the centre-backs in metres, and its positions from left to right
_LINES: dict[str, tuple[tuple[float, str], ...]] = {
    "4-4-2": (_BACK_FOUR, (14.0, "LM LCM RCM RM"), (28.0, "LS RS")),
    "4-3-3": (_BACK_FOUR, (13.0, "LCM CM RCM"), (28.0, "LW ST RW")),
    "4-2-3-1": (_BACK_FOUR, (10.0, "LDM RDM"), (20.0, "LAM CAM RAM"), (30.0, "ST")),
    "4-1-4-1": (_BACK_FOUR, (9.0, "DM"), (18.0, "LM LCM RCM RM"), (30.0, "ST")),
    "4-4-1-1": (_BACK_FOUR, (12.0, "LM LCM RCM RM"), (22.0, "SS"), (30.0, "ST")),
    "3-5-2": (_BACK_THREE, (14.0, "LWB LCM CM RCM RWB"), (28.0, "LS RS")),
    "3-4-3": (_BACK_THREE, (13.0, "LM LCM RCM RM"), (28.0, "LW ST RW")),
    "5-3-2": (_BACK_FIVE, (13.0, "LCM CM RCM"), (27.0, "LS RS")),
    "5-4-1": (_BACK_FIVE, (13.0, "LM LCM RCM RM"), (27.0, "ST")),
}
# how far a player's mean place strays from where his position has it, in metres
_STRAY_M = 4.0
# formations are named by their lines: a miss along the pitch counts, one across half as much,
# squared, since central players swing sideways with the ball
_AXIS_WEIGHTS = np.array([1.0, 0.5])
_MIN_SCALE, _MAX_SCALE = 0.4, 2.0
_ROUNDS = 6


@dataclass(frozen=True)
class Template:
    """A formation: the names of its ten outfield positions and their places (10, 2) in metres,
    x toward the goal that is attacked, y to the left of that; their mean is the origin."""

    label: str
    positions: tuple[str, ...]
    places: Array


def _template(label: str, lines: tuple[tuple[float, str], ...]) -> Template:
    names: list[str] = []
    places: list[tuple[float, float]] = []
    for x, line in lines:
        positions = line.split()
        half = _HALF_WIDTH_M[len(positions)]
        ahead = _OUTER_AHEAD_M if (x, line) in _CURVED else 0.0
        across = np.linspace(half, -half, len(positions)).tolist()
        names.extend(positions)
        places.extend((x + (ahead if abs(y) == half else 0.0), y) for y in across)
    centred = np.array(places) - np.mean(places, axis=0)
    return Template(label, tuple(names), centred)


TEMPLATES = tuple(_template(label, lines) for label, lines in _LINES.items())


@dataclass(frozen=True)
class Fit:
    """A template laid over players: the position of each, and the mean weighted squared miss."""

    label: str
    positions: tuple[str, ...]
    miss_m2: float


def fit(places: Array, template: Template) -> Fit:
    """Assign players at `places` (n, 2), n at most 10, to positions of a template.

    The template is scaled along and across the pitch and moved so as to fit the assigned
    players best; assignment and scale take turns.
    """
    laid = template.places * _size(places) / _size(template.places)
    laid = laid + places.mean(axis=0)
    for _ in range(_ROUNDS):
        cost = (places[:, None] - laid[None]) ** 2 @ _AXIS_WEIGHTS
        _, slots = linear_sum_assignment(cost)
        laid = _laid(places, template.places, slots)
    miss = float(((places - laid[slots]) ** 2 @ _AXIS_WEIGHTS).mean())
    return Fit(template.label, tuple(template.positions[slot] for slot in slots), miss)


def _size(places: Array) -> Array:
    return np.asarray(np.maximum(places.std(axis=0), 1.0))


def _laid(places: Array, template: Array, slots: NDArray[np.int64]) -> Array:
    """All of the template, by the scale and shift per axis that bring `slots` onto the places."""
    used = template[slots] - template[slots].mean(axis=0)
    wanted = places - places.mean(axis=0)
    scale = (used * wanted).sum(axis=0) / np.maximum((used**2).sum(axis=0), 1e-9)
    scale = np.clip(scale, _MIN_SCALE, _MAX_SCALE)
    return np.asarray((template - template[slots].mean(axis=0)) * scale + places.mean(axis=0))


def best(places: Array) -> tuple[Fit, float]:
    """The template that fits players at `places` (n, 2) best, and its share of the belief.

    The belief in a template falls with its misses as if each player strayed by `_STRAY_M`,
    independently, from his position. Formations that differ little share it.
    """
    fits = [fit(places, template) for template in TEMPLATES]
    misses = np.array([one.miss_m2 for one in fits])
    belief = np.exp(-(misses - misses.min()) * len(places) / (2 * _STRAY_M**2))
    return fits[int(misses.argmin())], float(1 / belief.sum())
