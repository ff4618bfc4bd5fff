"""Player tracking on drawn scenes: a pitch of 16 pixels a metre, seen from straight above."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from application.stage import Rows
from domain import tables
from domain.configuration import PlayerTrackingOptions
from stages.player_tracking import PlayerTrackingStage
from stages.player_tracking.association import overlap
from stages.player_tracking.motion import STANDS_ABOVE
from tests.drawn_pitch import FACTS, SCALE, calibration_table, frames_table, to_pixels, walk
from tests.timeline_runs import assert_cut_invariant, run

HEIGHT_PX, WIDTH_PX = 1.8 * SCALE, 0.7 * SCALE
RED, WHITE = (45.0, 60.0, 40.0), (85.0, 0.0, 0.0)


class Calibrated(PlayerTrackingStage):
    """The stage in a plan that makes the optional table."""

    requires = ("frames", "detections", "calibration")


class Scene:
    """Boxes of people, collected and then sorted into a detections table."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, float, float, float, float, float, str, tuple[float, ...]]] = []

    def add(
        self,
        path: np.ndarray,
        *,
        confidence: float = 0.9,
        role: str = "player",
        colour: tuple[float, float, float] = WHITE,
        without: range = range(0),
        shift_px: float = 0.0,
    ) -> "Scene":
        u, v = to_pixels(path[:, 0], path[:, 1])
        for frame in set(range(len(path))) - set(without):
            # a box reaches a little below the place where somebody stands
            left, foot = u[frame] - WIDTH_PX / 2 + shift_px, v[frame] + STANDS_ABOVE * HEIGHT_PX
            box = (left, foot - HEIGHT_PX, left + WIDTH_PX, foot)
            self.rows.append((frame, *box, confidence, role, colour))
        return self

    def table(self) -> pa.Table:
        ordered = sorted(self.rows, key=lambda row: row[0])
        frame, x1, y1, x2, y2, confidence, role, colour = zip(*ordered, strict=True)
        appearance = np.zeros((len(ordered), 64), np.float16)
        appearance[:, :3], appearance[:, 9] = colour, 0.8
        values = (frame, x1, y1, x2, y2, confidence, role, appearance)
        names = ("frame", "x1", "y1", "x2", "y2", "confidence", "role", "appearance")
        return tables.make("detections", dict(zip(names, map(_plain, values), strict=True)))


def _plain(values: object) -> object:
    return list(values) if isinstance(values, tuple) else values


def track(
    scene: Scene, count: int, *, calibrated: bool = True, frames: pa.Table | None = None, **options
) -> dict[str, pa.Table]:
    stage = PlayerTrackingStage(PlayerTrackingOptions(**options), FACTS)
    given_tables = {"frames": frames or frames_table(count), "detections": scene.table()}
    if calibrated:
        given_tables["calibration"] = calibration_table(count)
    result = stage.advance(Rows(0, count, given_tables), stage.start(), final=True)
    return {name: tables.check(name, table) for name, table in result.tables.items()}


def column(table: pa.Table, name: str) -> np.ndarray:
    return table[name].to_numpy()


def test_two_walkers_keep_their_numbers_places_and_speeds() -> None:
    first, second = walk((-10, 0), (2, 0), 75), walk((10, 5), (-3, -4), 75)
    tracks = track(Scene().add(first).add(second), 75)["tracks"]
    assert len(tracks) == 150
    for number, path, speed in ((0, first, 2.0), (1, second, 5.0)):  # 5 = |(-3, -4)|
        mine = tracks.filter(column(tracks, "track") == number)
        np.testing.assert_allclose(column(mine, "x"), path[:, 0], atol=0.05)
        np.testing.assert_allclose(column(mine, "y"), path[:, 1], atol=0.05)
        np.testing.assert_allclose(column(mine, "speed_mps")[12:-12], speed, atol=0.1)


