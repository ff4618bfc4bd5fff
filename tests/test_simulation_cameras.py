"""How simulated matches are filmed: cuts, replays, other cameras, and the truth about them."""

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from api.command_line import main
from domain.errors import InputError
from domain.lens import straightened
from simulation import SimulatedMatch, SimulationOptions, simulate
from simulation.bending import Bending
from simulation.camera import Eye, project
from simulation.close_cameras import crowd_shot
from simulation.direction import direct
from simulation.faces import paint_face
from simulation.figures import Pose, joints
from simulation.operators import camera_path
from simulation.options import CAMERAS
from simulation.patches import Patch
from simulation.rendering import FrameRenderer
from simulation.spectators import draw_spectators
from simulation.transitions import WipeLook, covered, settled_frames
from simulation.views import SEEN_SHARE

SHORT = SimulationOptions(seed=950_004, seconds=6.0, width=480, height=270, broadcast=True)
# a focal length of 1000 px, x to the right, y down, z away from the lens
STRAIGHT_AHEAD = np.array([[1000.0, 0, 960, 0], [0, 1000.0, 540, 0], [0, 0, 1.0, 0]])
CORNERS = ((0, 0), (1, 0), (1, 1), (0, 1))
# the same at eye height, 1.5 m above the centre spot, looking along +y
HUMAN_HEIGHT_AHEAD = np.array([[1000.0, 640, 0, 0], [0, 360, -1000.0, 1500.0], [0, 1.0, 0, 0]])
PLAIN: dict[str, Any] = {"broadcast": False}


@pytest.fixture(scope="module")
def broadcast() -> SimulatedMatch:
    return simulate(replace(SHORT, seconds=60.0, fps=12.5))


@pytest.fixture(scope="module")
def frames(broadcast: SimulatedMatch) -> pd.DataFrame:
    table: pd.DataFrame = broadcast.tables["frames"].to_pandas()
    return table


def test_a_broadcast_is_cut_as_on_television(frames: pd.DataFrame) -> None:
    shots = frames.groupby("shot").agg(frames=("frame", "size"), replay=("replay", "first"))
    assert 5 <= len(shots) <= 12  # a cut each 8 to 15 s makes 5 to 8 shots; replays add some
    assert shots.frames.min() >= 12  # a second is 12.5 frames
    assert shots.replay.any()
    live_wide = ((frames["view"] == "wide") & ~frames["replay"]).mean()
    assert 0.55 < live_wide < 0.9


def test_even_a_short_broadcast_is_cut() -> None:
    shots = simulate(SHORT).tables["frames"]["shot"]
    assert pc.max(shots).as_py() >= 2  # away from the main camera and back


def test_broadcasts_keep_their_rates(broadcast: SimulatedMatch) -> None:
    """The main camera is on for about 70 % of the time, and a shot lasts 8 to 15 s in the mean."""
    directed = [direct(broadcast.record, 60.0, np.random.default_rng(s)) for s in range(40)]
    cues = [cue for one in directed for cue in one]
    main_s = sum(cue.end_s - cue.start_s for cue in cues if cue.camera == "main")
    assert 0.62 < main_s / (40 * 60.0) < 0.8
    assert 7.0 < 40 * 60.0 / len(cues) < 15.0
    assert all(any(cue.replay for cue in one) for one in directed)
    for one in directed:
        assert one[-1].end_s == 60.0
        assert all(a.end_s == b.start_s for a, b in itertools.pairwise(one))
        assert all((a.camera, a.replay) != (b.camera, b.replay) for a, b in itertools.pairwise(one))


@pytest.mark.parametrize("seconds", [1.0, 2.9, 4.0, 11.0, 39.0])
def test_shots_of_any_video_last_a_second(broadcast: SimulatedMatch, seconds: float) -> None:
    for seed in range(40):
        cues = direct(broadcast.record, seconds, np.random.default_rng(seed))
        assert min(cue.end_s - cue.start_s for cue in cues) >= min(seconds, 1.0) - 1e-9
        assert cues[-1].end_s == seconds
        assert cues[0].camera == cues[-1].camera == "main"


