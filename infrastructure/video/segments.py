"""Cutting the time line: segments that own frames, and which frames a lower rate keeps."""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(frozen=True)
class Segment:
    """A half-open stretch of time [start_s, end_s) that owns frames [first_frame, end_frame)."""

    number: int
    first_frame: int
    end_frame: int
    start_s: float
    end_s: float

    @property
    def frame_count(self) -> int:
        """How many frames the segment owns: at least one."""
        return self.end_frame - self.first_frame


def split(index: Timed, seconds: float = 20.0) -> list[Segment]:
    """Cuts the whole time line every `seconds`.

    Every frame is owned once. A stretch without frames is joined to the segment before it, so
    segments follow each other without a gap and none is empty.
    """
    if not seconds > 0:
        raise ValueError(f"segment length: expected seconds above 0, got {seconds}")
    starts = np.arange(int(np.ceil(index.end_s / seconds)) or 1) * seconds
    first = np.searchsorted(index.time_s, starts, side="left")
    last = np.append(first[1:], len(index.time_s))
    kept = np.flatnonzero(last > first)
    ends = np.append(starts[kept[1:]], index.end_s)
    return [
        Segment(number, int(first[cut]), int(last[cut]), float(starts[cut]), float(end_s))
        for number, (cut, end_s) in enumerate(zip(kept, ends, strict=True))
    ]


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
