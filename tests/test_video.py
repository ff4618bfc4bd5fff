"""Frames are numbered, timed and decoded exactly, whatever the container and the cuts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import InputError
from infrastructure.video import decode as decode_module
from infrastructure.video import index as index_module
from infrastructure.video.index import FrameIndex, images_index
from infrastructure.video.info import VideoInfo, image_info
from infrastructure.video.packets import PacketTable, Scan
from infrastructure.video.rate import kept_frames
from infrastructure.video.source import VideoFile, VideoSource, open_source
from tests import video_files as files

MAKERS: dict[str, Callable[[Path], Path]] = {
    "open_gop_h264.mp4": files.open_gop_h264,
    "open_gop_h264.mkv": files.open_gop_h264,
    "open_gop_h264.ts": files.open_gop_h264,
    "open_gop_h264.avi": files.open_gop_h264,
    "open_gop_hevc.mp4": files.open_gop_hevc,
    "open_gop_hevc.ts": files.open_gop_hevc,
    "intra_refresh.mp4": files.intra_refresh,
    "single_keyframe.mp4": files.single_keyframe,
    "variable_rate.mp4": files.variable_rate,
    "sixty.mp4": lambda path: files.encode(path, rate=60, preset="veryfast", g="60"),
    "mpeg4.avi": lambda path: files.encode(path, "mpeg4", bf="2", g="25"),
    "program.mpg": lambda path: files.encode(path, "mpeg2video", bf="2", g="15"),
    "vp9.webm": lambda path: files.encode(
        path, "libvpx-vp9", deadline="realtime", **{"cpu-used": "8", "g": "50"}
    ),
    "vp8.webm": lambda path: files.encode(
        path, "libvpx", deadline="good", **{"auto-alt-ref": "1", "lag-in-frames": "12", "g": "50"}
    ),
}


@pytest.fixture(scope="session")
def video(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Makes each file once, when a test first asks for it."""
    folder = tmp_path_factory.mktemp("videos")

    @cache
    def make(name: str) -> Path:
        return MAKERS[name](folder / name)

    return make


@pytest.fixture(scope="session")
def source(video: Callable[[str], Path]) -> Callable[[str], VideoSource]:
    """The same files, opened once."""
    return cache(lambda name: open_source(video(name)))


def straight(path: Path) -> list[str | None]:
    """Hashes of one decode from start to end, by presentation time.

    AVI has no presentation times, there the decoder's own order is the truth.
    """
    with av.open(str(path)) as container:
        frames = [
            (frame.pts or 0, files.digest(frame.to_ndarray(format="bgr24")))
            for frame in container.decode(container.streams.video[0])
        ]
    if path.suffix != ".avi":
        frames.sort(key=lambda frame: frame[0])
    return [hashed for _, hashed in frames]


# Segments equal one straight decode


@pytest.mark.parametrize("name", MAKERS)
def test_joined_segments_equal_one_straight_decode(
    name: str, video: Callable[[str], Path], source: Callable[[str], VideoSource]
) -> None:
    """By time in the default way, and at random frames: also in the middle of leading pictures."""
    opened, expected = source(name), straight(video(name))
    assert len(expected) == opened.index.frame_count == files.FRAMES
    rng = np.random.default_rng(list(name.encode()))
    for threads in (1, 2):
        by_time = np.searchsorted(opened.index.time_s, np.arange(1.7, opened.index.end_s, 1.7))
        at_random = sorted(rng.choice(np.arange(1, files.FRAMES), 5, replace=False).tolist())
        for cuts in (by_time.tolist(), at_random):
            frames = files.joined(opened, cuts, threads)
            assert [frame.number for frame in frames] == list(range(files.FRAMES))
            assert files.hashes(frames) == expected


@pytest.mark.parametrize("name", MAKERS)
def test_a_frame_shows_its_number(name: str, source: Callable[[str], VideoSource]) -> None:
    """The number drawn into the picture is the frame's: nothing shifted, doubled or lost."""
    for number in (0, 1, 24, 25, 26, 99, 100, 101, 198, 199):
        (frame,) = source(name).decode(number, number + 1)
        assert frame.image is not None
        assert files.read_number(frame.image) == number


@settings(max_examples=15, deadline=None)
@given(first=st.integers(0, files.FRAMES), length=st.integers(0, 40))
def test_any_stretch_of_open_gop_h264(
    source: Callable[[str], VideoSource], first: int, length: int
) -> None:
    last = min(first + length, files.FRAMES)
    frames = list(source("open_gop_h264.mp4").decode(first, last))
    assert [files.read_number(f.image) for f in frames if f.image is not None] == list(
        range(first, last)
    )


def test_edit_list_hides_what_it_cuts(video: Callable[[str], Path], tmp_path: Path) -> None:
    """A cut at 2.2 s without re-encoding: frame 0 is the 55th of the original (2.2 s x 25)."""
    path = files.edit_list(tmp_path / "edited.mp4", video("single_keyframe.mp4"), 2.2)
    opened = open_source(path)
    expected = straight(path)
    assert opened.index.frame_count == len(expected) == files.FRAMES - 55
    frames = files.joined(opened, [10, 70, 71])
    assert files.hashes(frames) == expected
    assert [files.read_number(f.image) for f in frames if f.image is not None] == list(
        range(55, files.FRAMES)
    )
    assert frames[0].time_s == 0.0
    assert frames[50].time_s == pytest.approx(2.0)


