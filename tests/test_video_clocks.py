"""One clock for a match: stamps that wrap, jump or pause; and decoding that goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.configuration import ProcessingConfiguration
from infrastructure.frame_source import VideoFrameSource
from infrastructure.video import decode as decode_module
from infrastructure.video.clock import one_clock
from infrastructure.video.packets import NOT_SET, PacketTable
from infrastructure.video.source import VideoSource, open_source
from tests import video_files as files

WRAP_S = 2**33 / 90_000  # a transport stream's clock has 33 bits at 90 kHz: 26.5 hours


@pytest.fixture(scope="module")
def half(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """50 frames at 25 a second with B-frames."""
    return files.small(tmp_path_factory.mktemp("half") / "half.mp4", bf="3")


@pytest.fixture(scope="module")
def other_half(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The next 50, without B-frames."""
    path = tmp_path_factory.mktemp("half") / "other.mp4"
    return files.small(path, bf="0", first_number=files.SMALL)


def stored_times(path: Path) -> list[int]:
    """As they stand in the file, before FFmpeg unwraps them."""
    with av.open(str(path), options={"correct_ts_overflow": "0"}) as container:
        return [packet.pts for packet in container.demux(video=0) if packet.pts is not None]


def exact(opened: VideoSource, count: int) -> None:
    """All numbers in order, whole and cut in pieces."""
    whole = list(opened.decode(0, opened.index.frame_count))
    assert files.numbers(whole) == list(range(count))
    cuts = [count // 2 - 1, count // 2, count // 2 + 3]
    assert files.hashes(files.joined(opened, cuts)) == files.hashes(whole)


@pytest.mark.parametrize("seconds_before", [0.5, 1.0, 1.8])
def test_a_transport_streams_clock_wraps(seconds_before: float, half: Path, tmp_path: Path) -> None:
    path = files.at_clock(tmp_path / "wrap.ts", half, WRAP_S - seconds_before)
    assert min(np.diff(stored_times(path))) < -(2**32)  # it does wrap
    opened = open_source(path)
    exact(opened, files.SMALL)
    np.testing.assert_allclose(opened.index.time_s, np.arange(files.SMALL) / 25, atol=1e-4)


@pytest.mark.parametrize(
    ("first_s", "second_s"),
    [(1.4, 1.4), (1000.0, 1.4), (1.4, 90_000.0), (50.0, 49.0)],
    ids=["restarted", "back by more than FFmpeg unwraps", "ahead by a day", "overlapping"],
)
def test_recordings_that_were_joined_follow_each_other(
    first_s: float, second_s: float, half: Path, other_half: Path, tmp_path: Path
) -> None:
    """Their clocks have nothing in common: the second begins 40 ms after the first's last frame."""
    first = files.at_clock(tmp_path / "first.ts", half, first_s)
    second = files.at_clock(tmp_path / "second.ts", other_half, second_s)
    path = files.glued(tmp_path / "joined.ts", first, second)
    opened = open_source(path)
    exact(opened, 2 * files.SMALL)
    np.testing.assert_allclose(opened.index.time_s, np.arange(2 * files.SMALL) / 25, atol=1e-4)
    assert opened.index.end_s == pytest.approx(4.0, abs=1e-3)
    assert opened.notes == (
        f"{path}: its clock was set anew once: the parts follow each other without a gap",
    )


def test_a_pause_stays_a_pause(half: Path, other_half: Path, tmp_path: Path) -> None:
    """Half-time was not recorded: frame 50 is shown at 900 s, and the run says so."""
    first = files.at_clock(tmp_path / "first.ts", half, 100.0)
    second = files.at_clock(tmp_path / "second.ts", other_half, 1000.0)
    path = files.glued(tmp_path / "joined.ts", first, second)
    opened = open_source(path)
    exact(opened, 2 * files.SMALL)
    assert opened.index.time_s[files.SMALL] == pytest.approx(900.0, abs=1e-3)
    assert opened.notes == (f"{path}: 898 s without pictures, the longest 898 s",)
    source = VideoFrameSource(configured(path), opened)
    segments = source.segments(20.0)
    assert segments[0].first == 0
    assert segments[-1].end == 2 * files.SMALL
    assert all(segment.first < segment.end for segment in segments)


def table(dts: list[int], pts: list[int]) -> PacketTable:
    flags, count = np.zeros(len(dts), np.bool_), len(dts)
    return PacketTable(
        np.array(pts), np.array(dts), np.zeros(count, np.int64), np.zeros(count, np.uint32),
        flags, flags, np.zeros(count, np.int32),
    )  # fmt: skip


def test_reordered_pictures_are_no_jump() -> None:
    """In tenths: I P B B, then the clock starts anew at 0; B-frames are shown before the P."""
    packets = table([10, 11, 12, 13, 0, 1, 2, 3], [11, 14, 12, 13, 1, 4, 2, 3])
    assert one_clock(packets, Fraction(1, 10)).pts.tolist() == [11, 14, 12, 13, 15, 18, 16, 17]


def test_packets_without_a_decoding_time_follow_their_neighbours() -> None:
    """A hole in the stamps is neither a jump nor hides one."""
    packets = table([50, NOT_SET, 52, 0, NOT_SET, 2], [50, 51, 52, 0, 1, 2])
    assert one_clock(packets, Fraction(1, 10)).pts.tolist() == [50, 51, 52, 53, 54, 55]


@given(starts=st.lists(st.integers(-(10**7), 10**7), min_size=1, max_size=6, unique=True))
def test_any_jumps_leave_the_frames_in_the_order_of_the_file(starts: list[int]) -> None:
    """Whatever the clock is set to, no frame is shown before one of an earlier stretch."""
    stamps = [start * 100 + step for start in starts for step in range(5)]
    times = one_clock(table(stamps, stamps), Fraction(1, 25)).pts
    assert (np.diff(times) > 0).all()


def test_the_frame_rate_is_the_usual_gap_where_the_header_averages_over_pauses(
    tmp_path: Path,
) -> None:
    """40 frames at 25 a second in four bursts with pauses of 5 s: 2.4 a second on the average."""
    times = np.concatenate([start + np.arange(10) / 25 for start in (0.0, 5.4, 10.8, 16.2)])
    path = files.small(tmp_path / "bursts.mp4", times_s=times, frames=40)
    opened = open_source(path)
    assert opened.info.frame_rate is not None
    assert float(opened.info.frame_rate) == pytest.approx(2.4, abs=0.1)
    facts = VideoFrameSource(configured(path), opened).facts
    assert facts.frame_rate == pytest.approx(25, abs=0.01)


def test_the_frame_rate_of_a_header_is_used_where_it_is_near(tmp_path: Path) -> None:
    """Milliseconds make 33 and 34 of 33.37: the header knows better."""
    rate = Fraction(30000, 1001)
    opened = open_source(files.small(tmp_path / "ntsc.mkv", rate=rate))
    facts = VideoFrameSource(configured(tmp_path / "ntsc.mkv"), opened).facts
    assert facts.frame_rate == pytest.approx(float(rate), abs=1e-6)


# Decoding goes on where the stretch before ended


@pytest.fixture
def opened_files(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Every opening of a file for decoding."""
    log: list[Path] = []
    really = decode_module.open_video

    @contextmanager
    def noted(path: Path, stream: int) -> Iterator[Any]:
        log.append(path)
        with really(path, stream) as both:
            yield both

    monkeypatch.setattr(decode_module, "open_video", noted)
    return log


def configured(*paths: Path, **options: Any) -> ProcessingConfiguration:
    return ProcessingConfiguration.model_validate(
        {
            "video_path": [str(path) for path in paths],
            "stage_configs": {"video_decoding": options},
        }
    )


@pytest.fixture(scope="module")
def one_keyframe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """4 s with a keyframe at the start alone."""
    return files.small(
        tmp_path_factory.mktemp("one") / "one.mp4",
        frames=100,
        **{"x264-params": "keyint=infinite:scenecut=0:bframes=2"},
    )


@pytest.mark.parametrize("target_fps", [None, 10.0])
@pytest.mark.parametrize("warmup", [0, 1, 3])
def test_a_file_with_one_keyframe_is_read_once(
    warmup: int, target_fps: float | None, one_keyframe: Path, opened_files: list[Path]
) -> None:
    """Segments in order cost one reading, with their warm-up, and give what single ones give."""
    options = {} if target_fps is None else {"target_fps": target_fps}
    configuration = configured(one_keyframe, **options)
    source = VideoFrameSource.open(configuration)
    segments = source.segments(0.7)
    assert len(segments) > 4
    going_on = [list(source.frames(segment, warmup)) for segment in segments]
    assert len(opened_files) == 1
    for segment, frames in zip(segments, going_on, strict=True):
        alone = list(VideoFrameSource.open(configuration).frames(segment, warmup))
        assert [f.number for f in alone] == [f.number for f in frames]
        assert [files.digest(f.image) for f in alone] == [files.digest(f.image) for f in frames]
        assert sum(not frame.owned for frame in frames) == (warmup if segment.first else 0)


def test_every_second_segment_is_read_once_too(
    one_keyframe: Path, opened_files: list[Path]
) -> None:
    """Two processes share a match: each goes forward over what the other does."""
    source = VideoFrameSource.open(configured(one_keyframe))
    segments = source.segments(0.5)
    numbers = [frame.number for segment in segments[::2] for frame in source.frames(segment, 1)]
    assert len(opened_files) == 1
    assert numbers[-1] == segments[::2][-1].end - 1


def test_going_back_and_stopping_early_start_anew(
    one_keyframe: Path, opened_files: list[Path]
) -> None:
    opened = open_source(one_keyframe)
    stopped = opened.decode(0, 60)
    assert files.numbers([next(stopped)]) == [0]
    stopped.close()  # type: ignore[attr-defined]
    assert files.numbers(opened.decode(40, 50)) == list(range(40, 50))
    assert files.numbers(opened.decode(10, 20)) == list(range(10, 20))
    assert files.numbers(opened.decode(20, 30)) == list(range(20, 30))
    assert len(opened_files) == 3


def test_a_keyframe_nearby_is_started_from(half: Path, opened_files: list[Path]) -> None:
    """No decoder is held open where the next stretch has a keyframe of its own."""
    opened = open_source(half)
    for first in (0, 25):
        assert files.numbers(opened.decode(first, first + 25)) == list(range(first, first + 25))
    assert len(opened_files) == 2


@given(cuts=st.lists(st.integers(0, 100), min_size=2, max_size=8), resume=st.integers(0, 5))
def test_any_stretches_in_any_order(cuts: list[int], resume: int, one_keyframe: Path) -> None:
    """Whatever was asked before, a stretch holds its own frames."""
    opened = open_source(one_keyframe) if not _SHARED else _SHARED[0]
    _SHARED[:] = [opened]
    for first, last in zip(cuts[:-1], cuts[1:], strict=True):
        if first < last:
            frames = opened.decode(first, last, resume=max(first, last - resume))
            assert files.numbers(frames) == list(range(first, last))


_SHARED: list[VideoSource] = []
"""Opened once for all examples, so that each meets what the one before left."""
