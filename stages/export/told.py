"""What summary.json says of the match itself: periods, teams, players, and how each is known."""

from collections.abc import Iterator
from typing import Any

from application.stage import MatchFacts, WholeMatch
from domain.match import TeamOptions
from stages.export.roster import TEAMS, Roster
from stages.pitch_size import PitchSize

UNKNOWN_TEAM_NOTE = "Tracks of unknown team and referees are in no file under exports/."
ARBITRARY = (
    "Which team is called home is arbitrary, but the same all through: match.home.kit, "
    "match.away.kit or home_attacks in match.periods tells it."
)
BY_KIT = "Home and away are the teams whose clothes are nearer to the kits of the configuration."
BY_SIDE = "Home is the team that attacks where home_attacks of match.periods says."
BY_DATA = "Home and away are those of the tracking data."
PERIODS = {
    "configuration": "The periods are those of the configuration.",
    "data": "The periods are those of the tracking data.",
    "files": "Each of the two files is taken for a half that kicks off at its first frame; "
    "match.periods can say otherwise.",
    "found": "Half-time was found in the picture: when the halves kick off is not known, so there "
    "is no match clock; match.periods can tell it.",
    "unknown": "The periods are not known, so all of the input counts and there is no match "
    "clock; match.periods can tell them.",
}


def section(match: WholeMatch, facts: MatchFacts) -> dict[str, Any]:
    """The match's part of the summary."""
    details = facts.details
    given = {
        "competition": details.competition,
        "date": details.date.isoformat() if details.date else None,
    }
    return {
        **{name: value for name, value in given.items() if value},
        "periods_from": _source(match, facts),
        "periods": list(_periods(match)),
        "teams_from": _teams_from(match, facts),
        "teams": {team: _team(team, getattr(details, team), match, facts) for team in TEAMS},
    }


def notes(match: WholeMatch, facts: MatchFacts) -> list[str]:
    """How it is known who is home and which periods there are, in words, and what looks wrong."""
    found = [PERIODS[_source(match, facts)]]
    size = PitchSize.read(match)
    if size is not None and (finding := size.finding(facts.pitch)):
        found.insert(0, finding)
    if match.has("identities"):
        teams = {"kits": BY_KIT, "home_attacks": BY_SIDE, "data": BY_DATA, "arbitrary": ARBITRARY}
        found += [teams[_teams_from(match, facts)], UNKNOWN_TEAM_NOTE]
    return found


def _rows(match: WholeMatch) -> list[dict[str, Any]]:
    return match.table("periods").to_pylist() if match.has("periods") else []


def _source(match: WholeMatch, facts: MatchFacts) -> str:
    return next((str(row["source"]) for row in _rows(match)), facts.periods_from)


def _periods(match: WholeMatch) -> Iterator[dict[str, Any]]:
    for row in _rows(match):
        times = {
            name: None if row[name] is None else round(row[name], 3)
            for name in ("start_s", "end_s", "kickoff_s")
        }
        yield {
            "period": row["period"],
            **times,
            "home_attacks": row["home_attacks"],
            "home_attacks_from": row["direction_source"],
        }


def _teams_from(match: WholeMatch, facts: MatchFacts) -> str:
    if _source(match, facts) == "data":
        return "data"
    if any(kit.shirt or kit.shorts for kit in facts.kits):
        return "kits"
    told = any(period.home_attacks for period in facts.periods)
    return "home_attacks" if told else "arbitrary"


def _team(side: str, team: TeamOptions, match: WholeMatch, facts: MatchFacts) -> dict[str, Any]:
    """The team's name and its list, with the name in our tables of those who were recognised."""
    ours: dict[int, str] = {}
    if match.has("identities"):
        roster = Roster.read(match.table("identities"), facts.details)
        ours = {p.number: p.name for p in roster.players if p.team == side and p.listed}
    listed = [
        {"number": p.number, "name": p.name, "role": p.role, "player": ours.get(p.number)}
        for p in team.players
    ]
    return {"name": team.name, "players": listed}
