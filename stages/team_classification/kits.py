"""The two kits that are worn: which two colours explain most of the people seen, and how surely."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stages.team_classification.attendance import Attendance

Array = NDArray[np.float64]
_CANDIDATES = 40
_REFINED = 8
_ROUNDS = 20
# a shirt counts against a colour up to so far, in spreads of single boxes
FAR = 30.0
_SCORED_SPREAD = 11.0
_MOST_MISFIT = 1.3
# the middle distance of a team's people from its colour: from tracks about 5, from boxes 10; how
# far from it others lie, as a part of it
_MIN_SPREAD, _BEYOND = 5.5, 0.4
# this many spreads from both colours is neither
_STRANGER = 2.5
# along the line between both colours shirts of a team stray at least by so much
_MIN_ALONG, _LEAST_ALONG = 2.5, 1.5
# halving one bell curve at its mean gives two lumps 2.65 of their standard deviations apart, with n
# people in one case of ten 8 / sqrt(n) more; two kits are far likelier beforehand, hence less here
_ONE_LUMP, _FEW_PEOPLE, _TWO_TEAMS = 2.65, 5.5, 0.6
# and halving it elsewhere is about as good: the next best answer explains less by 0.05 in the
# middle and 0.24 in nine of ten, per person and in spreads of this match if smaller
_LUMPS, _ONE_OF_MANY, _ONLY_ONE = 0.95, 0.15, 0.35
# of those seen at once, the share of the team that fewer are of, one counted for either beforehand:
# 2 of 22 is 0.125, 1 of 6 is 0.25
_NO_FOOTBALL, _FOOTBALL = 0.1, 0.2
# answers that put fewer people elsewhere than this share are one answer
_SAME_ANSWER = 0.15
# people this many spreads from one another may wear one colour
_ONE_COLOUR = 2.0
_MOST_ODDS, _STRANGEST = 12.0, -12.0


@dataclass(frozen=True)
class Kits:
    """Two teams' colours: `centres` (2, d) in feature space, and how people stray from them.

    `spread` is the middle distance of a team's people, `along` the standard deviation on the line
    between the colours. `separation` is 0 where the shirts look like one lump and 1 where they are
    clearly two worn by about as many.
    """

    centres: Array
    spread: float
    along: float
    separation: float

    def second(self, points: Array) -> Array:
        """Log-odds (n,) that people wear the second colour rather than the first.

        Linear discriminant analysis with one variance for both, along the line between them.
        """
        apart = self.centres[1] - self.centres[0]
        off = (points - self.centres.mean(axis=0)) @ apart
        return np.asarray(np.clip(off / self.along**2, -_MOST_ODDS, _MOST_ODDS))

    def strange(self, points: Array) -> Array:
        """Log-likelihood (n,) of wearing the nearer colour, 0 for as near as its people usually
        are, bounded below: anything may be an outlier."""
        beyond = distances(points, self.centres).min(axis=0) - self.spread
        off = np.maximum(beyond, 0) / (_BEYOND * self.spread)
        return np.asarray(np.maximum(-0.5 * off**2, _STRANGEST))


@dataclass(frozen=True)
class Crowd:
    """Everybody of whom a colour is known: `points` (n, d), how much each counts, who is seen
    together, and where kits are told how little each one's clothes are home's and away's (n, 2)."""

    points: Array
    weights: Array
    attendance: Attendance
    misfits: Array | None = None

    def score(self, distance: Array) -> Array:
        """How well two centres explain the people, by distances (..., 2, n), per person.

        A shirt counts against the centres with its distance only so far, so that officials or a
        keeper cannot pull a centre to themselves.
        """
        nearest = np.minimum(distance.min(axis=-2), FAR)
        misfit = (nearest**2) @ self.weights / (2 * _SCORED_SPREAD**2 * self.weights.sum())
        one, other = wearers(distance)
        counts = self.attendance.log_likelihood(one, other)
        return np.asarray(counts - misfit - self._against_told(one, other))

    def _against_told(self, one: Array, other: Array) -> Array:
        """What speaks, per person, against these (n, 0 or 1 each) wearing the kits as told."""
        if self.misfits is None:
            return np.zeros(one.shape[:-1])
        off = np.minimum(self.misfits, _MOST_MISFIT) * self.weights[:, None]
        sums = [one @ off[:, a] + other @ off[:, b] for a, b in ((0, 1), (1, 0))]
        return np.asarray(np.minimum(*sums) / self.weights.sum())

    def fewer(self, distance: Array) -> float:
        """The share of the colour (distances (2, n)) of which fewer are seen at once."""
        one, other = (float(self.attendance.people(who).mean()) for who in wearers(distance))
        return (min(one, other) + 1) / (one + other + 2)

    def refined(self, distance: Array) -> Array:
        """Centres (2, d) at the means of the people near them, from distances (2, n) on."""
        centres: Array = self.points[distance.argmin(axis=1)]
        for _ in range(_ROUNDS):
            own, near = distance.argmin(axis=0), distance.min(axis=0) < FAR
            moved = np.stack([self._mean(near & (own == k), centres[k]) for k in (0, 1)])
            if np.array_equal(moved, centres):
                break
            centres, distance = moved, distances(self.points, moved)
        return centres

    def _mean(self, chosen: NDArray[np.bool_], fallback: Array) -> Array:
        if not self.weights[chosen].sum():
            return fallback
        return np.asarray(np.average(self.points[chosen], axis=0, weights=self.weights[chosen]))


