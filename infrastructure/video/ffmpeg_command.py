"""Running the ffmpeg command: one file in, one file out, written aside and renamed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import ffmpeg

from domain.errors import FootAnalyticsError, ResourceError
from infrastructure.video.containers import FORMATS


def open_input(path: Path, **options: Any) -> Any:
    """The file as ffmpeg's input; it may open no other file and no network."""
    # ffmpeg's command writes through pipes and files of its own, so only the input is limited.
    return ffmpeg.input(
        str(path.absolute()), protocol_whitelist="file", format_whitelist=FORMATS, **options
    )


def write(streams: list[Any], out: Path, *, form: str, **options: Any) -> None:
    """Runs ffmpeg and puts its result at `out` at once, or not at all.

    Raises ResourceError when ffmpeg is missing or the disk is full, FootAnalyticsError with
    ffmpeg's own last line for anything else.
    """
    if not out.parent.is_dir():
        raise ResourceError(f"{out}: cannot be written (no such folder); make the folder first")
    aside = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    command = ffmpeg.compile(
        ffmpeg.output(*streams, str(aside.absolute()), format=form, **options).global_args(
            "-nostdin", "-hide_banner", "-loglevel", "error"
        ),
        overwrite_output=True,
    )
    try:
        _run(command, out)
        with aside.open("rb") as file:
            os.fsync(file.fileno())
        aside.replace(out)
    except OSError as error:
        raise ResourceError(
            f"{out}: cannot be written ({error.strerror}); check the folder and the free space"
        ) from error
    finally:
        aside.unlink(missing_ok=True)


def _run(command: list[str], out: Path) -> None:
    try:
        done = subprocess.run(command, capture_output=True, check=False, stdin=subprocess.DEVNULL)
    except FileNotFoundError as error:
        raise ResourceError("the ffmpeg command is missing; install it (apt install ffmpeg)") from (
            error
        )
    if done.returncode == 0:
        return
    lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
    if any("No space left" in line or "Permission denied" in line for line in lines):
        raise ResourceError(f"{out}: cannot be written ({lines[-1]}); free space or choose another")
    raise FootAnalyticsError(f"{out}: ffmpeg failed ({lines[-1]}); check the input with ffplay")
