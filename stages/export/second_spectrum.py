"""Tracking in Second Spectrum's form: a JSON object a frame, and metadata in JSON.

Its coordinates are ours: metres from the centre spot, y up the page. kloppy reads it with
`kloppy.secondspectrum.load(metadata, tracking)`. What the form must have and nobody knows here:
the date is 1 January 1970, clocks count milliseconds of the video, the score is null, and
`lastTouch` is empty before the first known touch (kloppy reads that as away).
"""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import msgspec

from application.stage import MatchFacts
from stages.export.positions import Moment, Period, Place, Positions
from stages.export.roster import Player

TRACKING = "exports/second_spectrum_tracking.jsonl"
METADATA = "exports/second_spectrum_metadata.json"
_MATCH_ID = "match"


def write(positions: Positions, facts: MatchFacts, folder: Path) -> Mapping[str, Path]:
    """Write both files into `folder`; returns them by the names to publish."""
    tracking, metadata = folder / Path(TRACKING).name, folder / Path(METADATA).name
    encoder = msgspec.json.Encoder()
    players = positions.roster.players
    with tracking.open("wb") as lines:
        for moment in positions.moments():
            period = positions.periods[moment.period]
            lines.write(encoder.encode(_frame(moment, period, players)) + b"\n")
    metadata.write_bytes(msgspec.json.format(encoder.encode(_metadata(positions, facts))) + b"\n")
    return {TRACKING: tracking, METADATA: metadata}


def _frame(moment: Moment, period: Period, players: tuple[Player, ...]) -> dict[str, Any]:
    home, away = ([_player(place, players) for place in team] for team in moment.places)
    return {
        "period": moment.period,
        "frameIdx": moment.frame,
        "gameClock": round(moment.time_s - period.kickoff_s, 6),
        "wallClock": round(moment.time_s * 1000),
        "live": moment.alive,
        "lastTouch": moment.last_touch or "",
        "homePlayers": home,
        "awayPlayers": away,
        "ball": {"xyz": _ball(moment), "speed": None},
    }


def _player(place: Place, players: tuple[Player, ...]) -> dict[str, Any]:
    player = players[place.player]
    return {
        "playerId": player.name,
        "number": player.number,
        "xyz": (place.x, place.y, 0.0),
        "speed": place.speed_mps,
    }


def _ball(moment: Moment) -> tuple[float, float, float] | None:
    """An unknown height is written as the ground's: the form has no other way."""
    if moment.ball is None:
        return None
    x, y, z = moment.ball
    return x, y, z or 0.0


def _metadata(positions: Positions, facts: MatchFacts) -> dict[str, Any]:
    teams = {
        f"{team}Players": [
            _listed(positions.roster.players[index]) for index in positions.roster.of_team(team)
        ]
        for team in ("home", "away")
    }
    details = positions.details
    played = details.date or date(1970, 1, 1)
    return {
        "description": f"{details.home.name or 'home'} - {details.away.name or 'away'} : ",
        "ssiId": _MATCH_ID,
        "homeOptaId": "home",
        "awayOptaId": "away",
        "homeScore": None,
        "awayScore": None,
        "year": played.year,
        "month": played.month,
        "day": played.day,
        "startTime": round(min(p.start_s for p in positions.periods.values()) * 1000),
        "fps": max(round(facts.frame_rate), 1),
        "pitchLength": facts.pitch.length_m,
        "pitchWidth": facts.pitch.width_m,
        "periods": _periods(positions),
        **teams,
    }


def _periods(positions: Positions) -> list[dict[str, int]]:
    """Every period up to the last that was seen: readers find a period by its place in the list.

    A period of frames 0 to 0 counts as absent there, so that one frame alone ends at 1.
    """
    absent = Period(0, 1, 1, 0.0, 0.0, 0.0, home_attacks_right=True)
    return [
        _period(number, positions.periods.get(number, absent))
        for number in range(1, max(positions.periods) + 1)
    ]


def _period(number: int, period: Period) -> dict[str, int]:
    return {
        "number": number,
        "startFrameIdx": period.first_frame,
        "endFrameIdx": max(period.last_frame, 1),
        "startFrameClock": round(period.start_s * 1000),
        "endFrameClock": round(period.end_s * 1000),
    }


def _listed(player: Player) -> dict[str, Any]:
    return {
        "name": player.called,
        "number": player.number,
        "position": _position(player),
        "optaId": player.name,
        "ssiId": player.name,
        "optaUuid": player.name,
    }


def _position(player: Player) -> str:
    role = player.listed.role if player.listed else None
    if player.goalkeeper or role == "goalkeeper":
        return "GK"
    return {"defender": "D", "midfielder": "M", "forward": "F"}.get(role or "", "")
