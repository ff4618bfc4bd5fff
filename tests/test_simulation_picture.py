"""The simulator's picture: its ranges, its stills, and what may not be seen in it."""

from pathlib import Path

import cv2
import numpy as np
import pyarrow.compute as pc
import pytest

from domain.errors import InputError
from evaluation.yolo_labels import labelled_images, read_boxes, read_points
from simulation import SimulationOptions, simulate, write_stills

SMALL = SimulationOptions(seed=950_011, seconds=2.0, width=640, height=360)


def test_stills_are_read_as_labelled_images(tmp_path: Path) -> None:
    """The scores' own reader takes them, and the boxes are those that the truth sees."""
    match = simulate(SMALL)
    stills = write_stills(match, tmp_path, 2)
    assert [path.name for path in stills] == ["950011_main_00012.jpg", "950011_main_00037.jpg"]
    players, pitch = tmp_path / "players", tmp_path / "pitch"
    for pair in labelled_images(players / "images", players / "labels"):
        frame = int(pair.image.stem.split("_")[-1])
        seen = match.tables["detections"].filter(pc.field("frame") == frame)
        roles, _ = read_boxes(pair.label)
        assert roles == seen["role"].to_pylist()
        image = cv2.imread(str(pair.image))
        assert image is not None
        assert image.shape == (360, 640, 3)
    for pair in labelled_images(pitch / "images", pitch / "labels"):
        frame = int(pair.image.stem.split("_")[-1])
        points = read_points(pair.label)
        assert (points[:, 2] > 0).sum() >= 4
        # point 14 of the template, counted from 1, is the halfway line at the far touchline
        pixels, _ = match.camera.pixels(frame, np.array([[0.0, 34.0, 0.0]]))
        if points[13, 2] > 0:
            assert points[13, :2] * [640, 360] == pytest.approx(pixels[0], abs=0.01)


def test_too_many_stills_are_refused(tmp_path: Path) -> None:
    # 50 frames hold 12 bursts of 4
    with pytest.raises(InputError, match="1 to 12"):
        write_stills(simulate(SMALL), tmp_path, 13)
