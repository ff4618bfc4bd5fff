"""One analysed match against its truth: every measure, from two folders of tables."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from domain.errors import InputError
from evaluation.ball import ball_in, score_ball
from evaluation.calibration import score_calibration
from evaluation.event_matching import score_types
from evaluation.formations import score_formations, windows_of
from evaluation.match_tables import (
    MatchTables,
    column,
    columns,
    frame_times,
    load_pair,
    scored_frames,
)
from evaluation.movement import ball_sigma_coverage, frame_seconds, score_movement
from evaluation.scores import Scores, named, share
from evaluation.teams import SIDES, Labels, is_swapped, labels_of, score_teams, swap_sides
from evaluation.tracking import (
    Pairs,
    People,
    box_overlap,
    closeness,
    pair_people,
    people_of,
    score_tracking,
)


def score_match(
    truth_dir: Path,
    result_dir: Path,
    *,
    teams_configured: bool = False,
    image_size: tuple[int, int] | None = None,
) -> Scores:
    """Score the tables of `result_dir` against those of `truth_dir`.

    Frames are matched by number; those that both sides answer for are scored. A table that truth
    lacks leaves its scores None.

    Args:
        teams_configured: the result was told which team is home; else home and away are named as
            they agree best with truth.
        image_size: width and height of the video in pixels, over which calibration is compared;
            without it, the part of the image in which truth observed people.

    Returns:
        A flat mapping; docs/notes/evaluation.md says what each key measures.

    Raises:
        InputError: a folder, table or column is missing, ids are repeated, truth is empty, or the
            two have no frame in common.
    """
    truth, result = load_pair(truth_dir, result_dir)
    frames = scored_frames(truth, result)
    scene = _Scene(truth, result, frames)
    people, swapped = _score_people(scene, teams_configured=teams_configured)
    return {
        "frames": len(frames),
        "frames_share": share(len(frames), len(scored_frames(truth, truth))),
        **people,
        **_score_ball(scene),
        **_score_calibration(scene, image_size),
        **_score_events(scene),
        **_score_formations(scene, swapped=swapped),
    }


def final_events(table: pa.Table, where: str) -> pa.Table:
    """The events that are final; provisional ones are superseded and never scored.

    Raises:
        InputError: there are events, and all are provisional.
    """
    final = table.filter(pc.invert(table["provisional"]))
    if len(table) and not len(final):
        raise InputError(
            f"{where}: all {len(table)} events are provisional: finish the match first"
        )
    return final


@dataclass(frozen=True)
class _Scene:
    """Both sides and the frames that are scored (n, ascending)."""

    truth: MatchTables
    result: MatchTables
    frames: NDArray[np.int64]

    @property
    def times_s(self) -> NDArray[np.float64]:
        return frame_times(self.truth, self.frames)


def _score_people(scene: _Scene, *, teams_configured: bool) -> tuple[Scores, bool]:
    """Scores of tracks and identities, and whether home and away change names."""
    truth = people_of(scene.truth["tracks"], scene.frames)
    result = people_of(scene.result["tracks"], scene.frames)
    named_people = labels_of(scene.truth["identities"], truth.track)
    wanted = _wanted(truth, named_people, known="identities" in scene.truth)
    seen = result.where(result.observed)
    pairs = _pairs(truth, result)
    labels = labels_of(scene.result["identities"], result.track[pairs.result])
    paired = Labels(named_people.team[pairs.truth], named_people.role[pairs.truth])
    swapped = not teams_configured and is_swapped(paired.team, labels.team)
    if swapped:
        labels = Labels(swap_sides(labels.team), labels.role)
    seconds = frame_seconds(scene.frames, scene.times_s, truth.frame[pairs.truth])
    scores = {
        **score_tracking(truth, seen, wanted, box_overlap, "xyxy"),
        **named("", score_tracking(truth, result, wanted, closeness, "xy"), "_metres"),
        **score_teams(paired, labels, truth.track[pairs.truth]),
        **score_movement(truth, result, pairs, seconds),
    }
    return scores, swapped


def _wanted(truth: People, labels: Labels, *, known: bool) -> NDArray[np.bool_]:
    """The rows that a tracker must find: players in sight; everybody in sight if unnamed."""
    players = np.isin(labels.team, SIDES) if known else np.ones(len(truth), dtype=bool)
    return np.asarray(truth.observed & players)


def _pairs(truth: People, result: People) -> Pairs:
    """Rows that show the same person, by boxes where both sides have them, else by metres."""
    seen = np.flatnonzero(result.observed)
    if np.isnan(truth.xyxy).all() or np.isnan(result.xyxy[seen]).all():
        return pair_people(truth, result, closeness, "xy")
    pairs = pair_people(truth, result.where(seen), box_overlap, "xyxy")
    return Pairs(pairs.truth, seen[pairs.result])


def _score_ball(scene: _Scene) -> Scores:
    truth = ball_in(scene.truth["ball"], scene.frames)
    result = ball_in(scene.result["ball"], scene.frames)
    return {**score_ball(truth, result), "ball_sigma_coverage": ball_sigma_coverage(truth, result)}


def _score_calibration(scene: _Scene, image_size: tuple[int, int] | None) -> Scores:
    view = _observed_part(scene.truth)
    if image_size:
        view = (0.0, 0.0, float(image_size[0]), float(image_size[1]))
    return score_calibration(
        scene.truth["calibration"], scene.result["calibration"], scene.frames, view
    )


def _observed_part(truth: MatchTables) -> tuple[float, float, float, float]:
    """The part of the image, x1 y1 x2 y2 in pixels, in which truth observed people."""
    tracks = truth["tracks"]
    boxes = columns(tracks, "x1", "y1", "x2", "y2")[column(tracks, "observed").astype(bool)]
    if not len(boxes):
        return 0.0, 0.0, 0.0, 0.0
    low, high = np.clip(boxes[:, :2].min(axis=0), 0, None), boxes[:, 2:].max(axis=0)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def _score_formations(scene: _Scene, *, swapped: bool) -> Scores:
    truth = windows_of(scene.truth["formations"])
    times = scene.times_s[~np.isnan(scene.times_s)]
    if len(times):
        truth = [window.clipped(times[0], times[-1]) for window in truth]
    return score_formations(truth, windows_of(scene.result["formations"], swapped=swapped))


def _score_events(scene: _Scene) -> Scores:
    sides = [_times_by_type(side, scene.frames) for side in (scene.truth, scene.result)]
    return score_types(*sides)


def _times_by_type(side: MatchTables, frames: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    """Start times in seconds of the final events between the first and the last scored frame."""
    events = final_events(side["match_events"], str(side.folder / "match_events.parquet"))
    kinds, start = column(events, "type"), column(events, "start_frame")
    inside = np.ones(len(start), dtype=bool)
    if len(frames):
        inside = (start >= frames[0]) & (start <= frames[-1])
    seconds = column(events, "start_s").astype(np.float64)
    return {str(kind): seconds[inside & (kinds == kind)] for kind in np.unique(kinds[inside])}
