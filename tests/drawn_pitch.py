"""A drawn pitch seen from straight above, 16 pixels a metre: frames, calibration, places."""

import numpy as np
import pyarrow as pa

from application.stage import MatchFacts
from domain import tables

RATE = 25.0
SCALE = 16.0  # pixels per metre
FACTS = MatchFacts(width=1920, height=1280, frame_rate=RATE)
# x = u / 16 - 60, y = 40 - v / 16: image rows run down, the pitch's y runs away from the camera
HOMOGRAPHY = np.array([1 / SCALE, 0, -60, 0, -1 / SCALE, 40, 0, 0, 1])


def to_pixels(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return (x + 60) * SCALE, (40 - y) * SCALE


def walk(start: tuple[float, float], velocity: tuple[float, float], count: int) -> np.ndarray:
    """Places (count, 2) in metres of somebody who goes straight on."""
    return np.array(start) + np.arange(count)[:, None] / RATE * np.array(velocity)


def frames_table(count: int, *, cut_at: int | None = None, pan_px: float = 0.0) -> pa.Table:
    number = np.arange(count)
    motion = np.tile([1.0, 0, pan_px, 0, 1, 0, 0, 0, 1], (count, 1))
    first = (number == 0) | (number == cut_at)
    return tables.make(
        "frames",
        {
            "frame": number,
            "time_s": number / RATE,
            "period": np.ones(count, int),
            "match_clock_s": [None] * count,
            "segment": np.zeros(count, int),
            "decoded": np.ones(count, bool),
            "view": ["wide"] * count,
            "shot": (number >= (cut_at if cut_at is not None else count)).astype(int),
            "replay": np.zeros(count, bool),
            "camera_motion": np.ma.array(motion, mask=np.repeat(first[:, None], 9, axis=1)),
        },
    )


def calibration_table(
    count: int, error_m: float = 0.2, homography: np.ndarray = HOMOGRAPHY
) -> pa.Table:
    unknown = {
        name: [None] * count
        for name in (
            "focal_px",
            "pan_deg",
            "tilt_deg",
            "roll_deg",
            "camera_x",
            "camera_y",
            "camera_z",
            "k1",
        )
    }
    return tables.make(
        "calibration",
        {
            "frame": np.arange(count),
            "homography": np.tile(homography, (count, 1)),
            "error_m": np.full(count, error_m),
            "status": ["measured"] * count,
            **unknown,
        },
    )
