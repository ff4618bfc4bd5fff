"""Small matches as tables: tracks and ball from arrays of positions, in metres."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from domain import tables

RATE = 25.0
TRACKING = Path("tracking") / "tracab_opta_3min"


def tracks_table(
    paths: Mapping[int, NDArray[np.float64]],
    *,
    sigma_m: float = 0.0,
    rate: float = RATE,
    frames: Mapping[int, NDArray[np.int64]] | None = None,
) -> pa.Table:
    """A path (n, 2) for each track, from frame 0 on or at the given frames; NaN is unknown."""
    at = {t: np.arange(len(p)) if frames is None else frames[t] for t, p in paths.items()}
    frame = np.concatenate([at[track] for track in paths]).astype(np.int64)
    track = np.concatenate([np.full(len(path), t, np.int64) for t, path in paths.items()])
    xy = np.vstack(list(paths.values()))
    order = np.lexsort((track, frame))
    xy, count = np.ma.masked_invalid(xy[order]), len(order)
    zero = np.zeros(count)
    columns = {
        "frame": frame[order],
        "time_s": frame[order] / rate,
        "track": track[order],
        **dict.fromkeys(("x1", "y1", "x2", "y2"), zero),
        "x": xy[:, 0],
        "y": xy[:, 1],
        "sigma_m": np.full(count, sigma_m),
        "speed_mps": pa.nulls(count, pa.float32()),
        "observed": np.ones(count, bool),
    }
    return tables.make("tracks", columns)


def ball_table(path: NDArray[np.float64], *, sigma_m: float = 0.0, rate: float = RATE) -> pa.Table:
    """The ball's path (n, 2) or (n, 3), a frame a row; NaN is unknown."""
    count = len(path)
    if path.shape[1] == 2:
        path = np.column_stack([path, np.full(count, np.nan)])
    x, y, z = np.ma.masked_invalid(path).T
    gone = np.isnan(path[:, 0])
    columns = {
        "frame": np.arange(count),
        "time_s": np.arange(count) / rate,
        "x": x,
        "y": y,
        "z": z,
        "pixel_x": pa.nulls(count, pa.float32()),
        "pixel_y": pa.nulls(count, pa.float32()),
        "sigma_m": np.full(count, sigma_m),
        "status": np.where(gone, "absent", "seen").tolist(),
        "confidence": np.ones(count),
    }
    return tables.make("ball", columns)


def identities_table(rows: Sequence[tuple[int, str, str, str]]) -> pa.Table:
    """Rows of track, player, team and role."""
    track, player, team, role = zip(*rows, strict=True)
    columns = {
        "track": track,
        "player": player,
        "number": pa.nulls(len(rows), pa.int32()),
        "team": team,
        "role": role,
        "confidence": np.ones(len(rows)),
    }
    return tables.make("identities", columns)


def straight(points: Sequence[tuple[float, float, float]], rate: float = RATE) -> NDArray:
    """A path (n, 2) through points of time, x and y at even speed between them."""
    time, x, y = np.array(points, dtype=np.float64).T
    at = np.arange(round(time[-1] * rate) + 1) / rate
    return np.column_stack([np.interp(at, time, x), np.interp(at, time, y)])


def real_tracking(real_data: Path) -> tuple[dict[str, pa.Table], dict]:
    """The optical tracking of a real match as tables tracks, ball and identities, and its
    metadata. Player names are as in the data: home_3."""
    folder = real_data / TRACKING
    raw = pq.read_table(folder / "tracking.parquet")
    names = sorted({name[:-2] for name in raw.column_names if name.startswith(("home_", "away_"))})
    paths = {index: _wide(raw, name, "xy") for index, name in enumerate(names)}
    paths = {index: path for index, path in paths.items() if np.isfinite(path).any()}
    rows = [(index, names[index], names[index][:4], _role(names[index])) for index in paths]
    found = {
        "tracks": tracks_table(paths, sigma_m=0.2),
        "ball": ball_table(_wide(raw, "ball", "xyz"), sigma_m=0.2),
        "identities": identities_table(rows),
    }
    return found, json.loads((folder / "metadata.json").read_text())


def _role(name: str) -> str:
    return "goalkeeper" if name.endswith("_1") else "player"


def _wide(raw: pa.Table, name: str, axes: str) -> NDArray[np.float64]:
    columns = [raw[f"{name}_{axis}"].to_numpy().astype(np.float64) for axis in axes]
    return np.column_stack(columns)
