"""The stage: frames in, final rows of tracks and of what was seen of them out."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from application.stage import Rows, StageResult, TimelineStage
from domain import tables
from domain.configuration import PlayerTrackingOptions
from stages.player_tracking import smoothing
from stages.player_tracking.reading import Frames, read_frames, read_persons
from stages.player_tracking.smoothing import Smoothed
from stages.player_tracking.state import HeldFrames, HeldRows, PlayerTrackingState, join, take
from stages.player_tracking.tracker import Tracker


class PlayerTrackingStage(TimelineStage[PlayerTrackingOptions, PlayerTrackingState]):
    """Gives each person a track number from where he is seen to where he is lost.

    A row waits until its track is confirmed, its gap closed and half a second beyond it seen, so
    that it is final when it is emitted. Tracks end at a cut, and only wide views are followed, in
    pixels where nothing is calibrated. A replay is followed like any wide view: which shots are
    replays only the whole match can tell, and `shots` then says whose rows those are.
    Persons that stand more than 6 m outside a calibrated pitch are not followed.
    """

    name = "player_tracking"
    version = 3
    requires = ("frames", "detections")
    optional = ("calibration",)
    produces = ("tracks", "track_evidence")
    state_type = PlayerTrackingState

    def advance(self, rows: Rows, state: PlayerTrackingState, *, final: bool) -> StageResult:
        frames = read_frames(rows)
        persons, starts = read_persons(rows, frames, self.facts)
        tracker = Tracker(state, self.options, self.facts)
        elapsed_s = np.zeros(len(frames.number))
        for index in range(len(frames.number)):
            seen = take(persons, slice(starts[index], starts[index + 1]))
            elapsed_s[index] = tracker.see(frames, index, seen)
        state.rows = join(tracker.rows)
        state.frames = join([state.frames, _held_frames(frames, elapsed_s)])
        return self._emit(state, rows.end, final=final)

    def _emit(self, state: PlayerTrackingState, end: int, *, final: bool) -> StageResult:
        """The rows that became final; the state keeps the others, and half a second of context."""
        settled = len(state.frames.frame) if final else _settled(state)
        first, watermark = state.emitted, end
        if settled < len(state.frames.frame):
            watermark = int(state.frames.frame[settled])
        result = self._tables(state, first, watermark)
        state.emitted = watermark
        _forget(state, settled)
        return StageResult(result, state, watermark)

    def _tables(
        self, state: PlayerTrackingState, first: int, watermark: int
    ) -> Mapping[str, pa.Table]:
        unproved = state.tracks.number[~state.tracks.confirmed]
        dropped = np.isin(state.rows.track, np.concatenate([unproved, _numbers(state.void)]))
        rows, gap_m = smoothing.bridge(take(state.rows, ~dropped))
        wanted = smoothing.window(rows, first, watermark)
        wanted = wanted[np.lexsort((rows.track[wanted], rows.frame[wanted]))]
        smoothed = smoothing.smooth(rows, gap_m, state.frames, wanted, self.facts)
        final_rows = take(rows, wanted)
        return {
            "tracks": _tracks_table(final_rows, smoothed),
            "track_evidence": _evidence_table(final_rows, smoothed),
        }


def _held_frames(frames: Frames, elapsed_s: np.ndarray) -> HeldFrames:
    return HeldFrames(frames.number, frames.time_s, elapsed_s, frames.camera, frames.error_m)


def _settled(state: PlayerTrackingState) -> int:
    """How many held frames no later frame can change.

    A track on probation may still be dropped, and a lost one found again: neither is settled.
    """
    tracks = state.tracks
    open_s = np.where(tracks.confirmed, tracks.seen_s, tracks.born_s - 1e-6)
    limit_s = min(state.clock_s, float(open_s.min(initial=np.inf)))
    return int(np.searchsorted(state.frames.time_s, limit_s - smoothing.WINDOW_S, side="right"))


def _forget(state: PlayerTrackingState, settled: int) -> None:
    """Drop the held frames and rows that no row to come looks back on."""
    if not settled:
        return
    horizon_s = float(state.frames.time_s[settled - 1]) - smoothing.WINDOW_S
    state.frames = take(state.frames, state.frames.time_s > horizon_s)
    state.rows = take(state.rows, state.rows.time_s > horizon_s)
    held = set(state.rows.track.tolist())
    state.void = [number for number in state.void if number in held]


def _numbers(values: list[int]) -> np.ndarray:
    return np.array(values, np.int64)


def _tracks_table(rows: HeldRows, smoothed: Smoothed) -> pa.Table:
    columns: dict[str, Any] = {
        name: rows.box[:, column] for column, name in enumerate(("x1", "y1", "x2", "y2"))
    }
    return tables.make(
        "tracks",
        {
            "frame": rows.frame,
            "time_s": rows.time_s,
            "track": rows.track,
            **columns,
            "x": np.ma.masked_invalid(smoothed.place[:, 0]),
            "y": np.ma.masked_invalid(smoothed.place[:, 1]),
            "sigma_m": np.ma.masked_invalid(smoothed.sigma_m),
            "speed_mps": np.ma.masked_invalid(smoothed.speed_mps),
            "observed": rows.observed,
        },
    )


def _evidence_table(rows: HeldRows, smoothed: Smoothed) -> pa.Table:
    seen = rows.observed
    return tables.make(
        "track_evidence",
        {
            "frame": rows.frame[seen],
            "track": rows.track[seen],
            "role": np.array(tables.PERSON_ROLES)[rows.role[seen]],
            "confidence": rows.confidence[seen],
            "x": np.ma.masked_invalid(smoothed.place[seen, 0]),
            "y": np.ma.masked_invalid(smoothed.place[seen, 1]),
            "appearance": _lists(rows.appearance[seen], rows.length[seen]),
        },
    )


def _lists(values: np.ndarray, length: np.ndarray) -> pa.Array:
    """Rows of `values` (n, 64) cut to `length`, null where it is -1."""
    count = np.maximum(length, 0).astype(np.int32)
    inside = np.arange(values.shape[1])[None] < count[:, None]
    offsets = pa.array(np.concatenate([[0], np.cumsum(count)]).astype(np.int32))
    flat = pa.array(values[inside], pa.float16())
    return pa.ListArray.from_arrays(offsets, flat, mask=pa.array(length < 0))
