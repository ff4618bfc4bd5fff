"""Team and role of each track: colour and role votes together, then the keepers by place."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from domain.configuration import TeamClassificationOptions
from domain.match import Kit
from domain.periods import Period
from domain.tables import PERSON_ROLES
from stages.team_classification import colour
from stages.team_classification.evidence import Blocks, TrackEvidence
from stages.team_classification.kits import Crowd, Kits, alike, find_kits
from stages.team_classification.sides import Sides

Array = NDArray[np.float64]

PLAYER, KEEPER, REFEREE = (PERSON_ROLES.index(r) for r in ("player", "goalkeeper", "referee"))
MIN_CONFIDENCE = 0.6
# what any colour at all is worth as a keeper's or, before theirs is known, an official's:
# as much as a shirt three spreads from a team's colour
_ANY_COLOUR = -4.5
_MIN_SHARE = 0.02
_MOST, _MORE_THAN_ONE, _CROWDED = 6.0, 1.5, 3.0
_AROUND_S = 300.0
_SURE_APART_M, _SURE_PLACE_M, _NEVER_CERTAIN = 4.0, 20.0, 0.999
# a keeper's shirt nearer by so much in CIELab is as good as log-odds of 1
_SURE_NEARER, _MOST_LOG_ODDS = 15.0, 3.0
_SHORTS_COUNT = 0.4


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


def judge(evidence: TrackEvidence, options: TeamClassificationOptions) -> Verdicts:
    """Decide on every track, in whichever order the teams come; keepers have no team yet.

    A team is unknown below `MIN_CONFIDENCE`.
    """
    coloured = evidence.coloured >= options.min_observations
    kits = find_kits(_crowd(evidence, coloured))
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
    share = np.bincount(seen.row, seen.boxes * second, len(evidence.tracks))
    share /= np.maximum(total, 1)
    return np.column_stack([1 - share, share])


def _crowd(evidence: TrackEvidence, coloured: NDArray[np.bool_]) -> Crowd:
    """Those with a colour; who is seldom called a player counts for little as one."""
    called = evidence.votes[:, PLAYER] / np.maximum(evidence.votes.sum(axis=1), 1)
    weights = np.sqrt(evidence.coloured) * np.clip((called - 0.3) / 0.6, 0, 1)
    return Crowd(evidence.points[coloured], weights[coloured], evidence.attendance.among(coloured))


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
    points = evidence.points[coloured]
    worn = kits.strange(points)
    roles = np.log(_role_shares(evidence.votes)) + evidence.places
    strangers = np.flatnonzero(coloured)[worn < _ANY_COLOUR]
    for group in alike(evidence.points[strangers], evidence.coloured[strangers], kits.spread):
        roles[strangers[group]] = _together(evidence, strangers[group])
    log = np.column_stack([roles[:, [PLAYER, PLAYER]] - np.log(2), roles[:, [KEEPER, REFEREE]]])
    side = kits.second(points)[:, None] * [-0.5, 0.5]
    log[coloured, :2] += worn[:, None] + side - np.logaddexp(*side.T)[:, None] + np.log(2)
    log[coloured, 2:] += _ANY_COLOUR
    log -= log.max(axis=1, keepdims=True)
    return np.asarray(np.exp(log) / np.exp(log).sum(axis=1, keepdims=True))


def _together(evidence: TrackEvidence, group: NDArray[np.int64]) -> Array:
    """What speaks for each role (3,) of people in one colour that is neither team's.

    They are one keeper or the officials: what is said of one goes for all of them. Two in sight at
    once are not one keeper.
    """
    chosen = np.zeros(len(evidence.tracks))
    chosen[group] = 1
    at_once = evidence.attendance.people(chosen)
    places = evidence.places[group].sum(axis=0)
    log = np.log(_role_shares(evidence.votes[group].sum(axis=0, keepdims=True))[0])
    log += places - places.max() if len(group) == 1 else np.clip(places - places.max(), -_MOST, 0)
    if at_once.size and np.quantile(at_once, 0.9) > _MORE_THAN_ONE:
        log[KEEPER] -= _CROWDED
    return np.asarray(log)


def _decide(posterior: Array, steady: Array) -> Verdicts:
    """The likeliest role, and for players the likelier team where it is likely enough."""
    roles = np.column_stack([posterior[:, :2].sum(axis=1), posterior[:, 2], posterior[:, 3]])
    role = roles.argmax(axis=1)
    team = posterior[:, :2].argmax(axis=1)
    in_team = posterior[:, :2].max(axis=1) * steady[np.arange(len(team)), team]
    sure = (role == PLAYER) & (in_team >= MIN_CONFIDENCE)
    confidence = np.where(role == PLAYER, in_team, roles.max(axis=1))
    return Verdicts(np.where(sure, team, -1), role, confidence)


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


def second_is_home(
    evidence: TrackEvidence,
    verdicts: Verdicts,
    sides: Sides,
    kits: tuple[Kit, Kit],
    periods: Sequence[Period],
) -> bool:
    """Whether the second team is home.

    Home is the team whose clothes are nearer to the configured kits; without any, the one that
    attacks where home is said to; else the one that is on the left first; without places, the
    one in the lighter shirts.
    """
    if any(kit.shirt or kit.shorts for kit in kits):
        worn = [_worn(evidence, verdicts.team == team) for team in (0, 1)]
        as_is, other = (_mismatch(clothes, kits) for clothes in (worn, worn[::-1]))
        return other < as_is
    told = _against_what_is_told(sides, periods)
    if told != 0:
        return told > 0
    start_s, end_s = (periods[0].start_s, periods[0].end_s) if periods else (-np.inf, np.inf)
    first = sides.first(start_s, end_s)
    if np.isfinite(first) and first != 0:
        return first > 0
    shirts = [_worn(evidence, verdicts.team == team)[0] for team in (0, 1)]
    return bool(shirts[1][0] > shirts[0][0])


def _against_what_is_told(sides: Sides, periods: Sequence[Period]) -> float:
    """Metres by which the first team stands on the side that home is said to attack."""
    against = 0.0
    for period in periods:
        if period.home_attacks:
            sign = 1.0 if period.home_attacks == "right" else -1.0
            against += sign * float(np.nan_to_num(sides.apart(period.start_s, period.end_s)))
    return against


def _worn(evidence: TrackEvidence, chosen: NDArray[np.bool_]) -> tuple[Array, Array]:
    """The median shirt and shorts of the chosen tracks, CIELab (3,); mid-grey for nobody's."""
    found = []
    for part in (colour.TORSO, colour.SHORTS):
        seen = evidence.appearance[chosen, part]
        seen = seen[np.isfinite(seen).all(axis=1)]
        found.append(np.median(seen, axis=0) if len(seen) else np.array([50.0, 0.0, 0.0]))
    return found[0], found[1]


def _mismatch(worn: Sequence[tuple[Array, Array]], kits: tuple[Kit, Kit]) -> float:
    """How far both teams' clothes are from the kits; of a striped shirt one colour is enough."""
    total = 0.0
    for (shirt, shorts), kit in zip(worn, kits, strict=True):
        if kit.shirt:
            total += min(float(np.linalg.norm(shirt - colour.hex_to_lab(c))) for c in kit.shirt)
        if kit.shorts:
            off = float(np.linalg.norm(shorts - colour.hex_to_lab(kit.shorts)))
            total += _SHORTS_COUNT * off
    return total
