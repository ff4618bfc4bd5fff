"""What is to be drawn on each frame, read from the tables as the frames come."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from application.stage import WholeMatch
from domain import tables
from stages.export.roster import Roster
from stages.export.rows import FRAMES_AT_ONCE, Cursor, floats

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Person:
    """Somebody on a frame: box in source pixels, place in metres or None, what to write."""

    box: tuple[float, float, float, float]
    place: tuple[float, float] | None
    label: str
    team: str
    goalkeeper: bool
    observed: bool


@dataclass(frozen=True)
class BallMark:
    """The ball on a frame: pixel and metres, each None where unknown, and its status."""

    pixel: tuple[float, float] | None
    place: tuple[float, float] | None
    status: str


@dataclass(frozen=True)
class Scene:
    """One frame. `calibration` is measured, propagated, none, or empty where nobody looked; of a
    `replay` nothing counts.

    `homography` (3, 3) takes pixels of a straight lens to metres, `bend` is k1 / focal^2.
    """

    people: list[Person]
    ball: BallMark | None
    homography: Array | None
    bend: float
    calibration: str
    error_m: float | None
    replay: bool


@dataclass(frozen=True)
class _Name:
    label: str
    team: str
    goalkeeper: bool


_TABLES = ("tracks", "ball", "calibration", "frames")


class Scenes:
    """Scenes in the order of frames; a few hundred frames' rows are in memory."""

    def __init__(self, match: WholeMatch) -> None:
        self._cursors = {name: Cursor(match, name) for name in _TABLES}
        has_identities = match.has("identities")
        self._names = _names(match.table("identities")) if has_identities else {}
        self._rows = {name: tables.empty(name) for name in self._cursors}
        self._frames = {name: np.empty(0, dtype=np.int64) for name in self._cursors}
        self._end = 0

    def at(self, frame: int) -> Scene:
        """The scene of `frame`; frames must be asked for in ascending order."""
        if frame >= self._end:
            self._end = frame + FRAMES_AT_ONCE
            for name, cursor in self._cursors.items():
                self._rows[name] = cursor.until(self._end).combine_chunks()
                self._frames[name] = self._rows[name]["frame"].to_numpy()
        calibration = self._of("calibration", frame).to_pylist()
        shown = self._of("frames", frame)["replay"].to_pylist()
        nothing: dict[str, Any] = dict.fromkeys(("homography", "k1", "error_m")) | {"status": ""}
        row = calibration[0] if calibration else nothing
        known = row["homography"] is not None
        return Scene(
            self._people(self._of("tracks", frame)),
            _ball(self._of("ball", frame)),
            np.array(row["homography"]).reshape(3, 3) if known else None,
            row["k1"] / row["focal_px"] ** 2 if row["k1"] else 0.0,
            row["status"],
            row["error_m"],
            any(shown),
        )

    def _of(self, name: str, frame: int) -> pa.Table:
        first, end = np.searchsorted(self._frames[name], [frame, frame + 1]).tolist()
        return self._rows[name].slice(first, end - first)

    def _people(self, rows: pa.Table) -> list[Person]:
        boxes = np.column_stack([floats(rows, name) for name in ("x1", "y1", "x2", "y2")])
        places = np.column_stack([floats(rows, "x"), floats(rows, "y")])
        observed = rows["observed"].to_pylist()
        people = []
        for index, track in enumerate(rows["track"].to_pylist()):
            name = self._names.get(track) or _Name(f"t{track}", "unknown", goalkeeper=False)
            x1, y1, x2, y2 = boxes[index].tolist()
            place = tuple(places[index].tolist()) if np.isfinite(places[index]).all() else None
            people.append(
                Person(
                    (x1, y1, x2, y2),
                    place,
                    name.label,
                    name.team,
                    name.goalkeeper,
                    observed[index],
                )
            )
        return people


def _names(identities: pa.Table) -> dict[int, _Name]:
    """What to write at each track: the shirt's number, else a p and a number of ours."""
    rows, roster = identities.to_pylist(), Roster.read(identities)
    tracks = np.array([row["track"] for row in rows], dtype=np.int64)
    names = {}
    for row, player in zip(rows, roster.of_tracks(tracks).tolist(), strict=True):
        label = f"t{row['track']}" if row["team"] == "unknown" else ""
        if player >= 0:
            member = roster.players[player]
            digits = "".join(char for char in member.name if char.isdigit())
            label = str(member.number) if member.number_known else f"p{digits or row['track']}"
        names[row["track"]] = _Name(label, row["team"], row["role"] == "goalkeeper")
    return names


def _ball(rows: pa.Table) -> BallMark | None:
    if not rows.num_rows:
        return None
    row = rows.slice(0, 1).to_pylist()[0]
    pixel = (row["pixel_x"], row["pixel_y"]) if row["pixel_x"] is not None else None
    place = (row["x"], row["y"]) if row["x"] is not None else None
    return BallMark(pixel, place, row["status"])
