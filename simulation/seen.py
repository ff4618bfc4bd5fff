"""What the frames of a film show: boxes, tracks, the ball, and how much of everybody."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from domain import tables
from simulation.arrays import Bools, Floats, Ints
from simulation.camera import CameraPath
from simulation.film import Film
from simulation.motion import Motion
from simulation.people import Person
from simulation.transitions import behind_wipe, transition_at
from simulation.views import MIN_HEIGHT_PX, NEAREST_M, SEEN_SHARE, FrameView, Viewer

FIRST_TRACK = 1  # a person's track is his index and this
BALL_MARGIN_PX = 0.7  # how far the lens and the codec spread the ball's edge


class _People(NamedTuple):
    """Who is in the picture (n): frame, person, box (n, 4), whether and how much of him is seen."""

    frame: Ints
    who: Ints
    boxes: Floats
    clear: Bools
    visible: Floats


def watch(people: list[Person], motion: Motion, film: Film, frames: pa.Table) -> "Seen":
    """Look at every frame of a film."""
    wide, replay = pc.equal(frames["view"], "wide"), frames["replay"]
    measurable = pc.and_(wide, pc.invert(replay)).to_numpy()
    seen = Seen(people, motion, film.camera, measurable)
    viewer, size = Viewer(people, film.shown, film.camera), (film.camera.width, film.camera.height)
    for frame, (row, shot) in enumerate(zip(film.rows, film.shot_index(), strict=True)):
        view, change = viewer.view(int(row)), transition_at(film, int(shot), frame)
        seen.add(frame, behind_wipe(view, change, size) if change else view)
    return seen


class Seen:
    """Rows of detections, tracks and ball, collected frame by frame."""

    def __init__(
        self, people: list[Person], motion: Motion, camera: CameraPath, measurable: Bools
    ) -> None:
        self._roles = np.array([person.role for person in people])
        self._motion, self._camera, self._measurable = motion, camera, measurable
        self._people: list[_People] = []
        self._balls: list[tuple[Floats, bool]] = []

    def add(self, frame: int, view: FrameView) -> None:
        boxes = view.clipped(self._camera.width, self._camera.height)
        size = boxes[:, 2:] - boxes[:, :2]
        in_view = (size[:, 0] > 1) & (size[:, 1] >= MIN_HEIGHT_PX) & (view.depth > NEAREST_M)
        clear = in_view & (view.visible >= SEEN_SHARE)
        who = np.flatnonzero(in_view)
        frames = np.full(len(who), frame, dtype=np.int64)
        self._people.append(_People(frames, who, boxes[who], clear[who], view.visible[who]))
        reach = view.ball_radius_px + BALL_MARGIN_PX
        ends = np.stack([view.ball_px, view.ball_tail_px])
        box = np.concatenate([ends.min(axis=0) - reach, ends.max(axis=0) + reach, view.ball_px])
        self._balls.append((box, view.ball_visible))

    def tables(self) -> dict[str, pa.Table]:
        people = self._everyone()
        frame, who, boxes, clear = people.frame, people.who, people.boxes, people.clear
        return {
            "detections": self._detections(frame, who, boxes, clear),
            "tracks": self._tracks(frame, who, boxes, clear),
            "ball": self._ball(),
        }

    def visibility(self) -> pa.Table:
        """How much of each figure in the picture is seen: frame, track, share_visible (0 to 1).

        The rest is hidden by others or beyond the picture's edge. Replays have rows too.
        """
        people = self._everyone()
        return pa.table(
            {
                "frame": pa.array(people.frame, pa.int64()),
                "track": pa.array(people.who + FIRST_TRACK, pa.int64()),
                "share_visible": pa.array(people.visible, pa.float32()),
            }
        )

    def _everyone(self) -> "_People":
        """The people of all frames."""
        return _People(*(np.concatenate(column) for column in zip(*self._people, strict=True)))

    def _detections(
        self, frame: np.ndarray, who: np.ndarray, boxes: Floats, clear: np.ndarray
    ) -> pa.Table:
        balls = np.array([box for box, _ in self._balls])
        seen = np.flatnonzero([visible for _, visible in self._balls])
        frames = np.concatenate([frame[clear], seen])
        all_boxes = np.concatenate([boxes[clear], balls[seen, :4]])
        roles = np.concatenate([self._roles[who[clear]], np.full(len(seen), "ball")])
        order = np.argsort(frames, kind="stable")
        return tables.make(
            "detections",
            {
                "frame": frames[order],
                **_box_columns(all_boxes[order]),
                "confidence": np.ones(len(order)),
                "role": roles[order].tolist(),
                "appearance": [None] * len(order),
            },
        )

    def _tracks(
        self, frame: np.ndarray, who: np.ndarray, boxes: Floats, clear: np.ndarray
    ) -> pa.Table:
        kept = self._measurable[frame]
        frame, who, boxes, clear = frame[kept], who[kept], boxes[kept], clear[kept]
        return tables.make(
            "tracks",
            {
                "frame": frame,
                "time_s": self._motion.time_s[frame],
                "track": who + FIRST_TRACK,
                **_box_columns(boxes),
                "x": self._motion.position[frame, who, 0],
                "y": self._motion.position[frame, who, 1],
                "sigma_m": np.zeros(len(frame)),
                "speed_mps": self._motion.speed_mps[frame, who],
                "observed": clear,
            },
        )

    def _ball(self) -> pa.Table:
        """Where the ball is; out of sight its pixel is null and its status absent."""
        motion, frame = self._motion, np.flatnonzero(self._measurable)
        pixel = np.array([box[4:] for box, _ in self._balls])[frame]
        visible = np.array([visible for _, visible in self._balls])[frame]
        return tables.make(
            "ball",
            {
                "frame": frame,
                "time_s": motion.time_s[frame],
                **{axis: motion.ball[frame, i] for i, axis in enumerate("xyz")},
                "pixel_x": np.ma.array(pixel[:, 0], mask=~visible),
                "pixel_y": np.ma.array(pixel[:, 1], mask=~visible),
                "sigma_m": np.zeros(len(frame)),
                "status": np.where(visible, "seen", "absent").tolist(),
                "confidence": np.ones(len(frame)),
            },
        )


def _box_columns(boxes: Floats) -> dict[str, Floats]:
    return {name: boxes[:, i] for i, name in enumerate(("x1", "y1", "x2", "y2"))}
