"""How simulated matches are filmed: cuts, replays, other cameras, and the truth about them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pytest

from domain.errors import InputError
from simulation import SimulatedMatch, SimulationOptions, simulate
from simulation.transitions import WipeLook, covered

SHORT = SimulationOptions(seed=950_004, seconds=6.0, width=480, height=270, broadcast=True)


@pytest.fixture(scope="module")
def broadcast() -> SimulatedMatch:
    return simulate(replace(SHORT, seconds=60.0, fps=12.5))


@pytest.fixture(scope="module")
def frames(broadcast: SimulatedMatch) -> pd.DataFrame:
    table: pd.DataFrame = broadcast.tables["frames"].to_pandas()
    return table


def test_a_broadcast_is_cut_as_on_television(frames: pd.DataFrame) -> None:
    shots = frames.groupby("shot").agg(frames=("frame", "size"), replay=("replay", "first"))
    assert 5 <= len(shots) <= 12  # a cut each 8 to 15 s makes 5 to 8 shots; replays add some
    assert shots.frames.min() >= 12  # a second is 12.5 frames
    assert shots.replay.any()
    live_wide = ((frames["view"] == "wide") & ~frames["replay"]).mean()
    assert 0.55 < live_wide < 0.9


def test_even_a_short_broadcast_is_cut() -> None:
    shots = simulate(SHORT).tables["frames"]["shot"]
    assert pc.max(shots).as_py() >= 2  # away from the main camera and back


def test_broadcasts_keep_their_rates_over_many_matches() -> None:
    """The main camera is on for about 70 % of the time, and a shot lasts 8 to 15 s in the mean."""
    options = [replace(SHORT, seed=s, seconds=120.0, fps=5.0) for s in range(950_010, 950_014)]
    shots = [shot for one in options for shot in simulate(one).film.shots]
    main = sum(shot.stop - shot.first for shot in shots if shot.cue.camera == "main")
    total = sum(one.frame_count for one in options)
    assert 0.6 < main / total < 0.82
    assert 7.0 < total / 5.0 / len(shots) < 15.0


def test_what_is_measured_has_rows_in_live_wide_frames_alone(
    broadcast: SimulatedMatch, frames: pd.DataFrame
) -> None:
    measurable = set(frames.frame[(frames["view"] == "wide") & ~frames.replay])
    assert set(broadcast.tables["ball"]["frame"].to_pylist()) == measurable
    assert set(broadcast.tables["tracks"]["frame"].to_pylist()) == measurable
    assert set(broadcast.tables["calibration"]["frame"].to_pylist()) == set(frames.frame)
    assert set(broadcast.tables["detections"]["frame"].to_pylist()) > measurable
    assert broadcast.positions.num_rows == 25 * len(frames)


def test_a_replay_shows_again_slowly_what_was_live(broadcast: SimulatedMatch) -> None:
    film = broadcast.film
    replays = [shot for shot in film.shots if shot.cue.replay]
    for shot in replays:
        rows = film.rows[shot.first : shot.stop]
        shown_s, step_s = film.shown.time_s[rows], 1 / 12.5
        assert shown_s[-1] < broadcast.motion.time_s[shot.first]
        assert np.allclose(np.diff(shown_s), shot.cue.pace * step_s)
        assert 0.4 <= shot.cue.pace <= 0.6


def test_a_cut_has_no_camera_motion(frames: pd.DataFrame) -> None:
    first = frames.shot.diff().fillna(1) > 0
    assert (frames.camera_motion.isna() == first).all()


def test_a_close_up_keeps_its_subject_in_the_picture(broadcast: SimulatedMatch) -> None:
    film = broadcast.film
    for shot in (shot for shot in film.shots if shot.cue.camera == "close"):
        rows = film.rows[shot.first : shot.stop]
        place = film.shown.position[rows, shot.cue.subject]
        chest = np.column_stack([place, np.full(len(place), 1.2), np.ones(len(place))])
        mapped = np.einsum("nij,nj->ni", film.camera.take(rows).matrices(), chest)
        x = mapped[:, 0] / mapped[:, 2] / SHORT.width
        assert ((x > 0) & (x < 1)).mean() > 0.9


def test_a_wipe_covers_the_picture_at_the_cut_and_not_before() -> None:
    size = (480, 270)
    grid = np.stack(np.meshgrid(np.arange(480.0), np.arange(270.0)), axis=2).reshape(-1, 2)
    shares = [covered(grid, share, size).mean() for share in (0.0, 0.2, 0.5, 0.8, 1.0)]
    assert shares[2] == 1.0
    assert shares[0] == shares[4] == 0.0
    assert covered(grid, 0.45, size).mean() > 0.99
    assert 0.2 < shares[1] < 0.7
    assert 0.2 < shares[3] < 0.7


def test_the_logo_is_drawn_where_the_truth_says(broadcast: SimulatedMatch) -> None:
    look = WipeLook(broadcast.kits, np.random.default_rng(1))
    grid = np.stack(np.meshgrid(np.arange(480.0), np.arange(270.0)), axis=2).reshape(-1, 2)
    for share in (0.1, 0.3, 0.8):
        image = np.full((270, 480, 3), 7, dtype=np.uint8)
        look.draw(image, share)
        drawn = (image != 7).any(axis=2)
        expected = covered(grid, share, (480, 270)).reshape(270, 480)
        assert (drawn == expected).mean() > 0.9  # the badge reaches beyond a narrow sweep


def test_behind_the_logo_nobody_is_seen(broadcast: SimulatedMatch) -> None:
    wiped = next(shot for shot in broadcast.film.shots if shot.cue.opening == "wipe")
    views = broadcast.tables["frames"]["view"].to_pylist()
    assert views[wiped.first] == "other"
    assert wiped.first not in broadcast.tables["detections"]["frame"].to_pylist()


def test_a_broadcast_starts_from_the_main_camera() -> None:
    with pytest.raises(InputError, match="broadcast"):
        replace(SHORT, camera="wide")
