"""The scores against cases worked by hand: the arithmetic stands beside each expected number."""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import tables
from domain.errors import InputError, TableError
from domain.pitch import Pitch, project
from evaluation.ball import Ball, score_ball
from evaluation.collected import frame_rate, load_events, load_tracking
from evaluation.detection import Detections, score_detection
from evaluation.event_matching import count_times, pair_times, time_error_s
from evaluation.events import fit_offset, score_events
from evaluation.formations import Window, score_formations
from evaluation.match import score_match
from evaluation.movement import frame_seconds
from evaluation.pitch import score_pitch, true_camera
from evaluation.teams import Labels, score_teams
from evaluation.tracking import (
    People,
    box_overlap,
    closeness,
    people_of,
    score_tracking,
)
from evaluation.yolo_labels import labelled_images, read_boxes, read_points

REAL = Path(
    os.environ.get(
        "FOOTANALYTICS_REAL_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"
    )
)
real = [
    pytest.mark.real,
    pytest.mark.skipif(not REAL.is_dir(), reason="no real footage: set FOOTANALYTICS_REAL_DATA"),
]

Write = Callable[..., Path]


# ---------------------------------------------------------------- detection


def _image_set(folder: Path, labels: Sequence[str], size: tuple[int, int] = (200, 100)) -> Path:
    """A folder of black images (width, height) named a0, a1 ... with these label texts."""
    for name in ("images", "labels"):
        (folder / name).mkdir(parents=True)
    for number, text in enumerate(labels):
        image = np.zeros((size[1], size[0], 3), np.uint8)
        # the number is written in the corner, so that a detector of the tests can tell them apart
        image[:8, :8] = number
        cv2.imwrite(str(folder / "images" / f"a{number}.png"), image)
        (folder / "labels" / f"a{number}.txt").write_text(text)
    return folder


def _found(*boxes: tuple[float, float, float, float, float, str]) -> Detections:
    """Detections from (x1, y1, x2, y2, confidence, role)."""
    return Detections(
        xyxy=np.array([box[:4] for box in boxes], dtype=np.float64).reshape(-1, 4),
        confidence=np.array([box[4] for box in boxes], dtype=np.float64),
        role=np.array([box[5] for box in boxes], dtype=np.str_),
    )


def _score(
    folder: Path, *boxes: tuple[float, float, float, float, float, str], **options: Any
) -> Any:
    found = _found(*boxes)
    return score_detection(folder / "images", folder / "labels", lambda _: found, **options)


# two players of 20x40 pixels in a 200x100 image: at x 10..30 and 110..130, y 30..70
TWO_PLAYERS = "2 0.1 0.5 0.1 0.4\n2 0.6 0.5 0.1 0.4\n"
FIRST, SECOND = (10.0, 30.0, 30.0, 70.0), (110.0, 30.0, 130.0, 70.0)


def test_average_precision_by_hand(tmp_path: Path) -> None:
    """Right, wrong, right by falling confidence.

    Precision 1 up to recall 1/2, then 2/3 up to recall 1. Of the 101 recall levels 0, 0.01 ... 1,
    51 lie at 0.5 or below: (51 x 1 + 50 x 2/3) / 101.
    """
    folder = _image_set(tmp_path / "set", [TWO_PLAYERS])
    elsewhere = (60.0, 30.0, 80.0, 70.0)
    scores = _score(
        folder, (*FIRST, 0.9, "player"), (*elsewhere, 0.8, "player"), (*SECOND, 0.7, "player")
    )
    assert scores["ap50"]["player"] == pytest.approx((51 + 50 * 2 / 3) / 101)
    assert scores["images"] == 1
    assert scores["boxes"] == {"player": 2, "goalkeeper": 0, "referee": 0, "ball": 0}
    assert scores["ap50"]["ball"] is None


def test_overlap_thresholds_by_hand(tmp_path: Path) -> None:
    """A box of width 20 shifted by 4.7 overlaps by (20 - 4.7) / (20 + 4.7) = 0.619.

    It is a hit at 0.50, 0.55 and 0.60: 3 of the 10 thresholds.
    """
    folder = _image_set(tmp_path / "set", ["2 0.1 0.5 0.1 0.4\n"])
    scores = _score(folder, (14.7, 30.0, 34.7, 70.0, 0.9, "player"))
    assert scores["ap50"]["player"] == pytest.approx(1)
    assert scores["ap50_95"]["player"] == pytest.approx(0.3)


def test_a_second_box_on_one_player_is_false(tmp_path: Path) -> None:
    """Right, repeat, and the other player never found: recall stops at 1/2, 51 levels of 101."""
    folder = _image_set(tmp_path / "set", [TWO_PLAYERS])
    scores = _score(folder, (*FIRST, 0.9, "player"), (*FIRST, 0.8, "player"))
    assert scores["ap50"]["player"] == pytest.approx(51 / 101)


def test_detections_of_other_images_do_not_help(tmp_path: Path) -> None:
    """Image 1 is empty and its two answers come first: wrong, wrong, right, right.

    Made monotone, precision is 2/4 at every recall.
    """
    folder = _image_set(tmp_path / "set", [TWO_PLAYERS, ""])
    right = _found((*FIRST, 0.5, "player"), (*SECOND, 0.5, "player"))
    wrong = _found((*FIRST, 0.9, "player"), (*SECOND, 0.9, "player"))
    scores = score_detection(
        folder / "images", folder / "labels", lambda image: wrong if image[0, 0, 0] else right
    )
    assert scores["images"] == 2
    assert scores["ap50"]["player"] == pytest.approx(2 / 4)


def test_only_labelled_roles_are_scored_and_keepers_join_the_players(tmp_path: Path) -> None:
    folder = _image_set(tmp_path / "set", [TWO_PLAYERS])
    answers = ((*FIRST, 0.9, "goalkeeper"), (*SECOND, 0.9, "player"), (*FIRST, 0.9, "referee"))
    assert _score(folder, *answers)["ap50"]["player"] == pytest.approx(51 / 101)
    (folder / "labelled.txt").write_text("player\nball\n")
    scores = _score(folder, *answers)
    assert scores["ap50"] == {"player": 1.0, "goalkeeper": None, "referee": None, "ball": None}


