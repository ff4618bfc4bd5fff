"""What can be seen in the real clips: the labels in `evaluation/labels/`, read and checked.

The format is described in evaluation/labels/README.md. Frames count from 0 in the order in which
they are shown, pixels are the source's.
"""

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from domain.errors import InputError

FOLDER = Path(__file__).parent / "labels"

Sure = Literal["sure", "likely", "guess"]
Frame = Annotated[int, Field(ge=0)]
Pixel = Annotated[float, Field(ge=0)]
Side = Literal["A", "B"]

_Blank = BeforeValidator(lambda value: None if value == "" else value)


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    sure: Sure


_AnyRow = TypeVar("_AnyRow", bound=_Row)


class PersonLabel(_Row):
    """A player, keeper or official; x and y are the lowest point of him that can be seen."""

    frame: Frame
    x: Pixel
    y: Pixel
    role: Literal["player", "goalkeeper", "referee"]
    team: Literal["A", "B", "referee"]


class BallLabel(_Row):
    """The ball's middle; without x and y where nobody could point at it."""

    frame: Frame
    x: Annotated[Pixel | None, _Blank]
    y: Annotated[Pixel | None, _Blank]
    state: Literal["visible", "hidden", "not_findable"]


class EventLabel(_Row):
    """A match event; without an end where the clip ends first or there is none."""

    type: Literal["pass", "shot", "goal", "tackle", "goal_kick"]
    start_frame: Frame
    end_frame: Annotated[Frame | None, _Blank]
    team: Side
    outcome: Annotated[Literal["complete", "incomplete", "goal"] | None, _Blank]
    note: str


class Stretch(_Row):
    """Frames of one shot, first to last; what lies between two stretches is a transition."""

    first: Frame
    last: Frame
    view: Literal["wide", "close", "other"]
    replay: bool


class FormationLabel(_Row):
    team: Side
    label: Annotated[str, Field(pattern=r"^\d(-\d)+$")]
    first: Frame
    last: Frame


class _Clip(BaseModel):
    """clip.yaml"""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    width: Annotated[int, Field(ge=1)]
    height: Annotated[int, Field(ge=1)]
    frames: Annotated[int, Field(ge=1)]
    teams: dict[Side, str] = {}
    stretches: tuple[Stretch, ...]
    formations: tuple[FormationLabel, ...] = ()


@dataclass(frozen=True)
class HandLabels:
    """All labels of one clip.

    Attributes:
        file, sha256: the video that was looked at.
        width, height: pixels.
        frames: how many the clip has.
        teams: what A and B wear.
        people: everybody on the pitch, in the frames that occur; those outside of it are not in.
    """

    file: str
    sha256: str
    width: int
    height: int
    frames: int
    teams: dict[Side, str]
    stretches: tuple[Stretch, ...]
    formations: tuple[FormationLabel, ...]
    people: tuple[PersonLabel, ...]
    ball: tuple[BallLabel, ...]
    events: tuple[EventLabel, ...]


def labelled_clips(folder: Path = FOLDER) -> tuple[str, ...]:
    """The names of the clips that have labels, ascending."""
    return tuple(sorted(path.parent.name for path in folder.glob("*/clip.yaml")))


def load_hand_labels(clip: str, folder: Path = FOLDER) -> HandLabels:
    """The labels of `clip`, a name of `labelled_clips` with or without the file's suffix.

    Raises:
        InputError: there are none, or a file is not as the format says; line and column are named.
    """
    names = labelled_clips(folder)
    name = clip if clip in names else Path(clip).stem
    if name not in names:
        raise InputError(f"no labels for the clip {clip}: there are {', '.join(names) or 'none'}")
    home = folder / name
    facts = _read_clip(home / "clip.yaml")
    labels = HandLabels(
        **{key: getattr(facts, key) for key in _Clip.model_fields},
        people=tuple(_rows(home / "people.csv", PersonLabel)),
        ball=tuple(_rows(home / "ball.csv", BallLabel)),
        events=tuple(_rows(home / "events.csv", EventLabel)),
    )
    _check(labels, home)
    return labels


def _read_clip(path: Path) -> _Clip:
    try:
        return _Clip.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not YAML: {error}".splitlines()[0]) from error
    except ValidationError as error:
        raise InputError(f"{path}: {_first(error)}") from error


def _rows(path: Path, kind: type[_AnyRow]) -> Iterator[_AnyRow]:
    """The rows of a CSV file with the fields of `kind`; none where there is no file."""
    if not path.is_file():
        return
    with path.open(encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.DictReader(file), start=2):
            try:
                yield kind.model_validate(row)
            except ValidationError as error:
                raise InputError(f"{path} line {number}: {_first(error)}") from error


def _first(error: ValidationError) -> str:
    problem = error.errors()[0]
    where = ".".join(str(part) for part in problem["loc"]) or "file"
    return f"{where}: {problem['msg']} (actual value {problem['input']!r})"


def _check(labels: HandLabels, home: Path) -> None:
    """What no single row can tell: frames of the clip, places in the picture, nothing twice."""
    _refuse(home / "clip.yaml", _stretch_problems(labels.stretches))
    _refuse(home, _beyond_the_end(labels))
    _refuse(home, _outside_of_the_picture(labels))
    _refuse(home / "ball.csv", _ball_problems(labels.ball))
    sides = {row.team for row in labels.people} | {row.team for row in labels.events}
    unknown = sides - {"referee", *labels.teams}
    _refuse(home, [f"team {team}: clip.yaml says nothing of it" for team in sorted(unknown)])
    odd = [row for row in labels.people if (row.role == "referee") != (row.team == "referee")]
    _refuse(home / "people.csv", [f"{row}: role and team disagree" for row in odd])


def _beyond_the_end(labels: HandLabels) -> Iterator[str]:
    ends: list[tuple[object, int]] = [(row, row.frame) for row in _placed(labels)]
    ends += [(row, max(row.start_frame, row.end_frame or 0)) for row in labels.events]
    ends += [(row, row.last) for row in labels.stretches]
    ends += [(row, row.last) for row in labels.formations]
    for row, frame in ends:
        if frame >= labels.frames:
            yield f"{row}: the clip ends at frame {labels.frames - 1}"


def _outside_of_the_picture(labels: HandLabels) -> Iterator[str]:
    for row in _placed(labels):
        if (row.x or 0) > labels.width or (row.y or 0) > labels.height:
            yield f"{row}: outside of {labels.width}x{labels.height}"


def _placed(labels: HandLabels) -> tuple[PersonLabel | BallLabel, ...]:
    return (*labels.people, *labels.ball)


def _stretch_problems(stretches: Sequence[Stretch]) -> Iterator[str]:
    after = -1
    for row in stretches:
        if not after < row.first <= row.last:
            yield f"{row}: expected stretches in order, none inside another"
        after = row.last


def _ball_problems(ball: Sequence[BallLabel]) -> Iterator[str]:
    seen: set[int] = set()
    for row in ball:
        if row.frame in seen:
            yield f"frame {row.frame} occurs twice"
        if (row.x is None) != (row.y is None) or (row.x is None and row.state == "visible"):
            yield f"{row}: expected x and y"
        seen.add(row.frame)


def _refuse(path: Path, problems: Iterable[str]) -> None:
    for problem in problems:
        raise InputError(f"{path}: {problem}")


def of_sureness(rows: Sequence[_AnyRow], *, sure: bool) -> list[_AnyRow]:
    """The rows of which people were sure, or the others."""
    return [row for row in rows if (row.sure == "sure") == sure]
