"""Which shots are replays: what only the whole match can tell, as log-odds for each shot.

Broadcasters set replays between two showings of one logo, slow them down, and take them from other
places than the match's main camera's; and a replay shows what was seen before, while the people of
a live shot stand where those of the shot before it stood. None of these is sure alone. A shot from
elsewhere of which nothing else is known is no evidence of the match as it is now: it counts as a
replay, but hardly surely.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from domain.tables import GLANCE_SIZE
from stages.team_classification.shots import Moment, Shot

Array = NDArray[np.float64]

# log-odds
MAIN, ELSEWHERE, NOWHERE = -3.0, 0.5, -2.0
BRACKETED, ONE_WIPE, SLOW, SEEN_BEFORE, CONTINUES, LONG = 4.0, 1.0, 1.0, 3.5, -4.0, -4.0
# one stand, within the calibration's error; a live camera is shown for so long, a replay is not
SAME_PLACE_M, LONG_S = 12.0, 20.0
LONGEST_BREAK_S = 60.0
SLOW_SHARE = 0.65
# mean differences of glances: a wipe shows what is in neither shot, and each time the same
FOREIGN, SAME_LOGO = 12.0, 14.0
# people are where others were: within this distance, this share of them, so much above chance
NEAR_M, SAME_SHARE, ABOVE_CHANCE = 1.5, 0.6, 0.3
MIN_PEOPLE, MIN_MOMENTS = 4, 3
PACES = (1.0, 0.6, 0.5, 0.4)
BACK_S, STEP_S = 45.0, 0.4
GAP_S = 1.2


@dataclass
class Verdict:
    """The log-odds of being a replay, and what speaks for and against it."""

    log_odds: float = 0.0
    evidence: list[str] = field(default_factory=list)

    def add(self, log_odds: float, what: str) -> None:
        self.log_odds += log_odds
        self.evidence.append(what)

    @property
    def replay(self) -> bool:
        return self.log_odds > 0

    @property
    def confidence(self) -> float:
        return float(1 / (1 + np.exp(-self.log_odds)))


def judge(shots: Sequence[Shot]) -> list[Verdict]:
    """A verdict for each of the match's shots, in their order."""
    verdicts = [Verdict() for _ in shots]
    if len(shots) < 2:
        return verdicts
    at_main = _at_main(shots)
    bracketed, wiped = _between_wipes(shots, at_main)
    usual = _median(shot.speed_mps for shot, main in zip(shots, at_main, strict=True) if main)
    for index, (shot, verdict) in enumerate(zip(shots, verdicts, strict=True)):
        if at_main[index] is None:
            verdict.add(NOWHERE, "no_place")
        else:
            verdict.add(*(MAIN, "main_camera") if at_main[index] else (ELSEWHERE, "other_camera"))
        if bracketed[index]:
            verdict.add(BRACKETED, "between_wipes")
        elif wiped[index]:
            verdict.add(ONE_WIPE, "wipe")
        if shot.lasted_s >= LONG_S:
            verdict.add(LONG, "long")
        if shot.speed_mps < SLOW_SHARE * usual:
            verdict.add(SLOW, "slow")
        if not at_main[index] or bracketed[index]:
            _compare(shots, index, at_main, verdict)
    return verdicts


def _median(values: Iterable[float]) -> float:
    known = [value for value in values if np.isfinite(value)]
    return float(np.median(known)) if known else np.nan


def _at_main(shots: Sequence[Shot]) -> list[bool | None]:
    """Whether each shot is of the place that the match shows longest, or of one that it stays at.

    None where the place is not known.
    """
    places = np.array([shot.place for shot in shots])
    wide_s = np.array([shot.wide_s for shot in shots])
    apart = np.linalg.norm(places[:, None, :2] - places[None, :, :2], axis=2)
    near = apart <= SAME_PLACE_M  # NaN is not near
    longest = int((near * wide_s).sum(axis=1).argmax())
    stays = np.array([shot.lasted_s >= LONG_S for shot in shots]) & (wide_s >= LONG_S / 2)
    main = near[longest] | near[stays].any(axis=0)
    known = np.isfinite(places[:, 0])
    return [bool(here) if there else None for here, there in zip(main, known, strict=True)]


def _between_wipes(
    shots: Sequence[Shot], at_main: Sequence[bool | None]
) -> tuple[list[bool], list[bool]]:
    """Which shots lie between two wipes that look alike, and which have one at either end."""
    wipes = [index for index, shot in enumerate(shots) if _is_wipe(shot.opening)]
    bracketed = [False] * len(shots)
    for start, end in zip(wipes, wipes[1:], strict=False):
        inside = range(start, end)
        lasted_s = shots[end - 1].end_s - shots[start].start_s
        alike = same_logo(shots[start].opening, shots[end].opening)
        # after a replay the main camera comes back, and shows what nobody saw before
        live = at_main[start] and not _was_seen(shots, start, at_main)
        if alike and lasted_s <= LONGEST_BREAK_S and not live:
            for index in inside:
                bracketed[index] = True
    ends = {*wipes, *(index - 1 for index in wipes)}
    return bracketed, [index in ends for index in range(len(shots))]


