"""Average precision against cases worked by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from domain.errors import InputError, TableError
from evaluation.detection import Detections, score_detection
from evaluation.yolo_labels import labelled_images, read_boxes
from tests.scored_match import image_set


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
    folder = image_set(tmp_path / "set", [TWO_PLAYERS])
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
    folder = image_set(tmp_path / "set", ["2 0.1 0.5 0.1 0.4\n"])
    scores = _score(folder, (14.7, 30.0, 34.7, 70.0, 0.9, "player"))
    assert scores["ap50"]["player"] == pytest.approx(1)
    assert scores["ap50_95"]["player"] == pytest.approx(0.3)


def test_a_second_box_on_one_player_is_false(tmp_path: Path) -> None:
    """Right, repeat, and the other player never found: recall stops at 1/2, 51 levels of 101."""
    folder = image_set(tmp_path / "set", [TWO_PLAYERS])
    scores = _score(folder, (*FIRST, 0.9, "player"), (*FIRST, 0.8, "player"))
    assert scores["ap50"]["player"] == pytest.approx(51 / 101)


def test_detections_of_other_images_do_not_help(tmp_path: Path) -> None:
    """Image 1 is empty and its two answers come first: wrong, wrong, right, right.

    Made monotone, precision is 2/4 at every recall.
    """
    folder = image_set(tmp_path / "set", [TWO_PLAYERS, ""])
    right = _found((*FIRST, 0.5, "player"), (*SECOND, 0.5, "player"))
    wrong = _found((*FIRST, 0.9, "player"), (*SECOND, 0.9, "player"))
    scores = score_detection(
        folder / "images", folder / "labels", lambda image: wrong if image[0, 0, 0] else right
    )
    assert scores["images"] == 2
    assert scores["ap50"]["player"] == pytest.approx(2 / 4)


def test_only_labelled_roles_are_scored_and_keepers_join_the_players(tmp_path: Path) -> None:
    folder = image_set(tmp_path / "set", [TWO_PLAYERS])
    answers = ((*FIRST, 0.9, "goalkeeper"), (*SECOND, 0.9, "player"), (*FIRST, 0.9, "referee"))
    assert _score(folder, *answers)["ap50"]["player"] == pytest.approx(51 / 101)
    (folder / "labelled.txt").write_text("player\nball\n")
    scores = _score(folder, *answers)
    assert scores["ap50"] == {"player": 1.0, "goalkeeper": None, "referee": None, "ball": None}


def test_nothing_found_scores_zero(tmp_path: Path) -> None:
    folder = image_set(tmp_path / "set", [TWO_PLAYERS])
    assert _score(folder)["ap50"]["player"] == 0


def test_images_can_be_chosen_by_match_and_unstretched(tmp_path: Path) -> None:
    """A squeezed 90x90 image is brought back to 160x90, where the labels' fractions still hold."""
    folder = image_set(tmp_path / "set", ["0 0.5 0.5 0.1 0.1\n", ""], size=(90, 90))
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
    folder = image_set(tmp_path / "set", [text])
    with pytest.raises(InputError, match=message):
        read_boxes(folder / "labels" / "a0.txt")


def test_folders_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    folder = image_set(tmp_path / "set", [TWO_PLAYERS, ""])
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


@pytest.mark.real
def test_real_labels_score_one_against_themselves(real_data: Path) -> None:
    folder = real_data / "other" / "tactical_wwc2019"
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


@pytest.mark.real
def test_every_real_label_can_be_read(real_data: Path) -> None:
    paths = sorted((real_data / "players" / "labels").glob("*.txt"))
    counts = [len(read_boxes(path)[0]) for path in paths]
    assert len(paths) == 279  # as many as the data's own page says
    assert min(counts) > 0
