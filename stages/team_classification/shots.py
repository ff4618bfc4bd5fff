"""The shots of the whole match, and what is known of each: its camera, its people, its opening."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from application.stage import WholeMatch
from domain.tables import GLANCE_SIZE

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

MOMENT_S = 0.4
MIN_ANSWERS = 5


@dataclass(frozen=True)
class Stretches:
    """Runs of frames of one shot in one view, in order; a value a run in each array."""

    shot: Ints
    view: NDArray[np.str_]
    start_frame: Ints
    end_frame: Ints
    start_s: Array
    end_s: Array

    @classmethod
    def read(cls, parts: Iterable[pa.Table]) -> "Stretches":
        """The runs in the table `frames`."""
        numbers, views = [np.empty((0, 3))], [np.empty(0, "U5")]
        for part in parts:
            columns = [np.asarray(part[name], np.float64) for name in ("frame", "time_s", "shot")]
            numbers.append(np.column_stack(columns))
            views.append(np.array(part["view"].to_pylist(), "U5"))
        frame, time_s, shot = np.vstack(numbers).T
        view = np.concatenate(views)
        new = (np.diff(shot, prepend=-1) != 0) | np.concatenate([[True], view[1:] != view[:-1]])[
            : len(shot)
        ]
        first = np.flatnonzero(new)
        last = np.append(first[1:], len(frame)) - 1 if len(first) else first
        following = np.append(first[1:], last[-1:])
        return cls(
            shot[first].astype(np.int64),
            view[first],
            frame[first].astype(np.int64),
            frame[last].astype(np.int64) + 1,
            time_s[first],
            np.where(following > last, time_s[following], np.nextafter(time_s[last], np.inf)),
        )

    def of_frames(self, frame: Ints) -> Ints:
        """The run (n,) in which each frame is."""
        return np.searchsorted(self.start_frame, frame, side="right") - 1


@dataclass(frozen=True)
class Moment:
    """Where people were seen, (n, 2) in metres, at one time."""

    time_s: float
    xy: Array


@dataclass(frozen=True)
class Shot:
    """One shot: `place` (3,) of its camera is NaN where that is not known, `speed_mps` is the
    median of the people seen in it, NaN without any; `opening` are the glances (n, GLANCE_SIZE) at
    the mixed frames before it, none after a hard cut; `wide_s` is how long it was wide."""

    number: int
    start_s: float
    end_s: float
    wide_s: float
    place: Array
    speed_mps: float
    moments: Sequence[Moment]
    opening: NDArray[np.uint8]

    @property
    def lasted_s(self) -> float:
        return self.end_s - self.start_s


@dataclass(frozen=True)
class People:
    """Rows of `tracks` of some frames of the match, and the first frame of each track."""

    frame: Ints
    time_s: Array
    xy: Array
    speed_mps: Array
    first_frame: dict[int, int]

    @classmethod
    def read(cls, parts: Iterable[pa.Table]) -> "People":
        """The placed rows of one frame in each `MOMENT_S`."""
        first: dict[int, int] = {}
        kept = [np.empty((0, 5))]
        newest = -1.0
        for part in parts:
            frame, track = part["frame"].to_numpy(), part["track"].to_numpy()
            numbers, firsts = np.unique(track, return_index=True)
            for number, at in zip(numbers.tolist(), frame[firsts].tolist(), strict=True):
                first.setdefault(number, at)
            names = ("frame", "time_s", "x", "y", "speed_mps")
            rows = np.column_stack(
                [np.asarray(part[name].to_numpy(), np.float64) for name in names]
            )
            slot = np.floor(rows[:, 1] / MOMENT_S + 1e-9)
            starts = np.flatnonzero(np.diff(slot, prepend=newest) > 0)
            chosen = np.isin(rows[:, 0], rows[starts, 0]) & np.isfinite(rows[:, 2:4]).all(axis=1)
            newest = float(slot[-1]) if len(slot) else newest
            kept.append(rows[chosen])
        table = np.vstack(kept)
        return cls(table[:, 0].astype(np.int64), table[:, 1], table[:, 2:4], table[:, 4], first)


def shots_of(match: WholeMatch, stretches: Stretches, people: People) -> list[Shot]:
    """All shots in order, one for each number."""
    numbers = np.unique(stretches.shot)
    places = _places(match, stretches, numbers)
    openings = _openings(match)
    of_row = (
        stretches.shot[stretches.of_frames(people.frame)] if len(people.frame) else people.frame
    )
    found = []
    for number, place in zip(numbers.tolist(), places, strict=True):
        runs, rows = stretches.shot == number, of_row == number
        lasted = stretches.end_s[runs] - stretches.start_s[runs]
        speeds = people.speed_mps[rows]
        speeds = speeds[np.isfinite(speeds)]
        found.append(
            Shot(
                number,
                float(stretches.start_s[runs][0]),
                float(stretches.end_s[runs][-1]),
                float(lasted[stretches.view[runs] == "wide"].sum()),
                place,
                float(np.median(speeds)) if len(speeds) else np.nan,
                _moments(people.time_s[rows], people.xy[rows]),
                openings.get(number, np.zeros((0, GLANCE_SIZE), np.uint8)),
            )
        )
    return found


def _moments(time_s: Array, xy: Array) -> list[Moment]:
    starts = np.flatnonzero(np.diff(time_s, prepend=-np.inf))
    parts = np.split(xy, starts[1:]) if len(starts) else []
    return [Moment(float(at), part) for at, part in zip(time_s[starts], parts, strict=True)]


def _places(match: WholeMatch, stretches: Stretches, numbers: Ints) -> Array:
    """The median place of each shot's camera, (n, 3); NaN where it was hardly ever known."""
    places = np.full((len(numbers), 3), np.nan)
    if not match.has("calibration"):
        return places
    rows: list[Array] = [np.empty((0, 4))]
    for part in match.parts("calibration"):
        known = part.filter(
            pc.and_(pc.not_equal(part["status"], "none"), part["camera_x"].is_valid())
        )
        names = ("frame", "camera_x", "camera_y", "camera_z")
        rows.append(
            np.column_stack([np.asarray(known[name].to_numpy(), np.float64) for name in names])
        )
    table = np.vstack(rows)
    shot = stretches.shot[stretches.of_frames(table[:, 0].astype(np.int64))]
    for index, number in enumerate(numbers):
        own = table[shot == number, 1:]
        if len(own) >= MIN_ANSWERS:
            places[index] = np.median(own, axis=0)
    return places


def _openings(match: WholeMatch) -> dict[int, NDArray[np.uint8]]:
    """The glances at the mixed frames before each shot that has any."""
    if not match.has("shot_changes"):
        return {}
    rows = match.table("shot_changes").select(["shot", "glances"]).to_pylist()
    return {
        row["shot"]: np.array(row["glances"], np.uint8).reshape(-1, GLANCE_SIZE)
        for row in rows
        if row["glances"]
    }
