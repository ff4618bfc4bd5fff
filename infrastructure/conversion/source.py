"""The ONNX network that every other form is made from."""

import hashlib
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from domain.errors import InputError
from infrastructure.inference.export import exported
from infrastructure.inference.network_file import read_onnx

DEFAULT_SIZE = (736, 1280)
"""Height and width for networks that do not say theirs: a 16:9 frame at the default image size."""


def read_source(path: Path, size: tuple[int, int] | None) -> Any:
    """The network in a `.onnx` file, or in an Ultralytics `.pt` file for images of `size`.

    Its weights are float32; those that are stored as float16 are widened.

    Raises:
        InputError: no such file, or not such a network.
    """
    if not path.is_file():
        raise InputError(f"model file {path}: not found")
    if path.suffix.lower() == ".onnx":
        return widened(read_onnx(path))
    if path.suffix.lower() != ".pt":
        raise InputError(f"model file {path}: expected .onnx or .pt")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with tempfile.TemporaryDirectory() as folder:
        return read_onnx(exported(path, digest, size or DEFAULT_SIZE, Path(folder)))


def widened(model: Any) -> Any:
    """`model` with each weight that is stored as float16 and cast before use as float32."""
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    kept = []
    for node in model.graph.node:
        if node.op_type != "Cast" or node.input[0] not in stored:
            kept.append(node)
            continue
        tensor = stored[node.input[0]]
        values = numpy_helper.to_array(tensor).astype(np.float32)
        tensor.CopyFrom(numpy_helper.from_array(values, node.output[0]))
    del model.graph.node[:]
    model.graph.node.extend(kept)
    return model


def metadata_of(model: Any) -> dict[str, str]:
    """What the file says of itself, by key."""
    return {entry.key: entry.value for entry in model.metadata_props}


def size_of(model: Any) -> tuple[int, int]:
    """Height and width that the network is for: fixed in the file, or named in its metadata."""
    height, width = (side.dim_value for side in _dimensions(model)[2:])
    if height and width:
        return height, width
    named = metadata_of(model).get("input_size", "").split("x")
    return (int(named[0]), int(named[1])) if len(named) == 2 else DEFAULT_SIZE


def settled(model: Any, size: tuple[int, int]) -> Any:
    """The same network for one image of `size`, without the arithmetic on shapes.

    ONNX Runtime works out what depends on the input's shape alone: a third of the nodes stays.

    Raises:
        InputError: the network does not take images of this size.
    """
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    for dimension, value in zip(_dimensions(fixed), (1, 3, *size), strict=True):
        if dimension.dim_value not in (0, value):
            raise InputError(f"the network takes {dimension.dim_value}, not {value}, in its input")
        dimension.dim_value = value
    with tempfile.TemporaryDirectory() as folder:
        return _fold(fixed, Path(folder) / "folded.onnx", size)


def _fold(model: Any, path: Path, size: tuple[int, int]) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(path)
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # its exceptions have no common base but Exception
        raise InputError(f"the network does not take images of {size[1]}x{size[0]}") from error
    folded = onnx.load(str(path))
    for output, found in zip(folded.graph.output, session.get_outputs(), strict=True):
        shape = found.shape if all(isinstance(side, int) for side in found.shape) else None
        output.CopyFrom(onnx.helper.make_tensor_value_info(found.name, TensorProto.FLOAT, shape))
    own = [entry for entry in folded.opset_import if not entry.domain]
    del folded.opset_import[:]
    folded.opset_import.extend(own)
    return folded


def _dimensions(model: Any) -> Any:
    shape = model.graph.input[0].type.tensor_type.shape.dim
    if len(model.graph.input) != 1 or len(shape) != 4:
        raise InputError("expected a network with one input (1, 3, height, width)")
    return shape
