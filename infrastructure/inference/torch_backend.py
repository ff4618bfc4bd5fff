"""PyTorch, for `.torchscript` files and, with Ultralytics, for `.pt` files."""

import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from application.stage import Image
from domain.errors import InputError
from infrastructure.inference.canvas import Canvas
from infrastructure.inference.device import device_errors, memory_fraction
from infrastructure.inference.network_file import names_and_size


class TorchModel:
    """A network with one single-threaded run for each image in flight, or on CUDA."""

    def __init__(
        self, path: Path, input_size: tuple[int, int], threads: int, *, cuda: bool
    ) -> None:
        network, self.names = load_network(path)
        self._device = torch.device("cuda" if cuda else "cpu")
        self._errors = device_errors if cuda else nullcontext
        with self._errors():
            if cuda:
                torch.cuda.set_per_process_memory_fraction(memory_fraction())
            self._network = network.to(self._device)
        self._canvas = Canvas(input_size, _fixed_size(path), path.name)
        # after a failure nothing of the call goes on by itself on the device
        self._each: Any = map if cuda else ThreadPoolExecutor(threads, initializer=_one_thread).map
        # the head builds its grid in the first run, which threads must not do at the same time
        self.infer([np.zeros((*input_size, 3), np.uint8)])

    def infer(self, images: Sequence[Image]) -> Sequence[tuple[NDArray[np.float32], ...]]:
        with self._errors():
            return list(self._each(self._run, images))

    def free(self) -> None:
        """Give back the memory of the device that torch keeps for the next run."""
        with self._errors():
            torch.cuda.empty_cache()

    def _run(self, image: Image) -> tuple[NDArray[np.float32], ...]:
        blob = cv2.dnn.blobFromImage(self._canvas.lay(image)[0], 1 / 255, swapRB=True)
        with torch.inference_mode():
            answer = self._network(torch.from_numpy(blob).to(self._device))
        outputs = answer if isinstance(answer, tuple) else (answer,)
        return tuple(output.float().cpu().numpy() for output in outputs)


def load_network(path: Path) -> tuple[Any, tuple[str, ...]]:
    """The network of a TorchScript file or an Ultralytics checkpoint, and its class names.

    Raises:
        InputError: the file is broken, or not such a one.
    """
    if path.suffix.lower() != ".torchscript":
        from infrastructure.inference.checkpoint import load_checkpoint

        return load_checkpoint(path)
    names, _ = names_and_size(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch has deprecated the form, and reads it
            return torch.jit.load(str(path), map_location="cpu").eval(), names
    except RuntimeError as error:
        raise InputError(f"model file {path}: torch cannot read this network") from error


def _fixed_size(path: Path) -> tuple[int | None, int | None]:
    return names_and_size(path)[1] if path.suffix.lower() == ".torchscript" else (None, None)


def _one_thread() -> None:
    torch.set_num_threads(1)
