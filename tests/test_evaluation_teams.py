"""Teams on labelled frames against cases worked by hand."""

from pathlib import Path

import numpy as np
import pytest

from domain.errors import InputError
from evaluation.team_clips import (
    TeamBoxes,
    read_team_boxes,
    score_scenes,
    score_team_clips,
    score_team_images,
)
from evaluation.teams import Labels
from tests.scored_match import identities_table, image_set, save, tracks_table

# players stand at 0, 10, 20 ... metres: boxes 10 wide and 20 high from pixel 500 + 10 x on, at 300
SIZE = (1000, 500)
ALL = ("player", "goalkeeper", "referee", "ball")


def _boxes(*people: tuple[float, str, str]) -> TeamBoxes:
    """People from (x in tens of pixels, team, role)."""
    x = np.array([person[0] for person in people])
    xyxy = np.column_stack([500 + 10 * x, 300 + 0 * x, 510 + 10 * x, 320 + 0 * x])
    teams, roles = (np.array([person[i] for person in people]) for i in (1, 2))
    return TeamBoxes(xyxy.reshape(-1, 4), Labels(teams, roles))


TRUTH = _boxes(
    (0, "home", "player"),
    (10, "home", "player"),
    (20, "away", "player"),
    (30, "away", "goalkeeper"),
    (40, "referee", "referee"),
    (-20, "away", "player"),
)


def test_teams_are_named_as_the_outfield_agrees_best() -> None:
    """Named the other way round: 0 and 20 right, 10 unknown; the sixth is not found; the keeper is
    on the wrong side; the referee is called a player.

    Found 5 of 6. Teams: 2 of 2 answered, 1 of 3 unknown. Roles: 4 of 5 right.
    """
    answer = _boxes(
        (0, "away", "player"),
        (10, "unknown", "player"),
        (20, "home", "player"),
        (30, "away", "goalkeeper"),
        (40, "away", "player"),
        (45, "home", "player"),
    )
    scores = score_scenes([[(TRUTH, answer)]], ALL)
    assert (scores["frames"], scores["boxes"]) == (1, 6)
    assert scores["found_share"] == 5 / 6
    assert (scores["team_accuracy"], scores["team_n"]) == (1.0, 2)
    assert scores["team_unknown_share"] == pytest.approx(1 / 3)
    assert (scores["keeper_team_accuracy"], scores["keeper_team_n"]) == (0.0, 1)
    assert (scores["role_accuracy"], scores["role_n"]) == (4 / 5, 5)
    assert (scores["referee_as_player_share"], scores["referee_n"]) == (1.0, 1)


def test_one_scene_has_one_naming_and_two_scenes_may_have_two() -> None:
    """Frame 1 names the three players right, frame 2 the other way round.

    As one clip one of the frames is wrong, 3 of 6; as two images both are right.
    """
    players = ((0, "home"), (10, "home"), (20, "away"))
    truth = _boxes(*((x, team, "player") for x, team in players))
    other = {"home": "away", "away": "home"}
    swapped = _boxes(*((x, other[team], "player") for x, team in players))
    frames = [(truth, truth), (truth, swapped)]
    assert score_scenes([frames], ALL)["team_accuracy"] == 3 / 6
    assert score_scenes([frames[:1], frames[1:]], ALL)["team_accuracy"] == 1.0


def test_roles_that_are_not_labelled_do_not_count() -> None:
    scores = score_scenes([[(TRUTH, TRUTH)]], ("player",))
    assert (scores["boxes"], scores["role_n"], scores["referee_n"]) == (4, 4, 0)
    assert scores["keeper_team_accuracy"] is None


