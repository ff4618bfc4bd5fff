"""Events of a match: what cannot be seen, and who played them, worked by hand."""

import numpy as np
import pytest

from domain import tables
from evaluation.event_ceiling import label_ceiling, nearest_kick_s
from evaluation.match_events import Events, count_events, events_of, score_match_events
from tests.scored_match import events_table, with_column

FRAMES = np.arange(100)


def _events(
    seconds: list[float], unseen: tuple[int, ...] = (), people: tuple[str, ...] = ()
) -> Events:
    """Passes at these times; those of `unseen` indexes start where nothing can be measured.

    `people` are "team player receiver" of each.
    """
    count = len(seconds)
    words = [[*text.split(" "), "", ""][:3] for text in people or ("",) * count]
    team, player, receiver = (np.array([w[i] for w in words], dtype=np.str_) for i in range(3))
    return Events(
        type=np.array(["pass"] * count, dtype=np.str_),
        start_s=np.array(seconds, dtype=np.float64),
        team=team,
        player=player,
        receiver=receiver,
        counted=~np.isin(np.arange(count), unseen),
    )


def test_unseen_events_are_neither_missed_nor_false() -> None:
    """Truth 10 s and 20 s, the second behind a replay; found 10.2, 20.1 and 30 s.

    One hit; 20.1 answers the unseen one and is excused; 30 is false. Nothing is missed.
    """
    counts = count_events(_events([10, 20], unseen=(1,)), _events([10.2, 20.1, 30]), 1.0)
    assert (counts.hits, counts.false, counts.missed) == (1, 1, 0)


def test_an_answer_behind_a_replay_is_not_false_but_may_hit() -> None:
    """Found 9.8 s, in the last moment of a replay, and 15 s, deep in it; the pass is at 10 s."""
    counts = count_events(_events([10]), _events([9.8, 15], unseen=(0, 1)), 1.0)
    assert (counts.hits, counts.false, counts.missed) == (1, 0, 0)


def test_an_unseen_event_excuses_one_answer_only() -> None:
    counts = count_events(_events([10], unseen=(0,)), _events([10, 10.5]), 1.0)
    assert (counts.hits, counts.false, counts.missed) == (0, 1, 0)


def test_team_and_players_of_events_by_hand() -> None:
    """Three pairs: right in all; the wrong receiver; a player who is not named.

    Teams 2 of 3, the third unknown to the answer: 2 of 2. Players 2 of 2, 1 of 3 unnamed.
    Receivers: truth names two, one of them right.
    """
    truth = _events([1, 5, 9], people=("home A B", "away C D", "home A"))
    found = _events([1.1, 5.1, 9.1], people=("home A B", "away C E", "unknown"))
    scores = score_match_events(truth, found)
    assert scores["event_f1"] == {"pass": 1.0}
    assert (scores["event_team_accuracy"]["pass"], scores["event_team_n"]["pass"]) == (1.0, 2)
    assert scores["event_team_unnamed_share"]["pass"] == pytest.approx(1 / 3)
    assert (scores["event_player_accuracy"]["pass"], scores["event_player_n"]["pass"]) == (1.0, 2)
    assert scores["event_player_unnamed_share"]["pass"] == pytest.approx(1 / 3)
    assert scores["event_receiver_accuracy"]["pass"] == 1 / 2


def test_events_are_read_from_the_table() -> None:
    """Of passes in frames 5, 30 and 120 the last lies outside what both sides show; frame 30 cannot
    be measured; the result's p3 is truth's A; home and away change names."""
    table = events_table([("pass", 5), ("pass", 30), ("pass", 120)])
    table = with_column(table, "player", ["p3", "p4", None])
    table = with_column(table, "team", ["home", "away", "unknown"])
    events = events_of(table, FRAMES, FRAMES[:20], {"p3": "A"}, swapped=True)
    assert events.start_s.tolist() == [5 / 25, 30 / 25]
    assert events.player.tolist() == ["A", ""]
    assert events.team.tolist() == ["away", "home"]
    assert events.counted.tolist() == [True, False]


def test_types_without_events_have_no_entry() -> None:
    none = events_of(tables.empty("match_events"), FRAMES, FRAMES)
    scores = score_match_events(none, none)
    assert all(value == {} for value in scores.values())
    assert "event_player_accuracy" in scores


def test_a_kick_is_where_the_ball_leaves_the_players_reach() -> None:
    """At 10 frames a second the ball leaves after frames 4 and 8, 0.4 and 0.8 s; within 5 s the
    nearer one counts. Never near, or not known: no kick."""
    distance = np.array([9, 9, 1, 1, 1, 9, 9, 1, 1, 9, 9], float)
    assert nearest_kick_s(distance, 0.5, 10) == pytest.approx(0.4)
    assert nearest_kick_s(distance, 0.7, 10) == pytest.approx(0.8)
    assert np.isnan(nearest_kick_s(distance, 6.0, 10))
    assert np.isnan(nearest_kick_s(np.full(9, np.nan), 0.5, 10))


def test_the_ceiling_of_labels_by_hand() -> None:
    """Kicks at 0.4 and 0.8 s; stamps at 0.5 (0.1 off) and 1.6 (0.8 off), and a third whose player
    never had the ball.

    Within 1 s 2 hits, 1 missed: F1 = 4/5. Within 0.5 s 1 hit, 1 false, 2 missed: 2/5.
    """
    distance = np.array([9, 9, 1, 1, 1, 9, 9, 1, 1, 9, 9], float)
    scores = label_ceiling(np.array([0.5, 1.6, 1.7]), [distance] * 2 + [distance + 50], 10)
    assert scores["ceiling_f1"] == pytest.approx(4 / 5)
    assert scores["ceiling_f1_0_5s"] == pytest.approx(2 / 5)
    assert scores["label_time_error_median_s"] == pytest.approx(0.45)