def test_nothing_found_scores_zero(tmp_path: Path) -> None:
    folder = _image_set(tmp_path / "set", [TWO_PLAYERS])
    assert _score(folder)["ap50"]["player"] == 0


def test_images_can_be_chosen_by_match_and_unstretched(tmp_path: Path) -> None:
    """A squeezed 90x90 image is brought back to 160x90, where the labels' fractions still hold."""
    folder = _image_set(tmp_path / "set", ["0 0.5 0.5 0.1 0.1\n", ""], size=(90, 90))
    shapes: list[tuple[int, ...]] = []

    def detect(image: np.ndarray) -> Detections:
        shapes.append(image.shape)
        return _found((72.0, 40.5, 88.0, 49.5, 0.5, "ball"))

    scores = score_detection(
        folder / "images", folder / "labels", detect, matches=["a0"], unstretch=True
    )
    assert shapes == [(90, 160, 3)]
    assert scores["ap50_95"]["ball"] == pytest.approx(1)
    with pytest.raises(InputError, match="starts with zz"):
        labelled_images(folder / "images", folder / "labels", ["zz"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2 0.5 0.5 0.1 0.1\n2 0.5 0.5 0.1\n", r"a0\.txt:2: expected 5 numbers, actual 4"),
        ("7 0.5 0.5 0.1 0.1\n", r"a0\.txt:1: expected class 0 to 3, actual 7"),
        ("1.5 0.5 0.5 0.1 0.1\n", r"a0\.txt:1: expected class 0 to 3"),
        ("2 0.5 x 0.1 0.1\n", r"a0\.txt:1: expected numbers"),
        ("2 0.5 nan 0.1 0.1\n", r"a0\.txt:1: expected finite numbers"),
        ("\n2 500 300 20 40\n", r"a0\.txt:2: expected a box in fractions"),
        ("2 0.5 0.5 0 0.1\n", r"a0\.txt:1: expected a box in fractions"),
    ],
)
def test_a_malformed_box_is_refused_with_file_and_line(
    tmp_path: Path, text: str, message: str
) -> None:
    folder = _image_set(tmp_path / "set", [text])
    with pytest.raises(InputError, match=message):
        read_boxes(folder / "labels" / "a0.txt")


def test_folders_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    folder = _image_set(tmp_path / "set", [TWO_PLAYERS, ""])
    (folder / "labels" / "a1.txt").unlink()
    with pytest.raises(InputError, match=r"no label file .*a1\.txt for 1 of 2"):
        _score(folder)
    (folder / "labels" / "a0.txt").rename(folder / "labels" / "b0.txt")
    with pytest.raises(InputError, match="share no file name"):
        _score(folder)
    with pytest.raises(InputError, match="no folder"):
        score_detection(folder / "images", folder / "nowhere", lambda _: _found())
    (folder / "labelled.txt").write_text("striker\n")
    (folder / "labels" / "b0.txt").rename(folder / "labels" / "a0.txt")
    with pytest.raises(InputError, match="striker"):
        _score(folder, matches=["a0"])
    (folder / "images" / "a0.png").write_text("no image")
    (folder / "labelled.txt").unlink()
    with pytest.raises(InputError, match="cannot read image"):
        _score(folder, matches=["a0"])


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ((5.0, 5.0, 4.0, 6.0, 0.5, "ball"), "x1 <= x2"),
        ((0.0, 0.0, np.nan, 6.0, 0.5, "ball"), "finite"),
        ((0.0, 0.0, 4.0, 6.0, 1.5, "ball"), "confidence"),
        ((0.0, 0.0, 4.0, 6.0, 0.5, "striker"), "striker"),
    ],
)
def test_detections_check_themselves(
    box: tuple[float, float, float, float, float, str], message: str
) -> None:
    with pytest.raises(TableError, match=message):
        _found(box)


def test_detections_check_their_shapes() -> None:
    with pytest.raises(TableError, match="shapes"):
        Detections(np.zeros((2, 4)), np.zeros(3), np.array(["ball", "ball"]))


# ---------------------------------------------------------------- pitch


def camera(size: tuple[int, int] = (1280, 720)) -> np.ndarray:
    """Pixel to metre of a camera 60 m behind the near touchline's middle, 25 m high, tilted 22.6
    degrees down, which has the centre spot in the middle of the image."""
    tilt = np.arctan2(25, 60)
    right, down, ahead = (
        np.array([1.0, 0, 0]),
        np.array([0, -np.sin(tilt), -np.cos(tilt)]),
        np.array([0, np.cos(tilt), -np.sin(tilt)]),
    )
    rotation = np.stack([right, down, ahead])
    shift = -rotation @ np.array([0.0, -60.0, 25.0])
    intrinsics = np.array(
        [[size[0] * 0.8, 0, size[0] / 2], [0, size[0] * 0.8, size[1] / 2], [0, 0, 1]]
    )
    return np.linalg.inv(intrinsics @ np.column_stack([rotation[:, :2], shift]))


def moved(homography: np.ndarray, x: float, y: float) -> np.ndarray:
    """The same homography with every answer moved by metres."""
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]]) @ homography


def _pitch_label(
    homography: np.ndarray, size: tuple[int, int] = (1280, 720), keep: int = 32
) -> str:
    pixels = project(np.linalg.inv(homography), Pitch().points()) / size
    seen = ((pixels > 0) & (pixels < 1)).all(axis=1) & (np.arange(32) < keep)
    cells = [f"{x:.9f} {y:.9f} 2" if v else "0 0 0" for (x, y), v in zip(pixels, seen, strict=True)]
    return "0 0.5 0.5 1 1 " + " ".join(cells) + "\n"


def test_pitch_error_by_hand(tmp_path: Path) -> None:
    """An answer moved by 3 m along and 4 m across is 5 m off at every point."""
    folder = _image_set(tmp_path / "set", [_pitch_label(camera())] * 2, size=(1280, 720))
    answer = moved(camera(), 3, 4)
    scores = score_pitch(folder / "images", folder / "labels", lambda _: answer)
    assert (scores["frames"], scores["answered"], scores["false_answers"]) == (2, 2, 0)
    for key in ("median_error_m", "p95_error_m", "inner_median_error_m"):
        assert scores[key] == pytest.approx(5, abs=1e-3)
    assert scores["label_p95_error_m"] == pytest.approx(0, abs=1e-3)


