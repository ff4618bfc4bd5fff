"""Cuts, views, replays and identities across cuts against cases worked by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import InputError
from evaluation.across_cuts import score_across_cuts
from evaluation.invented import score_invented
from evaluation.structure import (
    Structure,
    runs,
    score_cuts,
    score_replays,
    score_structure,
    score_views,
    structure_of,
)
from tests.scored_match import ball_table, events_table, frames_table, tracks_table, with_column

HARD = np.array([[100, 100], [200, 200], [300, 300]])


def test_cuts_match_within_three_frames() -> None:
    """103 is a hit, 204 is not (4 off), 300 is, 301 is a second answer to the same cut.

    Hits 2, false 2, missed 1: precision 2/4, recall 2/3, F1 = 4 / (4 + 2 + 1).
    """
    scores = score_cuts(HARD, np.array([103, 204, 300, 301]))
    assert scores["cut_precision"] == 2 / 4
    assert scores["cut_recall"] == 2 / 3
    assert scores["cut_f1"] == pytest.approx(4 / 7)
    assert (scores["cut_count"], scores["cut_false"]) == (3, 2)
    # 3 and 0 frames off
    assert scores["cut_error_median_frames"] == 1.5


def test_a_cut_anywhere_in_a_dissolve_is_right() -> None:
    """A dissolve over frames 100 to 120: 97 and 123 are within three frames of it, 124 is not."""
    dissolve = np.array([[100, 120]])
    for frame, hit in ((97, 1), (110, 1), (123, 1), (124, 0), (96, 0)):
        assert score_cuts(dissolve, np.array([frame]))["cut_f1"] == hit, frame


def test_one_shot_has_no_cut_scores_but_counts_false_ones() -> None:
    scores = score_cuts(np.zeros((0, 2), int), np.array([7, 9]))
    assert scores["cut_precision"] is scores["cut_recall"] is scores["cut_f1"] is None
    assert scores["cut_false"] == 2


def test_an_extent_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(InputError, match="first and last"):
        score_cuts(np.array([[5, 4]]), np.zeros(0, int))


def test_views_by_hand() -> None:
    truth = np.array(["wide", "wide", "close", "other"])
    scores = score_views(truth, np.array(["wide", "close", "close", "wide"]))
    assert scores["view_accuracy"] == 2 / 4
    assert scores["view_confusion"] == {
        "wide": {"wide": 1, "close": 1, "other": 0},
        "close": {"wide": 0, "close": 1, "other": 0},
        "other": {"wide": 1, "close": 0, "other": 0},
    }


def test_replays_by_hand() -> None:
    """Truth: frames 10 to 19 and 30 to 39. Found: 12 to 21 (8 of 12 common) and 36 to 45 (4 of 16).

    Frames: 8 + 4 hits, 2 + 6 false, 2 + 6 missed. Replays: the first overlaps by 0.67, the second
    by 0.25: 1 hit, 1 false, 1 missed.
    """
    truth, found = np.zeros(50, bool), np.zeros(50, bool)
    truth[10:20] = truth[30:40] = True
    found[12:22] = found[36:46] = True
    scores = score_replays(truth, found)
    assert scores["replay_precision_frames"] == scores["replay_recall_frames"] == 12 / 20
    assert scores["replay_f1"] == 0.5
    assert (scores["replay_count"], scores["replay_frames"]) == (2, 20)


def test_without_a_replay_on_either_side_nothing_is_scored() -> None:
    scores = score_replays(np.zeros(9, bool), np.zeros(9, bool))
    assert scores["replay_f1"] is scores["replay_f1_frames"] is None


@given(st.lists(st.booleans(), max_size=30))
@settings(max_examples=50, deadline=None)
def test_runs_give_the_mask_back(mask: list[bool]) -> None:
    found = runs(np.array(mask, bool))
    again = np.zeros(len(mask), bool)
    for first, after in found:
        again[first:after] = True
    assert again.tolist() == mask


def _structure(shots: list[int], views: str = "", replays: list[int] | None = None) -> Structure:
    """Shots a frame, views by first letter, frames of replays."""
    names = {"w": "wide", "c": "close", "o": "other"}
    count = len(shots)
    return Structure(
        frame=np.arange(count),
        shot=np.array(shots),
        view=np.array([names[letter] for letter in views or "w" * count]),
        replay=np.isin(np.arange(count), replays or []),
    )


def test_measurable_stretches() -> None:
    """A close-up and a replay part the match in three; a cut between wide shots parts as well."""
    scene = _structure([0, 0, 1, 2, 2, 3, 4, 5], "wwcwwwww", [6])
    assert scene.cuts.tolist() == [2, 3, 5, 6, 7]
    assert scene.stretches.tolist() == [0, 0, -1, 1, 1, 2, -1, 3]


def test_structure_is_read_by_frame_and_scored() -> None:
    table = frames_table(np.arange(9, -1, -1))
    table = with_column(table, "shot", [1] * 5 + [0] * 5)
    scene = structure_of(table, np.arange(2, 8))
    assert scene.frame.tolist() == [2, 3, 4, 5, 6, 7]
    assert scene.cuts.tolist() == [5]
    scores = score_structure(scene, scene)
    assert scores["cut_f1"] == scores["view_accuracy"] == 1.0
    # the same answer, one frame of a dissolve's extent away from its end
    late = score_structure(scene, scene, np.array([[2, 4]]))
    assert (late["cut_f1"], late["cut_error_median_frames"]) == (1.0, 1.0)
    with pytest.raises(InputError, match="no row for frame 10"):
        structure_of(table, np.array([9, 10]))
    with pytest.raises(InputError, match="same frames"):
        score_structure(scene, structure_of(table, np.arange(3, 8)))


def test_identities_across_cuts_by_hand() -> None:
    """A keeps his name, B gets C's, C gets a new one, D is never named.

    Seen twice: 4, kept 1. Names that were known before: a (A's own) and c (another's): 1 of 2.
    """
    stretch = np.repeat([0, 1], 4)
    person = np.array(["A", "B", "C", "D"] * 2)
    answer = np.array(["a", "b", "c", "", "a", "c", "x", ""])
    assert score_across_cuts(stretch, person, answer) == {
        "identity_kept_share": 1 / 4,
        "identity_kept_n": 4,
        "identity_joins_right_share": 1 / 2,
        "identity_joins_n": 2,
    }


def test_a_person_who_was_away_for_a_stretch_is_compared_with_his_last_name() -> None:
    """30 rows as a, then 30 as b; away; then back as b, his name where the first stretch ends."""
    stretch = np.array([0] * 60 + [1] + [2])
    person = np.array(["A"] * 60 + ["B"] + ["A"])
    answer = np.array(["a"] * 30 + ["b"] * 30 + ["z"] + ["b"])
    scores = score_across_cuts(stretch, person, answer)
    assert (scores["identity_kept_share"], scores["identity_kept_n"]) == (1.0, 1)


def test_one_stretch_has_no_identities_to_compare() -> None:
    scores = score_across_cuts(np.zeros(2, int), np.array(["A", "B"]), np.array(["a", "b"]))
    assert scores["identity_kept_share"] is None
    empty = np.zeros(0, np.str_)
    assert score_across_cuts(np.zeros(0, int), empty, empty)["identity_kept_n"] == 0


def test_invented_rows_by_hand() -> None:
    """Frames 2 to 5 cannot be measured; two people are placed in frame 3, one in 5, and the ball
    in all four; one of two events starts there."""
    rows = [(1, 1, 0.0, 0.0), (3, 1, 0.0, 0.0), (3, 2, 5.0, 0.0), (5, 1, 0.0, 0.0)]
    tracks = tracks_table(rows)
    result = {
        "tracks": tracks,
        "ball": ball_table(np.zeros(10)),
        "match_events": events_table([("pass", 4), ("pass", 8)]),
    }
    scores = score_invented(result, np.arange(2, 6))
    assert scores == {
        "unmeasurable_frames": 4,
        "invented_rows": 3,
        "invented_frames_share": 2 / 4,
        "invented_ball_share": 1.0,
        "invented_events": 1,
    }
    # a row whose place is not known claims nothing
    nowhere = with_column(tracks, "x", [0.0, None, None, 0.0])
    assert score_invented({**result, "tracks": nowhere}, np.arange(2, 6))["invented_rows"] == 1
    assert score_invented(result, np.zeros(0, int))["invented_frames_share"] is None
