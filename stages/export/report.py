"""report.html: the match on one page that needs no network and no server."""

import base64
from collections.abc import Mapping
from html import escape
from pathlib import Path

from stages.export import report_tables as parts
from stages.export.report_data import ReportData
from stages.export.report_tables import clock, percent, tile
from stages.export.roster import TEAMS

TITLE = "Match report"
_NOTHING = '<p class="nothing">{}</p>'


def page(data: ReportData, stills: Mapping[float, bytes]) -> str:
    """The page as HTML text; `stills` are JPEG pictures of the annotated video by time in s."""
    style = Path(__file__).with_name("report.css").read_text(encoding="utf-8")
    sections = [
        _header(data),
        _tiles(data),
        _section("Pictures", _stills(stills)) if stills else "",
        _section("What the camera showed", _coverage(data)),
        _section("Possession", _possession(data)),
        _section("Average positions and formations", _places(data)),
        _section("Passes and shots", _passes(data)),
        _section("Distances and speeds", parts.players(data)),
        _section("Formations over time", parts.formations(data)),
        _section("Events", parts.events(data)),
        _section("How to read this", _notes(data)),
    ]
    body = "\n".join(section for section in sections if section)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{TITLE}</title>\n<style>\n{style}</style></head>\n"
        f"<body><main>\n{body}\n</main></body></html>\n"
    )


def _section(title: str, content: str) -> str:
    return f"<section><h2>{title}</h2>\n{content}\n</section>"


def _header(data: ReportData) -> str:
    facts = data.facts
    size = f"{facts.width} by {facts.height} pixels, {facts.frame_rate:.4g} frames a second"
    pitch = f"pitch {facts.pitch.length_m:g} by {facts.pitch.width_m:g} m"
    return f'<header><h1>{_match_name(data)}</h1><p class="soft">{size}, {pitch}</p></header>'


def _match_name(data: ReportData) -> str:
    """Who played, in which competition and when, as far as somebody said."""
    told = data.facts.details
    if not (told.home.name or told.away.name):
        return TITLE
    teams = f"{told.home.name or 'Home'} - {told.away.name or 'Away'}"
    day = told.date.isoformat() if told.date else None
    return escape(", ".join(each for each in (teams, told.competition, day) if each))


def _tiles(data: ReportData) -> str:
    tiles = [tile(clock(data.end_s - data.start_s), f"of video, {data.frames} frames")]
    if data.pitch_strip:
        known = 1 - data.pitch_strip.shares()["none"]
        tiles.append(tile(percent(known), "of frames with a known pitch"))
    if data.ball_strip:
        shares = data.ball_strip.shares()
        tiles.append(tile(percent(shares["seen"] + shares["held"]), "of frames with the ball seen"))
    if data.teams:
        counts = " / ".join(str(len(data.teams[team].players)) for team in TEAMS)
        tiles.append(tile(counts, "players found, home / away"))
    for kind, name in (("pass", "passes"), ("shot", "shots")):
        if data.events:
            counts = " / ".join(str(len(data.events_of(kind, team))) for team in TEAMS)
            tiles.append(tile(counts, f"{name}, home / away"))
    return f'<div class="tiles">{"".join(tiles)}</div>'


def _stills(stills: Mapping[float, bytes]) -> str:
    figures = [
        f'<figure><img alt="frame at {clock(time_s)}" src="data:image/jpeg;base64,'
        f'{base64.b64encode(picture).decode()}"><figcaption>{clock(time_s)}</figcaption></figure>'
        for time_s, picture in sorted(stills.items())
    ]
    return f'<div class="stills">{"".join(figures)}</div>'


def _coverage(data: ReportData) -> str:
    """Where the numbers come from: how much of the time was measured at all."""
    strips = []
    if data.pitch_strip:
        strips.append(("Pitch", data.pitch_strip))
    if data.ball_strip:
        strips.append(("Ball", data.ball_strip))
    if not strips:
        return _NOTHING.format("No stage looked for the pitch or the ball.")
    intro = (
        "Places and speeds exist only where the pitch's lines told where the camera looked. "
        "Nothing is filled in for the rest."
    )
    finding = data.size.finding(data.facts.pitch) if data.size else None
    told = f"<p>{escape(finding)}</p>" if finding else ""
    return f'<p class="soft">{intro}</p>{told}{parts.strips(strips, data)}'


