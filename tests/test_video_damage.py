"""What a damaged file still holds is measured, the rest is said to be missing."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pyarrow.parquet as pq
import pytest

from infrastructure.video.source import open_source
from tests import video_files as files
from tests.matches import analyse, render_match


def hollow(path: Path, source: Path, frames: range) -> Path:
    """`source` with the packets of `frames` overwritten by zeros: no decoder makes a picture."""
    (part,) = open_source(source).parts
    data = bytearray(source.read_bytes())
    with av.open(str(source)) as container:
        payloads = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    for row in part.index.packet[frames.start : frames.stop]:
        place = data.index(payloads[row])
        data[place : place + len(payloads[row])] = bytes(len(payloads[row]))
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", ["damaged.mp4", "damaged.ts", "damaged_hevc.mp4"])
def test_damage_in_the_middle_costs_only_its_frames(name: str, tmp_path: Path) -> None:
    """Every number still comes once, and beyond the damaged group of pictures all is exact.

    A transport stream loses whole packets: those frames are gone from the file, so the others
    are found by their time.
    """
    make = files.open_gop_hevc if "hevc" in name else files.open_gop_h264
    whole = make(tmp_path / f"whole_{name}")
    sound = files.hashes(open_source(whole).decode(0, files.FRAMES))
    opened = open_source(files.damaged(tmp_path / name, whole))
    frames = files.joined(opened, [50, 120])
    assert [frame.number for frame in frames] == list(range(opened.index.frame_count))
    places = [round(frame.time_s * 25) for frame in frames]
    same = {p for p, h in zip(places, files.hashes(frames), strict=True) if h == sound[p]}
    assert set(range(60)) | set(range(150, files.FRAMES)) <= same
    assert len(same) < files.FRAMES


def test_a_picture_that_cannot_be_decoded_is_a_frame_without_image(tmp_path: Path) -> None:
    """The packets of four VP9 frames are zeros: those have no picture, the next keyframe heals."""
    whole = files.small(tmp_path / "vp9.webm", "libvpx-vp9", deadline="realtime")
    opened = open_source(hollow(tmp_path / "broken.webm", whole, range(10, 14)))
    frames = files.joined(opened, [5, 12, 40])
    assert [frame.number for frame in frames] == list(range(files.SMALL))
    assert not any(frame.decoded for frame in frames[10:14])
    assert files.numbers(frames)[:10] == list(range(10))
    assert files.numbers(frames)[25:] == list(range(25, files.SMALL))
    np.testing.assert_allclose(opened.index.time_s, np.arange(files.SMALL) / 25, atol=1.1e-3)


def test_damage_without_keyframes_is_the_same_in_any_segments(tmp_path: Path) -> None:
    """With one keyframe, what is lost stays lost; how the file is cut changes nothing."""
    whole = files.small(tmp_path / "whole.mp4", **{"x264-params": "keyint=infinite:scenecut=0"})
    path = hollow(tmp_path / "broken.mp4", whole, range(20, 23))
    straight = list(open_source(path).decode(0, files.SMALL))
    assert files.numbers(straight)[:20] == list(range(20))
    assert not all(frame.decoded for frame in straight)
    for cuts in ([10, 21, 22, 30], [25], list(range(1, files.SMALL))):
        assert files.hashes(files.joined(open_source(path), cuts)) == files.hashes(straight)


@pytest.mark.parametrize("suffix", [".mp4", ".ts", ".mkv"])
def test_a_damaged_keyframe_is_the_same_in_any_segments(suffix: str, tmp_path: Path) -> None:
    """Frames after it are built on what came before it, so no stretch may start at it."""
    whole = files.small(tmp_path / f"whole{suffix}", g="12", sc_threshold="0")
    data = bytearray(whole.read_bytes())
    (part,) = open_source(whole).parts
    assert part.index.key[24]
    place = int(part.index.packets.pos[part.index.packet[24]])
    data[place + 400 : place + 900] = np.random.default_rng(3).bytes(500)
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(data)
    opened = open_source(path)
    straight = list(opened.decode(0, opened.index.frame_count))
    assert files.hashes(straight[12:]) != files.hashes(open_source(whole).decode(12, files.SMALL))
    for cuts in ([26, 30], [25], [28, 40]):
        assert files.hashes(files.joined(open_source(path), cuts)) == files.hashes(straight)


def test_a_file_cut_short_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    """With the header in front, the frames before the cut are there, and a note says so."""
    whole = files.encode(tmp_path / "whole.mp4", preset="veryfast", g="25")
    front = files.remuxed(tmp_path / "front.mp4", [whole], "-movflags", "+faststart")
    data = front.read_bytes()
    front.write_bytes(data[: len(data) * 2 // 3])
    opened = open_source(front)
    assert 50 < opened.index.frame_count < files.FRAMES
    assert "ends early" in opened.notes[0]
    frames = files.joined(opened, [40])
    assert files.numbers(frames)[:-2] == list(range(len(frames) - 2))


@pytest.mark.parametrize("suffix", [".ts", ".mkv", ".webm", ".flv"])
def test_a_recording_that_was_cut_off_needs_no_header(suffix: str, tmp_path: Path) -> None:
    """The recorder lost its power: these containers hold what was written until then."""
    codec = "libvpx-vp9" if suffix == ".webm" else "libx264"
    data = files.small(tmp_path / f"whole{suffix}", codec).read_bytes()
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(data[: len(data) * 7 // 10])
    opened = open_source(path)
    count = opened.index.frame_count
    assert 20 < count < files.SMALL
    frames = files.joined(opened, [9, 20])
    assert files.numbers(frames)[: count - 3] == list(range(count - 3))


@pytest.mark.slow
def test_a_match_with_damage_completes(tmp_path: Path) -> None:
    """Frames 30 to 34 of 75 are gone: "not measured" rows, nothing found in them, all else is."""
    path = hollow(tmp_path / "broken.mp4", render_match(tmp_path), range(30, 35))
    analyse(path, tmp_path / "out")
    frames = pq.read_table(tmp_path / "out" / "frames.parquet")
    assert frames["frame"].to_pylist() == list(range(75))
    lost = [n for n, decoded in enumerate(frames["decoded"].to_pylist()) if not decoded]
    assert set(range(30, 35)) <= set(lost)
    assert len(lost) < 30  # up to the next keyframe at most
    seen = set(pq.read_table(tmp_path / "out" / "detections.parquet")["frame"].to_pylist())
    assert seen
    assert not seen & set(lost)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))
    assert summary["video"]["frames"] == 75
