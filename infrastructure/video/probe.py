"""Describing a video file safely: a limited subprocess opens it first.

A hostile or broken file can crash FFmpeg or make it eat memory; here only the child dies.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from domain.errors import InputError, InputMissingError, ResourceError
from infrastructure.video.containers import READABLE, open_options
from infrastructure.video.info import VideoInfo

CHILD = Path(__file__).with_name("probe_process.py")


@dataclass(frozen=True)
class ProbeLimits:
    """What one probe may use. The default takes 8K video and leaves little to an attacker."""

    memory_bytes: int = 3 * 1024**3
    time_s: float = 60.0
    max_pixels: int = 8192 * 4608
    max_streams: int = 64


DEFAULT = ProbeLimits()

REFUSALS = {
    "no_video": "has no video stream; give the file that holds the pictures",
    "no_decoder": "its video codec has no decoder here; convert it to H.264 first",
    "no_frame": "no picture of its beginning could be decoded; it is damaged or encrypted, "
    "export or download it again",
    "cut_off": "ends before its first picture; it is still being written or was cut off, wait for "
    "its end, or export or download it again",
    "too_large": "its frames of {detail} pixels are above the limit; scale it to 4K or less",
    "too_many_streams": "has {detail} streams, more than a match video has; remux the video "
    "stream alone",
    "memory": "needs more memory to open than a probe may use; convert it to H.264 first",
    "unreadable": "is not a video that can be read ({detail}); give a file in {readable}",
}

LOOKALIKES = {
    b"<!doctype html": "is a web page and no video; download the file itself, signed in if need be",
    b"<html": "is a web page and no video; download the file itself, signed in if need be",
    b"#extm3u": "is a playlist, which only names other files; give the video itself",
    b"ffconcat": "is a playlist, which only names other files; give the videos in their order",
    b"\x89png": "is a picture; give a video, or a folder of numbered images",
    b"\xff\xd8\xff": "is a picture; give a video, or a folder of numbered images",
    b"pk\x03\x04": "is an archive; unpack it and give the video in it",
}
"""What a file that is no video begins with, in lower case, and how its refusal reads."""


def probe(path: Path, limits: ProbeLimits = DEFAULT) -> VideoInfo:
    """Describes the video file at `path`, decoding no more than it takes to see one picture.

    Raises InputError, one line that names the file and says what to do, for whatever is not a
    video that can be processed, and when the subprocess dies of it.
    """
    refuse_early(path)
    options = open_options() | {
        # one more than allowed, so that the refusal is ours and says what is wrong
        "max_streams": str(limits.max_streams + 1),
        "max_pixels": str(limits.max_pixels),
    }
    request = {
        "path": str(path.absolute()),
        "options": options,
        "memory_bytes": limits.memory_bytes,
        "cpu_s": max(1, round(limits.time_s)),
        "max_pixels": limits.max_pixels,
        "max_streams": limits.max_streams,
    }
    answer = _ask(path, json.dumps(request), limits.time_s)
    if "refused" in answer:
        raise InputError(_refusal(path, answer["refused"], answer["detail"]))
    return VideoInfo.from_facts(answer["info"])


def refuse_early(path: Path) -> None:
    """Raises InputError for what needs no probe to be refused: missing, folder, empty, locked."""
    if not path.exists():
        raise InputMissingError(f"{path}: no such file; check the path")
    if path.is_dir():
        raise InputError(f"{path}: is a folder; give a video file or a folder of numbered images")
    if not path.is_file():
        raise InputError(f"{path}: is not a regular file; save the stream to a file first")
    try:
        with path.open("rb") as file:
            head = file.read(1)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be opened ({error.strerror}); check its permissions"
        ) from error
    if not head:
        raise InputError(f"{path}: is empty (0 bytes); copy or download it again")


def _ask(path: Path, request: str, time_s: float) -> dict[str, Any]:
    """Runs the child once. -P: the child's own folder must not shadow installed modules."""
    try:
        child = subprocess.run(
            [sys.executable, "-P", str(CHILD), request],
            capture_output=True,
            timeout=time_s,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as error:
        raise InputError(
            f"{path}: could not be understood within {time_s:g} s; it is damaged or on a stalled "
            "disk, copy it to a local disk or convert it to H.264"
        ) from error
    except OSError as error:
        raise ResourceError(
            f"{path}: the probe could not be started ({error.strerror}); free memory and retry"
        ) from error
    try:
        answer: dict[str, Any] = json.loads(child.stdout)
    except ValueError:
        # A child killed by a limit or by a crash in a decoder prints no answer.
        raise InputError(
            f"{path}: reading it broke the probe (exit {child.returncode}); the file is damaged "
            "or hostile, export or download it again"
        ) from None
    return answer


def _refusal(path: Path, kind: str, detail: str) -> str:
    if kind == "unreadable" and _is_mp4_without_header(path):
        return (
            f"{path}: is an MP4 whose header (moov) is missing: it is still being written, or was "
            "cut off; wait for its end, or export or download it again"
        )
    if kind == "unreadable" and (lookalike := _lookalike(path)):
        return f"{path}: {lookalike}"
    return f"{path}: " + REFUSALS[kind].format(detail=detail, readable=READABLE)


def _lookalike(path: Path) -> str | None:
    """What the file is instead, where its first bytes tell."""
    with path.open("rb") as file:
        head = file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return next((words for start, words in LOOKALIKES.items() if head.startswith(start)), None)


def _is_mp4_without_header(path: Path) -> bool:
    """Walks the top-level boxes of an MP4 or MOV, looking for moov."""
    size = path.stat().st_size
    with path.open("rb") as file:
        position = boxes = 0
        while position + 8 <= size and boxes < 1000:
            file.seek(position)
            head = file.read(16)
            length, name = int.from_bytes(head[:4], "big"), head[4:8]
            if boxes == 0 and name not in (b"ftyp", b"wide", b"mdat"):
                return False
            if name == b"moov":
                return position + length > size
            if length == 1:
                length = int.from_bytes(head[8:16], "big")
            if length < 8:
                break
            position, boxes = position + length, boxes + 1
    return boxes > 0
