"""What a simulated match's truth.json tells beside the tables."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from domain.errors import InputError


@dataclass(frozen=True)
class About:
    """What is told, as far as it is.

    Attributes:
        size: width and height of the video in pixels.
        transitions: for the first frame of a shot, how many frames on either side of it belong to
            the dissolve or wipe by which it opens.
    """

    size: tuple[int, int] | None = None
    transitions: Mapping[int, int] = field(default_factory=dict)

    def extents(self, cuts: NDArray[np.int64]) -> NDArray[np.int64]:
        """First and last frame (n, 2) of the transitions at cuts (n,), which are first frames of
        shots; a cut is sharp where nothing else is told."""
        reach = np.array([self.transitions.get(int(cut), 0) for cut in cuts], dtype=np.int64)
        # as many frames before the first of the new shot as from it on
        return np.column_stack([cuts - reach, cuts + np.maximum(reach - 1, 0)])


def read_about(folder: Path) -> About:
    """Read a folder's truth.json; nothing is told where there is none.

    Raises:
        InputError: the file is no JSON, or not laid out as the simulator writes it.
    """
    path = folder / "truth.json"
    if not path.is_file():
        return About()
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return About(
            size=(int(told["width"]), int(told["height"])) if "width" in told else None,
            transitions={
                int(shot["first_frame"]): int(shot.get("transition_frames", 0))
                for shot in told.get("shots", [])
            },
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: expected a simulated match's facts: {error!r}") from error
