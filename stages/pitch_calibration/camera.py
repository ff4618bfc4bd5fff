"""A camera that looks at a flat pitch: nine numbers, and what each of them does to the picture.

The camera vector is pan, tilt, roll (radians), log focal length (pixels), x, y, z (metres), the
log ratio of vertical to horizontal focal length, and k1, by which the lens bends lines
(domain.lens); the principal point is the picture's centre and there is no skew. The first eight are
a full chart of the homographies between a plane and a picture, in numbers for which one knows what
is usual (Hartley and Zisserman, Multiple View Geometry, chapter 8). Pan is 0 looking along +y and
grows to the right, tilt grows upwards, roll grows as the camera turns clockwise. Pixels are
continuous, with (0, 0) the picture's top-left corner.
"""

import numpy as np
from numpy.typing import NDArray

from domain.lens import straightened

Array = NDArray[np.float64]

PAN, TILT, ROLL, LOG_FOCAL, X, Y, Z, LOG_ASPECT, K1 = range(9)
SIZE = 9
TURNING = [PAN, TILT, ROLL, LOG_FOCAL]


def rotation(camera: Array) -> Array:
    """World to camera axes (right, down, forward), (..., 3, 3), of cameras (..., 9)."""
    angles = camera[..., : ROLL + 1]
    sin, cos = np.sin(angles), np.cos(angles)
    sp, st, sr = sin[..., PAN], sin[..., TILT], sin[..., ROLL]
    cp, ct, cr = cos[..., PAN], cos[..., TILT], cos[..., ROLL]
    axes = np.empty((*camera.shape[:-1], 3, 3))
    axes[..., 0, 0], axes[..., 0, 1] = cr * cp + sr * st * sp, sr * st * cp - cr * sp
    axes[..., 1, 0], axes[..., 1, 1] = cr * st * sp - sr * cp, sr * sp + cr * st * cp
    axes[..., 2, 0], axes[..., 2, 1] = ct * sp, ct * cp
    axes[..., 0, 2], axes[..., 1, 2], axes[..., 2, 2] = -sr * ct, -cr * ct, st
    return axes


def intrinsics(camera: Array, centre: Array) -> Array:
    """(..., 3, 3) of cameras (..., 9) whose picture has its middle at `centre` (2,)."""
    matrix = np.zeros((*camera.shape[:-1], 3, 3))
    focal = np.exp(camera[..., LOG_FOCAL])
    matrix[..., 0, 0], matrix[..., 1, 1] = focal, focal * np.exp(camera[..., LOG_ASPECT])
    matrix[..., :2, 2], matrix[..., 2, 2] = centre, 1.0
    return matrix


def ground_to_pixel(camera: Array, centre: Array) -> Array:
    """Homographies (..., 3, 3) from metres on the pitch to the pixels of a straight lens.

    The third row gives depth.
    """
    plane = np.zeros((*camera.shape[:-1], 3, 3))
    plane[..., 0, 0] = plane[..., 1, 1] = 1.0
    plane[..., :, 2] = -camera[..., X : Z + 1]
    return np.asarray(intrinsics(camera, centre) @ rotation(camera) @ plane)


def pixel_to_ground(camera: Array, centre: Array) -> Array:
    """Homographies (..., 3, 3) from a straight lens's pixels to metres, of norm 1."""
    homography = np.linalg.inv(ground_to_pixel(camera, centre))
    return np.asarray(homography / np.linalg.norm(homography, axis=(-2, -1), keepdims=True))


def straight(camera: Array, centre: Array, pixels: Array) -> Array:
    """Where pixels (p, 2) of cameras (..., 9) would be without their lens's bend, (..., p, 2)."""
    bend = camera[..., K1] / np.exp(2 * camera[..., LOG_FOCAL])
    return straightened(pixels - centre, bend[..., None]) + centre


def view(camera: Array, centre: Array, ground: Array) -> tuple[Array, Array]:
    """Pixels (n, 2) of ground points (n, 2), and their derivatives (n, 2, 9) by the camera.

    Points behind the camera give NaN.
    """
    axes = rotation(camera)
    offset = np.empty((len(ground), 3))
    offset[:, :2], offset[:, 2] = ground - camera[X:Z], -camera[Z]
    seen = offset @ axes.T
    depth = np.where(seen[:, 2] > 1e-3, seen[:, 2], np.nan)
    moved = _seen_by_camera(camera, axes, offset, seen)
    focal = np.exp(camera[LOG_FOCAL]) * np.array([1.0, np.exp(camera[LOG_ASPECT])])
    slope = seen[:, :2] / depth[:, None]
    jacobian = np.zeros((len(ground), 2, SIZE))
    jacobian[:, :, :7] = (moved[:, :2] - slope[:, :, None] * moved[:, 2:]) / depth[:, None, None]
    square = (slope**2).sum(axis=1)
    factor = 1 + camera[K1] * square
    # d (s (1 + k s^2)) = (1 + k s^2) ds + 2 k s (s ds): the second part is along the ray
    along = np.einsum("ni,nij->nj", slope, jacobian)
    jacobian = factor[:, None, None] * jacobian
    jacobian += 2 * camera[K1] * slope[:, :, None] * along[:, None, :]
    bent = slope * factor[:, None]
    jacobian[:, :, LOG_FOCAL] = bent
    jacobian[:, 1, LOG_ASPECT] = bent[:, 1]
    jacobian[:, :, K1] = slope * square[:, None]
    return bent * focal + centre, jacobian * focal[:, None]