def test_pitch_frames_without_truth(tmp_path: Path) -> None:
    """No labelled point: no pitch. Two labelled points: a pitch, but no truth to score."""
    left = camera()
    two = _pitch_label(left).split()
    seen = [i for i in range(32) if two[5 + 3 * i + 2] == "2"]
    for i in seen[2:]:
        two[5 + 3 * i : 8 + 3 * i] = ["0", "0", "0"]
    folder = _image_set(
        tmp_path / "set", [_pitch_label(left), "", " ".join(two), ""], size=(1280, 720)
    )
    answers = iter([None, left, left, None])
    scores = score_pitch(folder / "images", folder / "labels", lambda _: next(answers))
    assert scores["images"] == 4
    assert (scores["frames"], scores["answered"], scores["median_error_m"]) == (1, 0, None)
    assert (scores["non_pitch_frames"], scores["false_answers"]) == (2, 1)
    assert scores["unscored_frames"] == 1


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
    folder = _image_set(tmp_path / "set", [_pitch_label(tilted)], size=(1280, 720))
    scores = score_pitch(folder / "images", folder / "labels", lambda _: moved(tilted, 1, 0))
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
def test_a_malformed_pitch_label_is_refused(tmp_path: Path, text: str, message: str) -> None:
    folder = _image_set(tmp_path / "set", [text])
    with pytest.raises(InputError, match=message):
        read_points(folder / "labels" / "a0.txt")


def test_an_answer_that_is_no_homography_is_refused(tmp_path: Path) -> None:
    folder = _image_set(tmp_path / "set", [""])
    with pytest.raises(TableError, match=r"\(3, 3\)"):
        score_pitch(folder / "images", folder / "labels", lambda _: np.zeros((2, 3)))


# ---------------------------------------------------------------- tracking


def people(*rows: tuple[int, int, float]) -> People:
    """Rows (frame, track, x): a player stands at x metres, his box 10 wide from 10 x pixels on."""
    table = _tracks([(frame, track, x, 0.0) for frame, track, x in rows])
    return people_of(table, np.unique([row[0] for row in rows]))


def _tracks(rows: Sequence[tuple[int, int, float, float]], **changes: Any) -> pa.Table:
    """A tracks table from (frame, track, x, y) at 25 frames a second."""
    frame, track, x, y = (np.array(values) for values in zip(*rows, strict=True))
    columns = {
        "frame": frame,
        "time_s": frame / 25,
        "track": track,
        "x1": 500 + 10 * x,
        "y1": 300 - 10 * y,
        "x2": 510 + 10 * x,
        "y2": 320 - 10 * y,
        "x": x,
        "y": y,
        "sigma_m": np.full(len(x), 0.5),
        "speed_mps": np.full(len(x), 5.0),
        "observed": np.ones(len(x), bool),
    }
    return tables.make("tracks", columns | changes)


def _tracking_scores(truth: People, result: People, similarity: Any = box_overlap) -> Any:
    where = "xyxy" if similarity is box_overlap else "xy"
    return score_tracking(truth, result, np.ones(len(truth), bool), similarity, where)


def test_swapped_identities_by_hand() -> None:
    """Two people, two frames, all found, names exchanged in the second frame.

    DetA = 4 / 4. For each of the 4 hits TPA = 1, FPA = 1, FNA = 1, so AssA = 1/3.
    HOTA = sqrt(1 x 1/3). The best naming explains 2 of 4 rows: IDF1 = 2 x 2 / (4 + 4).
    """
    truth = people((0, 1, 0), (0, 2, 20), (1, 1, 0), (1, 2, 20))
    result = people((0, 7, 0), (0, 8, 20), (1, 8, 0), (1, 7, 20))
    scores = _tracking_scores(truth, result)
    assert scores == {
        "hota": pytest.approx(np.sqrt(1 / 3)),
        "deta": pytest.approx(1),
        "assa": pytest.approx(1 / 3),
        "idf1": pytest.approx(0.5),
    }


def test_a_miss_and_a_false_track_by_hand() -> None:
    """One person in 4 frames, found in 3; a false track in the fourth.

    TP 3, FN 1, FP 1: DetA = 3/5. Each hit has TPA 3, FNA 1, FPA 0: AssA = 3/4.
    IDF1 = 3 / (3 + 1/2 + 1/2).
    """
    truth = people((0, 1, 0), (1, 1, 0), (2, 1, 0), (3, 1, 0))
    result = people((0, 5, 0), (1, 5, 0), (2, 5, 0), (3, 6, 30))
    scores = _tracking_scores(truth, result)
    assert scores["deta"] == pytest.approx(3 / 5)
    assert scores["assa"] == pytest.approx(3 / 4)
    assert scores["hota"] == pytest.approx(np.sqrt(3 / 5 * 3 / 4))
    assert scores["idf1"] == pytest.approx(3 / 4)


def test_similarity_in_metres_by_hand() -> None:
    """2 m off: LocSim = 0.05 ^ (4 / 25) = 0.619 passes 0.05 ... 0.60, 12 of 19 thresholds."""
    assert closeness(np.zeros((1, 2)), np.array([[2.0, 0.0]])) == pytest.approx(0.05 ** (4 / 25))
    scores = _tracking_scores(people((0, 1, 0), (1, 1, 0)), people((0, 1, 2), (1, 1, 2)), closeness)
    assert scores["hota"] == pytest.approx(12 / 19)
    assert scores["idf1"] == pytest.approx(1)


def test_people_who_need_not_be_found_do_not_count() -> None:
    """Track 2 is a referee: found or not, the scores of track 1 are the same."""
    truth = people((0, 1, 0), (0, 2, 20), (1, 1, 0), (1, 2, 20))
    wanted = truth.track == 1
    for result in (
        people((0, 7, 0), (1, 7, 0)),
        people((0, 7, 0), (0, 8, 20), (1, 7, 0), (1, 8, 20)),
    ):
        scores = score_tracking(truth, result, wanted, box_overlap, "xyxy")
        assert set(scores.values()) == {1.0}


