"""The pitch's size, told by what a camera saw all match long: right, or not told at all."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from domain import tables
from domain.configuration import ExportOptions
from domain.pitch import Pitch
from stages.export.stage import ExportStage
from stages.pitch_calibration import camera as cameras
from stages.pitch_calibration import size
from stages.pitch_calibration.standing import ground_points
from stages.pitch_size import PitchSize
from tests.panning_camera import CENTRE, FACTS, HEIGHT, RATE, WIDTH, camera_path, observation_tables
from tests.test_export import FACTS as EXPORT_FACTS
from tests.test_export import MatchInMemory, made_tables
from tests.test_pitch_calibration import stage
from tests.timeline_runs import FinalTables, run

Array = NDArray[np.float64]
LOOKS = 24


def seen(path: Array, pitch: Pitch, rng: np.random.Generator, wrong: float = 0.01) -> Array:
    """Points (n, 32, 3) as a network sees them: 2 px off, half of the variance all match long."""
    lasting = rng.normal(0, np.sqrt(2), (32, 2))
    found = np.zeros((len(path), 32, 3))
    for index, camera in enumerate(path):
        pixels, _ = cameras.view(camera, CENTRE, pitch.points())
        inside = ((pixels >= 0) & (pixels <= [WIDTH, HEIGHT])).all(axis=1)
        pixels = pixels + lasting + rng.normal(0, np.sqrt(2), pixels.shape)
        astray = rng.random(32) < wrong
        pixels[astray] = rng.uniform([0, 0], [WIDTH, HEIGHT], (int(astray.sum()), 2))
        found[index, :, :2] = np.nan_to_num(pixels)
        found[index, :, 2] = 0.95 * (inside & (rng.random(32) >= 0.15))
    return found


def panning() -> Array:
    """A camera each second that turns from one penalty area to the other, (24, 9)."""
    return camera_path(LOOKS, turn=RATE)


def measured(path: Array, points: Array, used: Pitch | None = None) -> PitchSize | None:
    frames = np.arange(len(path)) * round(RATE)
    table = observation_tables(path, points)["pitch_observations"]
    table = table.set_column(0, table.schema.field(0), pa.array(frames))
    match = FinalTables({"pitch_observations": [table]})
    looks = size.seen_looks(match, FACTS)
    return size.measured(looks, CENTRE, used or Pitch())


def test_any_size_has_its_points() -> None:
    assert np.allclose(ground_points(105, 68), Pitch().points())
    assert np.allclose(ground_points(93.5, 51), Pitch(93.5, 51).points())


@pytest.mark.parametrize(
    ("true", "used"),
    [
        ((105, 68), (105, 68)),
        ((98, 60), (105, 68)),
        ((110, 70), (105, 68)),
        ((100, 64), (100, 64)),
        ((105, 68), (100, 64)),
    ],
)
def test_a_camera_that_turns_on_its_stand_tells_the_size(
    true: tuple[float, float], used: tuple[float, float]
) -> None:
    points = seen(panning(), Pitch(*true), np.random.default_rng(5))
    found = measured(panning(), points, Pitch(*used))
    assert found is not None
    assert found.length_m is not None
    assert found.width_m is not None
    assert found.length_sigma_m is not None
    assert found.width_sigma_m is not None
    assert max(found.length_sigma_m, found.width_sigma_m) < 1
    # ten draws: none beyond 2.5 sigma
    assert abs(found.length_m - true[0]) < 2.5 * found.length_sigma_m
    assert abs(found.width_m - true[1]) < 2.5 * found.width_sigma_m
    finding = found.finding(Pitch(*used))
    assert (finding is None) == (true == used)


def test_what_the_view_does_not_show_is_not_told() -> None:
    # 40 m of the left end, from 68 m away: nothing there says how far the halfway line is
    path = panning()
    path[:, cameras.PAN] = -0.55 + 0.02 * np.sin(np.arange(LOOKS))
    path[:, cameras.LOG_FOCAL] = np.log(2600)
    found = measured(path, seen(path, Pitch(98, 60), np.random.default_rng(0)))
    assert found is None or found.length_m is None


def test_points_that_no_camera_explains_tell_nothing() -> None:
    points = seen(panning(), Pitch(98, 60), np.random.default_rng(1), wrong=0.6)
    assert measured(panning(), points) is None


def test_looks_of_other_cameras_are_outvoted() -> None:
    path = panning()
    path[::5, cameras.X] += 36.0  # the camera of a 16 m line, in each fifth look
    path[::5, cameras.PAN] -= 0.4
    found = measured(path, seen(path, Pitch(98, 60), np.random.default_rng(2)))
    assert found is not None
    assert found.length_m == pytest.approx(98, abs=1.2)
    assert found.width_m == pytest.approx(60, abs=1.2)


def test_few_looks_tell_nothing() -> None:
    path = panning()[:4]
    assert measured(path, seen(path, Pitch(98, 60), np.random.default_rng(0))) is None


def test_the_stage_leaves_the_size_when_the_match_is_over() -> None:
    path = camera_path(LOOKS * round(RATE))
    points = np.zeros((len(path), 32, 3))
    # each 25th frame is a look; the drawn path turns within ten seconds
    points[:: round(RATE)] = seen(path[:: round(RATE)], Pitch(98, 60), np.random.default_rng(3))
    (row,) = run(stage(), observation_tables(path, points))["pitch_size"].to_pylist()
    assert row["length_m"] == pytest.approx(98, abs=1.2)
    assert row["width_m"] == pytest.approx(60, abs=1.2)
    assert LOOKS / 2 < row["looks"] <= LOOKS  # some see fewer than five points


def test_a_match_without_a_pitch_has_no_size() -> None:
    path = camera_path(10)
    assert run(stage(), observation_tables(path, None))["pitch_size"].num_rows == 0


@pytest.mark.parametrize(
    ("seen_m", "told"),
    [
        ((98.2, 0.4, 67.8, 0.4), "The pitch looks 98.2 m long (give or take 0.8), not 105: "
         "match.pitch_length_m can say so, and places change with it."),
        ((104.4, 0.4, 68.6, 0.4), None),  # within a metre
        ((102.5, 0.9, 68.0, 0.4), None),  # 2.8 standard deviations
        ((None, None, 64.0, 0.5), "The pitch looks 64.0 m wide (give or take 1.0), not 68: "
         "match.pitch_width_m can say so, and places change with it."),
    ],
)  # fmt: skip
def test_another_size_is_a_finding(
    tmp_path: Path, seen_m: tuple[float | None, ...], told: str | None
) -> None:
    names = ("length_m", "length_sigma_m", "width_m", "width_sigma_m")
    row = {name: [value] for name, value in zip(names, seen_m, strict=True)}
    made = {**made_tables(), "pitch_size": tables.make("pitch_size", {**row, "looks": [40]})}
    files = exported(made, tmp_path)
    summary = json.loads(files["summary.json"].read_text())
    assert summary["pitch"]["length_m"] == 105.0
    assert summary["pitch"]["estimate"] == dict(zip(names, seen_m, strict=True)) | {"looks": 40}
    report = files["report.html"].read_text()
    if told is None:
        assert "looks" not in " ".join(summary["notes"])
        assert "The pitch looks" not in report
    else:
        assert told in summary["notes"]
        assert told in report


def test_a_size_that_was_not_told_is_null_in_the_summary(tmp_path: Path) -> None:
    files = exported({**made_tables(), "pitch_size": tables.empty("pitch_size")}, tmp_path)
    assert json.loads(files["summary.json"].read_text())["pitch"]["estimate"] is None


def exported(made: dict[str, pa.Table], folder: Path) -> dict[str, Path]:
    exporting = ExportStage(ExportOptions(report=True), EXPORT_FACTS)
    return dict(exporting.conclude(MatchInMemory(made, folder), None).files)
