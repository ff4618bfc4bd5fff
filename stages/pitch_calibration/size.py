"""The pitch's size from the points that were seen all match long, where they tell it."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from application.stage import MatchFacts, WholeMatch
from domain import tables
from domain.pitch import PITCH_POINT_COUNT, Pitch
from stages.pitch_calibration.belief import Sighting
from stages.pitch_calibration.camera import K1, SIZE, X, Z
from stages.pitch_calibration.first_look import FirstLook, aimed
from stages.pitch_calibration.reading import DOUBT_NOISE_PX, SURE_NOISE_PX, lists
from stages.pitch_calibration.standing import (
    TURNED,
    Look,
    Stand,
    StandFit,
    StandingCamera,
    ground_points,
)
from stages.pitch_size import PitchSize

Array = NDArray[np.float64]
T = TypeVar("T")

MIN_POINTS = 5
FEWEST_LOOKS, MOST_LOOKS = 5, 40
# looks that tell the camera's place to start from: how many, of how many points, how near together
ASKED, RICH_POINTS, ONE_PLACE_M = 16, 8, 12.0
# sizes to start from, beside the one that is configured: where the sum has another optimum, they
# do not meet
STARTS = ((96.0, 60.0), (114.0, 74.0))
RIVAL = 0.8
# share of the looks that must agree, and how well: the rest may be those of other cameras
AGREEING_LOOKS, LARGEST_MISFIT = 0.25, 1.5
# what no fit can tell: places of a camera that turns, lenses that zoom, lines painted askew
UNMODELLED_M = 0.3
LARGEST_SIGMA_M = 1.0
LENGTHS_M, WIDTHS_M = (90.0, 120.0), (45.0, 90.0)


def table(match: WholeMatch, facts: MatchFacts) -> pa.Table:
    """The table `pitch_size`: one row, or none where nothing is told."""
    looks = chosen(seen_looks(match, facts), MOST_LOOKS)
    size = measured(looks, np.array([facts.width, facts.height]) / 2, facts.pitch)
    if size is None:
        return tables.empty("pitch_size")
    return tables.make("pitch_size", {name: [told] for name, told in vars(size).items()})


def seen_looks(match: WholeMatch, facts: MatchFacts) -> list[Look]:
    """The first look of each second that sees enough points."""
    looks: dict[int, Look] = {}
    for part in match.parts("pitch_observations"):
        seconds = (part["frame"].to_numpy() / facts.frame_rate).astype(np.int64)
        for second, points in zip(seconds.tolist(), lists(part["points"]), strict=True):
            if points is None or second in looks:
                continue
            look = _look(points.reshape(PITCH_POINT_COUNT, 3), facts.width)
            if len(look) >= MIN_POINTS:
                looks[second] = look
    return list(looks.values())


def _look(points: Array, width: float) -> Look:
    found = np.flatnonzero(points[:, 2] > 0)
    noise = SURE_NOISE_PX + DOUBT_NOISE_PX * (1 - points[found, 2])
    return Look(found, points[found, :2], noise * width / 640)


def chosen(looks: Sequence[T], count: int) -> list[T]:
    """At most `count` of the looks, spread over the match."""
    rows = np.linspace(0, len(looks) - 1, min(count, len(looks))).round().astype(int)
    return [looks[row] for row in rows]


def measured(looks: Sequence[Look], centre: Array, used: Pitch) -> PitchSize | None:
    """The size that one standing camera explains best, or None where it explains too little."""
    if len(looks) < FEWEST_LOOKS:
        return None
    sizes = ((used.length_m, used.width_m), *STARTS)
    tried = [fit for size in sizes for fit in _fits(looks, centre, size)]
    fewest = max(FEWEST_LOOKS, AGREEING_LOOKS * len(looks))
    fits = [fit for fit in tried if fit.agreeing >= fewest and fit.misfit <= LARGEST_MISFIT]
    if not fits:
        return None
    best = max(fits, key=lambda fit: (fit.agreeing, -fit.misfit))
    sigma = _sigma(best)
    rivals = [fit for fit in fits if fit.agreeing > RIVAL * best.agreeing]
    meet = all((abs(fit.size - best.size) < 2 * sigma).all() for fit in rivals)
    if not meet:
        return None
    length, length_sigma = _told(best.size[0], sigma[0], LENGTHS_M)
    width, width_sigma = _told(best.size[1], sigma[1], WIDTHS_M)
    if length is None and width is None:
        return None
    return PitchSize(length, length_sigma, width, width_sigma, best.agreeing)


def _told(
    seen: float, sigma: float, legal: tuple[float, float]
) -> tuple[float, float] | tuple[None, None]:
    """What is said of one side: nothing where it is hardly seen, or as on no legal pitch."""
    good = legal[0] <= seen <= legal[1] and sigma <= LARGEST_SIGMA_M
    return (float(seen), float(sigma)) if good else (None, None)


def _sigma(fit: StandFit) -> Array:
    """Standard deviations (2,): more where points miss by more than they should."""
    spread = np.sqrt(np.diag(fit.covariance) * max(fit.misfit, 1.0))
    return np.hypot(spread, UNMODELLED_M)


def _fits(looks: Sequence[Look], centre: Array, size: tuple[float, float]) -> Iterator[StandFit]:
    """The fit that starts from a pitch of `size`, if that shows where the camera stands."""
    ground = ground_points(*size)
    sights = [Sighting(ground[look.points], look.pixels, look.sigma) for look in looks]
    standing = _place(sights, centre, Pitch(*size))
    if standing is None:
        return
    cameras = [aimed(standing, sight, centre) for sight in sights]
    known = [index for index, camera in enumerate(cameras) if camera is not None]
    turned = [camera[TURNED] for camera in cameras if camera is not None]
    if len(known) < max(FEWEST_LOOKS, AGREEING_LOOKS * len(looks)):
        return
    start = Stand.at(standing, np.array(turned), size)
    yield StandingCamera([looks[index] for index in known], centre).fitted(start)


def _place(sights: Sequence[Sighting], centre: Array, pitch: Pitch) -> Array | None:
    """A camera (9,) on the place that most looks tell, one by one: the match's main camera."""
    first_look = FirstLook(centre, pitch, min_points=4, ransac_threshold_m=1.5)
    rich = [sight for sight in sights if len(sight) >= RICH_POINTS] or sights
    fits = [first_look.camera(sight, None) for sight in chosen(rich, ASKED)]
    means = np.array([fit.belief.mean for fit in fits if fit is not None])
    if not len(means):
        return None
    places = means[:, X : Z + 1]
    near = np.linalg.norm(places[:, None] - places, axis=2) < ONE_PLACE_M
    camera = np.zeros(SIZE)
    lasting = [*range(X, Z + 1), K1]
    camera[lasting] = np.median(means[near[near.sum(axis=1).argmax()]], axis=0)[lasting]
    return camera
