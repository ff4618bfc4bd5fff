"""Shots, views, replays, people across cuts, and what of a broadcast counts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from application.stage import Image, MatchFacts
from domain import tables
from domain.configuration import (
    BallTrackingOptions,
    EventDetectionOptions,
    MetricsCalculationOptions,
    PitchCalibrationOptions,
    PlayerTrackingOptions,
)
from stages.ball_tracking import BallTrackingStage
from stages.event_detection import EventDetectionStage
from stages.export.concluded import Concluded
from stages.metrics_calculation import MetricsCalculationStage
from stages.pitch_calibration.stage import PitchCalibrationStage
from stages.pitch_observation.views import unexplained_change
from stages.player_tracking import PlayerTrackingStage
from stages.shots import Gaps
from stages.team_classification import breaks
from stages.team_classification.replays import judge
from stages.team_classification.shots import Moment, People, Shot, Stretches
from stages.team_classification.spans import Spans
from tests.match_tables import ball_table, identities_table, straight, tracks_table
from tests.panning_camera import RATE, observation_tables
from tests.timeline_runs import FinalTables, assert_cut_invariant, run

FACTS = MatchFacts(1280, 720, RATE)
CALM = 0.5
PITCH, CROWD, LOGO = 90, 40, 220
Array = NDArray[np.float64]


# --- shots -------------------------------------------------------------------------------------


class Film:
    """What is observed of frames, a row at a time: no pixels, no points."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def calm(self, count: int, grey: int, view: str = "wide", change: float = CALM) -> "Film":
        """So many frames of one shot, of one grey."""
        for _ in range(count):
            self._add(change, grey, view=view)
        return self

    def cut(self, grey: int, change: float = 40.0) -> "Film":
        self._add(change, grey, cut=True)
        return self

    def dissolve(self, count: int, before: int, after: int) -> "Film":
        """`count` mixed frames: each goes an equal part of the way."""
        step = abs(after - before) / (count + 1)
        for share in np.arange(1, count + 1) / (count + 1):
            self._add(step, round(before + share * (after - before)))
        return self

    def _add(self, change: float, grey: int, *, cut: bool = False, view: str = "wide") -> None:
        self.rows.append({"change": change, "grey": grey, "cut": cut, "view": view})

    def tables(self) -> dict[str, pa.Table]:
        count = len(self.rows)
        path = np.tile([0, -0.25, 0, np.log(1500), 0, -80, 20, 0], (count, 1))
        made = observation_tables(path, np.zeros((count, 32, 3)))
        glances = [np.full(tables.GLANCE_SIZE, row["grey"], np.uint8) for row in self.rows]
        rows = made["pitch_observations"].to_pylist()
        for row, told, glance in zip(rows, self.rows, glances, strict=True):
            row |= {name: told[name] for name in ("change", "cut", "view")} | {"glance": glance}
            if told["cut"]:
                row["camera_motion"] = None
        schema = made["pitch_observations"].schema
        return made | {"pitch_observations": pa.Table.from_pylist(rows, schema)}


def calibration() -> PitchCalibrationStage:
    return PitchCalibrationStage(PitchCalibrationOptions(), FACTS)


def shots_of(film: Film, **more: pa.Table) -> dict[str, pa.Table]:
    return run(calibration(), film.tables() | more)


def first_frames(result: dict[str, pa.Table]) -> list[int]:
    return result["shot_changes"]["frame"].to_pylist()


def test_a_cut_begins_a_shot_at_its_frame() -> None:
    result = shots_of(Film().calm(60, PITCH).cut(CROWD).calm(59, CROWD))
    assert first_frames(result) == [60]
    assert result["frames"]["shot"].to_pylist() == [0] * 60 + [1] * 60
    change = result["shot_changes"].to_pylist()[0]
    assert (change["start_frame"], change["end_frame"], change["glances"]) == (60, 60, [])


def test_a_dissolve_is_one_change_in_its_middle_and_its_frames_show_no_view() -> None:
    # 25 shades in 13 steps: 1.9 a frame, nearly four times the calm, and no frame is a cut
    result = shots_of(Film().calm(60, PITCH).dissolve(12, PITCH, PITCH + 25).calm(60, PITCH + 25))
    change = result["shot_changes"].to_pylist()[0]
    assert first_frames(result) == [66]
    assert (change["start_frame"], change["end_frame"]) == (60, 72)
    assert len(change["glances"]) == 5 * tables.GLANCE_SIZE
    views = result["frames"]["view"].to_pylist()
    assert views == ["wide"] * 60 + ["other"] * 12 + ["wide"] * 60
    assert not result["frames"]["camera_motion"][65].is_valid


