"""HDR and wide-gamut pictures as the 8-bit BT.709 pictures that a detector has learnt from.

Shown as it is, HDR looks grey and flat. Here light is computed as BT.2100 says, white (203 cd/m2,
BT.2408) becomes 1, what is brighter than 0.6 is bent towards 1, and BT.709 primaries and a display
gamma of 2.4 follow. Below the bend a picture looks as its SDR version would.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

WHITE_NITS = 203.0
HLG_PEAK_NITS = 1000.0
HLG_SYSTEM_GAMMA = 1.2
KNEE = 0.6
DISPLAY_GAMMA = 2.4
LEVELS = 65536

# BT.2087: linear BT.2020 to BT.709, rows red, green, blue.
TO_BT709 = ((1.6605, -0.5876, -0.0728), (-0.1246, 1.1329, -0.0083), (-0.0182, -0.1006, 1.1187))


def _pq(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """SMPTE ST 2084: light relative to white."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    power = signal ** (1 / m2)
    light = (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1)
    return np.asarray(light * 10_000 / WHITE_NITS)


def _hlg(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """ARIB STD-B67 on a display of 1000 cd/m2, its system gamma taken in each channel."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    return np.asarray(scene**HLG_SYSTEM_GAMMA * HLG_PEAK_NITS / WHITE_NITS)


LIGHT: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "smpte2084": _pq,
    "arib-std-b67": _hlg,
}


def needs_tone(transfer: str, primaries: str) -> bool:
    """Whether a picture's colours are other than BT.709 gives them."""
    return transfer in LIGHT or primaries == "bt2020"


class ToneMap:
    """From signal values of one transfer to BT.709, by two tables and a matrix."""

    def __init__(self, transfer: str, primaries: str) -> None:
        signal = np.linspace(0, 1, LEVELS)
        light = bent(LIGHT[transfer](signal)) if transfer in LIGHT else signal**DISPLAY_GAMMA
        matrix = TO_BT709 if primaries in ("bt2020", "unknown") else np.eye(3)
        self._light = np.rint(light * (LEVELS - 1)).astype(np.uint16)
        self._to_bgr = np.asarray(matrix, np.float32)[::-1]
        self._signal = np.rint(signal ** (1 / DISPLAY_GAMMA) * 255).astype(np.uint8)

    def __call__(self, rgb: NDArray[np.uint16]) -> NDArray[np.uint8]:
        """uint8 [height, width, 3] BGR from 16-bit RGB signal values of the same shape."""
        light = cv2.transform(self._light[rgb], self._to_bgr)  # clips to 16 bits
        return np.asarray(self._signal[light], np.uint8)


def bent(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """The tone curve: light below the knee as it is, all above it between knee and 1."""
    above = np.maximum(light - KNEE, 0) / (1 - KNEE)
    return np.where(light <= KNEE, light, KNEE + (1 - KNEE) * above / (1 + above))
