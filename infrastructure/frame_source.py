"""The input as the application sees it: the adapter of the port `FrameSource` over video files."""

import hashlib
import json
import wave
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from application.stage import Frame, MatchFacts
from domain.configuration import ProcessingConfiguration
from domain.errors import InputError
from domain.grid import Segment
from domain.periods import InputFile, scheduled
from infrastructure.video.audio import extract_audio
from infrastructure.video.info import fit
from infrastructure.video.rate import kept_frames
from infrastructure.video.source import VideoFile, VideoSource, open_source

LONGEST_S, SHORTEST_S, PIECES = 20.0, 2.0, 8
READER_VERSION = 2
"""Bumped when the same file gives other pixels, numbers or times than before."""

BELIEVED = 0.1
"""A header's frame rate that is farther from the measured one, as a share of it, is not used."""

_JOINED_RATE_HZ, _JOINED_CHANNELS, _SAMPLE_BYTES = 48000, 2, 2


class VideoFrameSource:
    """Frames of `source`, decoded as the configuration says.

    One decoder thread: with several, pictures of a damaged file differ from run to run.
    """

    def __init__(self, configuration: ProcessingConfiguration, source: VideoSource) -> None:
        self._configuration = configuration
        self._options = configuration.stage_configs.video_decoding
        self._source = source

    @classmethod
    def open(cls, configuration: ProcessingConfiguration) -> "VideoFrameSource":
        """Probe and index the configured input.

        Raises:
            InputError: something of it cannot be used; the message names it.
        """
        return cls(configuration, open_source(configuration.video_path))

    @classmethod
    def reopen(cls, configuration: ProcessingConfiguration, data: bytes) -> "VideoFrameSource":
        """The same source in another process, from what `to_bytes` gave."""
        return cls(configuration, VideoSource.from_bytes(data))

    def to_bytes(self) -> bytes:
        """Everything but the pictures, for a process that sees the same paths."""
        return self._source.to_bytes()

    @property
    def notes(self) -> Sequence[str]:
        """What the user should know about the files."""
        return self._source.notes

    @cached_property
    def facts(self) -> MatchFacts:
        info, index = self._source.info, self._source.index
        width, height = fit(info.width, info.height, self._options.target_resolution)
        rate = frame_rate(index.time_s, index.end_s, info.frame_rate)
        if self._options.target_fps:
            rate = min(rate, self._options.target_fps)
        configured = self._configuration
        periods, told_by = scheduled(configured.match.periods, self._files())
        return MatchFacts(
            width,
            height,
            rate,
            configured.pitch_played_on(),
            periods,
            told_by,
            configured.kits(),
            configured.match,
        )

    def _files(self) -> list[InputFile]:
        """The input's files on its time line, under the names that the configuration has."""
        index = self._source.index
        ends = (*index.starts_s[1:], index.end_s)
        paths = self._configuration.video_path
        return [InputFile(*each) for each in zip(paths, index.starts_s, ends, strict=True)]

    @cached_property
    def pixels_id(self) -> str:
        how = self._options.model_dump(mode="json", include={"target_fps", "target_resolution"})
        content = json.dumps([READER_VERSION, self._source.content_hash, how], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()

    def segments(self, seconds: float | None) -> tuple[Segment, ...]:
        """About `seconds` each, cut at a keyframe where one is near: none is decoded twice then.

        Without a length, a match has 20 s segments and a clip shorter ones, so that every core
        has work.
        """
        index = self._source.index
        wanted = seconds or float(np.clip(index.end_s / PIECES, SHORTEST_S, LONGEST_S))
        ticks = np.arange(wanted, index.end_s - wanted / 2, wanted)
        bounds = np.searchsorted(index.time_s, ticks)
        bounds = np.unique(self._at_keyframes(bounds, ticks, wanted / 2))
        firsts = [0, *(int(bound) for bound in bounds if 0 < bound < index.frame_count)]
        ends = [*firsts[1:], index.frame_count]
        times = np.append(index.time_s, index.end_s)
        return tuple(
            Segment(number, first, end, float(times[first]), float(times[end]))
            for number, (first, end) in enumerate(zip(firsts, ends, strict=True))
        )

    def frames(self, segment: Segment, warmup: int = 0) -> Iterator[Frame]:
        first = self._warmup_start(segment.first, warmup)
        decoded = self._source.decode(
            first,
            segment.end,
            target_fps=self._options.target_fps,
            size=self._options.target_resolution,
            resume=self._warmup_start(segment.end, warmup),
        )
        for frame in decoded:
            owned = frame.number >= segment.first
            yield Frame(frame.number, frame.time_s, frame.image, owned, segment.number)

    def extract_audio(self, path: Path) -> None:
        files = [part for part in self._source.parts if isinstance(part, VideoFile)]
        if len(files) != len(self._source.parts):
            raise InputError("a folder of images has no sound; switch extract_audio off for it")
        for file in files:
            file.check_unchanged()
        if len(files) == 1:
            extract_audio(files[0].path, files[0].info, files[0].index, path)
        else:
            _join_sound(files, path)

    def _at_keyframes(
        self, bounds: NDArray[np.int64], ticks: NDArray[np.float64], reach_s: float
    ) -> NDArray[np.int64]:
        """Each bound moved to the keyframe nearest to its tick, at most `reach_s` away."""
        keys = np.flatnonzero(np.concatenate([part.index.key for part in self._source.parts]))
        times = self._source.index.time_s
        if len(keys) < 2 or not len(bounds):
            return bounds
        after = np.clip(np.searchsorted(times[keys], ticks), 1, len(keys) - 1)
        pair = keys[np.stack([np.maximum(after - 1, 0), np.minimum(after, len(keys) - 1)])]
        distance = np.abs(times[pair] - ticks)
        nearest = np.take_along_axis(pair, distance.argmin(axis=0)[None], axis=0)[0]
        return np.asarray(np.where(distance.min(axis=0) < reach_s, nearest, bounds))

    def _warmup_start(self, first: int, warmup: int) -> int:
        """The number of the frame `warmup` kept frames before `first`."""
        if warmup == 0 or first == 0:
            return first
        kept = np.flatnonzero(kept_frames(self._source.index, self._options.target_fps)[:first])
        return int(kept[-min(warmup, len(kept))]) if len(kept) else first


def frame_rate(time_s: NDArray[np.float64], end_s: float, claimed: Fraction | None) -> float:
    """Frames a second: what the header claims where the frames' own times agree with it."""
    gaps = np.diff(time_s) if len(time_s) > 1 else np.array([end_s])
    measured = 1 / float(np.median(gaps))
    if claimed and abs(float(claimed) - measured) <= BELIEVED * measured:
        return float(claimed)
    return measured


def _join_sound(files: Sequence[VideoFile], path: Path) -> None:
    """The sound of several files in one WAV, each cut or filled to its own video's length."""
    frame_bytes = _JOINED_CHANNELS * _SAMPLE_BYTES
    with wave.open(str(path), "wb") as joined:
        joined.setnchannels(_JOINED_CHANNELS)
        joined.setsampwidth(_SAMPLE_BYTES)
        joined.setframerate(_JOINED_RATE_HZ)
        for file in files:
            piece = path.with_suffix(".part.wav")
            extract_audio(
                file.path,
                file.info,
                file.index,
                piece,
                sample_rate_hz=_JOINED_RATE_HZ,
                channels=_JOINED_CHANNELS,
            )
            length = round(file.index.end_s * _JOINED_RATE_HZ) * frame_bytes
            with wave.open(str(piece), "rb") as sound:
                data = sound.readframes(sound.getnframes())[:length]
            joined.writeframes(data.ljust(length, b"\0"))
            piece.unlink()
