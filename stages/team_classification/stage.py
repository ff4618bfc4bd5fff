"""The stage: medians of colour segment by segment, teams and names when the match is over."""

from typing import ClassVar

import msgspec
import numpy as np
import pyarrow as pa

from application.stage import Rows, StageResult, TimelineStage, WholeMatch
from domain import tables
from domain.configuration import TeamClassificationOptions
from domain.tables import PERSON_ROLES
from stages import periods as match_time
from stages.shots import Gaps
from stages.team_classification import blocks, halves, spans, structure
from stages.team_classification.evidence import Blocks, TrackEvidence, gather
from stages.team_classification.home import named, second_is_home
from stages.team_classification.keepers import KeeperPlaces, with_keepers
from stages.team_classification.players import name_players
from stages.team_classification.sides import Sides
from stages.team_classification.teams import (
    MIN_CONFIDENCE,
    PLAYER,
    REFEREE,
    Verdicts,
    judge,
)

_TEAMS = np.array(["home", "away", "unknown"])


class TeamClassificationState(msgspec.Struct):
    """The evidence of the block of frames that is not complete yet."""

    waiting: pa.Table = msgspec.field(default_factory=lambda: tables.empty("track_evidence"))


class TeamClassificationStage(TimelineStage[TeamClassificationOptions, TeamClassificationState]):
    """Team, role and player of each track; the periods of the match, and what its shots are.

    Without shirt colours every team is unknown; without places on the pitch keepers have no team,
    no tracks are joined, and home is the team in the lighter shirts.
    """

    name: ClassVar[str] = "team_classification"
    version: ClassVar[int] = 4
    requires: ClassVar[tuple[str, ...]] = ("track_evidence",)
    concludes_with: ClassVar[tuple[str, ...]] = ("track_colours",)
    optional_at_end: ClassVar[tuple[str, ...]] = ("tracks", "frames", "calibration", "shot_changes")
    knows_at_end: ClassVar[tuple[str, ...]] = ("periods", "kits")
    produces: ClassVar[tuple[str, ...]] = ("track_colours", "identities", "periods", "shots")
    state_type: ClassVar[type[msgspec.Struct]] = TeamClassificationState

    def advance(self, rows: Rows, state: TeamClassificationState, *, final: bool) -> StageResult:
        known = pa.concat_tables([state.waiting, rows["track_evidence"]])
        whole, waiting, border = blocks.split(known, rows.end, final=final)
        table = blocks.reduce(whole)
        return StageResult({"track_colours": table}, TeamClassificationState(waiting), border)

    def conclude(self, match: WholeMatch, state: TeamClassificationState) -> StageResult:  # noqa: ARG002
        seen = Blocks.read(match.parts("track_colours"))
        evidence = gather(seen)
        verdicts = judge(evidence, self.options, self.facts.kits)
        timeline = self._timeline(match, seen)
        time_s = timeline.time_of(seen.frame)
        row = np.searchsorted(evidence.tracks, seen.track)
        sides = Sides(seen, time_s, np.where(verdicts.role == PLAYER, verdicts.team, -1)[row])
        periods, source = self.facts.periods, self.facts.periods_from
        if not periods and match.has("frames"):
            periods, source = halves.find(halves.play(seen, timeline), timeline, sides), "found"
        swap = second_is_home(evidence, verdicts, sides, self.facts.kits, periods)
        verdicts = named(verdicts, swap)
        if swap > 0:
            sides.swap()
        places = KeeperPlaces(seen, time_s, sides, periods)
        verdicts = with_keepers(verdicts, evidence, places, self.facts.kits)
        where = spans.read(match.parts("tracks")) if match.has("tracks") else spans.Spans({}, {})
        shots = structure.table(match)
        players = name_players(evidence.tracks, verdicts, where, Gaps.of(shots))
        directed, estimated = halves.with_directions(periods, sides)
        return StageResult(
            {
                "identities": _table(evidence, verdicts, players),
                "periods": match_time.table(directed, source, estimated),
                "shots": shots,
            }
        )

    def _timeline(self, match: WholeMatch, seen: Blocks) -> halves.Timeline:
        if match.has("frames"):
            return halves.Timeline.read(match.parts("frames"))
        return halves.Timeline.even(np.unique(seen.frame), self.facts.frame_rate)


def _table(evidence: TrackEvidence, verdicts: Verdicts, players: list[str]) -> pa.Table:
    official = (verdicts.role == REFEREE) & (verdicts.confidence >= MIN_CONFIDENCE)
    team = np.where(official, "referee", _TEAMS[verdicts.team])
    columns = {
        "track": evidence.tracks,
        "player": players,
        "number": pa.nulls(len(players), pa.int32()),
        "team": team.tolist(),
        "role": [PERSON_ROLES[role] for role in verdicts.role],
        "confidence": np.clip(verdicts.confidence, 0, 1),
    }
    return tables.make("identities", columns)
