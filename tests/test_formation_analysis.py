"""Formations from drawn shapes, whole and half seen, and from real tracking."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from application.stage import MatchFacts
from domain import tables
from domain.configuration import FormationAnalysisOptions
from domain.periods import Period
from domain.pitch import Pitch
from stages.formation_analysis import FormationAnalysisStage, shape, templates
from stages.periods import table as periods_table
from tests.match_tables import identities_table, real_tracking, tracks_table
from tests.timeline_runs import assert_cut_invariant, run

FACTS = MatchFacts(1920, 1080, 25.0)
BY_LABEL = {template.label: template for template in templates.TEMPLATES}
RATE = 5.0


def stage(**options: float) -> FormationAnalysisStage:
    return FormationAnalysisStage(FormationAnalysisOptions.model_validate(options), FACTS)


def walking(
    home: str, away: str, seconds: float = 60, seed: int = 0, flip: bool = False
) -> dict[str, pa.Table]:
    """Two teams in formation, their centres on a walk, each player a metre or so off his place.

    Home attacks toward +x, or the other way with `flip`. Keepers are tracks 0 and 11.
    """
    rng = np.random.default_rng(seed)
    count = round(seconds * RATE)
    time = np.arange(count) / RATE
    centre = np.column_stack([12 * np.sin(time / 9), 5 * np.sin(time / 5)])
    paths: dict[int, np.ndarray] = {}
    rows = []
    for team, label in enumerate((home, away)):
        side = 1 if (team == 0) != flip else -1
        places = np.vstack([[-35.0, 0.0], BY_LABEL[label].places]) * side
        for index, place in enumerate(places):
            track = 11 * team + index
            stray = rng.normal(0, 1.0, (count, 2))
            paths[track] = (place if index == 0 else centre + place) + stray
            role = "player" if index else "goalkeeper"
            name = ("home", "away")[team]
            rows.append((track, f"{name}-{index:02d}", name, role))
    return {"tracks": tracks_table(paths, rate=RATE), "identities": identities_table(rows)}


def rows_of(given: dict[str, pa.Table], **options: float) -> list[dict]:
    return run(stage(**options), given)["formations"].to_pylist()


@pytest.mark.parametrize("label", BY_LABEL)
def test_players_on_a_templates_places_are_that_formation(label: str) -> None:
    fit, belief = templates.best(BY_LABEL[label].places * [0.8, 1.2] + [10, -5])
    assert fit.label == label
    assert fit.positions == BY_LABEL[label].positions
    assert fit.miss_m2 == pytest.approx(0, abs=1e-9)
    assert belief > 0.4


@pytest.mark.parametrize("flip", [False, True], ids=["attacks right", "attacks left"])
def test_both_teams_formations_whichever_way_they_play(flip: bool) -> None:
    found = rows_of(walking("4-4-2", "3-5-2", flip=flip))
    assert [(row["team"], row["label"]) for row in found] == [("home", "4-4-2"), ("away", "3-5-2")]
    by_position = dict(
        zip(found[0]["positions"], zip(found[0]["x"], found[0]["y"], strict=True), strict=True)
    )
    # strikers are ahead of centre-backs, and a left-back is on the left of a right-back
    assert by_position["LS"][0] > by_position["LCB"][0] + 20
    assert by_position["LB"][1] > by_position["RB"][1] + 20


def test_formations_after_the_change_of_ends_are_still_toward_the_goal() -> None:
    """A minute to the right, half a minute of half-time, a minute to the left: no window has both.

    All is within the minutes around it that would tell the direction without the periods.
    """
    first, second = walking("4-4-2", "3-5-2"), walking("4-4-2", "3-5-2", flip=True)
    later = second["tracks"].to_pandas()
    later["time_s"] += 90
    later["frame"] += round(90 * RATE)
    after = pa.Table.from_pandas(later, tables.SCHEMAS["tracks"], preserve_index=False)
    given = {**first, "tracks": pa.concat_tables([first["tracks"], after]).combine_chunks()}
    halves = [Period(1, 0.0, 60.0, None, "right"), Period(2, 90.0, 150.0, None, "left")]
    given["periods"] = periods_table(halves, "configuration")
    found = [row for row in rows_of(given, window_s=60) if row["team"] == "home"]
    assert [(row["start_s"], row["end_s"], row["label"]) for row in found] == [
        (0.0, 60.0, "4-4-2"),
        (90.0, 150.0, "4-4-2"),
    ]
    for row in found:
        x = dict(zip(row["positions"], row["x"], strict=True))
        assert x["LS"] > x["LCB"] + 20


def test_a_player_out_of_the_picture_half_of_the_time_keeps_his_place() -> None:
    given = walking("4-3-3", "4-3-3")
    x, second = given["tracks"]["x"].to_numpy(), np.floor(given["tracks"]["time_s"].to_numpy())
    # the camera follows the play: it sees 20 m on one side of a point that swings with the centre
    seen = np.abs(x - 12 * np.sin(second / 9)) < 22
    found = rows_of({**given, "tracks": given["tracks"].filter(pa.array(seen))})
    full = rows_of(given)
    assert found[0]["label"] == "4-3-3"
    places, whole = (
        dict(zip(row["players"], zip(row["x"], row["y"], strict=True), strict=True))
        for row in (found[0], full[0])
    )
    for player, place in places.items():
        np.testing.assert_allclose(place, whole[player], atol=1.5)


def test_offsets_are_exact_without_noise_whoever_is_seen_when() -> None:
    rng = np.random.default_rng(0)
    places = rng.normal(0, 10, (10, 2))
    places -= places.mean(axis=0)
    second, player = np.divmod(np.flatnonzero(rng.random(300) < 0.6), 10)
    second = np.unique(second, return_inverse=True)[1]
    centre = rng.normal(0, 20, (30, 2))
    found = shape.offsets(second, player, centre[second] + places[player])
    np.testing.assert_allclose(found, places, atol=1e-3)


def test_too_few_players_have_places_but_no_label() -> None:
    given = walking("4-4-2", "4-4-2")
    few = pa.array(np.isin(given["tracks"]["track"].to_numpy() % 11, [0, 1, 2, 3, 4, 5, 6, 7]))
    found = rows_of({**given, "tracks": given["tracks"].filter(few)}, min_players=8)
    assert {(row["label"], row["confidence"], len(row["players"])) for row in found} == {
        (None, 0.0, 7)
    }


def test_windows_follow_a_change_of_formation() -> None:
    first, second = walking("4-4-2", "5-3-2"), walking("4-2-3-1", "5-3-2", seed=1)
    count = round(60 * RATE)
    later = second["tracks"].to_pandas().assign(frame=lambda t: t.frame + count)
    later["time_s"] = later.frame / RATE
    tracks = pa.concat_tables(
        [first["tracks"], pa.Table.from_pandas(later, first["tracks"].schema, preserve_index=False)]
    )
    found = rows_of({**first, "tracks": tracks}, window_s=60)
    home = [(row["start_s"], row["label"]) for row in found if row["team"] == "home"]
    assert home == [(0.0, "4-4-2"), (60.0, "4-2-3-1")]


def test_phases_follow_the_touches() -> None:
    given = walking("4-4-2", "4-3-3", seconds=60)
    frames = np.arange(0, 300, 5)
    # home touches the ball in the first half minute, away in the second
    touches = {
        "frame": frames,
        "time_s": frames / RATE,
        "track": np.where(frames < 150, 5, 16),
        **dict.fromkeys(
            ("distance_m", "ball_x", "ball_y", "ball_speed_mps", "turn_mps"), frames * 0
        ),
        "confidence": np.ones(len(frames)),
    }
    found = rows_of({**given, "touches": tables.make("touches", touches)})
    phases = {(row["team"], row["phase"]) for row in found}
    assert phases == {
        (team, phase)
        for team in ("home", "away")
        for phase in ("all", "in_possession", "out_of_possession")
    }


def test_nothing_is_said_without_places_or_identities() -> None:
    given = walking("4-4-2", "4-4-2", seconds=10)
    nowhere = tracks_table({1: np.full((50, 2), np.nan)}, rate=RATE)
    assert rows_of({**given, "tracks": nowhere}) == []
    assert rows_of({"tracks": given["tracks"]}) == []


@pytest.mark.parametrize("seed", range(4))
def test_cutting_the_input_changes_nothing(seed: int) -> None:
    given = walking("4-4-2", "3-4-3", seconds=20, seed=seed)
    rng = np.random.default_rng(seed)
    seen = pa.array(rng.random(given["tracks"].num_rows) < 0.8)
    given["tracks"] = given["tracks"].filter(seen)
    assert_cut_invariant(stage(window_s=7), given, seed, cuts=1 + 8 * seed)


@pytest.mark.real
def test_formations_of_a_real_match(real_data: Path) -> None:
    given, metadata = real_tracking(real_data)
    facts = MatchFacts(1920, 1080, 25.0, Pitch(*metadata["pitch_dimensions"]))
    whole = FormationAnalysisStage(FormationAnalysisOptions(window_s=180), facts)
    found = run(whole, given)["formations"].to_pylist()
    labels = {row["team"]: row["label"].replace("-", "") for row in found if row["phase"] == "all"}
    assert labels == {"home": metadata["home_formation"], "away": metadata["away_formation"]}
