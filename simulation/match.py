"""A simulated match: play it, film it, write down the truth."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from simulation.camera import CameraPath
from simulation.film import Film, film
from simulation.kits import MatchKits, draw_kits
from simulation.motion import Motion, at_frames
from simulation.options import SimulationOptions
from simulation.people import Person, draw_formation, draw_people
from simulation.play import PlayRecord, play
from simulation.truth import Truth, write_down

KIT_STREAM = 6  # so that new kits never move the play


@dataclass(frozen=True)
class SimulatedMatch:
    """A match without pixels. `motion` is the play at the video's times; `film` is what the video
    shows of it, and when; `truth` is what there is to find.
    """

    options: SimulationOptions
    kits: MatchKits
    formations: tuple[str, str]
    record: PlayRecord
    motion: Motion
    film: Film
    truth: Truth

    @property
    def people(self) -> list[Person]:
        return self.record.people

    @property
    def tables(self) -> Mapping[str, pa.Table]:
        """The truth by the names of domain.tables."""
        return self.truth.tables

    @property
    def positions(self) -> pa.Table:
        """Everyone's place at every frame, seen by the camera or not."""
        return self.truth.positions

    @cached_property
    def camera(self) -> CameraPath:
        """The camera on air at each frame."""
        return self.film.camera.take(self.film.rows)


def simulate(options: SimulationOptions) -> SimulatedMatch:
    """Play and film a match. The play depends on the seed and the formations alone, so other
    frame rates, sizes and cameras show the same match.
    """
    looks, moves, filming = (np.random.default_rng([options.seed, stream]) for stream in (1, 2, 3))
    kits = draw_kits(np.random.default_rng([options.seed, KIT_STREAM]))
    home = draw_formation(looks, options.home_formation)
    away = draw_formation(looks, options.away_formation)
    people = draw_people(looks, kits, (home, away))
    record = play(people, options.schedule, moves)
    time_s = np.arange(options.frame_count) / float(options.rate)
    motion = at_frames(record, time_s)
    shown = film(record, motion, options, filming)
    truth = write_down(record, motion, shown, (home, away))
    return SimulatedMatch(options, kits, (home, away), record, motion, shown, truth)
