"""An analysed real clip against labels by hand (evaluation/labels/).

Only labels that are sure are in the plain figures. Those that are less so have the suffix
`_unsure`, and never make an answer false. What is not labelled is not scored.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from domain.errors import InputError
from evaluation.event_matching import pair_within
from evaluation.formations import Window, score_formations, windows_of
from evaluation.hand_labels import (
    BallLabel,
    EventLabel,
    FormationLabel,
    HandLabels,
    PersonLabel,
    Stretch,
    of_sureness,
)
from evaluation.match_events import Events, events_of, final_events, score_match_events
from evaluation.match_tables import MatchTables, column, columns, frame_times, load_tables
from evaluation.scores import Counts, Scores, named, percentile, share
from evaluation.structure import score_cuts, score_replays, score_views, structure_of
from evaluation.teams import Labels, is_swapped, labels_of, score_teams, swap_sides
from evaluation.tracking import People, people_of

BALL_RADIUS_PX = 12.0
"""How far off a right answer may be in a picture 1280 wide; wider pictures allow more.

About 0.4 m at the player who has it: more than labels differ from the ball's middle (2 px) and a
blurred ball is long (10 px), less than the way to a head, a penalty spot or the next player.
"""

FOOT_REACH = 0.5
"""A box shows a labelled person when its foot is within this share of its height."""

_SIDE = {"A": "home", "B": "away", "referee": "referee"}
_KINDS = {"pass": "pass", "cross": "pass", "shot": "shot"}
_TABLES = ("frames", "tracks", "ball", "identities", "match_events", "formations")
_Frames = NDArray[np.int64]
_Row = TypeVar("_Row", PersonLabel, BallLabel)


def score_by_hand(labels: HandLabels, result_dir: Path) -> Scores:
    """Score the tables of an analysed clip against its labels.

    Teams A and B are named home and away as they agree best with the result.

    Returns:
        A flat mapping; docs/notes/evaluation.md says what each key measures. What a clip has no
        labels of is left out.

    Raises:
        InputError: a table is missing, or the result is of another video.
    """
    result = load_tables(result_dir, _TABLES)
    frames = _decoded(labels, result)
    scores: Scores = {"clip": labels.file, **_score_structure(labels.stretches, result, frames)}
    swapped = False
    if labels.people:
        people, swapped = _score_people(_within(labels.people, frames), result)
        scores |= people
    if labels.ball:
        radius_px = BALL_RADIUS_PX * labels.width / 1280
        scores |= _score_ball(_within(labels.ball, frames), result["ball"], radius_px)
    if labels.events:
        scores |= _score_events(labels, result, frames, swapped=swapped)
    if labels.formations:
        scores |= _score_formations(labels.formations, result, swapped=swapped)
    return scores


def _decoded(labels: HandLabels, result: MatchTables) -> _Frames:
    """The frames that the result answers for, ascending."""
    table = result["frames"]
    if len(table) != labels.frames:
        raise InputError(
            f"{result.folder}: {len(table)} frames, expected the {labels.frames} of {labels.file}"
        )
    decoded = column(table, "decoded").astype(bool)
    return np.sort(column(table, "frame")[decoded].astype(np.int64))


def _within(rows: Sequence[_Row], frames: _Frames) -> list[_Row]:
    known = set(frames.tolist())
    return [row for row in rows if row.frame in known]


def _score_structure(stretches: Sequence[Stretch], result: MatchTables, frames: _Frames) -> Scores:
    """Cuts between any stretches; views and replays in those of which people were sure."""
    extents = [(one.last + 1, next_one.first) for one, next_one in pairwise(stretches)]
    found = structure_of(result["frames"], frames)
    view, replay = np.full(len(frames), "", dtype="U5"), np.zeros(len(frames), bool)
    for stretch in of_sureness(stretches, sure=True):
        inside = (frames >= stretch.first) & (frames <= stretch.last)
        view[inside], replay[inside] = stretch.view, stretch.replay
    told = view != ""
    return {
        **score_cuts(np.array(extents, np.int64).reshape(-1, 2), found.cuts),
        **score_views(view[told], found.view[told]),
        **score_replays(replay[told], found.replay[told]),
    }


def _score_people(rows: Sequence[PersonLabel], result: MatchTables) -> tuple[Scores, bool]:
    """Scores of people, teams and roles, and whether home and away change names."""
    frame = np.array([row.frame for row in rows], np.int64)
    foot = np.array([(row.x, row.y) for row in rows], np.float64).reshape(-1, 2)
    sure = np.array([row.sure == "sure" for row in rows], bool)
    found = people_of(result["tracks"], np.unique(frame))
    found = found.where(found.observed & ~np.isnan(found.xyxy).any(axis=1))
    place, seen = _pairs(frame, foot, found)
    team = np.array([_SIDE[row.team] for row in rows], dtype=np.str_)[place]
    role = np.array([row.role for row in rows], dtype=np.str_)[place]
    answer = labels_of(result["identities"], found.track[seen])
    swapped = is_swapped(team[sure[place]], answer.team[sure[place]])
    if swapped:
        answer = Labels(swap_sides(answer.team), answer.role)
    scores: Scores = {
        "people_frames": len(np.unique(frame)),
        "people_precision": share(len(seen), len(found)),
    }
    for suffix, group in (("", sure), ("_unsure", ~sure)):
        own = group[place]
        truth, given = Labels(team[own], role[own]), Labels(answer.team[own], answer.role[own])
        scores |= named("", _of_people(truth, given, int(group.sum())), suffix)
    return scores, swapped


def _of_people(truth: Labels, answer: Labels, labelled: int) -> Scores:
    scores = score_teams(truth, answer, np.arange(len(truth.team)))
    by_role = {
        str(role): share(int((answer.role == role)[truth.role == role].sum()), int(count))
        for role, count in zip(*np.unique(truth.role, return_counts=True), strict=True)
    }
    return {
        "people_count": labelled,
        "people_recall": share(len(truth.team), labelled),
        **{
            f"{name}_{key}": scores[f"{name}_{key}"]
            for name in ("team", "role")
            for key in ("accuracy", "unknown_share", "rows")
        },
        "role_recall": by_role,
    }


def _pairs(
    frame: _Frames, foot: NDArray[np.float64], found: People
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Which label and which box show the same person: one to one in a frame, the nearest feet."""
    x1, _, x2, y2 = found.xyxy.T
    reach = FOOT_REACH * (y2 - found.xyxy[:, 1])
    apart = np.hypot(foot[:, :1] - (x1 + x2) / 2, foot[:, 1:] - y2) / reach
    return pair_within(np.where(frame[:, None] == found.frame, apart, np.inf), 1.0)


