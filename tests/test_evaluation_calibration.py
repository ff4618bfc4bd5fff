"""The camera over a match and bent lenses against cases worked by hand."""

import cv2
import numpy as np
import pyarrow as pa
import pytest

from domain.errors import InputError
from evaluation.calibration import Camera, View, frame_errors_m, score_calibration
from tests.scored_match import calibration_table, camera, moved, with_column

SIZE = (1280, 720)
CENTRE = np.array([640.0, 360.0])
VIEW = View.of_size(*SIZE)
FOCAL_PX = 1024.0


def _bent(homography: np.ndarray, k1: float) -> Camera:
    return Camera(homography, FOCAL_PX, k1)


@pytest.mark.parametrize("k1", [-0.3, -0.05, 0.02, 0.2])
def test_bending_and_straightening_gives_pixels_back(k1: float) -> None:
    """By OpenCV's own model: straight places, bent by projectPoints, come back to 1e-6 px."""
    x, y = np.meshgrid(np.linspace(0, 1280, 9), np.linspace(0, 720, 7))
    straight = np.column_stack([x.ravel(), y.ravel()])
    rays = np.column_stack([(straight - CENTRE) / FOCAL_PX, np.ones(len(straight))])
    lens = np.array([[FOCAL_PX, 0, 640], [0, FOCAL_PX, 360], [0, 0, 1]])
    bent, _ = cv2.projectPoints(rays, np.zeros(3), np.zeros(3), lens, np.array([k1, 0, 0, 0.0]))
    found = _bent(camera(), k1).straight(bent[:, 0], VIEW)
    assert found == pytest.approx(straight, abs=1e-6)


def test_a_straight_lens_changes_nothing() -> None:
    pixels = np.array([[3.0, 4.0]])
    assert Camera(camera()).straight(pixels, VIEW) is pixels


def test_equal_lenses_leave_the_error_of_the_camera() -> None:
    """Moved by 3 and 4 m, the error is 5 m everywhere, bent or not."""
    truth, answer = (_bent(h, -0.1) for h in (camera(), moved(camera(), 3, 4)))
    assert frame_errors_m(truth, answer, VIEW) == pytest.approx(5)


def test_an_answer_that_ignores_the_lens_is_wrong_at_the_edges() -> None:
    """Where the picture is bent by b pixels, the answer is off by what b pixels are there.

    k1 = -0.05 moves the corner, 734 px or 0.717 focal lengths from the middle, by
    0.05 x 0.717^3 x 1024 = 19 px and the middle by none.
    """
    errors = frame_errors_m(_bent(camera(), -0.05), Camera(camera()), VIEW)
    assert errors.max() > 0.5
    assert np.percentile(errors, 5) < 0.05


def test_a_bent_lens_needs_focal_length_and_size() -> None:
    bent = _bent(camera(), -0.1)
    with pytest.raises(InputError, match="focal length and the picture's size"):
        frame_errors_m(bent, bent, View((0, 0, 1280, 720), None))
    with pytest.raises(InputError, match="focal length"):
        frame_errors_m(Camera(camera(), k1=-0.1), bent, VIEW)


def test_answers_where_no_pitch_is_shown_are_false() -> None:
    """Frames 0 to 3 are measurable, 4 and 5 close-ups; truth has no camera in frame 3.

    Answered: 1 of the 3 with truth; false: frame 3 and frame 5.
    """
    truth = calibration_table([camera()] * 3 + [None] + [camera()] * 2)
    result = calibration_table([camera(), None, None, camera(), None, camera()])
    scores = score_calibration(truth, result, np.arange(4), VIEW, np.array([4, 5]))
    assert scores["calibration_frames"] == 3
    assert scores["calibration_answered_share"] == 1 / 3
    assert scores["calibration_false_answers"] == 2
    assert scores["calibration_no_pitch_frames"] == 3
    assert scores["calibration_false_share"] == pytest.approx(2 / 3)


def test_expected_errors_hold_by_frame() -> None:
    """Each frame is 5 m off: expected 6, 5.5, 4 and unknown, so 2 of 3."""
    truth = calibration_table([camera()] * 4)
    answer = _told(calibration_table([moved(camera(), 3, 4)] * 4), [6.0, 5.5, 4.0, None])
    scores = score_calibration(truth, answer, np.arange(4), VIEW)
    assert scores["calibration_sigma_coverage"] == pytest.approx(2 / 3)


def _told(table: pa.Table, errors: list[float | None]) -> pa.Table:
    return with_column(table, "error_m", errors)