def _possession(data: ReportData) -> str:
    home, away = data.metric("home", "possession"), data.metric("away", "possession")
    known = home or away
    if known is None:
        return _NOTHING.format("Possession was not measured.")
    value = home["value"] if home else 1 - known["value"]
    # a narrow part has no room for its words
    words = [f"home {percent(value)}", f"away {percent(1 - value)}"]
    shown = [
        word if share > 0.15 else "" for word, share in zip(words, (value, 1 - value), strict=True)
    ]
    bar = "".join(
        f'<div class="{team}" style="width:{100 * share:.2f}%">{word}</div>'
        for team, share, word in zip(TEAMS, (value, 1 - value), shown, strict=True)
    )
    off = known["uncertainty"]
    doubt = f", give or take {100 * off:.0f} points" if off else ""
    told = f"Known for {percent(known['observed_share'])} of the time{doubt}."
    return f'<div class="split">{bar}</div><p class="soft small">{told}</p>{parts.spells(data)}'


def _places(data: ReportData) -> str:
    if not data.teams or not any(team.players for team in data.teams.values()):
        return _NOTHING.format("Nobody's place on the pitch is known.")
    from stages.export.report_plots import places_picture

    pictures = {team: places_picture(data.facts.pitch, team, data.teams[team]) for team in TEAMS}
    labels = {team: parts.main_formation(data, team) for team in TEAMS}
    note = (
        "Each disc is a player's mean place, larger the longer he was seen; the cloud is where "
        "the team was. Left and right are as the main camera sees them."
    )
    return f'<p class="soft">{note}</p>{_pair(pictures, labels)}'


def _passes(data: ReportData) -> str:
    kinds = {"pass", "shot"} & {event["type"] for event in data.events}
    if not kinds:
        return _NOTHING.format("No passes or shots were found.")
    from stages.export.report_plots import passes_picture

    pictures, labels = {}, {}
    for team in TEAMS:
        passes, shots = data.events_of("pass", team), data.events_of("shot", team)
        pictures[team] = passes_picture(data.facts.pitch, team, passes, shots)
        complete = sum(event["outcome"] == "complete" for event in passes)
        labels[team] = f"{complete} of {len(passes)} passes complete, shots: {len(shots)}"
    note = (
        "Arrows in colour are complete passes, fainter where less sure; grey ones did not arrive. "
        "Larger marks are shots: a star is a goal, a disc was saved, a square blocked, "
        "a cross missed."
    )
    return f'<p class="soft">{note}</p>{_pair(pictures, labels)}'


def _pair(pictures: Mapping[str, str], labels: Mapping[str, str]) -> str:
    cells = [
        f'<div><h3><span class="dot {team}"></span>{team.capitalize()}'
        f'<span class="soft small">{labels[team]}</span></h3>'
        f'<img alt="{team}: {labels[team]}" src="{pictures[team]}"></div>'
        for team in TEAMS
    ]
    return f'<div class="pair">{"".join(cells)}</div>'


def _notes(data: ReportData) -> str:
    notes = [
        "Which team is called home is arbitrary, but the same on the whole page, unless shirt "
        "colours were configured. The colours here are not those of the shirts.",
        "Numbers are shirt numbers where they are known; #3 is only our count of players.",
        "A player who left the picture may come back as another one, so there may be more "
        "players than eleven, and totals of a player are of the time he was tracked.",
        "Confidence is our own estimate of how likely an event happened as listed.",
    ]
    if data.positions is None:
        notes.append(
            "No place on the pitch is known, so that maps, distances and speeds are left out."
        )
    return "<ul>" + "".join(f"<li>{note}</li>" for note in notes) + "</ul>"
