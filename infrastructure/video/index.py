"""The frame index: which frames a file presents, and when, before anything is decoded.

A frame's number is the rank of its presentation time after edit lists.
"""

from __future__ import annotations

import io
import json
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from domain.errors import InputError
from infrastructure.video.clock import one_clock
from infrastructure.video.containers import open_video
from infrastructure.video.packets import NOT_SET, PacketTable, Scan, scan, video_packets

if TYPE_CHECKING:
    from pathlib import Path

    from infrastructure.video.info import VideoInfo

MAX_REORDER = 16
"""No codec shows a picture later than this many pictures after reading it."""

LONG_STRETCH_S = 30.0
"""Time without a keyframe that is worth a note: segments in it cost more than their length."""


@dataclass(frozen=True, eq=False)
class FrameIndex:
    """The frames of one file in presentation order, and the packets that they come from.

    `pts`: int64 [frames], in `time_base`, as the container has it up to the first jump of its
    clock. `time_s`: float64 [frames],
    strictly increasing, 0 at the first presented frame (the container's offset is in
    `VideoInfo.start_time_s` and `pts`). `key`: bool [frames]. `packet`: int32 [frames], row in
    `packets`. `end_s`: where the last frame ends. About 55 bytes a frame in all.
    """

    time_base: Fraction
    pts: NDArray[np.int64]
    time_s: NDArray[np.float64]
    key: NDArray[np.bool_]
    packet: NDArray[np.int32]
    end_s: float
    reorder_depth: int
    packets: PacketTable
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not len(self.pts) == len(self.time_s) == len(self.key) == len(self.packet):
            raise ValueError("frame index: expected columns of one length")
        if len(self.time_s) > 1 and not (np.diff(self.time_s) > 0).all():
            raise ValueError("frame index: expected strictly increasing times")

    @property
    def frame_count(self) -> int:
        """How many frames the file presents."""
        return len(self.pts)

    @property
    def first_pts_s(self) -> float:
        """Time of frame 0 on the container's clock, in seconds."""
        return float(self.pts[0] * self.time_base)

    def to_bytes(self) -> bytes:
        """An .npz archive without pickle, for another process."""
        arrays = {name: getattr(self, name) for name in ("pts", "time_s", "key", "packet")}
        for field in fields(PacketTable):
            arrays[f"packets_{field.name}"] = getattr(self.packets, field.name)
        facts = {
            "time_base": str(self.time_base),
            "end_s": self.end_s,
            "reorder_depth": self.reorder_depth,
            "notes": self.notes,
        }
        out = io.BytesIO()
        np.savez(out, facts=np.frombuffer(json.dumps(facts).encode(), np.uint8), **arrays)
        return out.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> FrameIndex:
        """The inverse of `to_bytes`."""
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            facts = json.loads(archive["facts"].tobytes())
            columns = {
                field.name: archive[f"packets_{field.name}"] for field in fields(PacketTable)
            }
            return cls(
                time_base=Fraction(facts["time_base"]),
                pts=archive["pts"],
                time_s=archive["time_s"],
                key=archive["key"],
                packet=archive["packet"],
                end_s=facts["end_s"],
                reorder_depth=facts["reorder_depth"],
                packets=PacketTable(**columns),
                notes=tuple(facts["notes"]),
            )


def index_frames(path: Path, info: VideoInfo) -> FrameIndex:
    """Numbers every frame of `path` in one pass over its packets.

    Only where packets do not tell the order (AVI with B-frames, no time stamps, one packet a
    field) a second pass decodes the file once. Raises InputError when no frame is presented.
    """
    found = scan(path, info.stream)
    packets = found.packets
    clock = one_clock(packets, info.time_base)
    if _order_is_told(info, packets):
        rows = _rows_by_pts(clock.pts, packets.discard)
        pts = clock.pts[rows]
    else:
        rows = _rows_by_decoding(path, info)
        pts = np.sort(_times_without_pts(packets, info)[rows])
    if not len(rows):
        raise InputError(
            f"{path}: holds no readable frame after its header; it was cut off or is still being "
            "written, copy or download it again"
        )
    frame = np.full(len(packets), -1, np.int32)
    frame[rows] = np.arange(len(rows), dtype=np.int32)
    return FrameIndex(
        time_base=info.time_base,
        pts=pts,
        time_s=_times_s(pts, info.time_base),
        key=packets.key[rows],
        packet=rows.astype(np.int32),
        end_s=_end_s(pts, found.last_duration, info),
        reorder_depth=max(_reorder_depth(clock.pts), info.reorder_depth),
        packets=replace(packets, frame=frame),
        notes=(*clock.notes, *_notes(info, found)),
    )


def images_index(count: int, rate: Fraction) -> FrameIndex:
    """The index of `count` images shown at a constant `rate` (images a second)."""
    pts = np.arange(count, dtype=np.int64)
    return FrameIndex(
        time_base=1 / rate,
        pts=pts,
        time_s=pts.astype(np.float64) * (rate.denominator / rate.numerator),
        key=np.ones(count, np.bool_),
        packet=np.full(count, -1, np.int32),
        end_s=float(count / rate),
        reorder_depth=0,
        packets=PacketTable.empty(),
    )