def test_what_is_measured_has_rows_in_live_wide_frames_alone(
    broadcast: SimulatedMatch, frames: pd.DataFrame
) -> None:
    measurable = set(frames.frame[(frames["view"] == "wide") & ~frames.replay])
    assert set(broadcast.tables["ball"]["frame"].to_pylist()) == measurable
    assert set(broadcast.tables["tracks"]["frame"].to_pylist()) == measurable
    assert set(broadcast.tables["calibration"]["frame"].to_pylist()) == set(frames.frame)
    assert set(broadcast.tables["detections"]["frame"].to_pylist()) > measurable
    assert broadcast.positions.num_rows == 25 * len(frames)


def test_a_replay_shows_again_slowly_what_was_live(broadcast: SimulatedMatch) -> None:
    film = broadcast.film
    replays = [shot for shot in film.shots if shot.cue.replay]
    for shot in replays:
        rows = film.rows[shot.first : shot.stop]
        shown_s, step_s = film.shown.time_s[rows], 1 / 12.5
        assert shown_s[-1] < broadcast.motion.time_s[shot.first]
        assert np.allclose(np.diff(shown_s), shot.cue.pace * step_s)
        assert 0.4 <= shot.cue.pace <= 0.6


def test_a_cut_has_no_camera_motion(frames: pd.DataFrame) -> None:
    first = frames.shot.diff().fillna(1) > 0
    assert (frames.camera_motion.isna() == first).all()


def test_a_close_up_keeps_its_subject_in_the_picture(broadcast: SimulatedMatch) -> None:
    film = broadcast.film
    for shot in (shot for shot in film.shots if shot.cue.camera == "close"):
        rows = film.rows[shot.first : shot.stop]
        place = film.shown.position[rows, shot.cue.subject]
        chest = np.column_stack([place, np.full(len(place), 1.2), np.ones(len(place))])
        mapped = np.einsum("nij,nj->ni", film.camera.take(rows).matrices(), chest)
        x = mapped[:, 0] / mapped[:, 2] / SHORT.width
        assert ((x > 0) & (x < 1)).mean() > 0.9


def test_a_wipe_covers_the_picture_at_the_cut_and_not_before() -> None:
    size = (480, 270)
    grid = np.stack(np.meshgrid(np.arange(480.0), np.arange(270.0)), axis=2).reshape(-1, 2)
    shares = [covered(grid, share, size).mean() for share in (0.0, 0.2, 0.5, 0.8, 1.0)]
    assert shares[2] == 1.0
    assert shares[0] == shares[4] == 0.0
    assert covered(grid, 0.45, size).mean() > 0.99
    assert 0.2 < shares[1] < 0.7
    assert 0.2 < shares[3] < 0.7


def test_the_logo_is_drawn_where_the_truth_says(broadcast: SimulatedMatch) -> None:
    look = WipeLook(broadcast.kits, np.random.default_rng(1))
    grid = np.stack(np.meshgrid(np.arange(480.0), np.arange(270.0)), axis=2).reshape(-1, 2)
    for share in (0.1, 0.3, 0.8):
        image = np.full((270, 480, 3), 7, dtype=np.uint8)
        look.draw(image, share)
        drawn = (image != 7).any(axis=2)
        expected = covered(grid, share, (480, 270)).reshape(270, 480)
        assert (drawn == expected).mean() > 0.9  # the badge reaches beyond a narrow sweep


def test_behind_the_logo_nobody_is_seen(broadcast: SimulatedMatch) -> None:
    wiped = next(shot for shot in broadcast.film.shots if shot.cue.opening == "wipe")
    views = broadcast.tables["frames"]["view"].to_pylist()
    assert views[wiped.first] == "other"
    assert wiped.first not in broadcast.tables["detections"]["frame"].to_pylist()


def test_a_broadcast_starts_from_the_main_camera() -> None:
    with pytest.raises(InputError, match="broadcast"):
        replace(SHORT, camera="wide")


