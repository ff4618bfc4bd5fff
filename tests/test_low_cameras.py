"""Cameras low beside the pitch, and what is believed of a network that does not know such views."""

import numpy as np
import pytest

from tests.panning_camera import WIDTH, camera_path, observation_tables, seen_points
from tests.test_pitch_calibration import errors, stage, statuses
from tests.timeline_runs import run


def test_a_phone_beside_the_pitch() -> None:
    # 3 m up and 8 m behind the touchline, a wide lens that bends; 40 wobbles by a degree
    path = camera_path(40)
    path[:] = [0.2, -0.08, 0.01, np.log(1.1 * WIDTH), 6.0, -42.0, 3.0, 0.0, -0.06]
    path[:, :3] += 0.02 * np.sin(np.arange(40)[:, None] / [5, 7, 9])
    tables = run(stage(), observation_tables(path, seen_points(path, np.random.default_rng(0))))
    assert "none" not in statuses(tables)
    missed = [row for row in errors(tables["calibration"], path) if row is not None]
    # 2 px at the far touchline, 70 m away, are 2 px * 70^2 m^2 / (3 m * 1400 px) = 2.3 m
    assert np.median(np.concatenate(missed)) < 0.5
    assert tables["calibration"]["camera_z"].to_pylist()[-1] == pytest.approx(3.0, abs=0.3)


def test_a_network_out_of_its_depth_is_not_believed() -> None:
    path = camera_path(60)
    # half of the points are elsewhere: those that agree do so by choice among them
    points = seen_points(path, np.random.default_rng(0), drop=0.4, wrong=0.5)
    answers = statuses(run(stage(), observation_tables(path, points)))
    assert answers.count("none") > 50


def test_a_shot_that_is_understood_follows_one_that_is_not() -> None:
    path, rng = camera_path(100), np.random.default_rng(0)
    shots = [seen_points(path[:50], rng, drop=0.4, wrong=0.6), seen_points(path[50:], rng)]
    answers = statuses(run(stage(), observation_tables(path, np.concatenate(shots), cuts=(50,))))
    assert answers[:50].count("none") > 40
    assert "none" not in answers[50:]