def test_overlap_by_hand() -> None:
    """10x10 boxes shifted by 5: 50 in common, 150 together; an unknown box overlaps none."""
    boxes = np.array([[0.0, 0, 10, 10], [np.nan] * 4])
    assert box_overlap(boxes[:1], boxes + np.array([5, 0, 5, 0])) == pytest.approx(
        np.array([[1 / 3, 0]])
    )


# ---------------------------------------------------------------- ball, teams, events, formations


def test_ball_by_hand() -> None:
    """Six frames: off by 0.5, 1.5 and 3 m, not answered, answered though absent, absent for both.

    Present 4, answered 4. Within 1 m: 1 hit, so precision and recall are 1/4; within 2 m: 2 hits.
    """
    nan = np.nan
    truth = Ball(
        xy=np.array([[0, 0], [0, 0], [0, 0], [0, 0], [nan, nan], [nan, nan]], float),
        z=np.array([1, 2, nan, 0, nan, nan]),
        sigma_m=np.full(6, nan),
    )
    result = Ball(
        xy=np.array([[0.5, 0], [0, 1.5], [3, 0], [nan, nan], [9, 9], [nan, nan]], float),
        z=np.array([1.5, 1.0, 0, nan, 0, nan]),
        sigma_m=np.ones(6),
    )
    scores = score_ball(truth, result)
    assert scores["ball_precision_1m"] == scores["ball_recall_1m"] == scores["ball_f1_1m"] == 1 / 4
    assert scores["ball_f1_2m"] == 2 / 4
    assert scores["ball_answered_share"] == 3 / 4
    assert scores["ball_error_median_m"] == 1.5
    # heights are known for the first two: 0.5 and 1.0 off
    assert scores["ball_height_error_median_m"] == 0.75


def test_teams_by_hand() -> None:
    """Five rows: three right, one wrong, one unknown; track 1 is right in 2 of 3 rows."""
    truth = Labels(
        team=np.array(["home", "home", "home", "away", "referee"]),
        role=np.array(["player", "player", "player", "goalkeeper", "referee"]),
    )
    result = Labels(
        team=np.array(["home", "home", "away", "unknown", "referee"]),
        role=np.array(["player", "player", "player", "player", "referee"]),
    )
    scores = score_teams(truth, result, np.array([1, 1, 1, 2, 3]))
    assert scores["team_accuracy"] == 3 / 4
    assert scores["team_unknown_share"] == 1 / 5
    # tracks 1 and 3 by majority right; track 2 was never answered
    assert scores["team_accuracy_per_player"] == 1.0
    assert scores["role_accuracy"] == 4 / 5


def test_events_match_one_to_one() -> None:
    """Truth 10 and 11, found 10.9 and 11.8: taking 10.9 for 11 would leave 10 without a partner.

    The most pairs win: 0.9 and 0.8 apart, mean 0.85. Within 0.5 s only 10.9 and 11 pair.
    """
    truth, found = np.array([10.0, 11.0]), np.array([10.9, 11.8])
    i, j = pair_times(truth, found, 1.0)
    assert (i.tolist(), j.tolist()) == ([0, 1], [0, 1])
    assert time_error_s(truth, found) == pytest.approx(0.85)
    half = count_times(truth, found, 0.5)
    assert (half.hits, half.false, half.missed) == (1, 1, 1)
    assert half.f1 == 0.5


def test_two_answers_to_one_event_are_one_hit() -> None:
    counts = count_times(np.array([5.0]), np.array([5.0, 5.1]), 1.0)
    assert (counts.precision, counts.recall) == (0.5, 1.0)


@given(
    st.lists(st.floats(0, 20), max_size=8),
    st.lists(st.floats(0, 20), max_size=8),
    st.sampled_from([0.5, 1.0, 2.0]),
)
@settings(max_examples=50, deadline=None)
def test_event_counts_are_symmetric_and_add_up(
    truth: list[float], found: list[float], tolerance: float
) -> None:
    there = count_times(np.array(truth), np.array(found), tolerance)
    back = count_times(np.array(found), np.array(truth), tolerance)
    assert there.hits == back.hits
    assert there.hits + there.missed == len(truth)
    assert there.hits + there.false == len(found)
    wider = count_times(np.array(truth), np.array(found), tolerance * 2)
    assert wider.hits >= there.hits


def test_formations_by_hand() -> None:
    """100 s of truth: 30 s right, 40 s wrong, 10 s "cannot tell", 20 s nothing.

    Two answers overlap from 30 to 40 s: the surer, wrong one speaks.
    """
    truth = [Window("home", 0, 100, "all", "433", 1.0), Window("away", 0, 50, "all", None, 1.0)]
    result = [
        Window("home", 0, 40, "in_possession", "433", 0.5),
        Window("home", 30, 70, "in_possession", "442", 0.9),
        Window("home", 70, 80, "all", None, 0.9),
    ]
    scores = score_formations(truth, result)
    assert scores["formation_accuracy"] == pytest.approx(30 / 100)
    assert scores["formation_accuracy_answered"] == pytest.approx(30 / 70)
    assert scores["formation_answered_share"] == pytest.approx(70 / 100)
    assert scores["formation_seconds"] == 100


def test_a_formation_of_the_other_phase_is_no_answer() -> None:
    truth = [Window("home", 0, 10, "in_possession", "433", 1.0)]
    result = [Window("home", 0, 10, "out_of_possession", "433", 1.0)]
    assert score_formations(truth, result)["formation_answered_share"] == 0


def test_a_gap_between_frames_is_no_motion() -> None:
    """Frames 0, 1, 2 and 50 at 25 a second: the third lasts at most two frames, not 48."""
    frames = np.array([0, 1, 2, 50])
    seconds = frame_seconds(frames, frames / 25, frames)
    assert seconds == pytest.approx([0.04, 0.04, 0.08, 0.08])


# ---------------------------------------------------------------- match