def test_no_usable_keyframe(
    video: Callable[[str], Path], source: Callable[[str], VideoSource]
) -> None:
    """Without keyframe flags a stretch starts anywhere, with pre-roll, and is still exact."""
    opened = source("open_gop_h264.mp4")
    (part,) = opened.parts
    packets = part.index.packets
    unflagged = PacketTable(
        packets.pts, packets.dts, packets.pos, packets.crc,
        np.zeros_like(packets.key), packets.discard, packets.frame,
    )  # fmt: skip
    index = FrameIndex(
        part.index.time_base, part.index.pts, part.index.time_s, part.index.key,
        part.index.packet, part.index.end_s, part.index.reorder_depth, unflagged,
    )  # fmt: skip
    path = video("open_gop_h264.mp4")
    pictures = [
        None if found is None else files.digest(found.frame.to_ndarray(format="bgr24"))
        for _, found in decode_module.Reader(path, part.info, index).frames(130, 150)
    ]
    assert pictures == straight(path)[130:150]


def test_a_seek_that_lands_too_late_is_noticed(
    source: Callable[[str], VideoSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The landing is looked up in the index, so a wrong one costs time but no frame."""
    opened = source("open_gop_h264.mp4")
    (part,) = opened.parts
    too_late = [(int(part.index.pts[-1]), False)]
    monkeypatch.setattr(decode_module.Reader, "_targets", lambda *_: iter(too_late))
    (frame,) = opened.decode(60, 61)
    assert frame.image is not None
    assert files.read_number(frame.image) == 60


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "frames"),
    [
        ("dfl_main_camera_848x478.mp4", 169),
        ("laliga_main_camera_1280x720.mp4", 630),  # 772 packets, 142 before the edit list's start
        ("tactical_behind_goal_1280x720.mp4", 840),
    ],
)
def test_real_clips(name: str, frames: int, real_data: Path) -> None:
    path = real_data / "clips" / name
    opened = open_source(path)
    assert opened.index.frame_count == frames
    cuts = np.searchsorted(opened.index.time_s, np.arange(4.3, opened.index.end_s, 4.3)).tolist()
    assert files.hashes(files.joined(opened, cuts)) == straight(path)


# Times


def test_times_of_a_variable_rate(source: Callable[[str], VideoSource]) -> None:
    index = source("variable_rate.mp4").index
    np.testing.assert_allclose(index.time_s, files.variable_times(), atol=1e-5)
    assert index.end_s > index.time_s[-1]


@pytest.mark.parametrize("name", ["open_gop_h264.ts", "open_gop_h264.mkv", "sixty.mp4"])
def test_time_zero_is_the_first_presented_frame(
    name: str, source: Callable[[str], VideoSource]
) -> None:
    """A transport stream's clock starts at 1.4 s or so; ours never does."""
    rate = 60 if name == "sixty.mp4" else 25
    times = source(name).index.time_s
    np.testing.assert_allclose(times, np.arange(files.FRAMES) / rate, atol=1e-3)
    assert source(name).index.end_s == pytest.approx(files.FRAMES / rate, abs=2e-3)


def test_equal_time_stamps_are_spread() -> None:
    """Stamps 0 0 4 8 8 in tenths: the doubles lie half way to the next time."""
    times = index_module._times_s(np.array([0, 0, 4, 8, 8]), Fraction(1, 10))
    assert times.tolist() == pytest.approx([0.0, 0.2, 0.4, 0.8, 1.0])


def test_missing_time_stamps_are_filled() -> None:
    """Decoding times 10 _ _ 16 at 2 ticks a frame: the holes become 12 and 14."""
    numbers = np.array([10, -(2**63), -(2**63), 16])
    flags = np.zeros(4, np.bool_)
    table = PacketTable(
        numbers, numbers, numbers, np.zeros(4, np.uint32), flags, flags, np.zeros(4, np.int32)
    )
    info = probe_like(Fraction(25), Fraction(1, 50))
    assert index_module._times_without_pts(table, info).tolist() == [10, 12, 14, 16]


def probe_like(rate: Fraction, base: Fraction) -> VideoInfo:
    return replace(image_info(16, 16, rate, 4), time_base=base)


def test_one_packet_a_field_is_one_frame_a_pair(
    video: Callable[[str], Path], source: Callable[[str], VideoSource]
) -> None:
    """Where the probe says that packets are fields, the decoder and not the packets is counted."""
    (part,) = source("open_gop_h264.mp4").parts
    info = replace(part.info, field_packets=True)
    index = index_module.index_frames(video("open_gop_h264.mp4"), info)
    assert index.frame_count == files.FRAMES
    assert index.packet.tolist() == part.index.packet.tolist()
    assert "field" in index.notes[0]


def test_a_long_stretch_without_keyframes_is_noted() -> None:
    """One keyframe, then 999 packets at 25 a second: 1000 / 25 = 40 s are read from its start."""
    numbers, flags = np.arange(1000), np.zeros(1000, np.bool_)
    key = flags.copy()
    key[0] = True
    table = PacketTable(
        numbers, numbers, numbers, numbers.astype(np.uint32), key, flags, numbers.astype(np.int32)
    )
    info = probe_like(Fraction(25), Fraction(1, 25))
    notes = index_module._notes(info, Scan(table, last_duration=1, cut_short=False))
    assert notes == ("40 s without a keyframe: segments there are read from before it",)


# Cutting


def test_target_fps_keeps_the_nearest_frames(source: Callable[[str], VideoSource]) -> None:
    """25 to 10 a second: ticks at 0, 2.5, 5, 7.5 frames; of two equally near the earlier one."""
    frames = list(source("open_gop_h264.mp4").decode(0, 25, target_fps=10))
    assert [frame.number for frame in frames] == [0, 2, 5, 7, 10, 12, 15, 17, 20, 22]
    assert [files.read_number(f.image) for f in frames if f.image is not None] == [
        frame.number for frame in frames
    ]


def test_target_fps_does_not_depend_on_cuts(source: Callable[[str], VideoSource]) -> None:
    opened = source("variable_rate.mp4")
    whole = [frame.number for frame in opened.decode(0, files.FRAMES, target_fps=7)]
    pieces = [
        frame.number
        for first in range(0, files.FRAMES, 20)
        for frame in opened.decode(first, first + 20, target_fps=7)
    ]
    assert pieces == whole


@pytest.mark.parametrize("fps", [25.0, 50.0, None])
def test_target_fps_at_or_above_the_own_rate_keeps_all(fps: float | None) -> None:
    assert kept_frames(images_index(100, Fraction(25)), fps).all()


# Size and orientation


def test_size_keeps_the_aspect_and_never_enlarges(source: Callable[[str], VideoSource]) -> None:
    """192x108 into a 100x100 box: scale 100/192, so 100x56."""
    shapes = [
        next(source("sixty.mp4").decode(7, 8, size=box)).image for box in ((100, 100), (999, 999))
    ]
    assert [None if s is None else s.shape for s in shapes] == [(56, 100, 3), (108, 192, 3)]


@pytest.mark.slow
def test_four_k(tmp_path: Path) -> None:
    opened = open_source(files.four_k(tmp_path / "four_k.mp4"))
    (frame,) = opened.decode(4, 5)
    assert frame.image is not None
    assert frame.image.shape == (2160, 3840, 3)
    assert files.read_number(frame.image) == 4


# Several files, other processes


def test_two_files_are_one_source(video: Callable[[str], Path]) -> None:
    """The second half goes on in number and time: 200 frames at 25 a second are 8 s."""
    paths = [video("open_gop_h264.mp4"), video("open_gop_h264.ts")]
    opened = open_source(paths)
    assert opened.index.frame_count == 2 * files.FRAMES
    assert opened.index.first_frames == (0, files.FRAMES)
    assert opened.index.time_s[files.FRAMES] == pytest.approx(8.0, abs=1e-3)
    frames = files.joined(opened, [150, 230])
    assert [frame.number for frame in frames] == list(range(2 * files.FRAMES))
    assert files.hashes(frames) == straight(paths[0]) + straight(paths[1])
    assert open_source(paths[0]).content_hash == hashlib.sha256(paths[0].read_bytes()).hexdigest()
    assert opened.content_hash != open_source(paths[::-1]).content_hash


def test_files_of_different_size_are_refused(video: Callable[[str], Path], tmp_path: Path) -> None:
    small = files.encode(tmp_path / "small.mp4", size=(96, 54), frames=5)
    with pytest.raises(InputError, match=r"small.mp4: has frames of 96x54"):
        open_source([video("sixty.mp4"), small])


def test_a_source_travels_as_bytes(source: Callable[[str], VideoSource]) -> None:
    opened = source("open_gop_hevc.mp4")
    copy = VideoSource.from_bytes(opened.to_bytes())
    assert copy.info == opened.info
    assert copy.content_hash == opened.content_hash
    assert copy.index.time_s.tolist() == opened.index.time_s.tolist()
    assert files.hashes(copy.decode(5, 9)) == files.hashes(opened.decode(5, 9))


def test_the_index_is_small(source: Callable[[str], VideoSource]) -> None:
    """A few tens of bytes a frame: 29 of times and order, 33 of packets, and the archive's own."""
    data = source("open_gop_h264.mp4").parts[0].index.to_bytes()
    assert len(data) < files.FRAMES * 62 + 4000


def test_parts_say_what_they_are(source: Callable[[str], VideoSource]) -> None:
    (part,) = source("open_gop_hevc.ts").parts
    assert isinstance(part, VideoFile)
    assert (part.info.codec, part.info.container) == ("hevc", "mpegts")
    assert part.info.frame_rate == 25
