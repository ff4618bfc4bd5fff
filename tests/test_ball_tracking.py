"""Ball tracking on drawn scenes, 16 pixels a metre, and the ball sizes of real footage."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from filterpy.kalman import KalmanFilter
from hypothesis import given, settings
from hypothesis import strategies as st

from application.stage import Rows
from domain import tables
from domain.configuration import BallTrackingOptions
from stages.ball_tracking import BallTrackingStage, candidates, line, marks
from stages.ball_tracking.hypotheses import ACCELERATION_MPS2, CAMERA_NOISE_PX, noise_at
from stages.ball_tracking.state import BORN, FOLLOWED, KIND, MISSED, BallTrackingState
from tests.drawn_pitch import (
    FACTS,
    RATE,
    SCALE,
    calibration_table,
    frames_table,
    to_pixels,
    walk,
)
from tests.timeline_runs import assert_cut_invariant

METHODS = ("kalman", "particle")
RADIUS_PX = 2.5


class Calibrated(BallTrackingStage):
    """The stage in a plan that makes the optional table."""

    requires = ("frames", "detections", "calibration")


class Boxes:
    """Ball boxes and people, collected and then sorted into a detections table."""

    def __init__(self) -> None:
        self.rows: list[tuple[float, ...]] = []
        self.roles: list[str] = []

    def ball(
        self, path: np.ndarray, confidence: float = 0.5, frames: range | None = None
    ) -> "Boxes":
        """Boxes around the places (n, 2) in metres, in the given frames only."""
        u, v = to_pixels(path[:, 0], path[:, 1])
        for frame in frames if frames is not None else range(len(path)):
            sides = (u[frame], v[frame], u[frame], v[frame])
            box = np.array(sides) + np.array([-1, -1, 1, 1]) * RADIUS_PX
            self.rows.append((frame, *box, confidence))
            self.roles.append("ball")
        return self

    def people(self, count: int, x: float = 20.0) -> "Boxes":
        """Somebody who stands still, which gives the scale: 1.8 m are 28.8 pixels."""
        u, v = to_pixels(np.array([x]), np.array([-20.0]))
        for frame in range(count):
            self.rows.append((frame, u[0] - 5, v[0] - 1.8 * SCALE, u[0] + 5, v[0], 0.9))
            self.roles.append("player")
        return self

    def table(self) -> pa.Table:
        order = np.argsort([row[0] for row in self.rows], kind="stable")
        rows = np.array(self.rows)[order]
        names = ("x1", "y1", "x2", "y2", "confidence")
        return tables.make(
            "detections",
            {
                "frame": rows[:, 0].astype(int),
                **{name: rows[:, place + 1] for place, name in enumerate(names)},
                "role": np.array(self.roles)[order],
                "appearance": [None] * len(rows),
            },
        )


def follow(
    boxes: Boxes,
    count: int,
    *,
    frames: pa.Table | None = None,
    calibrated: bool = True,
    calibration: pa.Table | None = None,
    **options,
) -> pa.Table:
    stage = BallTrackingStage(BallTrackingOptions(**options), FACTS)
    given_tables = {"frames": frames or frames_table(count), "detections": boxes.table()}
    if calibrated:
        given_tables["calibration"] = calibration or calibration_table(count)
    result = stage.advance(Rows(0, count, given_tables), stage.start(), final=True)
    ball = tables.check("ball", result.tables["ball"])
    assert ball["frame"].to_pylist() == list(range(count))
    return ball


def column(table: pa.Table, name: str) -> np.ndarray:
    return table[name].to_numpy()


def status(ball: pa.Table) -> np.ndarray:
    return np.array(ball["status"].to_pylist())


def pixel_error(ball: pa.Table, path: np.ndarray) -> np.ndarray:
    u, v = to_pixels(path[:, 0], path[:, 1])
    return np.hypot(column(ball, "pixel_x") - u, column(ball, "pixel_y") - v)


@pytest.mark.parametrize("method", METHODS)
def test_a_rolling_ball_is_followed(method: str) -> None:
    path = walk((-20, 0), (12, 3), 75)
    ball = follow(Boxes().ball(path).people(75), 75, tracking_method=method)
    assert set(status(ball)) == {"seen"}
    assert pixel_error(ball, path).max() < 2
    np.testing.assert_allclose(column(ball, "x"), path[:, 0], atol=0.15)
    # the box's centre is 0.11 m above where the ball touches the ground
    np.testing.assert_allclose(column(ball, "y"), path[:, 1] - 0.11, atol=0.15)
    assert ball["z"].null_count == 75
    assert column(ball, "confidence")[-1] > 0.8


@pytest.mark.parametrize("method", METHODS)
def test_a_gap_is_bridged_up_to_the_longest_allowed(method: str) -> None:
    path = walk((-20, 0), (10, 0), 80)
    frames = [*range(30), *range(40, 80)]  # ten frames without a box
    boxes = Boxes().ball(path, frames=frames).people(80)
    bridged = follow(boxes, 80, tracking_method=method, max_missing_frames=10)
    assert np.flatnonzero(status(bridged) == "estimated").tolist() == list(range(30, 40))
    assert pixel_error(bridged, path).max() < (4 if method == "kalman" else 20)
    sigma = column(bridged, "sigma_m")
    assert sigma[35] > sigma[20]
    left_open = follow(boxes, 80, tracking_method=method, max_missing_frames=9)
    assert np.flatnonzero(status(left_open) == "absent").tolist() == list(range(30, 40))


def test_a_kick_turns_the_ball_at_once() -> None:
    there = walk((0, 0), (10, 0), 40)
    back = walk(tuple(there[-1]), (-15, 12), 41)[1:]
    path = np.vstack([there, back])
    ball = follow(Boxes().ball(path).people(80), 80)
    assert set(status(ball)) == {"seen"}
    assert pixel_error(ball, path).max() < 3


def test_a_moving_ball_beats_a_more_confident_spot_that_stays() -> None:
    path = walk((-25, 5), (7, -1), 150)
    spot = np.tile([41.5, 0.0], (150, 1))  # the right penalty spot
    bottle = np.tile([10.0, 20.0], (150, 1))
    draw = np.random.default_rng(0)
    seen = np.flatnonzero(draw.random(150) < 0.7)
    boxes = Boxes().ball(path, 0.3, seen).ball(spot, 0.4).ball(bottle, 0.3).people(150)
    ball = follow(boxes, 150)
    followed = pixel_error(ball, path) < 3
    # what stays is suspect after half a second and distrusted after one and a half
    assert followed[38:].mean() > 0.95


def test_the_camera_s_pan_is_taken_out_of_a_spot_s_motion() -> None:
    # uncalibrated, the camera pans 8 pixels a frame: the bottle seems to move, the ball stands out
    pan = np.arange(150)[:, None] * [8 / SCALE, 0]
    path = walk((-50, 5), (5, -2), 150) + pan
    bottle = np.tile([-55.0, 20.0], (150, 1)) + pan
    boxes = Boxes().ball(path, 0.3).ball(bottle, 0.3).people(150)
    frames = frames_table(150, pan_px=8.0)
    ball = follow(boxes, 150, frames=frames, calibrated=False)
    assert (pixel_error(ball, path) < 3)[38:].mean() > 0.95
    for name in ("x", "y", "sigma_m"):
        assert ball[name].null_count == 150


def test_a_ball_that_rests_is_still_seen_by_a_confident_detector() -> None:
    path = np.tile([12.0, -8.0], (150, 1))
    assert set(status(follow(Boxes().ball(path, 0.6).people(150), 150))) == {"seen"}


def test_boxes_here_and_there_are_no_ball() -> None:
    draw = np.random.default_rng(1)
    path = draw.uniform((-50, -30), (50, 30), (100, 2))
    assert set(status(follow(Boxes().ball(path, 0.15).people(100), 100))) == {"absent"}


def test_among_many_faint_boxes_a_trail_of_them_is_no_ball() -> None:
    # a boot gives faint boxes frame after frame, and their path is as smooth as a ball's
    trail, draw = walk((-20, 5), (4, 1), 150), np.random.default_rng(2)
    boxes = Boxes().ball(trail, 0.1).people(150)
    for _ in range(3):
        boxes.ball(draw.uniform((-50, -30), (50, 30), (150, 2)), 0.1)
    # how many false boxes are usual here is known after two seconds
    assert set(status(follow(boxes, 150))[75:]) == {"absent"}


def test_what_lies_beside_the_pitch_is_given_up() -> None:
    # 5 m beyond the touchline, as sure as a ball far away: followed until it has lain for a while
    litter = np.tile([5.0, 39.0], (150, 1))
    ball = follow(Boxes().ball(litter, 0.3).people(150), 150)
    assert set(status(ball)[50:]) == {"absent"}


def test_only_a_fast_ball_s_deviation_allows_for_flight() -> None:
    # pixels are four times as far down the picture as across: each metre of height seems
    # sqrt(4 * 4 - 1) = 3.9 m behind
    slanted = calibration_table(
        50, homography=np.array([1 / SCALE, 0, -60, 0, -4 / SCALE, 160, 0, 0, 1])
    )
    slow, fast = (
        column(
            follow(
                Boxes().ball(walk((-20, 0), (speed, 0), 50)).people(50), 50, calibration=slanted
            ),
            "sigma_m",
        )[25]
        for speed in (4, 20)
    )
    assert slow < 0.5
    # 0.2 s * (20 - 6) m/s = 2.8 m of height, 10.8 m behind
    assert fast == pytest.approx(10.8, rel=0.1)


def test_a_cut_ends_the_path() -> None:
    before, after = walk((-20, 0), (10, 0), 40), walk((25, 10), (-8, 0), 40)
    path = np.vstack([before, after])
    ball = follow(Boxes().ball(path).people(80), 80, frames=frames_table(80, cut_at=40))
    assert set(status(ball)) == {"seen"}
    assert pixel_error(ball, path).max() < 2


def test_no_box_at_all_is_absent_everywhere() -> None:
    ball = follow(Boxes().people(30), 30)
    assert set(status(ball)) == {"absent"}
    assert ball["pixel_x"].null_count == 30
    assert set(column(ball, "confidence")) == {0}


def test_a_box_as_large_as_a_player_is_no_ball() -> None:
    # a score of 0.5 is 2 in log odds; radius 0.7 m by the players' height: 5 log(0.7 / 0.4) = 2.8
    # of evidence against it
    boxes = Boxes().people(1)
    boxes.ball(np.zeros((1, 2)), 0.5)
    boxes.rows[-1] = (0, 100, 100, 100 + 1.4 * SCALE, 100 + 1.4 * SCALE, 0.5)
    given_tables = {"frames": frames_table(1), "detections": boxes.table()}
    found = candidates.read(Rows(0, 1, given_tables), BallTrackingOptions(), FACTS)
    assert found.candidates[0, 0, 3] == pytest.approx(2 - 5 * np.log(0.7 / 0.4), abs=0.01)


def test_a_mark_is_distrusted_after_a_while() -> None:
    known, still = np.zeros((0, 4)), np.array([[100.0, 100, 0.5, 0, 0]])
    nothing = np.zeros((0, 2))
    costs = []
    for _ in range(100):
        known, cost = marks.watch(known, still, 0.04, np.full(9, np.nan), SCALE, nothing)
        costs.append(cost[0])
    # 0.2 s at first sight, 0.04 s a frame: half a second after 8 frames, 1.5 s after 33
    assert costs[7] == 0
    assert 0 < costs[20] < marks.COST
    assert costs[34] == marks.COST


@pytest.mark.parametrize("score", [0.2, 0.3, 0.4])
def test_a_faint_ball_that_rolls_to_rest_stays_seen(score: float) -> None:
    """Two seconds of rolling and six of lying still, beside two faint boxes a frame elsewhere."""
    draw = np.random.default_rng(1)
    roll = walk((-20, 5), (6, 0), 50)
    path = np.vstack([roll, np.repeat(roll[-1:], 150, axis=0)]) + draw.normal(0, 0.02, (200, 2))
    boxes = Boxes().ball(path, score).people(200)
    for _ in range(2):
        boxes.ball(draw.uniform((-50, -30), (50, 30), (200, 2)), 0.1)
    told = np.array(status(follow(boxes, 200)))
    assert (told[5:] == "seen").mean() > 0.95


def test_the_smoother_agrees_with_filterpy_s() -> None:
    """One line without kicks; the axes are independent, so filterpy smooths x alone."""
    draw = np.random.default_rng(3)
    count, noise = 20, noise_at(SCALE)
    seen = np.cumsum(draw.normal(5, 2, count)) + 100
    missed = {7, 8, 9}
    state = _line_of(seen, missed, noise)
    place, velocity, variance = line.smooth(state.frames, count, count)

    t, acceleration = 1 / RATE, (ACCELERATION_MPS2 * SCALE) ** 2
    theirs = KalmanFilter(dim_x=2, dim_z=1)
    theirs.F, theirs.H = np.array([[1, t], [0, 1]]), np.array([[1.0, 0]])
    theirs.Q = acceleration * np.array([[t**4 / 4, t**3 / 2], [t**3 / 2, t * t]])
    theirs.Q[0, 0] += CAMERA_NOISE_PX**2
    theirs.R *= noise.seen
    theirs.x = np.array([[seen[0]], [0.0]])
    theirs.P = np.diag([noise.seen, state.frames.covariance[0, 2]])
    means, covariances = [theirs.x], [theirs.P]
    for index in range(1, count):
        theirs.predict()
        theirs.update(None if index in missed else seen[index])
        means.append(theirs.x.copy())
        covariances.append(theirs.P.copy())
    smoothed, spread, _, _ = theirs.rts_smoother(np.array(means), np.array(covariances))
    np.testing.assert_allclose(place[:, 0], smoothed[:, 0, 0], rtol=1e-9)
    np.testing.assert_allclose(velocity[:, 0], smoothed[:, 1, 0], rtol=1e-7)
    np.testing.assert_allclose(variance, spread[:, 0, 0], rtol=1e-7)


def _line_of(seen: np.ndarray, missed: set[int], noise) -> BallTrackingState:
    """A decided line through (seen, 50), filtered forward."""
    given_tables = {"frames": frames_table(len(seen)), "detections": Boxes().people(1).table()}
    rows = Rows(0, len(seen), given_tables)
    state = BallTrackingState(frames=candidates.read(rows, BallTrackingOptions(), FACTS))
    state.frames.elapsed_s[:] = 1 / RATE
    for index, u in enumerate(seen):
        state.frames.candidates[index, 0] = (u, 50.0, 0.5, 0.0, 0.0)
        code = MISSED if index in missed else KIND * (FOLLOWED if index else BORN)
        line.decided(state, index, code, noise)
    return state


def test_particles_depend_on_the_seed_and_on_nothing_else() -> None:
    boxes = Boxes().ball(walk((-20, 0), (10, 2), 40)).people(40)
    first, again, other = (
        follow(boxes, 40, tracking_method="particle", seed=seed) for seed in (1, 1, 2)
    )
    assert first.equals(again)
    assert not first.equals(other)


def clutter(seed: int, count: int) -> dict[str, pa.Table]:
    """A ball that is often missed among false boxes, with a kick and a cut."""
    draw = np.random.default_rng(seed)
    path = np.vstack([walk((-20, 0), (10, 3), count // 3), walk((0, 10), (-9, -5), count)])[:count]
    path += draw.normal(0, 0.05, path.shape)
    boxes = Boxes().people(count).ball(path, 0.4, np.flatnonzero(draw.random(count) < 0.6))
    for _ in range(3):
        stray = draw.uniform((-50, -30), (50, 30), (count, 2))
        boxes.ball(stray, 0.2, np.flatnonzero(draw.random(count) < 0.5))
    return {
        "frames": frames_table(count, cut_at=2 * count // 3),
        "detections": boxes.table(),
        "calibration": calibration_table(count),
    }


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 1000), cuts=st.integers(1, 80), method=st.sampled_from(METHODS))
def test_any_cutting_of_the_input_gives_equal_rows(seed: int, cuts: int, method: str) -> None:
    options = BallTrackingOptions(tracking_method=method, max_missing_frames=5, particles=100)
    assert_cut_invariant(Calibrated(options, FACTS), clutter(seed % 3, 90), seed, cuts)


@pytest.mark.real
@pytest.mark.parametrize(
    ("folder", "ball_class"),
    [("players", 0), ("ball_dfl_640", 0), ("other/facup2020_ball", 0), ("other/epl_416", 0)],
)
@pytest.mark.parametrize("lines", [478, 720, 1080])
def test_no_labelled_ball_of_real_footage_is_dropped_for_its_size(
    real_data: Path, folder: str, ball_class: int, lines: int
) -> None:
    labels = [
        [float(value) for value in row.split()[1:5]]
        for file in sorted((real_data / folder / "labels").glob("*.txt"))
        for row in file.read_text().splitlines()
        if int(float(row.split()[0])) == ball_class
    ]
    assert len(labels) > 20
    size = np.array(labels)[:, 2:] * [lines * 16 / 9, lines]
    boxes = np.hstack([np.zeros_like(size), size])
    assert candidates.plausible_size(boxes, BallTrackingOptions(), lines).all()
