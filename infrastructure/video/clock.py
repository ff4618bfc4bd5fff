"""One clock for a file whose time stamps jump: joined recordings, a restarted encoder, a wrap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from infrastructure.video.packets import NOT_SET

if TYPE_CHECKING:
    from fractions import Fraction

    from infrastructure.video.packets import PacketTable

BACK_S = 1.0
"""Decoding times that fall by more than this are a clock that was set back."""

AHEAD_S = 3600.0
"""Rises up to this are a pause or a lost signal and stay; above it the clock was set forward."""

PAUSE_S = 10.0
"""A pause that is worth a note."""


@dataclass(frozen=True)
class Clock:
    """Presentation times without jumps, int64 [packets], and what the user should know of them."""

    pts: NDArray[np.int64]
    notes: tuple[str, ...] = ()


def one_clock(packets: PacketTable, time_base: Fraction) -> Clock:
    """`packets.pts`, with each stretch after a jump moved to where the one before it ends.

    Decoding times tell where a jump is, because reordered pictures do not disturb them. FFmpeg
    itself carries a transport stream over the wrap of its 33-bit clock.
    """
    starts = _stretches(packets.dts, float(time_base))
    pts = packets.pts.copy()
    edges = [*starts.tolist(), len(pts)]
    for first, last in zip(edges[:-1], edges[1:], strict=True):
        before, own = pts[:first], pts[first:last]
        shown = own[(own != NOT_SET) & ~packets.discard[first:last]]
        known = before[before != NOT_SET]
        if len(known) and len(shown):
            own[own != NOT_SET] += known.max() + _typical_gap(shown) - shown.min()
    return Clock(pts, _notes(len(starts) - 1, pts, float(time_base)))


def _stretches(dts: NDArray[np.int64], time_base: float) -> NDArray[np.int64]:
    """Rows where the clock starts and where it was set anew; the first is 0."""
    known = np.flatnonzero(dts != NOT_SET)
    steps_s = np.diff(dts[known]) * time_base
    jumps = known[1:][(steps_s < -BACK_S) | (steps_s > AHEAD_S)]
    return np.concatenate([[0], jumps]).astype(np.int64)


def _typical_gap(pts: NDArray[np.int64]) -> int:
    gaps = np.diff(np.unique(pts))
    return int(np.median(gaps)) if len(gaps) else 1


def _notes(jumps: int, pts: NDArray[np.int64], time_base: float) -> tuple[str, ...]:
    notes = []
    if jumps:
        times = "once" if jumps == 1 else f"{jumps} times"
        notes.append(f"its clock was set anew {times}: the parts follow each other without a gap")
    gaps_s = np.diff(np.unique(pts[pts != NOT_SET])) * time_base
    if (pauses := gaps_s[gaps_s > PAUSE_S]).size:
        notes.append(f"{pauses.sum():.0f} s without pictures, the longest {pauses.max():.0f} s")
    return tuple(notes)