@pytest.mark.parametrize("camera", CAMERAS)
def test_every_camera_differs_from_match_to_match(camera: str) -> None:
    filmed = [simulate(replace(SHORT, seconds=1.0, seed=s, **PLAIN, camera=camera)) for s in (1, 2)]
    first, second = (match.camera for match in filmed)
    assert not np.allclose(first.position[0], second.position[0], atol=0.1)
    assert first.k1[0] != second.k1[0]


def test_an_amateur_stands_low_shakes_and_tilts_his_horizon() -> None:
    ball = np.column_stack([np.linspace(-30.0, 30.0, 750), np.zeros(750), np.zeros(750)])
    camera, steady = (
        camera_path(kind, ball, 25.0, (1280, 720), np.random.default_rng(4))
        for kind in ("amateur", "main")
    )
    assert 3.0 <= camera.position[0, 2] <= 6.0
    assert 0.2 < np.abs(camera.roll_deg).max() <= 2.0
    assert camera.focal_px.max() / camera.focal_px.min() > 1.2  # he zooms
    # the second difference of the tilt is what the hands add, a smooth pan has next to none
    shakes = [np.abs(np.diff(one.tilt_deg, 2)).mean() for one in (camera, steady)]
    assert shakes[0] > 5 * shakes[1]


def test_a_drone_hovers_high_and_drifts() -> None:
    ball = np.column_stack([np.linspace(-30.0, 30.0, 750), np.zeros(750), np.zeros(750)])
    for seed in range(8):
        camera = camera_path("drone", ball, 25.0, (1280, 720), np.random.default_rng(seed))
        assert 15.0 < camera.position[:, 2].min() < camera.position[:, 2].max() < 55.0
        assert 0.2 < np.ptp(camera.position, axis=0).max() < 4.0  # metres in half a minute
        assert np.linalg.norm(np.diff(camera.position, axis=0), axis=1).max() * 25 < 1.0  # m/s
        assert camera.tilt_deg.min() > 10.0


def test_a_lens_bends_pixels_as_the_domain_says() -> None:
    """`domain.lens` straightens what the camera has bent; at 500 px of 1000 px focal length and
    k1 = -0.1 a point moves inwards by 500 * 0.1 * 0.5^2 = 12.5 px.
    """
    eye = Eye(1920, 1080, STRAIGHT_AHEAD, 1000.0, -0.1)
    shown, _ = eye.pixels(np.array([[0.5, 0.0, 1.0], [-0.3, 0.4, 1.0]]))
    assert shown[0] == pytest.approx([960 + 487.5, 540])
    assert shown[1] == pytest.approx([960 - 0.3 * 975, 540 + 0.4 * 975])
    straight = straightened(shown - [960, 540], -0.1 / 1000.0**2)
    assert np.allclose(straight, [[500, 0], [-300, 400]], atol=1e-6)


def test_what_is_far_outside_of_a_barrel_lens_stays_outside() -> None:
    eye = Eye(1920, 1080, STRAIGHT_AHEAD, 1000.0, -0.1)
    away = np.linspace(0.0, 5.0, 50)
    shown, _ = eye.pixels(np.column_stack([away, np.zeros(50), np.ones(50)]))
    assert (np.diff(shown[:, 0]) > 0).all()


@pytest.mark.parametrize("k1", [-0.12, -0.03, 0.03])
def test_the_picture_is_bent_like_the_truth(k1: float) -> None:
    """A bright square, drawn straight and then bent, is found where its middle is said to be."""
    matrix = np.array([[700.0, 0, 480, 0], [0, 700.0, 270, 0], [0, 0, 1.0, 0]])
    eye = Eye(960, 540, matrix, 700.0, k1)
    bend = Bending().at(eye)
    assert (bend.margin > 0) == (k1 < 0)  # a barrel lens shows more than a straight one
    for point in ([0.55, 0.3, 1.0], [-0.5, 0.2, 1.0], [0.1, -0.33, 1.0]):
        x, y = np.floor(project(bend.shifted(matrix), np.array(point))[0]).astype(int)
        straight = np.zeros((*bend.canvas((960, 540))[::-1], 3), dtype=np.uint8)
        straight[y - 3 : y + 4, x - 3 : x + 4] = 200
        exact = (np.array([x, y]) + 0.5 - bend.margin - [480, 270]) / 700
        rows, columns = np.nonzero(bend.apply(straight)[..., 0] > 100)
        expected, _ = eye.pixels(np.append(exact, 1.0))
        assert columns.mean() + 0.5 == pytest.approx(expected[0], abs=0.3)
        assert rows.mean() + 0.5 == pytest.approx(expected[1], abs=0.3)


