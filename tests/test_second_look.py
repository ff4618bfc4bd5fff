"""The ball's second look: by a network that is surer of what is larger, and by the shipped one."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest

from application.stage import Frame, Image, MatchFacts
from domain.configuration import PlayerDetectionOptions, ProcessingConfiguration
from domain.tables import ROLES
from infrastructure.planning import build_stage, models_folder
from simulation import SimulationOptions, simulate
from simulation.rendering import FrameRenderer
from stages.player_detection.second_look import CROP_HEIGHT, CROP_WIDTH, MOST_CROPS
from stages.player_detection.stage import PlayerDetectionStage

GRASS = (60, 140, 70)
BALL_SCORE = 4 + ROLES.index("ball")
FIRST = (736, 1280)


class SurerOfLarger:
    """Finds white blobs and calls each a ball, with a score of a twentieth for each pixel of width.

    So a ball of 6 pixels has 0.3, and 0.6 where it is seen twice as large.
    """

    names = ROLES

    def __init__(self, *, is_of_one_size: bool = False) -> None:
        self.is_of_one_size = is_of_one_size
        self.asked: list[tuple[int, int]] = []

    def at(self, size: tuple[int, int]) -> "SurerOfLarger":
        assert size == (CROP_HEIGHT, CROP_WIDTH)
        return self

    def infer(self, images: Sequence[Image]) -> list[tuple[np.ndarray, ...]]:
        self.asked += [(image.shape[0], image.shape[1]) for image in images]
        return [(self._answer(image),) for image in images]

    def _answer(self, image: Image) -> np.ndarray:
        output = np.zeros((1, 4 + len(ROLES), 60), np.float32)
        white = (image.min(axis=2) > 190).astype(np.uint8)
        count, _, stats, _ = cv2.connectedComponentsWithStats(white)
        for index, (x, y, width, height, _) in enumerate(stats[1:count]):
            output[0, :4, index] = x + width / 2, y + height / 2, width, height
            output[0, BALL_SCORE, index] = min(width / 20, 0.95)
        return output

    @property
    def crops(self) -> int:
        return sum(size == (CROP_HEIGHT, CROP_WIDTH) for size in self.asked)


def picture(*balls: tuple[int, int, int]) -> Image:
    """1280x720 grass with white squares of x, y and width; nothing is scaled in the first look."""
    image = np.full((720, 1280, 3), GRASS, np.uint8)
    for x, y, width in balls:
        image[y : y + width, x : x + width] = 255
    return image


def detect(model: Any, *images: Image, **options: Any) -> list[dict[str, Any]]:
    height, width = images[0].shape[:2]
    stage = PlayerDetectionStage(
        PlayerDetectionOptions(**options), MatchFacts(width, height, 25.0), model
    )
    run = stage.begin()
    run.take([Frame(number, number / 25, image) for number, image in enumerate(images)])
    return run.tables()["detections"].to_pylist()


def test_a_faint_ball_is_seen_again_larger() -> None:
    """0.3 and then 0.6, which counts twice: odds of 0.43 and 1.5 give 0.43^(1/3) 1.5^(2/3) = 0.99,
    a score of 0.50; the box is that of the ball in the picture."""
    model = SurerOfLarger()
    (row,) = detect(model, picture((700, 300, 6)))
    assert model.crops == 1
    assert row["confidence"] == pytest.approx(0.5, abs=0.06)
    box = [row[name] for name in ("x1", "y1", "x2", "y2")]
    assert np.abs(np.array(box) - [700, 300, 706, 306]).max() < 1


@pytest.mark.parametrize("corner", [(2, 4), (1270, 3), (1271, 711), (1, 712)])
def test_a_crop_at_the_edge_is_moved_into_the_picture(corner: tuple[int, int]) -> None:
    (row,) = detect(SurerOfLarger(), picture((*corner, 6)))
    box = np.array([row[name] for name in ("x1", "y1", "x2", "y2")])
    assert np.abs(box - [*corner, corner[0] + 6, corner[1] + 6]).max() < 1


def test_a_sure_ball_is_believed() -> None:
    """12 pixels have 0.6: nothing is looked at again, not even the faint one beside it."""
    model = SurerOfLarger()
    assert [row["confidence"] for row in detect(model, picture((700, 300, 12), (200, 300, 4)))] == [
        pytest.approx(0.6), pytest.approx(0.2),
    ]  # fmt: skip
    assert model.crops == 0


def test_where_nothing_is_faint_nothing_is_looked_at() -> None:
    model = SurerOfLarger()
    assert detect(model, picture()) == []
    assert model.asked == [FIRST]


def test_neighbours_share_a_crop_and_there_are_only_so_many() -> None:
    """Two balls 20 px apart lie in one crop of 128x96; of eight places apart five are looked at."""
    model = SurerOfLarger()
    assert len(detect(model, picture((700, 300, 6), (720, 300, 6)))) == 2
    assert model.crops == 1
    model = SurerOfLarger()
    detect(model, picture(*((100 + 140 * index, 300, 6) for index in range(8))))
    assert model.crops == MOST_CROPS


def test_it_can_be_switched_off() -> None:
    model = SurerOfLarger()
    (row,) = detect(model, picture((700, 300, 6)), second_look=False)
    assert row["confidence"] == pytest.approx(0.3)
    assert model.crops == 0


def test_what_stays_faint_is_left_out() -> None:
    """One pixel has 0.05, and 0.1 twice as large: together 0.08, below a threshold of 0.2."""
    model = SurerOfLarger()
    assert detect(model, picture((700, 300, 1)), ball_confidence_threshold=0.2) == []
    assert model.crops == 1


def test_frames_of_a_batch_do_not_touch_each_other() -> None:
    images = [picture((700, 300, 6)), picture(), picture((100, 500, 12)), picture((30, 40, 5))]
    together = detect(SurerOfLarger(), *images)
    alone = [
        {**row, "frame": number}
        for number, image in enumerate(images)
        for row in detect(SurerOfLarger(), image)
    ]
    assert together == alone


@pytest.fixture(scope="module")
def rendered() -> list[tuple[Image, np.ndarray]]:
    """Frames of simulated matches in which the ball is seen, with its place in pixels."""
    found = []
    for seed in (900_611, 900_612, 900_613):
        match = simulate(SimulationOptions(seed=seed, seconds=4.0))
        renderer = FrameRenderer(match)
        rows = [row for row in match.tables["ball"].to_pylist() if row["status"] == "seen"]
        for row in rows[10::30]:
            place = np.array([row["pixel_x"], row["pixel_y"]])
            found.append((np.asarray(renderer.frame(row["frame"])), place))
    return found


def test_the_shipped_detector_finds_more_balls_by_it(
    rendered: list[tuple[Image, np.ndarray]],
) -> None:
    """Summed over frames, the score of what lies within 6 px of the ball grows, and no frame has
    a score of 0.5 elsewhere that it had not before."""
    sums, false = {}, {}
    for on in (False, True):
        values = {"video_path": "-", "stage_configs": {"player_detection": {"second_look": on}}}
        configuration = ProcessingConfiguration.parse(values)
        stage: Any = build_stage("player_detection", configuration, MatchFacts(1280, 720, 25.0))
        run = stage.begin()
        run.take([Frame(number, 0.0, image) for number, (image, _) in enumerate(rendered)])
        balls = [r for r in run.tables()["detections"].to_pylist() if r["role"] == "ball"]
        hits = [_off(row, rendered[row["frame"]][1]) < 6 for row in balls]
        sums[on] = sum(r["confidence"] for r, hit in zip(balls, hits, strict=True) if hit)
        false[on] = sum(
            r["confidence"] > 0.5 for r, hit in zip(balls, hits, strict=True) if not hit
        )
    assert len(rendered) >= 8
    assert sums[True] > sums[False]
    assert false[True] <= false[False] + 1


def _off(row: dict[str, Any], place: np.ndarray) -> float:
    middle = np.array([row["x1"] + row["x2"], row["y1"] + row["y2"]]) / 2
    return float(np.linalg.norm(middle - place))


def test_a_network_of_one_size_looks_once() -> None:
    """Each crop would cost a whole look there, or not fit: it is as if the option were off."""
    images = [picture((700, 300, 6)), picture((30, 40, 1))]
    model = SurerOfLarger(is_of_one_size=True)
    assert detect(model, *images) == detect(SurerOfLarger(), *images, second_look=False)
    assert model.asked == [FIRST, FIRST]


@pytest.mark.parametrize("second_look", [True, False])
@pytest.mark.parametrize("size", ["fixed", "any"])
def test_who_asked_for_it_is_told_that_the_file_has_none(
    size: str, second_look: bool, tmp_path: Path
) -> None:
    """The fixed one takes 320x160, where a crop of 256x192 would not fit."""
    path = models_folder() / "detector.onnx"
    if size == "fixed":
        model = onnx.load(str(path))
        sides = model.graph.input[0].type.tensor_type.shape.dim
        sides[2].dim_value, sides[3].dim_value = 160, 320
        path = tmp_path / "small.onnx"
        onnx.save(model, str(path))
    options = {"second_look": second_look, "model_name": str(path), "image_size": 320}
    values = {"video_path": "-", "stage_configs": {"player_detection": options}}
    configuration = ProcessingConfiguration.parse(values)
    stage: Any = build_stage("player_detection", configuration, MatchFacts(1280, 640, 25.0))
    said = stage.notices()
    assert len(said) == (size == "fixed" and second_look)
    assert all("no second look for the ball" in text for text in said)
