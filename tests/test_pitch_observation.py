"""Pitch observation on drawn pictures whose camera is known, and on real footage."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from application.stage import Frame, Image, MatchFacts
from domain.configuration import PitchObservationOptions
from domain.errors import StageError
from domain.pitch import project
from stages.images import fit, letterbox
from stages.pitch_observation.motion import between
from stages.pitch_observation.stage import PitchObservationStage
from stages.pitch_observation.views import view_of
from tests.panning_camera import FACTS, HEIGHT, RATE, WIDTH, DrawnMatch, camera_path, motion

COUNT = 6
GRID = np.array([[x, y] for x in (40.0, 640, 1240) for y in (40.0, 360, 680)])


class RedSpot:
    """A network in small: its first point is the middle of what is pure red, its others unsure."""

    def infer(self, images: Sequence[Image]) -> list[tuple[NDArray[np.float32], ...]]:
        return [(self._points(image)[None],) for image in images]

    def _points(self, image: Image) -> NDArray[np.float32]:
        points = np.full((32, 3), 0.2, np.float32)
        red = (image[:, :, 2] > 200) & (image[:, :, :2] < 60).all(axis=2)
        if red.any():
            rows, columns = np.nonzero(red)
            points[0] = columns.mean() + 0.5, rows.mean() + 0.5, 0.9
        return points


@pytest.fixture(scope="module")
def pictures() -> list[Image]:
    match = DrawnMatch()
    path = camera_path(COUNT, turn=2.0)
    return [match.picture(camera, number / RATE) for number, camera in enumerate(path)]


def stage(**options: Any) -> PitchObservationStage:
    return PitchObservationStage(PitchObservationOptions(**options), FACTS, RedSpot())


def observe(images: Sequence[Image | None], owned_from: int = 0, **options: Any) -> pa.Table:
    """The rows of frames 0, 1, ..., of which those before `owned_from` are for warming up."""
    started = stage(**options).begin()
    started.take(
        [
            Frame(number, number / RATE, image, owned=number >= owned_from)
            for number, image in enumerate(images)
        ]
    )
    return started.tables()["pitch_observations"]


def motions(table: pa.Table) -> list[NDArray[np.float64] | None]:
    return [
        None if row is None else np.array(row).reshape(3, 3)
        for row in table["camera_motion"].to_pylist()
    ]


def test_motion_of_the_camera_is_found_while_players_run(pictures: list[Image]) -> None:
    found = motions(observe(pictures))
    path = camera_path(COUNT, turn=2.0)
    assert found[0] is None  # nothing before it
    for number in range(1, COUNT):
        truth = motion(path[number - 1], path[number])
        assert np.abs(project(truth, GRID) - GRID).max() > 5  # there is something to find
        assert found[number] is not None
        # a quarter of a pixel of 1280 anywhere in the picture
        assert np.abs(project(found[number], GRID) - project(truth, GRID)).max() < 0.25


def test_graphics_that_stand_still_do_not_hold_the_camera_back(pictures: list[Image]) -> None:
    rng = np.random.default_rng(0)
    caption = np.kron(rng.integers(0, 2, (8, 60)), np.ones((10, 10)))[:, :, None] * 255
    marked = [image.copy() for image in pictures[:2]]
    for image in marked:
        image[600:680, 340:940] = caption
    path = camera_path(2, turn=2.0)
    found = motions(observe(marked))[1]
    assert found is not None
    truth = motion(path[0], path[1])
    assert np.abs(project(found, GRID) - project(truth, GRID)).max() < 0.5


def test_rows_do_not_depend_on_where_the_segment_starts(pictures: list[Image]) -> None:
    whole = observe(pictures)
    for start in range(1, COUNT):
        warmed = PitchObservationStage.warmup_frames
        unseen = max(start - warmed, 0)
        images: list[Image | None] = [None] * unseen
        part = observe([*images, *pictures[unseen:]], owned_from=start)
        assert part.equals(whole.slice(start))


def test_a_frame_that_does_not_decode_has_no_row_and_no_motion_after_it(
    pictures: list[Image],
) -> None:
    table = observe([pictures[0], None, pictures[2], pictures[3]])
    assert table["frame"].to_pylist() == [0, 2, 3]
    assert [row is None for row in motions(table)] == [True, True, False]
    assert table["cut"].to_pylist() == [False] * 3


def test_a_cut_is_seen_and_has_no_motion(pictures: list[Image]) -> None:
    close_up = np.full((HEIGHT, WIDTH, 3), (40, 40, 160), np.uint8)
    cv2.circle(close_up, (640, 360), 300, (140, 170, 220), -1)
    table = observe([*pictures[:2], close_up, close_up, *pictures[2:4]])
    assert table["cut"].to_pylist() == [False, False, True, False, True, False]
    assert [row is None for row in motions(table)][2]
    assert motions(table)[4] is None


def test_a_cut_between_two_cameras_on_one_pitch_is_seen() -> None:
    # colours stay the same: the lost motion tells
    match, path = DrawnMatch(), camera_path(COUNT)
    other = path[0].copy()
    other[0], other[3] = -0.35, np.log(3800)
    assert observe([match.picture(path[0]), match.picture(other)])["cut"].to_pylist()[1]


def test_a_flash_is_no_cut(pictures: list[Image]) -> None:
    bright = cv2.convertScaleAbs(pictures[1], alpha=1.25, beta=25)
    assert observe([pictures[0], bright])["cut"].to_pylist() == [False, False]


def test_a_blank_picture_has_no_motion() -> None:
    assert between(np.zeros((360, 640), np.uint8), np.zeros((360, 640), np.uint8)) is None


@pytest.mark.parametrize("size", [(720, 1280), (1080, 1920), (478, 848), (576, 720), (1280, 720)])
def test_points_come_back_to_source_pixels(size: tuple[int, int]) -> None:
    image = np.full((*size, 3), 90, np.uint8)
    middle = (round(size[1] * 0.7), round(size[0] * 0.3))
    cv2.circle(image, middle, 20, (0, 0, 255), -1)
    points = np.array(observe([image])["points"][0].as_py()).reshape(32, 3)
    # OpenCV draws around a pixel's centre, which lies half a pixel inside; 1.5 px for the shrinking
    assert np.abs(points[0, :2] - np.array(middle) - 0.5).max() < 1.5
    assert points[0, 2] == np.float32(0.9)


def test_points_under_the_threshold_are_not_seen() -> None:
    image = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    cv2.circle(image, (300, 300), 20, (0, 0, 255), -1)
    seen = np.array(observe([image], confidence_threshold=0.3)["points"][0].as_py())[2::3]
    assert (seen > 0).tolist() == [True] + [False] * 31  # the others have 0.2


def test_points_are_sought_in_each_nth_frame_by_number(pictures: list[Image]) -> None:
    sought = observe(pictures, every=3)["points"].is_valid().to_pylist()
    assert sought == [True, False, False, True, False, False]
    later = observe([None, *pictures[1:]], owned_from=2, every=3)
    assert later["points"].is_valid().to_pylist() == sought[2:]


@pytest.fixture(scope="module")
def resting() -> list[Image]:
    """A camera that stands still for 14 frames, is bumped by a degree or so, and rests again."""
    match = DrawnMatch()
    still, bumped = camera_path(1, turn=0.0)[0], camera_path(14, turn=2.0)[7]
    path = [still] * 14 + [bumped] * 10
    return [match.picture(camera, number / RATE) for number, camera in enumerate(path)]


def test_a_camera_that_rests_is_looked_at_less_and_a_bump_is_seen(resting: list[Image]) -> None:
    """With every=2: five motions are known from frame 5 on, and from there only each 10th frame is
    looked at, until the bump at 14, which is in the five motions of frames 14 to 18."""
    sought = observe(resting, every=2)["points"].is_valid().to_pylist()
    assert [n for n, valid in enumerate(sought) if valid] == [0, 2, 4, 10, 14, 16, 18, 20]


def test_how_a_camera_rests_does_not_depend_on_where_the_segment_starts(
    resting: list[Image],
) -> None:
    whole = observe(resting, every=2)
    for start in range(1, len(resting), 3):
        unseen = max(start - PitchObservationStage.warmup_frames, 0)
        images: list[Image | None] = [None] * unseen
        part = observe([*images, *resting[unseen:]], owned_from=start, every=2)
        assert part.equals(whole.slice(start))


def test_points_are_sought_where_nothing_connects_with_the_frame_before(
    pictures: list[Image],
) -> None:
    grey = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    table = observe([*pictures[:2], grey, *pictures[2:4]], every=100)
    assert table["points"].is_valid().to_pylist() == [True, False, True, True, False]


def test_a_model_of_another_kind_is_refused() -> None:
    class Detector:
        def infer(self, images: Sequence[Image]) -> list[tuple[NDArray[np.float32], ...]]:
            return [(np.zeros((8, 100), np.float32),) for _ in images]

    other = PitchObservationStage(PitchObservationOptions(), FACTS, Detector())
    with pytest.raises(StageError, match=r"expected a model.*\(8, 100\)"):
        other.begin().take([Frame(0, 0.0, np.zeros((HEIGHT, WIDTH, 3), np.uint8))])


def test_grass_share_and_view_of_drawn_pictures(pictures: list[Image]) -> None:
    grey = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    table = observe([*pictures[:2], grey], every=100)
    assert 0.4 < table["grass_share"][1].as_py() < 0.9
    assert table["grass_share"][2].as_py() == 0.0
    assert table["view"].to_pylist() == ["wide", "wide", "other"]


@pytest.mark.parametrize(
    ("grass", "seen", "view"),
    [
        (0.7, 9, "wide"),
        (0.7, None, "wide"),  # not sought: grass alone tells
        (0.7, 0, "close"),  # much grass and nothing of the pitch: filmed from near
        (0.2, 6, "wide"),  # a stand in the way, yet the pitch is there
        (0.2, 0, "close"),
        (0.01, 0, "other"),
        (0.01, 6, "other"),  # points without grass are a mistake
    ],
)
def test_view_rules(grass: float, seen: int | None, view: str) -> None:
    assert view_of(grass, seen) == view


def test_letterbox_keeps_the_aspect_ratio_and_goes_back() -> None:
    image = np.full((720, 720, 3), 255, np.uint8)
    canvas, scale, offset = letterbox(image, 384, 640)
    # 384 / 720 = 0.533; (640 - 384) / 2 = 128
    assert (scale, offset) == (384 / 720, (128.0, 0.0))
    assert canvas[200, 127].tolist() == [114] * 3
    assert canvas[200, 128].tolist() == [255] * 3
    place = fit((720, 720), 384, 640)
    boxes = np.array([[128, 0, 512, 384]], np.float32)
    assert place.boxes_to_source(boxes).tolist() == [[0, 0, 720, 720]]


@pytest.mark.real
def test_real_broadcast_has_no_cut_and_one_motion_throughout(real_data: Path) -> None:
    video = cv2.VideoCapture(str(real_data / "clips" / "dfl_main_camera_848x478.mp4"))
    images = [video.read()[1] for _ in range(40)]
    facts = MatchFacts(848, 478, 25.0)
    started = PitchObservationStage(PitchObservationOptions(every=100), facts, RedSpot()).begin()
    started.take([Frame(number, number / 25, image) for number, image in enumerate(images)])
    table = started.tables()["pitch_observations"]
    assert not any(table["cut"].to_pylist())
    assert table["camera_motion"].null_count == 1
    assert set(table["view"].to_pylist()[1:]) == {"wide"}  # the first, RedSpot knows better
    # chained over 39 frames, the picture comes to lie on the last one: grey levels agree
    chained = np.eye(3)
    for step in motions(table)[1:]:
        assert step is not None
        chained = step @ chained
    first, last = (cv2.cvtColor(images[k], cv2.COLOR_BGR2GRAY) for k in (0, -1))
    moved = cv2.warpPerspective(first, chained, (848, 478))[20:200, 60:300]
    still, now = first[20:200, 60:300], last[20:200, 60:300]
    before = np.corrcoef(still.ravel(), now.ravel())[0, 1]
    assert np.corrcoef(moved.ravel(), now.ravel())[0, 1] > max(0.8, before + 0.2)
