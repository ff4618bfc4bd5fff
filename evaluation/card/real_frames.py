"""Section: single frames of real matches that no model was trained on."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from domain.tables import ROLES
from evaluation.card.answers import Answers
from evaluation.card.boxed_frames import (
    ImageSet,
    ap50_intervals,
    boxed_frames,
    detection_measures,
    detection_scores,
)
from evaluation.card.intervals import interval
from evaluation.card.measures import Measure, Section, Table, as_text
from evaluation.card.pictures import worst_boxed, worst_pitch
from evaluation.card.plots import error_curve
from evaluation.pitch import (
    Calibrate,
    ImageCamera,
    TrueCamera,
    image_grid,
    misplacement_m,
    on_pitch,
    score_pitch,
    true_camera,
)
from evaluation.scores import Scores
from evaluation.yolo_labels import LabelledImage, read_points

NAME = "real_frames"
HELD_OUT = ("08fd33", "c01561", "cd987c")
"""The matches that take part in no training, of any model."""

_TAKEN = (
    "Frames of three matches that take part in no training, 1920x1080, one league. AP as COCO "
    "takes it. The pitch's error is how far in metres an image point is misplaced, over the "
    "visible pitch, of a frame on its own: in a video the calibration also knows the frames "
    "before. Intervals draw frames; frames of one match look alike, so the spread between the "
    "matches says more of a fourth one."
)


def section(data: Path, answers: Answers, *, every: int = 1) -> Section:
    """Boxes and cameras of held-out frames.

    Args:
        data: the folder of real material.
        every: 3 takes the first of every three frames by name, for a quick look.
    """
    boxes = ImageSet(data / "players/images", data / "players/labels", HELD_OUT).every(every)
    points = ImageSet(data / "pitch/images", data / "pitch/labels", HELD_OUT).every(every)
    frames = boxed_frames(boxes, answers.detect)
    cameras = _pitch_frames(points, answers.calibrate)
    detection = detection_scores(boxes, answers.detect)
    pitch = _pitch_scores(points, answers.calibrate)
    by_match = {match: _of_match(match, boxes, points, answers) for match in HELD_OUT}
    intervals = ap50_intervals(boxes, frames)
    measures = [
        *detection_measures(NAME, "held-out frames", detection, intervals),
        *_pitch_measures(pitch, cameras),
    ]
    return Section(
        NAME,
        "Real frames that nothing was trained on",
        _TAKEN,
        measures=[_as_headline(measure) for measure in measures],
        tables=[_table(by_match)],
        pictures=[
            error_curve("pitch-error", [case.errors_m for case in cameras]),
            *worst_boxed(NAME, boxes, frames),
            *worst_pitch(NAME, points, [(c.pair, c.truth.homography, c.answer) for c in cameras]),
        ],
        scores={"all": {"detection": detection, "pitch": pitch}, **by_match},
    )


@dataclass(frozen=True)
class PitchFrame:
    """A frame with a true camera; `errors_m` is empty where there is no answer."""

    pair: LabelledImage
    truth: TrueCamera
    answer: ImageCamera | None
    errors_m: NDArray[np.float64]


def _pitch_frames(images: ImageSet, calibrate: Calibrate) -> list[PitchFrame]:
    frames = []
    for pair in images.pairs():
        image = images.read(pair)
        size = (image.shape[1], image.shape[0])
        truth = true_camera(read_points(pair.label), size)
        if truth is not None:
            answer = calibrate(image)
            frames.append(PitchFrame(pair, truth, answer, _errors_m(truth, answer, size)))
    return frames


def _errors_m(
    truth: TrueCamera, answer: ImageCamera | None, size: tuple[int, int]
) -> NDArray[np.float64]:
    if answer is None:
        return np.zeros(0)
    grid = image_grid(size)
    visible = grid[on_pitch(truth.homography, grid, truth.pixels.mean(axis=0))]
    return misplacement_m(truth.homography, answer, visible, size)


def _pitch_scores(images: ImageSet, calibrate: Calibrate) -> Scores:
    return score_pitch(images.images, images.labels, calibrate, matches=images.only)


def _pitch_measures(scores: Scores, frames: list[PitchFrame]) -> list[Measure]:
    answered = [frame.errors_m for frame in frames if len(frame.errors_m)]
    floor = as_text(scores["label_median_error_m"], "m")
    share = scores["answered"] / scores["frames"] if scores["frames"] else None
    return [
        Measure(
            f"{NAME}.pitch.answered", "frames whose camera is found", share, scores["frames"],
            "frames",
        ),
        Measure(
            f"{NAME}.pitch.median_error_m", "pitch error, median", scores["median_error_m"],
            len(answered), "frames", "m", higher_is_better=False,
            interval=interval(answered, _pooled(50)), beside=f"the labels' own noise: {floor}",
        ),
        Measure(
            f"{NAME}.pitch.p95_error_m", "pitch error, 95th percentile", scores["p95_error_m"],
            len(answered), "frames", "m", higher_is_better=False,
            interval=interval(answered, _pooled(95)),
            beside=f"the labels' own: {as_text(scores['label_p95_error_m'], 'm')}",
        ),
    ]  # fmt: skip


def _pooled(percent: float) -> Callable[[list[NDArray[np.float64]]], float]:
    return lambda errors: float(np.percentile(np.concatenate(errors), percent))


def _of_match(match: str, boxes: ImageSet, points: ImageSet, answers: Answers) -> Scores:
    """The scores of one match's frames; a match without any is left out."""
    scores: Scores = {}
    for name, images in (("detection", boxes), ("pitch", points)):
        only = tuple(
            pair.image.name for pair in images.pairs() if pair.image.name.startswith(match)
        )
        if not only:
            continue
        own = ImageSet(images.images, images.labels, only)
        scores[name] = (
            detection_scores(own, answers.detect)
            if name == "detection"
            else _pitch_scores(own, answers.calibrate)
        )
    return scores


def _table(by_match: dict[str, Scores]) -> Table:
    header = ("match", "frames", *(f"AP50 {role}" for role in ROLES), "cameras", "median", "95 %")
    rows = []
    for match, scores in by_match.items():
        boxes, pitch = scores.get("detection", {}), scores.get("pitch", {})
        aps = [_with_count(boxes, role) for role in ROLES]
        found = f"{pitch['answered']} of {pitch['frames']}" if pitch else "–"  # noqa: RUF001
        errors = [as_text(pitch.get(f"{name}_error_m"), "m") for name in ("median", "p95")]
        rows.append((match, str(boxes.get("images", 0)), *aps, found, *errors))
    return Table("By match (in brackets: labelled boxes)", header, rows)


def _with_count(scores: Scores, role: str) -> str:
    if not scores or scores["ap50"][role] is None:
        return "–"  # noqa: RUF001
    return f"{scores['ap50'][role]:.3f} ({scores['boxes'][role]})"


def _as_headline(measure: Measure) -> Measure:
    shown = ".ap50." in measure.key or measure.key.endswith("_error_m")
    return replace(measure, headline=shown)
