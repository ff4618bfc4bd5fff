"""Tracking, teams and movement against cases worked by hand."""

import weakref
from typing import Any

import numpy as np
import pytest

from evaluation.movement import frame_seconds
from evaluation.teams import Labels, score_teams
from evaluation.tracking import People, box_overlap, closeness, people_of, score_tracking
from tests.scored_match import tracks_table


def people(*rows: tuple[int, int, float]) -> People:
    """Rows (frame, track, x): a player stands at x metres, his box 10 wide from 10 x pixels on."""
    table = tracks_table([(frame, track, x, 0.0) for frame, track, x in rows])
    return people_of(table, np.unique([row[0] for row in rows]))


def _tracking_scores(truth: People, result: People, similarity: Any = box_overlap) -> Any:
    where = "xyxy" if similarity is box_overlap else "xy"
    return score_tracking(truth, result, np.ones(len(truth), bool), similarity, where)


def test_swapped_identities_by_hand() -> None:
    """Two people, two frames, all found, names exchanged in the second frame.

    DetA = 4 / 4. For each of the 4 hits TPA = 1, FPA = 1, FNA = 1, so AssA = 1/3.
    HOTA = sqrt(1 x 1/3). The best naming explains 2 of 4 rows: IDF1 = 2 x 2 / (4 + 4).
    """
    truth = people((0, 1, 0), (0, 2, 20), (1, 1, 0), (1, 2, 20))
    result = people((0, 7, 0), (0, 8, 20), (1, 8, 0), (1, 7, 20))
    scores = _tracking_scores(truth, result)
    assert scores == {
        "hota": pytest.approx(np.sqrt(1 / 3)),
        "deta": pytest.approx(1),
        "assa": pytest.approx(1 / 3),
        "idf1": pytest.approx(0.5),
    }


def test_a_miss_and_a_false_track_by_hand() -> None:
    """One person in 4 frames, found in 3; a false track in the fourth.

    TP 3, FN 1, FP 1: DetA = 3/5. Each hit has TPA 3, FNA 1, FPA 0: AssA = 3/4.
    IDF1 = 3 / (3 + 1/2 + 1/2).
    """
    truth = people((0, 1, 0), (1, 1, 0), (2, 1, 0), (3, 1, 0))
    result = people((0, 5, 0), (1, 5, 0), (2, 5, 0), (3, 6, 30))
    scores = _tracking_scores(truth, result)
    assert scores["deta"] == pytest.approx(3 / 5)
    assert scores["assa"] == pytest.approx(3 / 4)
    assert scores["hota"] == pytest.approx(np.sqrt(3 / 5 * 3 / 4))
    assert scores["idf1"] == pytest.approx(3 / 4)


def test_similarity_in_metres_by_hand() -> None:
    """2 m off: LocSim = 0.05 ^ (4 / 25) = 0.619 passes 0.05 ... 0.60, 12 of 19 thresholds."""
    assert closeness(np.zeros((1, 2)), np.array([[2.0, 0.0]])) == pytest.approx(0.05 ** (4 / 25))
    scores = _tracking_scores(people((0, 1, 0), (1, 1, 0)), people((0, 1, 2), (1, 1, 2)), closeness)
    assert scores["hota"] == pytest.approx(12 / 19)
    assert scores["idf1"] == pytest.approx(1)


def test_people_who_need_not_be_found_do_not_count() -> None:
    """Track 2 is a referee: found or not, the scores of track 1 are the same."""
    truth = people((0, 1, 0), (0, 2, 20), (1, 1, 0), (1, 2, 20))
    wanted = truth.track == 1
    for result in (
        people((0, 7, 0), (1, 7, 0)),
        people((0, 7, 0), (0, 8, 20), (1, 7, 0), (1, 8, 20)),
    ):
        scores = score_tracking(truth, result, wanted, box_overlap, "xyxy")
        assert set(scores.values()) == {1.0}


def test_no_more_than_a_frames_similarities_are_held() -> None:
    """A match of 90 minutes has 135000 frames: here 60, of which a few at most live at a time."""
    alive: set[int] = set()
    most = 0

    def similarity(truth: np.ndarray, result: np.ndarray) -> np.ndarray:
        nonlocal most
        matrix = closeness(truth, result)
        number = len(seen)
        seen.append(number)
        alive.add(number)
        weakref.finalize(matrix, alive.discard, number)
        most = max(most, len(alive))
        return matrix

    seen: list[int] = []
    rows = people(*((frame, track, 5.0 * track) for frame in range(60) for track in range(4)))
    scores = score_tracking(rows, rows, np.ones(len(rows), bool), similarity, "xy")
    assert scores["hota"] == scores["idf1"] == 1.0
    assert len(seen) >= 60
    assert most <= 3


def test_overlap_by_hand() -> None:
    """10x10 boxes shifted by 5: 50 in common, 150 together; an unknown box overlaps none."""
    boxes = np.array([[0.0, 0, 10, 10], [np.nan] * 4])
    assert box_overlap(boxes[:1], boxes + np.array([5, 0, 5, 0])) == pytest.approx(
        np.array([[1 / 3, 0]])
    )


def test_teams_by_hand() -> None:
    """Five rows: three right, one wrong, one unknown; track 1 is right in 2 of 3 rows."""
    truth = Labels(
        team=np.array(["home", "home", "home", "away", "referee"]),
        role=np.array(["player", "player", "player", "goalkeeper", "referee"]),
    )
    result = Labels(
        team=np.array(["home", "home", "away", "unknown", "referee"]),
        role=np.array(["player", "player", "player", "player", "referee"]),
    )
    scores = score_teams(truth, result, np.array([1, 1, 1, 2, 3]))
    assert scores["team_accuracy"] == 3 / 4
    assert scores["team_unknown_share"] == 1 / 5
    # tracks 1 and 3 by majority right; track 2 was never answered
    assert scores["team_accuracy_per_player"] == 1.0
    assert scores["role_accuracy"] == 4 / 5


def test_a_gap_between_frames_is_no_motion() -> None:
    """Frames 0, 1, 2 and 50 at 25 a second: the third lasts at most two frames, not 48."""
    frames = np.array([0, 1, 2, 50])
    seconds = frame_seconds(frames, frames / 25, frames)
    assert seconds == pytest.approx([0.04, 0.04, 0.08, 0.08])