def _seen_by_camera(camera: Array, axes: Array, offset: Array, seen: Array) -> Array:
    """Derivatives (n, 3, 7) of `seen`, points in camera axes, by pan, tilt, roll, -, x, y, z."""
    sr, cr = np.sin(camera[ROLL]), np.cos(camera[ROLL])
    moved = np.zeros((len(seen), 3, 7))
    # a pan turns the world about the vertical: the derivative is the offset turned by a quarter
    turned = offset[:, 1::-1] * [-1.0, 1.0]
    moved[:, :, PAN] = turned @ axes[:, :2].T
    moved[:, 0, TILT], moved[:, 1, TILT] = sr * seen[:, 2], cr * seen[:, 2]
    moved[:, 2, TILT] = -(cr * seen[:, 1] + sr * seen[:, 0])
    moved[:, 0, ROLL], moved[:, 1, ROLL] = seen[:, 1], -seen[:, 0]
    moved[:, :, X : Z + 1] = -axes
    return moved


def from_homography(
    homography: Array, centre: Array, log_focal: float | None = None
) -> Array | None:
    """The straight camera (9,) whose pictures `homography` (pixels to metres) explains, or None.

    The two rotated axes of the ground must be at right angles and of one length, which gives the
    focal length (Zhang, 2000), unless it is given. None where no focal length satisfies that, or
    where the camera would be under the ground.
    """
    plane: Array = np.asarray(np.linalg.inv(homography), np.float64)
    plane[:2] -= np.outer(centre, plane[2])
    focal = _focal(plane) if log_focal is None else float(np.exp(log_focal))
    if focal is None:
        return None
    plane[:2] /= focal
    plane /= np.linalg.norm(plane[:, :2]) / np.sqrt(2)
    # the sign for which the camera is above the ground
    right, away, shift = plane.T
    axes = _nearest_rotation(np.column_stack([right, away, np.cross(right, away)]))
    position = -axes.T @ shift
    if position[2] < 0:
        flipped = np.diag([-1.0, -1.0, 1.0])
        axes, position = axes @ flipped, position * [1.0, 1.0, -1.0]
    camera = np.zeros(SIZE)
    camera[PAN : ROLL + 1] = _angles(axes)
    camera[LOG_FOCAL], camera[X : Z + 1] = np.log(focal), position
    return camera if position[2] > 0 else None


def _focal(plane: Array) -> float | None:
    """The focal length in pixels by least squares over both conditions."""
    right, away = plane[:, 0], plane[:, 1]
    flat = np.array([right[:2] @ away[:2], right[:2] @ right[:2] - away[:2] @ away[:2]])
    deep = np.array([right[2] * away[2], right[2] ** 2 - away[2] ** 2])
    inverse_square = -(flat @ deep) / (flat @ flat)
    return float(inverse_square**-0.5) if inverse_square > 0 else None


def _nearest_rotation(matrix: Array) -> Array:
    left, _, right = np.linalg.svd(matrix)
    return np.asarray(left @ np.diag([1.0, 1.0, np.linalg.det(left @ right)]) @ right)


def _angles(axes: Array) -> Array:
    """Pan, tilt and roll of a rotation from world to camera axes: `rotation` undone."""
    pan = np.arctan2(axes[2, 0], axes[2, 1])
    tilt = np.arcsin(min(max(axes[2, 2], -1.0), 1.0))
    return np.array([pan, tilt, np.arctan2(-axes[0, 2], -axes[1, 2])])


def carried(camera: Array, motion: Array, centre: Array) -> Array:
    """The camera (9,) after a motion (3, 3) of the picture's pixels; it stays in its place.

    Only the motion at the picture's middle is used (its shift, zoom and turn): there a motion is
    known best, and with the camera's own focal length it says all about a turn and a zoom.
    """
    middle = motion @ np.append(centre, 1.0)
    to = middle[:2] / middle[2]
    local = (motion[:2, :2] - np.outer(to, motion[2, :2])) / middle[2]
    aspect = np.array([1.0, np.exp(camera[LOG_ASPECT])])
    local = local * aspect / aspect[:, None]
    log_focal = camera[LOG_FOCAL]
    for _ in range(2):
        seen = (to - centre) / np.exp(log_focal) / aspect
        tilted = _turn_to(seen)
        ray = tilted[:, 2]
        spread = (tilted[:2, :2] - np.outer(seen, tilted[2, :2])) / ray[2]
        similar = np.linalg.solve(spread, local)
        real, imaginary = similar[0, 0] + similar[1, 1], similar[1, 0] - similar[0, 1]
        log_focal = camera[LOG_FOCAL] + np.log(np.hypot(real, imaginary) / 2)
    roll = np.arctan2(imaginary, real)
    turn = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    after = camera.copy()
    after[PAN : ROLL + 1] = _angles(tilted @ turn @ rotation(camera))
    after[LOG_FOCAL] = log_focal
    return after


def _turn_to(slope: Array) -> Array:
    """The smallest rotation that takes the optical axis to the ray (slope, 1)."""
    ray = np.append(slope, 1.0) / np.sqrt(1 + slope @ slope)
    x, y, z = ray
    return np.array(
        [
            [1 - x * x / (1 + z), -x * y / (1 + z), x],
            [-x * y / (1 + z), 1 - y * y / (1 + z), y],
            [-x, -y, z],
        ]
    )
