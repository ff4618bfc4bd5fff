"""Which frames a lower rate keeps."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Timed(Protocol):
    """Anything with frames in time: a file's index, or several files' as one."""

    @property
    def time_s(self) -> NDArray[np.float64]:
        """float64 [frames], strictly increasing."""

    @property
    def end_s(self) -> float:
        """Where the last frame ends."""


def kept_frames(index: Timed, target_fps: float | None) -> NDArray[np.bool_]:
    """bool [frames]: the frames nearest to each tick of a `target_fps` clock that starts at 0.

    Ticks belong to the whole time line, so what is kept never depends on segments. All frames
    are kept where `target_fps` is None or not below the file's own rate.
    """
    times = index.time_s
    if target_fps is None:
        return np.ones(len(times), np.bool_)
    if not target_fps > 0:
        raise ValueError(f"target_fps: expected frames a second above 0, got {target_fps}")
    ticks = np.arange(int(np.ceil(index.end_s * target_fps - 1e-6))) / target_fps
    right = np.minimum(np.searchsorted(times, ticks), len(times) - 1)
    left = np.maximum(right - 1, 0)
    # 1e-9: of two frames equally near, the earlier one, whatever the last bit says
    nearest = np.where(ticks - times[left] <= times[right] - ticks + 1e-9, left, right)
    kept = np.zeros(len(times), np.bool_)
    kept[nearest] = True
    return kept
