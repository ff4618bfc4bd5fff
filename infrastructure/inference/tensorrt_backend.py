"""TensorRT, for `.engine` files: on the kind of device that built them. torch holds the memory."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tensorrt as trt
import torch
from numpy.typing import NDArray

from application.stage import Image
from domain.errors import InputError
from infrastructure.inference.canvas import Canvas
from infrastructure.inference.device import device_errors, memory_fraction
from infrastructure.inference.network_file import engine_parts, names_and_size


class TensorRTModel:
    """An engine that takes one image at a time, of the size that it was built for."""

    def __init__(self, path: Path, input_size: tuple[int, int]) -> None:
        self.names, _ = names_and_size(path)
        with device_errors():
            torch.cuda.set_per_process_memory_fraction(memory_fraction())
            engine = trt.Runtime(trt.Logger(trt.Logger.ERROR)).deserialize_cuda_engine(
                engine_parts(path)[1]
            )
            if engine is None:
                raise InputError(
                    f"model file {path}: built for another device or version of TensorRT; "
                    "build it here with footanalytics export-model"
                )
            self._engine, self._context = engine, engine.create_execution_context()
            self._canvas = Canvas(input_size, self._lay_out(path)[2:], path.name)

    def infer(self, images: Sequence[Image]) -> Sequence[tuple[NDArray[np.float32], ...]]:
        with device_errors():
            return [self._run(image) for image in images]

    def free(self) -> None:
        """Give back the memory of the device that torch keeps for the next run."""
        with device_errors():
            torch.cuda.empty_cache()

    def _lay_out(self, path: Path) -> tuple[int, ...]:
        """Put each input and output in memory of its own; the input's shape.

        A side that a profile leaves open is -1: such engines are refused.
        """
        names = [self._engine.get_tensor_name(at) for at in range(self._engine.num_io_tensors)]
        shapes = {name: tuple(self._engine.get_tensor_shape(name)) for name in names}
        types = {self._engine.get_tensor_dtype(name) for name in names}
        inputs = [n for n in names if self._engine.get_tensor_mode(n) == trt.TensorIOMode.INPUT]
        if len(inputs) != 1 or types != {trt.float32} or min(map(min, shapes.values())) < 1:
            raise InputError(
                f"model file {path}: expected an engine of one size, its input and outputs "
                f"float32; actual {shapes}"
            )
        held = {name: torch.empty(shapes[name], device="cuda") for name in names}
        for name, tensor in held.items():
            self._context.set_tensor_address(name, tensor.data_ptr())
        self._input = held.pop(inputs[0])
        self._outputs = list(held.values())
        return shapes[inputs[0]]

    def _run(self, image: Image) -> tuple[NDArray[np.float32], ...]:
        blob: Any = cv2.dnn.blobFromImage(self._canvas.lay(image)[0], 1 / 255, swapRB=True)
        self._input.copy_(torch.from_numpy(blob))
        stream = torch.cuda.current_stream()
        if not self._context.execute_async_v3(stream.cuda_stream):
            raise RuntimeError("CUDA failure: TensorRT could not run the engine")
        return tuple(output.cpu().numpy() for output in self._outputs)
