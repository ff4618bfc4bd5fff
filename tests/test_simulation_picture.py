"""The simulator's picture: its ranges, its stills, and what may not be seen in it."""

from dataclasses import astuple, fields, replace
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pyarrow.compute as pc
import pytest

from domain.errors import InputError
from evaluation.yolo_labels import labelled_images, read_boxes, read_points
from simulation import SimulationOptions, simulate, write_stills
from simulation.bystanders import Bystanders
from simulation.graphics import Graphics
from simulation.kits import HARD_SHIRT_DISTANCE, MIN_SHIRT_DISTANCE, draw_kits, seen_from_afar
from simulation.lens import LensAndSensor
from simulation.patches import smear_kernel
from simulation.people import draw_formation
from simulation.rendering import FrameRenderer
from simulation.variety import VARIETY, Look, Sometimes, Span, draw_look
from training import detector_data, pitch_data
from training.loop import training_images

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


def _looks(count: int) -> list[Look]:
    return [draw_look(replace(SMALL, seed=seed)) for seed in range(count)]


def test_every_range_is_wide_and_every_draw_within_it() -> None:
    """A number that has a range of its name stays inside it and is not always the same."""
    looks, ranged = _looks(150), 0
    for part in ("grass", "lens", "light"):
        for field in fields(getattr(looks[0], part)):
            ranged += hasattr(VARIETY, field.name)
            limits = getattr(VARIETY, field.name, None)
            drawn = [getattr(getattr(look, part), field.name) for look in looks]
            if isinstance(limits, Span):
                slack = 0.5 if field.name == "crf" else 0.0  # crf is rounded to whole numbers
                assert limits.low - slack <= min(drawn) < max(drawn) <= limits.high + slack
            elif isinstance(limits, Sometimes):
                happened = [value for value in drawn if value]
                # 150 draws: three standard deviations of a share are at most 0.13
                assert len(happened) / len(looks) == pytest.approx(limits.chance, abs=0.13)
                assert limits.low <= min(happened) <= max(happened) <= limits.high
    assert ranged >= 20


def test_every_kind_of_light_grass_and_graphics_occurs() -> None:
    looks = _looks(150)
    assert {look.light.kind for look in looks} == {name for name, _ in VARIETY.light}
    assert {look.grass.mowing for look in looks} == {name for name, _ in VARIETY.mowing}
    assert {look.grass.apron for look in looks} == {name for name, _ in VARIETY.apron}
    assert {look.stands for look in looks} == {name for name, _ in VARIETY.stands}
    assert {look.graphics for look in looks} == {name for name, _ in VARIETY.graphics}
    assert {len(look.light.shadows) for look in looks} == {0, 1, 4}


def test_it_does_not_rain_from_a_clear_sky() -> None:
    assert not any(look.rain for look in _looks(150) if look.light.kind == "sun")


def test_an_amateur_films_no_big_stadium_and_lays_nothing_over_it() -> None:
    looks = [draw_look(replace(SMALL, seed=seed, camera="amateur")) for seed in range(60)]
    assert {look.stands for look in looks} == {"low", "open"}
    assert {look.graphics for look in looks} == {"none"}


def test_a_look_is_its_seeds_whatever_the_size_and_length() -> None:
    first = draw_look(SMALL)
    assert draw_look(replace(SMALL, width=1920, height=1080, seconds=30.0, fps=60.0)) == first
    assert astuple(draw_look(replace(SMALL, seed=SMALL.seed + 1))) != astuple(first)


def test_kits_can_be_told_apart_and_some_only_just() -> None:
    """Sides and officials keep a distance in CIE Lab; in a share of matches the hard one."""
    nearest = []
    for seed in range(120):
        kits = draw_kits(np.random.default_rng([seed, 6]))
        home, away, referee = map(seen_from_afar, (kits.home, kits.away, kits.referee))
        nearest.append(float(np.linalg.norm(home - away)))
        for one, other in combinations((home, away, referee), 2):
            assert np.linalg.norm(one - other) >= HARD_SHIRT_DISTANCE
    hard = np.mean(np.array(nearest) < MIN_SHIRT_DISTANCE)
    # VARIETY.like_kits of the matches, 120 of them: within three standard deviations, 0.1
    assert hard == pytest.approx(VARIETY.like_kits, abs=0.1)


def test_kits_never_move_the_play() -> None:
    """Kits have a random stream of their own: draws are counted only there."""
    rng = np.random.default_rng([SMALL.seed, 1])
    match = simulate(SMALL)
    assert match.formations[0] == draw_formation(rng, None)


def test_who_stands_beside_the_pitch_is_not_on_it_and_in_no_table() -> None:
    match, rng = simulate(SMALL), np.random.default_rng(7)
    beside = Bystanders(match.kits, 1.0, rng)
    seen = beside.seen(simulate(replace(SMALL, camera="wide")).camera.eye(0), 1.0)
    assert seen is not None
    assert len(seen.people) >= 30
    feet = seen.joints[:, :, :2].mean(axis=1)
    outside = (np.abs(feet[:, 0]) > 52.5 + 1.5) | (np.abs(feet[:, 1]) > 34.0 + 1.5)
    assert outside.all()
    assert not {person.name for person in seen.people} & {p.name for p in match.people}
    assert match.tables["identities"].num_rows == 25


