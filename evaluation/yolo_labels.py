"""Labelled images on disk: YOLO boxes, YOLO-pose pitch points, and which roles are labelled."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from domain.errors import InputError
from domain.pitch import PITCH_POINT_COUNT
from domain.tables import ROLES

CLASS_NAMES = ("ball", "goalkeeper", "player", "referee")
"""The role of each class id of the project's box labels."""

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
BROADCAST_ASPECT = 16 / 9
# labels are rounded, and boxes drawn by hand reach a little over the border
_FRACTION_SLACK = 0.05
_BOX_COLUMNS = 5


@dataclass(frozen=True)
class LabelledImage:
    """An image and its label file; an image without objects has an empty label file."""

    image: Path
    label: Path


def labelled_images(
    images_dir: Path, labels_dir: Path, matches: Sequence[str] = ()
) -> list[LabelledImage]:
    """Pair each image with the label file of its name, in the order of names.

    Args:
        matches: only images whose name starts with one of these; all when empty.

    Raises:
        InputError: a folder is missing, no image is left, or an image has no label file.
    """
    if not labels_dir.is_dir():
        raise InputError(f"no folder {labels_dir}: give the folders of images and of labels")
    chosen = images_in(images_dir, matches)
    pairs = [LabelledImage(path, labels_dir / f"{path.stem}.txt") for path in chosen]
    _require_labels(pairs)
    return pairs


def images_in(folder: Path, matches: Sequence[str] = ()) -> list[Path]:
    """The images of a folder by name, or those whose name starts with one of `matches`.

    Raises:
        InputError: there is no such folder, or no such image in it.
    """
    if not folder.is_dir():
        raise InputError(f"no folder {folder}: expected a folder of images")
    images = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in IMAGE_SUFFIXES]
    chosen = [path for path in images if not matches or path.name.startswith(tuple(matches))]
    if not chosen:
        names = f" whose name starts with {', '.join(matches)}" if matches else ""
        raise InputError(f"no image in {folder}{names}: expected {', '.join(IMAGE_SUFFIXES)}")
    return chosen


def labelled_roles(images_dir: Path, labels_dir: Path) -> tuple[str, ...]:
    """The roles that are labelled: those of a `labelled.txt` beside either folder, else all.

    Raises:
        InputError: the file names no role, or one that does not exist.
    """
    for folder in (images_dir, labels_dir):
        path = folder.resolve().parent / "labelled.txt"
        if path.is_file():
            return _roles_of(path)
    return ROLES


def read_image(path: Path, *, unstretch: bool = False) -> NDArray[np.uint8]:
    """Read an image as (height, width, 3) BGR.

    Args:
        unstretch: bring an image that was squeezed from 16:9 back to that shape; height is kept.

    Raises:
        InputError: the file is no image.
    """
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise InputError(f"cannot read image {path}: replace or remove the file")
    if unstretch:
        height = image.shape[0]
        image = cv2.resize(image, (round(height * BROADCAST_ASPECT), height))
    return np.asarray(image, dtype=np.uint8)


def read_boxes(
    path: Path, class_names: Sequence[str] = CLASS_NAMES
) -> tuple[list[str], NDArray[np.float64]]:
    """Read YOLO boxes, a line `class x_centre y_centre width height` each.

    Returns:
        The role of each box, and the boxes (n, 4) as x1 y1 x2 y2 in fractions of the image.

    Raises:
        InputError: a line is malformed; the message names file and line.
    """
    roles: list[str] = []
    boxes: list[NDArray[np.float64]] = []
    for number, values in _rows(path, _BOX_COLUMNS):
        roles.append(_role_of(path, number, values[0], class_names))
        boxes.append(_corners(path, number, values[1:]))
    return roles, np.array(boxes, dtype=np.float64).reshape(-1, 4)


def read_points(path: Path) -> NDArray[np.float64]:
    """Read the 32 pitch points of a YOLO-pose label as (32, 3): x, y in fractions, visibility.

    A file without a line means that the pitch is not seen: every visibility is 0.

    Raises:
        InputError: a line is malformed or there are several; the message names file and line.
    """
    rows = list(_rows(path, _BOX_COLUMNS + 3 * PITCH_POINT_COUNT))
    if not rows:
        return np.zeros((PITCH_POINT_COUNT, 3))
    if len(rows) > 1:
        raise InputError(f"{path}:{rows[1][0]}: expected one pitch, actual {len(rows)} lines")
    points = rows[0][1][_BOX_COLUMNS:].reshape(PITCH_POINT_COUNT, 3)
    seen = points[points[:, 2] > 0, :2]
    if not np.isin(points[:, 2], (0, 1, 2)).all() or not _are_fractions(seen):
        raise InputError(
            f"{path}:{rows[0][0]}: expected x and y of seen points in 0 to 1 "
            "and visibility 0, 1 or 2"
        )
    return points


def _require_labels(pairs: list[LabelledImage]) -> None:
    missing = [pair for pair in pairs if not pair.label.is_file()]
    if len(missing) == len(pairs):
        raise InputError(
            f"no image has a label: {pairs[0].image.parent} and {pairs[0].label.parent} "
            "share no file name"
        )
    if missing:
        raise InputError(
            f"no label file {missing[0].label} for {len(missing)} of {len(pairs)} images: "
            "an image without objects needs an empty one"
        )


def _roles_of(path: Path) -> tuple[str, ...]:
    roles = tuple(path.read_text(encoding="utf-8").split())
    unknown = sorted(set(roles) - set(ROLES))
    if not roles or unknown:
        raise InputError(
            f"{path}: expected roles of {', '.join(ROLES)}, actual {unknown or 'none'}"
        )
    return roles


def _rows(path: Path, columns: int) -> list[tuple[int, NDArray[np.float64]]]:
    """The lines of a label file that hold numbers, each with its number counted from 1."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read label file {path}: {error}") from error
    return [
        (number, _numbers(path, number, line, columns))
        for number, line in enumerate(lines, start=1)
        if line.strip()
    ]


def _numbers(path: Path, number: int, line: str, columns: int) -> NDArray[np.float64]:
    parts = line.split()
    if len(parts) != columns:
        raise InputError(f"{path}:{number}: expected {columns} numbers, actual {len(parts)}")
    try:
        values = np.array([float(part) for part in parts])
    except ValueError as error:
        raise InputError(
            f"{path}:{number}: expected numbers, actual {line.strip()[:60]}"
        ) from error
    if not np.isfinite(values).all():
        raise InputError(f"{path}:{number}: expected finite numbers, actual {line.strip()[:60]}")
    return values


def _role_of(path: Path, number: int, value: float, class_names: Sequence[str]) -> str:
    if value != int(value) or not 0 <= value < len(class_names):
        raise InputError(
            f"{path}:{number}: expected class 0 to {len(class_names) - 1}, actual {value:g}"
        )
    return class_names[int(value)]


def _corners(path: Path, number: int, box: NDArray[np.float64]) -> NDArray[np.float64]:
    centre, size = box[:2], box[2:]
    corners = np.concatenate([centre - size / 2, centre + size / 2])
    if not (size > 0).all() or not _are_fractions(corners):
        raise InputError(
            f"{path}:{number}: expected a box in fractions of the image with a size above 0, "
            f"actual {' '.join(f'{value:g}' for value in box)}"
        )
    return corners


def _are_fractions(values: NDArray[np.float64]) -> bool:
    return bool(((values >= -_FRACTION_SLACK) & (values <= 1 + _FRACTION_SLACK)).all())
