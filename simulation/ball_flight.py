"""The ball's motion: drag, gravity, bounce and roll, and the kicks that send it somewhere.

Drag constant: rho Cd A / (2 m) with 1.2 kg/m3, Cd 0.25, A 0.038 m2 and 0.43 kg gives 0.0133 /m
(Goff and Carre, Trajectory analysis of a soccer ball, 2009, measured Cd 0.2 to 0.3 above 12 m/s).
"""

import math
from dataclasses import dataclass

import numpy as np

from simulation.arrays import Floats

GRAVITY_MPS2 = 9.81
BALL_RADIUS_M = 0.11  # Laws of the Game, law 2: 68 to 70 cm round
DRAG_PER_M = 0.0133
BOUNCE = 0.6  # FIFA Quality: rebound of 0.6 to 0.85 m from 2 m, less on grass
BOUNCE_GRIP = 0.82  # share of the horizontal speed kept at a bounce
ROLL_MPS2 = 0.9  # FIFA test of ball roll: 4 to 10 m from a 1 m ramp, about 0.7 to 1.2 m/s2
SETTLE_MPS = 0.7  # a slower bounce becomes a roll


@dataclass
class Ball:
    """Centre of the ball in metres and its velocity in metres a second."""

    x: float = 0.0
    y: float = 0.0
    z: float = BALL_RADIUS_M
    vx: float = 0.0
    vy: float = 0.0
    vz: float = 0.0

    @property
    def xy(self) -> Floats:
        return np.array([self.x, self.y])

    @property
    def speed(self) -> float:
        return math.sqrt(self.vx**2 + self.vy**2 + self.vz**2)

    def put(self, x: float, y: float, z: float = BALL_RADIUS_M) -> None:
        """Lay the ball down, at rest."""
        self.x, self.y, self.z = x, y, z
        self.vx = self.vy = self.vz = 0.0

    def kick(self, direction_rad: float, speed_mps: float, elevation_rad: float = 0.0) -> None:
        flat = speed_mps * math.cos(elevation_rad)
        self.vx, self.vy = flat * math.cos(direction_rad), flat * math.sin(direction_rad)
        self.vz = speed_mps * math.sin(elevation_rad)

    def advance(self, dt: float) -> None:
        """Move by `dt` seconds."""
        drag = DRAG_PER_M * self.speed * dt
        if self.z <= BALL_RADIUS_M + 1e-6 and abs(self.vz) < SETTLE_MPS:
            self._roll(drag, dt)
        else:
            keep = 1.0 - drag
            self.vx, self.vy, self.vz = self.vx * keep, self.vy * keep, self.vz * keep
            self.vz -= GRAVITY_MPS2 * dt
        self.x, self.y, self.z = self.x + self.vx * dt, self.y + self.vy * dt, self.z + self.vz * dt
        if self.z < BALL_RADIUS_M:
            self._bounce()

    def _roll(self, drag: float, dt: float) -> None:
        flat = math.hypot(self.vx, self.vy)
        keep = max(1.0 - drag - ROLL_MPS2 * dt / flat, 0.0) if flat > 1e-9 else 0.0
        self.vx, self.vy, self.vz, self.z = self.vx * keep, self.vy * keep, 0.0, BALL_RADIUS_M

    def _bounce(self) -> None:
        self.z = BALL_RADIUS_M
        self.vx, self.vy = self.vx * BOUNCE_GRIP, self.vy * BOUNCE_GRIP
        self.vz = -BOUNCE * self.vz if -self.vz > SETTLE_MPS else 0.0

    def path(self, seconds: float, dt: float = 0.05) -> Floats:
        """Where an untouched ball would be: rows of t, x, y, z from now on."""
        ghost = Ball(self.x, self.y, self.z, self.vx, self.vy, self.vz)
        rows = []
        for step in range(round(seconds / dt) + 1):
            rows.append((step * dt, ghost.x, ghost.y, ghost.z))
            ghost.advance(dt)
        return np.array(rows)


def roll_speed(distance_m: float, arrival_mps: float) -> float:
    """Speed at the start of a roll of `distance_m` that arrives with `arrival_mps`.

    From v dv/ds = -(a + k v^2): v0^2 = (v1^2 + a/k) exp(2 k s) - a/k.
    """
    ratio = ROLL_MPS2 / DRAG_PER_M
    return math.sqrt((arrival_mps**2 + ratio) * math.exp(2 * DRAG_PER_M * distance_m) - ratio)


def roll_times(speed_mps: float, distances_m: Floats) -> Floats:
    """Seconds in which a roll that starts with `speed_mps` goes each distance (inf: never)."""
    ratio = ROLL_MPS2 / DRAG_PER_M
    squared = (speed_mps**2 + ratio) * np.exp(-2 * DRAG_PER_M * distances_m) - ratio
    later = np.sqrt(np.maximum(squared, 0.0))
    scale = math.sqrt(DRAG_PER_M / ROLL_MPS2)
    taken = (math.atan(speed_mps * scale) - np.arctan(later * scale)) / math.sqrt(
        ROLL_MPS2 * DRAG_PER_M
    )
    return np.where(squared > 0, taken, np.inf)


def loft_speed(distance_m: float, elevation_rad: float, height_m: float = BALL_RADIUS_M) -> float:
    """Speed of a kick from `height_m` that first lands `distance_m` away."""
    speed = math.sqrt(GRAVITY_MPS2 * distance_m / math.sin(2 * elevation_rad))
    for _ in range(4):
        landed, _ = landing(speed, elevation_rad, height_m)
        speed *= math.sqrt(distance_m / max(landed, 0.1))
    return speed


def landing(speed_mps: float, elevation_rad: float, height_m: float) -> tuple[float, float]:
    """Distance in metres and time in seconds of the first contact with the ground."""
    ball, elapsed = Ball(z=height_m), 0.0
    ball.kick(0.0, speed_mps, elevation_rad)
    while elapsed < 8.0:
        ball.advance(0.02)
        elapsed += 0.02
        if ball.z <= BALL_RADIUS_M:
            break
    return ball.x, elapsed
