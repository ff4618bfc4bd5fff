"""How far things move in the picture while the shutter is open."""

from dataclasses import dataclass

import numpy as np

from simulation.arrays import Floats
from simulation.film import Film, Shot
from simulation.patches import LONGEST_SMEAR_PX

CHEST_M = 1.0


@dataclass(frozen=True)
class Smear:
    """Movement in pixels while the shutter is open: of people (n, 2) and of the ball (2)."""

    people: Floats
    ball: Floats


class Shutter:
    """The shutter of one film, open for `open_s` in each frame."""

    def __init__(self, film: Film, fps: float, open_s: float) -> None:
        self._film, self._share = film, min(open_s * fps, 1.0)

    def turn(self, shot: Shot, row: int) -> tuple[float, float]:
        """Movement (x, y) of the picture's middle by the camera's own, at a row of the film."""
        if row <= shot.row:
            return 0.0, 0.0
        camera = self._film.camera
        middle = np.array([camera.width / 2, camera.height / 2, 1.0])
        now, before = (camera.eye(r).matrix[:, [0, 1, 3]] for r in (row, row - 1))
        moved = now @ np.linalg.solve(before, middle)
        across, down = (moved[:2] / moved[2] - middle[:2]) * self._share
        return float(across), float(down)

    def smear(self, shot: Shot, row: int) -> Smear:
        """Movement of everybody and of the ball at a row of the film."""
        before, now = self._places(max(row - 1, shot.row)), self._places(row)
        moved = np.clip((now - before) * self._share, -LONGEST_SMEAR_PX, LONGEST_SMEAR_PX)
        return Smear(moved[:-1], moved[-1])

    def _places(self, row: int) -> Floats:
        """Pixels of everybody's chest and of the ball (n + 1, 2)."""
        people = self._film.shown.position[row]
        chest = np.column_stack([people, np.full(len(people), CHEST_M)])
        return self._film.camera.eye(row).pixels(np.vstack([chest, self._film.shown.ball[row]]))[0]
