"""OpenVINO: the default on CPUs."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from application.stage import Image
from domain.errors import InputError
from infrastructure.inference.canvas import Canvas
from infrastructure.inference.network_file import onnx_names, read_onnx

# OpenVINO's Python package reports its use over the network through this one; without it, it runs
# with a stand-in that does nothing. It must be barred before the first import of openvino.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

import openvino as ov  # noqa: E402
from openvino.preprocess import ColorFormat, PrePostProcessor  # noqa: E402


class OpenVINOModel:
    """A network compiled for this CPU, with one stream of one thread for each image in flight.

    A result never depends on how many threads there are, since every image is computed by one.
    """

    def __init__(
        self, path: Path, input_size: tuple[int, int], threads: int, precision: str
    ) -> None:
        parsed = _parse(path)
        network = _read(path)
        self.names = onnx_names(parsed, path) if parsed else _labels(network)
        self._canvas = _fix_shape(path, network, input_size)
        self._outputs = len(network.outputs)
        self._queue = ov.AsyncInferQueue(
            ov.Core().compile_model(_taking_bgr(network), "CPU", _properties(threads, precision)),
            threads,
        )
        self._queue.set_callback(self._collect)
        self._results: list[tuple[NDArray[np.float32], ...]] = []

    def infer(self, images: Sequence[Image]) -> Sequence[tuple[NDArray[np.float32], ...]]:
        self._results = [()] * len(images)
        for index, image in enumerate(images):
            self._queue.start_async({0: self._canvas.lay(image)}, index)
        self._queue.wait_all()
        results, self._results = self._results, []
        return results

    def _collect(self, request: Any, index: int) -> None:
        """Copy the outputs out of the request, whose memory the next image takes."""
        self._results[index] = tuple(
            np.array(request.get_output_tensor(output).data, np.float32)
            for output in range(self._outputs)
        )


def write_openvino(
    source: Path, names: Sequence[str], metadata: Mapping[str, str], path: Path, *, halved: bool
) -> None:
    """Write the ONNX network in `source` as OpenVINO's `.xml` and `.bin`, with class names inside.

    `halved` stores its weights as float16.

    Raises:
        InputError: OpenVINO cannot read the network.
    """
    network = _read(source)
    for key, value in metadata.items():
        network.set_rt_info(value, ["model_info", key])
    # as Ultralytics writes them: see _labels
    labels = " ".join(name.replace(" ", "_") for name in names)
    network.set_rt_info(labels, ["model_info", "labels"])
    ov.save_model(network, path, compress_to_fp16=halved)


def _properties(threads: int, precision: str) -> dict[str, Any]:
    return {
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": threads,
        # several processes on one machine would otherwise pin their threads to the same cores
        "ENABLE_CPU_PINNING": False,
    }


def _read(path: Path) -> ov.Model:
    try:
        network = ov.Core().read_model(path)
    except RuntimeError as error:
        raise InputError(f"model file {path}: OpenVINO cannot read this network") from error
    if len(network.inputs) != 1 or len(network.input().partial_shape) != 4:
        raise InputError(f"model file {path}: expected one input of four dimensions")
    return network


def _parse(path: Path) -> Any:
    """The ONNX model, or None for OpenVINO's own form, after refusing what is neither.

    Given a broken file, OpenVINO tries one format after the other and each writes to stderr.
    """
    if path.suffix.lower() == ".onnx":
        return read_onnx(path)
    if not path.read_bytes().rstrip().endswith(b"</net>"):
        raise InputError(f"model file {path}: not an OpenVINO network, or cut short")
    return None


def _labels(network: ov.Model) -> tuple[str, ...]:
    labels = ["model_info", "labels"]
    if not network.has_rt_info(labels):
        return ()
    # Ultralytics joins the names by spaces and writes a space within a name as an underscore
    return tuple(name.replace("_", " ") for name in network.get_rt_info(labels).astype(str).split())


def _fix_shape(path: Path, network: ov.Model, input_size: tuple[int, int]) -> Canvas:
    """Settle what the file leaves open: one image, three channels, the asked height and width."""
    shape = network.input().partial_shape
    open_or = [None if dimension.is_dynamic else dimension.get_length() for dimension in shape]
    if open_or[0] not in (None, 1) or open_or[1] not in (None, 3):
        raise InputError(f"model file {path}: expected an input (1, 3, height, width), got {shape}")
    canvas = Canvas(input_size, open_or[2:], path.name)
    if shape.is_dynamic:
        try:
            network.reshape([1, 3, *canvas.network])
        except RuntimeError as error:
            raise InputError(
                f"model file {path}: does not take images of {input_size[1]}x{input_size[0]} pixels"
            ) from error
    return canvas


def _taking_bgr(network: ov.Model) -> ov.Model:
    """Put the way from BGR bytes (1, h, w, 3) to RGB shares (1, 3, h, w) into the network."""
    steps = PrePostProcessor(network)
    place = steps.input()
    place.tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    place.tensor().set_color_format(ColorFormat.BGR)
    place.model().set_layout(ov.Layout("NCHW"))
    place.preprocess().convert_element_type(ov.Type.f32).convert_color(ColorFormat.RGB).scale(255.0)
    for output in range(len(network.outputs)):
        steps.output(output).tensor().set_element_type(ov.Type.f32)
    return steps.build()
