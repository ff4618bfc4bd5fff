"""Cutting a short clip, such as an event, out of a match video."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from infrastructure.video.ffmpeg_command import open_input, write

if TYPE_CHECKING:
    from infrastructure.video.index import FrameIndex
    from infrastructure.video.info import VideoInfo


def cut_clip(
    path: Path, info: VideoInfo, index: FrameIndex, start_s: float, end_s: float, out: Path
) -> None:
    """Writes [start_s, end_s) of `path` to `out` as MP4 (H.264, AAC), exact to the frame.

    Times are on the video's clock (frame 0 is 0) and are clipped to its length. Sound is kept.
    Raises ValueError for an empty stretch, ResourceError when `out` cannot be written.
    """
    start_s, end_s = max(0.0, start_s), min(end_s, index.end_s)
    if not start_s < end_s:
        raise ValueError(f"clip from {start_s} s to {end_s} s: expected a start before the end")
    # Seeking counts from the container's first stamp of any stream, which may be the sound's.
    container_start = min(info.start_time_s, info.audio.start_time_s if info.audio else 1e18)
    offset = index.first_pts_s - container_start
    source = open_input(path, ss=start_s + offset, t=end_s - start_s)
    streams = [source[str(info.stream)]]
    if info.audio is not None:
        streams.append(source[str(info.audio.stream)])
    write(
        streams,
        out,
        form="mp4",
        vcodec="libx264",
        preset="veryfast",
        crf=20,
        pix_fmt="yuv420p",
        acodec="aac",
        vf="pad=ceil(iw/2)*2:ceil(ih/2)*2",  # H.264 in 4:2:0 needs even sides
        movflags="+faststart",
    )