def test_a_flash_is_no_change_of_shots() -> None:
    # two frames of light; then the picture is what it was
    film = Film().calm(60, PITCH).cut(250).calm(1, 250).cut(PITCH).calm(60, PITCH)
    assert first_frames(shots_of(film)) == []


def test_a_restless_close_up_is_one_shot() -> None:
    # its background runs by: every frame differs, and some are taken for cuts by themselves
    film = Film().calm(60, PITCH).cut(CROWD)
    for number in range(75):
        film.calm(1, CROWD + number % 7, change=12.0 + number % 3)
        film.rows[-1]["cut"] = number % 9 == 4
    assert first_frames(shots_of(film.cut(PITCH, 60.0).calm(60, PITCH))) == [60, 136]


def test_a_swaying_picture_that_comes_back_is_no_dissolve() -> None:
    # as much change as a dissolve, but half a second later the picture is where it was
    film = Film().calm(60, PITCH).dissolve(6, PITCH, PITCH + 14).dissolve(6, PITCH + 14, PITCH)
    assert first_frames(shots_of(film.calm(60, PITCH))) == []


def test_shots_do_not_depend_on_where_the_input_is_cut() -> None:
    film = Film().calm(40, PITCH).dissolve(12, PITCH, 120).calm(40, 120).cut(CROWD)
    film = film.calm(50, CROWD, "other").cut(250).calm(1, 250).cut(CROWD).calm(40, CROWD)
    for seed in range(3):
        assert_cut_invariant(calibration(), film.tables(), seed)


def persons_table(heights: Sequence[Sequence[float]]) -> pa.Table:
    """The detections of frames in each of which stand persons of these shares of the picture."""
    rows = [(frame, height * 720) for frame, each in enumerate(heights) for height in each]
    frame, tall = np.array(rows).T
    columns = {
        "frame": frame.astype(np.int64),
        "x1": np.zeros(len(rows)),
        "y1": np.zeros(len(rows)),
        "x2": tall / 3,
        "y2": tall,
        "confidence": np.full(len(rows), 0.9),
        "role": ["player"] * len(rows),
        "appearance": [None] * len(rows),
    }
    return tables.make("detections", columns)


FAR_AWAY, CLOSE_UP = [0.08] * 12, [0.7, 0.5]


def test_persons_who_fill_the_picture_make_it_a_close_one_however_much_grass_there_is() -> None:
    film = Film().calm(50, PITCH).cut(PITCH + 30).calm(49, PITCH + 30)
    result = shots_of(film, detections=persons_table([FAR_AWAY] * 50 + [CLOSE_UP] * 50))
    assert result["frames"]["view"].to_pylist() == ["wide"] * 50 + ["close"] * 50


def test_a_cut_that_pictures_hide_is_told_by_the_size_of_persons() -> None:
    # a dissolve out of a close-up that is as restless as the dissolve itself
    film = Film().calm(60, CROWD, change=12.0).calm(60, PITCH)
    seen = persons_table([CLOSE_UP] * 60 + [FAR_AWAY] * 60)
    assert first_frames(shots_of(film, detections=seen)) == [60]
    assert_cut_invariant(calibration(), film.tables() | {"detections": seen}, seed=1)


def test_one_person_near_the_camera_does_not_make_a_close_up() -> None:
    # an assistant referee in the foreground of an amateur's picture, and the play behind him
    result = shots_of(Film().calm(50, PITCH), detections=persons_table([[*FAR_AWAY, 0.5]] * 50))
    assert set(result["frames"]["view"].to_pylist()) == {"wide"}


