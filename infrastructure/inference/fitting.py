"""A network on a device whose memory may run full: fewer images at once before it gives up."""

import logging
import sys
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from application.stage import Image, Model
from domain.errors import DeviceMemoryError

_log = logging.getLogger(__name__)
_Answer = tuple[NDArray[np.float32], ...]


class DeviceModel(Model, Protocol):
    """A network on a device; `infer` raises DeviceMemoryError where the memory is full."""

    def free(self) -> None:
        """Give back memory of the device that is only kept for the next time."""


class FittingModel:
    """Halves the number of images at once until they fit, and remembers it.

    A model's answers do not depend on how many images it is given at once, so neither do these.
    """

    def __init__(self, model: DeviceModel) -> None:
        self._model = model
        self._at_once = sys.maxsize

    @property
    def names(self) -> tuple[str, ...]:
        return self._model.names

    def infer(self, images: Sequence[Image]) -> Sequence[_Answer]:
        """As `Model.infer`.

        Raises:
            DeviceMemoryError: not even one image fits.
        """
        answers: list[_Answer] = []
        while len(answers) < len(images):
            answers.extend(self._next(images[len(answers) :]))
        return answers

    def _next(self, images: Sequence[Image]) -> Sequence[_Answer]:
        """The answers to the first of `images`: to as many as fit."""
        freed = False
        while True:
            some = images[: self._at_once]
            try:
                return self._model.infer(some)
            except DeviceMemoryError:
                if freed and len(some) == 1:
                    raise
            # Not within `except`: the error holds what the failed call has on the device.
            self._model.free()
            freed = True
            self._halve(len(some))

    def _halve(self, count: int) -> None:
        self._at_once = max(count // 2, 1)
        _log.warning("the GPU's memory was full with %d images: now %d", count, self._at_once)