def _is_wipe(opening: NDArray[np.uint8]) -> bool:
    """Whether something is shown between two shots that is no mixture of them."""
    if len(opening) < 3:
        return False
    first, last = opening[0].astype(np.float64), opening[-1].astype(np.float64)
    middle, way = opening[len(opening) // 2].astype(np.float64), last - first
    share = np.clip(((middle - first) @ way) / max(way @ way, 1e-9), 0, 1)
    return bool(np.abs(middle - first - share * way).mean() >= FOREIGN)


def same_logo(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> bool:
    """Whether two wipes (n, GLANCE_SIZE) show the same at their heights."""
    a, b = (
        glances[1:-1].astype(np.float64).reshape(-1, 1, GLANCE_SIZE) for glances in (first, second)
    )
    return bool(np.abs(a - b.swapaxes(0, 1)).mean(axis=2).min() <= SAME_LOGO)


def _compare(
    shots: Sequence[Shot], index: int, at_main: Sequence[bool | None], verdict: Verdict
) -> None:
    """Hold a shot against what was seen just before it and just after it, and long before."""
    moments = shots[index].moments
    if len(moments) < MIN_MOMENTS:
        return
    later = next((other.moments[:1] for other in shots[index + 1 : index + 2]), [])
    before = _live_before(shots, index, at_main)[-1:]
    if _meets(before, moments[:1]) or _meets(moments[-1:], later):
        verdict.add(CONTINUES, "continues")
    elif _was_seen(shots, index, at_main):
        verdict.add(SEEN_BEFORE, "seen_before")


def _live_before(shots: Sequence[Shot], index: int, at_main: Sequence[bool | None]) -> list[Moment]:
    """What the main camera showed of late before a shot."""
    return [
        moment
        for other, main in zip(shots[:index], at_main[:index], strict=True)
        if main
        for moment in other.moments
        if shots[index].start_s - moment.time_s <= BACK_S
    ]


def _was_seen(shots: Sequence[Shot], index: int, at_main: Sequence[bool | None]) -> bool:
    return seen_before(shots[index].moments, _live_before(shots, index, at_main))


def _meets(first: Sequence[Moment], second: Sequence[Moment]) -> bool:
    """Whether people of two moments, hardly apart in time, are the same."""
    if not first or not second or second[0].time_s - first[0].time_s > GAP_S:
        return False
    a, b = first[0].xy, second[0].xy
    if min(len(a), len(b)) < MIN_PEOPLE:
        return False
    reach = NEAR_M + 3.0 * (second[0].time_s - first[0].time_s)
    apart = np.linalg.norm(a[:, None] - b[None], axis=2)
    mutual = (apart.argmin(axis=1)[apart.argmin(axis=0)] == np.arange(len(b))) & (
        apart.min(axis=0) <= reach
    )
    return bool(mutual.sum() >= SAME_SHARE * min(len(a), len(b)))


def seen_before(now: Sequence[Moment], earlier: Sequence[Moment]) -> bool:
    """Whether the people of some moments move as they were seen to move earlier, at any pace."""
    now = [moment for moment in now if len(moment.xy) >= MIN_PEOPLE]
    if len(now) < MIN_MOMENTS or len(earlier) < MIN_MOMENTS:
        return False
    times = np.array([moment.time_s for moment in earlier])
    alike = np.array([[_share_near(a.xy, b.xy) for b in earlier] for a in now])
    shares = []
    for pace in PACES:
        offsets = np.array([pace * (moment.time_s - now[0].time_s) for moment in now])
        for start_s in np.arange(times[0], times[-1] - offsets[-1], STEP_S):
            at = np.clip(np.searchsorted(times, start_s + offsets), 0, len(times) - 1)
            if (np.abs(times[at] - start_s - offsets) <= 2 * STEP_S).all():
                shares.append(float(alike[np.arange(len(now)), at].mean()))
    if not shares:
        return False
    best = max(shares)
    return best >= SAME_SHARE and best >= float(np.median(shares)) + ABOVE_CHANCE


def _share_near(people: Array, others: Array) -> float:
    """The share of people (n, 2) who have one of others (m, 2) within `NEAR_M`."""
    if not len(others):
        return 0.0
    apart = np.linalg.norm(people[:, None] - others[None], axis=2)
    return float((apart.min(axis=1) <= NEAR_M).mean())
