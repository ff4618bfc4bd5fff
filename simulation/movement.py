"""How people move: towards their targets, within human limits, without standing in each other."""

import numpy as np

from simulation.arrays import Floats

# Peak accelerations of professionals, about 4 to 6 m/s2 from standing (Osgnach et al., 2010).
ACCELERATION_MPS2 = 4.6
BRAKING_MPS2 = 5.2
RESPONSE_S = 0.22
PERSONAL_SPACE_M = 1.3
PUSH_MPS_PER_M = 5.5
TURN_RAD_PS = 5.5
# who stands on the very same spot as another steps aside by rank
_APART = np.sign(np.arange(64)[:, None] - np.arange(64)[None])
FACE_BALL_MPS = 1.3  # below about this speed people face the ball, above it where they run


def step(
    position: Floats,
    velocity: Floats,
    target: Floats,
    pace: Floats,
    top_speed: Floats,
    dt: float,
) -> tuple[Floats, Floats]:
    """Positions and velocities (n, 2) after `dt` seconds of running towards `target` (n, 2).

    `pace` is the speed that each would like (n), capped by `top_speed` (n).
    """
    wanted = _wanted_velocity(position, target, np.minimum(pace, top_speed)) + _push(position)
    change = (wanted - velocity) / RESPONSE_S
    speed = np.linalg.norm(velocity, axis=1)
    gaining = np.linalg.norm(wanted, axis=1) > speed
    fade = 1.0 - 0.65 * speed / top_speed
    limit = np.where(gaining, ACCELERATION_MPS2 * fade, BRAKING_MPS2)
    velocity = velocity + _capped(change, limit) * dt
    velocity = _capped(velocity, top_speed)
    return position + velocity * dt, velocity


def _wanted_velocity(position: Floats, target: Floats, pace: Floats) -> Floats:
    """Towards the target at `pace`, slow enough to stop there."""
    offset = target - position
    distance = np.linalg.norm(offset, axis=1)
    speed = np.minimum(pace, np.sqrt(2 * 0.6 * BRAKING_MPS2 * distance))
    return np.asarray(offset / np.maximum(distance, 1e-6)[:, None] * speed[:, None])


def _push(position: Floats) -> Floats:
    """A velocity away from everyone who is nearer than the personal space."""
    offset = position[:, None] - position[None]
    offset[..., 1] += 1e-3 * _APART[: len(position), : len(position)]
    distance = np.linalg.norm(offset, axis=2)
    strength = np.maximum(PERSONAL_SPACE_M - distance, 0.0) * PUSH_MPS_PER_M
    np.fill_diagonal(strength, 0.0)
    return np.asarray(
        (offset / np.maximum(distance, 0.05)[..., None] * strength[..., None]).sum(axis=1)
    )


def _capped(vectors: Floats, limit: Floats) -> Floats:
    length = np.linalg.norm(vectors, axis=1)
    return np.asarray(vectors * np.minimum(1.0, limit / np.maximum(length, 1e-9))[:, None])


def turn(heading: Floats, position: Floats, velocity: Floats, ball_xy: Floats, dt: float) -> Floats:
    """Headings (n) in radians after `dt` seconds: to the run when running, else to the ball."""
    to_ball = ball_xy - position
    to_ball /= np.maximum(np.linalg.norm(to_ball, axis=1), 0.3)[:, None]
    facing = velocity + FACE_BALL_MPS * to_ball
    wanted = np.arctan2(facing[:, 1], facing[:, 0])
    error = (wanted - heading + np.pi) % (2 * np.pi) - np.pi
    limit = TURN_RAD_PS * dt
    return np.asarray(heading + np.clip(error * 0.25, -limit, limit))
