"""The report's tables, bars and strips as HTML."""

from html import escape

import numpy as np

from stages.export.palette import HEX
from stages.export.report_data import TIME_BINS, ReportData, Strip
from stages.export.roster import TEAMS, Player

_NOTHING = '<p class="nothing">{}</p>'
_STRIP_HEX = {
    "measured": "#2f9e64", "seen": "#2f9e64", "held": "#7cc49d",
    "propagated": "#e0a21b", "estimated": "#e0a21b", "none": "#d5dae0", "absent": "#d5dae0",
}  # fmt: skip


def clock(time_s: float) -> str:
    """Minutes, seconds and tenths: 1:02.5."""
    minutes, seconds = divmod(round(max(time_s, 0.0) * 10), 600)
    return f"{minutes}:{seconds // 10:02d}.{seconds % 10}"


def percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def tile(value: str, words: str) -> str:
    return f'<div class="tile"><b>{value}</b><span>{words}</span></div>'


def strips(rows: list[tuple[str, Strip]], data: ReportData) -> str:
    """Each status's share of every moment of the match, as stacked columns."""
    cells = "".join(f"<div>{name}</div><div>{_strip(strip)}</div>" for name, strip in rows)
    legends = "".join(
        f'<div class="legend"><span>{name}:</span>{_legend(strip)}</div>' for name, strip in rows
    )
    return f'<div class="strip">{cells}<div></div>{_axis(data)}</div>{legends}'


def _axis(data: ReportData) -> str:
    start, end = clock(data.start_s), clock(data.end_s)
    return f'<div class="axis"><span>{start}</span><span>{end}</span></div>'


def _strip(strip: Strip) -> str:
    totals = np.maximum(strip.counts.sum(axis=0), 1)
    tops = np.cumsum(strip.counts / totals, axis=0)
    boxes = []
    for index in reversed(range(len(strip.statuses))):
        colour = _STRIP_HEX[strip.statuses[index]]
        for start, end, height in _runs(tops[index]):
            boxes.append(
                f'<rect x="{start}" y="{1 - height:.3f}" width="{end - start}" '
                f'height="{height:.3f}" fill="{colour}"/>'
            )
    return (
        f'<svg viewBox="0 0 {TIME_BINS} 1" preserveAspectRatio="none" '
        f'shape-rendering="crispEdges">{"".join(boxes)}</svg>'
    )


def _runs(heights: np.ndarray) -> list[tuple[int, int, float]]:
    """Neighbouring bins of one height as (start, end, height)."""
    rounded = np.round(heights, 3)
    edges = [0, *(np.flatnonzero(np.diff(rounded)) + 1).tolist(), len(rounded)]
    return [
        (start, end, float(rounded[start]))
        for start, end in zip(edges[:-1], edges[1:], strict=True)
        if rounded[start] > 0
    ]


def _legend(strip: Strip) -> str:
    return "".join(
        f'<span><i style="background:{_STRIP_HEX[name]}"></i>{name} {percent(share)}</span>'
        for name, share in strip.shares().items()
    )


def spells(data: ReportData) -> str:
    """Who had the ball when, along the match's time."""
    length = max(data.end_s - data.start_s, 1e-9)
    held = [e for e in data.events if e["type"] in ("possession", "pass") and e["team"] in TEAMS]
    if not held:
        return ""
    boxes = "".join(
        f'<rect x="{1000 * (e["start_s"] - data.start_s) / length:.1f}" y="0" height="1" '
        f'width="{max(1000 * (e["end_s"] - e["start_s"]) / length, 1):.1f}" '
        f'fill="{HEX[e["team"]]}"/>'
        for e in held
    )
    svg = (
        '<svg viewBox="0 0 1000 1" preserveAspectRatio="none">'
        f'<rect width="1000" height="1" fill="#e9ecef"/>{boxes}</svg>'
    )
    return (
        f'<div class="strip"><div>On the ball</div><div>{svg}</div><div></div>{_axis(data)}</div>'
    )


def main_formation(data: ReportData, team: str) -> str:
    """The formation of the longest time, in and out of possession together, with its confidence."""
    rows = [
        row
        for row in data.formations
        if row["team"] == team and row["phase"] == "all" and row["label"]
    ]
    if not rows:
        return "formation not known"
    seconds: dict[str, float] = {}
    for row in rows:
        seconds[row["label"]] = seconds.get(row["label"], 0.0) + row["end_s"] - row["start_s"]
    label = max(seconds, key=lambda name: (seconds[name], name))
    mine = [row["confidence"] for row in rows if row["label"] == label]
    return f"{escape(label)}, confidence {percent(sum(mine) / len(mine))}"


