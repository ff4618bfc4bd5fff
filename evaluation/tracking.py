"""Tracking: are people found, and do they keep their identity?

HOTA, DetA and AssA (Luiten et al., HOTA: A Higher Order Metric for Evaluating Multi-Object
Tracking, 2021) are means over 19 thresholds; IDF1 (Ristani et al., 2016) is taken at 0.5. Both are
computed by trackeval, the implementation of HOTA's authors. Similarity is the IoU of boxes in the
image, and on the pitch LocSim (Somers et al., SoccerNet Game State Reconstruction, 2024):
exp(ln(0.05) d^2 / tau^2) with tau = 5 m, so that 0.5 is reached at 2.4 m.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from evaluation.match_tables import column, columns
from evaluation.scores import Scores, finite

MATCH_SIMILARITY = 0.5
LOCSIM_TAU_M = 5.0

Similarity = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]
"""From positions (n, k) and (m, k) to similarities (n, m), 0 to 1."""


@dataclass(frozen=True)
class People:
    """Rows of a tracks table, ordered by frame; a number that is not known is NaN.

    Attributes:
        frame, track: (n,) each pair at most once.
        xyxy: (n, 4) pixels, NaN where the box is empty.
        xy: (n, 2) metres.
        sigma_m, speed_mps: (n,)
        observed: (n,) bool
    """

    frame: NDArray[np.int64]
    track: NDArray[np.int64]
    xyxy: NDArray[np.float64]
    xy: NDArray[np.float64]
    sigma_m: NDArray[np.float64]
    speed_mps: NDArray[np.float64]
    observed: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.frame)

    def where(self, rows: NDArray[Any]) -> "People":
        """The rows of a mask or an ascending index."""
        return People(**{name: values[rows] for name, values in vars(self).items()})


@dataclass(frozen=True)
class Pairs:
    """Which row of truth and which of the result show the same person, (n,) each."""

    truth: NDArray[np.int64]
    result: NDArray[np.int64]


def people_of(tracks: pa.Table, frames: NDArray[np.int64]) -> People:
    """The rows of a tracks table in `frames` (ascending), by frame, then track.

    The order of rows in the table, and thus of its tracks' numbers, changes no score.
    """
    frame, track = column(tracks, "frame"), column(tracks, "track")
    order = np.lexsort((track, frame))
    rows = order[np.isin(frame[order], frames)]
    xyxy = columns(tracks, "x1", "y1", "x2", "y2")
    xyxy[(xyxy[:, 2:] <= xyxy[:, :2]).any(axis=1)] = np.nan
    return People(
        frame=frame.astype(np.int64),
        track=track.astype(np.int64),
        xyxy=xyxy,
        xy=columns(tracks, "x", "y"),
        sigma_m=column(tracks, "sigma_m").astype(np.float64),
        speed_mps=column(tracks, "speed_mps").astype(np.float64),
        observed=column(tracks, "observed").astype(bool),
    ).where(rows)


def box_overlap(truth: NDArray[np.float64], result: NDArray[np.float64]) -> NDArray[np.float64]:
    """IoU (n, m) of boxes (n, 4) and (m, 4) as x1 y1 x2 y2; 0 where a box is NaN."""
    low = np.maximum(truth[:, None, :2], result[None, :, :2])
    high = np.minimum(truth[:, None, 2:], result[None, :, 2:])
    common = np.clip(high - low, 0, None).prod(axis=2)
    area_truth = (truth[:, 2:] - truth[:, :2]).prod(axis=1)
    area_result = (result[:, 2:] - result[:, :2]).prod(axis=1)
    union = area_truth[:, None] + area_result[None] - common
    return _zero_where_unknown(common / union)


def closeness(truth: NDArray[np.float64], result: NDArray[np.float64]) -> NDArray[np.float64]:
    """LocSim (n, m) of positions (n, 2) and (m, 2) in metres; 0 where one is NaN."""
    squared = ((truth[:, None] - result[None]) ** 2).sum(axis=2)
    return _zero_where_unknown(np.exp(np.log(0.05) * squared / LOCSIM_TAU_M**2))


def _zero_where_unknown(similarity: NDArray[np.float64]) -> NDArray[np.float64]:
    similarity[np.isnan(similarity)] = 0
    return similarity


def pair_people(truth: People, result: People, similarity: Similarity, where: str) -> Pairs:
    """Match people one to one in each frame: the greatest total similarity, 0.5 at least.

    Args:
        where: the attribute of People that `similarity` compares: "xyxy" or "xy".
    """
    true_place, found_place = getattr(truth, where), getattr(result, where)
    paired: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    for true_rows, found_rows in zip(*_by_frame(truth, result), strict=True):
        scores = similarity(true_place[true_rows], found_place[found_rows])
        scores[scores < MATCH_SIMILARITY] = 0
        i, j = linear_sum_assignment(scores, maximize=True)
        kept = scores[i, j] > 0
        paired.append((true_rows.start + i[kept], found_rows.start + j[kept]))
    empty = np.zeros(0, np.int64)
    return Pairs(
        truth=np.concatenate([empty, *(rows for rows, _ in paired)]),
        result=np.concatenate([empty, *(rows for _, rows in paired)]),
    )


def score_tracking(
    truth: People, result: People, wanted: NDArray[np.bool_], similarity: Similarity, where: str
) -> Scores:
    """`hota`, `deta`, `assa` and `idf1` of the people that are wanted.

    The others in truth (referees, people out of sight) may be found or not: a result row that is
    theirs is taken out first, as MOTChallenge does with distractors. Scores are None where truth
    wants nobody.

    Args:
        wanted: (n,) mask over truth's rows.
        where: the attribute of People that `similarity` compares: "xyxy" or "xy".
    """
    placed = ~np.isnan(getattr(truth, where)).any(axis=1)
    answered = ~np.isnan(getattr(result, where)).any(axis=1)
    if not (wanted & placed).any():
        return dict.fromkeys(("hota", "deta", "assa", "idf1"))
    pairs = pair_people(truth, result, similarity, where)
    answered[pairs.result[~wanted[pairs.truth]]] = False
    data = _sequence(truth.where(wanted & placed), result.where(answered), similarity, where)
    return _identity_scores(data)


def _identity_scores(data: dict[str, Any]) -> Scores:
    # imported here: it takes two seconds, which only tracking scores should cost
    from trackeval.metrics import HOTA, Identity

    hota = HOTA().eval_sequence(data)
    identity = Identity({"THRESHOLD": MATCH_SIMILARITY, "PRINT_CONFIG": False}).eval_sequence(data)
    means = {name.lower(): finite(np.mean(hota[name])) for name in ("HOTA", "DetA", "AssA")}
    return {**means, "idf1": finite(identity["IDF1"])}


def _sequence(truth: People, result: People, similarity: Similarity, where: str) -> dict[str, Any]:
    """The arrays that trackeval's metrics read, ids counted from 0.

    Those of a frame are made when they are read: all similarities of a match of 90 minutes would
    take a gigabyte.
    """
    true_place, found_place = getattr(truth, where), getattr(result, where)
    true_ids, true_id = np.unique(truth.track, return_inverse=True)
    found_ids, found_id = np.unique(result.track, return_inverse=True)
    wanted, answered = _by_frame(truth, result)
    return {
        "gt_ids": _PerFrame(len(wanted), lambda t: true_id[wanted[t]]),
        "tracker_ids": _PerFrame(len(wanted), lambda t: found_id[answered[t]]),
        "similarity_scores": _PerFrame(
            len(wanted), lambda t: similarity(true_place[wanted[t]], found_place[answered[t]])
        ),
        "num_gt_dets": len(truth),
        "num_tracker_dets": len(result),
        "num_gt_ids": len(true_ids),
        "num_tracker_ids": len(found_ids),
    }


_T = TypeVar("_T")


class _PerFrame(Sequence[_T]):
    """A list whose items are made when they are read."""

    def __init__(self, count: int, make: Callable[[int], _T]) -> None:
        self._count, self._make = count, make

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: Any) -> Any:
        if not 0 <= index < self._count:
            raise IndexError(index)
        return self._make(index)


def _by_frame(truth: People, result: People) -> tuple[list[slice], list[slice]]:
    """For each frame that either has, the rows of truth and those of the result."""
    frames = np.union1d(truth.frame, result.frame)
    return _rows(truth, frames), _rows(result, frames)


def _rows(people: People, frames: NDArray[np.int64]) -> list[slice]:
    start = np.searchsorted(people.frame, frames, side="left").tolist()
    end = np.searchsorted(people.frame, frames, side="right").tolist()
    return [slice(a, b) for a, b in zip(start, end, strict=True)]
