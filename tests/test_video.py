"""Frames are numbered, timed and decoded exactly, whatever the container and the cuts."""

from __future__ import annotations

import hashlib
import os
import socket
import sys
import wave
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from domain.errors import InputError, ResourceError
from infrastructure.video import decode as decode_module
from infrastructure.video import index as index_module
from infrastructure.video.audio import extract_audio
from infrastructure.video.clip import cut_clip
from infrastructure.video.decode import Frame
from infrastructure.video.index import FrameIndex, images_index
from infrastructure.video.info import VideoInfo, image_info
from infrastructure.video.packets import PacketTable, Scan
from infrastructure.video.probe import ProbeLimits, probe
from infrastructure.video.segments import kept_frames, split
from infrastructure.video.source import FrameReader, VideoFile, VideoSource, open_source
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


def digest(image: NDArray[np.uint8] | None) -> str | None:
    return None if image is None else f"{zlib.crc32(np.ascontiguousarray(image).data):08x}"


def straight(path: Path) -> list[str | None]:
    """Hashes of one decode from start to end, by presentation time.

    AVI has no presentation times, there the decoder's own order is the truth.
    """
    with av.open(str(path)) as container:
        frames = [
            (frame.pts or 0, digest(frame.to_ndarray(format="bgr24")))
            for frame in container.decode(container.streams.video[0])
        ]
    if path.suffix != ".avi":
        frames.sort(key=lambda frame: frame[0])
    return [hashed for _, hashed in frames]


def joined(video_source: VideoSource, cuts: list[int], threads: int = 1) -> list[Frame]:
    """All frames, decoded piece by piece between the cuts."""
    edges = [0, *cuts, video_source.index.frame_count]
    return [
        frame
        for first, last in zip(edges[:-1], edges[1:], strict=True)
        for frame in video_source.decode(first, last, threads=threads)
    ]


def hashes(frames: list[Frame]) -> list[str | None]:
    return [digest(frame.image) for frame in frames]


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
        by_time = [segment.first_frame for segment in split(opened.index, 1.7)][1:]
        at_random = sorted(rng.choice(np.arange(1, files.FRAMES), 5, replace=False).tolist())
        for cuts in (by_time, at_random):
            frames = joined(opened, cuts, threads)
            assert [frame.number for frame in frames] == list(range(files.FRAMES))
            assert hashes(frames) == expected


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
    frames = joined(opened, [10, 70, 71])
    assert hashes(frames) == expected
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
    frames = list(decode_module.decode(path, part.info, index, 130, 150))
    assert hashes(frames) == straight(path)[130:150]


