"""A match with a close-up between two wide shots: what counts, and what is invented."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from domain.errors import InputError
from evaluation.match import score_match
from tests.scored_match import (
    FRAMES,
    camera,
    events_table,
    frames_table,
    identities_table,
    match_tables,
    moved,
    save,
    with_column,
)

# live and wide: frames 0 to 19 and 30 to 49; between them a close-up
CLOSE = np.arange(20, 30)


def _broadcast() -> dict[str, pa.Table]:
    """The tiny match, filmed with a close-up: people and ball are in the truth of wide frames."""
    contents = match_tables()
    frame = np.arange(FRAMES)
    shown = frames_table(frame)
    shown = with_column(shown, "shot", [0] * 20 + [1] * 10 + [2] * 20)
    shown = with_column(shown, "view", ["wide"] * 20 + ["close"] * 10 + ["wide"] * 20)
    for name in ("tracks", "ball"):
        contents[name] = _without(contents[name])
    # passes at 0.2 and 1.2 s, one behind the close-up at 1 s
    events = events_table([("pass", 5), ("pass", 25), ("pass", 30), ("shot", 45)])
    return {**contents, "frames": shown, "match_events": events}


def _without(table: pa.Table) -> pa.Table:
    """The rows of wide frames."""
    return table.filter(pa.array(~np.isin(table["frame"].to_numpy(), CLOSE)))


@pytest.fixture
def score(tmp_path: Path) -> Callable[..., Any]:
    """Score the broadcast against itself with some tables replaced."""

    def run(**changed: pa.Table) -> Any:
        truth = save(tmp_path / "truth", _broadcast())
        result = {"calibration": _wide_only(_broadcast()["calibration"])}
        return score_match(truth, save(tmp_path / "result", _broadcast() | result | changed))

    return run


def _wide_only(calibration: pa.Table) -> pa.Table:
    """No answer in the close-up, though truth knows the camera there too."""
    homographies = calibration["homography"].to_pylist()
    return with_column(
        calibration, "homography", [None if n in CLOSE else h for n, h in enumerate(homographies)]
    )


def test_an_honest_result_is_perfect(score: Callable[..., Any]) -> None:
    """40 of 50 frames are measurable; the pass behind the close-up need not be found."""
    scores = score(match_events=events_table([("pass", 5), ("pass", 30), ("shot", 45)]))
    assert (scores["frames"], scores["frames_measurable_share"]) == (40, 0.8)
    assert scores["hota"] == scores["ball_f1_1m"] == pytest.approx(1)
    assert scores["event_f1"] == {"pass": 1.0, "shot": 1.0}
    assert scores["event_counts"] == {"pass": 2, "shot": 1}
    assert scores["event_unseen_counts"] == {"pass": 1, "shot": 0}
    assert scores["cut_f1"] == scores["view_accuracy"] == 1.0
    assert scores["cut_count"] == 2
    # two players of home and two of away, before and after
    assert (scores["identity_kept_share"], scores["identity_kept_n"]) == (1.0, 4)
    assert scores["calibration_answered_share"] == 1.0
    assert scores["calibration_false_answers"] == scores["invented_rows"] == 0
    assert json.loads(json.dumps(scores, allow_nan=False)) == scores


def test_a_result_that_saw_one_wide_shot_invents(score: Callable[..., Any]) -> None:
    """It measured all 50 frames: nothing is lost where truth measures, 10 x 5 rows are invented."""
    made_up = match_tables()
    scores = score(**{name: made_up[name] for name in ("frames", "tracks", "ball", "calibration")})
    assert scores["hota"] == pytest.approx(1)
    assert (scores["invented_rows"], scores["invented_frames_share"]) == (50, 1.0)
    assert scores["invented_ball_share"] == 1.0
    assert (scores["calibration_false_answers"], scores["calibration_no_pitch_frames"]) == (10, 10)
    assert scores["view_confusion"]["close"] == {"wide": 10, "close": 0, "other": 0}
    assert (scores["cut_recall"], scores["cut_precision"]) == (0.0, None)
    assert scores["unmeasurable_frames"] == 10


def test_new_names_after_the_cut_are_not_kept(score: Callable[..., Any]) -> None:
    """Tracks of the second shot are other tracks; one of four players gets his old name again."""
    tracks = _broadcast()["tracks"]
    number, late = tracks["track"].to_numpy(), tracks["frame"].to_numpy() >= 30
    people = match_tables()["identities"].to_pylist()
    again = [(row["track"] + 100, row["team"], row["role"]) for row in people]
    both = identities_table([(r["track"], r["team"], r["role"]) for r in people] + again)
    names = both["player"].to_pylist()
    names[names.index("p103")] = "p3"
    scores = score(
        tracks=with_column(tracks, "track", np.where(late, number + 100, number)),
        identities=with_column(both, "player", names),
    )
    assert scores["identity_kept_share"] == 1 / 4
    assert (scores["identity_joins_right_share"], scores["identity_joins_n"]) == (1.0, 1)


def test_the_camera_of_a_wide_replay_is_no_false_answer(tmp_path: Path) -> None:
    """It shows the pitch; places claimed there are invented all the same."""
    truth = _broadcast()
    replayed = with_column(truth["frames"], "view", ["wide"] * FRAMES)
    replayed = with_column(replayed, "replay", [n in CLOSE for n in range(FRAMES)])
    folder = save(tmp_path / "other", truth | {"frames": replayed})
    live = with_column(replayed, "replay", [False] * FRAMES)
    made_up = {name: match_tables()[name] for name in ("tracks", "ball", "calibration")}
    scores = score_match(folder, save(tmp_path / "found", truth | made_up | {"frames": live}))
    assert scores["calibration_false_answers"] == 0
    assert scores["invented_rows"] == 50
    assert (scores["replay_recall"], scores["replay_count"]) == (0.0, 1)
    assert scores["replay_recall_frames"] == 0.0


def test_the_pictures_size_is_taken_from_the_truth(tmp_path: Path) -> None:
    """A bent lens needs the middle of the picture: truth.json tells it."""
    contents = _broadcast()
    bent = with_column(contents["calibration"], "k1", [-0.05] * FRAMES)
    bent = with_column(bent, "focal_px", [1024.0] * FRAMES)
    truth = save(tmp_path / "truth", contents | {"calibration": bent})
    (truth / "truth.json").write_text('{"width": 1280, "height": 720}')
    straight = [moved(camera(), 3, 4).reshape(-1).tolist()] * FRAMES
    answer = with_column(bent, "homography", straight)
    result = save(tmp_path / "result", contents | {"calibration": answer})
    assert score_match(truth, result)["calibration_median_error_m"] == pytest.approx(5)
    (truth / "truth.json").write_text('{"width": 1280}')
    with pytest.raises(InputError, match=r"truth\.json: expected"):
        score_match(truth, result)


def test_a_dissolve_may_be_cut_anywhere(tmp_path: Path) -> None:
    """The close-up fades in over frames 14 to 25, six on either side of frame 20; the answer cuts
    at 12, two before it. The way back at frame 30 is sharp, and the answer 4 late."""
    contents = _broadcast()
    truth = save(tmp_path / "truth", contents)
    shots = [{"first_frame": 20, "transition_frames": 6}, {"first_frame": 30}]
    (truth / "truth.json").write_text(json.dumps({"shots": shots}))
    early = with_column(contents["frames"], "shot", [0] * 12 + [1] * 22 + [2] * 16)
    scores = score_match(truth, save(tmp_path / "result", contents | {"frames": early}))
    assert (scores["cut_precision"], scores["cut_recall"]) == (0.5, 0.5)
    assert scores["cut_error_median_frames"] == 2
