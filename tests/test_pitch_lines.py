"""Painted lines in drawn pictures: found where they are, also from points that are a little off."""

import numpy as np
import pytest
from numpy.typing import NDArray

from domain.pitch import Pitch
from stages.pitch_calibration import camera as cameras
from stages.pitch_observation.lines import LineFinder, _fitted, _Samples
from tests.panning_camera import (
    CENTRE,
    HEIGHT,
    POINTS,
    WIDTH,
    DrawnMatch,
    camera_path,
    observation_tables,
)
from tests.test_pitch_calibration import answered, misses, stage, true_ground
from tests.timeline_runs import run

Array = NDArray[np.float64]
FINDER = LineFinder(Pitch(), (WIDTH, HEIGHT))


@pytest.fixture(scope="module")
def camera() -> Array:
    return np.asarray(camera_path(30)[29])


@pytest.fixture(scope="module")
def picture(camera: Array) -> NDArray[np.uint8]:
    return DrawnMatch().picture(camera)


def points_of(camera: Array, off_px: float) -> NDArray[np.float32]:
    """The pitch's points as a network sees them, each missed by a normal error."""
    pixels, _ = cameras.view(camera, CENTRE, POINTS)
    inside = ((pixels > 0) & (pixels < [WIDTH, HEIGHT])).all(axis=1)
    pixels = pixels + np.random.default_rng(3).normal(0, off_px, pixels.shape)
    table = np.column_stack([np.where(inside[:, None], pixels, 0), np.where(inside, 0.9, 0)])
    return table.astype(np.float32)


@pytest.mark.parametrize("off_px", [0.0, 3.0])
def test_sights_lie_on_the_lines(camera: Array, picture: NDArray[np.uint8], off_px: float) -> None:
    sights = FINDER.find(picture, points_of(camera, off_px))
    assert len(sights) > 20
    true, _ = cameras.view(camera, CENTRE, sights[:, :2])
    across = np.abs(((sights[:, 2:4] - true) * sights[:, 4:]).sum(axis=1))
    assert np.median(across) < 0.5
    assert np.mean(across < 1.5) > 0.97


def test_sights_of_every_kind_of_line_in_view(camera: Array, picture: NDArray[np.uint8]) -> None:
    sights = FINDER.find(picture, points_of(camera, 1.0))
    x, y = np.abs(sights[:, 0]), np.abs(sights[:, 1])
    assert (np.abs(y - 34.0) < 0.01).any()  # a touchline
    assert (np.abs(np.hypot(x, y) - 9.15) < 0.2).any()  # the centre circle
    assert np.allclose(np.linalg.norm(sights[:, 4:], axis=1), 1)


def test_a_picture_without_paint_gives_none(camera: Array) -> None:
    turf = np.full((HEIGHT, WIDTH, 3), (50, 140, 60), np.uint8)
    noise = np.random.default_rng(0).normal(0, 5, turf.shape)
    picture = np.clip(turf + noise, 0, 255).astype(np.uint8)
    assert len(FINDER.find(picture, points_of(camera, 1.0))) == 0


def test_wrong_points_are_refused_without_a_word(picture: NDArray[np.uint8]) -> None:
    """Warnings are errors here: a user would read NumPy's on stderr."""
    rng = np.random.default_rng(272)  # the horizon of these goes through a line of the pitch
    points = np.zeros((len(POINTS), 3), np.float32)
    chosen = rng.choice(len(POINTS), rng.integers(4, 9), replace=False)
    points[chosen, :2] = rng.uniform(0, 1, (len(chosen), 2)) * [WIDTH, HEIGHT]
    points[chosen, 2] = 0.9
    FINDER.find(picture, points)


def test_a_camera_that_sees_one_x_everywhere_is_no_view() -> None:
    """No pixel moves the error of such a row, so it cannot be weighed by pixels."""
    flat = np.array([[0.0, 0.0, 5.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    none = np.zeros((0, 2))
    samples = _Samples(np.zeros(0, np.int64), none, none, none, none, np.zeros(0), np.zeros(0))
    with pytest.raises(np.linalg.LinAlgError):
        _fitted(flat, np.zeros((4, 2)), np.ones((4, 2)), samples, 1.0)


def test_paint_that_is_not_on_grass_is_no_line(camera: Array, picture: NDArray[np.uint8]) -> None:
    grey = np.repeat(picture.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)
    assert len(FINDER.find(grey, points_of(camera, 1.0))) == 0


def test_three_points_are_too_few_to_look_from(camera: Array, picture: NDArray[np.uint8]) -> None:
    points = points_of(camera, 0.0)
    points[np.flatnonzero(points[:, 2])[3:], 2] = 0
    assert len(FINDER.find(picture, points)) == 0


def test_lines_make_a_camera_better_than_its_points(
    camera: Array, picture: NDArray[np.uint8]
) -> None:
    points = points_of(camera, 3.0)
    lines = FINDER.find(picture, points).ravel()
    errors = {}
    for name, sights in (("points", None), ("lines", [lines])):
        tables = observation_tables(camera[None], points.astype(float)[None], lines=sights)
        (row,) = run(stage(), tables)["calibration"].to_pylist()
        errors[name] = np.median(misses(answered(row), true_ground(camera)))
    assert errors["lines"] < 0.1
    assert errors["lines"] < errors["points"] / 2


def test_points_that_make_no_sense_give_no_error(picture: NDArray[np.uint8]) -> None:
    # a close-up's points lie anywhere, also all on one line or in one place
    rng = np.random.default_rng(5)
    for spread in (0.0, 1e-6, 1.0, 400.0):
        for _ in range(10):
            points = np.column_stack([CENTRE + rng.normal(0, 1, (32, 2)) * spread, np.ones(32)])
            points[rng.random(32) < 0.7, 2] = 0
            points[:, 1] = CENTRE[1] if rng.random() < 0.3 else points[:, 1]
            sights = FINDER.find(picture, points.astype(np.float32))
            assert np.isfinite(sights).all()
