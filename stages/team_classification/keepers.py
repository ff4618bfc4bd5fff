"""Whose keeper a keeper is: the one of the team that stands nearer to his goal at the time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from domain.match import Kit
from domain.periods import Period
from stages.team_classification import colour
from stages.team_classification.evidence import Blocks, TrackEvidence
from stages.team_classification.sides import Sides
from stages.team_classification.teams import KEEPER, MIN_CONFIDENCE, Verdicts

Array = NDArray[np.float64]
_AROUND_S = 300.0
_SURE_APART_M, _SURE_PLACE_M, _NEVER_CERTAIN = 4.0, 20.0, 0.999
# a keeper's shirt nearer by so much in CIELab is as good as log-odds of 1
_SURE_NEARER, _MOST_LOG_ODDS = 15.0, 3.0


def with_keepers(
    verdicts: Verdicts,
    evidence: TrackEvidence,
    place: "KeeperPlaces",
    kits: tuple[Kit, Kit],
) -> Verdicts:
    """Give each keeper a team: the one that stands nearer to his goal at the time.

    Where the shirts of both keepers are known, they count as well.
    """
    team, confidence = verdicts.team.copy(), verdicts.confidence.copy()
    shirts = [colour.hex_to_lab(kit.goalkeeper) if kit.goalkeeper else None for kit in kits]
    for keeper in np.flatnonzero(verdicts.role == KEEPER):
        log_odds = place.log_odds(int(evidence.tracks[keeper]))
        log_odds += _shirt_log_odds(evidence.appearance[keeper, colour.TORSO], shirts)
        if log_odds == 0:
            continue
        confidence[keeper] *= 1 / (1 + np.exp(-abs(log_odds)))
        if confidence[keeper] >= MIN_CONFIDENCE:
            team[keeper] = 0 if log_odds > 0 else 1
    return Verdicts(team, verdicts.role, confidence)


def _shirt_log_odds(torso: Array, shirts: list[Array | None]) -> float:
    """How much a keeper's shirt speaks for home rather than away; 0 where it does not tell.

    A colour on a sheet and in a picture differ, so it is only said which of the two is nearer.
    """
    home, away = shirts
    if home is None or away is None or not np.isfinite(torso).all():
        return 0.0
    nearer = float(np.linalg.norm(torso - away) - np.linalg.norm(torso - home))
    return float(np.clip(nearer / _SURE_NEARER, -_MOST_LOG_ODDS, _MOST_LOG_ODDS))


@dataclass(frozen=True)
class KeeperPlaces:
    """Where tracks stood, row by row of the blocks, and where the teams were around that time."""

    blocks: Blocks
    time_s: Array
    sides: Sides
    periods: Sequence[Period]

    def log_odds(self, track: int) -> float:
        """How much a keeper's place speaks for home rather than away; 0 where it does not tell."""
        rows = self.blocks.track == track
        x, times = self.blocks.x[rows], self.time_s[rows]
        x = x[np.isfinite(x)]
        apart = self.sides.apart(*self._around(float(times.min()), float(times.max())))
        if not len(x) or not np.isfinite(apart) or apart == 0:
            return 0.0
        place = float(np.median(x))
        told = min(abs(apart) / _SURE_APART_M, 1.0) * min(abs(place) / _SURE_PLACE_M, 1.0)
        sure = 0.5 + 0.5 * min(told, _NEVER_CERTAIN)
        return float(np.sign(place) * np.sign(apart) * np.log(sure / (1 - sure)))

    def _around(self, start_s: float, end_s: float) -> tuple[float, float]:
        """Some minutes before and after, but not beyond the period: then the ends are changed."""
        first, last = start_s - _AROUND_S, end_s + _AROUND_S
        middle = np.array([(start_s + end_s) / 2])
        for period in self.periods:
            if period.holds(middle)[0]:
                return max(first, period.start_s), min(last, period.end_s)
        return first, last
