"""The ball and formations against cases worked by hand."""

import numpy as np
import pytest

from evaluation.ball import Ball, score_ball
from evaluation.formations import Window, score_formations


def test_ball_by_hand() -> None:
    """Six frames: off by 0.5, 1.5 and 3 m, not answered, answered though absent, absent for both.

    Present 4, answered 4. Within 1 m: 1 hit, so precision and recall are 1/4; within 2 m: 2 hits.
    """
    nan = np.nan
    truth = Ball(
        xy=np.array([[0, 0], [0, 0], [0, 0], [0, 0], [nan, nan], [nan, nan]], float),
        z=np.array([1, 2, nan, 0, nan, nan]),
        sigma_m=np.full(6, nan),
    )
    result = Ball(
        xy=np.array([[0.5, 0], [0, 1.5], [3, 0], [nan, nan], [9, 9], [nan, nan]], float),
        z=np.array([1.5, 1.0, 0, nan, 0, nan]),
        sigma_m=np.ones(6),
    )
    scores = score_ball(truth, result)
    assert scores["ball_precision_1m"] == scores["ball_recall_1m"] == scores["ball_f1_1m"] == 1 / 4
    assert scores["ball_f1_2m"] == 2 / 4
    assert scores["ball_answered_share"] == 3 / 4
    assert scores["ball_error_median_m"] == 1.5
    # heights are known for the first two: 0.5 and 1.0 off
    assert scores["ball_height_error_median_m"] == 0.75


def test_formations_by_hand() -> None:
    """100 s of truth: 30 s right, 40 s wrong, 10 s "cannot tell", 20 s nothing.

    Two answers overlap from 30 to 40 s: the surer, wrong one speaks.
    """
    truth = [Window("home", 0, 100, "all", "433", 1.0), Window("away", 0, 50, "all", None, 1.0)]
    result = [
        Window("home", 0, 40, "in_possession", "433", 0.5),
        Window("home", 30, 70, "in_possession", "442", 0.9),
        Window("home", 70, 80, "all", None, 0.9),
    ]
    scores = score_formations(truth, result)
    assert scores["formation_accuracy"] == pytest.approx(30 / 100)
    assert scores["formation_accuracy_answered"] == pytest.approx(30 / 70)
    assert scores["formation_answered_share"] == pytest.approx(70 / 100)
    assert scores["formation_seconds"] == 100


def test_a_formation_of_the_other_phase_is_no_answer() -> None:
    truth = [Window("home", 0, 10, "in_possession", "433", 1.0)]
    result = [Window("home", 0, 10, "out_of_possession", "433", 1.0)]
    assert score_formations(truth, result)["formation_answered_share"] == 0
