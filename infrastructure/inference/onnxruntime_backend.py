"""ONNX Runtime: the second opinion on CPUs, and CUDA for `.onnx` files."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from application.stage import Image
from domain.errors import InputError, ResourceError
from infrastructure.inference.canvas import Canvas
from infrastructure.inference.device import device_errors, memory_fraction
from infrastructure.inference.machine import cuda_devices
from infrastructure.inference.network_file import onnx_names, read_onnx


class OnnxRuntimeModel:
    """A network with one single-threaded run for each image in flight."""

    def __init__(
        self, path: Path, input_size: tuple[int, int], threads: int, *, cuda: bool
    ) -> None:
        self.names = onnx_names(read_onnx(path), path)
        self._session = _session(path, cuda)
        self._canvas = Canvas(input_size, _fixed_size(path, self._session), path.name)
        self._input = self._session.get_inputs()[0].name
        # after a failure nothing of the call goes on by itself on the device
        self._each: Any = map if cuda else ThreadPoolExecutor(threads).map
        self._errors = device_errors if cuda else nullcontext
        self._shrinks = False

    def infer(self, images: Sequence[Image]) -> Sequence[tuple[NDArray[np.float32], ...]]:
        with self._errors():
            return list(self._each(self._run, images))

    def free(self) -> None:
        """Give back, with the next run, the memory of the device that is only kept for later."""
        self._shrinks = True

    def _run(self, image: Image) -> tuple[NDArray[np.float32], ...]:
        canvas = self._canvas.lay(image)[0]
        blob = cv2.dnn.blobFromImage(canvas, 1 / 255, swapRB=True)
        outputs = self._session.run(None, {self._input: blob}, self._run_options())
        return tuple(np.asarray(output, np.float32) for output in outputs)

    def _run_options(self) -> Any:
        if not self._shrinks:
            return None
        self._shrinks = False
        options = onnxruntime.RunOptions()
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "gpu:0")
        return options


def _session(path: Path, cuda: bool) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only
    provider, settings = _provider(cuda)
    if cuda:
        onnxruntime.preload_dlls()  # CUDA's libraries from their packages, where those are there
    try:
        with device_errors() if cuda else nullcontext():
            session = onnxruntime.InferenceSession(
                str(path), options, providers=[(provider, settings)]
            )
    except ResourceError:
        raise
    except Exception as error:  # its exceptions have no common base but Exception
        raise InputError(f"model file {path}: ONNX Runtime cannot read this network") from error
    if session.get_providers()[0] != provider:
        raise ResourceError("ONNX Runtime cannot use this machine's CUDA device; unset gpu_enabled")
    return session


def _provider(cuda: bool) -> tuple[str, dict[str, Any]]:
    """Where it runs; each network by itself may take the process's share of the memory."""
    if not cuda:
        return "CPUExecutionProvider", {}
    devices = cuda_devices()
    limit = {"gpu_mem_limit": int(devices[0].memory * memory_fraction())} if devices else {}
    # grows by what is asked for, not by powers of two, so that the limit can be used up
    return "CUDAExecutionProvider", {"arena_extend_strategy": "kSameAsRequested", **limit}


def _fixed_size(path: Path, session: Any) -> list[int | None]:
    """The height and width that the file fixes; a dimension left open has a name, not a number."""
    inputs = session.get_inputs()
    shape = [size if isinstance(size, int) else None for size in inputs[0].shape]
    if len(inputs) != 1 or len(shape) != 4 or inputs[0].type != "tensor(float)":
        raise InputError(f"model file {path}: expected one float input (1, 3, height, width)")
    if shape[0] not in (None, 1) or shape[1] not in (None, 3):
        raise InputError(f"model file {path}: expected an input (1, 3, height, width), got {shape}")
    return shape[2:]
