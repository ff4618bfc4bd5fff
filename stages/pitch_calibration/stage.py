"""The stage `pitch_calibration`: shots, views and a camera for each frame."""

from collections.abc import Sequence
from typing import ClassVar

import msgspec
import numpy as np
import pyarrow as pa

from application.stage import MatchFacts, Rows, StageResult, TimelineStage, WholeMatch
from domain import tables
from domain.configuration import PitchCalibrationOptions
from stages.pitch_calibration import size
from stages.pitch_calibration.answers import (
    fixed_tables,
    followed_tables,
    shot_changes_table,
)
from stages.pitch_calibration.first_look import FirstLook
from stages.pitch_calibration.fixed import FixedCamera
from stages.pitch_calibration.following import Followed, Follower, Row
from stages.pitch_calibration.reading import joined, sighting
from stages.pitch_calibration.resting import Rest, hold_still
from stages.pitch_calibration.settling import settle
from stages.pitch_calibration.shots import Arrival, ShotState, divided

# rows become final in blocks of this many seconds, when so much more has been seen
BLOCK_S, LOOKAHEAD_S = 0.2, 0.8
BY_FRAME = ("frames", "calibration", "shot_changes")


class CalibrationState(msgspec.Struct):
    """Rows that wait for what comes after them, and what is known of the camera."""

    shots: ShotState = msgspec.field(default_factory=ShotState)
    rows: list[Row] = []
    followed: Followed = msgspec.field(default_factory=Followed)
    rest: Rest = msgspec.field(default_factory=Rest)
    shot: int = 0
    settled_shot: int = 0


class PitchCalibrationStage(TimelineStage[PitchCalibrationOptions, CalibrationState]):
    """Finds shots, views and the camera of each frame.

    Shots and views come of the pictures, and of the persons in them where they are detected.

    A frame's points correct a camera that the motion carries along. Frames without points get the
    carried one, from before and from after, for at most `max_propagation_s`; after a cut nothing
    is known until points are seen in the new shot. A row is final within three seconds of its
    frame: two to tell a dissolve or a wipe, one to look ahead. Whether a shot is a replay only the
    whole match can tell: `replay` is False here, and `shots` says what it is.
    """

    name: ClassVar[str] = "pitch_calibration"
    version: ClassVar[int] = 12
    requires: ClassVar[tuple[str, ...]] = ("video_frames", "pitch_observations")
    optional: ClassVar[tuple[str, ...]] = ("detections",)
    knows: ClassVar[tuple[str, ...]] = ("periods",)
    concludes_with: ClassVar[tuple[str, ...]] = ("pitch_observations",)
    produces: ClassVar[tuple[str, ...]] = (*BY_FRAME, "pitch_size")
    state_type: ClassVar[type[msgspec.Struct]] = CalibrationState

    def __init__(self, options: PitchCalibrationOptions, facts: MatchFacts) -> None:
        super().__init__(options, facts)
        self.centre = np.array([facts.width, facts.height]) / 2
        self.points = facts.pitch.points()
        self.block = max(round(BLOCK_S * facts.frame_rate), 1)
        self.wait = self.block + round(LOOKAHEAD_S * facts.frame_rate)
        self.follower = Follower(
            FirstLook(
                self.centre,
                facts.pitch,
                options.min_points,
                options.ransac_threshold_m,
            ),
            self.centre,
            options.max_propagation_s,
        )
        pairs = options.fixed_points
        self.fixed = FixedCamera.from_pairs(pairs, self.centre) if pairs else None

    def advance(self, rows: Rows, state: CalibrationState, *, final: bool) -> StageResult:
        parts = []
        for arrival in divided(state.shots, joined(rows, self.facts.height), final=final):
            self._follow(arrival, state)
            if len(state.rows) == self.wait:
                parts.append(self._settled(state, self.block))
        if final and state.rows:
            parts.append(self._settled(state, len(state.rows)))
        return StageResult(_together(parts), state, _watermark(state, rows.end))

    def conclude(self, match: WholeMatch, state: CalibrationState) -> StageResult:  # noqa: ARG002
        return StageResult({"pitch_size": size.table(match, self.facts)})

    def _follow(self, arrival: Arrival, state: CalibrationState) -> None:
        row = arrival.row
        hold_still(state.rest, arrival, state.shots.waiting, self.centre)
        row.shot = state.shot + arrival.cut
        if arrival.cut:
            state.followed.begin_shot(row.time_s)
        if row.decoded and not row.mixed and self.fixed is None:
            seen = sighting(arrival.seen, self.points, self.facts.width)
            self.follower.follow(row, state.rows, seen, state.followed)
        row.trust = state.followed.trust
        state.shot = row.shot  # a cut may be told by the camera alone
        state.rows.append(row)

    def _settled(self, state: CalibrationState, count: int) -> dict[str, pa.Table]:
        """Make the first `count` waiting rows final."""
        ready = state.rows[:count]
        if self.fixed is not None:
            made = fixed_tables(ready, self.fixed, self.facts.periods)
        else:
            beliefs = settle(state.rows, self.centre, self.options.max_propagation_s)
            made = followed_tables(
                ready,
                beliefs[:count],
                self.centre,
                self.facts.pitch,
                self.options.max_error_m,
                self.facts.periods,
            )
        made["shot_changes"] = shot_changes_table(ready, state.settled_shot)
        state.rows, state.settled_shot = state.rows[count:], ready[-1].shot
        return made


def _watermark(state: CalibrationState, end: int) -> int:
    waiting = [*state.rows[:1], *(each.row for each in state.shots.waiting[:1])]
    return waiting[0].frame if waiting else end


def _together(parts: Sequence[dict[str, pa.Table]]) -> dict[str, pa.Table]:
    return {
        name: pa.concat_tables([tables.empty(name), *(part[name] for part in parts)])
        for name in BY_FRAME
    }
