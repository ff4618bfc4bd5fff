"""What the 64 appearance columns of a person hold, and colours as shares of a few fixed ones.

A shirt of two colours has no one colour: its median jumps from stripe to stripe. The shares of its
pixels near each of a palette's colours are steady, and those of two shirts can be compared.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TORSO_LAB, SHORTS_LAB, GRASS_LAB = slice(0, 3), slice(3, 6), slice(6, 9)
TORSO_CLOTH, SHORTS_CLOTH, SOCKS_CLOTH = 9, 10, 11
TORSO_SHARES, SHORTS_SHARES, SOCKS_SHARES = slice(12, 39), slice(39, 51), slice(51, 63)
SHARES = slice(12, 63)


@dataclass(frozen=True)
class Palette:
    """Every combination of a few values of L, a and b in CIELab, evenly spaced along each axis."""

    lightness: tuple[float, ...]
    a: tuple[float, ...]
    b: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.lightness) * len(self.a) * len(self.b)

    @property
    def colours(self) -> NDArray[np.float64]:
        """The colours (k, 3), b changing fastest."""
        return np.array(list(itertools.product(self.lightness, self.a, self.b)))

    def shares(
        self, lab: NDArray[np.floating], weights: NDArray[np.floating]
    ) -> NDArray[np.float64]:
        """Shares (n, k) of the colours (n, points, 3) weighted by (n, points), each row of sum 1.

        A colour is shared among the eight of the palette around it (trilinear interpolation), so
        that a small change of light moves little; beyond the palette it counts as its edge. A row
        without weight is all 0.
        """
        size = step = len(self)
        corners = [(np.arange(len(lab))[:, None] * size, weights)]
        for axis, values in enumerate((self.lightness, self.a, self.b)):
            below, far = _between(lab[..., axis], values)
            near = 1 - far
            step //= len(values)
            place = below * step
            corners = [
                (base + place + offset, share * part)
                for base, share in corners
                for offset, part in ((0, near), (step, far))
            ]
        total = np.zeros(len(lab) * size)
        for places, shares in corners:
            total += np.bincount(places.ravel(), shares.ravel(), len(total))
        result = total.reshape(-1, size)
        return np.asarray(result / np.maximum(result.sum(axis=1, keepdims=True), 1e-9))


def _between(
    values: NDArray[np.floating], nodes: tuple[float, ...]
) -> tuple[NDArray[np.intp], NDArray[np.floating]]:
    """The node below each value, and how far (0 to 1) of the way to the next one it is."""
    step = (nodes[-1] - nodes[0]) / (len(nodes) - 1)
    place = np.clip((values - np.float32(nodes[0])) / np.float32(step), 0, len(nodes) - 1)
    below = np.minimum(place.astype(np.intp), len(nodes) - 2)
    return below, place - below.astype(place.dtype)


TORSO_PALETTE = Palette((15, 50, 85), (-30, 0, 30), (-30, 0, 30))
LEGS_PALETTE = Palette((15, 50, 85), (-30, 40), (-30, 40))
