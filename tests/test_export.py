"""The export stage: what users load elsewhere must mean what our tables mean, byte for byte again.

The match is hand-made: two players a team, a referee and somebody unknown, whose places are given
by formulas, so that every number expected here can be worked out.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from kloppy import secondspectrum

from api.commands.demo import findings
from application.stage import Frame, MatchFacts
from domain import tables
from domain.configuration import ExportOptions
from domain.match import Kit, MatchOptions
from domain.periods import Period
from domain.pitch import Pitch
from stages.export import common_data_format, parquet, second_spectrum
from stages.export.drawing import status_text, visible_lines
from stages.export.palette import BGR
from stages.export.play import Play
from stages.export.positions import Positions
from stages.export.roster import Roster
from stages.export.scenes import Scenes
from stages.export.stage import ExportStage
from stages.periods import table as periods_table

WIDTH, HEIGHT, RATE, FRAMES = 640, 361, 25.0, 30
PIXELS_PER_M = 6.0
# track: (x, y, x a frame later minus x) in metres
PATHS = {
    1: (-40.0, 0.0, 0.0),
    2: (-10.0, 12.5, 0.1),
    3: (41.0, 1.0, 0.0),
    4: (8.0, -20.25, -0.2),
    5: (0.0, 5.0, 0.0),
    6: (20.0, 20.0, 0.0),
}
WHO = {
    1: ("home-1", None, "home", "goalkeeper"),
    2: ("home-2", 9, "home", "player"),
    3: ("away-1", 1, "away", "goalkeeper"),
    4: ("away-2", 9, "away", "player"),
    5: ("referee", None, "referee", "referee"),
    6: ("unknown-1", None, "unknown", "player"),
}


class MatchInMemory:
    """A whole match from given tables, cut into parts of `rows` rows."""

    def __init__(self, made: dict[str, pa.Table], workspace: Path, rows: int = 17) -> None:
        self._tables, self.workspace, self._rows = made, workspace, rows

    def table(self, name: str) -> pa.Table:
        return self._tables[name]

    def parts(self, name: str) -> Iterator[pa.Table]:
        table = self._tables[name]
        for start in range(0, table.num_rows, self._rows):
            yield table.slice(start, self._rows)

    def has(self, name: str) -> bool:
        return name in self._tables

    def frames(self) -> Iterator[Frame]:
        grass = np.full((HEIGHT, WIDTH, 3), (50, 120, 60), dtype=np.uint8)
        for frame in range(FRAMES):
            yield Frame(frame, time_of(frame), grass)

    def extract_audio(self, path: Path) -> None:
        raise AssertionError(f"export needs no sound, asked for {path}")


def time_of(frame: int) -> float:
    """A variable frame rate: every third frame comes 10 ms late."""
    return frame / RATE + (0.01 if frame % 3 == 2 else 0.0)


def place(track: int, frame: int) -> tuple[float, float]:
    x, y, step = PATHS[track]
    return x + step * frame, y


def pixel(x: float, y: float) -> tuple[float, float]:
    """A camera straight above: the centre spot in the middle, 6 pixels a metre, y up."""
    return WIDTH / 2 + PIXELS_PER_M * x, HEIGHT / 2 - PIXELS_PER_M * y


def made_tables() -> dict[str, pa.Table]:
    frames = list(range(FRAMES))
    rows = [(frame, track, *place(track, frame)) for frame in frames for track in PATHS]
    pixels = [pixel(x, y) for _, _, x, y in rows]
    times = [time_of(frame) for frame in frames]
    to_metres = [
        *(1 / PIXELS_PER_M, 0, -WIDTH / 2 / PIXELS_PER_M),
        *(0, -1 / PIXELS_PER_M, HEIGHT / 2 / PIXELS_PER_M),
        *(0, 0, 1),
    ]
    ball_x = [0.5 * frame if frame < 20 else None for frame in frames]
    count = len(frames)
    return {
        "frames": tables.make(
            "frames",
            {
                "frame": frames, "time_s": times, "period": [1] * count,
                "match_clock_s": [None] * count, "segment": [0] * count, "decoded": [True] * count,
                "view": ["wide"] * count, "shot": [0] * count, "replay": [False] * count,
                "camera_motion": [None] * count,
            },
        ),
        "tracks": tables.make(
            "tracks",
            {
                "frame": [r[0] for r in rows], "time_s": [time_of(r[0]) for r in rows],
                "track": [r[1] for r in rows],
                "x1": [p[0] - 6 for p in pixels], "y1": [p[1] - 24 for p in pixels],
                "x2": [p[0] + 6 for p in pixels], "y2": [p[1] for p in pixels],
                "x": [r[2] for r in rows], "y": [r[3] for r in rows],
                "sigma_m": [0.2] * len(rows), "speed_mps": [1.5] * len(rows),
                "observed": [True] * len(rows),
            },
        ),
        "ball": tables.make(
            "ball",
            {
                "frame": frames, "time_s": times, "x": ball_x,
                "y": [None if x is None else -3.0 for x in ball_x],
                "z": [None if x is None else 1.25 for x in ball_x],
                "pixel_x": [None] * count, "pixel_y": [None] * count, "sigma_m": [None] * count,
                "status": ["absent" if x is None else "seen" for x in ball_x],
                "confidence": [0.5] * count,
            },
        ),
        "identities": tables.make(
            "identities",
            {
                "track": list(WHO), "player": [who[0] for who in WHO.values()],
                "number": [who[1] for who in WHO.values()],
                "team": [who[2] for who in WHO.values()],
                "role": [who[3] for who in WHO.values()], "confidence": [0.9] * len(WHO),
            },
        ),
        "calibration": tables.make(
            "calibration",
            {
                "frame": frames, "homography": [to_metres] * count,
                **{
                    name: [None] * count
                    for name in (
                        "focal_px", "pan_deg", "tilt_deg", "roll_deg", "camera_x", "camera_y",
                        "camera_z", "k1",
                    )
                },
                "error_m": [0.4] * count, "status": ["measured"] * 20 + ["propagated"] * 10,
            },
        ),
        "match_events": made_events(),
        "formations": made_formations(),
        "metrics": made_metrics(),
    }  # fmt: skip


def made_events() -> pa.Table:
    """A pass from frame 2 to 8, a shot at 10 saved at 14, the ball out at 20, a throw-in at 25."""
    rows: list[tuple[Any, ...]] = [
        ("pass", 2, 8, "home-1", "home-2", "home", "complete"),
        ("shot", 10, 14, "home-2", None, "home", "saved"),
        ("ball_out", 20, 20, "away-1", None, "away", None),
        ("throw_in", 25, 25, "away-2", None, "away", None),
    ]
    starts, ends = [row[1] for row in rows], [row[2] for row in rows]
    return tables.make(
        "match_events",
        {
            "event": list(range(len(rows))), "type": [row[0] for row in rows],
            "start_frame": starts, "start_s": [time_of(frame) for frame in starts],
            "start_x": [0.0, 30.0, 10.0, 10.0], "start_y": [0.0, 5.0, 34.0, 34.0],
            "end_frame": ends, "end_s": [time_of(frame) for frame in ends],
            "end_x": [12.0, 52.0, 10.0, 10.0], "end_y": [8.0, 1.0, 34.0, 34.0],
            "player": [row[3] for row in rows], "receiver": [row[4] for row in rows],
            "team": [row[5] for row in rows], "outcome": [row[6] for row in rows],
            "confidence": [0.9, 0.8, 0.7, 0.6], "evidence": ["drawn"] * 4,
            "evidence_frames": [[frame] for frame in starts], "provisional": [False] * 4,
        },
    )  # fmt: skip


def made_formations() -> pa.Table:
    return tables.make(
        "formations",
        {
            "team": ["home"], "start_s": [0.0], "end_s": [1.2], "phase": ["all"],
            "label": ["4-3-3"], "players": [["home-1"]], "positions": [["GK"]], "x": [[0.0]],
            "y": [[0.0]], "confidence": [0.75],
        },
    )  # fmt: skip


def made_metrics() -> pa.Table:
    rows = [
        ("player", "home-2", "distance", 2.9, "m"),
        ("player", "away-2", "distance", 5.8, "m"),
        ("player", "away-2", "max_speed", 5.0, "m/s"),
        ("team", "home", "possession", 0.64, "share"),
    ]
    count = len(rows)
    names = ("scope", "subject", "name", "value", "unit")
    return tables.make(
        "metrics",
        {
            **{name: [row[index] for row in rows] for index, name in enumerate(names)},
            "uncertainty": [0.1] * count, "start_s": [0.0] * count, "end_s": [1.2] * count,
            "observed_share": [0.8] * count,
        },
    )  # fmt: skip


def without(made: dict[str, pa.Table], *names: str) -> dict[str, pa.Table]:
    return {name: table for name, table in made.items() if name not in names}


FACTS = MatchFacts(WIDTH, HEIGHT, RATE)


def export(made: dict[str, pa.Table], folder: Path, **options: Any) -> dict[str, Path]:
    folder.mkdir()
    stage = ExportStage(ExportOptions(**options), FACTS)
    return dict(stage.conclude(MatchInMemory(made, folder), None).files)


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("export") / "first"
    return export(made_tables(), folder, annotated_video=True, report=True)


# exchange formats


def test_kloppy_reads_second_spectrum_as_we_mean_it(everything: dict[str, Path]) -> None:
    dataset = secondspectrum.load(
        everything[second_spectrum.METADATA].read_bytes(),
        everything[second_spectrum.TRACKING].read_bytes(),
        coordinates="secondspectrum",
    )
    assert len(dataset) == FRAMES
    assert dataset.metadata.frame_rate == RATE
    # the referee and the player of unknown team are in no team
    assert [[player.player_id for player in team.players] for team in dataset.metadata.teams] == [
        ["home-1", "home-2"],
        ["away-1", "away-2"],
    ]
    for record in dataset:
        seen = {player.player_id: data for player, data in record.players_data.items()}
        for track in (1, 2, 3, 4):
            data = seen[WHO[track][0]]
            expected = place(track, record.frame_id)
            assert (data.coordinates.x, data.coordinates.y) == pytest.approx(expected, abs=6e-4)
            assert data.speed == 1.5
        assert record.timestamp.total_seconds() == pytest.approx(time_of(record.frame_id), abs=1e-6)
    ball = dataset[10].ball_coordinates
    assert (ball.x, ball.y, ball.z) == (5.0, -3.0, 1.25)  # 0.5 m a frame
    assert dataset[25].ball_coordinates is None
    # frame 20 is out of play and frame 25 thrown in again
    alive = [record.ball_state.value == "alive" for record in dataset]
    assert alive == [not 20 <= frame < 25 for frame in range(FRAMES)]


def test_kloppy_turns_second_spectrum_into_its_own_coordinates(everything: dict[str, Path]) -> None:
    """kloppy's own: x from 0 to 1, y from 0 at the top, so y = 12.5 m is (34 - 12.5) / 68."""
    dataset = secondspectrum.load(
        everything[second_spectrum.METADATA].read_bytes(),
        everything[second_spectrum.TRACKING].read_bytes(),
    )
    record = dataset[0]
    home_2 = next(p for p in record.players_data if p.player_id == "home-2")
    point = record.players_data[home_2].coordinates
    assert point.x == pytest.approx((52.5 - 10.0) / 105, abs=1e-6)
    assert point.y == pytest.approx((34 - 12.5) / 68, abs=1e-6)


