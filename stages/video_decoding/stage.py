"""Which frames the input has, when they are shown, and whether they could be decoded."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from application.stage import Frame, FramePass, FrameStage, StageResult, WholeMatch
from domain import tables
from domain.configuration import VideoDecodingOptions


class VideoDecodingStage(FrameStage[VideoDecodingOptions]):
    """Leaves a row for each frame; in the END cell the sound, as WAV, where it is asked for."""

    name = "video_decoding"
    version = 1
    produces = ("video_frames",)
    reads_pixels = True

    def begin(self) -> FramePass:
        return _Pass()

    def conclude(self, match: WholeMatch, state: Any) -> StageResult:  # noqa: ARG002
        if not self.options.extract_audio:
            return StageResult()
        path = match.workspace / "audio.wav"
        match.extract_audio(path)
        return StageResult(files={"audio.wav": path})


class _Pass:
    def __init__(self) -> None:
        self._frames: list[tuple[int, float, int, bool]] = []

    def take(self, frames: Sequence[Frame]) -> None:
        self._frames += [
            (frame.number, frame.time_s, frame.segment, frame.image is not None)
            for frame in frames
            if frame.owned
        ]

    def tables(self) -> Mapping[str, pa.Table]:
        names = ("frame", "time_s", "segment", "decoded")
        columns = {name: [row[i] for row in self._frames] for i, name in enumerate(names)}
        return {"video_frames": tables.make("video_frames", columns)}
