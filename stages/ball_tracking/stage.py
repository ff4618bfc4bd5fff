"""The stage: frames and ball boxes in, where the ball was out."""

from typing import Any

import numpy as np
import pyarrow as pa

from application.stage import Rows, StageResult, TimelineStage
from domain import tables
from domain.configuration import BallTrackingOptions
from stages.ball_tracking import candidates, hypotheses, line, marks, on_pitch, particles
from stages.ball_tracking.state import (
    ABSENT,
    BallTrackingState,
    Cloud,
    Frames,
    Hypotheses,
    join,
    take,
)

DECISION_S = 1.0
SMOOTHING_FRAMES = 10
SCALE_GAIN = 0.1
# false boxes in a usual frame, followed for so long
CLUTTER_MEMORY_S = 2.0
LEAST_CLUTTER = 0.1
# a player of a main camera's picture is about a sixteenth of its height: used until one is seen
USUAL_PERSON_SHARE = 1 / 16


class BallTrackingStage(TimelineStage[BallTrackingOptions, BallTrackingState]):
    """Follows the ball through doubtful boxes, false ones and gaps.

    Each frame is decided a second later, between several open hypotheses, then smoothed by a
    Kalman filter (or estimated by particles). Places on the pitch assume a ball on the ground;
    `sigma_m` grows where its speed or its place says that it flies. Heights are not measured: z is
    null. Gaps longer than `max_missing_frames` are absent, as is the ball in a view that is not
    wide.
    """

    name = "ball_tracking"
    version = 4
    requires = ("frames", "detections")
    optional = ("calibration",)
    produces = ("ball",)
    state_type = BallTrackingState

    def advance(self, rows: Rows, state: BallTrackingState, *, final: bool) -> StageResult:
        first = len(state.frames.frame)
        fresh = candidates.read(rows, self.options, self.facts)
        state.frames = join(state.frames, fresh)
        for index in range(first, len(state.frames.frame)):
            self._see(state, index)
        if final:
            self._decide_all(state)
        return self._emit(state, rows.end, final=final)

    def _see(self, state: BallTrackingState, index: int) -> None:
        frames = state.frames
        if frames.shot[index] != state.shot:
            self._cut(state, int(frames.shot[index]), float(frames.time_s[index]))
        elapsed_s = float(frames.time_s[index]) - state.clock_s
        state.clock_s = float(frames.time_s[index])
        frames.elapsed_s[index] = elapsed_s
        peopled = bool(np.isfinite(frames.scale[index]))
        scale = self._scale(state, float(frames.scale[index]))
        frames.scale[index] = scale
        boxes = frames.candidates[index]
        boxes = boxes[np.isfinite(boxes[:, 0])]
        motion = frames.motion[index]
        hypotheses.predict(state.hypotheses, elapsed_s, motion, scale)
        rolling = hypotheses.rolling(state.hypotheses, scale)
        state.marks, cost = marks.watch(state.marks, boxes, elapsed_s, motion, scale, rolling)
        if peopled:  # else it is a close-up, of which no box is read
            share = 1 - np.exp(-elapsed_s / CLUTTER_MEMORY_S)
            state.clutter += share * (candidates.false_boxes(boxes[:, 2]) - state.clutter)
        # a path that goes on where something stays on the pitch loses what lying where expected is
        # worth; one that begins there, or stays beyond the lines, pays all of the mark's cost
        beyond = boxes[:, 4] > 0
        lasting = np.where(beyond, cost, np.minimum(cost, hypotheses.NEAR))
        # one box among many false ones is less likely the ball
        boxes[:, 3] -= lasting + np.log(max(state.clutter, LEAST_CLUTTER))
        boxes[:, 4] += cost - lasting
        frames.candidates[index, : len(boxes)] = boxes
        state.hypotheses = hypotheses.extend(
            state.hypotheses, boxes, hypotheses.noise_at(scale), self.options.max_missing_frames
        )
        if state.hypotheses.history.shape[1] > self.decision_frames:
            code, state.hypotheses = hypotheses.decide(state.hypotheses)
            self._decide(state, code)

    @property
    def decision_frames(self) -> int:
        return max(round(DECISION_S * self.facts.frame_rate), 2)

    def _scale(self, state: BallTrackingState, measured: float) -> float:
        """Pixels per metre, followed slowly: the median person changes from frame to frame."""
        if not state.scale:
            usual = self.facts.height * USUAL_PERSON_SHARE / candidates.PERSON_HEIGHT_M
            state.scale = measured if np.isfinite(measured) else usual
        elif np.isfinite(measured):
            state.scale += SCALE_GAIN * (measured - state.scale)
        return state.scale

    def _cut(self, state: BallTrackingState, shot: int, now_s: float) -> None:
        """Decide what the shot before left open, and start anew."""
        self._decide_all(state)
        state.hypotheses, state.cloud = Hypotheses(), Cloud()
        state.marks = state.marks[:0]
        state.scale, state.shot, state.clock_s = 0.0, shot, now_s

    def _decide_all(self, state: BallTrackingState) -> None:
        best = int(state.hypotheses.score.argmax())
        for code in state.hypotheses.history[best]:
            self._decide(state, int(code))
        state.hypotheses = Hypotheses()

    def _decide(self, state: BallTrackingState, code: int) -> None:
        index, frames = state.decided, state.frames
        noise = hypotheses.noise_at(float(frames.scale[index]))
        fresh = state.lines
        line.decided(state, index, code, noise)
        state.decided += 1
        if self.options.tracking_method == "particle" and code != ABSENT:
            step = particles.begin if state.lines > fresh else particles.go_on
            step(state.cloud, frames, index, self.options, noise)

    def _emit(self, state: BallTrackingState, end: int, *, final: bool) -> StageResult:
        lag = self.options.max_missing_frames + SMOOTHING_FRAMES
        count = state.decided if final else max(state.decided - lag, 0)
        frames, watermark = state.frames, end
        if count < len(frames.frame):
            watermark = int(frames.frame[count])
        if self.options.tracking_method == "particle":
            place, velocity = frames.place[:count], frames.velocity[:count]
            variance = frames.covariance[:count, 0]
        else:
            place, velocity, variance = line.smooth(take(frames, slice(state.decided)), count, lag)
        path = on_pitch.locate(take(frames, slice(count)), place, velocity, variance, self.facts)
        state.frames = take(frames, slice(count, None))
        state.decided -= count
        return StageResult({"ball": _table(take(frames, slice(count)), path)}, state, watermark)


def _table(frames: Frames, path: on_pitch.Path) -> pa.Table:
    columns: dict[str, Any] = {
        "x": path.place[:, 0],
        "y": path.place[:, 1],
        "z": np.full(len(frames.frame), np.nan),
        "pixel_x": path.pixel[:, 0],
        "pixel_y": path.pixel[:, 1],
        "sigma_m": path.sigma_m,
    }
    status = np.where(frames.code >= 0, "seen", "estimated")
    return tables.make(
        "ball",
        {
            "frame": frames.frame,
            "time_s": frames.time_s,
            **{name: np.ma.masked_invalid(values) for name, values in columns.items()},
            "status": np.where(frames.code == ABSENT, "absent", status),
            "confidence": frames.confidence,
        },
    )
