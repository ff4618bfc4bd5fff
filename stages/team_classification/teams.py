"""Team and role of each track: colour and role votes together, then the keepers by place."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from domain.configuration import TeamClassificationOptions
from domain.tables import PERSON_ROLES
from stages.team_classification import colour
from stages.team_classification.evidence import Blocks, TrackEvidence

Array = NDArray[np.float64]

PLAYER, KEEPER, REFEREE = (PERSON_ROLES.index(r) for r in ("player", "goalkeeper", "referee"))
MIN_CONFIDENCE = 0.6
# what any colour at all is worth as a keeper's or, before theirs is known, an official's:
# as much as a shirt three spreads from a team's colour
_ANY_COLOUR = -4.5
_MIN_SHARE = 0.02
_FIRST_S = 600.0
_AROUND_S = 300.0
_SURE_APART_M = 4.0


@dataclass(frozen=True)
class Verdicts:
    """A value a track: `team` is 0 or 1 (home or away), -1 unknown; `role` indexes PERSON_ROLES."""

    team: NDArray[np.int64]
    role: NDArray[np.int64]
    confidence: Array


def judge(
    evidence: TrackEvidence, blocks: Blocks, options: TeamClassificationOptions, frame_rate: float
) -> Verdicts:
    """Decide on every track. A team is unknown below `MIN_CONFIDENCE`."""
    coloured = evidence.coloured >= options.min_observations
    majority = evidence.votes.argmax(axis=1)
    players = coloured & (majority == PLAYER)
    kits = colour.find_kits(evidence.points[players], np.sqrt(evidence.coloured[players]))
    if kits is None:
        return _roles_only(evidence)
    officials = evidence.points[coloured & (majority == REFEREE)]
    posterior = _posterior(evidence, coloured, kits, officials)
    verdicts = _decide(posterior, kits.separation)
    sides = _Sides(blocks, evidence.tracks, verdicts, frame_rate)
    if _swapped(evidence, verdicts, options, sides):
        verdicts = Verdicts(
            np.where(verdicts.team >= 0, 1 - verdicts.team, -1), verdicts.role, verdicts.confidence
        )
        sides = _Sides(blocks, evidence.tracks, verdicts, frame_rate)
    return sides.with_keepers(verdicts)


def _roles_only(evidence: TrackEvidence) -> Verdicts:
    share = _role_shares(evidence.votes)
    role = share.argmax(axis=1)
    return Verdicts(np.full(len(role), -1), role, share[np.arange(len(role)), role])


def _role_shares(votes: Array) -> Array:
    """The role votes as probabilities: never certain, as a detector repeats its mistakes."""
    share = (votes + 0.5) / (votes.sum(axis=1, keepdims=True) + 1.5)
    share = np.maximum(share, _MIN_SHARE)
    return np.asarray(share / share.sum(axis=1, keepdims=True))


def _posterior(
    evidence: TrackEvidence, coloured: NDArray[np.bool_], kits: colour.Kits, officials: Array
) -> Array:
    """Probabilities (n, 4) of first team, second team, goalkeeper, referee."""
    share, points = _role_shares(evidence.votes), evidence.points
    log = np.log(np.column_stack([share[:, [PLAYER, PLAYER]] / 2, share[:, [KEEPER, REFEREE]]]))
    for team in (0, 1):
        seen = colour.likelihood(points[coloured], kits.centres[team], kits.spread)
        log[coloured, team] += seen
    log[coloured, 2] += _ANY_COLOUR
    log[coloured, 3] += _ANY_COLOUR
    if len(officials) >= 2:
        usual = np.median(officials, axis=0)
        known = colour.likelihood(points[coloured], usual, kits.spread)
        log[coloured, 3] += np.maximum(known - _ANY_COLOUR, 0)
    log -= log.max(axis=1, keepdims=True)
    return np.asarray(np.exp(log) / np.exp(log).sum(axis=1, keepdims=True))


def _decide(posterior: Array, separation: float) -> Verdicts:
    """The likeliest role, and for players the likelier team where it is likely enough."""
    roles = np.column_stack([posterior[:, :2].sum(axis=1), posterior[:, 2], posterior[:, 3]])
    role = roles.argmax(axis=1)
    team = posterior[:, :2].argmax(axis=1)
    in_team = posterior[:, :2].max(axis=1) * separation
    sure = (role == PLAYER) & (in_team >= MIN_CONFIDENCE)
    confidence = np.where(role == PLAYER, in_team, roles.max(axis=1))
    return Verdicts(np.where(sure, team, -1), role, confidence)


class _Sides:
    """Where the two teams stand, block by block: `apart_m` is home's mean x minus away's."""

    def __init__(
        self, blocks: Blocks, tracks: NDArray[np.int64], verdicts: Verdicts, frame_rate: float
    ) -> None:
        self._tracks, self._blocks, self._frame_rate = tracks, blocks, frame_rate
        row = np.searchsorted(tracks, blocks.track)
        team = np.where(verdicts.role[row] == PLAYER, verdicts.team[row], -1)
        self.frames, block = np.unique(blocks.frame, return_inverse=True)
        means = [self._mean_x(block, (team == k) & np.isfinite(blocks.x)) for k in (0, 1)]
        self.apart_m = means[0] - means[1]

    def _mean_x(self, block: NDArray[np.int64], chosen: NDArray[np.bool_]) -> Array:
        """The mean x of the chosen rows of each block; NaN for fewer than two players."""
        count = np.bincount(block[chosen], minlength=len(self.frames))
        total = np.bincount(block[chosen], self._blocks.x[chosen], len(self.frames))
        return np.asarray(np.where(count >= 2, total / np.maximum(count, 1), np.nan))

    def between(self, start: float, end: float) -> float:
        """The median of `apart_m` in the frames from `start` to `end`; NaN where unknown."""
        first, last = np.searchsorted(self.frames, [start, end])
        apart = self.apart_m[first:last]
        apart = apart[np.isfinite(apart)]
        return float(np.median(apart)) if len(apart) else np.nan

    def first(self) -> float:
        """The same of the first minutes in which both teams have places."""
        known = np.flatnonzero(np.isfinite(self.apart_m))
        if not len(known):
            return np.nan
        start = float(self.frames[known[0]])
        return self.between(start, start + _FIRST_S * self._frame_rate)

    def with_keepers(self, verdicts: Verdicts) -> Verdicts:
        """Give each keeper the team that stands nearer to his goal at the time."""
        team, confidence = verdicts.team.copy(), verdicts.confidence.copy()
        around = _AROUND_S * self._frame_rate
        for keeper in np.flatnonzero(verdicts.role == KEEPER):
            rows = self._blocks.track == self._tracks[keeper]
            x, frames = self._blocks.x[rows], self._blocks.frame[rows]
            x = x[np.isfinite(x)]
            apart = self.between(frames.min() - around, frames.max() + around)
            if not len(x) or not np.isfinite(apart) or apart == 0:
                continue
            side = float(np.sign(np.median(x)))
            sure = 0.5 + 0.5 * min(abs(apart) / _SURE_APART_M, 1.0)
            confidence[keeper] *= sure
            if confidence[keeper] >= MIN_CONFIDENCE:
                team[keeper] = 0 if side * apart > 0 else 1
        return Verdicts(team, verdicts.role, confidence)


def _swapped(
    evidence: TrackEvidence, verdicts: Verdicts, options: TeamClassificationOptions, sides: _Sides
) -> bool:
    """Whether the second team is home.

    Home is the team whose shirts are nearer to the configured colours; without any, the team that
    is on the left first; without places, the one in the lighter shirts.
    """
    torso = [_torso(evidence, verdicts.team == team) for team in (0, 1)]
    wanted = [
        colour.hex_to_lab(c) if c else None for c in (options.home_colour, options.away_colour)
    ]
    if any(colour is not None for colour in wanted):
        as_is, other = (_mismatch(shirts, wanted) for shirts in (torso, torso[::-1]))
        return other < as_is
    first = sides.first()
    if np.isfinite(first) and first != 0:
        return first > 0
    return bool(torso[1][0] > torso[0][0])


def _torso(evidence: TrackEvidence, chosen: NDArray[np.bool_]) -> Array:
    """The median shirt of the chosen tracks, CIELab (3,); mid-grey where there is none."""
    shirts = evidence.appearance[chosen, colour.TORSO]
    shirts = shirts[np.isfinite(shirts).all(axis=1)]
    return np.median(shirts, axis=0) if len(shirts) else np.array([50.0, 0.0, 0.0])


def _mismatch(shirts: list[Array], wanted: list[Array | None]) -> float:
    pairs = zip(shirts, wanted, strict=True)
    return sum(float(np.linalg.norm(shirt - want)) for shirt, want in pairs if want is not None)
