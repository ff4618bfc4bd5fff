"""PyTorch, for `.pt` files: the only module here that imports torch and Ultralytics."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from application.stage import Image
from domain.errors import InputError, ResourceError
from infrastructure.inference.canvas import Canvas
from infrastructure.inference.device import device_errors, memory_fraction

# Ultralytics asks the network for updates, installs packages and downloads weights unless told not
# to; it reads these once, at its first import.
os.environ.update(YOLO_OFFLINE="true", YOLO_AUTOINSTALL="false", ULTRALYTICS_SAFE_LOAD="true")

import torch
from ultralytics.nn import tasks


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
        self._canvas = Canvas(input_size, (None, None), path.name)
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
            output = self._network(torch.from_numpy(blob).to(self._device))
        return (output.float().cpu().numpy(),)


def load_network(path: Path) -> tuple[Any, tuple[str, ...]]:
    """The network of an Ultralytics checkpoint, ready to answer, and its class names.

    Nothing in the file is run: torch's restricted unpickler (`weights_only`) rebuilds the layers
    that Ultralytics knows, and refuses all else.

    Raises:
        InputError: the file is broken, or not such a checkpoint.
    """
    if not hasattr(torch.serialization, "get_unsafe_globals_in_checkpoint"):
        raise ResourceError("a .pt model needs torch 2.6 or later to be loaded safely")
    try:
        checkpoint, _ = tasks.torch_safe_load(str(path), safe_only=True)
        network = checkpoint.get("ema") or checkpoint["model"]
        network = network.float().fuse(verbose=False).eval()
    except Exception as error:  # a hostile or broken pickle raises anything
        raise InputError(
            f"model file {path}: not an Ultralytics checkpoint that can be loaded safely; "
            f"export it to .onnx where it was trained"
        ) from error
    head = network.model[-1]
    head.export, head.format = True, "onnx"  # answer with the decoded output alone
    names = network.names
    return network, tuple(names[index] for index in sorted(names))


def _one_thread() -> None:
    torch.set_num_threads(1)
