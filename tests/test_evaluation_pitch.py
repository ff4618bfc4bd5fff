"""Calibration of single frames against cases worked by hand."""

from pathlib import Path

import numpy as np
import pytest

from domain.errors import InputError, TableError
from domain.pitch import Pitch, project
from evaluation.pitch import ImageCamera, score_non_pitch, score_pitch, true_camera
from evaluation.yolo_labels import labelled_images, read_points
from tests.scored_match import camera, image_set, moved, pitch_label


def test_pitch_error_by_hand(tmp_path: Path) -> None:
    """An answer moved by 3 m along and 4 m across is 5 m off at every point."""
    folder = image_set(tmp_path / "set", [pitch_label(camera())] * 2, size=(1280, 720))
    answer = moved(camera(), 3, 4)
    scores = score_pitch(folder / "images", folder / "labels", lambda _: ImageCamera(answer))
    assert (scores["frames"], scores["answered"], scores["false_answers"]) == (2, 2, 0)
    for key in ("median_error_m", "p95_error_m", "inner_median_error_m"):
        assert scores[key] == pytest.approx(5, abs=1e-3)
    assert scores["label_p95_error_m"] == pytest.approx(0, abs=1e-3)


def test_pitch_frames_without_truth(tmp_path: Path) -> None:
    """No labelled point: no pitch. Two labelled points: a pitch, but no truth to score."""
    left = camera()
    two = pitch_label(left).split()
    seen = [i for i in range(32) if two[5 + 3 * i + 2] == "2"]
    for i in seen[2:]:
        two[5 + 3 * i : 8 + 3 * i] = ["0", "0", "0"]
    folder = image_set(
        tmp_path / "set", [pitch_label(left), "", " ".join(two), ""], size=(1280, 720)
    )
    answers = iter([None, ImageCamera(left), ImageCamera(left), None])
    scores = score_pitch(folder / "images", folder / "labels", lambda _: next(answers))
    assert scores["images"] == 4
    assert (scores["frames"], scores["answered"], scores["median_error_m"]) == (1, 0, None)
    assert (scores["non_pitch_frames"], scores["false_answers"]) == (2, 1)
    assert scores["unscored_frames"] == 1


def test_pictures_without_a_pitch(tmp_path: Path) -> None:
    """Three pictures, a camera is claimed for one."""
    folder = image_set(tmp_path / "set", ["", "", ""])
    answers = iter([None, ImageCamera(camera()), None])
    scores = score_non_pitch(folder / "images", lambda _: next(answers))
    assert scores == {"images": 3, "false_answers": 1, "false_answer_share": pytest.approx(1 / 3)}
    with pytest.raises(InputError, match="no image"):
        score_non_pitch(folder / "labels", lambda _: None)


def test_points_on_one_line_determine_no_camera() -> None:
    """Points 1 to 6 lie on the goal line, and one point beside it does not help."""
    pixels = project(np.linalg.inv(camera()), Pitch().points())
    points = np.column_stack([pixels / (1280, 720), np.zeros(32)])
    points[:6, 2] = 2
    assert true_camera(points, (1280, 720)) is None
    points[8, 2] = 2
    assert true_camera(points, (1280, 720)) is None
    points[[7, 12], 2] = 2
    assert true_camera(points, (1280, 720)) is not None


def test_one_misplaced_label_does_not_move_the_truth() -> None:
    pixels = project(np.linalg.inv(camera()), Pitch().points())
    points = np.column_stack([pixels / (1280, 720), np.full(32, 2.0)])
    points[15, :2] += 0.1
    truth = true_camera(points, (1280, 720))
    assert truth is not None
    assert np.delete(truth.residual_m, 15).max() < 0.01
    assert truth.residual_m[15] > 1


def test_the_sky_is_not_pitch(tmp_path: Path) -> None:
    """A camera tilted up: pixels above the horizon map to ground behind it and are left out."""
    tilted = camera() @ np.array([[1, 0, 0], [0, 1, -300], [0, 0, 1.0]])
    folder = image_set(tmp_path / "set", [pitch_label(tilted)], size=(1280, 720))
    scores = score_pitch(
        folder / "images", folder / "labels", lambda _: ImageCamera(moved(tilted, 1, 0))
    )
    assert scores["p95_error_m"] == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 0.5 0.5 1 1 0.5\n", r"a0\.txt:1: expected 101 numbers, actual 6"),
        ("0 0.5 0.5 1 1" + " 0.5 0.5 3" * 32, r"a0\.txt:1: .*visibility 0, 1 or 2"),
        ("0 0.5 0.5 1 1" + " 7 0.5 2" * 32, r"a0\.txt:1: expected x and y"),
        (("0 0.5 0.5 1 1" + " 0 0 0" * 32 + "\n") * 2, r"a0\.txt:2: expected one pitch"),
    ],
)
def test_a_malformedpitch_label_is_refused(tmp_path: Path, text: str, message: str) -> None:
    folder = image_set(tmp_path / "set", [text])
    with pytest.raises(InputError, match=message):
        read_points(folder / "labels" / "a0.txt")


def test_an_answer_that_is_no_homography_is_refused(tmp_path: Path) -> None:
    folder = image_set(tmp_path / "set", [""])
    with pytest.raises(TableError, match=r"\(3, 3\)"):
        score_pitch(folder / "images", folder / "labels", lambda _: ImageCamera(np.zeros((2, 3))))


@pytest.mark.real
@pytest.mark.parametrize(("name", "median_m"), [("pitch", 0.25), ("pitch_wc2022", 0.15)])
def test_realpitch_labels_fit_a_camera(real_data: Path, name: str, median_m: float) -> None:
    """The labels' own noise as the shared data's README states it: 0.22 m, and 0.10 to 0.15."""
    pairs = labelled_images(real_data / name / "images", real_data / name / "labels")
    cameras = [true_camera(read_points(pair.label), (1920, 1080)) for pair in pairs]
    residuals = np.concatenate([c.residual_m for c in cameras if c is not None])
    assert np.median(residuals) < median_m


def test_an_answer_with_a_bent_lens_is_asked_where_it_shows_the_ground() -> None:
    # 640 px from the middle at 1000 px and k1 -0.1: 640 (1 - 0.1 * 0.64^2) = 613.8 px are shown
    straight = ImageCamera(camera())
    bent = ImageCamera(camera(), bend=-0.1 / 1000**2)
    shown = np.array([[640 + 613.7856, 360.0]])
    assert bent.ground(shown, (1280, 720)) == pytest.approx(
        straight.ground(np.array([[1280.0, 360.0]]), (1280, 720)), abs=1e-3
    )