def test_nothing_found_scores_nothing() -> None:
    scores = score_scenes([[(TRUTH, _boxes())]], ALL)
    assert scores["found_share"] == 0
    assert scores["team_accuracy"] is None


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """Frames 1 and 3 of clip "a": two players of team 1 at x = 0 and 10, one of team 2 at 20."""
    for name in ("labels", "teams"):
        (tmp_path / name).mkdir()
    lines = [f"2 {(505 + 10 * x) / 1000} {310 / 500} {10 / 1000} {20 / 500}" for x in (0, 10, 20)]
    for frame in ("a_f0001", "a_f0003"):
        (tmp_path / "labels" / f"{frame}.txt").write_text("\n".join(lines))
        (tmp_path / "teams" / f"{frame}.txt").write_text("1\n1\n2\n")
    return tmp_path


def test_a_result_is_scored_on_the_labelled_frames(labelled: Path, tmp_path: Path) -> None:
    """Frames are counted from 1 in names and from 0 in tables: the result of frame 1 does not
    count. Track 9 was called home and belongs to team 2, which leaves 2 of 3 right."""
    rows = [(frame, track, x, 0.0) for frame in (0, 2) for track, x in ((7, 0), (8, 10), (9, 20))]
    rows.append((1, 7, 50.0, 0.0))
    result = save(
        tmp_path / "result",
        {
            "tracks": tracks_table(rows),
            "identities": identities_table([(t, "away", "player") for t in (7, 8, 9)]),
        },
    )
    scores = score_team_clips(labelled, {"a": result}, SIZE)
    assert (scores["frames"], scores["boxes"], scores["found_share"]) == (2, 6, 1.0)
    assert scores["team_accuracy"] == pytest.approx(2 / 3)
    with pytest.raises(InputError, match="expected some"):
        score_team_clips(labelled, {"b": result}, SIZE)
    (result / "identities.parquet").unlink()
    with pytest.raises(InputError, match="identities"):
        score_team_clips(labelled, {"a": result}, SIZE)


def test_single_images_are_scored(tmp_path: Path) -> None:
    """A keeper whose team is not told counts for the role alone."""
    folder = image_set(tmp_path / "set", ["2 0.1 0.5 0.1 0.4\n1 0.6 0.5 0.1 0.4\n"])
    (folder / "teams").mkdir()
    (folder / "teams" / "a0.txt").write_text("2\nK\n")
    boxes = np.array([[10.0, 30, 30, 70], [110.0, 30, 130, 70]])
    answer = TeamBoxes(
        boxes, Labels(np.array(["home", "away"]), np.array(["player", "goalkeeper"]))
    )
    scores = score_team_images(folder / "images", folder / "labels", lambda _: answer)
    assert (scores["team_accuracy"], scores["team_n"]) == (1.0, 1)
    assert (scores["role_accuracy"], scores["keeper_team_n"]) == (1.0, 0)


@pytest.mark.parametrize("words", ["1\n1\n", "1\n1\n3\n", "1\n1\n2\n2\n"])
def test_malformed_team_files_are_refused(labelled: Path, words: str) -> None:
    teams = labelled / "teams" / "a_f0001.txt"
    teams.write_text(words)
    with pytest.raises(InputError, match="expected 3 lines of 1, 2"):
        read_team_boxes(labelled / "labels" / "a_f0001.txt", teams, SIZE)
    teams.unlink()
    with pytest.raises(InputError, match="cannot read team file"):
        read_team_boxes(labelled / "labels" / "a_f0001.txt", teams, SIZE)


@pytest.mark.real
@pytest.mark.parametrize(("name", "boxes"), [("offside482", 274), ("offside_clips", 1177)])
def test_every_real_team_label_can_be_read(real_data: Path, name: str, boxes: int) -> None:
    folder = real_data / "other" / name
    found = [
        read_team_boxes(path, folder / "teams" / path.name, (1920, 1080))
        for path in sorted((folder / "labels").glob("*.txt"))
    ]
    assert sum(len(one.xyxy) for one in found) == boxes
    assert all(score_scenes([[(one, one)]], ALL)["found_share"] == 1 for one in found[:10])
