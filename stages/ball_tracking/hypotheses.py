"""Which candidate was the ball: several answers are kept open for about a second.

Multiple hypothesis tracking of one target (Reid, "An Algorithm for Tracking Multiple Targets",
1979): each hypothesis is a path through candidates and gaps with a Kalman filter of its own, its
score a sum of log odds. A frame is decided when it is `lag` frames old, by the best hypothesis of
that moment, and hypotheses that disagree are dropped (N-scan pruning, Blackman, "Multiple
Hypothesis Tracking for Multiple Target Tracking", 2004).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stages import ground
from stages.ball_tracking.state import ABSENT, BORN, FOLLOWED, KICKED, KIND, MISSED, Hypotheses

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MAX_HYPOTHESES = 32
PARENTS_PER_CANDIDATE = 3
HOPELESS = 14.0  # leaving one path and starting another costs less than this
# log odds for a candidate within NEAR_M of where the motion expects it. By chance a false box lies
# there once in 150 times, but where one was in the frame before, it is again three times in ten
NEAR = 3.0
NEAR_M = 0.3
GATE = 16.0  # squared deviations
KICK_COST = 2.5
FIRST_MISS_COST = 1.2
NEXT_MISS_COST = 0.25  # who misses a ball once, behind a player, misses it again
LEAVE_COST = 4.0
BIRTH_COST = 4.0
ACCELERATION_MPS2 = 10.0
KICK_MPS = 12.0
BIRTH_MPS = 12.0
ROLLS_MPS = 0.5
CAMERA_NOISE_PX = 0.5
# a box's centre is off by 0.4 to 0.6 pixels in simulated matches, and by more where pictures blur
SEEN_PX = 0.7
SEEN_M = 0.01


@dataclass(frozen=True)
class Noise:
    """How uncertain one frame's boxes are.

    `seen` is the variance of a candidate's place in square pixels, `scale` pixels per metre.
    """

    seen: float
    scale: float


def noise_at(scale: float) -> Noise:
    """A box's centre is off by most of a pixel and a little more where the ball is large."""
    return Noise((SEEN_PX + SEEN_M * scale) ** 2, scale)


def advance_covariance(covariance: FloatArray, elapsed_s: float, scale: float) -> FloatArray:
    """Covariances (n, 3) after `elapsed_s` of piecewise constant random acceleration."""
    t, acceleration = elapsed_s, (ACCELERATION_MPS2 * scale) ** 2
    place, mixed, speed = covariance.T
    return np.column_stack(
        [
            place + 2 * t * mixed + t * t * speed + acceleration * t**4 / 4 + CAMERA_NOISE_PX**2,
            mixed + t * speed + acceleration * t**3 / 2,
            speed + acceleration * t * t,
        ]
    )


def kicked_covariance(covariance: FloatArray, span_s: FloatArray, scale: float) -> FloatArray:
    """Covariances (n, 3) if the ball was struck at some moment within the last `span_s` (n,)."""
    kick = (KICK_MPS * scale) ** 2
    return covariance + kick * np.column_stack([span_s**2, span_s, np.ones(len(span_s))])