def test_staff_and_substitutes_are_painted() -> None:
    """The same frame without anybody beside the pitch differs where they stand."""
    renderer = FrameRenderer(simulate(replace(SMALL, camera="wide", width=1280, height=720)))
    renderer._stadium.before.clear()  # benches hide those who sit on them
    with_them = renderer.frame(10).astype(int)
    seen = renderer._bystanders.seen(renderer._match.camera.eye(10), 10 / 25)
    assert seen is not None
    renderer._bystanders = Bystanders(renderer._match.kits, 0.0, np.random.default_rng(0))
    changed = np.abs(with_them - renderer.frame(10)).max(axis=2) > 12
    whole = [b for b in seen.boxes if (b > 4).all() and b[2] < 1276 and b[3] < 716]
    marked = [
        changed[int(y1) : int(y2) + 1, int(x1) : int(x2) + 1].any() for x1, y1, x2, y2 in whole
    ]
    assert len(whole) >= 8
    assert np.mean(marked) > 0.8  # a few stand behind others


def test_a_stands_shadow_darkens_what_lies_beyond_its_edge() -> None:
    looks = [(seed, draw_look(replace(SMALL, seed=seed))) for seed in range(60)]
    look = next(look for _, look in looks if look.light.shade > 0.45)
    normal, edge = np.array(look.light.edge_normal), look.light.edge_m
    inside, outside = normal * (edge + 3.0), normal * (edge - 3.0)
    assert look.light.shaded(inside[0], inside[1]) == 1.0
    assert look.light.shaded(outside[0], outside[1]) == 0.0


def test_a_smear_is_as_long_as_the_movement_and_keeps_the_light() -> None:
    for length, wide in ((0.5, 1), (3.0, 5), (6.0, 7)):
        weights = smear_kernel(length)
        assert weights.sum() == pytest.approx(1.0)
        # 3 pixels of movement: (3 + 1) / 2 = 2, so offsets 0 and 1 count fully, 2 not at all
        assert int((weights > 1e-9).sum()) <= wide
    assert (smear_kernel(3.0) > 0).sum() == 3


def test_a_turning_camera_blurs_along_its_way_only() -> None:
    look = draw_look(SMALL)
    lens = LensAndSensor(look.lens, 0.0, (64, 48), np.random.default_rng(1))
    image = np.zeros((48, 64, 3), dtype=np.uint8)
    image[24, 32] = 255
    rows, columns = np.nonzero(lens.smeared(image, (5.0, 0.0))[..., 0])
    assert set(rows) == {24}
    assert set(columns) == {30, 31, 32, 33, 34}
    assert lens.smeared(image, (0.6, 0.4)) is image


def test_graphics_lie_over_the_picture_where_they_are_wanted() -> None:
    match = simulate(SMALL)
    blank = np.full((360, 640, 3), 90, dtype=np.uint8)
    changed = {}
    for kind in ("none", "corner", "full"):
        image, rng = blank.copy(), np.random.default_rng(3)
        Graphics(kind, match.kits, (640, 360), rng).draw(image, 1.0)
        changed[kind] = (image != blank).any(axis=2)
    assert not changed["none"].any()
    assert changed["corner"][:60, :240].mean() > 0.05
    assert not changed["corner"][60:].any()
    assert changed["full"].sum() > changed["corner"].sum()


def test_frames_are_the_same_bytes_in_any_order() -> None:
    match = simulate(SMALL)
    one, other = FrameRenderer(match), FrameRenderer(match)
    first = one.frame(5)
    other.frame(20)
    assert np.array_equal(other.frame(5), first)


def test_the_training_recipes_read_stills(tmp_path: Path) -> None:
    """Folders of stills take the place of those of labelled footage, for both models."""
    options = replace(SMALL, seed=11, camera="behind_goal")
    match = simulate(options)
    write_stills(match, tmp_path, 1)
    (boxes,) = detector_data.load_training_frames(training_images(tmp_path / "players"))
    seen = match.tables["detections"].filter(pc.field("frame") == 25)
    assert len(boxes.roles) == seen.num_rows
    assert boxes.match == "11"
    (pitch,) = pitch_data.load_training_frames(training_images(tmp_path / "pitch"))
    assert pitch.to_pixel is not None
    assert not pitch.mirrors
    # the label's pixels are of 640 x 360, the recipe's of 1280 x 720
    corner = match.camera.eye(25).pixels(np.array([[0.0, 9.15, 0.0]]))[0] * 2
    assert pitch.points[14] == pytest.approx(corner[0], abs=0.01)


def test_an_empty_label_means_that_no_point_is_in_view(tmp_path: Path) -> None:
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    cv2.imwrite(str(tmp_path / "images" / "7_main_00003.jpg"), np.zeros((72, 128, 3), np.uint8))
    (tmp_path / "labels" / "7_main_00003.txt").touch()
    frame = pitch_data.load_frame(tmp_path / "images" / "7_main_00003.jpg")
    assert frame.to_pixel is None
    assert np.isnan(frame.points).all()
