"""Both halves of a match, as tables: half-time, the change of ends, who is home and who keeps.

The matches have their true length: 45 minutes, a quarter of an hour, 45 minutes, at 25 frames a
second in blocks of 50 frames, as the stage keeps them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from application.stage import MatchFacts
from domain import tables
from domain.configuration import TeamClassificationOptions
from domain.match import Kit
from domain.periods import Period
from domain.tables import APPEARANCE_SIZE
from stages.team_classification import TeamClassificationStage
from stages.team_classification.blocks import BLOCK_FRAMES
from tests.timeline_runs import FinalTables

RATE, BLOCK_S = 25.0, BLOCK_FRAMES / 25.0
FACTS = MatchFacts(1920, 1080, RATE)
RED, WHITE, GREEN, VIOLET = (
    (45.0, 55.0, 40.0),
    (90.0, 0.0, 3.0),
    (60.0, -55.0, 45.0),
    (40.0, 50.0, -50.0),
)
GRASS = (50.0, -25.0, 40.0)
RED_KEEPER, WHITE_KEEPER = 20, 21


@dataclass(frozen=True)
class Spell:
    """Minutes of football; red stands `side` times 8 m from the centre spot, white across.

    `first_track` begins a new set of tracks: red's ten, white's ten, both keepers; `seen` are
    those of them that the camera shows.
    """

    start_min: float
    end_min: float
    side: float
    first_track: int = 0
    seen: range = range(22)


HALVES = (Spell(2, 47, -1), Spell(62, 107, 1, 100))
"""Red on the left, after a quarter of an hour on the right."""


def colours_table(spells: Sequence[Spell], *, keepers_x: float = 48.0, seed: int = 0) -> pa.Table:
    """The table `track_colours`: everybody is seen in every block of his spells."""
    rng = np.random.default_rng(seed)
    parts = []
    for spell in spells:
        blocks = np.arange(
            round(spell.start_min * 60 / BLOCK_S), round(spell.end_min * 60 / BLOCK_S)
        )
        tracks = np.array(spell.seen)
        block, track = (grid.ravel() for grid in np.meshgrid(blocks, tracks, indexing="ij"))
        red = (track < 10) | (track == RED_KEEPER)
        keeper = track >= 20
        x = np.where(red, 1, -1) * spell.side * np.where(keeper, keepers_x, 8.0)
        shirts = np.array([RED] * 10 + [WHITE] * 10 + [GREEN, VIOLET])[track]
        looks = np.zeros((len(track), APPEARANCE_SIZE), np.float32)
        looks[:, :3] = looks[:, 3:6] = shirts + rng.normal(0, 2, (len(track), 3))
        looks[:, 6:9], looks[:, 12] = GRASS, 1
        votes = np.where(keeper[:, None], [0, 50, 0], [50, 0, 0])
        columns = {
            "frame": block * BLOCK_FRAMES,
            "track": track + spell.first_track,
            "boxes": np.full(len(track), BLOCK_FRAMES),
            "coloured": np.full(len(track), BLOCK_FRAMES),
            "votes": votes,
            "x": x + rng.normal(0, 2, len(track)),
            "y": np.zeros(len(track)),
            "appearance": looks,
        }
        parts.append(tables.make("track_colours", columns))
    return pa.concat_tables(parts)


def frames_table(minutes: float, wide: Sequence[tuple[float, float]]) -> pa.Table:
    """The table `frames`; the view is wide in the given minutes, else close."""
    frame = np.arange(round(minutes * 60 * RATE))
    time_s = frame / RATE
    is_wide = np.zeros(len(frame), bool)
    for start, end in wide:
        is_wide |= (time_s >= start * 60) & (time_s < end * 60)
    columns = {
        "frame": frame,
        "time_s": time_s,
        "period": pa.nulls(len(frame), pa.int32()),
        "match_clock_s": pa.nulls(len(frame), pa.float64()),
        "segment": np.zeros(len(frame), int),
        "decoded": np.ones(len(frame), bool),
        "view": np.where(is_wide, "wide", "close").tolist(),
        "shot": np.zeros(len(frame), int),
        "replay": np.zeros(len(frame), bool),
        "camera_motion": pa.array([None] * len(frame), tables.SCHEMAS["frames"].field(9).type),
    }
    return tables.make("frames", columns)


def judged(
    spells: Sequence[Spell] = HALVES,
    facts: MatchFacts = FACTS,
    wide: Sequence[tuple[float, float]] = ((1, 48), (61, 110)),
    **more: Any,
) -> tuple[list[dict[str, Any]], dict[int, dict[str, Any]]]:
    """The rows of `periods`, and those of `identities` by track."""
    given = {
        "track_colours": [colours_table(spells, **more)],
        "frames": [frames_table(110, wide)],
    }
    stage = TeamClassificationStage(TeamClassificationOptions(), facts)
    found = stage.conclude(FinalTables(given), None).tables  # type: ignore[arg-type]
    people = {row["track"]: row for row in found["identities"].to_pylist()}
    return found["periods"].to_pylist(), people


def told(*periods: Period, by: str = "configuration") -> MatchFacts:
    return replace(FACTS, periods=periods, periods_from=by)


def test_half_time_is_found_and_the_teams_stay_who_they_are() -> None:
    periods, people = judged()
    assert [(row["period"], row["source"], row["home_attacks"]) for row in periods] == [
        (1, "found", "right"),
        (2, "found", "left"),
    ]
    borders = [(row["start_s"] / 60, row["end_s"] / 60) for row in periods]
    # within a block of two seconds of what was played
    assert borders == [pytest.approx((2, 47), abs=0.04), pytest.approx((62, 107), abs=0.04)]
    assert [row["kickoff_s"] for row in periods] == [None, None]
    # home is the team on the left first: red, under other track numbers after half-time as well
    for track in (0, 9, 100, 109, RED_KEEPER, 100 + RED_KEEPER):
        assert people[track]["team"] == "home", track
    for track in (10, 19, 110, 119, WHITE_KEEPER, 100 + WHITE_KEEPER):
        assert people[track]["team"] == "away", track


def test_highlights_shown_in_the_break_are_not_play() -> None:
    shown = Spell(54, 54.3, 1, 200)  # 18 s of a wide view with everybody in it
    periods, _ = judged((*HALVES, shown), wide=((1, 48), (54, 54.3), (61, 110)))
    assert [row["start_s"] / 60 for row in periods] == pytest.approx([2, 62], abs=0.04)


def test_players_that_only_close_views_show_are_not_play() -> None:
    """The cameras stay on the players all through half-time; no view of it is wide."""
    walking = Spell(47, 62, 1, 200)
    periods, _ = judged((*HALVES, walking))
    assert [row["end_s"] / 60 for row in periods] == pytest.approx([48, 107], abs=1.1)


def test_a_long_stop_without_a_change_of_ends_is_no_half_time() -> None:
    injured = (Spell(2, 40, -1), Spell(50, 90, -1, 100))
    periods, people = judged(injured, wide=((1, 41), (49, 91)))
    assert periods == []
    assert people[0]["team"] == people[100]["team"] == "home"


def test_a_match_without_a_stop_has_no_half_time() -> None:
    assert judged((Spell(0, 40, -1),), wide=((0, 40),))[0] == []


def test_halves_of_three_minutes_are_too_little_to_call_a_break_half_time() -> None:
    short = (Spell(1, 4, -1), Spell(8, 11, 1, 100))
    assert judged(short, wide=((0, 12),))[0] == []


def test_a_keeper_near_half_time_is_judged_by_his_own_half() -> None:
    """Two files without a break between them. Around the first half's last minute, in which the
    keepers are seen, more is known of the second half than of the first."""
    outfield, keepers = range(20), range(20, 22)
    spells = (
        Spell(0, 42, -1, 0, outfield),
        Spell(44, 45, -1, 0, keepers),
        Spell(45, 90, 1, 100, outfield),
        Spell(45, 46, 1, 100, keepers),
    )
    facts = told(Period(1, 0.0, 2700.0), Period(2, 2700.0, 5400.0), by="files")
    periods, people = judged(spells, facts, wide=((0, 90),))
    assert [(row["source"], row["home_attacks"]) for row in periods] == [
        ("files", "right"),
        ("files", "left"),
    ]
    assert people[RED_KEEPER]["team"] == people[100 + RED_KEEPER]["team"] == "home"
    assert people[WHITE_KEEPER]["team"] == people[100 + WHITE_KEEPER]["team"] == "away"


def test_home_is_the_team_that_attacks_where_home_is_said_to() -> None:
    """White stands on the right in the first half, so home_attacks: left makes it home."""
    halves = (Period(1, 120.0, 2820.0, 120.0, "left"), Period(2, 3720.0, 6420.0))
    periods, people = judged(facts=told(*halves))
    assert people[10]["team"] == "home"
    assert [(row["home_attacks"], row["direction_source"]) for row in periods] == [
        ("left", "configuration"),
        ("right", "positions"),
    ]


def test_a_half_that_tells_nothing_has_the_other_ends() -> None:
    halves = (Period(1, 120.0, 2820.0), Period(2, 3720.0, 6420.0))
    periods, _ = judged((HALVES[0], Spell(62, 107, 0, 100)), told(*halves))
    assert [row["home_attacks"] for row in periods] == ["right", "left"]


@pytest.mark.parametrize(
    ("home", "away", "red_is"),
    [
        ({"shirt": "#f0f0f0"}, {}, "away"),
        ({"shirt": ["#0000ff", "#c02020"]}, {}, "home"),  # striped: one of its colours is enough
        ({"shorts": "#ffffff"}, {"shorts": "#c02020"}, "away"),
        ({"shirt": "#c02020"}, {"shirt": "#ffffff"}, "home"),
    ],
    ids=["home white", "a stripe red", "by the shorts", "both"],
)
def test_kits_say_who_is_home_before_anything_else(
    home: dict[str, Any], away: dict[str, Any], red_is: str
) -> None:
    """`home_attacks` would make white home."""
    halves = (Period(1, 120.0, 2820.0, 120.0, "left"), Period(2, 3720.0, 6420.0))
    kits = Kit.model_validate(home), Kit.model_validate(away)
    _, people = judged(facts=replace(told(*halves), kits=kits))
    assert people[0]["team"] == people[100]["team"] == red_is


def test_keepers_at_the_centre_spot_are_told_by_their_shirts() -> None:
    kits = Kit(goalkeeper="#20a020"), Kit(goalkeeper="#8030c0")
    _, people = judged(keepers_x=0.0, facts=replace(FACTS, kits=kits))
    assert people[RED_KEEPER]["team"] == people[100 + RED_KEEPER]["team"] == "home"
    assert people[WHITE_KEEPER]["team"] == "away"