def speckled(seed: int) -> Image:
    noise = np.random.default_rng(seed).integers(0, 255, (18, 32, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(noise, (160, 90), interpolation=cv2.INTER_CUBIC), np.uint8)


def test_a_pan_is_explained_by_its_motion_and_a_dissolve_is_not() -> None:
    before, other = speckled(1), speckled(2)
    shift = np.array([[1, 0, 6.0], [0, 1, 0], [0, 0, 1]])
    panned = cv2.warpPerspective(before, shift, (160, 90))
    mixed = cv2.addWeighted(before, 0.9, other, 0.1, 0)
    assert unexplained_change(before, panned, shift) < 1  # interpolation and rounding
    assert unexplained_change(before, panned, None) > 10
    assert unexplained_change(before, mixed, np.eye(3)) > 2


# --- people and ball follow the shots ----------------------------------------------------------


def frames_table(shots: Sequence[tuple[int, str]], replays: Sequence[int] = ()) -> pa.Table:
    """A table `frames` of shots, each so many frames of a view."""
    shot = np.repeat(np.arange(len(shots)), [count for count, _ in shots])
    count = len(shot)
    columns = {
        "frame": np.arange(count),
        "time_s": np.arange(count) / RATE,
        "period": pa.nulls(count, pa.int32()),
        "match_clock_s": pa.nulls(count, pa.float64()),
        "segment": np.zeros(count, int),
        "decoded": [True] * count,
        "view": [shots[number][1] for number in shot],
        "shot": shot,
        "replay": np.isin(shot, replays),
        "camera_motion": pa.nulls(count, tables.SCHEMAS["frames"].field("camera_motion").type),
    }
    return tables.make("frames", columns)


def standing(count: int, x: float, role: str = "player") -> pa.Table:
    """The detections of somebody, or of a ball, who stands at `x` pixels."""
    box = {"x1": x, "y1": 300.0, "x2": x + 30, "y2": 380.0}
    if role == "ball":
        box = {"x1": x, "y1": 300.0, "x2": x + 8, "y2": 308.0}
    columns = {
        "frame": np.arange(count),
        **{name: np.full(count, value) for name, value in box.items()},
        "confidence": np.full(count, 0.9),
        "role": [role] * count,
        "appearance": [None] * count,
    }
    return tables.make("detections", columns)


def test_tracks_and_ball_end_at_cuts_and_close_ups_are_not_followed() -> None:
    frames = frames_table([(50, "wide"), (50, "close"), (50, "wide")])
    given = {"frames": frames, "detections": standing(150, 600.0)}
    found = run(PlayerTrackingStage(PlayerTrackingOptions(), FACTS), given)["tracks"]
    # he stands still, but who he is after the close-up is not the tracker's to say
    assert found["frame"].to_pylist() == [*range(50), *range(100, 150)]
    assert found["track"].to_pylist() == [0] * 50 + [1] * 50
    given = {"frames": frames, "detections": standing(150, 600.0, "ball")}
    ball = run(BallTrackingStage(BallTrackingOptions(), FACTS), given)["ball"]
    status = ball["status"].to_pylist()
    assert set(status[50:100]) == {"absent"}
    assert status.count("seen") > 80


# --- replays -----------------------------------------------------------------------------------

MAIN, LINE, UNKNOWN = (0.0, -60.0, 18.0), (-36.0, -60.0, 15.0), (np.nan,) * 3
NO_OPENING = np.zeros((0, tables.GLANCE_SIZE), np.uint8)
WIPE = np.array([[PITCH], [LOGO], [LOGO], [LOGO], [PITCH]], np.uint8).repeat(252, axis=1)
DISSOLVE = np.array([[PITCH], [95], [100], [105], [110]], np.uint8).repeat(252, axis=1)


def running(start_s: float, end_s: float, played_s: float | None = None, pace: float = 1.0) -> Any:
    """Moments of ten people who run about, as they were `played_s` into the match, at `pace`."""
    rng = np.random.default_rng(5)
    begin, phase = rng.uniform([-40, -30], [40, 30], (10, 2)), rng.uniform(0, 6, (10, 1))
    found = []
    for time_s in np.arange(start_s, end_s, 0.4):
        at_s = time_s if played_s is None else played_s + pace * (time_s - start_s)
        way = np.column_stack([6 * np.sin(at_s / 3 + phase), 6 * np.cos(at_s / 4 + phase)])
        found.append(Moment(float(time_s), begin + way))
    return found


class Programme:
    """Shots of a broadcast, one after the other."""

    def __init__(self) -> None:
        self.shots: list[Shot] = []

    def show(
        self,
        lasts_s: float,
        place: Sequence[float],
        opening: NDArray[np.uint8] = NO_OPENING,
        played_s: float | None = None,
        pace: float = 1.0,
        speed_mps: float = 2.0,
    ) -> "Programme":
        start_s = self.shots[-1].end_s if self.shots else 0.0
        end_s, known = start_s + lasts_s, bool(np.isfinite(place[0]))
        moments = running(start_s, end_s, played_s, pace) if known else []
        wide_s, speed = (lasts_s, speed_mps * pace) if known else (0.0, np.nan)
        number = len(self.shots)
        self.shots.append(
            Shot(number, start_s, end_s, wide_s, np.array(place), speed, moments, opening)
        )
        return self

    def replays(self) -> list[int]:
        verdicts = judge(self.shots)
        return [number for number, verdict in enumerate(verdicts) if verdict.replay]


def test_what_lies_between_two_showings_of_a_logo_is_a_replay() -> None:
    match = Programme().show(15, MAIN).show(3, UNKNOWN)
    match.show(6, UNKNOWN, WIPE).show(4, UNKNOWN).show(15, MAIN, WIPE)
    assert match.replays() == [2, 3]  # the close-up before the first logo is live


def test_what_lies_between_two_replays_is_not() -> None:
    match = Programme().show(15, MAIN).show(6, UNKNOWN, WIPE).show(8, MAIN, WIPE)
    match.show(3, UNKNOWN).show(6, UNKNOWN, WIPE).show(15, MAIN, WIPE)
    assert match.replays() == [1, 4]


def test_two_dissolves_between_the_same_views_are_no_logo() -> None:
    match = Programme().show(15, MAIN).show(4, UNKNOWN, DISSOLVE).show(15, MAIN, DISSOLVE)
    assert match.replays() == []


def test_a_live_picture_from_another_camera_shows_the_people_who_were_there() -> None:
    match = Programme().show(15, MAIN).show(6, LINE).show(15, MAIN)
    assert match.replays() == []
    assert "continues" in judge(match.shots)[1].evidence


def test_play_that_was_seen_before_and_is_slower_is_a_replay_without_any_logo() -> None:
    # at 21 s the line camera shows at half speed what the main camera showed from 8 s on
    match = Programme().show(15, MAIN).show(6, UNKNOWN)
    match.show(6, LINE, played_s=8.0, pace=0.5).show(15, MAIN)
    assert match.replays() == [2]
    assert {"seen_before", "slow"} <= set(judge(match.shots)[2].evidence)


def test_a_camera_at_which_the_match_stays_is_a_main_camera_too() -> None:
    # the second half was filmed from another stand: no replay lasts for a minute
    match = Programme().show(90, MAIN).show(60, (5.0, 62.0, 12.0)).show(20, MAIN)
    assert match.replays() == []


def test_one_shot_is_live() -> None:
    assert Programme().show(3, UNKNOWN).replays() == []


# --- people across cuts ------------------------------------------------------------------------


def spans_of(before: Array, after: Array, gap_s: float) -> Spans:
    """Tracks 0, 1, ... that end at 10 s in `before` (n, 4: x, y, vx, vy), and 100, 101, ... that
    begin `gap_s` later in `after` (m, 4)."""
    end = {track: np.array([10.0, *row]) for track, row in enumerate(before)}
    start = {100 + track: np.array([10.0 + gap_s, *row]) for track, row in enumerate(after)}
    early = {track: row - np.eye(5)[0] * 5 for track, row in end.items()}
    late = {track: row + np.eye(5)[0] * 5 for track, row in start.items()}
    return Spans(early | start, end | late)


def joined(before: Array, after: Array, gap_s: float) -> dict[int, int]:
    spans = spans_of(before, after, gap_s)
    kinds = dict.fromkeys(spans.start, ("home", 0))
    return breaks.joins(kinds, spans, [(10.0, 10.0 + gap_s)])


LINE_UP = np.array([[x, y, 0.0, 0.0] for x in (-20.0, -5.0, 10.0) for y in (-22.0, 0.0, 22.0)])


def test_people_are_the_same_after_a_cut_though_all_of_them_went_upfield() -> None:
    # the next man is 15 m away; 6 m together are the play, 1.5 m are one's own
    rng = np.random.default_rng(0)
    after = LINE_UP + np.array([6.0, 1.0, 0, 0])
    after[:, :2] += rng.normal(0, 1.5, (9, 2))
    order = rng.permutation(9)
    assert joined(LINE_UP, after[order], 3.0) == {int(o): 100 + i for i, o in enumerate(order)}


def test_two_who_may_have_changed_places_get_new_names() -> None:
    near = np.array([[0.0, 0, 0, 0], [1.0, 1, 0, 0], [30.0, 20, 0, 0]])
    after = near + np.array([[0.6, 0.4, 0, 0], [-0.5, -0.4, 0, 0], [0.5, 0, 0, 0]])
    assert joined(near, after, 2.0) == {2: 102}


def test_a_runner_is_where_he_ran_to() -> None:
    # 6 m/s that fade within 1.5 s: 6 * 1.5 * (1 - exp(-1/1.5)) = 4.4 m in the second unseen
    before = np.array([[0.0, 0, 6, 0], [4.4, 9, 0, 0]])
    after = np.array([[4.4, 0, 6, 0], [4.4, 9, 0, 0]])
    assert joined(before, after, 1.0) == {0: 100, 1: 101}


def test_nobody_is_joined_over_a_long_absence_or_to_another_team() -> None:
    assert joined(LINE_UP, LINE_UP, 12.0) == {}
    spans = spans_of(LINE_UP, LINE_UP, 1.0)
    kinds = {track: ("home" if track < 100 else "away", 0) for track in spans.start}
    assert breaks.joins(kinds, spans, [(10.0, 11.0)]) == {}


# --- what counts -------------------------------------------------------------------------------


def shots_table(rows: Sequence[tuple[int, int, str, bool, Sequence[int]]]) -> pa.Table:
    """Rows of first frame, end, view, replay and tracks, each a shot of its own."""
    first, end, view, replay, tracks = zip(*rows, strict=True)
    columns = {
        "shot": np.arange(len(rows)),
        "start_frame": first,
        "end_frame": end,
        "start_s": np.array(first) / RATE,
        "end_s": np.array(end) / RATE,
        "view": view,
        "replay": replay,
        "replay_confidence": np.array(replay, float),
        "evidence": [""] * len(rows),
        "measured": [v == "wide" and not r for v, r in zip(view, replay, strict=True)],
        "tracks": tracks,
    }
    return tables.make("shots", columns)


def a_pass() -> tuple[Array, Array, Array]:
    """Three seconds: the ball rests at one player's feet, is kicked 15 m and rests at another's."""
    x = np.concatenate([np.zeros(25), np.linspace(0.6, 15, 25), np.full(25, 15.0)])
    return tuple(  # type: ignore[return-value]
        np.column_stack([values, np.zeros(75)]) for values in (x, np.zeros(75), np.full(75, 15.0))
    )


def played(shots: pa.Table | None) -> pa.Table:
    """The events of the pass and, 75 frames later, of the same pass by tracks 3 and 4."""
    ball, kicker, receiver = a_pass()
    frames = {1: np.arange(75), 2: np.arange(75), 3: np.arange(75, 150), 4: np.arange(75, 150)}
    tracks = tracks_table({1: kicker, 2: receiver, 3: kicker, 4: receiver}, frames=frames)
    names = [(1, "home-1"), (2, "home-2"), (3, "home-3"), (4, "home-4")]
    given = {
        "tracks": tracks,
        "ball": ball_table(np.vstack([ball, ball])),
        "identities": identities_table([(t, name, "home", "player") for t, name in names]),
    } | ({} if shots is None else {"shots": shots})
    stage = EventDetectionStage(EventDetectionOptions(), FACTS)
    return run(stage, given)["match_events"]


def of_type(events: pa.Table, kind: str) -> list[dict]:
    return [row for row in events.to_pylist() if row["type"] == kind]


def test_a_pass_that_is_shown_again_is_one_pass() -> None:
    replayed = shots_table([(0, 75, "wide", False, [1, 2]), (75, 150, "wide", True, [3, 4])])
    assert len(of_type(played(None), "pass")) >= 2
    events = played(replayed)
    assert [(row["player"], row["receiver"]) for row in of_type(events, "pass")] == [
        ("home-1", "home-2")
    ]
    assert max(row["end_s"] for row in events.to_pylist()) < 75 / RATE


def test_no_pass_is_told_between_a_player_before_a_close_up_and_one_after_it() -> None:
    # the ball leaves at 1.0 s; from 1.2 s to 1.9 s a close-up is shown
    ball, kicker, receiver = a_pass()
    ball[30:48] = np.nan
    given = {
        "tracks": tracks_table({1: kicker, 2: receiver}),
        "ball": ball_table(ball),
        "identities": identities_table([(1, "a", "home", "player"), (2, "b", "home", "player")]),
    }
    stage = EventDetectionStage(EventDetectionOptions(), FACTS)
    assert of_type(run(stage, given)["match_events"], "pass")  # as if it were merely not detected
    shown = [
        (0, 30, "wide", False, [1]),
        (30, 48, "close", False, []),
        (48, 75, "wide", False, [2]),
    ]
    events = run(stage, given | {"shots": shots_table(shown)})["match_events"]
    assert not of_type(events, "pass")
    assert of_type(events, "possession")


def test_distance_and_time_of_a_replay_are_not_counted_and_the_share_observed_says_so() -> None:
    # 10 s of running at 4 m/s, and a replay of 5 s in which the same man runs at 2 m/s
    ran = {1: straight([(0, 0, 0), (10, 40, 0)])[:250], 2: straight([(0, 0, 0), (5, 10, 0)])[:125]}
    frames = {1: np.arange(250), 2: np.arange(250, 375)}
    given = {
        "tracks": tracks_table(ran, frames=frames),
        "ball": ball_table(np.zeros((375, 2))),
        "identities": identities_table([(1, "a", "home", "player"), (2, "a", "home", "player")]),
        "shots": shots_table([(0, 250, "wide", False, [1]), (250, 375, "wide", True, [2])]),
    }
    stage = MetricsCalculationStage(MetricsCalculationOptions(), FACTS)
    rows = {row["name"]: row for row in run(stage, given)["metrics"].to_pylist()}
    player = {
        row["name"]: row
        for row in run(stage, given)["metrics"].to_pylist()
        if row["scope"] == "player"
    }
    # 249 steps of 0.16 m
    assert player["distance"]["value"] == pytest.approx(39.84, abs=0.2)
    # 249 of 374 steps
    assert player["distance"]["observed_share"] == pytest.approx(249 / 374, abs=0.01)
    assert rows["measured"]["value"] == pytest.approx(1 - 124 / 374, abs=0.01)
    assert rows["ball_located"]["value"] == pytest.approx(250 / 375)


def test_what_is_exported_says_which_frames_are_replays_and_places_nobody_in_them(
    tmp_path: Path,
) -> None:
    shots = shots_table([(0, 50, "wide", False, [0]), (50, 100, "wide", True, [1])])
    given = FinalTables(
        {
            "frames": [frames_table([(50, "wide"), (50, "wide")])],
            "tracks": [tracks_table({0: np.ones((100, 2))})],
            "ball": [ball_table(np.ones((100, 2)))],
            "shots": [shots],
        }
    )
    given.workspace = tmp_path  # type: ignore[attr-defined]
    match = Concluded(given, (), Gaps.read(given))  # type: ignore[arg-type]
    assert match.table("frames")["replay"].to_pylist() == [False] * 50 + [True] * 50
    for name in ("tracks", "ball"):
        assert match.table(name)["x"].is_valid().to_pylist() == [True] * 50 + [False] * 50


def test_gaps_are_the_time_that_no_wide_live_shot_covers() -> None:
    shown = [
        (0, 50, "wide", False, [1]),
        (50, 75, "close", False, []),
        (75, 100, "wide", True, [7]),
        (100, 150, "wide", False, [2]),
    ]
    gaps = Gaps.of(shots_table(shown))
    # frames 50 to 100 at 25 a second
    assert gaps.lost_s(0.0, 6.0) == pytest.approx(2.0)
    assert gaps.lost_s(2.5, 3.5) == pytest.approx(1.0)
    assert gaps.breaks == ((2.0, 4.0),)
    assert gaps.tracks == frozenset({7})
    assert gaps.hold(np.array([1.99, 2.0, 3.9, 4.0])).tolist() == [False, True, True, False]


def test_stretches_are_runs_of_one_shot_in_one_view_and_know_their_tracks() -> None:
    frames = frames_table([(50, "wide"), (25, "close"), (50, "wide")])
    whole, cut = Stretches.read([frames]), Stretches.read([frames.slice(0, 60), frames.slice(60)])
    assert whole.start_frame.tolist() == cut.start_frame.tolist() == [0, 50, 75]
    assert whole.end_frame.tolist() == [50, 75, 125]
    assert whole.view.tolist() == ["wide", "close", "wide"]
    people = People.read([tracks_table({4: np.ones((30, 2))}, frames={4: np.arange(80, 110)})])
    assert whole.of_frames(np.array([people.first_frame[4]])).tolist() == [2]
