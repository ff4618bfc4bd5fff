"""The truth of a simulated match in the tables of domain.tables."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np
import pyarrow as pa

from domain import tables
from domain.periods import Period
from simulation.arrays import Floats, Ints
from simulation.camera import CameraPath
from simulation.film import Film
from simulation.motion import Motion
from simulation.people import PEOPLE, PLAYERS, SQUAD, Person
from simulation.play import PlayRecord
from simulation.seen import FIRST_TRACK, watch
from simulation.state import TEAMS, Action
from simulation.transitions import transition_at

SEGMENT_S = 20.0


@dataclass(frozen=True)
class Truth:
    """`tables` by the names of domain.tables; `positions` and `visibility` have no such name."""

    tables: Mapping[str, pa.Table]
    positions: pa.Table
    visibility: pa.Table


def write_down(
    record: PlayRecord, motion: Motion, film: Film, formations: tuple[str, str]
) -> Truth:
    """The truth of a match; everything is known, so confidences are 1 and errors 0.

    What is measured (tracks, ball) has rows where the play is live in a wide view; detections,
    visibility and the camera have them in every frame, positions and match events throughout.
    """
    frames = _frames(record.periods, motion, film)
    seen = watch(record.people, motion, film, frames)
    public = {
        "frames": frames,
        "calibration": _calibration(film.camera.take(film.rows)),
        **seen.tables(),
        "identities": _identities(record.people),
        "match_events": _events(record, motion),
        "formations": _formations(record, motion, formations),
        "metrics": _metrics(record, motion),
    }
    return Truth(public, _positions(motion), seen.visibility())


def _frames(periods: list[Period], motion: Motion, film: Film) -> pa.Table:
    count, shot = len(motion.time_s), film.shot_index()
    cues = [one.cue for one in film.shots]
    return tables.make(
        "frames",
        {
            "frame": np.arange(count),
            "time_s": motion.time_s,
            **_clock(periods, motion.time_s),
            "segment": (motion.time_s // SEGMENT_S).astype(np.int64),
            "decoded": np.ones(count, dtype=bool),
            "view": [_view(film, int(index), frame) for frame, index in enumerate(shot)],
            "shot": shot,
            "replay": np.array([cue.replay for cue in cues])[shot],
            "camera_motion": _camera_motion(film.camera.take(film.rows), shot),
        },
    )


def _clock(periods: list[Period], time_s: Floats) -> dict[str, np.ma.MaskedArray]:
    """The period and the match clock of each frame; neither outside the periods."""
    nowhere = np.ones(len(time_s), dtype=bool)
    number = np.ma.array(np.zeros(len(time_s), dtype=np.int64), mask=nowhere)
    clock_s = np.ma.array(np.zeros(len(time_s)), mask=nowhere)
    for period in periods:
        within = period.holds(time_s)
        number[within], clock_s[within] = period.number, period.clock_s(time_s[within])
    return {"period": number, "match_clock_s": clock_s}


def _view(film: Film, shot: int, frame: int) -> str:
    """The view of the shot on air; a logo that sweeps over the picture is another."""
    change = transition_at(film, shot, frame)
    return "other" if change and change.kind == "wipe" else film.shots[shot].cue.view


def _camera_motion(camera: CameraPath, shot: Ints) -> np.ma.MaskedArray:
    """Maps the pixels of the frame before to each frame's; the first of a shot has none."""
    to_pitch = camera.homographies()
    steps = np.linalg.inv(to_pitch[1:]) @ to_pitch[:-1]
    steps = np.concatenate([np.eye(3)[None], steps / steps[:, 2:, 2:]])
    rows = np.ma.array(steps.reshape(-1, 9), mask=np.zeros((len(steps), 9), dtype=bool))
    rows[np.diff(shot, prepend=-1) > 0] = np.ma.masked
    return rows


def _calibration(camera: CameraPath) -> pa.Table:
    count = len(camera)
    return tables.make(
        "calibration",
        {
            "frame": np.arange(count),
            "homography": camera.homographies().reshape(-1, 9),
            "focal_px": camera.focal_px,
            "pan_deg": camera.pan_deg,
            "tilt_deg": camera.tilt_deg,
            "roll_deg": camera.roll_deg,
            **{f"camera_{axis}": camera.position[:, i] for i, axis in enumerate("xyz")},
            "k1": camera.k1,
            "error_m": np.zeros(count),
            "status": ["measured"] * count,
        },
    )


def _identities(people: list[Person]) -> pa.Table:
    return tables.make(
        "identities",
        {
            "track": np.arange(PEOPLE) + FIRST_TRACK,
            "player": [person.name for person in people],
            "number": [person.number for person in people],
            "team": [person.team for person in people],
            "role": [person.role for person in people],
            "confidence": np.ones(PEOPLE),
        },
    )