def test_common_data_format_has_our_places(everything: dict[str, Path]) -> None:
    lines = everything[common_data_format.TRACKING].read_text().splitlines()
    frames = [json.loads(line) for line in lines]
    assert [frame["frame_id"] for frame in frames] == list(range(FRAMES))
    assert frames[2]["timestamp"] == "1970-01-01T00:00:00.090000Z"  # 2 / 25 s and 10 ms late
    for frame in frames:
        for team, tracks in (("home", (1, 2)), ("away", (3, 4))):
            players = {player["id"]: player for player in frame["teams"][team]["players"]}
            assert list(players) == [WHO[track][0] for track in tracks]
            for track in tracks:
                player = players[WHO[track][0]]
                expected = place(track, frame["frame_id"])
                assert (player["x"], player["y"]) == pytest.approx(expected, abs=6e-4)
    assert frames[10]["ball"] == {
        "x": 5.0, "y": -3.0, "z": 1.25, "status": True, "poss_team_id": "home",
    }  # fmt: skip
    assert frames[25]["ball"]["x"] is None


def test_common_data_format_is_valid_by_its_schema(everything: dict[str, Path]) -> None:
    """By the format's own schemas where its validator is installed, unknown keys being errors."""
    cdf = pytest.importorskip("cdf")
    metadata = json.loads(everything[common_data_format.METADATA].read_text())
    assert not list(cdf.MetaSchemaValidator().shadow_validator.iter_errors(metadata))
    validator = cdf.TrackingSchemaValidator().shadow_validator
    for line in everything[common_data_format.TRACKING].read_text().splitlines():
        assert not list(validator.iter_errors(json.loads(line)))


