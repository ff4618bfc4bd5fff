"""Statistics of play, on a match small enough to reckon by hand, on simulated and real matches."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from api.command_line import main
from domain.errors import InputError
from evaluation.play_statistics import REFERENCE, compare_play, play_statistics, speeds
from evaluation.play_tables import PlayedMatch, load_real, load_truth
from simulation import SimulationOptions, simulate, write

RATE = 10.0
COUNT = 601  # 60.0 s and the frame at its end


def _match() -> PlayedMatch:
    """A minute at 10 frames a second.

    Home (keeper at x = -50) attacks +x and has the ball for the first 30 s, nobody for 10 s, away
    for the rest. Home's outfield players stand at x = 0 and 20, y = -10 and 10; away's at x = 0 and
    30, y = -15 and 15. One of home's runs 4 m/s along x and back, the others stand.
    """
    time_s = np.arange(COUNT) / RATE
    xy = np.zeros((COUNT, 6, 2))
    xy[:, 0] = [-50.0, 0.0]
    xy[:, 1], xy[:, 2] = [0.0, -10.0], [20.0, 10.0]
    xy[:, 3] = [50.0, 0.0]
    xy[:, 4], xy[:, 5] = [0.0, -15.0], [30.0, 15.0]
    ball = np.tile([0.0, 0.0, 0.11], (COUNT, 1))
    ball[:150] = [30.0, 25.0, 3.0]  # home's last third, wide, over everybody's head
    ball[400:] = [40.0, 0.0, 1.0]  # away's own third
    possession = np.select([time_s < 30, time_s < 40], [0, -1], 1)
    return PlayedMatch(
        time_s=time_s,
        period=np.ones(COUNT, np.int64),
        xy=xy,
        team=np.array([0, 0, 0, 1, 1, 1]),
        keeper=np.array([True, False, False, True, False, False]),
        ball=ball,
        possession=possession,
        pass_start=np.zeros((4, 2)),
        pass_end=np.array([[10.0, 0.0], [0.0, 20.0], [30.0, 40.0], [3.0, 4.0]]),
        complete=np.array([True, True, False, True]),
        events={"shot": 4, "goal": 1, "corner": 2},
        shots_on_target=2,
    )


def test_time_in_play_and_possessions() -> None:
    found = play_statistics([_match()])
    # 601 frames of 0.1 s; alive are 300 of home and 201 of away
    assert found["minutes"] == pytest.approx(1.0, abs=0.01)
    assert found["share_in_play"] == pytest.approx(501 / 601)
    assert found["possessions_per_min"] == pytest.approx(2 / (50.1 / 60))
    assert found["possession_s_mean"] == pytest.approx((30.0 + 20.1) / 2)


def test_thirds_are_those_of_the_side_that_has_the_ball() -> None:
    found = play_statistics([_match()])
    # home: 15 s at x = 30 (beyond 17.5, its last third), 15 s in the middle; away, which attacks
    # -x, 20.1 s at x = 40, in its own third
    assert found["share_last_third"] == pytest.approx(15.0 / 50.1)
    assert found["share_middle_third"] == pytest.approx(15.0 / 50.1)
    assert found["share_own_third"] == pytest.approx(20.1 / 50.1)
    assert found["share_wide"] == pytest.approx(15.0 / 50.1)
    assert found["ball_over_head_share"] == pytest.approx(15.0 / 50.1)
    assert found["ball_off_ground_share"] == pytest.approx(35.1 / 50.1)


def test_length_and_width_leave_the_keeper_out() -> None:
    found = play_statistics([_match()])
    # in possession: home 20 by 20 for 300 frames, away 30 by 30 for 201: the median is home's;
    # out of it: away for 300, home for 201
    assert (found["length_in_m"], found["width_in_m"]) == (20.0, 20.0)
    assert (found["length_out_m"], found["width_out_m"]) == (30.0, 30.0)


def test_passes_and_rates_a_minute_of_play() -> None:
    found = play_statistics([_match()])
    # lengths 5, 10, 20, 50
    assert found["pass_length_m_p50"] == pytest.approx(15.0)
    assert found["pass_long_share"] == 0.25
    assert found["pass_complete"] == 0.75
    assert found["passes_per_min"] == pytest.approx(4 / (50.1 / 60))
    assert found["corner_per_min"] == pytest.approx(2 / (50.1 / 60))
    assert (found["goals_per_shot"], found["shots_on_target_share"]) == (0.25, 0.5)


def test_speed_distance_and_acceleration() -> None:
    match = _match()
    xy = match.xy.copy()
    xy[:, 1, 0] += 6.0 * match.time_s  # 6 m/s, the others stand
    found = play_statistics([replace(match, xy=xy)])
    assert found["speed_mps_p99"] == pytest.approx(6.0)
    assert found["speed_mps_p50"] == 0.0
    # one of six runs 360 m a minute: 60 m a minute and player, above 5.5 m/s a sixth of the time
    assert found["distance_m_per_min"] == pytest.approx(60.0)
    assert found["high_speed_share"] == pytest.approx(1 / 6)
    assert found["acceleration_mps2_p99"] == pytest.approx(0.0, abs=1e-9)


def test_a_jump_of_the_tracking_is_no_speed() -> None:
    match = _match()
    xy = match.xy.copy()
    xy[300:, 1] += 40.0
    assert np.nanmax(speeds(replace(match, xy=xy))) == 0.0


def test_a_break_counts_nowhere() -> None:
    """The second minute is a break in which everybody runs 3 m/s off the pitch."""
    match = _match()
    xy = match.xy.copy()
    xy[300:, :, 1] += 3.0 * (match.time_s[300:, None] - 30.0)
    period = np.where(np.arange(COUNT) < 290, 1, 0)
    found = play_statistics(
        [replace(match, xy=xy, period=period, possession=np.where(period == 1, 0, -1))]
    )
    assert found["minutes"] == pytest.approx(29.0 / 60)
    assert found["speed_mps_p99"] == 0.0


def test_matches_together_count_by_their_time() -> None:
    short = replace(_match(), events={}, shots_on_target=0)
    found = play_statistics([_match(), short])
    assert found["shot_per_min"] == pytest.approx(4 / (2 * 50.1 / 60))


def test_nothing_to_measure_is_none() -> None:
    match = _match()
    found = play_statistics([replace(match, possession=np.full(COUNT, -1))])
    assert found["share_in_play"] == 0.0
    assert found["possession_s_mean"] is None
    assert found["length_out_m"] is None
    assert found["shot_per_min"] is None


def test_reference_ranges_name_statistics() -> None:
    assert set(REFERENCE) <= set(play_statistics([_match()]))
    assert all(low < high for low, high in REFERENCE.values())


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    options = SimulationOptions(seed=950_031, seconds=20.0, fps=10.0, width=320, height=180)
    return write(simulate(options), tmp_path_factory.mktemp("play"), video=False)


def test_simulated_truth_is_read(truth: Path) -> None:
    match = load_truth(truth)
    assert match.xy.shape == (200, 22, 2)
    assert (match.team == 1).sum() == 11
    assert match.keeper.sum() == 2
    # until the kick-off, about 2 s after the beginning, the ball is dead
    assert (match.possession[:15] == -1).all()
    assert (match.possession[50:] >= 0).mean() > 0.3
    found = play_statistics([match])
    assert 0.5 < found["speed_mps_p50"] < 4.0
    assert found["passes_per_min"] > 3


def test_a_missing_table_is_one_clear_line(truth: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"positions\.parquet"):
        load_truth(tmp_path)
    for path in truth.glob("*.parquet"):
        pq.write_table(pq.read_table(path), tmp_path / path.name)
    pq.write_table(pa.table({"frame": [0]}), tmp_path / "ball.parquet")
    with pytest.raises(InputError, match=r"ball\.parquet"):
        load_truth(tmp_path)


def test_the_command_prints_both_sides(truth: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "play", "--truth", str(truth), str(truth)]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["minutes"]["simulated"] == pytest.approx(2 * 20 / 60, abs=0.01)
    assert printed["shot_per_min"]["reference"] == list(REFERENCE["shot_per_min"])
    assert printed["speed_mps_p50"]["tracking"] is None


@pytest.mark.real
def test_real_tracking_goes_through_the_same_functions(real_data: Path) -> None:
    real = load_real(real_data / "tracking" / "tracab_opta_3min")
    found = compare_play([real], real)
    # 38 collected passes in 1.95 minutes of play; one shot, which missed
    assert found["passes_per_min"]["tracking"] == pytest.approx(38 / 1.95, rel=0.01)
    assert found["shots_on_target_share"]["tracking"] is None
    assert found["distance_m_per_min"]["tracking"] == pytest.approx(126, abs=3)