def test_painted_lines_lie_where_the_bent_truth_says() -> None:
    """The halfway line of a strongly bent picture: as bright as its neighbours are not."""
    match = simulate(replace(SHORT, seconds=1.0, **PLAIN, width=960, height=540))
    bent = replace(match.film, camera=replace(match.camera, k1=np.full(len(match.camera), -0.12)))
    image = FrameRenderer(replace(match, film=bent)).frame(5).astype(float).mean(axis=2)
    y = np.linspace(-30.0, 30.0, 60)
    rows = [np.column_stack([np.full(60, x), y, np.zeros(60)]) for x in (0.0, -0.6, 0.6)]
    pixels = [np.floor(bent.camera.pixels(5, row)[0]).astype(int) for row in rows]
    inside = np.all([((p >= 0) & (p < [960, 540])).all(axis=1) for p in pixels], axis=0)
    line, left, right = (image[p[inside, 1], p[inside, 0]] for p in pixels)
    assert inside.sum() > 20
    assert (line > np.maximum(left, right) + 10).mean() > 0.8


def test_visibility_agrees_with_what_is_detected(broadcast: SimulatedMatch) -> None:
    """A person is a detection where 35 % of him is seen, live or not; the others have rows too."""
    seen = broadcast.truth.visibility.to_pandas()
    assert seen.share_visible.between(0, 1).all()
    people = broadcast.tables["detections"].filter(pc.field("role") != "ball")
    boxes = people.to_pandas().groupby("frame").size()
    clear = seen[seen.share_visible >= SEEN_SHARE].groupby("frame").size()
    assert clear.equals(boxes)
    tracked = broadcast.tables["tracks"].to_pandas().merge(seen, on=["frame", "track"])
    assert len(tracked) == broadcast.tables["tracks"].num_rows
    assert (tracked.observed == (tracked.share_visible >= SEEN_SHARE)).all()
    assert 0.5 < tracked.share_visible.mean() < 0.99


def test_sixty_frames_a_second_of_full_hd() -> None:
    options = replace(SHORT, seconds=1.0, **PLAIN, fps=60.0, width=1920, height=1080)
    match = simulate(options)
    assert match.tables["frames"].num_rows == 60
    assert np.allclose(np.diff(match.motion.time_s), 1 / 60)
    assert FrameRenderer(match).frame(59).shape == (1080, 1920, 3)
    # the same view as in a smaller picture of the same match, twice the pixels
    small = simulate(replace(options, width=960, height=540))
    assert np.allclose(match.camera.focal_px, 2 * small.camera.focal_px)


def test_a_broadcast_renders_the_same_bytes_again() -> None:
    """Frames on either side of a cut, drawn in either order: nothing depends on what was drawn."""
    match = simulate(SHORT)
    cut = match.film.shots[1].first
    forwards, backwards = FrameRenderer(match), FrameRenderer(match)
    ahead = [forwards.frame(frame) for frame in (cut - 1, cut)]
    back = [backwards.frame(frame) for frame in (cut, cut - 1)]
    assert np.array_equal(ahead[0], back[1])
    assert np.array_equal(ahead[1], back[0])