def test_common_data_format_turns_a_home_team_that_attacks_left(tmp_path: Path) -> None:
    """The format wants home from left to right; the true sides stay in the metadata."""
    made = made_tables()
    identities = made["identities"].to_pydict()
    swap = {"home": "away", "away": "home"}
    identities["team"] = [swap.get(team, team) for team in identities["team"]]
    made["identities"] = tables.make("identities", identities)
    files = export(made, tmp_path / "turned", formats=("cdf",))
    period = json.loads(files[common_data_format.METADATA].read_text())["match"]["periods"][0]
    assert period["play_direction"] == "right_left"
    assert (period["left_team_id"], period["right_team_id"]) == ("away", "home")
    frame = json.loads(files[common_data_format.TRACKING].read_text().splitlines()[0])
    keeper = frame["teams"]["home"]["players"][0]
    assert (keeper["id"], keeper["x"], keeper["y"]) == ("away-1", -41.0, -1.0)
    assert second_spectrum.TRACKING not in files  # formats chooses


def test_the_surer_track_of_a_player_counts_and_far_outside_is_an_error(tmp_path: Path) -> None:
    made = made_tables()
    identities = made["identities"].to_pydict()
    identities["player"][1] = "home-1"  # track 2 is the keeper again, at another place
    made["identities"] = tables.make("identities", identities)
    rows = made["tracks"].to_pydict()
    rows["sigma_m"] = [0.1 if track == 2 else 0.3 for track in rows["track"]]
    by_track = zip(rows["track"], rows["x"], strict=True)
    rows["x"] = [70.0 if track == 3 else x for track, x in by_track]
    made["tracks"] = tables.make("tracks", rows)
    moments = list(Positions(MatchInMemory(made, tmp_path), Pitch()).moments())
    assert all(len(moment.places[0]) == 1 for moment in moments)
    assert moments[5].places[0][0].x == pytest.approx(-9.5)  # track 2: -10 + 5 * 0.1
    # track 3 is 17.5 m beyond the goal line
    assert [len(moment.places[1]) for moment in moments] == [1] * FRAMES