def test_a_seek_that_lands_too_late_is_noticed(
    source: Callable[[str], VideoSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The landing is looked up in the index, so a wrong one costs time but no frame."""
    opened = source("open_gop_h264.mp4")
    (part,) = opened.parts
    too_late = [(int(part.index.pts[-1]), False)]
    monkeypatch.setattr(decode_module._Run, "_targets", lambda *_: iter(too_late))
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
    cuts = [segment.first_frame for segment in opened.split(4.3)][1:]
    assert hashes(joined(opened, cuts)) == straight(path)


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


@given(gaps=st.lists(st.floats(0.001, 30), min_size=1, max_size=60), seconds=st.floats(0.05, 50))
def test_segments_own_every_frame_once(gaps: list[float], seconds: float) -> None:
    times = np.cumsum([0.0, *gaps])
    line = Line(times, float(times[-1] + 0.04))
    segments = split(line, seconds)
    assert segments[0].first_frame == 0
    assert segments[0].start_s == 0.0
    assert segments[-1].end_frame == len(times)
    assert segments[-1].end_s == line.end_s
    for before, after in zip(segments[:-1], segments[1:], strict=True):
        assert before.end_frame == after.first_frame
        assert before.end_s == after.start_s
    for number, segment in enumerate(segments):
        assert segment.number == number
        owned = times[segment.first_frame : segment.end_frame]
        assert len(owned) == segment.frame_count > 0
        assert segment.start_s <= owned[0]
        assert owned[-1] < segment.end_s


class Line:
    """A bare time line."""

    def __init__(self, time_s: NDArray[np.float64], end_s: float) -> None:
        self.time_s, self.end_s = time_s, end_s


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
        for segment in opened.split(1.1)
        for frame in opened.decode(segment.first_frame, segment.end_frame, target_fps=7)
    ]
    assert pieces == whole


@pytest.mark.parametrize("fps", [25.0, 50.0, None])
def test_target_fps_at_or_above_the_own_rate_keeps_all(fps: float | None) -> None:
    assert kept_frames(images_index(100, Fraction(25)), fps).all()


# Size and orientation


@pytest.mark.parametrize("rotation_deg", [90, -90, 180])
def test_rotated_video_comes_upright(rotation_deg: int, tmp_path: Path) -> None:
    """The stored picture is turned the other way, as a phone does, so upright it reads again."""
    stored = tmp_path / "stored.mp4"
    turn = {90: cv2.ROTATE_90_CLOCKWISE, -90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180}
    with av.open(str(stored), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        image = cv2.rotate(files.numbered_frame(1234), turn[rotation_deg])
        stream.height, stream.width = image.shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.set_display_rotation(rotation_deg)
        for number in range(3):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="bgr24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    opened = open_source(stored)
    assert (opened.info.width, opened.info.height) == files.SIZE
    assert opened.info.orientation.clockwise_deg == -rotation_deg % 360
    (frame0,) = opened.decode(0, 1)
    assert frame0.image is not None
    assert frame0.image.shape == (files.SIZE[1], files.SIZE[0], 3)
    assert files.read_number(frame0.image) == 1234


def test_pixels_become_square(tmp_path: Path) -> None:
    """144 pixels of 4:3 are 192 wide; the lines stay."""
    path = files.encode(tmp_path / "wide.mp4", size=(144, 108), frames=5, aspect=Fraction(4, 3))
    opened = open_source(path)
    assert (opened.info.coded_width, opened.info.width, opened.info.height) == (144, 192, 108)
    (frame,) = opened.decode(3, 4)
    assert frame.image is not None
    assert frame.image.shape == (108, 192, 3)
    assert files.read_number(frame.image) == 3


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


# Damage


@pytest.mark.parametrize("name", ["open_gop_h264.mp4", "open_gop_h264.ts", "open_gop_hevc.mp4"])
def test_damage_in_the_middle_costs_only_its_frames(
    name: str, video: Callable[[str], Path], tmp_path: Path
) -> None:
    """Every number still comes once, and beyond the damaged group of pictures all is exact.

    A transport stream loses whole packets: those frames are gone from the file, so the others
    are found by their time.
    """
    sound = straight(video(name))
    opened = open_source(files.damaged(tmp_path / name, video(name)))
    frames = joined(opened, [50, 120])
    assert [frame.number for frame in frames] == list(range(opened.index.frame_count))
    same = {round(f.time_s * 25) for f in frames if digest(f.image) == sound[round(f.time_s * 25)]}
    assert set(range(60)) | set(range(150, files.FRAMES)) <= same
    assert len(same) < files.FRAMES


def test_a_picture_that_cannot_be_decoded_is_a_frame_without_image(
    video: Callable[[str], Path], tmp_path: Path
) -> None:
    """The packets of four VP9 frames are noise: those have no picture, the next keyframe heals."""
    (part,) = open_source(video("vp9.webm")).parts
    data = bytearray(video("vp9.webm").read_bytes())
    rows = part.index.packet[110:114]
    with av.open(str(video("vp9.webm"))) as container:
        payloads = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    for row in rows:
        place = data.index(payloads[row])
        data[place : place + len(payloads[row])] = bytes([0x00]) * len(payloads[row])
    broken = tmp_path / "broken.webm"
    broken.write_bytes(data)
    frames = list(open_source(broken).decode(100, 160))
    assert [frame.number for frame in frames] == list(range(100, 160))
    assert not any(frame.decoded for frame in frames[10:14])
    assert all(frame.decoded for frame in frames[:10])
    assert all(frame.decoded for frame in frames[50:])


def test_a_file_cut_short_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    """With the header in front, the frames before the cut are there, and a note says so."""
    whole = files.encode(tmp_path / "whole.mp4", preset="veryfast", g="25")
    front = tmp_path / "front.mp4"
    files.ffmpeg(["-i", str(whole), "-c", "copy", "-movflags", "+faststart", str(front)], front)
    data = front.read_bytes()
    front.write_bytes(data[: len(data) * 2 // 3])
    opened = open_source(front)
    assert 50 < opened.index.frame_count < files.FRAMES
    assert "ends early" in opened.notes[0]
    frames = joined(opened, [40])
    assert hashes(frames)[:-2] == straight(whole)[: len(frames) - 2]


# Bad input


@pytest.fixture
def bad_input(video: Callable[[str], Path], tmp_path: Path) -> dict[str, Path]:
    text = tmp_path / "text.mp4"
    text.write_text("not a video\n" * 50)
    empty = tmp_path / "empty.mp4"
    empty.touch()
    playlist = tmp_path / "playlist.mp4"
    playlist.write_text(f"#EXTM3U\n#EXTINF:8,\n{video('open_gop_h264.ts')}\n#EXT-X-ENDLIST\n")
    folder = tmp_path / "folder"
    folder.mkdir()
    pipe = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(pipe))
    return {
        "missing": tmp_path / "missing.mp4",
        "folder": folder,
        "empty": empty,
        "text": text,
        "sound": files.only_sound(tmp_path / "sound.m4a"),
        "headless": files.without_header(tmp_path / "cut.mp4", video("single_keyframe.mp4")),
        "playlist": playlist,
        "socket": pipe,
    }


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("missing", "no such file; check the path"),
        ("folder", "without numbered images"),
        ("empty", "is empty (0 bytes)"),
        ("text", "is not a video that can be read"),
        ("sound", "has no video stream"),
        ("headless", "header (moov) is missing"),
        ("playlist", "is not a video that can be read"),
        ("socket", "is not a regular file"),
    ],
)
def test_bad_input_gets_one_clear_line(kind: str, words: str, bad_input: dict[str, Path]) -> None:
    with pytest.raises(InputError) as caught:
        open_source(bad_input[kind])
    message = str(caught.value)
    assert words in message
    assert str(bad_input[kind]) in message
    assert "\n" not in message


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything"
)
def test_unreadable_file(tmp_path: Path) -> None:
    path = tmp_path / "locked.mp4"
    path.write_bytes(b"x")
    path.chmod(0)
    with pytest.raises(InputError, match="check its permissions"):
        open_source(path)


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (ProbeLimits(max_pixels=100), "192x108 pixels are above the limit"),
        (ProbeLimits(max_streams=0), "streams, more than a match video has"),
        (ProbeLimits(time_s=0.001), "could not be understood within"),
    ],
)
def test_probe_limits(limits: ProbeLimits, words: str, video: Callable[[str], Path]) -> None:
    with pytest.raises(InputError, match=words):
        probe(video("sixty.mp4"), limits)


@pytest.mark.skipif(sys.platform != "linux", reason="address space limits are Linux's")
def test_a_probe_that_dies_is_an_input_error(video: Callable[[str], Path]) -> None:
    """24 MB of address space do not even load FFmpeg: the child dies without an answer."""
    with pytest.raises(InputError, match=r"broke the probe|more memory"):
        probe(video("sixty.mp4"), ProbeLimits(memory_bytes=24 * 1024**2))


def test_a_file_that_changed_is_refused(tmp_path: Path, video: Callable[[str], Path]) -> None:
    path = tmp_path / "changing.mp4"
    path.write_bytes(video("sixty.mp4").read_bytes())
    opened = open_source(path)
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(InputError, match="has changed"):
        next(opened.decode(0, 1))


# Images


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(12):
        cv2.imwrite(str(folder / f"frame{number}.png"), files.numbered_frame(number))
    (folder / "notes.txt").write_text("not an image")
    return folder


def test_images_in_natural_number_order(images: Path) -> None:
    """frame2 comes before frame10; ten a second."""
    opened = open_source(images, fps=10)
    frames = list(opened.decode(0, 12))
    assert [files.read_number(f.image) for f in frames if f.image is not None] == list(range(12))
    assert opened.index.time_s.tolist() == pytest.approx((np.arange(12) / 10).tolist())
    assert opened.index.end_s == pytest.approx(1.2)
    assert opened.info.frame_rate == 10
    kept = list(opened.decode(3, 12, target_fps=5, size=(96, 96)))
    assert [frame.number for frame in kept] == [4, 6, 8, 10]
    assert {None if f.image is None else f.image.shape for f in kept} == {(54, 96, 3)}


def test_a_damaged_image_is_a_frame_without_image(images: Path) -> None:
    (images / "frame5.png").write_bytes(b"broken")
    (images / "frame6.png").write_bytes(b"")
    decoded = [frame.decoded for frame in open_source(images).decode(0, 12)]
    assert decoded == [number not in (5, 6) for number in range(12)]


def test_an_image_of_another_size_is_refused(images: Path) -> None:
    cv2.imwrite(str(images / "frame7.png"), files.numbered_frame(7, 96, 54))
    with pytest.raises(InputError, match=r"frame7.png: is 96x54"):
        list(open_source(images).decode(0, 12))


def test_the_hash_of_images_follows_pictures_and_rate_not_the_place(
    images: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "moved"
    moved.mkdir()
    for path in images.glob("*.png"):
        (moved / path.name).write_bytes(path.read_bytes())
    assert open_source(images).content_hash == open_source(moved).content_hash
    assert open_source(images).content_hash != open_source(moved, fps=30).content_hash
    cv2.imwrite(str(moved / "frame3.png"), files.numbered_frame(4))
    assert open_source(images).content_hash != open_source(moved).content_hash


# Several files, other processes


def test_two_files_are_one_source(video: Callable[[str], Path]) -> None:
    """The second half goes on in number and time: 200 frames at 25 a second are 8 s."""
    paths = [video("open_gop_h264.mp4"), video("open_gop_h264.ts")]
    opened = open_source(paths)
    assert opened.index.frame_count == 2 * files.FRAMES
    assert opened.index.first_frames == (0, files.FRAMES)
    assert opened.index.time_s[files.FRAMES] == pytest.approx(8.0, abs=1e-3)
    frames = joined(opened, [150, 230])
    assert [frame.number for frame in frames] == list(range(2 * files.FRAMES))
    assert hashes(frames) == straight(paths[0]) + straight(paths[1])
    assert open_source(paths[0]).content_hash == hashlib.sha256(paths[0].read_bytes()).hexdigest()
    assert opened.content_hash != open_source(paths[::-1]).content_hash


def test_files_of_different_size_are_refused(video: Callable[[str], Path], tmp_path: Path) -> None:
    small = files.encode(tmp_path / "small.mp4", size=(96, 54), frames=5)
    with pytest.raises(InputError, match=r"small.mp4: has frames of 96x54"):
        open_source([video("sixty.mp4"), small])


def test_a_source_travels_as_bytes(video: Callable[[str], Path], images: Path) -> None:
    for paths in (video("open_gop_hevc.mp4"), images):
        opened = open_source(paths)
        copy = VideoSource.from_bytes(opened.to_bytes())
        assert copy.info == opened.info
        assert copy.content_hash == opened.content_hash
        assert copy.index.time_s.tolist() == opened.index.time_s.tolist()
        assert hashes(list(copy.decode(5, 9))) == hashes(list(opened.decode(5, 9)))


def test_the_index_is_small(source: Callable[[str], VideoSource]) -> None:
    """A few tens of bytes a frame: 29 of times and order, 33 of packets, and the archive's own."""
    data = source("open_gop_h264.mp4").parts[0].index.to_bytes()
    assert len(data) < files.FRAMES * 62 + 4000


@pytest.mark.parametrize("target_fps", [None, 6.0])
def test_a_reader_goes_on_without_seeking(
    target_fps: float | None, source: Callable[[str], VideoSource]
) -> None:
    opened = source("single_keyframe.mp4")
    reader = FrameReader(opened, target_fps=target_fps)
    edges = [20, 45, 46, 90, 60, 70, 200]
    frames: list[Frame] = []
    expected: list[Frame] = []
    for first, last in zip(edges[:-1], edges[1:], strict=True):
        if first < last:
            frames += reader.decode(first, last)
            expected += opened.decode(first, last, target_fps=target_fps)
    assert [f.number for f in frames] == [f.number for f in expected]
    assert hashes(frames) == hashes(expected)


# Sound and clips


@pytest.mark.parametrize("offset_s", [0.0, 0.5])
def test_sound_is_on_the_videos_clock(
    offset_s: float, video: Callable[[str], Path], tmp_path: Path
) -> None:
    """A tone that starts at 0.5 s: half a second of silence, then the tone."""
    path = files.with_sound(
        tmp_path / "sound.mkv", video("open_gop_h264.mp4"), offset_s, 8.0 - offset_s
    )
    (part,) = open_source(path).parts
    out = tmp_path / "sound.wav"
    record = extract_audio(path, part.info, part.index, out, channels=1)
    assert record.matches
    assert record.offset_s == pytest.approx(offset_s, abs=0.05)
    with wave.open(str(out), "rb") as sound:
        samples = np.frombuffer(sound.readframes(sound.getnframes()), np.int16)
    loud = np.flatnonzero(np.abs(samples) > 500)[0] / record.sample_rate_hz
    assert loud == pytest.approx(offset_s, abs=0.05)
    assert list(tmp_path.glob(".*tmp")) == []


def test_a_sound_of_another_length_is_reported(
    video: Callable[[str], Path], tmp_path: Path
) -> None:
    path = files.with_sound(tmp_path / "short.mp4", video("open_gop_h264.mp4"), 0.0, 5.0)
    (part,) = open_source(path).parts
    record = extract_audio(path, part.info, part.index, tmp_path / "short.wav")
    assert not record.matches
    assert record.mismatch_s == pytest.approx(-3.0, abs=0.1)


def test_no_sound_and_no_room(video: Callable[[str], Path], tmp_path: Path) -> None:
    (part,) = open_source(video("sixty.mp4")).parts
    with pytest.raises(InputError, match="has no sound"):
        extract_audio(video("sixty.mp4"), part.info, part.index, tmp_path / "no.wav")
    path = files.with_sound(tmp_path / "sound.mp4", video("sixty.mp4"), 0.0, 3.0)
    (part,) = open_source(path).parts
    with pytest.raises(ResourceError, match="cannot be written"):
        extract_audio(path, part.info, part.index, tmp_path / "nowhere" / "sound.wav")


@pytest.mark.parametrize("name", ["open_gop_h264.ts", "open_gop_h264.mp4"])
def test_a_clip_begins_and_ends_at_its_frames(
    name: str, video: Callable[[str], Path], tmp_path: Path
) -> None:
    """2.0 to 3.0 s at 25 a second are frames 50 to 74, with sound that starts half a second in."""
    path = files.with_sound(tmp_path / name, video("open_gop_h264.mp4"), 0.5, 7.5)
    (part,) = open_source(path).parts
    out = tmp_path / "clip.mp4"
    cut_clip(path, part.info, part.index, 2.0, 3.0, out)
    clip = open_source(out)
    numbers = [files.read_number(f.image) for f in decoded_frames(clip) if f.image is not None]
    assert numbers == list(range(50, 75))
    assert clip.info.audio is not None


def decoded_frames(opened: VideoSource) -> Iterator[Frame]:
    return opened.decode(0, opened.index.frame_count)


def test_parts_say_what_they_are(source: Callable[[str], VideoSource]) -> None:
    (part,) = source("open_gop_hevc.ts").parts
    assert isinstance(part, VideoFile)
    assert (part.info.codec, part.info.container) == ("hevc", "mpegts")
    assert part.info.frame_rate == 25
