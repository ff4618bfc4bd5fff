"""Teams on real frames whose boxes are labelled with teams.

A label folder has `labels/NAME.txt` (YOLO boxes) and `teams/NAME.txt`, a line a box: 1 or 2, K1 or
K2 for a team's goalkeeper, K for a goalkeeper whose team is not told, R for a referee. Frames of a
clip are named CLIP_fNNNN and counted from 1. Which team is 1 means nothing: it is compared as it
agrees best, over a whole clip, or in each single image.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from domain.errors import InputError
from evaluation.event_matching import pair_within
from evaluation.match_tables import load_tables
from evaluation.scores import Scores, share
from evaluation.teams import SIDES, Labels, is_swapped, labels_of, swap_sides
from evaluation.tracking import MATCH_SIMILARITY, box_overlap, people_of
from evaluation.yolo_labels import labelled_images, labelled_roles, read_boxes, read_image

# word of a label -> team and role; team 1 stands as home
WORDS: Mapping[str, tuple[str, str]] = {
    "1": ("home", "player"),
    "2": ("away", "player"),
    "K1": ("home", "goalkeeper"),
    "K2": ("away", "goalkeeper"),
    "K": ("unknown", "goalkeeper"),
    "R": ("referee", "referee"),
}


@dataclass(frozen=True)
class TeamBoxes:
    """People in one frame: xyxy (n, 4) in pixels, team and role (n,)."""

    xyxy: NDArray[np.float64]
    labels: Labels


Answer = Callable[[NDArray[np.uint8]], TeamBoxes]
"""Finds people with team and role in an image (height, width, 3) BGR."""

Scene = Sequence[tuple[TeamBoxes, TeamBoxes]]
"""Frames (truth, answer) in which the same two teams have the same names."""


def score_team_clips(folder: Path, results: Mapping[str, Path], size: tuple[int, int]) -> Scores:
    """Score analysed clips against their labelled frames.

    Args:
        folder: of `labels/` and `teams/`.
        results: the folder of tables of each clip, by the clip's name without suffix.
        size: width and height of the clips in pixels.

    Returns:
        As `score_scenes`, over all clips.

    Raises:
        InputError: a folder, file or table is missing or malformed, or a clip has no label.
    """
    scenes = [_clip(folder, clip, tables, size) for clip, tables in sorted(results.items())]
    return score_scenes(scenes, labelled_roles(folder / "labels", folder / "teams"))


def score_team_images(images_dir: Path, labels_dir: Path, answer: Answer) -> Scores:
    """Score single labelled images, `teams/` lying beside the folder of labels.

    Each image has two teams of its own. Of two names for a few people the better is right by
    chance for more than half: read it as a comparison.

    Raises:
        InputError: a folder, file or image is missing or malformed.
    """
    scenes = []
    for pair in labelled_images(images_dir, labels_dir):
        image = read_image(pair.image)
        size = (image.shape[1], image.shape[0])
        teams = labels_dir.parent / "teams" / pair.label.name
        scenes.append([(read_team_boxes(pair.label, teams, size), answer(image))])
    return score_scenes(scenes, labelled_roles(images_dir, labels_dir))


def read_team_boxes(label: Path, teams: Path, size: tuple[int, int]) -> TeamBoxes:
    """Labelled boxes with teams; roles are those of the team file, not of the box file.

    Raises:
        InputError: a file is missing or malformed, or they are not equally long.
    """
    _, boxes = read_boxes(label)
    try:
        words = teams.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read team file {teams}: {error}") from error
    unknown = sorted(set(words) - set(WORDS))
    if unknown or len(words) != len(boxes):
        raise InputError(
            f"{teams}: expected {len(boxes)} lines of {', '.join(WORDS)}, "
            f"actual {len(words)}{f', with {unknown}' if unknown else ''}"
        )
    team, role = (np.array([WORDS[word][i] for word in words], dtype=np.str_) for i in (0, 1))
    return TeamBoxes(boxes * [*size, *size], Labels(team, role))


def score_scenes(scenes: Sequence[Scene], roles: Sequence[str]) -> Scores:
    """Scores over labelled people of `roles`, those of whom an answer's box overlaps by half.

    Returns:
        `frames`, `boxes` (labelled), `found_share` of these; `team_accuracy` over outfield players
        found whose answer is home or away, `team_n` of them, `team_unknown_share` of those found;
        the same as `keeper_team_...` for goalkeepers whose team is told; `role_accuracy` over
        those found with a role, `role_n`; `referee_as_player_share` of the referees found.
    """
    rows = [_rows(scene, roles) for scene in scenes]
    truth, answer = (_joined([pair[side] for pair in rows]) for side in (0, 1))
    total = sum(
        int(np.isin(true.labels.role, roles).sum()) for scene in scenes for true, _ in scene
    )
    known = answer.role != "unknown"
    referees = (truth.role == "referee") & known
    return {
        "frames": sum(len(scene) for scene in scenes),
        "boxes": total,
        "found_share": share(len(truth.role), total),
        **_teams("team", truth, answer, truth.role == "player"),
        **_teams("keeper_team", truth, answer, truth.role == "goalkeeper"),
        "role_accuracy": share(int((truth.role == answer.role)[known].sum()), int(known.sum())),
        "role_n": int(known.sum()),
        "referee_as_player_share": share(
            int((answer.role[referees] != "referee").sum()), int(referees.sum())
        ),
        "referee_n": int(referees.sum()),
    }


def _teams(name: str, truth: Labels, answer: Labels, rows: NDArray[np.bool_]) -> Scores:
    counted = rows & np.isin(truth.team, SIDES)
    answered = counted & np.isin(answer.team, SIDES)
    right = (truth.team == answer.team)[answered]
    return {
        f"{name}_accuracy": share(int(right.sum()), len(right)),
        f"{name}_n": len(right),
        f"{name}_unknown_share": share(int((counted & ~answered).sum()), int(counted.sum())),
    }


def _rows(scene: Scene, roles: Sequence[str]) -> tuple[Labels, Labels]:
    """Labels of the people found in a scene, the answer's teams named as they agree best."""
    found = [_matched(truth, answer, roles) for truth, answer in scene]
    truth, answer = (_joined([pair[side] for pair in found]) for side in (0, 1))
    # goalkeepers wear another shirt: the outfield players say which team is which
    outfield = truth.role == "player"
    if is_swapped(truth.team[outfield], answer.team[outfield]):
        answer = Labels(swap_sides(answer.team), answer.role)
    return truth, answer


