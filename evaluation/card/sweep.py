"""Section: the held-out frames again, smaller, compressed, dark, blurred, squeezed."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from domain.tables import ROLES
from evaluation.card.answers import Answers, Image
from evaluation.card.boxed_frames import ImageSet, detection_scores
from evaluation.card.degradations import Degradation, degradations
from evaluation.card.measures import Measure, Picture, Section, Table, as_text
from evaluation.card.plots import grid
from evaluation.card.real_frames import HELD_OUT
from evaluation.detection import Detections
from evaluation.pitch import ImageCamera, score_pitch
from evaluation.scores import Scores

NAME = "sweep"
EVERY = 2
"""Of the held-out frames, each so many-th by name."""
HEADLINES = ("sweep.p480.player", "sweep.poor_stream.player", "sweep.p480.answered")

_TAKEN = (
    "Every second held-out frame, made worse in one way at a time "
    "(`evaluation/card/degradations.py`) and scored against its labels as before: a row is to be "
    "held against the first. Single frames of three matches of one league. The labels were drawn "
    "on the good pictures, so a ball that can no longer be seen counts as missed. Compression is "
    "that of a picture that stands still, milder than that of a match; and training pictures are "
    "disturbed in like ways (light, noise, blur, size), if not by the same code."
)


def section(data: Path, answers: Answers) -> Section:
    """AP50 by role and the camera's error under each degradation."""
    boxes = ImageSet(data / "players/images", data / "players/labels", HELD_OUT).every(EVERY)
    points = ImageSet(data / "pitch/images", data / "pitch/labels", HELD_OUT).every(EVERY)
    done = degradations(answers.encode)
    scores = {each.name: _scores(Degraded(each, answers), boxes, points) for each in done}
    measures = [measure for each in done for measure in _measures(each, scores[each.name])]
    return Section(
        NAME,
        "Resolution and quality",
        _TAKEN,
        measures=[replace(m, headline=m.key in HEADLINES) for m in measures],
        tables=[_table(done, scores)],
        pictures=[_picture(done, scores)],
        scores=scores,
    )


@dataclass(frozen=True)
class Degraded:
    """The product before which a degradation stands; answers are of the picture as it was."""

    degradation: Degradation
    answers: Answers

    def detect(self, image: Image) -> Detections:
        worse = self._worse(image)
        found = self.answers.detect(worse)
        return Detections(
            found.xyxy / np.tile(_scale(image, worse), 2), found.confidence, found.role
        )

    def calibrate(self, image: Image) -> ImageCamera | None:
        worse = self._worse(image)
        found = self.answers.calibrate(worse)
        if found is None:
            return None
        x, y = _scale(image, worse)
        return ImageCamera(found.homography @ np.diag([x, y, 1.0]), found.bend * x * y)

    def _worse(self, image: Image) -> Image:
        """The same for the same picture: what is drawn at random is drawn from its bytes."""
        digest = hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=8).digest()
        return self.degradation.change(image, np.random.default_rng(int.from_bytes(digest)))


def _scale(image: Image, worse: Image) -> np.ndarray:
    """Pixels across and down (2,) of the worse picture for each of the good one."""
    return np.array(worse.shape[1::-1]) / image.shape[1::-1]


def _scores(worse: Degraded, boxes: ImageSet, points: ImageSet) -> Scores:
    pitch = score_pitch(points.images, points.labels, worse.calibrate, matches=points.only)
    return {"detection": detection_scores(boxes, worse.detect), "pitch": pitch}


def _measures(degradation: Degradation, scores: Scores) -> list[Measure]:
    boxes, pitch = scores["detection"], scores["pitch"]
    key, told = f"{NAME}.{degradation.name}", degradation.described
    return [
        *(
            Measure(
                f"{key}.{role}", f"AP50 {role}, {told}", boxes["ap50"][role], boxes["boxes"][role],
                "labelled boxes",
            )
            for role in ROLES
        ),
        Measure(
            f"{key}.answered", f"cameras found, {told}", _answered(pitch), pitch["frames"], "frames"
        ),
        Measure(
            f"{key}.median_error_m", f"pitch error, median, {told}", pitch["median_error_m"],
            pitch["answered"], "frames", "m", higher_is_better=False,
        ),
    ]  # fmt: skip


def _answered(pitch: Scores) -> float | None:
    return pitch["answered"] / pitch["frames"] if pitch["frames"] else None


def _table(done: tuple[Degradation, ...], scores: Mapping[str, Scores]) -> Table:
    header = ("picture", *(f"AP50 {role}" for role in ROLES), "cameras", "median", "95 %")
    rows = []
    for each in done:
        boxes, pitch = scores[each.name]["detection"], scores[each.name]["pitch"]
        aps = [as_text(boxes["ap50"][role]) for role in ROLES]
        errors = [as_text(pitch[f"{name}_error_m"], "m") for name in ("median", "p95")]
        rows.append((each.described, *aps, f"{pitch['answered']} of {pitch['frames']}", *errors))
    return Table("By what was done to the picture", header, rows)


def _picture(done: tuple[Degradation, ...], scores: Mapping[str, Scores]) -> Picture:
    columns = (*ROLES, "cameras")
    values: dict[tuple[str, str], float | None] = {}
    for each in done:
        found = scores[each.name]
        values |= {(each.described, role): found["detection"]["ap50"][role] for role in ROLES}
        values[each.described, "cameras"] = _answered(found["pitch"])
    rows = [each.described for each in done]
    return grid("sweep", "AP50 by role, and the share of cameras found", rows, columns, values)
