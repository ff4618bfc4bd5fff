"""Where shots begin and end, and what kind of view each frame is of, a moment behind the input.

A hard cut is one frame that differs from the one before far more than its neighbours do. In a
dissolve or a wipe several frames in a row differ, in a way that the camera's motion does not
explain, and what is seen after them is not what was seen before: Boreczky and Rowe, "Comparison of
video shot boundary detection techniques" (1996), call that twin comparison. Everything is decided
frame by frame from what the next `LOOKAHEAD_S` show, so cutting the input changes nothing.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import msgspec
import numpy as np

from stages.pitch_calibration.following import Mix, Row

GLANCES = 5
LOOKAHEAD_S = 2.0
# a mixed stretch ends where so much time is calm; a longer one is an unruly shot, not a change
BRIDGE_S, LONGEST_S, SHORTEST_S = 0.3, 1.6, 0.1
# mean differences of colour, 0..255: under the first nothing happens, from the second on it is
# more than a dissolve between two pictures of grass
CALM, WIPE = 0.95, 6.0
UNRULY = 2.2  # times the shot's own usual change
SPIKE = 2.5  # times the change of the frames around
AROUND, AT_FIRST = 4, 6  # frames
CALM_GAIN = 0.05
# two glances that differ by less show one view, which did not even move if they differ by less than
# UNMOVED; and a dissolve's changes add up in one direction
SAME_VIEW, DIRECTED = 8.0, 0.5
UNMOVED = 2.5
FLASH_S = 0.2
VIEW_S, VIEW_SHARE = 0.5, 0.6


class Seen(msgspec.Struct, frozen=True, array_like=True):
    """The network's points (96,) and the sights of lines (6 n,) of a frame, None if not sought.

    Both float32, as they come: they wait for two seconds in the carried state.
    """

    points: np.ndarray | None = None
    lines: np.ndarray | None = None


NOTHING = Seen()


class Arrival(msgspec.Struct, array_like=True):
    """A frame as it was observed; `change` is NaN and `glance` None where nothing is known.

    `view` is what this frame alone says of it, "" where nothing; `near` that persons fill it.
    """

    row: Row
    seen: Seen = NOTHING
    cut: bool = False
    change: float = np.nan
    glance: np.ndarray | None = None
    view: str = ""
    near: bool = False


class ShotState(msgspec.Struct):
    """Frames that wait for what comes after them, and what is known of the shot so far.

    `calm` is the shot's usual change, NaN at its beginning; `recent` are the last changes in it.
    """

    waiting: list[Arrival] = []
    calm: float = np.nan
    recent: list[float] = []
    before: np.ndarray | None = None
    mix: Mix | None = None
    steady_until: int = 0
    begins: bool = True
    view: str = "other"
    near: bool = False


def divided(state: ShotState, arriving: Iterable[Arrival], *, final: bool) -> Iterator[Arrival]:
    """The frames whose shot and view are decided: `cut` where a shot begins, `row.view` set.

    In mixed frames `row.mixed` is set, and neither motion nor points nor lines are believed.
    """
    for frame in arriving:
        state.waiting.append(frame)
        while _known_ahead(state.waiting):
            yield _next(state)
    while final and state.waiting:
        yield _next(state)


def _known_ahead(waiting: Sequence[Arrival]) -> bool:
    return waiting[-1].row.time_s - waiting[0].row.time_s > LOOKAHEAD_S


def _next(state: ShotState) -> Arrival:
    head = state.waiting[0]
    if state.mix is None and head.row.frame >= state.steady_until:
        _look_ahead(state, head)
    begins = _begins(state, head)
    if _settle_view(state) and not begins:
        _begin(state, head)
        begins = True
    if state.mix and head.row.frame >= state.mix.end - 1:
        state.mix = None
    if head.glance is not None:
        state.before = head.glance
    state.waiting = state.waiting[1:]
    head.cut = begins
    return head


def _look_ahead(state: ShotState, head: Arrival) -> None:
    """Decide whether a change of shots, or a flash, begins with `head`."""
    head.cut = is_spike(state.waiting, 0, state.recent)
    if head.cut:
        state.steady_until = _after_flash(state)
        head.cut = state.steady_until == 0
        return
    if not np.isfinite(head.change):
        return
    if not np.isfinite(state.calm):
        state.calm = _usual(state.waiting[:AT_FIRST])
    if head.change > _limit(state.calm):
        state.mix = _mix(state)
    if state.mix is None:
        ordinary = min(head.change, 2 * state.calm + CALM)
        state.calm += CALM_GAIN * (ordinary - state.calm)
        state.recent = [*state.recent, head.change][-AROUND:]


def _begins(state: ShotState, head: Arrival) -> bool:
    """Whether a shot begins with `head`; then nothing is known of it yet."""
    head.row.mixed = state.mix is not None
    if state.mix is not None:
        head.row.motion, head.seen = None, NOTHING
        begins = head.row.frame == state.mix.middle
    else:
        begins = head.cut and head.row.frame >= state.steady_until
    if begins:
        head.row.change = state.mix
        _begin(state, head)
        state.begins = True
    return begins


def _begin(state: ShotState, head: Arrival) -> None:
    """Forget what was usual in the shot before."""
    head.row.motion = None
    state.calm, state.recent = np.nan, []


def is_spike(frames: Sequence[Arrival], index: int, before: Sequence[float]) -> bool:
    """Whether a frame differs from the one before as its neighbours, or those `before`, do not."""
    frame = frames[index]
    if not frame.cut or not np.isfinite(frame.change):
        return frame.cut
    earlier = [frame.change for frame in frames[max(index - AROUND, 0) : index]] or list(before)
    later = [frame.change for frame in frames[index + 1 : index + 1 + AROUND]]
    usual = max(_median(earlier), _median(later))
    return frame.change >= SPIKE * usual


def _median(changes: Sequence[float]) -> float:
    known = [change for change in changes if np.isfinite(change)]
    return float(np.median(known)) if known else 0.0


def _usual(frames: Sequence[Arrival]) -> float:
    return _median([frame.change for frame in frames if not frame.cut])


def _limit(calm: float) -> float:
    return max(CALM, UNRULY * calm)


def _after_flash(state: ShotState) -> int:
    """The frame at which the picture is again what it was before a spike; 0 where it is not."""
    start_s = state.waiting[0].row.time_s
    for frame in state.waiting[1:]:
        if frame.row.time_s - start_s > FLASH_S:
            break
        if frame.cut and _is_same_view(state.before, frame.glance):
            return frame.row.frame + 1
    return 0


def _is_same_view(before: np.ndarray | None, after: np.ndarray | None) -> bool:
    return before is not None and after is not None and distance(before, after) < SAME_VIEW


def distance(first: np.ndarray, second: np.ndarray) -> float:
    """The mean difference, 0..255, of glances (n,)."""
    return float(np.abs(first.astype(np.float64) - second).mean())


def _mix(state: ShotState) -> Mix | None:
    """The mixed frames that begin with the first waiting one, if that is what they are.

    If not, no other mix is looked for before the picture is calm again.
    """
    frames, last = state.waiting, _last_unruly(state)
    if frames[last].row.time_s - frames[0].row.time_s > LONGEST_S:
        state.calm = _median([frame.change for frame in frames])
        return None
    after = next((frame.glance for frame in frames[last + 1 :] if frame.glance is not None), None)
    if not _leads_elsewhere(frames[: last + 1], state.before, after) or is_spike(
        frames, last + 1, state.recent
    ):  # what ends in a spike is the restless end of a shot
        state.steady_until = frames[last].row.frame + 1
        return None
    glances = [frame.glance for frame in frames[: last + 1] if frame.glance is not None]
    chosen = np.linspace(0, len(glances) - 1, min(GLANCES, len(glances))).round().astype(int)
    return Mix(
        frames[0].row.frame,
        frames[last + 1].row.frame,
        frames[(last + 1) // 2].row.frame,
        np.concatenate([glances[index] for index in chosen]),
    )


def _last_unruly(state: ShotState) -> int:
    """The last frame of the unruly stretch that begins with the first waiting one."""
    frames, last, limit = state.waiting, 0, _limit(state.calm)
    for index in range(1, len(frames)):
        if frames[index].row.time_s - frames[last].row.time_s > BRIDGE_S:
            break
        if is_spike(frames, index, state.recent):
            break
        if frames[index].change > limit:
            last = index
    return last


def _leads_elsewhere(
    frames: Sequence[Arrival], before: np.ndarray | None, after: np.ndarray | None
) -> bool:
    """Whether some frames lie between two views, of which `before` and `after` are glances."""
    changes = np.array([frame.change for frame in frames])
    changes = changes[np.isfinite(changes)]
    lasted_s = frames[-1].row.time_s - frames[0].row.time_s
    if lasted_s < SHORTEST_S or before is None or after is None:
        return False
    apart = distance(before, after)
    if changes.max() >= WIPE:
        # what covers the picture for longer than flashes do is a wipe, however alike both shots are
        return apart >= (SAME_VIEW if lasted_s <= FLASH_S else UNMOVED)
    return bool(apart >= max(SAME_VIEW, DIRECTED * changes.sum()))


def _settle_view(state: ShotState) -> bool:
    """Set the first waiting frame's view: what most frames of the next moment say.

    Returns:
        Whether a wide view is suddenly a close one, or the other way: a cut that pictures hid.
    """
    head = state.waiting[0]
    if head.row.mixed:
        head.row.view, head.row.near = "other", False
        return False
    view, near, begins = state.view, state.near, state.begins
    votes = [frame for frame in _moment(state.waiting) if frame.view]
    counted = Counter(frame.view for frame in votes).most_common(1)
    if counted and (begins or _is_clear(head, *counted[0], len(votes))):
        state.view, state.begins = counted[0][0], False
        state.near = 2 * sum(frame.near for frame in votes) > len(votes)
    head.row.view, head.row.near = state.view, state.near
    sudden = near != state.near or head.row.motion is None
    return not begins and sudden and {view, state.view} == {"wide", "close"}


def _is_clear(head: Arrival, view: str, count: int, votes: int) -> bool:
    return head.view in ("", view) and count >= VIEW_SHARE * votes


def _moment(waiting: Sequence[Arrival]) -> Iterator[Arrival]:
    start_s = waiting[0].row.time_s
    for index, frame in enumerate(waiting):
        if frame.row.time_s - start_s > VIEW_S or (index and frame.cut):
            return
        yield frame
