"""A whole match's scores: the arithmetic stands beside each expected number."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import tables
from domain.errors import InputError
from evaluation.match import score_match
from tests.scored_match import (
    CAST,
    FRAMES,
    calibration_table,
    camera,
    events_table,
    frames_table,
    match_tables,
    moved,
    save,
    with_column,
)


@pytest.fixture(scope="module")
def truth_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("match") / "truth", match_tables())


@pytest.fixture
def score(truth_dir: Path, tmp_path: Path) -> Callable[..., Any]:
    """Score truth against itself with some tables replaced."""

    def run(**changed: pa.Table) -> Any:
        return score_match(truth_dir, save(tmp_path / "result", match_tables() | changed))

    return run


PERFECT = {
    **dict.fromkeys(
        [
            "hota",
            "deta",
            "assa",
            "idf1",
            "hota_metres",
            "deta_metres",
            "assa_metres",
            "idf1_metres",
        ],
        1.0,
    ),
    **dict.fromkeys(["ball_precision_1m", "ball_recall_1m", "ball_f1_1m", "ball_f1_2m"], 1.0),
    **dict.fromkeys(["team_accuracy", "team_accuracy_per_player", "role_accuracy"], 1.0),
    **dict.fromkeys(["formation_accuracy", "frames_share", "ball_sigma_coverage"], 1.0),
    **dict.fromkeys(["speed_rmse_mps", "distance_bias_percent", "team_unknown_share"], 0.0),
    "event_f1": {"pass": 1.0, "shot": 1.0},
    "event_counts": {"pass": 2, "shot": 1},
    "calibration_median_error_m": 0.0,
    "calibration_p95_error_m": 0.0,
    "frames": FRAMES,
}


def test_a_perfect_result(score: Callable[..., Any]) -> None:
    scores = score()
    for key, value in PERFECT.items():
        expected = value if isinstance(value, dict) else pytest.approx(value, abs=1e-6)
        assert scores[key] == expected, key
    # plain numbers: JSON without NaN holds them, and gives them back
    assert json.loads(json.dumps(scores, allow_nan=False)) == scores


@given(st.permutations(list(CAST)), st.randoms(use_true_random=False))
@settings(max_examples=8, deadline=None)
def test_numbers_of_tracks_and_order_of_rows_change_nothing(
    truth_dir: Path, tmp_path_factory: pytest.TempPathFactory, numbers: list[int], random: Any
) -> None:
    contents = match_tables()
    for name in ("tracks", "identities"):
        renamed = [numbers[track - 1] * 10 for track in contents[name]["track"].to_pylist()]
        rows = random.sample(range(len(renamed)), len(renamed))
        contents[name] = with_column(contents[name], "track", renamed).take(rows)
    result = save(tmp_path_factory.mktemp("renamed"), contents)
    assert score_match(truth_dir, result) == score_match(truth_dir, truth_dir)


def test_home_and_away_exchanged_change_nothing(
    score: Callable[..., Any], truth_dir: Path, tmp_path: Path
) -> None:
    other = {"home": "away", "away": "home"}
    swapped = {
        name: with_column(table, "team", [other.get(t, t) for t in table["team"].to_pylist()])
        for name, table in match_tables().items()
        if name in ("identities", "formations")
    }
    assert score(**swapped) == score_match(truth_dir, truth_dir)
    # told which team is home, only the referee (1 of 5) is right, and no formation
    configured = score_match(truth_dir, tmp_path / "result", teams_configured=True)
    assert configured["team_accuracy"] == pytest.approx(1 / 5)
    assert configured["formation_accuracy"] == 0


def test_errors_of_movement_by_hand(score: Callable[..., Any]) -> None:
    """Speeds 10 % too high: the root mean square of 10 % of 5, 0, 5, 2.5 and 5 m/s.

    Squares of the differences: 0.25, 0, 0.25, 0.0625, 0.25; mean 0.1625; root 0.4031.
    Distance is 10 % too high. Places are 0.4 m off in x and not in y: within sigma (0.5 m) both.
    """
    tracks = match_tables()["tracks"]
    fast = (tracks["speed_mps"].to_numpy() * 1.1).astype(np.float32)
    aside = tracks["x"].to_numpy() + np.float32(0.4)
    scores = score(tracks=with_column(with_column(tracks, "speed_mps", fast), "x", aside))
    assert scores["speed_rmse_mps"] == pytest.approx(np.sqrt(0.1625), abs=1e-4)
    assert scores["distance_bias_percent"] == pytest.approx(10, abs=1e-3)
    assert scores["position_error_median_m"] == pytest.approx(0.4, abs=1e-3)
    assert scores["player_sigma_coverage"] == 1.0
    far = tracks["x"].to_numpy() + np.float32(0.6)
    assert score(tracks=with_column(tracks, "x", far))["player_sigma_coverage"] == 0.5


def test_calibration_by_hand(score: Callable[..., Any]) -> None:
    """Half the frames answered, 3 m and 4 m off: 5 m everywhere."""
    half = [moved(camera(), 3, 4) if n % 2 else None for n in range(FRAMES)]
    scores = score(calibration=calibration_table(half))
    assert scores["calibration_answered_share"] == 0.5
    assert scores["calibration_median_error_m"] == pytest.approx(5)
    assert scores["calibration_false_answers"] == 0


def test_events_of_a_match_by_hand(score: Callable[..., Any]) -> None:
    """Truth: passes at 0.2 and 1.2 s, a shot at 1.8 s. Found: passes at 0.4 and 1.92 s, a foul.

    Passes: 0.2 and 0.72 s off; within 0.5 s one of two, F1 = 2 x 1 / (2 + 1 + 1). The foul that
    never was scores 0, and so does the shot that was missed.
    """
    scores = score(match_events=events_table([("pass", 10), ("pass", 48), ("foul", 20)]))
    assert scores["event_f1"] == {"foul": 0.0, "pass": 1.0, "shot": 0.0}
    assert scores["event_f1_0_5s"] == {"foul": 0.0, "pass": 0.5, "shot": 0.0}
    assert scores["event_time_error_s"]["pass"] == pytest.approx((0.2 + 0.72) / 2)


def test_an_empty_result_scores_nothing(score: Callable[..., Any]) -> None:
    names = ("tracks", "ball", "identities", "match_events", "formations", "calibration")
    scores = score(**{name: tables.empty(name) for name in names})
    assert scores["hota"] == scores["idf1"] == scores["ball_recall_1m"] == 0
    assert scores["ball_precision_1m"] is None
    assert scores["team_accuracy"] is None
    assert scores["event_f1"] == {"pass": 0.0, "shot": 0.0}
    assert scores["formation_accuracy"] == 0
    json.dumps(scores, allow_nan=False)


def test_only_common_frames_are_scored(score: Callable[..., Any]) -> None:
    """A result that analysed every second frame is scored on those."""
    even = np.arange(0, FRAMES, 2)
    contents = match_tables()
    kept = {
        name: contents[name].filter(pa.array(contents[name]["frame"].to_numpy() % 2 == 0))
        for name in ("tracks", "ball", "calibration")
    }
    scores = score(frames=frames_table(even), **kept)
    assert (scores["frames"], scores["frames_share"]) == (25, 0.5)
    assert scores["hota"] == pytest.approx(1)
    assert scores["distance_bias_percent"] == pytest.approx(0, abs=1e-6)


def test_truth_without_a_table_leaves_its_scores_open(tmp_path: Path, truth_dir: Path) -> None:
    """Only tracks are known: everybody must be found; other tables do not count."""
    truth = save(tmp_path / "truth", {"tracks": match_tables()["tracks"]})
    scores = score_match(truth, truth_dir)
    assert scores["hota"] == pytest.approx(1)
    for key in ("ball_f1_1m", "team_accuracy", "formation_accuracy", "calibration_p95_error_m"):
        assert scores[key] is None
    assert scores["event_f1"] == {}


def test_referees_may_be_missed(score: Callable[..., Any]) -> None:
    tracks = match_tables()["tracks"]
    without = tracks.filter(pa.array(tracks["track"].to_numpy() != 5))
    assert score(tracks=without)["hota"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("tracks", lambda t: pa.concat_tables([t, t.slice(3, 1)]), "frame 0, track 4 occurs 2"),
        ("ball", lambda t: pa.concat_tables([t, t.slice(7, 1)]), "frame 7 occurs 2"),
        ("identities", lambda t: pa.concat_tables([t, t.slice(0, 1)]), "track 1 occurs 2"),
        ("match_events", lambda t: with_column(t, "event", [0, 1, 1]), "event 1 occurs 2"),
        ("match_events", lambda t: with_column(t, "provisional", [True] * 3), "provisional"),
        ("tracks", lambda t: t.drop_columns(["speed_mps"]), r"missing columns \['speed_mps'\]"),
        ("tracks", lambda t: t.cast(_wider(t.schema, "x")), r"columns \['x'\]"),
        ("ball", lambda t: with_column(t, "confidence", [2.0] * FRAMES), "confidence"),
        (
            "frames",
            lambda _: frames_table(np.arange(90, 95)),
            "no frame in common.*0 to 49.*90 to 94",
        ),
        (
            "frames",  # as at half the frame rate: frame 6 is 0.24 s late, the first above 0.2
            lambda t: with_column(t, "time_s", t["time_s"].to_numpy() * 2),
            "frame 6 is at 0.24 s in truth .* and at 0.48 s in result .*different videos",
        ),
    ],
)
def test_a_wrong_result_is_refused_in_one_line(
    score: Callable[..., Any], name: str, change: Callable[[pa.Table], pa.Table], message: str
) -> None:
    with pytest.raises(InputError, match=message) as refusal:
        score(**{name: change(match_tables()[name])})
    assert "\n" not in str(refusal.value)


def _wider(schema: pa.Schema, name: str) -> pa.Schema:
    index = schema.get_field_index(name)
    return schema.set(index, schema.field(name).with_type(pa.float64()))


def test_missing_and_empty_folders_are_refused(truth_dir: Path, tmp_path: Path) -> None:
    result = save(tmp_path / "result", {"tracks": match_tables()["tracks"]})
    with pytest.raises(InputError, match=r"no .*frames\.parquet"):
        score_match(truth_dir, result)
    with pytest.raises(InputError, match="no folder"):
        score_match(truth_dir, tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no truth to score"):
        score_match(tmp_path / "empty", result)
    none = save(tmp_path / "none", {**match_tables(), "tracks": tables.empty("tracks")})
    with pytest.raises(InputError, match=r"tracks\.parquet is empty"):
        score_match(none, result)
    (tmp_path / "result" / "tracks.parquet").write_text("no table")
    with pytest.raises(InputError, match="cannot read"):
        score_match(save(tmp_path / "few", {"tracks": match_tables()["tracks"]}), result)
