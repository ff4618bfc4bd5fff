"""The card's sweep over resolution and quality: labels hold, and worse pictures are worse."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from api.commands.evaluate.product import encoded
from evaluation.card import sweep
from evaluation.card.answers import Answers, Image
from evaluation.card.degradations import Degradation, degradations, shaded, sized
from evaluation.card.measures import Card
from evaluation.card.page import page
from evaluation.card.real_frames import HELD_OUT
from evaluation.detection import Detections
from evaluation.pitch import ImageCamera
from tests.scored_match import camera, pitch_label

SIZE = (1280, 720)
MARK = (900, 500, 940, 580)
"""A white box on grey, x1 y1 x2 y2: whoever finds it finds the player."""
ALL = degradations(encoded)


@pytest.fixture
def picture() -> Image:
    image = np.full((SIZE[1], SIZE[0], 3), (60, 110, 70), np.uint8)
    cv2.rectangle(image, MARK[:2], (MARK[2] - 1, MARK[3] - 1), (255, 255, 255), -1)
    return image


def _white(image: Image) -> Detections:
    """The box around what is nearly as bright as the brightest."""
    grey = image.min(axis=2).astype(int)
    rows, columns = np.nonzero(grey > 0.65 * grey.max() + 20)
    box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    return Detections(np.array([box], float), np.array([0.9]), np.array(["player"]))


def _answers(
    calibrate: Callable[[Image], ImageCamera | None] = lambda _: None,
) -> Answers:
    nothing = Path()
    return Answers(
        detect=_white,
        calibrate=calibrate,
        events=lambda *_: None,  # type: ignore[arg-type, return-value]
        render=lambda _: nothing,
        play=lambda _: nothing,
        conditions=lambda _: "",
        analyse=lambda _: nothing,
        encode=encoded,
        frames=lambda *_: {},
        scratch=nothing,
    )


@pytest.mark.parametrize("each", ALL, ids=lambda each: each.name)
def test_boxes_come_back_in_the_pixels_of_the_good_picture(
    each: Degradation, picture: Image
) -> None:
    """Every degradation leaves things where they are, so what is found overlaps the label."""
    found = sweep.Degraded(each, _answers()).detect(picture).xyxy[0]
    # a pan smears 7 px sideways, compression and a third of the lines blur by a few
    assert np.abs(found - MARK).max() <= 9


@pytest.mark.parametrize("each", ALL, ids=lambda each: each.name)
def test_a_picture_is_always_made_worse_alike(each: Degradation, picture: Image) -> None:
    seen: list[Image] = []

    def detect(image: Image) -> Detections:
        seen.append(image)
        return _white(image)

    answers = _answers()
    worse = sweep.Degraded(each, Answers(**{**vars(answers), "detect": detect}))
    worse.detect(picture)
    worse.detect(picture.copy())
    assert np.array_equal(*seen)
    assert seen[0].dtype == np.uint8
    as_it_is = each.name in ("p1080", "p720")  # the picture has 720 lines already
    assert as_it_is == np.array_equal(seen[0], picture)


def test_each_way_does_what_it_is_called(picture: Image) -> None:
    """360 lines are 640 wide; a squeezed 16:9 picture is 4:3; shade leaves the rest as it is."""
    by_name = {each.name: each.change(picture, np.random.default_rng(0)) for each in ALL}
    assert by_name["p360"].shape == (360, 640, 3)
    assert by_name["p2160"].shape == (2160, 3840, 3)
    assert by_name["poor_stream"].shape == (480, 854, 3)
    assert by_name["squeezed"].shape == (720, 960, 3)
    assert by_name["night"].mean() < 0.5 * picture.mean()
    half = shaded(picture, np.random.default_rng(0))
    assert np.array_equal(half[0], picture[0])
    assert half[-1].mean() == pytest.approx(0.4 * picture[-1].mean(), abs=1)
    assert by_name["haze"].std() < 0.6 * picture.std()


def test_compression_costs_detail() -> None:
    """Grey grain, so that the halved colours of 4:2:0 cost nothing: CRF 36 loses more than 12."""
    grain = np.random.default_rng(0).normal(110, 12, (360, 640, 1)).repeat(3, axis=2)
    picture = np.clip(grain, 0, 255).astype(np.uint8)
    lost = [np.abs(encoded(picture, crf).astype(int) - picture).mean() for crf in (12, 36)]
    assert lost[0] < 0.6 * lost[1]


def test_a_camera_is_told_for_the_good_picture() -> None:
    """A camera found in a picture of a third of the size maps the same place of the good one."""
    truth = camera(SIZE)

    def of_small(image: Image) -> ImageCamera:
        scale = SIZE[0] / image.shape[1]
        return ImageCamera(truth @ np.diag([scale, scale, 1.0]))

    small = Degradation("p240", "240 lines", lambda image, _: sized(image, 240))
    found = sweep.Degraded(small, _answers(of_small)).calibrate(
        np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    )
    assert found is not None
    assert np.allclose(found.homography / found.homography[2, 2], truth / truth[2, 2], rtol=1e-2)


def test_the_section_has_a_row_for_each_way(tmp_path: Path, picture: Image) -> None:
    """On one labelled picture that a perfect product sees: every AP and every camera is right."""
    for kind, text in (
        ("players", _box_label()),
        ("pitch", pitch_label(camera(SIZE), SIZE)),
    ):
        for name in ("images", "labels"):
            (tmp_path / kind / name).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / kind / "images" / f"{HELD_OUT[0]}_1.png"), picture)
        (tmp_path / kind / "labels" / f"{HELD_OUT[0]}_1.txt").write_text(text)

    def calibrate(image: Image) -> ImageCamera:
        back = np.diag([SIZE[0] / image.shape[1], SIZE[1] / image.shape[0], 1.0])
        return ImageCamera(camera(SIZE) @ back)

    section = sweep.section(tmp_path, _answers(calibrate))
    found = {measure.key: measure for measure in section.measures}
    assert [row[0] for row in section.tables[0].rows] == [each.described for each in ALL]
    for each in ALL:
        assert found[f"sweep.{each.name}.player"].value == pytest.approx(1.0)
        assert found[f"sweep.{each.name}.ball"].value is None
        assert found[f"sweep.{each.name}.answered"].value == 1.0
        assert (found[f"sweep.{each.name}.median_error_m"].value or 0) < 0.05
    assert {m.key for m in section.measures if m.headline} == set(sweep.HEADLINES)
    assert "360 lines" in page(Card([section], "here"))


def _box_label() -> str:
    x1, y1, x2, y2 = (value / SIZE[i % 2] for i, value in enumerate(MARK))
    return f"2 {(x1 + x2) / 2:.6f} {(y1 + y2) / 2:.6f} {x2 - x1:.6f} {y2 - y1:.6f}\n"
