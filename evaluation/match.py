"""One analysed match against its truth: every measure, from two folders of tables."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from evaluation.about import About, read_about
from evaluation.across_cuts import score_across_cuts
from evaluation.ball import ball_in, score_ball
from evaluation.calibration import View, score_calibration
from evaluation.formations import score_formations, windows_of
from evaluation.found import Found, find_people
from evaluation.invented import score_invented
from evaluation.match_events import events_of, final_events, score_match_events
from evaluation.match_tables import (
    MatchTables,
    column,
    columns,
    frame_times,
    load_pair,
    scored_frames,
)
from evaluation.movement import frame_seconds, score_movement, sigma_coverage
from evaluation.scores import Scores, named, share
from evaluation.structure import Structure, score_structure, structure_of
from evaluation.teams import SIDES, score_teams
from evaluation.totals import score_totals
from evaluation.tracking import box_overlap, closeness, score_tracking


def score_match(
    truth_dir: Path,
    result_dir: Path,
    *,
    teams_configured: bool = False,
    image_size: tuple[int, int] | None = None,
) -> Scores:
    """Score the tables of `result_dir` against those of `truth_dir`.

    Frames are matched by number; those that both sides answer for are scored, and of these the
    ones that truth calls live and wide. A table that truth lacks leaves its scores None.

    Args:
        teams_configured: the result was told which team is home; else home and away are named as
            they agree best with truth.
        image_size: width and height of the video in pixels, over which calibration is compared;
            without it what truth.json tells, else the part of the image in which truth observed
            people.

    Returns:
        A flat mapping; docs/notes/evaluation.md says what each key measures.

    Raises:
        InputError: a folder, table or column is missing, ids are repeated, truth is empty, or the
            two have no frame in common.
    """
    truth, result = load_pair(truth_dir, result_dir)
    about = read_about(truth_dir)
    scene = _Scene(truth, result, scored_frames(truth, result))
    whole = _Scene(truth, truth, scored_frames(truth, truth))
    found = find_people(truth, result, scene.frames, teams_configured=teams_configured)
    return {
        "frames": len(scene.frames),
        "frames_share": share(len(scene.frames), len(whole.frames)),
        "frames_measurable_share": share(len(scene.frames), len(scene.shown)),
        **_score_people(scene, found),
        **_score_ball(scene),
        **_score_calibration(scene, image_size or about.size),
        **_score_events(scene, found),
        **_score_formations(scene, swapped=found.swapped),
        **score_totals(
            truth["metrics"], result["metrics"], found.true_names, swapped=found.swapped
        ),
        **_score_shown(scene, found, about),
    }


@dataclass(frozen=True)
class _Scene:
    """Both sides and the frames (n, ascending) that both answer for."""

    truth: MatchTables
    result: MatchTables
    shown: NDArray[np.int64]

    @cached_property
    def structure(self) -> Structure:
        """What truth says of the frames; without rows where it has no such table."""
        return structure_of(self.truth["frames"], self._told)

    @cached_property
    def answered_structure(self) -> Structure:
        """What the result says of the same frames."""
        return structure_of(self.result["frames"], self._told)

    @cached_property
    def frames(self) -> NDArray[np.int64]:
        """The frames that are measurable, on which everything but structure is scored."""
        told = self.structure.measurable
        return self.shown[told] if len(self._told) else self.shown

    @property
    def _told(self) -> NDArray[np.int64]:
        """The frames of which truth says what they show."""
        return self.shown if "frames" in self.truth else self.shown[:0]

    @cached_property
    def times_s(self) -> NDArray[np.float64]:
        return frame_times(self.truth, self.frames)


def _score_people(scene: _Scene, found: Found) -> Scores:
    """Scores of tracks and identities."""
    truth, result, pairs = found.truth, found.result, found.pairs
    seen = result.where(result.observed)
    seconds = frame_seconds(scene.frames, scene.times_s, truth.frame[pairs.truth])
    in_metres = score_tracking(truth, result, found.wanted, closeness, "xy")
    return {
        **score_tracking(truth, seen, found.wanted, box_overlap, "xyxy"),
        **named("", in_metres, "_metres"),
        "tracking_rows": int(found.wanted.sum()),
        "tracking_people": len(np.unique(truth.track[found.wanted])),
        **score_teams(found.person_labels, found.answer_labels, truth.track[pairs.truth]),
        **score_movement(truth, result, pairs, seconds),
    }


def _score_ball(scene: _Scene) -> Scores:
    truth = ball_in(scene.truth["ball"], scene.frames)
    result = ball_in(scene.result["ball"], scene.frames)
    return {
        **score_ball(truth, result),
        **sigma_coverage("ball", truth.xy, result.xy, result.sigma_m),
    }


def _score_calibration(scene: _Scene, image_size: tuple[int, int] | None) -> Scores:
    view = View.of_size(*image_size) if image_size else View(_observed_part(scene.truth), None)
    no_pitch = scene.structure.frame[scene.structure.view != "wide"]
    tables = scene.truth["calibration"], scene.result["calibration"]
    return score_calibration(*tables, scene.frames, view, no_pitch)


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


def _score_events(scene: _Scene, found: Found) -> Scores:
    frames = scene.shown, scene.frames
    answers = _final(scene.result)
    return score_match_events(
        events_of(_final(scene.truth), *frames),
        events_of(answers, *frames, found.true_names, swapped=found.swapped),
    )


def _final(side: MatchTables) -> pa.Table:
    return final_events(side["match_events"], str(side.folder / "match_events.parquet"))


def _score_shown(scene: _Scene, found: Found, about: About) -> Scores:
    """Scores of what the picture shows, and of what the result makes of it."""
    truth = scene.structure
    players = np.isin(found.person_labels.team, SIDES) & (found.person != "")
    frame = found.truth.frame[found.pairs.truth[players]]
    # without structure there is one stretch, and no cut to compare across
    stretch = (
        truth.stretches[np.searchsorted(truth.frame, frame)] if len(truth.frame) else frame * 0
    )
    result = {name: scene.result[name] for name in ("tracks", "ball")}
    return {
        **score_structure(truth, scene.answered_structure, about.extents(truth.cuts)),
        **score_across_cuts(stretch, found.person[players], found.answer[players]),
        **score_invented(
            {**result, "match_events": _final(scene.result)}, truth.frame[~truth.measurable]
        ),
    }
