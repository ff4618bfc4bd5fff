"""Makes waiting rows final: smoothed, carried back to where nothing was seen, and judged."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from domain.pitch import Pitch
from stages.pitch_calibration import camera as cameras
from stages.pitch_calibration.belief import Belief
from stages.pitch_calibration.camera import SIZE
from stages.pitch_calibration.filtering import Track, moved, smoothed
from stages.pitch_calibration.following import Row
from stages.pitch_calibration.reading import SURE_NOISE_PX

Array = NDArray[np.float64]

# places in the picture, as shares of its sides, where the expected error is worked out
COLUMNS, ROWS = np.linspace(0.05, 0.95, 7), np.linspace(0.1, 0.95, 6)
MIN_PLACES_ON_PITCH = 4
# of the points that a network sees in views that it knows, 0.8 to 1 fit; in others 0 to 0.7
TRUSTED = 0.6
# what no fit can tell: a lens that is not of one term, a pitch of unusual size, lines painted askew
UNMODELLED_M = 0.1


def settle(rows: Sequence[Row], centre: Array, max_propagation_s: float) -> list[Belief | None]:
    """The final belief of each row, given all of them; None in shots that are not trusted."""
    beliefs: list[Belief | None] = [None] * len(rows)
    for first, end in _stretches(rows):
        part = rows[first:end]
        mean, covariance = smoothed(_track(part))
        beliefs[first:end] = [Belief(*pair) for pair in zip(mean, covariance, strict=True)]
    _carry_back(rows, beliefs, centre, max_propagation_s)
    trust = {row.shot: row.trust for row in rows}
    return [
        belief if trust[row.shot] >= TRUSTED else None
        for row, belief in zip(rows, beliefs, strict=True)
    ]


def _stretches(rows: Sequence[Row]) -> list[tuple[int, int]]:
    """Ranges of rows in which each camera was predicted from the one before it."""
    ranges: list[tuple[int, int]] = []
    for index, row in enumerate(rows):
        if row.mean is None:
            continue
        if row.predicted is not None and ranges and ranges[-1][1] == index:
            ranges[-1] = (ranges[-1][0], index + 1)
        else:
            ranges.append((index, index + 1))
    return ranges


def _track(rows: Sequence[Row]) -> Track:
    nothing = np.zeros(SIZE)
    return Track(
        mean=np.array([row.mean for row in rows]),
        covariance=np.array([row.covariance for row in rows]),
        predicted=np.array([nothing if row.predicted is None else row.predicted for row in rows]),
        added=np.array([nothing if row.added is None else row.added for row in rows]),
    )


def _carry_back(
    rows: Sequence[Row], beliefs: list[Belief | None], centre: Array, max_propagation_s: float
) -> None:
    """Carry cameras backwards over the frames before the first sighting of their shot."""
    source = np.inf
    for index in range(len(rows) - 2, -1, -1):
        after, motion = beliefs[index + 1], rows[index + 1].motion
        if rows[index + 1].measured:
            source = rows[index + 1].time_s
        too_far = source - rows[index].time_s > max_propagation_s
        if beliefs[index] is not None or after is None or motion is None or too_far:
            continue
        elapsed_s = rows[index + 1].time_s - rows[index].time_s
        back = np.linalg.inv(motion.reshape(3, 3))
        beliefs[index] = moved(after, back, elapsed_s, centre).belief
        rows[index].misfit = rows[index + 1].misfit


def expected_errors(
    beliefs: Sequence[Belief], misfits: Array, centre: Array, pitch: Pitch
) -> tuple[Array, Array]:
    """Expected errors in metres, and widths in metres of what is seen, for n beliefs: (n,), (n,).

    The error is the root mean square over places of the picture that show the pitch; NaN where
    hardly any does. What is seen and misses by more than its noise shows a picture that no such
    camera takes: many sights make the fit surer, and that part of the error no smaller.
    """
    mean = np.array([belief.mean for belief in beliefs])
    roots = np.linalg.cholesky(np.array([belief.covariance for belief in beliefs]))
    # the mean camera, and one a standard deviation off along each axis of the covariance
    around = np.concatenate([mean[:, None], mean[:, None] + roots.transpose(0, 2, 1)], axis=1)
    ground = _seen_ground(around, centre)
    aside = [_seen_ground(mean[:, None], centre, shift)[:, 0] for shift in np.eye(2)]
    shown = np.isfinite(ground).all(axis=(1, 3))
    shown &= pitch.contains(ground[:, 0].reshape(-1, 2)).reshape(shown.shape)
    square = ((ground[:, 1:] - ground[:, :1]) ** 2).sum(axis=(1, 3))
    count = shown.sum(axis=1)
    per_pixel = sum(((moved - ground[:, 0]) ** 2).sum(axis=2) for moved in aside)
    bent_px = SURE_NOISE_PX * centre[0] / 320 * np.sqrt(misfits**2 - 1)
    total = np.where(shown, misfits[:, None] ** 2 * square, 0.0).sum(axis=1)
    total += bent_px**2 * np.where(shown, per_pixel, 0.0).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.hypot(np.sqrt(total / count), UNMODELLED_M)
    error[count < MIN_PLACES_ON_PITCH] = np.nan
    return error, _widths(ground[:, 0])


def _seen_ground(around: Array, centre: Array, shift: Array | float = 0.0) -> Array:
    """Where (n, k, places, 2) cameras (n, k, 9) see the ground, NaN above the horizon.

    `shift` (2,) moves all places of the picture, in pixels.
    """
    x, y = np.meshgrid(COLUMNS, ROWS)
    pixels = np.column_stack([x.ravel(), y.ravel()]) * 2 * centre + shift
    places = cameras.straight(around, centre, pixels)
    # the inverse keeps the sign by which a third coordinate is positive in front of the camera
    homography = np.linalg.inv(cameras.ground_to_pixel(around, centre))
    ground = np.einsum("nkij,nkpj->nkpi", homography[..., :2], places)
    ground += homography[..., None, :, 2]
    depth = np.where(ground[..., 2:] > 0, ground[..., 2:], np.nan)
    return np.asarray(ground[..., :2] / depth)


def _widths(ground: Array) -> Array:
    """Metres between the left and right ends of the picture's lowest row, (n,)."""
    lowest = ground[:, -len(COLUMNS) :]
    return np.asarray(np.linalg.norm(lowest[:, -1] - lowest[:, 0], axis=1))
