"""Section: other broadcasts, stadiums and cameras, on which no network was trained."""

from dataclasses import dataclass, replace
from pathlib import Path

import cv2

from domain.errors import ResourceError
from evaluation.card.answers import Answers
from evaluation.card.boxed_frames import (
    ImageSet,
    ap50_intervals,
    boxed_frames,
    detection_measures,
    detection_scores,
)
from evaluation.card.measures import Measure, Picture, Section
from evaluation.card.pictures import worst_boxed
from evaluation.card.plots import dots
from evaluation.card.strange_teams import TEAM_CLIPS, team_measures, team_scores, team_table
from evaluation.scores import Scores

NAME = "strangers"

_TAKEN = (
    "What the product does with footage unlike any that it was made with. No network was trained "
    "on it, but colours and limits by which teams are told were chosen with labelled boxes of "
    "`offside482` and `offside_clips` in view (docs/notes/teams.md), so figures of teams flatter. "
    "Only the roles that are labelled there are scored. Labels are rougher than elsewhere: boxes "
    "of `offside482` come from skeletons, those of the balls are loose. Teams are scored on the "
    "labelled frames of four clips that the whole pipeline analysed, without being told a kit."
)


@dataclass(frozen=True)
class Footage:
    """A set of `other/`: how a reader knows it."""

    folder: str
    described: str
    unstretch: bool = False


FOOTAGE = (
    Footage("offside482", "9 other matches, day and night"),
    Footage("offside_clips", "4 other broadcasts, frames of clips"),
    Footage("facup2020_ball", "another cup, main camera and replays"),
    Footage("tactical_wwc2019", "high behind the goal"),
    Footage("epl_416", "416x416, low resolution", unstretch=True),
)
FOLDERS = tuple(f"other/{footage.folder}" for footage in FOOTAGE)


def section(data: Path, answers: Answers) -> Section:
    """Detection by role on each set of strange footage."""
    measures: list[Measure] = []
    pictures: list[Picture] = []
    scores: dict[str, Scores] = {}
    for footage in FOOTAGE:
        images = _images(data / "other", footage, answers)
        frames = boxed_frames(images, answers.detect)
        scores[footage.folder] = detection_scores(images, answers.detect)
        intervals = ap50_intervals(images, frames)
        prefix = f"{NAME}.{footage.folder}"
        measures += detection_measures(prefix, footage.described, scores[footage.folder], intervals)
        pictures += worst_boxed(f"{NAME}-{footage.folder}", images, frames)
    shown = [measure for measure in measures if ".ap50." in measure.key]
    teams = team_scores(data / "other" / TEAM_CLIPS, answers)
    return Section(
        NAME,
        "A stranger's footage",
        _TAKEN,
        measures=[
            *(replace(m, headline=m.key.endswith("ap50.player")) for m in measures),
            *team_measures(NAME, teams["all"]),
        ],
        tables=[team_table(teams)],
        pictures=[dots("strangers-ap50", "AP50 by footage and role", shown), *pictures],
        scores={**scores, **{f"{TEAM_CLIPS} teams {name}": found for name, found in teams.items()}},
    )


def _images(other: Path, footage: Footage, answers: Answers) -> ImageSet:
    labels = other / footage.folder / "labels"
    if not (clips := other / footage.folder / "clips").is_dir():
        return ImageSet(other / footage.folder / "images", labels, unstretch=footage.unstretch)
    return ImageSet(stills(clips, labels, answers), labels)


def stills(clips: Path, labels: Path, answers: Answers) -> Path:
    """The labelled frames of clips as images; labels are named CLIP_fNNNN, counted from 1."""
    folder = answers.scratch / clips.parent.name
    folder.mkdir(parents=True, exist_ok=True)
    for clip in sorted(clips.glob("*.mp4")):
        names = [path.stem for path in sorted(labels.glob(f"{clip.stem}_f*.txt"))]
        missing = [name for name in names if not (folder / f"{name}.png").is_file()]
        images = answers.frames(clip, [_frame_of(name) for name in missing])
        for name in missing:
            _save(folder / f"{name}.png", images[_frame_of(name)])
    return folder


def _frame_of(name: str) -> int:
    return int(name.rpartition("_f")[2]) - 1


def _save(path: Path, image: object) -> None:
    if not cv2.imwrite(str(path), image, [cv2.IMWRITE_PNG_COMPRESSION, 1]):
        raise ResourceError(f"{path}: cannot be written: choose another --cache")
