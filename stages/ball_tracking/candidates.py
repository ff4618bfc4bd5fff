"""The detector's ball boxes as candidates, each with the evidence that it is the ball.

Evidence is in log odds for a frame with one false box: what the detector's confidence tells, less
what speaks against the box: a size next to the players that no ball has, a head, the stands, a
painted spot.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from application.stage import MatchFacts, Rows
from domain.configuration import BallTrackingOptions
from domain.pitch import PENALTY_SPOT_M, Pitch
from stages import ground
from stages.ball_tracking.state import MAX_CANDIDATES, UNDECIDED, Frames

FloatArray = NDArray[np.float64]

REFERENCE_LINES = 1080
PERSON_HEIGHT_M = 1.8
# the network's scores are timid: the odds that a box is the ball go with the square of its score's
# odds. Where a frame has one false box, a score of 0.27 is as often the ball as not
# (benchmarks/ball_scores.py measures both)
SCORE_SLOPE = 2.0
SCORE_OFFSET = 2.0
# labelled boxes of balls have a radius of 0.11 to 0.35 m by the height of the players around them
USUAL_RADIUS_M = 0.4
SIZE_COST = 5.0
MAX_SIZE_COST = 4.0
HEAD_COST = 1.5
SPOT_COST = 1.5
SPOT_RADIUS_M = 0.6
MAX_SPOT_ERROR_M = 1.5
OUTSIDE_FROM_M = 2.0
OUTSIDE_COST_PER_M = 0.1
MAX_OUTSIDE_COST = 1.0
# a ball is kicked into the air from the pitch: a path does not begin in the stands
BEGIN_OUTSIDE = 4.0


def read(rows: Rows, options: BallTrackingOptions, facts: MatchFacts) -> Frames:
    """The frames of `rows` with their candidates; what is decided later is left open."""
    frames, wide = _frames(rows)
    detections = rows["detections"]
    # in a close-up a ball has no place on the pitch, and heads and boots look like one
    at = np.searchsorted(frames.frame, detections["frame"].to_numpy())
    detections = detections.filter(pa.array(wide[at]))
    is_ball = pc.equal(detections["role"], "ball")
    persons, person_row = _boxes(detections.filter(pc.invert(is_ball)), frames)
    balls = detections.filter(is_ball).combine_chunks()
    boxes, row = _boxes(balls, frames)
    fits = plausible_size(boxes, options, facts.height)
    boxes, row, confidence = boxes[fits], row[fits], balls["confidence"].to_numpy()[fits]
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    certain = np.clip(confidence.astype(np.float64), 0.02, 0.98)
    evidence = of_score(certain)
    outside, on_spot = _place_cost(centre, frames.camera[row], frames.error_m[row], facts)
    evidence -= outside + SPOT_COST * on_spot
    evidence -= HEAD_COST * _on_head(centre, row, persons, person_row, len(frames.frame))
    frames.scale = _scale(persons, person_row, len(frames.frame))
    evidence -= _size_cost(_radius(boxes) / frames.scale[row])
    _fill(frames, row, np.column_stack([centre, certain, evidence, BEGIN_OUTSIDE * outside]))
    return frames


def of_score(confidence: FloatArray) -> FloatArray:
    """Log odds (n,) that boxes of this confidence are the ball where a frame has one false box."""
    return SCORE_OFFSET + SCORE_SLOPE * np.log(confidence / (1 - confidence))


def false_boxes(confidence: FloatArray) -> float:
    """How many of the boxes (n,) of a frame are not the ball, as far as their confidence tells."""
    return float((1 / (1 + np.exp(of_score(confidence)))).sum())


def plausible_size(
    boxes: FloatArray, options: BallTrackingOptions, frame_height: int
) -> NDArray[np.bool_]:
    """Which boxes (n, 4) are of a ball's size: the options' radii are at 1080 lines."""
    radius = _radius(boxes) * (REFERENCE_LINES / frame_height)
    return np.asarray((radius >= options.min_ball_radius) & (radius <= options.max_ball_radius))


def _radius(boxes: FloatArray) -> FloatArray:
    """Half the mean side (n,) of boxes (n, 4)."""
    return np.asarray((boxes[:, 2:] - boxes[:, :2]).sum(axis=1) / 4)


def _size_cost(radius_m: FloatArray) -> FloatArray:
    excess = np.log(np.maximum(np.nan_to_num(radius_m), USUAL_RADIUS_M) / USUAL_RADIUS_M)
    return np.minimum(SIZE_COST * excess, MAX_SIZE_COST)


def _frames(rows: Rows) -> tuple[Frames, NDArray[np.bool_]]:
    """The frames, and which of them (n,) are wide."""
    table = rows["frames"]
    number = table["frame"].to_numpy()
    count = len(number)
    camera, error_m = np.full((count, ground.CAMERA_SIZE), np.nan), np.full(count, np.nan)
    calibration = rows.get("calibration")
    if calibration is not None and calibration.num_rows:
        row = np.searchsorted(number, calibration["frame"].to_numpy())
        camera[row] = ground.camera_rows(calibration)
        error_m[row] = calibration["error_m"].to_numpy()
    wide = pc.equal(table["view"], "wide").to_numpy()
    camera[~wide] = np.nan
    frames = Frames(
        frame=number,
        time_s=table["time_s"].to_numpy(),
        shot=table["shot"].to_numpy().astype(np.int64),
        elapsed_s=np.zeros(count),
        motion=ground.homography_rows(table["camera_motion"]),
        camera=camera,
        error_m=error_m,
        scale=np.full(count, np.nan),
        candidates=np.full((count, MAX_CANDIDATES, 5), np.nan),
        code=np.full(count, UNDECIDED),
        line=np.full(count, -1),
        place=np.full((count, 2), np.nan),
        velocity=np.full((count, 2), np.nan),
        covariance=np.full((count, 3), np.nan),
        predicted=np.full((count, 4), np.nan),
        predicted_covariance=np.full((count, 3), np.nan),
        zoom=np.ones(count),
        confidence=np.zeros(count),
    )
    return frames, np.asarray(wide, bool)


def _boxes(table: pa.Table, frames: Frames) -> tuple[FloatArray, NDArray[np.int64]]:
    box = np.column_stack([table[name].to_numpy() for name in ("x1", "y1", "x2", "y2")])
    return box.astype(np.float64), np.searchsorted(frames.frame, table["frame"].to_numpy())


def _place_cost(
    centre: FloatArray, camera: FloatArray, error_m: FloatArray, facts: MatchFacts
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """The cost (n,) of places (n, 2) outside the pitch, and which lie on a painted spot.

    A ball in the air seems to lie far behind where it is, so the stands cost, but do not exclude.
    """
    middle = (facts.width / 2, facts.height / 2)
    place, _ = ground.to_pitch(camera, centre, middle)
    limits = np.array([facts.pitch.half_length_m, facts.pitch.half_width_m]) + OUTSIDE_FROM_M
    outside = np.maximum(np.abs(place) - limits, 0.0).max(axis=1)
    cost = np.minimum(OUTSIDE_COST_PER_M * outside, MAX_OUTSIDE_COST)
    apart = np.hypot(*(place[:, None] - painted_spots(facts.pitch)[None]).T).T.min(axis=1)
    on_spot = (apart < SPOT_RADIUS_M + error_m) & (error_m < MAX_SPOT_ERROR_M)
    return np.nan_to_num(cost), np.asarray(on_spot)


def painted_spots(pitch: Pitch) -> FloatArray:
    """The penalty spots and the centre spot (3, 2): white, round, and never moving."""
    depth = pitch.half_length_m - PENALTY_SPOT_M
    return np.array([[-depth, 0.0], [0.0, 0.0], [depth, 0.0]])


def _on_head(
    centre: FloatArray,
    row: NDArray[np.int64],
    persons: FloatArray,
    person_row: NDArray[np.int64],
    count: int,
) -> NDArray[np.bool_]:
    """Whether each candidate lies in the top quarter of a person's box of the same frame."""
    starts = np.searchsorted(person_row, np.arange(count + 1))
    many = starts[row + 1] - starts[row]
    candidate = np.repeat(np.arange(len(row)), many)
    offset = np.arange(len(candidate)) - np.repeat(np.cumsum(many) - many, many)
    box, point = persons[np.repeat(starts[row], many) + offset], centre[candidate]
    height = box[:, 3] - box[:, 1]
    inside = (point[:, 0] > box[:, 0]) & (point[:, 0] < box[:, 2])
    inside &= (point[:, 1] > box[:, 1] - 0.05 * height) & (point[:, 1] < box[:, 1] + height / 4)
    found = np.zeros(len(row), np.bool_)
    found[candidate[inside]] = True
    return found


def _fill(frames: Frames, row: NDArray[np.int64], values: FloatArray) -> None:
    """Put each frame's best candidates (n, 5), the most likely first, into its slots."""
    order = np.lexsort((-values[:, 3], row))
    row, values = row[order], values[order]
    rank = np.arange(len(row)) - np.searchsorted(row, row)
    kept = rank < MAX_CANDIDATES
    frames.candidates[row[kept], rank[kept]] = values[kept]


def _scale(persons: FloatArray, row: NDArray[np.int64], count: int) -> FloatArray:
    """Pixels per metre by the median person's height in each frame (n,), NaN without persons."""
    height = persons[:, 3] - persons[:, 1]
    order = np.lexsort((height, row))
    starts = np.searchsorted(row, np.arange(count + 1))
    many = np.diff(starts)
    middle = np.minimum(starts[:-1] + many // 2, max(len(row) - 1, 0))
    median = height[order][middle] if len(row) else np.full(count, np.nan)
    return np.where(many > 0, median / PERSON_HEIGHT_M, np.nan)
