"""Cameras on a tripod, where motion between frames is noise, and those that only seem to rest."""

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from stages.pitch_calibration import camera as cameras
from stages.pitch_calibration.filtering import Since
from tests.panning_camera import camera_path, observation_tables, seen_points
from tests.test_pitch_calibration import answered, errors, places, stage, statuses
from tests.timeline_runs import assert_cut_invariant, run

Array = NDArray[np.float64]

COUNT, MIDDLE = 250, 125
FOCAL_PX = 1800.0
# pixels of 1280, of which two are one of 640
DRIFT_PX = 0.04


def tripod() -> Array:
    path = np.tile(camera_path(1), (COUNT, 1))
    path[:, cameras.LOG_FOCAL] = np.log(FOCAL_PX)
    return path


def panned(px_a_frame: float) -> Array:
    path = tripod()
    path[:, cameras.PAN] += px_a_frame / FOCAL_PX * np.arange(COUNT)
    return path


def knocked(px: float) -> Array:
    path = tripod()
    path[MIDDLE:, cameras.PAN] += px / FOCAL_PX
    return path


def lasting_points(path: Array, noise_px: float = 1.5, seed: int = 0) -> Array:
    """Points as a network sees them at rest: each misses by the same, and a little by chance."""
    points = seen_points(path, np.random.default_rng(seed), noise_px=0.2, drop=0.0, wrong=0.0)
    points[:, :, :2] += np.random.default_rng(seed + 1).normal(0, noise_px, (32, 2))
    return points


def looked_at(path: Array, points: Array, every: int = 25) -> dict[str, pa.Table]:
    """The stage's input with points in each so many frames, and motion that always drifts a bit."""
    tables = observation_tables(path, points)
    rows = tables["pitch_observations"].to_pylist()
    for number, row in enumerate(rows):
        row["points"] = row["points"] if number % every == 0 else None
        if row["camera_motion"] is not None:
            motion = np.array(row["camera_motion"]).reshape(3, 3)
            motion[0] += DRIFT_PX * motion[2]
            row["camera_motion"] = motion.ravel()
    schema = tables["pitch_observations"].schema
    return tables | {"pitch_observations": pa.Table.from_pylist(rows, schema)}


def steps_m(calibration: pa.Table) -> Array:
    """How far the ground under the picture's places moves from frame to frame, in the median."""
    ground = [answered(row, places()) for row in calibration.to_pylist()]
    pairs = zip(ground[:-1], ground[1:], strict=True)
    return np.array([np.nanmedian(np.linalg.norm(b - a, axis=1)) for a, b in pairs])


def off(calibration: pa.Table, path: Array) -> Array:
    """The median error in metres of each frame; all are answered."""
    missed = [row for row in errors(calibration, path) if row is not None]
    assert len(missed) == len(path)
    return np.array([np.median(row) for row in missed])


def held(tables: dict[str, pa.Table]) -> NDArray[np.bool_]:
    """For each frame but the first whether the camera was taken to stand still."""
    moves = np.array(tables["frames"]["camera_motion"].to_pylist()[1:])
    return np.asarray((moves == np.eye(3).ravel()).all(axis=1))


def test_the_ground_under_a_tripod_stands_still_though_motion_drifts() -> None:
    path = tripod()
    tables = run(stage(), looked_at(path, lasting_points(path)))
    steps = steps_m(tables["calibration"])
    # a look a second may move it, all else is exactly as it was
    assert (steps[:225] > 1e-6).sum() <= 9
    # points miss by 1.5 px, which are 0.06 to 0.3 m from near to far, and always by the same
    assert np.median(off(tables["calibration"], path)) < 0.3
    assert held(tables)[:225].all()


def test_the_expected_error_shrinks_at_rest_but_not_as_if_all_looks_were_news() -> None:
    path = tripod()
    calibration = run(stage(), looked_at(path, lasting_points(path)))["calibration"]
    error = calibration["error_m"].to_numpy()
    assert error[200] < 0.9 * error[5]
    # eight more looks that were all independent would leave a third
    assert error[200] > 0.4 * error[5]


def test_five_minutes_of_rest_are_worth_one_more_look() -> None:
    news = [Since(1.0, 0.0, rested_s).news for rested_s in range(1, 301)]
    assert news[0] == pytest.approx(np.exp(-1 / 8) / 8)
    # the sum over seconds of exp(-t / 8) / 8 is all but one, however long
    assert 0.9 < sum(news) < 1.0
    assert Since(1.0, 0.0).news == pytest.approx(1 / 8)  # a camera that may have moved
    assert Since(0.2, 0.4, 300.0).news == 1.0  # one that did


def test_a_knock_is_followed_and_a_new_rest_begins() -> None:
    path = knocked(10.0)
    calibration = run(stage(), looked_at(path, lasting_points(path)))["calibration"]
    # 10 px are a third of a metre or more at 70 m: 70 m / 1800 px * 10 px = 0.39 m
    assert off(calibration, path).max() < 0.3
    steps = steps_m(calibration)
    assert steps[MIDDLE - 1] > 0.2
    assert np.median(steps[MIDDLE + 50 : 225]) < 1e-6


def test_a_slow_pan_is_no_rest() -> None:
    # 1.5 px a second of 1280 are more than two looks may differ by
    path = panned(0.06)
    assert not held(run(stage(), looked_at(path, lasting_points(path)))).any()


def test_what_creeps_is_not_held_for_long() -> None:
    # 0.5 px of 1280 a second: two looks agree, but the third no more with the first
    path = panned(0.02)
    tables = run(stage(), looked_at(path, lasting_points(path)))
    assert 0.3 < held(tables)[:225].mean() < 0.7
    assert off(tables["calibration"], path)[-1] < 0.3


def test_cutting_the_input_changes_no_row_at_rest() -> None:
    path = knocked(10.0)
    assert_cut_invariant(stage(), looked_at(path, lasting_points(path)), seed=3)


@pytest.mark.parametrize("every", [5, 25])
def test_bad_points_are_distrusted_as_soon_however_rarely_they_are_sought(every: int) -> None:
    path = tripod()
    points = lasting_points(path)
    # from 4 s on nearly all points are anywhere
    rng = np.random.default_rng(5)
    astray = rng.random((150, 32)) < 0.95
    points[100:, :, :2][astray] = rng.uniform([0, 0], [1280, 720], (150, 32, 2))[astray]
    answers = statuses(run(stage(), looked_at(path, points, every)))
    assert "none" not in answers[:75]
    # two looks a second apart leave 0.65^2 = 0.42 of the old trust, five at 0.2 s a third
    assert set(answers[130:]) == {"none"}
