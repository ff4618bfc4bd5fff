"""Which of the two teams is home, and how surely."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from domain.match import Kit
from domain.periods import Period
from stages.team_classification import clothes, colour
from stages.team_classification.evidence import TrackEvidence
from stages.team_classification.sides import Sides
from stages.team_classification.teams import MIN_CONFIDENCE, PLAYER, Verdicts

Array = NDArray[np.float64]
# metres by which home must stand behind away for log-odds of 1
_SURE_APART_M = 1.5


def second_is_home(
    evidence: TrackEvidence,
    verdicts: Verdicts,
    sides: Sides,
    kits: tuple[Kit, Kit],
    periods: Sequence[Period],
) -> float:
    """Log-odds that the second team is home; infinite where home is but a name.

    Home is the team whose clothes are nearer to the configured kits; without any, the one that
    attacks where home is said to; else the one that is on the left first; without places, the
    one in the lighter shirts.
    """
    worn = np.stack([_worn(evidence, verdicts.team == team) for team in (0, 1)])
    if clothes.told(kits):
        misfit = clothes.misfits(worn, kits) * clothes.TEAM_GAIN
        return float(misfit[0, 0] + misfit[1, 1] - misfit[1, 0] - misfit[0, 1])
    told = _against_what_is_told(sides, periods)
    if told != 0:
        return told / _SURE_APART_M
    start_s, end_s = (periods[0].start_s, periods[0].end_s) if periods else (-np.inf, np.inf)
    first = sides.first(start_s, end_s)
    if np.isfinite(first) and first != 0:
        return float(np.copysign(np.inf, first))
    return np.inf if worn[1, 0] > worn[0, 0] else -np.inf


def named(verdicts: Verdicts, second_is_home: float) -> Verdicts:
    """The teams as home and away. Where it is not sure which is which, no player's is."""
    if second_is_home > 0:
        verdicts = verdicts.swapped()
    sure = 1 / (1 + np.exp(-abs(second_is_home)))
    players = verdicts.role == PLAYER
    confidence = np.where(players, verdicts.confidence * sure, verdicts.confidence)
    known = ~players | (confidence >= MIN_CONFIDENCE)
    return Verdicts(np.where(known, verdicts.team, -1), verdicts.role, confidence)


def _against_what_is_told(sides: Sides, periods: Sequence[Period]) -> float:
    """Metres by which the first team stands on the side that home is said to attack."""
    against = 0.0
    for period in periods:
        if period.home_attacks:
            sign = 1.0 if period.home_attacks == "right" else -1.0
            against += sign * float(np.nan_to_num(sides.apart(period.start_s, period.end_s)))
    return against


def _worn(evidence: TrackEvidence, chosen: NDArray[np.bool_]) -> Array:
    """The median clothes (64,) of the chosen tracks; mid-grey ones for nobody's."""
    worn = evidence.appearance[chosen]
    worn = worn[np.isfinite(worn[:, 0])]
    if len(worn):
        return np.asarray(np.median(worn, axis=0))
    nothing = np.zeros(evidence.appearance.shape[1])
    nothing[[colour.TORSO.start, colour.SHORTS.start]] = 50.0
    return nothing