def _score_ball(rows: Sequence[BallLabel], ball: pa.Table, radius_px: float) -> Scores:
    """Where the ball can be seen: is it found there? Elsewhere an answer is not judged."""
    known = (column(ball, "status") != "absent") & ~np.isnan(columns(ball, "pixel_x"))[:, 0]
    frame = column(ball, "frame")[known].astype(np.int64)
    place = columns(ball, "pixel_x", "pixel_y")[known]
    answers = dict(zip(frame.tolist(), place, strict=True))
    visible = [row for row in rows if row.state == "visible"]
    scores: Scores = {"ball_not_visible": len(rows) - len(visible), "ball_radius_px": radius_px}
    for suffix, sure in (("", True), ("_unsure", False)):
        group = of_sureness(visible, sure=sure)
        apart = np.array(
            [
                np.hypot(*(answers[row.frame] - (row.x, row.y)))
                for row in group
                if row.frame in answers
            ]
        )
        hits = int((apart <= radius_px).sum())
        counts = Counts(hits, len(apart) - hits, len(group) - hits)
        own = {"count": len(group), **counts.rates(), "error_median_px": percentile(apart, 50)}
        scores |= named("ball_", own, suffix)
    return scores


def _score_events(
    labels: HandLabels, result: MatchTables, frames: _Frames, *, swapped: bool
) -> Scores:
    """Passes (crosses among them) and shots; those of which nobody is sure count as unseen."""
    live = [row for row in labels.stretches if row.view == "wide" and not row.replay]
    inside = [(frames >= row.first) & (frames <= row.last) for row in live]
    measurable = frames[np.any(inside, axis=0)] if inside else frames[:0]
    final = final_events(result["match_events"], str(result.folder))
    found = events_of(final, frames, measurable, swapped=swapped)
    kind = np.array([_KINDS.get(one, "") for one in found.type], dtype=np.str_)
    found = replace(found, type=kind).where(kind != "")
    scores = score_match_events(_true_events(labels.events, result), found)
    # who played and who received is not labelled
    return {key: value for key, value in scores.items() if not re.search("player|receiver", key)}


def _true_events(rows: Sequence[EventLabel], result: MatchTables) -> Events:
    rows = sorted((row for row in rows if row.type in _KINDS), key=lambda row: row.start_frame)
    start = np.array([row.start_frame for row in rows], np.int64)
    unnamed = np.full(len(rows), "", dtype=np.str_)
    return Events(
        type=np.array([_KINDS[row.type] for row in rows], dtype=np.str_),
        start_s=frame_times(result, start),
        team=np.array([_SIDE[row.team] for row in rows], dtype=np.str_),
        player=unnamed,
        receiver=unnamed,
        counted=np.array([row.sure == "sure" for row in rows], bool),
    )


def _score_formations(
    rows: Sequence[FormationLabel], result: MatchTables, *, swapped: bool
) -> Scores:
    found = windows_of(result["formations"], swapped=swapped)
    scores: Scores = {}
    for suffix, sure in (("", True), ("_unsure", False)):
        truth = [_window(row, result) for row in of_sureness(rows, sure=sure)]
        scores |= named("", score_formations(truth, found), suffix)
    return scores


def _window(row: FormationLabel, result: MatchTables) -> Window:
    first_s, last_s = frame_times(result, np.array([row.first, row.last], np.int64))
    label = row.label.replace("-", "")
    return Window(_SIDE[row.team], float(first_s), float(last_s), "all", label, 1.0)
