"""Sound and clips are on the video's clock."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from domain.errors import InputError, ResourceError
from infrastructure.video.audio import extract_audio
from infrastructure.video.clip import cut_clip
from infrastructure.video.source import open_source
from tests import video_files as files


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 frames at 25 a second, 8 s, without sound."""
    return files.open_gop_h264(tmp_path_factory.mktemp("plain") / "plain.mp4")


@pytest.mark.parametrize("offset_s", [0.0, 0.5])
def test_sound_is_on_the_videos_clock(offset_s: float, plain: Path, tmp_path: Path) -> None:
    """A tone that starts at 0.5 s: half a second of silence, then the tone."""
    path = files.with_sound(tmp_path / "sound.mkv", plain, offset_s, 8.0 - offset_s)
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


def test_a_sound_of_another_length_is_reported(plain: Path, tmp_path: Path) -> None:
    path = files.with_sound(tmp_path / "short.mp4", plain, 0.0, 5.0)
    (part,) = open_source(path).parts
    record = extract_audio(path, part.info, part.index, tmp_path / "short.wav")
    assert not record.matches
    assert record.mismatch_s == pytest.approx(-3.0, abs=0.1)


def test_no_sound_and_no_room(plain: Path, tmp_path: Path) -> None:
    (part,) = open_source(plain).parts
    with pytest.raises(InputError, match="has no sound"):
        extract_audio(plain, part.info, part.index, tmp_path / "no.wav")
    path = files.with_sound(tmp_path / "sound.mp4", plain, 0.0, 3.0)
    (part,) = open_source(path).parts
    with pytest.raises(ResourceError, match="cannot be written"):
        extract_audio(path, part.info, part.index, tmp_path / "nowhere" / "sound.wav")


@pytest.mark.parametrize("name", ["open_gop_h264.ts", "open_gop_h264.mp4"])
def test_a_clip_begins_and_ends_at_its_frames(name: str, plain: Path, tmp_path: Path) -> None:
    """2.0 to 3.0 s at 25 a second are frames 50 to 74, with sound that starts half a second in."""
    path = files.with_sound(tmp_path / name, plain, 0.5, 7.5)
    (part,) = open_source(path).parts
    out = tmp_path / "clip.mp4"
    cut_clip(path, part.info, part.index, 2.0, 3.0, out)
    clip = open_source(out)
    assert files.numbers(files.joined(clip, [])) == list(range(50, 75))
    assert clip.info.audio is not None