FRAMES = 50
# track: (x at frame 0, y, metres a frame, team, role)
CAST = {
    1: (-20.0, 10.0, 0.20, "home", "player"),
    2: (-40.0, 0.0, 0.00, "home", "goalkeeper"),
    3: (10.0, -10.0, -0.20, "away", "player"),
    4: (30.0, 5.0, 0.10, "away", "player"),
    5: (0.0, 20.0, 0.20, "referee", "referee"),
}


def _match_tables() -> dict[str, pa.Table]:
    """Two seconds of five people, a ball, a fixed camera, two passes, a shot and formations."""
    rows = [
        (n, track, x + step * n, y)
        for n in range(FRAMES)
        for track, (x, y, step, *_) in CAST.items()
    ]
    speed = [25 * abs(step) for _ in range(FRAMES) for _, _, step, *_ in CAST.values()]
    return {
        "frames": _frames(np.arange(FRAMES)),
        "tracks": _tracks(rows, speed_mps=speed),
        "ball": _ball(np.linspace(0, 10, FRAMES)),
        "identities": _identities([(t, c[3], c[4]) for t, c in CAST.items()]),
        "calibration": _calibration([camera()] * FRAMES),
        "match_events": _events([("pass", 5), ("pass", 30), ("shot", 45)]),
        "formations": _formations([("home", "4-3-3"), ("away", "4-4-2")]),
    }


def _frames(numbers: np.ndarray) -> pa.Table:
    count = len(numbers)
    return tables.make(
        "frames",
        {
            "frame": numbers,
            "time_s": numbers / 25,
            "period": [1] * count,
            "match_clock_s": [None] * count,
            "segment": np.zeros(count, int),
            "decoded": np.ones(count, bool),
            "view": ["wide"] * count,
            "shot": np.zeros(count, int),
            "replay": np.zeros(count, bool),
            "camera_motion": [None] * count,
        },
    )


def _ball(x: np.ndarray) -> pa.Table:
    count = len(x)
    return tables.make(
        "ball",
        {
            "frame": np.arange(count),
            "time_s": np.arange(count) / 25,
            "x": x,
            "y": np.zeros(count),
            "z": np.zeros(count),
            **dict.fromkeys(("pixel_x", "pixel_y"), [None] * count),
            "sigma_m": np.full(count, 0.5),
            "status": ["seen"] * count,
            "confidence": np.ones(count),
        },
    )


def _identities(rows: Sequence[tuple[int, str, str]]) -> pa.Table:
    return tables.make(
        "identities",
        {
            "track": [row[0] for row in rows],
            "player": [f"p{row[0]}" for row in rows],
            "number": [None] * len(rows),
            "team": [row[1] for row in rows],
            "role": [row[2] for row in rows],
            "confidence": [1.0] * len(rows),
        },
    )


def _calibration(homographies: Sequence[np.ndarray | None]) -> pa.Table:
    count = len(homographies)
    unknown = [
        "focal_px",
        "pan_deg",
        "tilt_deg",
        "roll_deg",
        "camera_x",
        "camera_y",
        "camera_z",
        "k1",
        "error_m",
    ]
    return tables.make(
        "calibration",
        {
            "frame": np.arange(count),
            "homography": [None if h is None else h.reshape(-1).tolist() for h in homographies],
            **dict.fromkeys(unknown, [None] * count),
            "status": ["none" if h is None else "measured" for h in homographies],
        },
    )


def _events(rows: Sequence[tuple[str, int]], *, provisional: bool = False) -> pa.Table:
    count = len(rows)
    start = [row[1] for row in rows]
    empty = ["start_x", "start_y", "end_x", "end_y", "player", "receiver", "outcome"]
    return tables.make(
        "match_events",
        {
            "event": list(range(count)),
            "type": [row[0] for row in rows],
            "start_frame": start,
            "start_s": [frame / 25 for frame in start],
            "end_frame": start,
            "end_s": [frame / 25 for frame in start],
            **dict.fromkeys(empty, [None] * count),
            "team": ["unknown"] * count,
            "confidence": [1.0] * count,
            "evidence": ["test"] * count,
            "evidence_frames": [[frame] for frame in start],
            "provisional": [provisional] * count,
        },
    )


def _formations(rows: Sequence[tuple[str, str]]) -> pa.Table:
    count = len(rows)
    return tables.make(
        "formations",
        {
            "team": [row[0] for row in rows],
            "start_s": [0.0] * count,
            "end_s": [2.0] * count,
            "phase": ["all"] * count,
            "label": [row[1] for row in rows],
            **dict.fromkeys(("players", "positions", "x", "y"), [[]] * count),
            "confidence": [1.0] * count,
        },
    )


def _with(table: pa.Table, name: str, values: Any) -> pa.Table:
    """The table with one column replaced."""
    index = table.schema.get_field_index(name)
    field = table.schema.field(name)
    return table.set_column(index, field, pa.array(values, field.type))


