"""The boxes drawn by us on frames that came without any: plausible, none of a held-out match."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from training.loop import HELD_OUT_MATCHES, VALIDATION_MATCH

LABELS = Path(__file__).resolve().parents[1] / "training" / "labels"
FILES = sorted(LABELS.glob("*/*.txt"))
BALL, GOALKEEPER, PLAYER, REFEREE = range(4)


def rows_of(path: Path) -> npt.NDArray[np.float64]:
    """Rows of class, centre, width and height; the boxes in pixels of a frame 1280x720."""
    return np.loadtxt(path, ndmin=2) * [1, 1280, 720, 1280, 720]


def test_every_frame_has_its_file() -> None:
    folders = ("pitch_wc2022", "pitch")
    counts = {folder: len(list((LABELS / folder).glob("*.txt"))) for folder in folders}
    assert counts == {"pitch_wc2022": 139, "pitch": 30}
    assert len(FILES) == sum(counts.values())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_boxes_are_plausible(path: Path) -> None:
    rows = rows_of(path)
    kind, size = rows[:, 0], rows[:, 3:]
    assert rows.shape[1] == 5
    assert set(kind) <= {BALL, GOALKEEPER, PLAYER, REFEREE}
    low, high = rows[:, 1:3] - size / 2, rows[:, 1:3] + size / 2
    assert (low >= -0.02).all()
    assert (high <= [1280.02, 720.02]).all()
    people, ball = size[kind != BALL], size[kind == BALL]
    assert 9 <= len(people) <= 26
    assert len(ball) <= 1
    assert ((ball > 3) & (ball < 25)).all()
    assert ((people[:, 1] > 12) & (people[:, 1] < 120)).all()
    assert 25 < np.median(people[:, 1]) < 90
    assert (kind == GOALKEEPER).sum() <= 2
    assert (kind == REFEREE).sum() <= 3


def test_no_match_that_must_not_be_trained_on() -> None:
    matches = {path.name.split("_")[0] for path in FILES}
    assert not matches & (HELD_OUT_MATCHES | {VALIDATION_MATCH})


def test_frames_without_a_ball_are_listed() -> None:
    listed = (LABELS / "ball_unsure.txt").read_text().split()
    assert sorted(listed) == sorted(p.stem for p in FILES if BALL not in rows_of(p)[:, 0])
