"""The match simulator: plays a match, films it and writes the truth beside the video."""

from simulation.match import SimulatedMatch, simulate
from simulation.options import (
    TEST_SEEDS_FROM,
    VALIDATION_SEEDS_FROM,
    SimulationOptions,
    seed_use,
)
from simulation.rendering import render
from simulation.stills import write_stills
from simulation.storage import write

__all__ = [
    "TEST_SEEDS_FROM",
    "VALIDATION_SEEDS_FROM",
    "SimulatedMatch",
    "SimulationOptions",
    "render",
    "seed_use",
    "simulate",
    "write",
    "write_stills",
]
