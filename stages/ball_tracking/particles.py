"""The other filter: particles, where a kick may send the ball anywhere.

A bootstrap filter with systematic resampling (Arulampalam et al., "A Tutorial on Particle Filters",
2002), smoothed by a fixed lag in the manner of Kitagawa (1996): each particle drags the places it
came from along, and resampling revises the last frames. The random numbers of a frame depend on the
seed and the frame's number alone, so that cutting the input changes nothing.
"""

import numpy as np
from numpy.typing import NDArray

from domain.configuration import BallTrackingOptions
from stages import ground
from stages.ball_tracking.hypotheses import ACCELERATION_MPS2, BIRTH_MPS, KICK_MPS, Noise
from stages.ball_tracking.state import KICKED, KIND, Cloud, Frames

TRAIL = 6
KICK_SHARE = 0.05
KICKED_SHARE = 0.5
ASTRAY = 1e-9  # below this mean likelihood no particle is near: start again at the box


def begin(
    cloud: Cloud, frames: Frames, index: int, options: BallTrackingOptions, noise: Noise
) -> None:
    """Particles around the place where the ball of held frame `index` was found first."""
    draw = _generator(options.seed, int(frames.frame[index]))
    _scatter(cloud, frames, index, options.particles, noise, draw)
    cloud.trail = cloud.particles[:, None, :2].copy()
    _record(cloud, frames, index)


def go_on(
    cloud: Cloud, frames: Frames, index: int, options: BallTrackingOptions, noise: Noise
) -> None:
    """Move the particles to held frame `index`, weigh them by its box if there is one."""
    draw = _generator(options.seed, int(frames.frame[index]))
    code = int(frames.code[index])
    _propagate(cloud, frames, index, noise, draw)
    if code >= 0:
        likelihood = _likelihood(cloud, frames, index, noise)
        if likelihood.mean() < ASTRAY:
            _scatter(cloud, frames, index, len(cloud.particles), noise, draw)
        else:
            chosen = _systematic(likelihood, float(draw.random()))
            cloud.particles, cloud.trail = cloud.particles[chosen], cloud.trail[chosen]
    cloud.trail = np.concatenate([cloud.trail, cloud.particles[:, None, :2]], axis=1)[:, -TRAIL:]
    _record(cloud, frames, index)


def _generator(seed: int, frame: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=np.array([seed, frame], np.uint64)))


def _scatter(
    cloud: Cloud,
    frames: Frames,
    index: int,
    count: int,
    noise: Noise,
    draw: np.random.Generator,
) -> None:
    code = int(frames.code[index])
    seen = frames.candidates[index, code % KIND, :2]
    spread = np.array([noise.seen**0.5] * 2 + [BIRTH_MPS * noise.scale] * 2, np.float32)
    particles = draw.standard_normal((count, 4), np.float32) * spread
    particles[:, :2] += seen.astype(np.float32)
    cloud.particles = particles


def _propagate(
    cloud: Cloud, frames: Frames, index: int, noise: Noise, draw: np.random.Generator
) -> None:
    elapsed_s, count = float(frames.elapsed_s[index]), len(cloud.particles)
    particles = cloud.particles.astype(np.float64)
    code = int(frames.code[index])
    struck = code >= 0 and code // KIND == KICKED
    kicked = draw.random(count) < (KICKED_SHARE if struck else KICK_SHARE)
    change = np.where(kicked, KICK_MPS, ACCELERATION_MPS2 * elapsed_s) * noise.scale
    change_of_velocity = draw.standard_normal((count, 2)) * change[:, None]
    velocity = particles[:, 2:] + change_of_velocity
    place = particles[:, :2] + (velocity + particles[:, 2:]) / 2 * elapsed_s
    place, jacobian = ground.move(frames.motion[index], place)
    velocity = (jacobian * velocity[:, None, :]).sum(axis=2)
    cloud.particles = np.hstack([place, velocity]).astype(np.float32)


def _likelihood(cloud: Cloud, frames: Frames, index: int, noise: Noise) -> NDArray[np.float64]:
    seen = frames.candidates[index, int(frames.code[index]) % KIND, :2]
    apart = cloud.particles[:, :2].astype(np.float64) - seen
    return np.asarray(np.exp(-(apart**2).sum(axis=1) / (2 * noise.seen)))


def _systematic(weight: NDArray[np.float64], offset: float) -> NDArray[np.int64]:
    """Indices (n,) drawn in proportion to `weight` (n,) by one comb of even spacing."""
    count, total = len(weight), np.cumsum(weight)
    comb = (np.arange(count) + offset) / count * total[-1]
    return np.asarray(np.minimum(np.searchsorted(total, comb), count - 1), np.int64)


def _record(cloud: Cloud, frames: Frames, index: int) -> None:
    """Write what the cloud now says of the last frames of the line into their columns."""
    trail = cloud.trail.astype(np.float64)
    length = trail.shape[1]
    mean = trail.mean(axis=0)
    held = min(length, index + 1)  # older frames were emitted already
    rows = slice(index + 1 - held, index + 1)
    frames.place[rows] = mean[length - held :]
    variance = ((trail - mean) ** 2).mean(axis=(0, 2))
    frames.covariance[rows, 0] = variance[length - held :]
    frames.velocity[index] = cloud.particles[:, 2:].astype(np.float64).mean(axis=0)