def test_a_close_shot_of_the_crowd_shows_spectators_alone(broadcast: SimulatedMatch) -> None:
    """The upright block of spectators fills the picture of every such shot, and nobody plays."""
    stand = broadcast.film.camera.position[0]
    camera = crowd_shot(50, stand, 25.0, (480, 270), np.random.default_rng(2))
    block = draw_spectators(broadcast.kits, np.random.default_rng(3))
    corners = np.array([block.corner + a * block.along + b * block.up for a, b in CORNERS])
    for frame in (0, 49):
        pixels, depth = camera.eye(frame).pixels(corners)
        assert depth.min() > 50.0
        assert pixels[[0, 3], 0].max() < 0 < 480 < pixels[[1, 2], 0].min()
        assert pixels[2:, 1].max() < 0 < 270 < pixels[:2, 1].min()
    assert block.texture.std() > 30.0  # people, not a wall


def test_a_face_is_seen_from_the_front_alone(broadcast: SimulatedMatch) -> None:
    """At 4 m a metre is 250 px: two brows of 7 x 2.5 px, a mouth of 11 x 3, eyes, a nose."""
    still = np.zeros(1)
    eye = Eye(1280, 720, HUMAN_HEIGHT_AHEAD, 1000.0, 0.0)
    drawn = []
    for heading in (-np.pi / 2, np.pi / 2):  # the camera looks along +y
        pose = Pose(np.array([[0.0, 4.0]]), np.array([heading]), still, still, still, still,
                    np.zeros(1, dtype=np.int64), np.array([1.8]))  # fmt: skip
        image = np.zeros((720, 1280, 3), dtype=np.uint8)
        patch = Patch.over(image, np.array([0.0, 0.0, 1280.0, 720.0]), 720)
        assert patch is not None
        paint_face(patch, broadcast.people[3], joints(pose)[0], eye)
        patch.blend(image)
        drawn.append(int(image.any(axis=2).sum()))
    assert drawn[0] > 100
    assert drawn[1] == 0


def test_settled_frames_show_one_shot_alone(broadcast: SimulatedMatch) -> None:
    """A wipe takes 0.64 s: at 12.5 frames a second 4 frames on either side of the cut."""
    settled = set(settled_frames(broadcast.film).tolist())
    for before, shot in itertools.pairwise(broadcast.film.shots):
        around = set(range(shot.first - 6, shot.first + 6)) - settled
        reach = {"cut": 0, "dissolve": 3, "wipe": 4}[shot.cue.opening]
        assert around == set(range(shot.first - reach, shot.first + reach))
        assert before.stop == shot.first


def test_the_command_writes_what_is_on_air(tmp_path: Path) -> None:
    folder = tmp_path / "broadcast"
    arguments = ["simulate", "--seed", "950004", "--seconds", "6", "--size", "480x270"]
    assert main([*arguments, "--broadcast", "--no-video", "--out", str(folder)]) == 0
    shots = json.loads((folder / "truth.json").read_text())["shots"]
    frames = pq.read_table(folder / "frames.parquet").to_pandas()
    assert [shot["frames"] for shot in shots] == frames.groupby("shot").size().to_list()
    assert shots[0]["camera"] == "main"
    assert shots[0]["pace"] == 1.0
    seen = pq.read_table(folder / "visibility.parquet")
    assert seen.column_names == ["frame", "track", "share_visible"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seconds", "nan"], "seconds: expected 1.0 to 7200.0, actual nan"),
        (["--seconds", "4", "--break", "20"], "--break: there is none without --half-time"),
        # they come back at 7 s, in the middle of the break, and 7 s are too few to get in place
        (["--seconds", "14", "--half-time", "2", "--break", "10"], "give more --seconds"),
    ],
)
def test_a_bad_wish_leaves_nothing_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    folder = tmp_path / "match"
    arguments = ["simulate", "--seed", "950322", "--fps", "5", "--no-video", *arguments]
    assert main([*arguments, "--out", str(folder)]) == 2
    *_, line = capsys.readouterr().err.splitlines()
    assert message in line
    assert not folder.exists()


@pytest.mark.parametrize(
    ("fps", "rate"), [(5.0, "5"), (25.0, "25"), (29.97, "30000/1001"), (59.94, "60000/1001")]
)
def test_only_uneven_rates_are_those_of_broadcasts(fps: float, rate: str) -> None:
    assert str(SimulationOptions(950_000, 1.0, fps=fps).rate) == rate
