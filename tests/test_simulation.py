"""The simulator: same seed same bytes, human limits, and a truth that fits the pixels."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from domain import tables
from domain.errors import InputError
from domain.lens import straightened
from domain.pitch import Pitch, project
from simulation import (
    SimulatedMatch,
    SimulationOptions,
    render,
    seed_use,
    simulate,
    write,
)
from simulation.ball_flight import BALL_RADIUS_M, Ball, landing, loft_speed, roll_speed, roll_times
from simulation.camera import project as to_pixels
from simulation.formations import FORMATIONS
from simulation.kits import draw_kits
from simulation.motion import at_frames
from simulation.movement import BRAKING_MPS2
from simulation.people import PLAYERS, draw_people
from simulation.play import play
from simulation.rendering import FrameRenderer
from simulation.schedule import Schedule
from simulation.state import TICK_S
from simulation.views import SEEN_SHARE, Viewer

SMALL = SimulationOptions(seed=950_001, seconds=4.0, width=480, height=270)
LONG_S = 45.0


@pytest.fixture(scope="module")
def match() -> SimulatedMatch:
    return simulate(replace(SMALL, seconds=LONG_S, width=960, height=540))


@pytest.fixture(scope="module")
def small() -> SimulatedMatch:
    return simulate(SMALL)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    options = replace(SMALL, seconds=1.2)
    folders = [write(simulate(options), tmp_path / name) for name in ("first", "second")]
    digests = [{path.name: _digest(path) for path in folder.iterdir()} for folder in folders]
    assert digests[0] == digests[1]
    assert {"match.mp4", "truth.json", "positions.parquet"} < set(digests[0])


def test_another_seed_gives_another_match(small: SimulatedMatch) -> None:
    other = simulate(replace(SMALL, seed=SMALL.seed + 1))
    assert not np.allclose(other.motion.position, small.motion.position)


def test_the_play_does_not_depend_on_how_it_is_filmed(small: SimulatedMatch) -> None:
    filmed = simulate(replace(SMALL, width=640, height=360, camera="wide", fps=50.0))
    assert np.array_equal(filmed.record.position, small.record.position)
    # every second frame at 50 fps is a frame at 25 fps
    assert np.allclose(filmed.motion.ball[::2], small.motion.ball)


def test_people_keep_to_human_limits(match: SimulatedMatch) -> None:
    velocity = np.diff(match.record.position, axis=0) / TICK_S
    speed = np.linalg.norm(velocity, axis=2)
    change = np.linalg.norm(np.diff(velocity, axis=0), axis=2) / TICK_S
    assert speed.max() < 9.3  # the fastest player that can be drawn runs 9.2 m/s
    assert change.max() < BRAKING_MPS2 + 0.01
    assert 0.8 < np.median(speed[:, :PLAYERS]) < 3.0  # real matches: about 1.7 m/s


def test_people_do_not_stand_in_each_other(match: SimulatedMatch) -> None:
    place = match.motion.position
    gap = np.linalg.norm(place[:, :, None] - place[:, None], axis=3)
    gap[:, np.arange(25), np.arange(25)] = 9.0
    assert (gap < 0.5).mean() < 0.001


def test_the_ball_moves_without_jumps_but_for_a_new_one_at_restarts(match: SimulatedMatch) -> None:
    ball = match.record.ball
    jump = np.flatnonzero(np.linalg.norm(np.diff(ball, axis=0), axis=1) > 35.0 * TICK_S)
    placed = np.rint(np.array(match.record.placements_s) / TICK_S).astype(int)
    assert all(np.abs(placed - tick).min() <= 1 for tick in jump)
    assert ball[:, 2].min() >= BALL_RADIUS_M - 1e-9


def test_a_roll_arrives_with_the_speed_it_was_kicked_for() -> None:
    speed, ball = roll_speed(20.0, 5.0), Ball()
    ball.kick(0.0, speed)
    elapsed = 0.0
    while ball.x < 20.0:
        ball.advance(0.002)
        elapsed += 0.002
    assert ball.speed == pytest.approx(5.0, abs=0.1)
    assert elapsed == pytest.approx(float(roll_times(speed, np.array([20.0]))[0]), abs=0.02)


def test_a_lofted_kick_lands_where_it_was_aimed() -> None:
    distance, _ = landing(loft_speed(40.0, 0.55), 0.55, BALL_RADIUS_M)
    assert distance == pytest.approx(40.0, abs=0.8)


def test_every_table_keeps_its_contract(match: SimulatedMatch) -> None:
    assert set(match.tables) == set(tables.PUBLIC_TABLES)
    for name, table in match.tables.items():
        tables.check(name, table)
    assert match.positions.num_rows == 25 * match.options.frame_count


def test_complete_passes_join_two_players_of_a_team(match: SimulatedMatch) -> None:
    events = match.tables["match_events"].to_pylist()
    complete = [e for e in events if e["type"] == "pass" and e["outcome"] == "complete"]
    assert len(complete) >= 4  # about 13 a minute in the long run
    for event in complete:
        assert event["player"].split("_")[0] == event["receiver"].split("_")[0] == event["team"]
        assert event["player"] != event["receiver"]
        assert event["start_frame"] <= event["end_frame"]


def test_who_plays_the_ball_is_beside_it(match: SimulatedMatch) -> None:
    index = {person.name: i for i, person in enumerate(match.people)}
    for event in match.tables["match_events"].to_pylist():
        if event["type"] in ("pass", "shot", "possession", "interception"):
            place = match.motion.position[event["start_frame"], index[event["player"]]]
            gap = np.hypot(place[0] - event["start_x"], place[1] - event["start_y"])
            assert gap < 1.8


@pytest.mark.parametrize("camera", ["main", "wide", "behind_goal", "amateur"])
def test_the_homography_takes_feet_to_their_place(camera: str) -> None:
    filmed = simulate(replace(SMALL, width=1280, height=720, camera=camera))
    tracks = filmed.tables["tracks"].to_pandas()
    homographies = np.array(filmed.tables["calibration"]["homography"].to_pylist()).reshape(
        -1, 3, 3
    )
    whole = tracks[(tracks.x1 > 1) & (tracks.y1 > 1) & (tracks.x2 < 1279) & (tracks.y2 < 719)]
    camera_of = filmed.tables["calibration"].to_pandas().loc[whole.frame]
    k1_per_px2 = (camera_of.k1 / camera_of.focal_px**2).to_numpy()
    middle = np.array([640, 360])
    shown = np.column_stack([(whole.x1 + whole.x2) / 2, whole.y2]) - middle
    feet = straightened(shown, k1_per_px2) + middle
    found = np.vstack(
        [project(homographies[f], p[None]) for f, p in zip(whole.frame, feet, strict=True)]
    )
    error = np.hypot(found[:, 0] - whole.x, found[:, 1] - whole.y)
    # the nearer foot stands up to half a stride before the body, and boxes reach around the boot
    assert np.median(error) < 0.5
    assert np.percentile(error, 95) < 1.0


def test_homography_and_camera_agree(match: SimulatedMatch) -> None:
    matrix = match.camera.matrices()[100]
    points = np.column_stack([Pitch().points(), np.zeros(32)])
    pixels, depth = to_pixels(matrix, points)
    back = project(match.camera.homographies()[100], pixels[depth > 5])
    assert np.allclose(back, points[depth > 5, :2], atol=1e-6)


def test_camera_motion_carries_the_ground_from_frame_to_frame(match: SimulatedMatch) -> None:
    motion = match.tables["frames"]["camera_motion"].to_pylist()
    assert motion[0] is None
    ground = np.array([[0.0, 0.0, 0.0], [8.0, -6.0, 0.0]])
    before, after = (to_pixels(match.camera.matrices()[f], ground)[0] for f in (49, 50))
    assert np.allclose(project(np.array(motion[50]).reshape(3, 3), before), after, atol=1e-6)


def test_near_lines_are_brighter_than_the_grass_beside_them(match: SimulatedMatch) -> None:
    image = FrameRenderer(match).frame(20).astype(float).mean(axis=2)
    y = np.linspace(-26.0, 4.0, 40)
    rows = [np.column_stack([np.full(40, x), y, np.zeros(40)]) for x in (0.0, -0.7, 0.7)]
    pixels = [np.floor(match.camera.pixels(20, row)[0]).astype(int) for row in rows]
    inside = np.all([((p >= 2) & (p < [958, 538])).all(axis=1) for p in pixels], axis=0)
    line, left, right = (image[p[inside, 1], p[inside, 0]] for p in pixels)
    assert inside.sum() >= 15
    assert (line > np.maximum(left, right) + 15).mean() > 0.85  # people may stand on it


def test_people_are_painted_where_their_boxes_are(match: SimulatedMatch) -> None:
    """Blank the people out and the picture changes inside the boxes and nowhere far from them."""
    renderer, frame = FrameRenderer(match), 30
    with_people = renderer.frame(frame).astype(int)
    renderer._painter._people = []
    # the noise is the same, so what differs by more than the blur's fringe is people
    changed = np.abs(with_people - renderer.frame(frame)).max(axis=2) > 12
    boxes = match.tables["detections"].filter(pc.field("frame") == frame).to_pandas()
    for box in boxes[boxes.role != "ball"].itertuples():
        area = changed[int(box.y1) : int(box.y2) + 1, int(box.x1) : int(box.x2) + 1]
        assert 0.2 < area.mean() < 0.95
        assert area[:3].any()
        assert area[-4:].any()


def test_a_hidden_person_is_no_detection(match: SimulatedMatch) -> None:
    viewer = Viewer(match.people, match.motion, match.camera)
    view = viewer.view(40)
    front = int(np.argmin(view.depth + 1e3 * (view.visible < 0.99)))
    motion = at_frames(match.record, match.motion.time_s[40:41])
    behind = (front + 1) % PLAYERS
    eye = match.camera.position[40, :2]
    away = motion.position[0, front] - eye
    motion.position[0, behind] = motion.position[0, front] + 0.5 * away / np.linalg.norm(away)
    motion.heading[0, behind] = motion.heading[0, front]
    camera = match.camera.take(np.array([40]))
    assert Viewer(match.people, motion, camera).view(0).visible[behind] < SEEN_SHARE


def test_the_video_has_the_promised_frames(tmp_path: Path) -> None:
    options = replace(SMALL, seconds=1.0, fps=29.97)
    calls: list[tuple[int, int]] = []
    path = render(simulate(options), tmp_path / "match.mp4", lambda *done: calls.append(done))
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [(f.width, f.height, f.format.name, f.time) for f in container.decode(stream)]
    assert len(frames) == options.frame_count == 30  # ceil(1.0 s * 30000/1001)
    assert calls[-1] == (30, 30)
    assert frames[0][:3] == (480, 270, "yuv420p")
    assert frames[-1][3] == pytest.approx(29 * 1001 / 30000)


def test_write_leaves_the_truth_beside_the_video(small: SimulatedMatch, tmp_path: Path) -> None:
    folder = write(small, tmp_path / "truth", video=False)
    for name in tables.PUBLIC_TABLES:
        tables.check(name, pq.read_table(folder / f"{name}.parquet"))
    about = json.loads((folder / "truth.json").read_text())
    assert about["seed"] == SMALL.seed
    assert about["seed_use"] == "test"
    assert set(about["kits"]) == {"home", "away", "home_keeper", "away_keeper", "referee"}


def test_every_formation_keeps_its_shape_at_kick_off() -> None:
    for name, slots in FORMATIONS.items():
        assert len(slots) == 10, name
        rng = np.random.default_rng(5)
        people = draw_people(rng, draw_kits(rng), (name, name))
        record = play(people, Schedule(0.1), rng)
        side = record.position[0, 1:11] * record.attack_sign[0]
        backs = [i for i, slot in enumerate(slots) if slot.position.endswith("CB")]
        front = [i for i, slot in enumerate(slots) if slot.depth > 0.9]
        assert side[backs, 0].max() < side[front, 0].min(), name


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seed": -1}, "seed"),
        ({"seconds": 0.0}, "seconds"),
        ({"fps": 500.0}, "fps"),
        ({"width": 1281}, "width"),
        ({"camera": "blimp"}, "camera"),
        ({"home_formation": "2-3-5"}, "home_formation"),
    ],
)
def test_bad_options_are_refused_by_name(change: dict[str, object], named: str) -> None:
    with pytest.raises(InputError, match=named):
        replace(SMALL, **change)  # type: ignore[arg-type]


def test_seeds_belong_to_one_use() -> None:
    uses = [seed_use(seed) for seed in (0, 899_999, 900_000, 949_999, 950_000)]
    assert uses == ["training", "training", "validation", "validation", "test"]


def test_ball_rows_say_when_the_picture_lacks_it(match: SimulatedMatch) -> None:
    ball: pa.Table = match.tables["ball"]
    absent = pc.equal(ball["status"], "absent")
    assert pc.all(pc.equal(pc.is_null(ball["pixel_x"]), absent)).as_py()
    assert pc.mean(pc.cast(absent, pa.float32())).as_py() < 0.3