def players(data: ReportData) -> str:
    """Everybody who was tracked, the one who ran most first, each team by itself."""
    by_player: dict[str, dict[str, dict]] = {}
    for metric in data.metrics:
        if metric["scope"] == "player" and metric["value"] is not None:
            by_player.setdefault(metric["subject"], {})[metric["name"]] = metric
    roster = data.positions.roster.players if data.positions else ()
    known = [player for player in roster if "distance" in by_player.get(player.name, {})]
    if not known:
        return _NOTHING.format("Distances were not measured.")
    longest = max(by_player[player.name]["distance"]["value"] for player in known)
    note = (
        "Only what was tracked counts: nothing is added for the time a player was out of the "
        "picture, so compare metres a minute rather than totals."
    )
    blocks = [f'<p class="soft">{note}</p><div class="pair">']
    for team in TEAMS:
        mine = [player for player in known if player.team == team]
        mine.sort(key=lambda player: -by_player[player.name]["distance"]["value"])
        rows = "".join(_player_row(player, by_player[player.name], longest) for player in mine)
        blocks.append(
            f'<div><h3><span class="dot {team}"></span>{team.capitalize()}</h3>'
            '<table><tr><th>Player</th><th>Distance</th><th class="n">m</th>'
            '<th class="n">m/min</th><th class="n">Top km/h</th><th class="n">Seen</th></tr>'
            f"{rows}</table></div>"
        )
    return "".join(blocks) + "</div>"


def _player_row(player: Player, metrics: dict[str, dict], longest: float) -> str:
    distance, top = metrics["distance"], metrics.get("max_speed")
    span = distance["end_s"] - distance["start_s"]
    tracked = metrics["time_tracked"]["value"] if "time_tracked" in metrics else span
    rate = f"{distance['value'] / tracked * 60:.0f}" if tracked > 0 else ""
    off = distance["uncertainty"]
    doubt = f' <span class="soft small">± {off:.0f}</span>' if off else ""
    speed = f"{3.6 * top['value']:.1f}" if top else ""
    width = 100 * distance["value"] / max(longest, 1e-9)
    keeper = ' <span class="soft small">GK</span>' if player.goalkeeper else ""
    bar = f'<div class="bar"><div class="{player.team}" style="width:{width:.1f}%"></div></div>'
    return (
        f"<tr><td>{_name(player.name)}{keeper}</td><td>{bar}</td>"
        f'<td class="n">{distance["value"]:.0f}{doubt}</td><td class="n">{rate}</td>'
        f'<td class="n">{speed}</td>'
        f'<td class="n">{percent(distance["observed_share"])}</td></tr>'
    )


def formations(data: ReportData) -> str:
    if not data.formations:
        return _NOTHING.format("Formations were not measured.")
    phases = ("all", "in_possession", "out_of_possession")
    windows = sorted({(row["start_s"], row["end_s"]) for row in data.formations})
    found = {
        (row["start_s"], row["end_s"], row["team"], row["phase"]): row for row in data.formations
    }
    heads = "".join(
        f'<th><span class="who"><span class="dot {team}"></span>{words}</span></th>'
        for team in TEAMS
        for words in ("overall", "with the ball", "without")
    )
    rows = "".join(
        f"<tr><td>{clock(start)} to {clock(end)}</td>"
        + "".join(
            f"<td>{_formation(found.get((start, end, team, phase)))}</td>"
            for team in TEAMS
            for phase in phases
        )
        + "</tr>"
        for start, end in windows
    )
    return f'<div class="scroll"><table><tr><th>Time</th>{heads}</tr>{rows}</table></div>'


def _formation(row: dict | None) -> str:
    if row is None or row["label"] is None:
        return '<span class="soft">not known</span>'
    return f'{escape(row["label"])} <span class="soft small">{percent(row["confidence"])}</span>'


def events(data: ReportData) -> str:
    """All but the spells of possession, which the strip above shows."""
    shown = [event for event in data.events if event["type"] != "possession"]
    if not shown:
        return _NOTHING.format("No passes, shots or other events were found.")
    rows = "".join(_event_row(event) for event in shown)
    return (
        '<div class="scroll"><table><tr><th>Time</th><th>Event</th><th>Player</th><th>To</th>'
        f"<th>Outcome</th><th>Confidence</th></tr>{rows}</table></div>"
    )


def _event_row(event: dict) -> str:
    share = event["confidence"]
    bar = f'<div class="bar"><div class="plain" style="width:{100 * share:.0f}%"></div></div>'
    dot = f'<span class="dot {event["team"]}"></span>'
    who = f'<span class="who">{dot}{_name(event["player"])}</span>'
    return (
        f"<tr><td>{clock(event['start_s'])}</td><td>{_words(event['type'])}</td><td>{who}</td>"
        f"<td>{_name(event['receiver'])}</td><td>{_words(event['outcome'])}</td>"
        f'<td title="{percent(share)}">{bar}</td></tr>'
    )


def _words(name: str | None) -> str:
    return escape(name.replace("_", " ")) if name else ""


def _name(player: str | None) -> str:
    return escape(player.replace("_", " ").replace("-", " ")) if player else ""
