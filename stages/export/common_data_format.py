"""Tracking in the Common Data Format 0.3: a JSON object a frame, and metadata in JSON.

Anzer et al. (2025), "Common Data Format (CDF): A Standardized Format for Match-Data in Football",
and the schemas of its validator. Metres from the centre spot as here, but home always plays from
left to right: a period in which home attacks to the left is turned by 180 degrees, and its
metadata tell (`play_direction`, `left_team_id`: the true sides as the camera shows them).

The hour is not known, nor perhaps the day: video time 0 is written as midnight (UTC) of the day
that the match's configuration gives, or of 1970-01-01.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from application.stage import MatchFacts
from stages.export.positions import Moment, Period, Place, Positions
from stages.export.roster import TEAMS, Player

TRACKING = "exports/cdf_tracking.jsonl"
METADATA = "exports/cdf_metadata.json"
CDF_VERSION = "0.3.2"
PERIODS = (
    "first_half",
    "second_half",
    "first_half_extratime",
    "second_half_extratime",
    "shootout",
)
_UNKNOWN = "unknown"
_MATCH_ID = "match"
_VENDOR = {"name": "footanalytics", "version": "0.1.0"}


def write(positions: Positions, facts: MatchFacts, folder: Path) -> Mapping[str, Path]:
    """Write both files into `folder`; returns them by the names to publish."""
    tracking, metadata = folder / Path(TRACKING).name, folder / Path(METADATA).name
    encoder = msgspec.json.Encoder()
    players, midnight = positions.roster.players, _midnight(positions)
    with tracking.open("wb") as lines:
        for moment in positions.moments():
            sign = 1 if positions.periods[moment.period].home_attacks_right else -1
            lines.write(encoder.encode(_frame(moment, sign, players, midnight)) + b"\n")
    metadata.write_bytes(msgspec.json.format(encoder.encode(_metadata(positions, facts))) + b"\n")
    return {TRACKING: tracking, METADATA: metadata}


def _frame(
    moment: Moment, sign: int, players: tuple[Player, ...], midnight: datetime
) -> dict[str, Any]:
    home, away = ([_player(place, sign, players) for place in team] for team in moment.places)
    return {
        "frame_id": moment.frame,
        "timestamp": _timestamp(moment.time_s, midnight),
        "period": _period_name(moment.period),
        "match": {"id": _MATCH_ID},
        "teams": {"home": {"id": "home", "players": home}, "away": {"id": "away", "players": away}},
        "ball": _ball(moment, sign),
    }


def _player(place: Place, sign: int, players: tuple[Player, ...]) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "id": players[place.player].name,
        "x": _turned(place.x, sign),
        "y": _turned(place.y, sign),
        "is_visible": place.observed,
    }
    if place.speed_mps is not None:
        entry["vel"] = place.speed_mps
    return entry


def _ball(moment: Moment, sign: int) -> dict[str, Any]:
    entry: dict[str, Any] = {"x": None, "y": None, "z": None, "status": moment.alive}
    if moment.ball is not None:
        x, y, z = moment.ball
        entry |= {"x": _turned(x, sign), "y": _turned(y, sign), "z": z}
    if moment.possession is not None:
        entry["poss_team_id"] = moment.possession
    return entry


def _turned(value: float, sign: int) -> float:
    """Adding 0 makes the -0.0 of a turned zero plain."""
    return sign * value + 0.0


def _midnight(positions: Positions) -> datetime:
    day = positions.details.date or date(1970, 1, 1)
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _timestamp(time_s: float, midnight: datetime) -> str:
    moment = midnight + timedelta(microseconds=round(time_s * 1e6))
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _period_name(number: int) -> str:
    return PERIODS[min(number, len(PERIODS)) - 1]


def _metadata(positions: Positions, facts: MatchFacts) -> dict[str, Any]:
    start_s, midnight = min(p.kickoff_s for p in positions.periods.values()), _midnight(positions)
    competition = positions.details.competition
    return {
        "competition": {"id": _UNKNOWN, **({"name": competition} if competition else {})},
        "season": {"id": _UNKNOWN},
        "match": {
            "id": _MATCH_ID,
            "kickoff_time": _timestamp(start_s, midnight),
            "periods": [
                _period(period, midnight) for _, period in sorted(positions.periods.items())
            ],
            "whistles": [],
        },
        "teams": {team: _team(team, positions) for team in TEAMS},
        "venue": {
            "id": _UNKNOWN,
            "pitch_length": facts.pitch.length_m,
            "pitch_width": facts.pitch.width_m,
        },
        "meta": {
            "video": None,
            "event": None,
            "tracking": {
                **_VENDOR,
                "fps": max(round(facts.frame_rate), 1),
                "collection_timing": "post_match",
            },
            "landmarks": None,
            "ball": None,
            "meta": dict(_VENDOR),
            "cdf": {"version": CDF_VERSION},
        },
    }


def _period(period: Period, midnight: datetime) -> dict[str, Any]:
    left, right = ("home", "away") if period.home_attacks_right else ("away", "home")
    return {
        "period": _period_name(period.number),
        "play_direction": "left_right" if period.home_attacks_right else "right_left",
        "start_time": _timestamp(period.start_s, midnight),
        "end_time": _timestamp(period.end_s, midnight),
        "frame_id_start": period.first_frame,
        "frame_id_end": period.last_frame,
        "left_team_id": left,
        "right_team_id": right,
    }


def _team(team: str, positions: Positions) -> dict[str, Any]:
    """Who started is not known: everybody listed here was seen playing."""
    players = [positions.roster.players[index] for index in positions.roster.of_team(team)]
    return {
        "id": team,
        "name": (positions.details.home if team == "home" else positions.details.away).name or team,
        "players": [
            {
                "id": player.name,
                "team_id": team,
                "jersey_number": player.number,
                "is_starter": True,
                **({"last_name": player.listed.name} if player.listed else {}),
            }
            for player in players
        ],
    }
