"""The stage: mean positions second by second, formations when the match is over."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from application.stage import Rows, StageResult, TimelineStage, WholeMatch
from domain import tables
from domain.configuration import FormationAnalysisOptions
from domain.periods import Period
from stages import periods as match_time
from stages.formation_analysis import seconds, shape, templates
from stages.formation_analysis.seconds import Positions
from stages.shots import Gaps

OUTFIELD = 10
MIN_PHASE_S = 5
MIN_SEEN_SHARE = 0.25
_TEAMS = ("home", "away")


class FormationAnalysisState(msgspec.Struct):
    """The rows of the second that is not complete yet."""

    waiting: pa.Table = msgspec.field(default_factory=lambda: tables.empty("tracks"))


@dataclass(frozen=True)
class Formation:
    """A row of `formations`."""

    team: str
    start_s: float
    end_s: float
    phase: str
    label: str | None
    players: list[str]
    positions: list[str]
    x: list[float]
    y: list[float]
    confidence: float


class FormationAnalysisStage(TimelineStage[FormationAnalysisOptions, FormationAnalysisState]):
    """The formation of each team in each window, in possession, out of it, and at all times.

    Windows begin anew with each period, and nothing outside the periods counts, nor in replays.

    x and y are mean places relative to the outfield players' centre, in metres, x toward the
    goal that the team attacks and y to the left of that. The label is null where fewer than
    `min_players` outfield players were seen enough; nothing is said of a team without a side.
    """

    name: ClassVar[str] = "formation_analysis"
    version: ClassVar[int] = 3
    requires: ClassVar[tuple[str, ...]] = ("tracks",)
    concludes_with: ClassVar[tuple[str, ...]] = ("track_positions", "identities")
    optional_at_end: ClassVar[tuple[str, ...]] = ("touches", "periods", "shots")
    knows_at_end: ClassVar[tuple[str, ...]] = ("periods",)
    produces: ClassVar[tuple[str, ...]] = ("track_positions", "formations")
    state_type: ClassVar[type[msgspec.Struct]] = FormationAnalysisState

    def advance(self, rows: Rows, state: FormationAnalysisState, *, final: bool) -> StageResult:
        known = pa.concat_tables([state.waiting, rows["tracks"]])
        whole, waiting = seconds.split(known, final=final)
        watermark = waiting["frame"][0].as_py() if waiting.num_rows else rows.end
        table = seconds.reduce(whole)
        return StageResult({"track_positions": table}, FormationAnalysisState(waiting), watermark)

    def conclude(self, match: WholeMatch, state: FormationAnalysisState) -> StageResult:  # noqa: ARG002
        if not match.has("identities"):
            return StageResult({"formations": tables.empty("formations")})
        identities = match.table("identities")
        gaps = Gaps.read(match)
        live = (gaps.without_replays(part) for part in match.parts("track_positions"))
        positions = Positions.read(live, identities)
        length = int(positions.second[-1]) + 1 if len(positions.second) else 0
        owner = None
        if match.has("touches"):
            touches = gaps.without_replays(match.table("touches"))
            owner = seconds.possession(touches, identities, length)
        periods = match_time.read(match, self.facts) or (Period(1, 0.0, float(length)),)
        found = [
            formation
            for period in periods
            for start_s in np.arange(period.start_s, period.end_s, self.options.window_s)
            for formation in self._window(positions, owner, float(start_s), period)
        ]
        return StageResult({"formations": _table(found)})

    def _window(
        self,
        positions: Positions,
        owner: NDArray[np.int64] | None,
        start_s: float,
        period: Period,
    ) -> Iterator[Formation]:
        """The formations of a window; a second belongs to it when its middle does."""
        end_s = min(start_s + self.options.window_s, period.end_s)
        middle = positions.second + 0.5
        rows = slice(*np.searchsorted(middle, [start_s, end_s]).tolist())
        attacks = positions.home_attacks(int(start_s), int(end_s))
        if period.home_attacks:
            attacks = 1.0 if period.home_attacks == "right" else -1.0
        if attacks is None:
            return
        second, outfield = positions.second[rows], ~positions.keeper[rows]
        phases = {"all": np.ones(len(second), bool)}
        for team, name in enumerate(_TEAMS):
            if owner is not None:
                phases["in_possession"] = owner[second] == team
                phases["out_of_possession"] = owner[second] == 1 - team
            forward = attacks if team == 0 else -attacks
            for phase, in_phase in phases.items():
                chosen = in_phase & outfield & (positions.team[rows] == team)
                found = self._shape(
                    second[chosen],
                    positions.player[rows][chosen],
                    positions.xy[rows][chosen] * forward,
                )
                if found:
                    players, places, confidence = found
                    named = [positions.names[player] for player in players]
                    yield self._formation((name, start_s, end_s, phase), named, places, confidence)

    def _shape(
        self, second: NDArray[np.int64], player: NDArray[np.int64], xy: NDArray[np.float64]
    ) -> tuple[list[int], NDArray[np.float64], float] | None:
        """The players seen enough, their places, and the share of their time that was seen."""
        lasted = len(np.unique(second))
        ids, count = np.unique(player, return_counts=True)
        order = np.argsort(-count, kind="stable")[:OUTFIELD]
        kept = np.sort(ids[order[count[order] >= MIN_SEEN_SHARE * lasted]])
        if lasted < MIN_PHASE_S or not len(kept):
            return None
        rows = np.isin(player, kept)
        moment = np.unique(second[rows], return_inverse=True)[1]
        places = shape.offsets(moment, np.searchsorted(kept, player[rows]), xy[rows])
        return kept.tolist(), places, float(rows.sum() / (lasted * OUTFIELD))

    def _formation(
        self,
        what: tuple[str, float, float, str],
        players: list[str],
        places: NDArray[np.float64],
        seen_share: float,
    ) -> Formation:
        label, positions, confidence = None, ("unknown",) * len(players), 0.0
        if len(players) >= self.options.min_players:
            fit, belief = templates.best(places)
            label, positions, confidence = fit.label, fit.positions, belief * min(seen_share, 1.0)
        x, y = places.T.tolist()
        return Formation(*what, label, players, list(positions), x, y, confidence)


def _table(found: list[Formation]) -> pa.Table:
    names = tables.SCHEMAS["formations"].names
    columns = {name: [getattr(formation, name) for formation in found] for name in names}
    return tables.make("formations", columns)
