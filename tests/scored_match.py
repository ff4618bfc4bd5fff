"""A tiny match and labelled images that the scores are tested on."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from domain import tables
from domain.pitch import Pitch, project


def image_set(folder: Path, labels: Sequence[str], size: tuple[int, int] = (200, 100)) -> Path:
    """A folder of black images (width, height) named a0, a1 ... with these label texts."""
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True)
    for number, text in enumerate(labels):
        image = np.zeros((size[1], size[0], 3), np.uint8)
        # the number is written in the corner, so that a detector of the tests can tell them apart
        image[:8, :8] = number
        cv2.imwrite(str(folder / "images" / f"a{number}.png"), image)
        (folder / "labels" / f"a{number}.txt").write_text(text)
    return folder


def camera(size: tuple[int, int] = (1280, 720)) -> np.ndarray:
    """Pixel to metre of a camera 60 m behind the near touchline's middle, 25 m high, tilted 22.6
    degrees down, which has the centre spot in the middle of the image."""
    tilt = np.arctan2(25, 60)
    right, down, ahead = (
        np.array([1.0, 0, 0]),
        np.array([0, -np.sin(tilt), -np.cos(tilt)]),
        np.array([0, np.cos(tilt), -np.sin(tilt)]),
    )
    rotation = np.stack([right, down, ahead])
    shift = -rotation @ np.array([0.0, -60.0, 25.0])
    intrinsics = np.array(
        [[size[0] * 0.8, 0, size[0] / 2], [0, size[0] * 0.8, size[1] / 2], [0, 0, 1]]
    )
    return np.linalg.inv(intrinsics @ np.column_stack([rotation[:, :2], shift]))


def moved(homography: np.ndarray, x: float, y: float) -> np.ndarray:
    """The same homography with every answer moved by metres."""
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]]) @ homography


def pitch_label(homography: np.ndarray, size: tuple[int, int] = (1280, 720), keep: int = 32) -> str:
    """The YOLO-pose label of what a camera sees of the first `keep` pitch points."""
    pixels = project(np.linalg.inv(homography), Pitch().points()) / size
    seen = ((pixels > 0) & (pixels < 1)).all(axis=1) & (np.arange(32) < keep)
    cells = [f"{x:.9f} {y:.9f} 2" if v else "0 0 0" for (x, y), v in zip(pixels, seen, strict=True)]
    return "0 0.5 0.5 1 1 " + " ".join(cells) + "\n"


def tracks_table(rows: Sequence[tuple[int, int, float, float]], **changes: Any) -> pa.Table:
    """A tracks table from (frame, track, x, y) at 25 frames a second."""
    frame, track, x, y = (np.array(values) for values in zip(*rows, strict=True))
    columns = {
        "frame": frame,
        "time_s": frame / 25,
        "track": track,
        "x1": 500 + 10 * x,
        "y1": 300 - 10 * y,
        "x2": 510 + 10 * x,
        "y2": 320 - 10 * y,
        "x": x,
        "y": y,
        "sigma_m": np.full(len(x), 0.5),
        "speed_mps": np.full(len(x), 5.0),
        "observed": np.ones(len(x), bool),
    }
    return tables.make("tracks", columns | changes)


FRAMES = 50
# track: (x at frame 0, y, metres a frame, team, role)
CAST = {
    1: (-20.0, 10.0, 0.20, "home", "player"),
    2: (-40.0, 0.0, 0.00, "home", "goalkeeper"),
    3: (10.0, -10.0, -0.20, "away", "player"),
    4: (30.0, 5.0, 0.10, "away", "player"),
    5: (0.0, 20.0, 0.20, "referee", "referee"),
}


def match_tables() -> dict[str, pa.Table]:
    """Two seconds of five people, a ball, a fixed camera, two passes, a shot and formations."""
    rows = [
        (n, track, x + step * n, y)
        for n in range(FRAMES)
        for track, (x, y, step, *_) in CAST.items()
    ]
    speed = [25 * abs(step) for _ in range(FRAMES) for _, _, step, *_ in CAST.values()]
    return {
        "frames": frames_table(np.arange(FRAMES)),
        "tracks": tracks_table(rows, speed_mps=speed),
        "ball": ball_table(np.linspace(0, 10, FRAMES)),
        "identities": identities_table([(t, c[3], c[4]) for t, c in CAST.items()]),
        "calibration": calibration_table([camera()] * FRAMES),
        "match_events": events_table([("pass", 5), ("pass", 30), ("shot", 45)]),
        "formations": formations_table([("home", "4-3-3"), ("away", "4-4-2")]),
    }


def frames_table(numbers: np.ndarray) -> pa.Table:
    count = len(numbers)
    return tables.make(
        "frames",
        {
            "frame": numbers,
            "time_s": numbers / 25,
            "period": [1] * count,
            "match_clock_s": [None] * count,
            "segment": np.zeros(count, int),
            "decoded": np.ones(count, bool),
            "view": ["wide"] * count,
            "shot": np.zeros(count, int),
            "replay": np.zeros(count, bool),
            "camera_motion": [None] * count,
        },
    )


def ball_table(x: np.ndarray) -> pa.Table:
    count = len(x)
    return tables.make(
        "ball",
        {
            "frame": np.arange(count),
            "time_s": np.arange(count) / 25,
            "x": x,
            "y": np.zeros(count),
            "z": np.zeros(count),
            **dict.fromkeys(("pixel_x", "pixel_y"), [None] * count),
            "sigma_m": np.full(count, 0.5),
            "status": ["seen"] * count,
            "confidence": np.ones(count),
        },
    )


def identities_table(rows: Sequence[tuple[int, str, str]]) -> pa.Table:
    return tables.make(
        "identities",
        {
            "track": [row[0] for row in rows],
            "player": [f"p{row[0]}" for row in rows],
            "number": [None] * len(rows),
            "team": [row[1] for row in rows],
            "role": [row[2] for row in rows],
            "confidence": [1.0] * len(rows),
        },
    )


def calibration_table(homographies: Sequence[np.ndarray | None]) -> pa.Table:
    count = len(homographies)
    unknown = [
        "focal_px",
        "pan_deg",
        "tilt_deg",
        "roll_deg",
        "camera_x",
        "camera_y",
        "camera_z",
        "k1",
        "error_m",
    ]
    return tables.make(
        "calibration",
        {
            "frame": np.arange(count),
            "homography": [None if h is None else h.reshape(-1).tolist() for h in homographies],
            **dict.fromkeys(unknown, [None] * count),
            "status": ["none" if h is None else "measured" for h in homographies],
        },
    )


def events_table(rows: Sequence[tuple[str, int]], *, provisional: bool = False) -> pa.Table:
    count = len(rows)
    start = [row[1] for row in rows]
    empty = ["start_x", "start_y", "end_x", "end_y", "player", "receiver", "outcome"]
    return tables.make(
        "match_events",
        {
            "event": list(range(count)),
            "type": [row[0] for row in rows],
            "start_frame": start,
            "start_s": [frame / 25 for frame in start],
            "end_frame": start,
            "end_s": [frame / 25 for frame in start],
            **dict.fromkeys(empty, [None] * count),
            "team": ["unknown"] * count,
            "confidence": [1.0] * count,
            "evidence": ["test"] * count,
            "evidence_frames": [[frame] for frame in start],
            "provisional": [provisional] * count,
        },
    )


def formations_table(rows: Sequence[tuple[str, str]]) -> pa.Table:
    count = len(rows)
    return tables.make(
        "formations",
        {
            "team": [row[0] for row in rows],
            "start_s": [0.0] * count,
            "end_s": [2.0] * count,
            "phase": ["all"] * count,
            "label": [row[1] for row in rows],
            **dict.fromkeys(("players", "positions", "x", "y"), [[]] * count),
            "confidence": [1.0] * count,
        },
    )


def with_column(table: pa.Table, name: str, values: Any) -> pa.Table:
    """The table with one column replaced."""
    index = table.schema.get_field_index(name)
    field = table.schema.field(name)
    return table.set_column(index, field, pa.array(values, field.type))


def save(folder: Path, contents: dict[str, pa.Table]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in contents.items():
        pq.write_table(table, folder / f"{name}.parquet")
    return folder