def wearers(distance: Array) -> tuple[Array, Array]:
    """Who wears the first colour and who the second, (..., n) of 0 and 1, by (..., 2, n)."""
    first = distance[..., 0, :] <= distance[..., 1, :]
    near = distance.min(axis=-2) < FAR
    return (first & near).astype(float), (~first & near).astype(float)


def distances(points: Array, centres: Array) -> Array:
    """(k, n) Euclidean distances of points (n, d) from centres (k, d)."""
    return np.asarray(np.sqrt(((points[None] - centres[:, None]) ** 2).sum(axis=2)))


def find_kits(crowd: Crowd) -> Kits | None:
    """The two colours that explain most of the people; None for fewer than two of them.

    Every pair among those seen most is tried as the two centres; the best pairs are then refined
    by means over the people near them.
    """
    weights = crowd.weights
    if (weights > 0).sum() < 2:
        return None
    candidates = np.argsort(-weights, kind="stable")[:_CANDIDATES]
    candidates = candidates[weights[candidates] > 0]
    apart = distances(crowd.points, crowd.points[candidates])
    first, second = np.triu_indices(len(candidates), 1)
    scores = np.array([crowd.score(apart[[a, b]]) for a, b in zip(first, second, strict=True)])
    order = np.argsort(-scores, kind="stable")
    starts = (apart[[first[best], second[best]]] for best in order)
    answers = []
    for start in _different(crowd.weights, starts):
        centres = crowd.refined(start)
        distance = distances(crowd.points, centres)
        answers.append((float(crowd.score(distance)), centres, distance))
    answers.sort(key=lambda answer: -answer[0])
    return _kits(crowd, answers)


def _different(weights: Array, answers: Iterable[Array]) -> Iterator[Array]:
    """The first few answers, as distances (2, n), that are not one with an earlier one."""
    kept: list[Array] = []
    for answer in answers:
        if all(_changed(weights, other, answer) > _SAME_ANSWER for other in kept):
            kept.append(answer)
            yield answer
        if len(kept) == _REFINED:
            return


def _kits(crowd: Crowd, answers: list[tuple[float, Array, Array]]) -> Kits:
    score, centres, distance = answers[0]
    rivals = (
        score - other
        for other, _, elsewhere in answers[1:]
        if _changed(crowd.weights, distance, elsewhere) > _SAME_ANSWER
    )
    margin = next(rivals, 0.0)
    own, near = distance.argmin(axis=0), distance.min(axis=0) < FAR
    apart = centres[1] - centres[0]
    length = float(np.linalg.norm(apart))
    if not crowd.weights[near].sum() or length == 0:
        return Kits(centres, _MIN_SPREAD, _MIN_ALONG, 0.0)
    spread = max(float(np.median(distance.min(axis=0)[near])), _MIN_SPREAD)
    near = distance.min(axis=0) < _STRANGER * spread
    off = ((crowd.points - centres[own]) @ apart / length)[near]
    along = float(np.sqrt(np.average(off**2, weights=crowd.weights[near])))
    separation = _separation(
        crowd,
        near,
        length / max(along, _LEAST_ALONG),
        alone=margin * max(_SCORED_SPREAD / spread, 1.0) ** 2,
    )
    shared = (crowd.fewer(distance) - _NO_FOOTBALL) / (_FOOTBALL - _NO_FOOTBALL)
    separation *= float(np.clip(shared, 0, 1))
    return Kits(centres, spread, max(along, _MIN_ALONG), separation)


def _separation(crowd: Crowd, near: NDArray[np.bool_], apart: float, *, alone: float) -> float:
    """How surely colours `apart` standard deviations apart are two and not one lump cut in half.

    Either they are farther apart than a lump's halves, or no other cut is nearly as good; `alone`
    is 0 where no other was found.
    """
    weights = crowd.weights[near]
    people = weights.sum() ** 2 / (weights**2).sum()
    clear = (apart - _ONE_LUMP - _FEW_PEOPLE / np.sqrt(people)) / _TWO_TEAMS
    lumps = (apart - _ONE_LUMP) / _LUMPS
    only = (alone - _ONE_OF_MANY) / (_ONLY_ONE - _ONE_OF_MANY)
    return float(max(np.clip(clear, 0, 1), np.clip(lumps, 0, 1) * np.clip(only, 0, 1)))


def _changed(weights: Array, one: Array, other: Array) -> float:
    """The share of people that two answers, as distances (2, n), put elsewhere, whichever of the
    centres is called first."""
    first, second = one.argmin(axis=0), other.argmin(axis=0)
    near, also = one.min(axis=0) < FAR, other.min(axis=0) < FAR
    same = near & also & (first == second)
    crossed = near & also & (first != second)
    neither = ~near & ~also
    total = weights.sum()
    agree = max(weights[same | neither].sum(), weights[crossed | neither].sum())
    return float(1 - agree / total)


def alike(points: Array, weights: Array, spread: float) -> list[NDArray[np.int64]]:
    """Groups of people in one colour, rows each: around whoever is seen most of those left."""
    left = np.argsort(-weights, kind="stable")
    groups = []
    while len(left):
        near = np.linalg.norm(points[left] - points[left[0]], axis=1) < _ONE_COLOUR * spread
        groups.append(left[near])
        left = left[~near]
    return groups
