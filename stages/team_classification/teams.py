"""Team and role of each track: colour and role votes together, then the keepers by place."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from domain.configuration import TeamClassificationOptions
from domain.match import Kit
from domain.tables import PERSON_ROLES
from stages.team_classification import clothes
from stages.team_classification.evidence import TrackEvidence
from stages.team_classification.kits import Crowd, Kits, alike, find_kits

Array = NDArray[np.float64]

PLAYER, KEEPER, REFEREE = (PERSON_ROLES.index(r) for r in ("player", "goalkeeper", "referee"))
MIN_CONFIDENCE = 0.6
# what any colour at all is worth as a keeper's or an official's: as much as a shirt 2.3 middle
# distances from a team's colour; there are ten players to one of them
_ANY_COLOUR = -5.5
_MIN_SHARE = 0.02
# boxes of a colour that is neither team's, below which it may be anything: grass, a ghost of a cut
_FEW = 30
# the share of a track's boxes that show whom they are said to show, where nothing speaks against it
_FOLLOWED = 0.99
_MOST, _MORE_THAN_ONE, _CROWDED = 3.0, 1.5, 3.0


@dataclass(frozen=True)
class Verdicts:
    """A value a track: `team` is 0 or 1 (home or away), -1 unknown; `role` indexes PERSON_ROLES."""

    team: NDArray[np.int64]
    role: NDArray[np.int64]
    confidence: Array

    def swapped(self) -> "Verdicts":
        """The same, but the teams have each other's place."""
        team = np.where(self.team >= 0, 1 - self.team, -1)
        return Verdicts(team, self.role, self.confidence)


def judge(
    evidence: TrackEvidence, options: TeamClassificationOptions, told: tuple[Kit, Kit]
) -> Verdicts:
    """Decide on every track, in whichever order the teams come; keepers have no team yet.

    A team is unknown below `MIN_CONFIDENCE`.
    """
    coloured = evidence.coloured >= options.min_observations
    kits = find_kits(_crowd(evidence, coloured, told))
    if kits is None:
        return _roles_only(evidence)
    return _decide(_posterior(evidence, coloured, kits), _steady(evidence, kits) * kits.separation)


def _steady(evidence: TrackEvidence, kits: Kits) -> Array:
    """The share (n, 2) of each track in which its shirt is the first's, and the second's.

    Two people that were followed as one are neither's for all of it.
    """
    seen = evidence.glimpses
    second = 1 / (1 + np.exp(-kits.second(seen.points)))
    total = np.bincount(seen.row, seen.boxes, len(evidence.tracks))
    share = np.bincount(seen.row, seen.boxes * second, len(evidence.tracks)) / np.maximum(total, 1)
    return np.column_stack([1 - share, share])


def _crowd(evidence: TrackEvidence, coloured: NDArray[np.bool_], told: tuple[Kit, Kit]) -> Crowd:
    """Those with a colour; who is seldom called a player counts for little as one."""
    called = evidence.votes[:, PLAYER] / np.maximum(evidence.votes.sum(axis=1), 1)
    weights = np.sqrt(evidence.coloured) * np.clip((called - 0.3) / 0.6, 0, 1)
    worn = evidence.appearance[coloured]
    return Crowd(
        evidence.points[coloured],
        weights[coloured],
        evidence.attendance.among(coloured),
        clothes.misfits(worn, told) if clothes.told(told) else None,
    )


def _roles_only(evidence: TrackEvidence) -> Verdicts:
    share = _role_shares(evidence.votes)
    role = share.argmax(axis=1)
    return Verdicts(np.full(len(role), -1), role, share[np.arange(len(role)), role])


def _role_shares(votes: Array) -> Array:
    """The role votes as probabilities: never certain, as a detector repeats its mistakes."""
    share = (votes + 0.5) / (votes.sum(axis=1, keepdims=True) + 1.5)
    share = np.maximum(share, _MIN_SHARE)
    return np.asarray(share / share.sum(axis=1, keepdims=True))


def _posterior(evidence: TrackEvidence, coloured: NDArray[np.bool_], kits: Kits) -> Array:
    """Probabilities (n, 4) of first team, second team, goalkeeper, referee."""
    roles = np.log(_role_shares(evidence.votes)) + _placed(evidence.places)
    coloured = coloured.copy()
    worn = np.maximum(kits.strange(evidence.points), _strange_by_block(evidence, kits))
    for group in _strangers(evidence, np.flatnonzero(coloured & (worn < _ANY_COLOUR)), kits):
        if evidence.coloured[group].sum() >= _FEW:
            roles[group] = _together(evidence, group)
        else:
            coloured[group] = False
    points, worn = evidence.points[coloured], worn[coloured]
    log = np.column_stack([roles[:, [PLAYER, PLAYER]] - np.log(2), roles[:, [KEEPER, REFEREE]]])
    side = kits.second(points)[:, None] * [-0.5, 0.5]
    log[coloured, :2] += worn[:, None] + side - np.logaddexp(*side.T)[:, None] + np.log(2)
    log[coloured, 2:] += _ANY_COLOUR
    log -= log.max(axis=1, keepdims=True)
    return np.asarray(np.exp(log) / np.exp(log).sum(axis=1, keepdims=True))


def _strangers(
    evidence: TrackEvidence, rows: NDArray[np.int64], kits: Kits
) -> list[NDArray[np.int64]]:
    """Those who wear neither kit, in groups of one colour."""
    groups = alike(evidence.points[rows], evidence.coloured[rows], kits.spread)
    return [rows[group] for group in groups]


def _strange_by_block(evidence: TrackEvidence, kits: Kits) -> Array:
    """The mean over each track's blocks: two players followed as one wear a kit in every block,
    though not in the mean."""
    seen, count = evidence.glimpses, len(evidence.tracks)
    total = np.bincount(seen.row, seen.boxes, count)
    strange = np.bincount(seen.row, seen.boxes * kits.strange(seen.points), count)
    return np.asarray(np.where(total > 0, strange / np.maximum(total, 1), -np.inf))


def _placed(places: Array) -> Array:
    """What places (..., 3) say of each role: never so much as what a detector always says."""
    return np.asarray(np.maximum(places - places.max(axis=-1, keepdims=True), -_MOST))


def _together(evidence: TrackEvidence, group: NDArray[np.int64]) -> Array:
    """What speaks for each role (3,) of people in one colour that is neither team's.

    They are one keeper or the officials: what is said of one goes for all of them. Two in sight at
    once are not one keeper.
    """
    chosen = np.zeros(len(evidence.tracks))
    chosen[group] = 1
    at_once = evidence.attendance.people(chosen)
    log = np.log(_role_shares(evidence.votes[group].sum(axis=0, keepdims=True))[0])
    log += _placed(evidence.places[group].sum(axis=0))
    if at_once.size and np.quantile(at_once, 0.9) > _MORE_THAN_ONE:
        log[KEEPER] -= _CROWDED
    return np.asarray(log)


def _decide(posterior: Array, steady: Array) -> Verdicts:
    """The likeliest role, and for players the likelier team where it is likely enough."""
    roles = np.column_stack([posterior[:, :2].sum(axis=1), posterior[:, 2], posterior[:, 3]])
    role = roles.argmax(axis=1)
    team = posterior[:, :2].argmax(axis=1)
    in_team = posterior[:, :2].max(axis=1) * steady[np.arange(len(team)), team] * _FOLLOWED
    sure = (role == PLAYER) & (in_team >= MIN_CONFIDENCE)
    confidence = np.where(role == PLAYER, in_team, roles.max(axis=1))
    return Verdicts(np.where(sure, team, -1), role, confidence)
