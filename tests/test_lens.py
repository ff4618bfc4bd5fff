"""The bending of a lens and its undoing, against a hand-worked case, OpenCV and each other."""

import cv2
import numpy as np
import pytest

from domain.lens import bent, straightened, straightening

GRID = np.stack(np.meshgrid(np.linspace(-0.45, 0.45, 7), np.linspace(-0.3, 0.3, 5)), axis=-1)


def test_a_corner_moves_as_reckoned_by_hand() -> None:
    # r^2 = 0.3^2 + 0.4^2 = 0.25, factor 1 - 0.08 * 0.25 = 0.98
    assert bent(np.array([0.3, 0.4]), -0.08) == pytest.approx([0.294, 0.392])


@pytest.mark.parametrize("k1", [-0.3, -0.05, 0.0, 0.08])
def test_it_is_opencvs_distortion(k1: float) -> None:
    points = np.column_stack([GRID.reshape(-1, 2), np.ones(GRID.size // 2)])
    theirs, _ = cv2.projectPoints(
        points, np.zeros(3), np.zeros(3), np.eye(3), np.array([k1, 0, 0, 0])
    )
    assert bent(points[:, :2], k1) == pytest.approx(theirs[:, 0])


@pytest.mark.parametrize("k1", [-0.3, -0.05, 0.0, 0.08])
def test_straightening_undoes_it(k1: float) -> None:
    assert straightened(bent(GRID, k1), k1) == pytest.approx(GRID, abs=1e-12)


def test_each_point_may_have_a_lens_of_its_own() -> None:
    points, k1 = GRID.reshape(-1, 2), np.linspace(-0.2, 0.2, GRID.size // 2)
    straight, _ = straightening(bent(points, k1), k1)
    assert straight == pytest.approx(points, abs=1e-12)


def test_the_derivative_is_that_of_small_steps() -> None:
    points, k1 = bent(GRID.reshape(-1, 2), -0.1), np.full(GRID.size // 2, -0.1)
    _, jacobian = straightening(points, k1)
    step = 1e-6
    for axis in (0, 1):
        aside = step * np.eye(2)[axis]
        by_steps = (straightened(points + aside, k1) - straightened(points - aside, k1)) / (
            2 * step
        )
        assert jacobian[:, :, axis] == pytest.approx(by_steps, abs=1e-8)


def test_what_a_barrel_cannot_show_stays_at_its_fold() -> None:
    # r (1 - r^2) is at most 0.385, at r = 0.577: nothing is ever shown at 2
    found = straightened(np.array([2.0, 0.0]), -1.0)
    assert 0.5 < found[0] < 0.578
    assert np.isnan(bent(np.array([2.0, 0.0]), -1.0)).all()
