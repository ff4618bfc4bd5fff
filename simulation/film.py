"""The film of a match: its shots, and the camera and the moment of play of every frame."""

from dataclasses import dataclass

import numpy as np

from simulation.arrays import Floats, Ints
from simulation.camera import CameraPath, joined
from simulation.close_cameras import close_up, crowd_shot, touchline_stance
from simulation.direction import Cue, direct
from simulation.motion import Motion, at_frames
from simulation.operators import (
    Stance,
    behind_goal_stance,
    camera_path,
    follow,
    line_stance,
    main_stance,
)
from simulation.options import SimulationOptions
from simulation.play import PlayRecord

DISSOLVE_S, WIPE_S = 0.5, 0.64
REACH_S = {"cut": 0.0, "dissolve": DISSOLVE_S / 2, "wipe": WIPE_S / 2}
REPLAY_VIEW_M = {"line": 27.0, "behind_goal": 34.0}


@dataclass(frozen=True)
class Shot:
    """Frames `first` to before `stop`, all from one camera.

    Its rows in the film begin at `row` with `lead` frames from before it, and as many from after
    it follow: a dissolve shows two shots at once. `reach` frames on either side of `first` belong
    to the transition by which the shot opens.
    """

    cue: Cue
    first: int
    stop: int
    row: int
    lead: int = 0
    reach: int = 0

    def row_of(self, frame: int) -> int:
        """The film's row that shows `frame` through this shot's camera."""
        return self.row + self.lead + frame - self.first


@dataclass(frozen=True)
class Film:
    """`camera` and `shown`, the play before it, have a row for each frame of each shot, those of
    dissolves twice; `rows` (frames) are the rows on air.
    """

    shots: list[Shot]
    camera: CameraPath
    shown: Motion
    rows: Ints

    def shot_index(self) -> Ints:
        """The number (frames) of the shot on air."""
        return np.repeat(np.arange(len(self.shots)), [s.stop - s.first for s in self.shots])


def film(
    record: PlayRecord, motion: Motion, options: SimulationOptions, rng: np.random.Generator
) -> Film:
    """Film a match that is seen at the video's times as `motion`."""
    if options.broadcast:
        return _Broadcast(record, motion, options, rng).film()
    count, size = options.frame_count, (options.width, options.height)
    camera = camera_path(options.camera, motion.ball, float(options.rate), size, rng)
    cue = Cue(options.camera, 0.0, options.seconds, 0.0)
    return Film([Shot(cue, 0, count, 0)], camera, motion, np.arange(count))


class _Broadcast:
    """The cameras of one broadcast and what each of them filmed."""

    def __init__(
        self,
        record: PlayRecord,
        motion: Motion,
        options: SimulationOptions,
        rng: np.random.Generator,
    ) -> None:
        self._record, self._motion, self._rng = record, motion, rng
        self._fps, self._size = float(options.rate), (options.width, options.height)
        self._cues = direct(record, options.seconds, rng)
        self._main = main_stance(rng)
        self._lines = {sign: line_stance(self._main, sign, rng) for sign in (-1, 1)}
        self._ends = {sign: behind_goal_stance(sign, rng) for sign in (-1, 1)}
        self._main_path = follow(self._main, motion.ball, self._fps, self._size, rng)

    def film(self) -> Film:
        shots, times = self._shots()
        shown = at_frames(self._record, np.concatenate(times))
        rows = np.concatenate([s.row_of(s.first) + np.arange(s.stop - s.first) for s in shots])
        spans = [np.arange(s.row, s.row + len(t)) for s, t in zip(shots, times, strict=True)]
        paths = [self._path(s, shown, span) for s, span in zip(shots, spans, strict=True)]
        return Film(shots, joined(paths), shown, rows)

    def _shots(self) -> tuple[list[Shot], list[Floats]]:
        """The shots and the times of play of the rows of each."""
        lead, count = round(DISSOLVE_S / 2 * self._fps), len(self._motion.time_s)
        edges = [min(round(cue.start_s * self._fps), count) for cue in self._cues] + [count]
        shots: list[Shot] = []
        times: list[Floats] = []
        for cue, first, stop in zip(self._cues, edges[:-1], edges[1:], strict=True):
            reach = round(REACH_S[cue.opening] * self._fps)
            shots.append(Shot(cue, first, stop, sum(map(len, times)), lead, reach))
            times.append(self._shown_s(shots[-1]))
        return shots, times

    def _shown_s(self, shot: Shot) -> Floats:
        """The time of play at each row of a shot."""
        frames = np.arange(shot.first - shot.lead, shot.stop + shot.lead)
        since_s = (frames - shot.first) / self._fps
        live_s = shot.first / self._fps
        start_s, pace = (shot.cue.play_s, shot.cue.pace) if shot.cue.replay else (live_s, 1.0)
        return np.asarray(np.clip(start_s + pace * since_s, 0.0, self._motion.time_s[-1]))

    def _path(self, shot: Shot, shown: Motion, rows: Ints) -> CameraPath:
        cue, fps = shot.cue, self._fps / shot.cue.pace
        if cue.camera == "main":
            frames = np.arange(shot.first - shot.lead, shot.stop + shot.lead)
            return self._main_path.take(np.clip(frames, 0, len(self._motion.time_s) - 1))
        if cue.camera == "crowd":
            return crowd_shot(len(rows), self._main.place, fps, self._size, self._rng)
        ball = shown.ball[rows]
        if cue.camera == "close" and cue.subject is not None:
            subject = shown.position[rows, cue.subject]
            return close_up(subject, self._main.place, fps, self._size, self._rng)
        return follow(self._stance(cue, ball), ball, fps, self._size, self._rng)

    def _stance(self, cue: Cue, ball: Floats) -> Stance:
        """A camera near the end that the ball (n, 3) is at, closer in replays."""
        end = 1 if ball[:, 0].mean() > 0 else -1
        if cue.camera == "touchline":
            return touchline_stance(float(ball[:, 0].mean()), self._rng)
        stance = (self._lines if cue.camera == "line" else self._ends)[end]
        return stance.on_ball(REPLAY_VIEW_M[cue.camera]) if cue.replay else stance