def test_sigma_is_at_least_the_calibrations_own_error() -> None:
    tracks = track(Scene().add(walk((0, 0), (1, 0), 50)), 50)["tracks"]
    # 0.2 m over both axes is 0.2 / sqrt(2) = 0.141 m along one; smoothing does not lessen that
    assert column(tracks, "sigma_m").min() > 0.141
    assert column(tracks, "sigma_m").max() < 0.3


def test_a_short_gap_is_filled_and_marked() -> None:
    path = walk((0, 0), (4, 0), 75)
    tracks = track(Scene().add(path, without=range(30, 40)), 75)["tracks"]
    assert set(column(tracks, "track")) == {0}
    assert np.flatnonzero(~column(tracks, "observed")).tolist() == list(range(30, 40))
    np.testing.assert_allclose(column(tracks, "x"), path[:, 0], atol=0.2)
    u, _ = to_pixels(path[:, 0], path[:, 1])
    np.testing.assert_allclose(column(tracks, "x1") + WIDTH_PX / 2, u, atol=3)
    sigma = column(tracks, "sigma_m")
    assert sigma[35] > sigma[30] > sigma[29]


def test_who_stays_away_too_long_comes_back_as_somebody_new() -> None:
    scene = Scene().add(walk((0, 0), (1, 0), 100), without=range(40, 70))
    tracks = track(scene, 100, max_missing_s=1.0)["tracks"]
    assert sorted(set(column(tracks, "track"))) == [0, 1]
    # 30 frames are 1.2 s: nothing is invented inside
    assert not set(range(40, 70)) & set(column(tracks, "frame"))


def test_a_cut_ends_all_tracks() -> None:
    frames = frames_table(60, cut_at=30)
    tracks = track(Scene().add(walk((0, 0), (1, 0), 60)), 60, frames=frames)["tracks"]
    before = set(column(tracks, "track")[column(tracks, "frame") < 30])
    after = set(column(tracks, "track")[column(tracks, "frame") >= 30])
    assert before == {0}
    assert after == {1}


def test_repeated_boxes_make_one_track() -> None:
    path = walk((0, 0), (3, 1), 50)
    scene = Scene().add(path).add(path, confidence=0.7, role="goalkeeper", shift_px=1.5)
    tracks = track(scene, 50)["tracks"]
    assert len(tracks) == 50
    assert set(column(tracks, "track")) == {0}


def test_a_part_of_a_tracked_person_starts_no_track() -> None:
    scene = Scene().add(walk((0, 0), (0, 0), 50))
    whole = scene.table().to_pydict()
    for frame in range(10, 50):  # the legs alone: 0.4 of the box, within it
        x1, y1, x2, y2 = (whole[name][frame] for name in ("x1", "y1", "x2", "y2"))
        scene.rows.append((frame, x1, y1 + 0.6 * (y2 - y1), x2, y2, 0.8, "player", WHITE))
    assert set(column(track(scene, 50)["tracks"], "track")) == {0}


def test_who_stands_far_outside_is_left_out_and_assistants_are_not() -> None:
    # the touchline is at y = -34: a coach at 7 m outside, an assistant referee at 1 m
    scene = Scene().add(walk((5, -41), (0, 0), 50)).add(walk((5, -35), (2, 0), 50), role="referee")
    tracks = track(scene, 50)["tracks"]
    np.testing.assert_allclose(column(tracks, "y"), -35, atol=0.05)


def test_a_box_seen_for_a_moment_is_no_track() -> None:
    scene = Scene().add(walk((0, 0), (1, 0), 50)).add(walk((20, 0), (1, 0), 50)[:3])
    assert set(column(track(scene, 50)["tracks"], "track")) == {0}


def test_a_doubtful_box_carries_a_track_but_starts_none() -> None:
    path = walk((0, 0), (2, 0), 60)
    scene = Scene().add(path, without=range(20, 40)).add(path, confidence=0.3, without=range(20))
    scene.rows = [row for row in scene.rows if not (row[0] >= 40 and row[5] == 0.3)]
    scene.add(walk((30, 0), (1, 0), 60), confidence=0.3)
    tracks = track(scene, 60)["tracks"]
    assert set(column(tracks, "track")) == {0}
    assert column(tracks, "observed").all()