def _save(folder: Path, contents: dict[str, pa.Table]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in contents.items():
        pq.write_table(table, folder / f"{name}.parquet")
    return folder


@pytest.fixture(scope="module")
def truth_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _save(tmp_path_factory.mktemp("match") / "truth", _match_tables())


@pytest.fixture
def score(truth_dir: Path, tmp_path: Path) -> Callable[..., Any]:
    """Score truth against itself with some tables replaced."""

    def run(**changed: pa.Table) -> Any:
        return score_match(truth_dir, _save(tmp_path / "result", _match_tables() | changed))

    return run


PERFECT = {
    **dict.fromkeys(
        [
            "hota",
            "deta",
            "assa",
            "idf1",
            "hota_metres",
            "deta_metres",
            "assa_metres",
            "idf1_metres",
        ],
        1.0,
    ),
    **dict.fromkeys(["ball_precision_1m", "ball_recall_1m", "ball_f1_1m", "ball_f1_2m"], 1.0),
    **dict.fromkeys(["team_accuracy", "team_accuracy_per_player", "role_accuracy"], 1.0),
    **dict.fromkeys(["formation_accuracy", "frames_share", "ball_sigma_coverage"], 1.0),
    **dict.fromkeys(["speed_rmse_mps", "distance_bias_percent", "team_unknown_share"], 0.0),
    "event_f1": {"pass": 1.0, "shot": 1.0},
    "event_counts": {"pass": 2, "shot": 1},
    "calibration_median_error_m": 0.0,
    "calibration_p95_error_m": 0.0,
    "frames": FRAMES,
}


def test_a_perfect_result(score: Callable[..., Any]) -> None:
    scores = score()
    for key, value in PERFECT.items():
        expected = value if isinstance(value, dict) else pytest.approx(value, abs=1e-6)
        assert scores[key] == expected, key
    # plain numbers: JSON without NaN holds them, and gives them back
    assert json.loads(json.dumps(scores, allow_nan=False)) == scores


@given(st.permutations(list(CAST)), st.randoms(use_true_random=False))
@settings(max_examples=8, deadline=None)
def test_numbers_of_tracks_and_order_of_rows_change_nothing(
    truth_dir: Path, tmp_path_factory: pytest.TempPathFactory, numbers: list[int], random: Any
) -> None:
    contents = _match_tables()
    for name in ("tracks", "identities"):
        renamed = [numbers[track - 1] * 10 for track in contents[name]["track"].to_pylist()]
        rows = random.sample(range(len(renamed)), len(renamed))
        contents[name] = _with(contents[name], "track", renamed).take(rows)
    result = _save(tmp_path_factory.mktemp("renamed"), contents)
    assert score_match(truth_dir, result) == score_match(truth_dir, truth_dir)


def test_home_and_away_exchanged_change_nothing(
    score: Callable[..., Any], truth_dir: Path, tmp_path: Path
) -> None:
    other = {"home": "away", "away": "home"}
    swapped = {
        name: _with(table, "team", [other.get(t, t) for t in table["team"].to_pylist()])
        for name, table in _match_tables().items()
        if name in ("identities", "formations")
    }
    assert score(**swapped) == score_match(truth_dir, truth_dir)
    # told which team is home, only the referee (1 of 5) is right, and no formation
    configured = score_match(truth_dir, tmp_path / "result", teams_configured=True)
    assert configured["team_accuracy"] == pytest.approx(1 / 5)
    assert configured["formation_accuracy"] == 0


def test_errors_of_movement_by_hand(score: Callable[..., Any]) -> None:
    """Speeds 10 % too high: the root mean square of 10 % of 5, 0, 5, 2.5 and 5 m/s.

    Squares of the differences: 0.25, 0, 0.25, 0.0625, 0.25; mean 0.1625; root 0.4031.
    Distance is 10 % too high. Places are 0.4 m off in x and not in y: within sigma (0.5 m) both.
    """
    tracks = _match_tables()["tracks"]
    fast = (tracks["speed_mps"].to_numpy() * 1.1).astype(np.float32)
    aside = tracks["x"].to_numpy() + np.float32(0.4)
    scores = score(tracks=_with(_with(tracks, "speed_mps", fast), "x", aside))
    assert scores["speed_rmse_mps"] == pytest.approx(np.sqrt(0.1625), abs=1e-4)
    assert scores["distance_bias_percent"] == pytest.approx(10, abs=1e-3)
    assert scores["position_error_median_m"] == pytest.approx(0.4, abs=1e-3)
    assert scores["player_sigma_coverage"] == 1.0
    far = tracks["x"].to_numpy() + np.float32(0.6)
    assert score(tracks=_with(tracks, "x", far))["player_sigma_coverage"] == 0.5


def test_calibration_by_hand(score: Callable[..., Any]) -> None:
    """Half the frames answered, 3 m and 4 m off: 5 m everywhere."""
    half = [moved(camera(), 3, 4) if n % 2 else None for n in range(FRAMES)]
    scores = score(calibration=_calibration(half))
    assert scores["calibration_answered_share"] == 0.5
    assert scores["calibration_median_error_m"] == pytest.approx(5)
    assert scores["calibration_false_answers"] == 0


def test_events_of_a_match_by_hand(score: Callable[..., Any]) -> None:
    """Truth: passes at 0.2 and 1.2 s, a shot at 1.8 s. Found: passes at 0.4 and 1.92 s, a foul.

    Passes: 0.2 and 0.72 s off; within 0.5 s one of two, F1 = 2 x 1 / (2 + 1 + 1). The foul that
    never was scores 0, and so does the shot that was missed.
    """
    scores = score(match_events=_events([("pass", 10), ("pass", 48), ("foul", 20)]))
    assert scores["event_f1"] == {"foul": 0.0, "pass": 1.0, "shot": 0.0}
    assert scores["event_f1_0_5s"] == {"foul": 0.0, "pass": 0.5, "shot": 0.0}
    assert scores["event_time_error_s"]["pass"] == pytest.approx((0.2 + 0.72) / 2)


def test_an_empty_result_scores_nothing(score: Callable[..., Any]) -> None:
    names = ("tracks", "ball", "identities", "match_events", "formations", "calibration")
    scores = score(**{name: tables.empty(name) for name in names})
    assert scores["hota"] == scores["idf1"] == scores["ball_recall_1m"] == 0
    assert scores["ball_precision_1m"] is None
    assert scores["team_accuracy"] is None
    assert scores["event_f1"] == {"pass": 0.0, "shot": 0.0}
    assert scores["formation_accuracy"] == 0
    json.dumps(scores, allow_nan=False)


def test_only_common_frames_are_scored(score: Callable[..., Any]) -> None:
    """A result that analysed every second frame is scored on those."""
    even = np.arange(0, FRAMES, 2)
    contents = _match_tables()
    kept = {
        name: contents[name].filter(pa.array(contents[name]["frame"].to_numpy() % 2 == 0))
        for name in ("tracks", "ball", "calibration")
    }
    scores = score(frames=_frames(even), **kept)
    assert (scores["frames"], scores["frames_share"]) == (25, 0.5)
    assert scores["hota"] == pytest.approx(1)
    assert scores["distance_bias_percent"] == pytest.approx(0, abs=1e-6)


def test_truth_without_a_table_leaves_its_scores_open(tmp_path: Path, truth_dir: Path) -> None:
    """Only tracks are known: everybody must be found; other tables do not count."""
    truth = _save(tmp_path / "truth", {"tracks": _match_tables()["tracks"]})
    scores = score_match(truth, truth_dir)
    assert scores["hota"] == pytest.approx(1)
    for key in ("ball_f1_1m", "team_accuracy", "formation_accuracy", "calibration_p95_error_m"):
        assert scores[key] is None
    assert scores["event_f1"] == {}


def test_referees_may_be_missed(score: Callable[..., Any]) -> None:
    tracks = _match_tables()["tracks"]
    without = tracks.filter(pa.array(tracks["track"].to_numpy() != 5))
    assert score(tracks=without)["hota"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("tracks", lambda t: pa.concat_tables([t, t.slice(3, 1)]), "frame 0, track 4 occurs 2"),
        ("ball", lambda t: pa.concat_tables([t, t.slice(7, 1)]), "frame 7 occurs 2"),
        ("identities", lambda t: pa.concat_tables([t, t.slice(0, 1)]), "track 1 occurs 2"),
        ("match_events", lambda t: _with(t, "event", [0, 1, 1]), "event 1 occurs 2"),
        ("match_events", lambda t: _with(t, "provisional", [True] * 3), "provisional"),
        ("tracks", lambda t: t.drop_columns(["speed_mps"]), r"missing columns \['speed_mps'\]"),
        ("tracks", lambda t: t.cast(_wider(t.schema, "x")), r"columns \['x'\]"),
        ("ball", lambda t: _with(t, "confidence", [2.0] * FRAMES), "confidence"),
        ("frames", lambda _: _frames(np.arange(90, 95)), "no frame in common.*0 to 49.*90 to 94"),
    ],
)
def test_a_wrong_result_is_refused_in_one_line(
    score: Callable[..., Any], name: str, change: Callable[[pa.Table], pa.Table], message: str
) -> None:
    with pytest.raises(InputError, match=message) as refusal:
        score(**{name: change(_match_tables()[name])})
    assert "\n" not in str(refusal.value)


