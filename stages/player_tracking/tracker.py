"""One frame at a time: predict, associate in steps, correct, start and end tracks.

The steps are those of ByteTrack (Zhang et al., "ByteTrack: Multi-Object Tracking by Associating
Every Detection Box", ECCV 2022): confident boxes first, doubtful ones for the tracks that are left,
then the tracks that are still on probation.
"""

import numpy as np
from numpy.typing import NDArray

from application.stage import MatchFacts
from domain.configuration import PlayerTrackingOptions
from stages import ground
from stages.player_tracking import association, motion
from stages.player_tracking.association import Boxes, FloatArray, IntArray
from stages.player_tracking.reading import Frames
from stages.player_tracking.state import HeldRows, PlayerTrackingState, Tracks, join, take

SAME_PERSON = 0.7  # overlap at which two boxes show one person
RECENT_S = 0.2  # only tracks seen this lately may claim a doubtful box
DOUBTFUL_LIMIT = 0.7  # a doubtful box must fit better: this share of the limit
PROBATION = 4.0  # times min_track_s
COLOUR_GAIN = 0.1


class Tracker:
    """Follows the persons of frames in order; its memory between calls is in `state`."""

    def __init__(
        self, state: PlayerTrackingState, options: PlayerTrackingOptions, facts: MatchFacts
    ) -> None:
        self.state = state
        self.options = options
        self.middle = (facts.width / 2, facts.height / 2)
        self.rows: list[HeldRows] = [state.rows]

    def see(self, frames: Frames, index: int, seen: Boxes) -> float:
        """Take frame `index` of `frames` with its persons; returns the seconds since the last."""
        now_s, state = float(frames.time_s[index]), self.state
        elapsed_s = now_s - state.clock_s if state.shot >= 0 else 0.0
        if frames.shot[index] != state.shot:
            self._end(np.ones(len(state.tracks.number), np.bool_))
        state.shot, state.clock_s = int(frames.shot[index]), now_s
        motion.predict(state.tracks, elapsed_s, frames.camera_motion[index])
        if len(seen.box):
            seen = take(seen, association.distinct(seen, SAME_PERSON))
        pairs = self._associate(frames.camera[index], seen, now_s)
        self._hold(int(frames.number[index]), now_s, seen, pairs)
        self._correct(seen, pairs, now_s)
        self._start(int(frames.number[index]), seen, pairs[:, 1], now_s)
        self._judge(now_s)
        return elapsed_s

    def _associate(self, camera: FloatArray, seen: Boxes, now_s: float) -> IntArray:
        """Pairs (k, 2) of a track and a box."""
        tracks, limit = self.state.tracks, self.options.match_threshold
        if not len(tracks.number) or not len(seen.box):
            return np.zeros((0, 2), np.int64)
        standing = motion.stands_at(tracks.position, tracks.size[:, 1])
        feet_m, _ = ground.to_pitch(camera[None], standing, self.middle)
        cost = association.costs(tracks, feet_m, seen, now_s)
        sure = seen.confidence >= self.options.high_confidence
        doubtful = ~sure & (seen.confidence >= self.options.low_confidence)
        recent = tracks.confirmed & (now_s - tracks.seen_s <= RECENT_S)
        steps = (
            (tracks.confirmed, sure, limit),
            (recent, doubtful, limit * DOUBTFUL_LIMIT),
            (~tracks.confirmed, sure, limit),
        )
        matched = np.full(len(tracks.number), -1)
        free = np.ones(len(seen.box), np.bool_)
        for mine, theirs, allowed in steps:
            rows, columns = np.flatnonzero(mine & (matched < 0)), np.flatnonzero(theirs & free)
            pairs = association.assign(cost, rows, columns, allowed)
            matched[pairs[:, 0]], free[pairs[:, 1]] = pairs[:, 1], False
        found = np.flatnonzero(matched >= 0)
        return np.column_stack([found, matched[found]])

    def _hold(self, number: int, now_s: float, seen: Boxes, pairs: IntArray) -> None:
        """Keep a row for each track: what was seen of it, or where it should be."""
        tracks = self.state.tracks
        if not len(tracks.number):
            return
        predicted = motion.boxes_of(tracks).astype(np.float32)
        matched = np.full(len(predicted), -1)
        matched[pairs[:, 0]] = pairs[:, 1]
        self.rows.append(
            _held(number, now_s, tracks.number, predicted, tracks.seen_s, seen, matched)
        )

    def _correct(self, seen: Boxes, pairs: IntArray, now_s: float) -> None:
        tracks = self.state.tracks
        tracks.age = tracks.age + 1
        mine, theirs = pairs.T
        motion.correct(tracks, mine, seen.box[theirs], seen.confidence[theirs])
        tracks.seen_s[mine] = now_s
        tracks.hits[mine] += 1
        before, now = tracks.colour[mine], seen.colour[theirs]
        mixed = before + COLOUR_GAIN * (now - before)
        tracks.colour[mine] = np.where(np.isnan(mixed), np.where(np.isnan(now), before, now), mixed)

    def _start(self, number: int, seen: Boxes, taken: IntArray, now_s: float) -> None:
        """Start a track at each confident box that is not part of a person already followed."""
        free = seen.confidence >= self.options.new_track_confidence
        free[taken] = False
        if free.any() and len(taken):
            _, within = association.overlap(seen.box, seen.box[taken])
            free &= (within <= SAME_PERSON).all(axis=1)
        if not free.any():
            return
        fresh, count = take(seen, free), int(free.sum())
        tracks = Tracks(
            number=self.state.next_number + np.arange(count),
            colour=fresh.colour,
            born_s=np.full(count, now_s),
            seen_s=np.full(count, now_s),
            age=np.ones(count, np.int64),
            hits=np.ones(count, np.int64),
            confirmed=np.zeros(count, np.bool_),
            **motion.born(fresh.box),
        )
        self.state.next_number += count
        self.state.tracks = join([self.state.tracks, tracks])
        matched, boxes = np.arange(count), fresh.box.astype(np.float32)
        self.rows.append(_held(number, now_s, tracks.number, boxes, tracks.seen_s, fresh, matched))

    def _judge(self, now_s: float) -> None:
        """Confirm the tracks that have proved themselves and end the ones that are lost."""
        tracks, trial_s = self.state.tracks, self.options.min_track_s
        lasting = tracks.seen_s - tracks.born_s >= trial_s - 1e-6
        tracks.confirmed |= lasting & (2 * tracks.hits > tracks.age)
        unseen_s = now_s - tracks.seen_s
        lost = unseen_s > self.options.max_missing_s + 1e-6
        failed = (unseen_s > trial_s + 1e-6) | (now_s - tracks.born_s > PROBATION * trial_s + 1e-6)
        self._end(lost | (failed & ~tracks.confirmed))

    def _end(self, ended: NDArray[np.bool_]) -> None:
        tracks = self.state.tracks
        if ended.any():
            self.state.void += tracks.number[ended & ~tracks.confirmed].tolist()
            self.state.tracks = take(tracks, ~ended)


def _held(
    number: int,
    now_s: float,
    track: IntArray,
    predicted: NDArray[np.float32],
    since_s: FloatArray,
    seen: Boxes,
    matched: IntArray,
) -> HeldRows:
    """A row a track; `matched` (n,) is its box among `seen`, or -1."""
    observed, count = matched >= 0, len(track)
    box = predicted.copy()
    confidence, role = np.zeros(count, np.float32), np.zeros(count, np.int8)
    appearance = np.zeros((count, seen.appearance.shape[1]), np.float16)
    length = np.full(count, -1, np.int8)
    theirs = matched[observed]
    box[observed] = seen.box[theirs]
    confidence[observed], role[observed] = seen.confidence[theirs], seen.role[theirs]
    appearance[observed], length[observed] = seen.appearance[theirs], seen.length[theirs]
    return HeldRows(
        frame=np.full(count, number),
        time_s=np.full(count, now_s),
        track=track,
        box=box,
        predicted=predicted,
        since_s=since_s.copy(),
        observed=observed,
        confidence=confidence,
        role=role,
        appearance=appearance,
        length=length,
    )