def test_players_that_cross_keep_their_shirts() -> None:
    first, second = walk((-6, 0), (4, 0), 75), walk((6, 0.3), (-4, 0), 75)
    hidden = range(34, 41)  # they meet after 1.5 s = 37.5 frames; the farther one is not seen
    scene = Scene().add(first, colour=RED).add(second, colour=WHITE, without=hidden)
    tracks = track(scene, 75)["tracks"]
    x = {number: column(tracks.filter(column(tracks, "track") == number), "x") for number in (0, 1)}
    assert x[0][-1] == pytest.approx(first[-1, 0], abs=0.2)
    assert x[1][-1] == pytest.approx(second[-1, 0], abs=0.2)


def test_without_calibration_the_camera_s_pan_is_taken_out() -> None:
    # the camera pans by 30 pixels a frame, three box widths: without its motion no box overlaps
    pan = np.arange(50)[:, None] * [30 / SCALE, 0]
    scene = Scene()
    for y in (-10, 0, 10):
        scene.add(walk((-55, y), (2, 0), 50) + pan)
    frames = frames_table(50, pan_px=30.0)
    tracks = track(scene, 50, calibrated=False, frames=frames)["tracks"]
    assert sorted(set(column(tracks, "track"))) == [0, 1, 2]
    assert len(tracks) == 150
    for name in ("x", "y", "sigma_m", "speed_mps"):
        assert tracks[name].null_count == 150


def test_evidence_repeats_what_was_seen() -> None:
    scene = Scene().add(walk((0, 0), (1, 0), 50), role="referee", colour=RED, without=range(20, 25))
    result = track(scene, 50)
    evidence = result["track_evidence"]
    assert len(evidence) == 45
    assert set(evidence["role"].to_pylist()) == {"referee"}
    first = evidence["appearance"][0].as_py()
    assert len(first) == 64
    assert tuple(first[:3]) == RED
    seen = result["tracks"].filter(result["tracks"]["observed"])
    assert seen["x"].to_pylist() == evidence["x"].to_pylist()


def test_no_person_at_all_gives_empty_tables() -> None:
    scene = Scene().add(walk((0, 0), (1, 0), 20), role="ball")
    assert len(track(scene, 20)["tracks"]) == 0


def test_overlap_of_boxes() -> None:
    # two 2 x 2 boxes shifted by one share 2 of 6: 1/3 of the union, 1/2 of the smaller
    union, smaller = overlap(np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 0, 3, 2]]))
    assert union[0, 0] == pytest.approx(1 / 3)
    assert smaller[0, 0] == pytest.approx(1 / 2)


def crowd(seed: int, count: int) -> dict[str, pa.Table]:
    """Twelve people who walk about, missed and repeated at random; a cut in the middle."""
    draw = np.random.default_rng(seed)
    scene = Scene()
    for person in range(12):
        path = walk(draw.uniform((-30, -20), (30, 20)), draw.normal(0, 3, 2), count)
        missed = int(draw.integers(0, count - 10))
        scene.add(path + draw.normal(0, 0.05, path.shape), without=range(missed, missed + 8))
        scene.add(path, confidence=float(draw.uniform(0.2, 0.6)), shift_px=float(person))
    return {
        "frames": frames_table(count, cut_at=count // 2),
        "detections": scene.table(),
        "calibration": calibration_table(count),
    }


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 1000), cuts=st.integers(1, 60))
def test_any_cutting_of_the_input_gives_equal_rows(seed: int, cuts: int) -> None:
    stage = Calibrated(PlayerTrackingOptions(max_missing_s=0.4), FACTS)
    assert_cut_invariant(stage, crowd(seed % 3, 60), seed, cuts)


def test_the_crowd_is_worth_cutting() -> None:
    tracks = run(Calibrated(PlayerTrackingOptions(max_missing_s=0.4), FACTS), crowd(0, 60))[
        "tracks"
    ]
    assert len(tracks) > 300
    assert not column(tracks, "observed").all()
