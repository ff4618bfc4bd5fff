"""Broadcast structure: where the picture cuts, what it shows, and what is a replay.

A shot is told by its number in `frames.shot`; a cut is the first frame of a new one. Frames that
are live and wide are measurable: places, speeds and events are scored on them alone, and what a
result claims in the others is counted as invented (evaluation/invented.py).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from domain.errors import InputError
from domain.tables import VIEWS
from evaluation.event_matching import pair_within
from evaluation.match_tables import column
from evaluation.scores import Counts, Scores, named, no_rates, percentile, share

CUT_TOLERANCE_FRAMES = 3
REPLAY_OVERLAP = 0.5
"""A replay is found where its frames and the answer's overlap by this (IoU) at least."""


@dataclass(frozen=True)
class Structure:
    """What each of some frames shows.

    Attributes:
        frame: (n,) ascending numbers.
        shot: (n,) the number of the shot.
        view: (n,) domain.tables.VIEWS
        replay: (n,) bool
    """

    frame: NDArray[np.int64]
    shot: NDArray[np.int64]
    view: NDArray[np.str_]
    replay: NDArray[np.bool_]

    @property
    def measurable(self) -> NDArray[np.bool_]:
        """(n,) whether a frame is live and wide."""
        return np.asarray(~self.replay & (self.view == "wide"))

    @property
    def cuts(self) -> NDArray[np.int64]:
        """(m,) the first frame of each shot but the first."""
        return np.asarray(self.frame[1:][np.diff(self.shot) != 0])

    @property
    def stretches(self) -> NDArray[np.int64]:
        """(n,) a number for each run of measurable frames of one shot, ascending, -1 elsewhere."""
        live = self.measurable
        begins = live.copy()
        begins[1:] &= ~live[:-1] | (np.diff(self.shot) != 0)
        return np.where(live, np.cumsum(begins) - 1, -1)


def structure_of(table: pa.Table, frames: NDArray[np.int64]) -> Structure:
    """The rows of a `frames` table at `frames` (n, ascending).

    Raises:
        InputError: a frame has no row.
    """
    numbers = column(table, "frame").astype(np.int64)
    order = np.argsort(numbers)
    place = np.searchsorted(numbers[order], frames)
    found = place < len(order)
    found[found] = numbers[order[place[found]]] == frames[found]
    if not found.all():
        raise InputError(f"frames: no row for frame {frames[~found][0]}")
    rows = order[place]
    view, replay = column(table, "view")[rows], column(table, "replay")[rows]
    shot = column(table, "shot")[rows].astype(np.int64)
    return Structure(frames, shot, view.astype(np.str_), replay.astype(bool))


def score_structure(
    truth: Structure, result: Structure, extents: NDArray[np.int64] | None = None
) -> Scores:
    """Scores of cuts, views and replays over the same frames.

    Args:
        extents: (m, 2) first and last frame of each of truth's transitions, where they are known;
            else each cut is sharp.

    Raises:
        InputError: the two are about different frames.
    """
    if not np.array_equal(truth.frame, result.frame):
        raise InputError("structure: expected truth and result for the same frames")
    cuts = np.repeat(truth.cuts[:, None], 2, axis=1) if extents is None else extents
    return {
        **score_cuts(cuts, result.cuts),
        **score_views(truth.view, result.view),
        **score_replays(truth.replay, result.replay),
    }


def score_cuts(
    truth: NDArray[np.int64], found: NDArray[np.int64], tolerance: int = CUT_TOLERANCE_FRAMES
) -> Scores:
    """Precision, recall and F1 of cuts, one to one within `tolerance` frames of an extent.

    Args:
        truth: (m, 2) first and last frame of each transition; both alike for a hard cut. A cut
            anywhere inside a dissolve or a wipe is right.
        found: (k,) frames.

    Returns:
        `cut_precision`, `cut_recall`, `cut_f1` (None where truth has no cut), `cut_count`,
        `cut_false`, `cut_error_median_frames` (distance to the extent).

    Raises:
        InputError: an extent ends before it begins.
    """
    if truth.ndim != 2 or truth.shape[1:] != (2,) or (truth[:, 1] < truth[:, 0]).any():
        raise InputError("cuts: expected rows of first and last frame, the last not before")
    apart = np.maximum(truth[:, :1] - found[None], found[None] - truth[:, 1:])
    apart = np.maximum(apart, 0).astype(np.float64)
    i, j = pair_within(apart, tolerance)
    counts = Counts(len(i), len(found) - len(i), len(truth) - len(i))
    return {
        **named("cut_", counts.rates() if len(truth) else no_rates()),
        "cut_count": len(truth),
        "cut_false": counts.false,
        "cut_error_median_frames": percentile(apart[i, j], 50),
    }


def score_views(truth: NDArray[np.str_], result: NDArray[np.str_]) -> Scores:
    """Share of frames (n,) whose view is named right, and how many of each were named what."""
    return {
        "view_accuracy": share(int((truth == result).sum()), len(truth)),
        "view_frames": len(truth),
        "view_confusion": {
            wanted: {
                answer: int(((truth == wanted) & (result == answer)).sum()) for answer in VIEWS
            }
            for wanted in VIEWS
            if (truth == wanted).any()
        },
    }


def score_replays(truth: NDArray[np.bool_], result: NDArray[np.bool_]) -> Scores:
    """Precision, recall and F1 of replays, by frame (n,) and by replay.

    A replay is an unbroken run of replay frames; it is found by a run that overlaps it by half.
    Frame scores are None where neither side has a replay.
    """
    hits = int((truth & result).sum())
    frames = Counts(hits, int((~truth & result).sum()), int((truth & ~result).sum()))
    wanted, found = runs(truth), runs(result)
    overlap = _overlap(wanted, found)
    i, _ = pair_within(1 - overlap, 1 - REPLAY_OVERLAP)
    matched = len(i)
    replays = Counts(matched, len(found) - matched, len(wanted) - matched)
    return {
        **named("replay_", frames.rates(), "_frames"),
        **named("replay_", replays.rates()),
        "replay_count": len(wanted),
        "replay_frames": int(truth.sum()),
    }


def runs(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """First index and the one after the last of each run of True in `mask` (n,), (k, 2)."""
    edges = np.diff(np.concatenate([[0], mask.astype(np.int8), [0]]))
    return np.column_stack([np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)])


def _overlap(a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[Any]:
    """Intersection over union (n, m) of runs (n, 2) and (m, 2)."""
    low = np.maximum(a[:, None, 0], b[None, :, 0])
    high = np.minimum(a[:, None, 1], b[None, :, 1])
    common = np.clip(high - low, 0, None)
    return np.asarray(common / (np.diff(a) + np.diff(b).T - common))