def test_shirt_numbers_are_different_within_a_team_and_stand_ins_start_at_100() -> None:
    rows = [
        {"track": 1, "player": "home-1", "number": 9, "team": "home", "role": "player"},
        {"track": 2, "player": "home-2", "number": 9, "team": "home", "role": "player"},
        {"track": 3, "player": "home-3", "number": None, "team": "home", "role": "goalkeeper"},
        {"track": 4, "player": "away-1", "number": 9, "team": "away", "role": "player"},
        {"track": 7, "player": "home-1", "number": 9, "team": "home", "role": "player"},
    ]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    roster = Roster.read(tables.make("identities", columns | {"confidence": [1.0] * 5}))
    numbers = {player.name: (player.number, player.number_known) for player in roster.players}
    assert numbers == {
        "home-1": (9, True), "home-2": (100, False), "home-3": (101, False), "away-1": (9, True),
    }  # fmt: skip
    assert roster.of_tracks(np.array([7, 1, 5, 4])).tolist() == [0, 0, -1, 3]


def test_the_ball_is_a_teams_only_while_an_event_says_so() -> None:
    play = Play.read(made_events())
    assert play.at(0) == (None, None, True)  # before the first touch nobody knows
    assert play.at(5) == ("home", "home", True)  # the pass is on its way
    assert play.at(9) == ("home", None, True)
    assert play.at(22) == ("home", None, False)
    assert play.at(25) == ("away", "away", True)