def _events(record: PlayRecord, motion: Motion) -> pa.Table:
    """The actions that begin and end inside the video, in the order in which they began."""
    last_s = float(motion.time_s[-1])
    actions = sorted(
        (action for action in record.actions if action.end_s <= last_s),
        key=lambda action: (action.start_s, action.end_s),
    )
    starts, ends = (
        [int(np.abs(motion.time_s - getattr(action, name)).argmin()) for action in actions]
        for name in ("start_s", "end_s")
    )
    names = [person.name for person in record.people] + [None]
    return tables.make(
        "match_events",
        {
            "event": np.arange(len(actions)),
            "type": [action.kind for action in actions],
            **_moment("start", actions, starts),
            **_moment("end", actions, ends),
            "player": [names[-1 if a.player is None else a.player] for a in actions],
            "receiver": [names[-1 if a.receiver is None else a.receiver] for a in actions],
            "team": [TEAMS[action.team] for action in actions],
            "outcome": [action.outcome for action in actions],
            "confidence": np.ones(len(actions)),
            "evidence": ["simulated"] * len(actions),
            "evidence_frames": [[start, end] for start, end in zip(starts, ends, strict=True)],
            "provisional": [False] * len(actions),
        },
    )


def _moment(name: str, actions: list[Action], frames: list[int]) -> dict[str, object]:
    places = np.array([getattr(action, f"{name}_xy") for action in actions]).reshape(-1, 2)
    return {
        f"{name}_frame": frames,
        f"{name}_s": [getattr(action, f"{name}_s") for action in actions],
        f"{name}_x": places[:, 0],
        f"{name}_y": places[:, 1],
    }


def _formations(record: PlayRecord, motion: Motion, labels: tuple[str, str]) -> pa.Table:
    """A row a team, phase and half; x and y are mean places in pitch metres."""
    rows = []
    for period, team in product(record.periods, (0, 1)):
        people = list(range(team * SQUAD, (team + 1) * SQUAD))
        span = (period.start_s, min(period.end_s, float(motion.time_s[-1])))
        for phase, frames in _phases(motion, team):
            frames = frames & period.holds(motion.time_s)
            if frames.any():
                mean = motion.position[frames][:, people].mean(axis=0)
                rows.append((TEAMS[team], phase, labels[team], people, mean, *span))
    return tables.make(
        "formations",
        {
            "team": [row[0] for row in rows],
            "start_s": [row[5] for row in rows],
            "end_s": [row[6] for row in rows],
            "phase": [row[1] for row in rows],
            "label": [row[2] for row in rows],
            "players": [[record.people[i].name for i in row[3]] for row in rows],
            "positions": [[record.people[i].position for i in row[3]] for row in rows],
            "x": [row[4][:, 0].tolist() for row in rows],
            "y": [row[4][:, 1].tolist() for row in rows],
            "confidence": np.ones(len(rows)),
        },
    )


def _phases(motion: Motion, team: int) -> list[tuple[str, np.ndarray]]:
    return [
        ("all", np.ones(len(motion.team), dtype=bool)),
        ("in_possession", motion.team == team),
        ("out_of_possession", motion.team == 1 - team),
    ]


def _metrics(record: PlayRecord, motion: Motion) -> pa.Table:
    """Distance and top speed of each player, share of possession of each team, in the halves."""
    played = np.any([period.holds(motion.time_s) for period in record.periods], axis=0)
    moved = np.linalg.norm(np.diff(motion.position, axis=0), axis=2)
    steps = moved[played[1:] & played[:-1]].sum(axis=0)
    fastest = motion.speed_mps[played].max(axis=0)
    names = [person.name for person in record.people[:PLAYERS]]
    rows = [("player", name, "distance", steps[i], "m") for i, name in enumerate(names)]
    rows += [("player", name, "max_speed", fastest[i], "m/s") for i, name in enumerate(names)]
    held = np.array([(motion.team == team).sum() for team in (0, 1)], dtype=np.float64)
    shares = held / max(held.sum(), 1.0)
    rows += [("team", team, "possession", shares[i], "share") for i, team in enumerate(TEAMS)]
    count = len(rows)
    columns = dict(
        zip(("scope", "subject", "name", "value", "unit"), zip(*rows, strict=True), strict=True)
    )
    return tables.make(
        "metrics",
        {
            **columns,
            "uncertainty": np.zeros(count),
            "start_s": np.zeros(count),
            "end_s": np.full(count, float(motion.time_s[-1])),
            "observed_share": np.ones(count),
        },
    )


def _positions(motion: Motion) -> pa.Table:
    """Everyone at every frame: frame, time_s, track, x, y (metres), speed_mps."""
    frame = np.repeat(np.arange(len(motion.time_s)), PEOPLE)
    return pa.table(
        {
            "frame": pa.array(frame, pa.int64()),
            "time_s": pa.array(motion.time_s[frame], pa.float64()),
            "track": pa.array(
                np.tile(np.arange(PEOPLE) + FIRST_TRACK, len(motion.time_s)), pa.int64()
            ),
            "x": pa.array(motion.position[..., 0].ravel(), pa.float32()),
            "y": pa.array(motion.position[..., 1].ravel(), pa.float32()),
            "speed_mps": pa.array(motion.speed_mps.ravel(), pa.float32()),
        }
    )
