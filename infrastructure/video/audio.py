"""The sound of a match as a WAV file on the video's clock."""

from __future__ import annotations

import wave
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from domain.errors import InputError
from infrastructure.video.ffmpeg_command import open_input, write

if TYPE_CHECKING:
    from infrastructure.video.index import FrameIndex
    from infrastructure.video.info import VideoInfo

TOLERANCE_S = 0.1


@dataclass(frozen=True)
class AudioRecord:
    """A written WAV file; its time 0 is the video's frame 0. All times in seconds.

    `offset_s`: when the sound begins on the video's clock; silence was put before it, or what
    lay before frame 0 was cut. `mismatch_s`: length of the sound minus length of the video.
    """

    path: Path
    sample_rate_hz: int
    channels: int
    duration_s: float
    video_duration_s: float
    offset_s: float

    @property
    def mismatch_s(self) -> float:
        """How much longer than the video the sound is; negative where it is shorter."""
        return self.duration_s - self.video_duration_s

    @property
    def matches(self) -> bool:
        """Whether sound and video end within 0.1 s of each other."""
        return abs(self.mismatch_s) <= TOLERANCE_S


def extract_audio(
    path: Path,
    info: VideoInfo,
    index: FrameIndex,
    out: Path,
    *,
    sample_rate_hz: int | None = None,
    channels: int | None = None,
) -> AudioRecord:
    """Writes the sound of `path` to `out` as 16-bit WAV, in its own rate and channels by default.

    Gaps in the sound become silence, so a moment of the WAV is the same moment of the video.
    A length that differs from the video's is told in the record. Raises InputError when the
    video has no sound, ResourceError when `out` cannot be written.
    """
    if info.audio is None:
        raise InputError(f"{path}: has no sound; switch extract_audio off for it")
    rate = sample_rate_hz or info.audio.sample_rate_hz
    start_s = index.first_pts_s
    # With copied stamps `first_pts` names frame 0 on the container's clock: the filter pads or
    # trims the start to it, and fills holes later on.
    sound = open_input(path, copyts=None)[str(info.audio.stream)].filter(
        "aresample", rate, **{"async": 1, "first_pts": round(start_s * rate)}
    )
    write(
        [sound],
        out,
        form="wav",
        acodec="pcm_s16le",
        ac=channels or info.audio.channels,
        map_metadata=-1,
        fflags="+bitexact",  # no version of ffmpeg in the file: equal sound, equal bytes
    )
    with wave.open(str(out), "rb") as written:
        return AudioRecord(
            path=out,
            sample_rate_hz=written.getframerate(),
            channels=written.getnchannels(),
            duration_s=written.getnframes() / written.getframerate(),
            video_duration_s=index.end_s,
            offset_s=info.audio.start_time_s - start_s,
        )
