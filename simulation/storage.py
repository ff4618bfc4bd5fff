"""Writes a simulated match to a folder: the truth as Parquet, truth.json and the video."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from domain.errors import ResourceError
from domain.periods import Period
from simulation.film import Shot
from simulation.match import SimulatedMatch
from simulation.options import seed_use
from simulation.rendering import render

VIDEO_NAME = "match.mp4"


def write(
    match: SimulatedMatch,
    directory: Path | str,
    video: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write every table as NAME.parquet, truth.json and, if wanted, match.mp4.

    Raises:
        ResourceError: the folder cannot be written.
    """
    folder = Path(directory)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        more = {"positions": match.positions, "visibility": match.truth.visibility}
        for name, table in {**match.tables, **more}.items():
            pq.write_table(table, folder / f"{name}.parquet", compression="zstd")
        (folder / "truth.json").write_text(json.dumps(_about(match), indent=2) + "\n")
    except OSError as error:
        raise ResourceError(f"cannot write to {folder}: {error}") from error
    if video:
        render(match, folder / VIDEO_NAME, progress)
    return folder


def _about(match: SimulatedMatch) -> dict[str, Any]:
    """What the tables do not say: how the match was made, and what the sides wear."""
    options = match.options
    return {
        "seed": options.seed,
        "seed_use": seed_use(options.seed),
        "seconds": options.seconds,
        "frames": options.frame_count,
        "fps": float(options.rate),
        "frame_rate": str(options.rate),
        "width": options.width,
        "height": options.height,
        "camera": options.camera,
        "broadcast": options.broadcast,
        "shots": [_shot(shot) for shot in match.film.shots],
        "formations": dict(zip(("home", "away"), match.formations, strict=True)),
        "home_attacks": "right" if match.record.attack_sign[0] > 0 else "left",
        "periods": [_period(period) for period in match.record.periods],
        "kits": {name: asdict(kit) for name, kit in vars(match.kits).items()},
        "video": VIDEO_NAME,
    }


def _period(period: Period) -> dict[str, Any]:
    """A period as `match.periods` of a configuration takes it."""
    return {name: value for name, value in asdict(period).items() if name != "number"}


def _shot(shot: Shot) -> dict[str, Any]:
    """A shot: its frames, its camera, and which moment of play it shows how fast.

    `transition_frames` on either side of its first frame belong to its opening.
    """
    cue = asdict(shot.cue)
    frames = {"first_frame": shot.first, "frames": shot.stop - shot.first}
    return {**frames, "transition_frames": shot.reach, **cue}
