"""The card's pictures without a pitch: what is cut and drawn, and what counts as a false answer."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from evaluation.card import no_pitch
from evaluation.card.answers import Answers, Image
from evaluation.card.other_fields import FIELDS, Field, drawn
from evaluation.card.real_frames import HELD_OUT
from evaluation.pitch import ImageCamera

PERSON = (600, 300, 620, 348)
SKY = (200, 120, 40)
SHIRT = (255, 0, 255)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """One labelled picture: a person on green, and blue above everything."""
    for name in ("images", "labels"):
        (tmp_path / "players" / name).mkdir(parents=True)
    image = np.full((720, 1280, 3), (60, 110, 70), np.uint8)
    image[:150] = SKY
    cv2.rectangle(image, PERSON[:2], (PERSON[2] - 1, PERSON[3] - 1), SHIRT, -1)
    cv2.imwrite(str(tmp_path / "players/images" / f"{HELD_OUT[0]}_1.png"), image)
    x0, y0, x1, y1 = (value / size for value, size in zip(PERSON, (1280, 720) * 2, strict=True))
    label = f"2 {(x0 + x1) / 2} {(y0 + y1) / 2} {x1 - x0} {y1 - y0}\n"
    (tmp_path / "players/labels" / f"{HELD_OUT[0]}_1.txt").write_text(label)
    return tmp_path


def _answers(seen: list[Image]) -> Answers:
    """A product that finds a camera in whatever shows that person over most of its height."""

    def calibrate(image: Image) -> ImageCamera | None:
        seen.append(image)
        tall = (image == SHIRT).all(axis=2).any(axis=1).mean()
        return ImageCamera(np.eye(3)) if 0.55 < tall < 0.65 else None

    never = dict.fromkeys(("detect", "events", "render", "play", "conditions", "analyse"))
    return Answers(
        calibrate=calibrate, encode=None, frames=None, scratch=Path(), **never  # type: ignore[arg-type]
    )  # fmt: skip


def test_a_camera_claimed_for_a_close_up_is_a_false_answer(data: Path) -> None:
    seen: list[Image] = []
    section = no_pitch.section(data, _answers(seen))
    found = {measure.key: (measure.value, measure.cases) for measure in section.measures}
    assert found["no_pitch.close_ups.false_answers"] == (1.0, 1)
    assert found["no_pitch.stands.false_answers"] == (0.0, no_pitch.STANDS_EACH)
    assert found["no_pitch.rugby.false_answers"] == (0.0, no_pitch.DRAWN_EACH)
    total = 1 + no_pitch.STANDS_EACH + len(FIELDS) * no_pitch.DRAWN_EACH
    assert found["no_pitch.all.false_answers"] == (1 / total, total)
    assert {image.shape for image in seen} == {(720, 1280, 3)}
    assert all((image == SKY).all() for image in seen[: no_pitch.STANDS_EACH])


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_a_drawn_field_shows_its_lines(field: Field) -> None:
    bare = drawn(replace(field, lines=[]), np.random.default_rng(3)).astype(int)
    lined = drawn(field, np.random.default_rng(3)).astype(int)
    assert (lined - bare).max() > 30
    assert (np.abs(lined - bare).max(axis=2) > 12).mean() > 0.002