def _wider(schema: pa.Schema, name: str) -> pa.Schema:
    index = schema.get_field_index(name)
    return schema.set(index, schema.field(name).with_type(pa.float64()))


def test_missing_and_empty_folders_are_refused(truth_dir: Path, tmp_path: Path) -> None:
    result = _save(tmp_path / "result", {"tracks": _match_tables()["tracks"]})
    with pytest.raises(InputError, match=r"no .*frames\.parquet"):
        score_match(truth_dir, result)
    with pytest.raises(InputError, match="no folder"):
        score_match(truth_dir, tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no truth to score"):
        score_match(tmp_path / "empty", result)
    none = _save(tmp_path / "none", {**_match_tables(), "tracks": tables.empty("tracks")})
    with pytest.raises(InputError, match=r"tracks\.parquet is empty"):
        score_match(none, result)
    (tmp_path / "result" / "tracks.parquet").write_text("no table")
    with pytest.raises(InputError, match="cannot read"):
        score_match(_save(tmp_path / "few", {"tracks": _match_tables()["tracks"]}), result)


# ---------------------------------------------------------------- collected events


# the frames at which A, B, A ... play the ball
TOUCHES = [48, 90, 160, 190, 260, 330, 350, 400, 440, 480]


@pytest.fixture
def collected(tmp_path: Path) -> Path:
    """20 s at 25 Hz: home 7 (id A) and away 9 (id B) stand 41 m apart and play the ball to and fro.

    It is half a metre before one of them at each touch, and the collector stamps it 3 s late.
    """
    times = pd.Timestamp("2020-01-01", tz="UTC") + pd.to_timedelta(np.arange(500) / 25, unit="s")
    ball_x = np.interp(np.arange(500), TOUCHES, [-20.0, 20.0] * 5)
    pd.DataFrame(
        {
            "frame": np.arange(1, 501),
            "datetime": times,
            "period_id": 1,
            "ball_x": ball_x,
            "ball_y": 0.0,
            "ball_z": 0.1,
            "ball_status": "alive",
            "home_7_x": -20.5,
            "home_7_y": 0.0,
            "away_9_x": 20.5,
            "away_9_y": 0.0,
            "away_12_x": np.nan,
            "away_12_y": np.nan,
        }
    ).to_parquet(tmp_path / "tracking.parquet")
    stamps = times[TOUCHES] + pd.Timedelta(seconds=3)
    passes = pd.DataFrame(
        {
            "datetime": stamps,
            "databallpy_event": "pass",
            "original_event": "pass",
            "player_id": ["A", "B"] * 5,
        }
    )
    out = passes.iloc[[4, 4]].assign(databallpy_event=None, original_event="out")
    pd.concat([passes, out]).to_parquet(tmp_path / "event_data.parquet")
    passes.assign(set_piece=["kick_off"] + ["no_set_piece"] * 9).to_parquet(
        tmp_path / "pass_events.parquet"
    )
    for side, numbers, ids in (("home", [7], ["A"]), ("away", [9, 12], ["B", "C"])):
        pd.DataFrame(
            {"id": ids, "full_name": ids, "shirt_num": numbers, "position": "defender"}
        ).to_parquet(tmp_path / f"{side}_players.parquet")
    (tmp_path / "metadata.json").write_text('{"tracking_data_frame_rate": 25}')
    return tmp_path


def test_tracking_becomes_our_tables(collected: Path) -> None:
    tracking = load_tracking(collected)
    assert tracking.frames["time_s"][-1].as_py() == pytest.approx(499 / 25)
    # the substitute without a position has no track
    assert tracking.identities["player"].to_pylist() == ["A", "B"]
    assert tracking.identities["team"].to_pylist() == ["home", "away"]
    assert len(tracking.tracks) == 1000
    assert tracking.ball["z"][0].as_py() == pytest.approx(0.1)


def test_the_clock_is_fitted_from_the_truth(collected: Path) -> None:
    """Three seconds earlier every passer is half a metre from the ball, and at no other offset."""
    clock = fit_offset(load_tracking(collected), load_events(collected), 25.0)
    assert clock.offset_s == pytest.approx(3)
    assert clock.fitted_distance_m == pytest.approx(0.5)
    assert clock.stamped_distance_m > 5


def test_collected_events_by_hand(collected: Path) -> None:
    """Eight of ten passes found, the ninth 1.2 s early, one twice: 8 hits, 2 false, 2 missed.

    The kick-off is a pass as well, the ball out is collected twice and counts once.
    """
    frames = [*TOUCHES[:8], 440 - 30, TOUCHES[1] + 10]
    seen: list[Any] = []

    def analyse(tracks: pa.Table, ball: pa.Table, identities: pa.Table, rate: float) -> pa.Table:
        seen.append((len(tracks), len(ball), len(identities), rate))
        return _events([("pass", frame) for frame in frames] + [("tackle", 3)])

    scores = score_events(collected, analyse)
    assert seen == [(1000, 500, 2, 25.0)]
    assert scores["pass"]["n"] == 10
    assert scores["pass"]["precision"] == scores["pass"]["recall"] == scores["pass"]["f1"] == 0.8
    assert scores["kick_off"]["n"] == scores["ball_out"]["n"] == 1
    assert scores["kick_off"]["recall"] == 0
    # tackles are not collected here: they cannot be scored
    assert "tackle" not in scores
    json.dumps(scores, allow_nan=False)


def test_events_outside_the_tracking_are_not_counted(collected: Path) -> None:
    """Without the first 4 s of tracking, its two passes lie before it."""
    data = pd.read_parquet(collected / "tracking.parquet")
    data.iloc[100:].to_parquet(collected / "tracking.parquet")
    scores = score_events(collected, lambda *_: tables.empty("match_events"))
    # two passes and the first one's kick-off
    assert (scores["pass"]["n"], scores["events_outside"]) == (8, 3)
    assert scores["pass"]["f1"] == 0
    assert scores["pass"]["precision"] is None


def test_wrong_collected_folders_are_refused(collected: Path) -> None:
    data = pd.read_parquet(collected / "tracking.parquet")
    pd.concat([data, data.iloc[:1]]).to_parquet(collected / "tracking.parquet")
    with pytest.raises(InputError, match="each frame once"):
        load_tracking(collected)
    data.drop(columns="ball_z").to_parquet(collected / "tracking.parquet")
    with pytest.raises(InputError, match=r"missing columns \['ball_z'\]"):
        load_tracking(collected)
    data.to_parquet(collected / "tracking.parquet")
    pd.read_parquet(collected / "event_data.parquet").assign(player_id="Z").to_parquet(
        collected / "event_data.parquet"
    )
    with pytest.raises(InputError, match="cannot fit"):
        score_events(collected, lambda *_: tables.empty("match_events"))
    (collected / "metadata.json").write_text("{}")
    with pytest.raises(InputError, match="tracking_data_frame_rate"):
        frame_rate(collected)
    (collected / "event_data.parquet").unlink()
    with pytest.raises(InputError, match=r"no .*event_data\.parquet"):
        load_events(collected)


# ---------------------------------------------------------------- real data

TRACAB = REAL / "tracking" / "tracab_opta_3min"


class TestReal:
    pytestmark = real

    def test_real_tracking_and_its_clock(self) -> None:
        """3 minutes at 25 Hz, 22 players; the kick-off pass is stamped 2.43 s late."""
        tracking = load_tracking(TRACAB)
        assert len(tracking.frames) == len(tracking.ball) == 4500
        assert len(tracking.tracks) == 22 * 4500
        assert tracking.identities["role"].to_pylist().count("goalkeeper") == 2
        clock = fit_offset(tracking, load_events(TRACAB), frame_rate(TRACAB))
        assert 2.0 <= clock.offset_s <= 3.5
        # 15.6 m by the stamps, about 1.3 m once they are moved (shared data's README)
        assert clock.stamped_distance_m == pytest.approx(15.6, abs=0.5)
        assert clock.fitted_distance_m < 1.5

    def test_real_events_scored_against_themselves(self) -> None:
        events = load_events(TRACAB)
        offset = fit_offset(load_tracking(TRACAB), events, 25.0).offset_s
        rows = [
            (str(kind), round((stamp - offset) * 25))
            for kind, stamp in zip(events.type, events.stamped_s, strict=True)
            if stamp >= offset
        ]
        scores = score_events(TRACAB, lambda *_: _events(rows))
        assert scores["pass"]["n"] == 37
        assert scores["pass"]["f1"] == scores["shot"]["f1"] == scores["ball_out"]["f1"] == 1.0

    @pytest.mark.parametrize(("name", "median_m"), [("pitch", 0.25), ("pitch_wc2022", 0.15)])
    def test_real_pitch_labels_fit_a_camera(self, name: str, median_m: float) -> None:
        """The labels' own noise as the shared data's README states it: 0.22 m, and 0.10 to 0.15."""
        pairs = labelled_images(REAL / name / "images", REAL / name / "labels")
        cameras = [true_camera(read_points(pair.label), (1920, 1080)) for pair in pairs]
        residuals = np.concatenate([c.residual_m for c in cameras if c is not None])
        assert np.median(residuals) < median_m

    def test_real_labels_score_one_against_themselves(self) -> None:
        folder = REAL / "other" / "tactical_wwc2019"
        pairs = iter(labelled_images(folder / "images", folder / "labels"))

        def detect(image: np.ndarray) -> Detections:
            roles, boxes = read_boxes(next(pairs).label)
            height, width = image.shape[:2]
            return Detections(
                boxes * [width, height, width, height], np.ones(len(roles)), np.array(roles)
            )

        scores = score_detection(folder / "images", folder / "labels", detect)
        assert scores["ap50_95"] == {
            "player": pytest.approx(1),
            "ball": pytest.approx(1),
            "goalkeeper": None,
            "referee": None,
        }

    def test_every_real_label_can_be_read(self) -> None:
        paths = sorted((REAL / "players" / "labels").glob("*.txt"))
        counts = [len(read_boxes(path)[0]) for path in paths]
        assert len(paths) == 279  # as many as the data's own page says
        assert min(counts) > 0
