"""Labels by hand: read, refused where they are wrong, and what a result scores against them."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from api.command_line import main
from domain.errors import InputError
from evaluation.by_hand import BALL_RADIUS_PX, score_by_hand
from evaluation.hand_labels import HandLabels, labelled_clips, load_hand_labels
from infrastructure.video.source import open_source
from tests.scored_match import events_table, identities_table, match_tables, save, with_column

THREE = ("dfl_main_camera_848x478", "laliga_main_camera_1280x720", "tactical_behind_goal_1280x720")
CLIP = """\
file: tiny.mp4
sha256: "{sha}"
width: 1280
height: 720
frames: 50
teams: {{A: red, B: blue}}
stretches:
{stretches}
formations:
  - {{team: A, label: 4-3-3, first: 0, last: 49, sure: sure}}
  - {{team: B, label: 4-3-3, first: 0, last: 49, sure: likely}}
"""
ONE_SHOT = "  - {first: 0, last: 49, view: wide, replay: false, sure: sure}\n"


def _labels(folder: Path, stretches: str = ONE_SHOT, **files: str) -> HandLabels:
    """Labels of a clip of 50 frames: CSV texts by name, one row a line."""
    home = folder / "labels" / "tiny"
    home.mkdir(parents=True, exist_ok=True)
    (home / "clip.yaml").write_text(CLIP.format(sha="0" * 64, stretches=stretches.rstrip()))
    for name, text in files.items():
        (home / f"{name}.csv").write_text(text)
    return load_hand_labels("tiny.mp4", home.parent)


PEOPLE = """\
frame,x,y,role,team,sure
10,325,220,player,A,sure
10,105,327,goalkeeper,A,sure
10,585,420,player,B,sure
10,525,120,referee,referee,sure
10,1000,600,player,B,sure
"""


def test_people_teams_and_roles(tmp_path: Path) -> None:
    """In frame 10 five boxes, 20 px high, stand where x = 505 + 10 m and y = 320 - 10 m.

    Labels: 1 and 3 and 5 exactly, 2 seven pixels lower (within 10), one where there is no box; the
    box of 4 has no label. So 4 of 5 labels are found, and 4 of 5 boxes are people.
    The result calls team A away, says nothing of 3, and calls the keeper a player.
    """
    tables = match_tables() | {
        "identities": identities_table(
            [
                (1, "away", "player"),
                (2, "away", "player"),
                (3, "unknown", "player"),
                (4, "home", "player"),
                (5, "referee", "referee"),
            ]
        )
    }
    result = save(tmp_path / "result", tables)
    scores = score_by_hand(_labels(tmp_path, people=PEOPLE), result)
    assert (scores["people_count"], scores["people_recall"]) == (5, 4 / 5)
    assert scores["people_precision"] == 4 / 5
    assert (scores["team_rows"], scores["team_unknown_share"]) == (4, 1 / 4)
    assert scores["team_accuracy"] == 1
    assert scores["role_accuracy"] == 3 / 4
    assert scores["role_recall"] == {"goalkeeper": 0, "player": 1, "referee": 1}
    # track 4 stands at x = 30 + 10 * 0.1 = 31 m, y = 5 m; nobody was sure of him: his box is no
    # longer false, and the plain figures stay
    unsure = PEOPLE + "10,815,270,player,B,guess\n"
    scores = score_by_hand(_labels(tmp_path, people=unsure), result)
    assert scores["people_precision"] == 1
    assert (scores["people_count"], scores["people_recall"]) == (5, 4 / 5)
    assert (scores["people_count_unsure"], scores["people_recall_unsure"]) == (1, 1)
    assert scores["team_accuracy_unsure"] == 1


def test_a_box_whose_foot_is_elsewhere_shows_somebody_else(tmp_path: Path) -> None:
    """A box 20 px high reaches 10 px: a foot 9 px to the side is found, one 11 px is not."""
    result = save(tmp_path / "result", match_tables())
    for aside, recall in ((9, 1), (11, 0)):
        text = f"frame,x,y,role,team,sure\n10,{325 + aside},220,player,A,sure\n"
        assert score_by_hand(_labels(tmp_path, people=text), result)["people_recall"] == recall


BALL = """\
frame,x,y,state,sure
0,105,100,visible,sure
1,100,111.9,visible,sure
2,100,112.1,visible,sure
3,300,300,hidden,sure
4,100,100,visible,sure
5,500,500,visible,likely
6,,,not_findable,sure
"""


def _ball(absent: int) -> pa.Table:
    """The ball at pixel (100, 100) in all frames but one."""
    ball = match_tables()["ball"]
    place = [None if frame == absent else 100.0 for frame in range(len(ball))]
    status = ["absent" if frame == absent else "seen" for frame in range(len(ball))]
    ball = with_column(with_column(ball, "pixel_x", place), "pixel_y", place)
    return with_column(ball, "status", status)


def test_the_ball_within_twelve_pixels(tmp_path: Path) -> None:
    """5 and 11.9 px off are hits, 12.1 is false and a miss, frame 4 has no answer.

    What is hidden or cannot be found is not judged. Hits 2, false 1, missed 2: precision 2/3,
    recall 2/4, F1 = 4 / (4 + 1 + 2). The unsure one is far off: 0 of 1.
    """
    result = save(tmp_path / "result", match_tables() | {"ball": _ball(absent=4)})
    scores = score_by_hand(_labels(tmp_path, ball=BALL), result)
    assert scores["ball_radius_px"] == BALL_RADIUS_PX == 12
    assert (scores["ball_count"], scores["ball_not_visible"]) == (4, 2)
    assert scores["ball_precision"] == 2 / 3
    assert scores["ball_recall"] == 2 / 4
    assert scores["ball_f1"] == pytest.approx(4 / 7)
    assert scores["ball_error_median_px"] == pytest.approx(11.9)
    assert (scores["ball_count_unsure"], scores["ball_f1_unsure"]) == (1, 0)


EVENTS = """\
type,start_frame,end_frame,team,outcome,sure,note
pass,5,9,A,complete,sure,
pass,30,34,B,,sure,"a volley, or a clearance"
pass,40,,A,,likely,
shot,45,48,A,goal,likely,
goal,48,,A,,sure,
"""


def test_passes_and_shots(tmp_path: Path) -> None:
    """Passes of the result start at 5, 31 (called a cross), 41 and 49; those sure at 5 and 30.

    The pass at 41 is the one of which nobody was sure, so neither right nor wrong; 49 is false:
    precision 2/3, recall 2/2. The shot is excused likewise, which leaves nothing to score. The
    first pass has the right team, the second the other one.
    """
    found = events_table([("pass", 5), ("cross", 31), ("pass", 41), ("pass", 49), ("shot", 45)])
    found = with_column(found, "team", ["home", "home", "home", "away", "home"])
    result = save(tmp_path / "result", match_tables() | {"match_events": found})
    scores = score_by_hand(_labels(tmp_path, events=EVENTS), result)
    assert scores["event_precision"] == {"pass": 2 / 3, "shot": None}
    assert scores["event_recall"] == {"pass": 1, "shot": None}
    assert scores["event_f1"] == {"pass": pytest.approx(4 / 5), "shot": None}
    assert scores["event_counts"] == {"pass": 2, "shot": 0}
    assert scores["event_unseen_counts"] == {"pass": 1, "shot": 1}
    assert scores["event_team_accuracy"]["pass"] == 1 / 2
    # one frame at 25 a second over two passes
    assert scores["event_time_error_s"]["pass"] == pytest.approx(0.04 / 2)
    assert not any("player" in key or "receiver" in key for key in scores)


def test_cuts_views_and_replays(tmp_path: Path) -> None:
    """A dissolve over frames 20 to 24. The result cuts in it, at 22, and falsely at 40.

    Two of the 45 frames outside of it are called close, five a replay: view accuracy 43/45, and a
    replay that is none.
    """
    dissolve = (
        "  - {first: 0, last: 19, view: wide, replay: false, sure: sure}\n"
        "  - {first: 25, last: 49, view: wide, replay: false, sure: sure}\n"
    )
    number = np.arange(50)
    frames = with_column(match_tables()["frames"], "shot", (number >= 22) * 1 + (number >= 40))
    view = np.where(np.isin(number, (21, 30, 31)), "close", "wide")
    frames = with_column(with_column(frames, "view", view), "replay", number >= 45)
    result = save(tmp_path / "result", match_tables() | {"frames": frames})
    scores = score_by_hand(_labels(tmp_path, stretches=dissolve), result)
    assert (scores["cut_count"], scores["cut_recall"], scores["cut_precision"]) == (1, 1, 1 / 2)
    assert (scores["view_frames"], scores["view_accuracy"]) == (45, 43 / 45)
    assert (scores["replay_precision"], scores["replay_precision_frames"]) == (0, 0)
    assert "ball_f1" not in scores
    assert "people_recall" not in scores


def test_formations_sure_and_unsure(tmp_path: Path) -> None:
    """Team A (home) is 4-3-3 for sure, and found; B perhaps too, and called 4-4-2."""
    result = save(tmp_path / "result", match_tables())
    scores = score_by_hand(_labels(tmp_path), result)
    assert scores["formation_accuracy"] == 1
    assert scores["formation_accuracy_unsure"] == 0


def test_a_result_of_another_video_is_refused(tmp_path: Path) -> None:
    tables = match_tables()
    result = save(tmp_path / "result", tables | {"frames": tables["frames"].slice(0, 49)})
    with pytest.raises(InputError, match=r"49 frames, expected the 50 of tiny\.mp4"):
        score_by_hand(_labels(tmp_path), result)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("people", "10,325,220,coach,A,sure", r"people\.csv line 2: role: .*actual value 'coach'"),
        ("people", "10,325,220,referee,A,sure", "role and team disagree"),
        ("people", "50,325,220,player,A,sure", "the clip ends at frame 49"),
        ("people", "10,1281,220,player,A,sure", "outside of 1280x720"),
        ("people", "10,325,nan,player,A,sure", r"line 2: y: .*finite"),
        ("people", "10,325,220,player,A", r"line 2: sure: "),
        ("people", "10,325,220,player,A,sure,x", r"line 2: "),
        ("ball", "7,,,visible,sure", "expected x and y"),
        ("ball", "7,5,,hidden,sure", "expected x and y"),
        ("ball", "7,5,5,visible,sure\n7,6,6,visible,sure", "frame 7 occurs twice"),
        ("events", "pass,5,60,A,,sure,", "the clip ends at frame 49"),
        ("events", "pass,soon,,A,,sure,", r"events\.csv line 2: start_frame"),
    ],
)
def test_wrong_labels_are_refused_in_one_line(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    header = {"people": PEOPLE, "ball": BALL, "events": EVENTS}[name].partition("\n")[0]
    with pytest.raises(InputError, match=message) as refused:
        _labels(tmp_path, **{name: f"{header}\n{text}\n"})
    assert "\n" not in str(refused.value)


def test_a_wrong_clip_file_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none inside another"):
        _labels(tmp_path, stretches=ONE_SHOT * 2)
    with pytest.raises(InputError, match="'sideways'"):
        _labels(tmp_path, stretches=ONE_SHOT.replace("wide", "sideways"))
    (tmp_path / "labels" / "tiny" / "clip.yaml").write_text("file: [")
    with pytest.raises(InputError, match="not YAML"):
        load_hand_labels("tiny", tmp_path / "labels")
    with pytest.raises(InputError, match="no labels for the clip other: there are tiny"):
        load_hand_labels("other", tmp_path / "labels")


def test_the_shipped_labels_are_whole() -> None:
    """Ten frames of people and fifty of the ball for each of the three clips; seven have shots."""
    clips = {name: load_hand_labels(name) for name in labelled_clips()}
    assert len(clips) == 7
    for labels in clips.values():
        assert labels.stretches
    for name in THREE:
        assert len({row.frame for row in clips[name].people}) == 10
        assert len(clips[name].ball) >= 50
        assert any(row.type == "pass" for row in clips[name].events)


@pytest.mark.real
@pytest.mark.slow
def test_the_shipped_labels_are_of_these_files(real_data: Path) -> None:
    """The same bytes, and as many frames of that size as the reader counts."""
    files = {path.name: path for path in real_data.glob("**/*.mp4")}
    for name in labelled_clips():
        labels = load_hand_labels(name)
        path = files[labels.file]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == labels.sha256
        source = open_source([str(path)])
        assert source.index.frame_count == labels.frames
        assert (source.info.width, source.info.height) == (labels.width, labels.height)


def test_the_command_prints_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "13_Chelsea-Milan_38_44"
    tables = match_tables()
    count = load_hand_labels(name).frames
    frames = pa.concat_tables([tables["frames"]] * (count // 50 + 1)).slice(0, count)
    frames = with_column(frames, "frame", np.arange(count))
    result = save(tmp_path / "result", tables | {"frames": frames})
    assert main(["evaluate", "labels", "--clip", f"{name}.mp4", "--result", str(result)]) == 0
    assert json.loads(capsys.readouterr().out)["view_accuracy"] == 1
    assert main(["evaluate", "labels", "--clip", "none", "--result", str(result)]) == 2