def corrected(
    expected: tuple[FloatArray, FloatArray, FloatArray], seen: FloatArray, variance: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Kalman update of places (n, 2), velocities (n, 2), covariances (n, 3) by places seen."""
    place, velocity, covariance = expected
    total = covariance[:, 0] + variance
    gain, drift = covariance[:, 0] / total, covariance[:, 1] / total
    error = seen - place
    after = np.column_stack(
        [
            (1 - gain) * covariance[:, 0],
            (1 - gain) * covariance[:, 1],
            covariance[:, 2] - drift * covariance[:, 1],
        ]
    )
    return place + gain[:, None] * error, velocity + drift[:, None] * error, after


def predict(
    hypotheses: Hypotheses, elapsed_s: float, camera_motion: FloatArray, scale: float
) -> None:
    """Move all on to the next frame, in place."""
    covariance = advance_covariance(hypotheses.covariance, elapsed_s, scale)
    place = hypotheses.place + hypotheses.velocity * elapsed_s
    place, jacobian = ground.move(camera_motion, place)
    hypotheses.velocity = (jacobian * hypotheses.velocity[:, None, :]).sum(axis=2)
    hypotheses.covariance = covariance * ground.scale_of(jacobian)[:, None] ** 2
    hypotheses.place = place
    hypotheses.unseen_s = hypotheses.unseen_s + elapsed_s


def rolling(hypotheses: Hypotheses, scale: float) -> FloatArray:
    """Where the best hypothesis expects a ball that rolls, (1, 2), or (0, 2) where none does."""
    best = int(hypotheses.score.argmax())
    speed = float(np.hypot(*hypotheses.velocity[best])) / scale
    return hypotheses.place[[best] if best and speed > ROLLS_MPS else []]


def extend(
    hypotheses: Hypotheses, candidates: FloatArray, noise: Noise, max_missing: int
) -> Hypotheses:
    """The best continuations of predicted hypotheses by one frame's candidates (k, 5)."""
    followed, kicks = _follow(hypotheses, candidates, noise)
    missed = hypotheses.score - np.where(hypotheses.unseen > 0, NEXT_MISS_COST, FIRST_MISS_COST)
    missed[hypotheses.unseen >= max_missing] = -np.inf
    missed[0] = -np.inf
    nothing = _nothing(hypotheses)
    born = hypotheses.score[nothing] + candidates[:, 3] - candidates[:, 4] - BIRTH_COST
    if nothing:
        born -= LEAVE_COST
    count, slots = len(hypotheses.score), np.arange(len(candidates))
    parents, chosen = _best_parents(followed)
    kind = np.where(kicks[parents, chosen], KICKED, FOLLOWED)
    leave = hypotheses.score[nothing] - (LEAVE_COST if nothing else 0.0)
    score = np.concatenate([followed[parents, chosen], born, missed, [leave]])
    parent = np.concatenate([parents, np.full(len(slots), nothing), np.arange(count), [nothing]])
    code = np.concatenate(
        [chosen + KIND * kind, slots + KIND * BORN, np.full(count, MISSED), [ABSENT]]
    )
    kept = _worth_keeping(score)
    return _children(hypotheses, candidates, noise, (parent[kept], code[kept], score[kept]))


def _follow(
    hypotheses: Hypotheses, candidates: FloatArray, noise: Noise
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Scores (n, k) of each hypothesis going on at each candidate, and whether by a kick."""
    apart = ((hypotheses.place[:, None] - candidates[None, :, :2]) ** 2).sum(axis=2)
    base = hypotheses.score[:, None] + candidates[None, :, 3]
    rolled = base + _nearness(apart, hypotheses.covariance[:, 0] + noise.seen, noise)
    struck = kicked_covariance(hypotheses.covariance, hypotheses.unseen_s, noise.scale)
    kicked = base - KICK_COST + _nearness(apart, struck[:, 0] + noise.seen, noise)
    rolled[0], kicked[0] = -np.inf, -np.inf
    return np.maximum(rolled, kicked), kicked > rolled


def _nearness(apart: FloatArray, variance: FloatArray, noise: Noise) -> FloatArray:
    """Log odds of squared distances (n, k) under each variance (n,); minus infinity outside."""
    spread = np.maximum(variance / (NEAR_M * noise.scale) ** 2, 1.0)
    squared = apart / variance[:, None]
    return np.where(squared < GATE, NEAR - np.log(spread)[:, None] - squared / 2, -np.inf)


def _nothing(hypotheses: Hypotheses) -> int:
    """From which hypothesis "no ball in sight" follows best: itself (0) or one that loses it."""
    best = int(hypotheses.score.argmax())
    return best if hypotheses.score[best] - LEAVE_COST > hypotheses.score[0] else 0


def _best_parents(scores: FloatArray) -> tuple[IntArray, IntArray]:
    """The few best parents of each candidate, as pairs of indices."""
    order = np.argsort(-scores, axis=0, kind="stable")[:PARENTS_PER_CANDIDATE]
    columns = np.broadcast_to(np.arange(scores.shape[1]), order.shape)
    return order.ravel(), columns.ravel()


def _worth_keeping(score: FloatArray) -> IntArray:
    """ "No ball in sight" (the last) first, then the best of the others."""
    last = len(score) - 1
    order = np.argsort(-score[:last], kind="stable")[: MAX_HYPOTHESES - 1]
    order = order[score[order] > score.max() - HOPELESS]
    return np.concatenate([[last], order])


def _children(
    hypotheses: Hypotheses,
    candidates: FloatArray,
    noise: Noise,
    chosen: tuple[IntArray, IntArray, FloatArray],
) -> Hypotheses:
    parent, code, score = chosen
    place, velocity = hypotheses.place[parent], hypotheses.velocity[parent]
    covariance, span_s = hypotheses.covariance[parent], hypotheses.unseen_s[parent]
    unseen = np.where(code == MISSED, hypotheses.unseen[parent] + 1, 0)
    seen, kind = code >= 0, code // KIND
    struck = kicked_covariance(covariance, span_s, noise.scale)
    covariance = np.where((seen & (kind == KICKED))[:, None], struck, covariance)
    places = candidates[np.where(seen, code % KIND, 0), :2] if len(candidates) else place
    updated = corrected((place, velocity, covariance), places, noise.seen)
    born = seen & (kind == BORN)
    fresh = np.array([noise.seen, 0.0, (BIRTH_MPS * noise.scale) ** 2])
    take, start = seen[:, None], born[:, None]
    history = np.concatenate([hypotheses.history[parent], code[:, None].astype(np.int16)], axis=1)
    return Hypotheses(
        score=score - score.max(),
        place=np.where(start, places, np.where(take, updated[0], place)),
        velocity=np.where(start, 0.0, np.where(take, updated[1], velocity)),
        covariance=np.where(start, fresh, np.where(take, updated[2], covariance)),
        unseen=unseen,
        unseen_s=np.where(seen, 0.0, span_s),
        history=history,
    )


def decide(hypotheses: Hypotheses) -> tuple[int, Hypotheses]:
    """What the best hypothesis says of the oldest open frame, and those that agree with it."""
    code = int(hypotheses.history[int(hypotheses.score.argmax()), 0])
    agree = hypotheses.history[:, 0] == code
    score = np.where(agree, hypotheses.score, -np.inf)
    # row 0 keeps its place; without a score, the next frame's "no ball" has another parent
    agree[0] = True
    hypotheses.score = score
    names = Hypotheses.__struct_fields__
    kept = Hypotheses(**{name: getattr(hypotheses, name)[agree] for name in names})
    kept.history = kept.history[:, 1:]
    return code, kept