def test_without_places_the_formats_are_left_out_and_the_summary_says_why(tmp_path: Path) -> None:
    made = made_tables()
    rows = made["tracks"].to_pydict()
    made["tracks"] = tables.make("tracks", rows | {"x": [None] * 180, "y": [None] * 180})
    files = export(made, tmp_path / "out", report=True)
    assert not [name for name in files if name.startswith("exports/")]
    left_out = json.loads(files["summary.json"].read_text())["exports"]["left_out"]
    assert set(left_out) == {"second_spectrum", "cdf"}
    assert "Nobody's place on the pitch is known" in files["report.html"].read_text()


# the match as it was told

TOLD = MatchOptions.model_validate(
    {
        "competition": "Cup",
        "date": "2026-05-30",
        "home": {
            "name": "Reds",
            "players": [
                {"number": 1, "name": "Ada Sands", "role": "goalkeeper"},
                {"number": 9, "name": "Bea Holm", "role": "forward"},
                {"number": 10, "name": "Not Seen"},
            ],
        },
    }
)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Ten frames of each half with ten frames between them, the second of unknown direction."""
    made = made_tables()
    columns = made["frames"].to_pydict() | {"period": [None] * FRAMES}
    made["frames"] = tables.make("frames", columns)
    halves = [
        Period(1, 0.0, time_of(10), 0.04, "left"),
        Period(2, time_of(20), 2.0, time_of(20)),
    ]
    made["periods"] = periods_table(halves, "found", estimated=[1])
    facts = replace(FACTS, details=TOLD, kits=(Kit(shirt=("#ff0000",)), Kit()))
    folder = tmp_path_factory.mktemp("told")
    return dict(
        ExportStage(ExportOptions(), facts).conclude(MatchInMemory(made, folder), None).files
    )


def test_frames_have_the_period_that_only_the_whole_match_could_tell(
    told: dict[str, Path],
) -> None:
    frames = pq.read_table(told["frames.parquet"])
    assert frames["period"].to_pylist() == [1] * 10 + [None] * 10 + [2] * 10
    clock = frames["match_clock_s"].to_pylist()
    assert clock[9] == pytest.approx(time_of(9) - 0.04)
    assert clock[10:20] == [None] * 10
    assert clock[20] == 2700.0  # the kick-off of the second half


def test_half_time_is_in_no_exchange_format(told: dict[str, Path]) -> None:
    dataset = secondspectrum.load(
        told[second_spectrum.METADATA].read_bytes(), told[second_spectrum.TRACKING].read_bytes()
    )
    assert [record.frame_id for record in dataset] == [*range(10), *range(20, 30)]
    assert [record.period.id for record in dataset] == [1] * 10 + [2] * 10
    assert dataset[3].timestamp.total_seconds() == pytest.approx(time_of(3) - 0.04, abs=1e-6)
    metadata = json.loads(told[common_data_format.METADATA].read_text())
    directions = [period["play_direction"] for period in metadata["match"]["periods"]]
    # told of the first; estimated of the second from the keeper at x = -40
    assert directions == ["right_left", "left_right"]


def test_names_are_in_the_exchange_formats_where_they_are_known(told: dict[str, Path]) -> None:
    sheet = json.loads(told[second_spectrum.METADATA].read_text())
    named = [(one["number"], one["name"], one["position"]) for one in sheet["homePlayers"]]
    # the keeper's number was not read, but one keeper was seen and one is listed
    assert named == [(1, "Ada Sands", "GK"), (9, "Bea Holm", "F")]
    assert [one["name"] for one in sheet["awayPlayers"]] == ["away-1", "away-2"]
    assert (sheet["year"], sheet["month"], sheet["day"]) == (2026, 5, 30)
    assert sheet["description"] == "Reds - away : "
    common = json.loads(told[common_data_format.METADATA].read_text())
    assert common["teams"]["home"]["name"] == "Reds"
    assert common["teams"]["home"]["players"][1]["last_name"] == "Bea Holm"
    assert common["competition"]["name"] == "Cup"
    assert common["match"]["periods"][0]["start_time"].startswith("2026-05-30T00:00:00")


def test_what_was_told_is_valid_common_data_format(told: dict[str, Path]) -> None:
    cdf = pytest.importorskip("cdf")
    metadata = json.loads(told[common_data_format.METADATA].read_text())
    assert not list(cdf.MetaSchemaValidator().shadow_validator.iter_errors(metadata))


def test_the_summary_says_who_is_who_and_how_it_is_known(told: dict[str, Path]) -> None:
    summary = json.loads(told["summary.json"].read_text())
    match = summary["match"]
    assert (match["competition"], match["date"]) == ("Cup", "2026-05-30")
    assert (match["periods_from"], match["teams_from"]) == ("found", "kits")
    first = match["periods"][0]
    assert (first["kickoff_s"], first["home_attacks"], first["home_attacks_from"]) == (
        0.04, "left", "positions",
    )  # fmt: skip
    home = match["teams"]["home"]
    assert home["name"] == "Reds"
    assert [player["player"] for player in home["players"]] == ["home-1", "home-2", None]
    assert any("Half-time was found" in note for note in summary["notes"])


def test_the_report_is_headed_by_the_teams_whatever_they_are_called(tmp_path: Path) -> None:
    details = MatchOptions.model_validate({"home": {"name": "<b>Reds"}, "date": "2026-05-30"})
    stage = ExportStage(ExportOptions(report=True), replace(FACTS, details=details))
    page = stage.conclude(MatchInMemory(made_tables(), tmp_path), None).files["report.html"]
    assert "<h1>&lt;b&gt;Reds - Away, 2026-05-30</h1>" in page.read_text(encoding="utf-8")


def test_without_a_word_about_the_match_the_summary_says_so(everything: dict[str, Path]) -> None:
    summary = json.loads(everything["summary.json"].read_text())
    assert (summary["match"]["periods_from"], summary["match"]["teams_from"]) == (
        "unknown", "arbitrary",
    )  # fmt: skip
    assert any("arbitrary" in note for note in summary["notes"])


# tables and summary


def test_tables_come_back_with_their_schema_and_rows(everything: dict[str, Path]) -> None:
    for name, table in made_tables().items():
        back = pq.read_table(everything[f"{name}.parquet"])
        # Parquet calls the items of lists "element"
        assert back.schema.names == table.schema.names
        assert back.schema.metadata == table.schema.metadata == {b"schema_version": b"1"}
        assert back.cast(tables.SCHEMAS[name]).equals(table)


def test_the_parts_of_a_table_leave_no_mark_on_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "ROWS_A_GROUP", 50)  # 180 rows: groups of 50, 50, 50 and 30
    written = []
    for rows in (7, 64, 1000):
        match = MatchInMemory(made_tables(), tmp_path, rows)
        path = parquet.write(match, "tracks", tmp_path / f"{rows}.parquet")
        written.append(path.read_bytes())
    assert written[0] == written[1] == written[2]
    assert pq.ParquetFile(tmp_path / "7.parquet").num_row_groups == 4


def test_a_table_without_rows_is_a_file_with_its_schema(tmp_path: Path) -> None:
    match = MatchInMemory({"ball": tables.empty("ball")}, tmp_path)
    back = pq.read_table(parquet.write(match, "ball", tmp_path / "ball.parquet"))
    assert back.num_rows == 0
    assert back.schema.equals(tables.SCHEMAS["ball"])


def test_everything_is_the_same_bytes_again(everything: dict[str, Path], tmp_path: Path) -> None:
    again = export(made_tables(), tmp_path / "second", annotated_video=True, report=True)
    assert set(again) == set(everything)
    for name, path in again.items():
        assert path.read_bytes() == everything[name].read_bytes(), name


def test_the_summary_counts_what_is_in_the_tables(everything: dict[str, Path]) -> None:
    summary = json.loads(everything["summary.json"].read_text())
    assert summary["video"]["frames"] == FRAMES
    # all 30 frames have an answer, 20 of them measured
    assert summary["calibration"]["answered_share"] == 1.0
    assert summary["calibration"]["measured_share"] == pytest.approx(20 / 30, abs=1e-4)
    assert summary["ball"] == {"absent_share": 0.3333, "seen_share": 0.6667}
    assert summary["identities"]["people"] == {"away": 2, "home": 2, "referee": 1, "unknown": 1}
    assert summary["match_events"] == {"ball_out": 1, "pass": 1, "shot": 1, "throw_in": 1}
    assert summary["exports"]["left_out"] == {}
    assert "annotated.mp4" in summary["exports"]["written"]


def test_a_plan_with_few_stages_exports_what_it_has(tmp_path: Path) -> None:
    files = export({"frames": made_tables()["frames"]}, tmp_path / "few", report=True)
    assert set(files) == {"frames.parquet", "report.html", "summary.json"}
    assert "calibration" not in json.loads(files["summary.json"].read_text())


# the annotated video


def decoded(path: Path) -> list[tuple[float, np.ndarray]]:
    with av.open(str(path)) as container:
        return [
            (float(frame.pts * frame.time_base), frame.to_ndarray(format="bgr24"))
            for frame in container.decode(video=0)
        ]


def test_the_annotated_video_keeps_frames_times_and_size(everything: dict[str, Path]) -> None:
    frames = decoded(everything["annotated.mp4"])
    assert [time_s for time_s, _ in frames] == pytest.approx(
        [time_of(frame) for frame in range(FRAMES)], abs=1 / 90000
    )
    # 361 rows are odd; the encoder needs an even number
    assert frames[0][1].shape == (362, 640, 3)


def test_rings_are_drawn_at_the_feet_in_the_teams_colour(everything: dict[str, Path]) -> None:
    _, image = decoded(everything["annotated.mp4"])[0]
    for track, team in ((2, "home"), (4, "away"), (6, "unknown")):
        x, y = (round(value) for value in pixel(*place(track, 0)))
        near = image[y - 6 : y + 7, x - 14 : x + 15].reshape(-1, 3).astype(int)
        distance = np.abs(near - BGR[team]).sum(axis=1)
        assert (distance < 90).sum() >= 8, team
        elsewhere = image[y - 60 : y - 45, x - 14 : x + 15].reshape(-1, 3).astype(int)
        assert np.abs(elsewhere - BGR[team]).sum(axis=1).min() > 90


def test_the_radar_can_be_left_out(everything: dict[str, Path], tmp_path: Path) -> None:
    files = export(made_tables(), tmp_path / "plain", annotated_video=True, radar=False)
    corner = (slice(HEIGHT - 60, HEIGHT - 20), slice(WIDTH - 120, WIDTH - 20))
    _, plain = decoded(files["annotated.mp4"])[5]
    _, with_radar = decoded(everything["annotated.mp4"])[5]
    assert plain[corner].mean() > with_radar[corner].mean() + 20  # its panel is dark


def test_pitch_lines_end_at_the_horizon() -> None:
    """A camera 10 m up that looks along y: what lies behind it must not be drawn mirrored."""
    # image (u, v) with the horizon at v = 100: x = (u - 320) / (v - 100) * 10, y = 3000 / (v - 100)
    homography = np.array([[10.0, 0, -3200], [0, 0, 3000], [0, 1, -100]])
    line = np.column_stack([np.zeros(41), np.arange(-20.0, 21.0)])
    (drawn,) = visible_lines([line], homography, np.array([640.0, 360.0]))
    assert (drawn[:, 1] > 100).all()
    # y = 20 m is at v = 100 + 3000 / 20 = 250
    assert drawn[-1] == pytest.approx([320, 250])


def test_the_status_line_tells_time_pitch_and_ball(tmp_path: Path) -> None:
    scene = Scenes(MatchInMemory(made_tables(), tmp_path)).at(21)
    assert status_text(scene, 62.57) == "01:02.5   pitch: propagated ±0.4 m   ball: absent"
    bare = Scenes(MatchInMemory(without(made_tables(), "calibration", "ball"), tmp_path)).at(0)
    assert status_text(bare, 0.0) == "00:00.0"


def test_a_replay_says_so_and_its_people_are_none_of_the_match(tmp_path: Path) -> None:
    """Track 1 was followed in a replay alone, so there is one fewer of its team."""
    made = made_tables()
    before = json.loads(export(made, tmp_path / "live")["summary.json"].read_text())
    made["shots"] = tables.make(
        "shots",
        {
            "shot": [1],
            "measured": [False],
            "start_frame": [10],
            "end_frame": [20],
            "start_s": [time_of(10)],
            "end_s": [time_of(20)],
            "view": ["wide"],
            "replay": [True],
            "replay_confidence": [0.9],
            "evidence": ["logo"],
            "tracks": [[1]],
        },
    )
    files = export(made, tmp_path / "replay")
    after = json.loads(files["summary.json"].read_text())
    assert before["identities"]["people"]["home"] - after["identities"]["people"]["home"] == 1
    metadata = json.loads(files["exports/second_spectrum_metadata.json"].read_text())
    assert len(metadata["homePlayers"]) == after["identities"]["people"]["home"]
    shown = {**made, "frames": pq.read_table(files["frames.parquet"])}
    scenes = Scenes(MatchInMemory(shown, tmp_path))
    assert "replay: not counted" not in status_text(scenes.at(9), 0.0)
    assert "   replay: not counted   pitch: " in status_text(scenes.at(10), 0.0)


# the report and the demo's words


@pytest.mark.parametrize(
    "title",
    [
        "Match report", "Pictures", "What the camera showed", "Possession",
        "Average positions and formations", "Passes and shots", "Distances and speeds",
        "Formations over time", "Events", "How to read this",
    ],
)  # fmt: skip
def test_the_report_has_each_section(everything: dict[str, Path], title: str) -> None:
    assert re.search(rf"<h[12]>{title}</h[12]>", everything["report.html"].read_text())


def test_the_report_needs_nothing_from_elsewhere(everything: dict[str, Path]) -> None:
    text = everything["report.html"].read_text()
    assert not re.findall(r"https?://|//[a-z]+\.|<script|<link|@import", text)
    sources = re.findall(r'src="([^"]{0,20})', text)
    # three stills, and two pictures of places and two of passes
    assert len([source for source in sources if source.startswith("data:image/jpeg")]) == 3
    assert len([source for source in sources if source.startswith("data:image/svg")]) == 4
    assert len(sources) == 7


def test_the_report_tells_numbers_and_doubts(everything: dict[str, Path]) -> None:
    text = everything["report.html"].read_text()
    assert "home 64 %" in text
    assert "away 36 %" in text
    assert "4-3-3, confidence 75 %" in text
    assert "1 of 1 passes complete, shots: 1" in text
    assert "18.0" in text  # 5 m/s is 18 km/h
    assert "measured 67 %" in text  # 20 of 30 frames
    assert "propagated 33 %" in text


def test_the_demo_tells_the_headlines(everything: dict[str, Path]) -> None:
    assert findings(json.loads(everything["summary.json"].read_text())) == [
        "pitch known in 100% of the frames, expected error 0.40 m",
        "ball seen in 67% of the frames",
        "away 2, home 2, referee 1, unknown 1",
        "events: 1 ball out, 1 pass, 1 shot, 1 throw in",
        "possession: home 64%",
        "formations: home 4-3-3",
    ]
    assert findings({}) == ["nothing that could be measured"]
