"""How people move in the picture: a Kalman filter for many tracks at once.

Constant velocity with white-noise acceleration (Bar-Shalom, Li and Kirubarajan, "Estimation with
Applications to Tracking and Navigation", 2001, section 6.2). Noise is given in metres and scaled by
the box: a person is about 1.8 m tall, so near and far players get the same treatment, and both
axes share one covariance, which leaves three numbers a track.
"""

import numpy as np
from numpy.typing import NDArray

from stages import ground
from stages.player_tracking.state import Tracks

FloatArray = NDArray[np.float64]

PERSON_HEIGHT_M = 1.8
# a player changes his velocity by about 2.8 m/s within a second: q = 2.8^2
ACCELERATION_DENSITY = 8.0  # m^2/s^3
INITIAL_SPEED_MPS = 3.0
BOX_NOISE = 0.05  # of a box's height
# how far above a box's lower edge somebody stands, as a share of its height, and how surely: boxes
# drawn by hand reach 2.5 % beyond the person, and his middle is 0.15 m behind the nearer foot
STANDS_ABOVE, STANDING_NOISE = 0.05, 0.035
SIZE_GAIN = 0.3


def pixels_per_metre(size: FloatArray) -> FloatArray:
    """(n,) from box sizes (n, 2)."""
    return np.asarray(np.maximum(size[:, 1], 4.0) / PERSON_HEIGHT_M)


def boxes_of(tracks: Tracks) -> FloatArray:
    """The expected boxes (n, 4), x1 y1 x2 y2."""
    half = tracks.size[:, 0] / 2
    u, v = tracks.position[:, 0], tracks.position[:, 1]
    return np.column_stack([u - half, v - tracks.size[:, 1], u + half, v])


def feet_of(boxes: FloatArray) -> FloatArray:
    """The bottom centre (n, 2) of boxes (n, 4)."""
    return np.column_stack([(boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3]])


def stands_at(feet: FloatArray, height: FloatArray) -> FloatArray:
    """The pixels (n, 2) of the ground under people whose boxes, `height` (n,), end at `feet`."""
    return feet - np.column_stack([np.zeros(len(feet)), STANDS_ABOVE * height])


def sizes_of(boxes: FloatArray) -> FloatArray:
    """Width and height (n, 2) of boxes (n, 4)."""
    return np.asarray(boxes[:, 2:] - boxes[:, :2])


def born(boxes: FloatArray) -> dict[str, FloatArray]:
    """The motion of tracks that start with `boxes` (m, 4): at rest, within a jogger's speed."""
    size = sizes_of(boxes)
    scale = pixels_per_metre(size)
    covariance = np.zeros((len(boxes), 3))
    covariance[:, 0] = (BOX_NOISE * size[:, 1]) ** 2
    covariance[:, 2] = (INITIAL_SPEED_MPS * scale) ** 2
    return {
        "position": feet_of(boxes),
        "velocity": np.zeros((len(boxes), 2)),
        "size": size,
        "covariance": covariance,
    }


def predict(tracks: Tracks, elapsed_s: float, camera_motion: FloatArray) -> None:
    """Move the tracks on by `elapsed_s`, in place, and into the picture of the new frame.

    The camera's motion moves the foot point exactly and turns the velocity by its Jacobian; the
    covariance is only scaled, since a broadcast camera hardly rolls.
    """
    t, density = elapsed_s, ACCELERATION_DENSITY * pixels_per_metre(tracks.size) ** 2
    place, mixed, speed = tracks.covariance.T
    tracks.position = tracks.position + tracks.velocity * t
    tracks.covariance = np.column_stack(
        [
            place + 2 * t * mixed + t * t * speed + density * t**3 / 3,
            mixed + t * speed + density * t * t / 2,
            speed + density * t,
        ]
    )
    if not np.isfinite(camera_motion).all():
        return
    tracks.position, jacobian = ground.move(camera_motion, tracks.position)
    tracks.velocity = (jacobian * tracks.velocity[:, None, :]).sum(axis=2)
    zoom = ground.scale_of(jacobian)[:, None]
    tracks.size = tracks.size * zoom
    tracks.covariance = tracks.covariance * zoom**2


def correct(tracks: Tracks, index: NDArray[np.int64], boxes: FloatArray, conf: FloatArray) -> None:
    """Draw the tracks `index` (m,) to the boxes (m, 4) that were seen, in place.

    Confident boxes count for more (Du et al., "GIAOTracker", 2021).
    """
    place, mixed, speed = tracks.covariance[index].T
    size = sizes_of(boxes)
    noise = (BOX_NOISE * size[:, 1] * (1.5 - conf)) ** 2
    gain, drift = place / (place + noise), mixed / (place + noise)
    error = feet_of(boxes) - tracks.position[index]
    tracks.position[index] += gain[:, None] * error
    tracks.velocity[index] += drift[:, None] * error
    tracks.size[index] += SIZE_GAIN * (size - tracks.size[index])
    tracks.covariance[index] = np.column_stack(
        [(1 - gain) * place, (1 - gain) * mixed, speed - drift * mixed]
    )
