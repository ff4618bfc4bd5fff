"""What the report shows, gathered in one pass over the tables: its size does not grow with time."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from application.stage import MatchFacts, WholeMatch
from stages.export.positions import People, Positions
from stages.export.roster import TEAMS, Player
from stages.export.rows import frames_table
from stages.pitch_size import PitchSize

Array = NDArray[np.float64]
TIME_BINS = 150
CELL_M = 2.0


@dataclass(frozen=True)
class MeanPlace:
    """Where a player was on average, in metres, and in how many frames he had a place."""

    player: Player
    x: float
    y: float
    frames: int


@dataclass
class TeamPlaces:
    """A team's players and where they were; `heat` counts rows in cells of `CELL_M`, (y, x)."""

    heat: Array
    players: list[MeanPlace] = field(default_factory=list)


@dataclass(frozen=True)
class Strip:
    """How often each status was seen in each bin of the match's time: (statuses, bins)."""

    statuses: tuple[str, ...]
    counts: Array

    def shares(self) -> dict[str, float]:
        total = max(float(self.counts.sum()), 1.0)
        by_status = self.counts.sum(axis=1).tolist()
        return {name: n / total for name, n in zip(self.statuses, by_status, strict=True)}


@dataclass
class ReportData:
    """All that the page tells; a part that no stage made is None or empty."""

    facts: MatchFacts
    frames: int
    start_s: float
    end_s: float
    pitch_strip: Strip | None
    ball_strip: Strip | None
    positions: Positions | None
    teams: dict[str, TeamPlaces]
    events: list[dict]
    formations: list[dict]
    metrics: list[dict]
    size: PitchSize | None = None

    def metric(self, subject: str, name: str) -> dict | None:
        """The metric of a subject, if it was measured."""
        found = (m for m in self.metrics if m["subject"] == subject and m["name"] == name)
        metric = next(found, None)
        return metric if metric and metric["value"] is not None else None

    def events_of(self, kind: str, team: str) -> list[dict]:
        return [event for event in self.events if event["type"] == kind and event["team"] == team]


def gather(match: WholeMatch, facts: MatchFacts, positions: Positions | None) -> ReportData:
    """Read everything once. `positions` is None where nobody's place is known."""
    count, start_s, end_s, last_frame = _extent(match)
    frames_per_bin = max((last_frame + 1) / TIME_BINS, 1e-9)
    return ReportData(
        facts,
        count,
        start_s,
        end_s,
        _strip(match, "calibration", ("measured", "propagated", "none"), frames_per_bin),
        _strip(match, "ball", ("seen", "held", "estimated", "absent"), frames_per_bin),
        positions,
        _places(positions, facts) if positions else {},
        _rows(match, "match_events"),
        _rows(match, "formations"),
        _rows(match, "metrics"),
        PitchSize.read(match),
    )


def _extent(match: WholeMatch) -> tuple[int, float, float, int]:
    """Frames, the times of the first and the last in seconds, and the last one's number."""
    name = frames_table(match)
    count, start_s, end_s, last = 0, 0.0, 0.0, 0
    for part in match.parts(name) if name else ():
        if part.num_rows:
            start_s = part["time_s"][0].as_py() if count == 0 else start_s
            end_s, last = part["time_s"][-1].as_py(), part["frame"][-1].as_py()
            count += part.num_rows
    return count, start_s, end_s, last


def _strip(
    match: WholeMatch, table: str, statuses: tuple[str, ...], frames_per_bin: float
) -> Strip | None:
    if not match.has(table):
        return None
    counts = np.zeros((len(statuses), TIME_BINS))
    order = {status: index for index, status in enumerate(statuses)}
    for part in match.parts(table):
        kinds = np.array([order[status] for status in part["status"].to_pylist()], dtype=np.int64)
        bins = (part["frame"].to_numpy() / frames_per_bin).astype(np.int64)
        np.add.at(counts, (kinds, np.minimum(bins, TIME_BINS - 1)), 1)
    return Strip(statuses, counts)


def _places(positions: Positions, facts: MatchFacts) -> dict[str, TeamPlaces]:
    shape = heat_shape(facts)
    heats = {team: np.zeros(shape) for team in TEAMS}
    sums = np.zeros((len(positions.roster.players), 3))
    for _, people, _ in positions.stretches():
        _add(people, positions, sums, heats, facts)
    teams = {team: TeamPlaces(heats[team]) for team in TEAMS}
    for player, (x, y, rows) in zip(positions.roster.players, sums.tolist(), strict=True):
        if rows:
            mean = MeanPlace(player, x / rows, y / rows, int(rows))
            teams[player.team].players.append(mean)
    return teams


def _add(
    people: People, positions: Positions, sums: Array, heats: dict[str, Array], facts: MatchFacts
) -> None:
    np.add.at(sums[:, :2], people.player, people.xy)
    np.add.at(sums[:, 2], people.player, 1)
    half = np.array([facts.pitch.half_length_m, facts.pitch.half_width_m])
    cells = ((people.xy + half) / CELL_M).astype(np.int64)
    cells = np.clip(cells, 0, np.array(heat_shape(facts))[::-1] - 1)
    home_end = len(positions.roster.of_team("home"))
    for team, chosen in (("home", people.player < home_end), ("away", people.player >= home_end)):
        np.add.at(heats[team], (cells[chosen, 1], cells[chosen, 0]), 1)


def heat_shape(facts: MatchFacts) -> tuple[int, int]:
    """Cells down and across the pitch."""
    down, across = facts.pitch.width_m / CELL_M, facts.pitch.length_m / CELL_M
    return int(np.ceil(down)), int(np.ceil(across))


def _rows(match: WholeMatch, name: str) -> list[dict]:
    return match.table(name).to_pylist() if match.has(name) else []


def still_frames(match: WholeMatch, count: int = 3) -> set[int]:
    """Frames worth a picture: amid each n-th of the match the one that shows the most people."""
    if not match.has("tracks"):
        return set()
    _, _, _, last = _extent(match)
    best: dict[int, tuple[int, int]] = {}
    for part in match.parts("tracks"):
        observed = part["observed"].to_numpy(zero_copy_only=False)
        frames, people = np.unique(part["frame"].to_numpy()[observed], return_counts=True)
        for frame, number in zip(frames.tolist(), people.tolist(), strict=True):
            part_number, place = divmod(frame * count / (last + 1), 1)
            if 0.25 <= place <= 0.75:
                best[int(part_number)] = max(best.get(int(part_number), (0, 0)), (number, -frame))
    return {-frame for _, frame in best.values()}