def _order_is_told(info: VideoInfo, packets: PacketTable) -> bool:
    """AVI stores no presentation times, and one packet a field would count frames twice."""
    if info.field_packets or (info.container == "avi" and info.reorder_depth > 0):
        return False
    return bool((packets.pts[~packets.discard] != NOT_SET).all())


def _rows_by_pts(pts: NDArray[np.int64], discard: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Rows of the presented packets by time; of equal times the one read first comes first."""
    shown = np.flatnonzero(~discard)
    return shown[np.argsort(pts[shown], kind="stable")]


def _rows_by_decoding(path: Path, info: VideoInfo) -> NDArray[np.int64]:
    """Rows in the order in which a straight decode shows them: slow, but never wrong."""
    from av.error import FFmpegError

    rows: list[int] = []
    with open_video(path, info.stream) as (container, stream):
        context = stream.codec_context
        context.thread_count = 0
        for row, packet in enumerate(video_packets(container, stream)):
            # The decoder hands the time stamp through; the row travels in its place.
            packet.pts, packet.dts = row, None
            try:
                frames = context.decode(packet)
            except FFmpegError:
                continue
            rows.extend(frame.pts for frame in frames if frame.pts is not None)
        with suppress(FFmpegError):
            rows.extend(frame.pts for frame in context.decode(None) if frame.pts is not None)
    return np.array(rows, np.int64)


def _times_without_pts(packets: PacketTable, info: VideoInfo) -> NDArray[np.int64]:
    """Decoding times stand in for presentation times; gaps are filled at the nominal rate."""
    times = packets.dts.copy()
    missing = times == NOT_SET
    rate = info.frame_rate or Fraction(25)
    step = max(1, round(1 / (rate * info.time_base)))
    if missing.all():
        return np.arange(len(times), dtype=np.int64) * step
    known = np.flatnonzero(~missing)
    before = np.maximum(np.searchsorted(known, np.arange(len(times)), side="right") - 1, 0)
    filled = times[known[before]] + (np.arange(len(times)) - known[before]) * step
    return np.where(missing, filled, times)


def _times_s(pts: NDArray[np.int64], time_base: Fraction) -> NDArray[np.float64]:
    """Seconds from the first frame; equal stamps are spread evenly up to the next one.

    Two frames of one time would make every speed downstream a division by zero.
    """
    ticks = (pts - pts[0]).astype(np.float64)
    values, first, counts = np.unique(ticks, return_index=True, return_counts=True)
    if len(values) < len(ticks):
        gaps = np.diff(values, append=values[-1] + _typical_gap(values))
        place = np.arange(len(ticks)) - np.repeat(first, counts)
        ticks = np.repeat(values, counts) + np.repeat(gaps / counts, counts) * place
    seconds: NDArray[np.float64] = ticks * (time_base.numerator / time_base.denominator)
    return seconds


def _typical_gap(values: NDArray[np.float64] | NDArray[np.int64]) -> float:
    gaps = np.diff(values)
    gaps = gaps[gaps > 0]
    return float(np.median(gaps)) if len(gaps) else 1.0


def _end_s(pts: NDArray[np.int64], last_duration: int, info: VideoInfo) -> float:
    """Where the last frame ends: by its own duration where that is credible."""
    base = float(info.time_base)
    nominal = 1.0 / float(info.frame_rate or 25) / base
    gap = _typical_gap(pts) if len(pts) > 1 else nominal
    if not 0 < last_duration <= 10 * gap:
        last_duration = round(gap)
    return float(pts[-1] - pts[0] + max(1, last_duration)) * base


def _reorder_depth(pts: NDArray[np.int64]) -> int:
    """Pictures that the decoder must hold back so that they come out in order.

    FFmpeg guesses this for H.264 as it reads; started in the middle it guesses too low and
    drops frames.
    """
    known = pts[pts != NOT_SET]
    earlier = np.zeros(len(known), np.int32)
    for back in range(1, min(MAX_REORDER, len(known) - 1) + 1):
        earlier[back:] += known[:-back] > known[back:]
    return int(min(MAX_REORDER, earlier.max(initial=0)))


def _longest_stretch_s(packets: PacketTable, info: VideoInfo) -> float:
    """Longest time without a keyframe, from the packets' share of the nominal rate."""
    keys = np.flatnonzero(packets.key)
    longest = int(np.diff(keys, prepend=0, append=len(packets)).max())
    return longest / float(info.frame_rate or 25)


def _notes(info: VideoInfo, found: Scan) -> tuple[str, ...]:
    """What the user should know about the file, one line each."""
    notes = []
    if info.left_out:
        notes.append(
            f"has other video streams: stream {info.stream} ({info.coded_width}x"
            f"{info.coded_height}) is analysed and not {', '.join(info.left_out)}; to choose, copy "
            "one into a file of its own (ffmpeg -map 0:NUMBER -c copy)"
        )
    count = len(found.packets)
    claimed = None if info.container == "avi" else info.header_packets
    if found.cut_short or (claimed is not None and count < claimed - 1):
        notes.append(f"the file ends early: {count} of {claimed or 'more'} pictures can be read")
    stretch = _longest_stretch_s(found.packets, info)
    if stretch > LONG_STRETCH_S:
        notes.append(f"{stretch:.0f} s without a keyframe: segments there are read from before it")
    if info.field_packets:
        notes.append("one packet a field: the frames were numbered by decoding the file once")
    return tuple(notes)