def _matched(truth: TeamBoxes, answer: TeamBoxes, roles: Sequence[str]) -> tuple[Labels, Labels]:
    overlap = box_overlap(truth.xyxy, answer.xyxy)
    i, j = pair_within(1 - overlap, 1 - MATCH_SIMILARITY)
    kept = np.isin(truth.labels.role[i], roles)
    i, j = i[kept], j[kept]
    return (
        Labels(truth.labels.team[i], truth.labels.role[i]),
        Labels(answer.labels.team[j], answer.labels.role[j]),
    )


def _joined(parts: Sequence[Labels]) -> Labels:
    none = np.zeros(0, np.str_)
    return Labels(
        np.concatenate([none, *(part.team for part in parts)]),
        np.concatenate([none, *(part.role for part in parts)]),
    )


def _clip(folder: Path, clip: str, tables: Path, size: tuple[int, int]) -> Scene:
    pattern = re.compile(re.escape(clip) + r"_f(\d+)")
    labels = {
        int(name[1]) - 1: path
        for path in sorted((folder / "labels").glob("*.txt"))
        if (name := pattern.fullmatch(path.stem))
    }
    if not labels:
        raise InputError(f"no label {folder / 'labels' / clip}_fNNNN.txt: expected some")
    found = load_tables(tables, ("tracks", "identities"))
    return [
        (
            read_team_boxes(path, folder / "teams" / path.name, size),
            _answered(found["tracks"], found["identities"], frame),
        )
        for frame, path in sorted(labels.items())
    ]


def _answered(tracks: pa.Table, identities: pa.Table, frame: int) -> TeamBoxes:
    people = people_of(tracks, np.array([frame]))
    seen = people.where(people.observed & ~np.isnan(people.xyxy).any(axis=1))
    return TeamBoxes(seen.xyxy, labels_of(identities, seen.track))
