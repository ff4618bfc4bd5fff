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
from infrastructure.inference.metadata import size_in
from infrastructure.inference.network_file import read_onnx

DEFAULT_SIZE = (736, 1280)
"""Height and width for networks that do not say theirs: a 16:9 frame at the default image size."""


def read_source(path: Path, size: tuple[int, int] | None) -> Any:
    """The network in a `.onnx` file, or in an Ultralytics `.pt` file for images of `size`.

    Its weights are float32; those that are stored as float16 are widened. Weights in files of
    their own are read with it.

    Raises:
        InputError: no such file, or not such a network.
    """
    if not path.is_file():
        raise InputError(f"model file {path}: not found")
    if path.suffix.lower() == ".onnx":
        model = _with_weights(read_onnx(path), path)
        _dimensions(model)
        return widened(model)
    if path.suffix.lower() != ".pt":
        raise InputError(f"model file {path}: expected .onnx or .pt")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with tempfile.TemporaryDirectory() as folder:
        return read_onnx(exported(path, digest, size or DEFAULT_SIZE, Path(folder)))


def _with_weights(model: Any, path: Path) -> Any:
    """`model` with the weights that lie beside its file, in files that it names."""
    try:
        onnx.load_external_data_for_model(model, str(path.parent))
    except Exception as error:  # a missing, short or forbidden file: nothing common but Exception
        said = str(error).strip().partition("\n")[0]
        raise InputError(f"model file {path}: its weights lie elsewhere: {said}") from error
    return model


def widened(model: Any) -> Any:
    """`model` with each weight that is stored as float16 and cast to float32 stored as float32."""
    stored = {t.name: t for t in model.graph.initializer if t.data_type == TensorProto.FLOAT16}
    outputs = {output.name for output in model.graph.output}
    kept, wide = [], []
    for node in model.graph.node:
        if _widens(node) and node.input[0] in stored and node.output[0] not in outputs:
            values = numpy_helper.to_array(stored[node.input[0]]).astype(np.float32)
            wide.append(numpy_helper.from_array(values, node.output[0]))
        else:
            kept.append(node)
    del model.graph.node[:]
    model.graph.node.extend(kept)
    used = _read_in(model.graph) | outputs
    others = [t for t in model.graph.initializer if t.name not in stored or t.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(others + wide)
    return model


def _widens(node: Any) -> bool:
    return node.op_type == "Cast" and any(
        attribute.name == "to" and attribute.i == TensorProto.FLOAT for attribute in node.attribute
    )


def _read_in(graph: Any) -> set[str]:
    """The names that the nodes of a graph read, within their branches and loops too."""
    found = {name for node in graph.node for name in node.input}
    for node in graph.node:
        for attribute in node.attribute:
            found |= _read_in(attribute.g) if attribute.HasField("g") else set()
    return found


def metadata_of(model: Any) -> dict[str, str]:
    """What the file says of itself, by key."""
    return {entry.key: entry.value for entry in model.metadata_props}


def size_of(model: Any, asked: tuple[int, int] | None = None) -> tuple[int, int]:
    """Height and width of the images to write the network for.

    What the network fixes, else what is `asked`, else what its metadata names, else a default.

    Raises:
        InputError: the network is fixed to another size than is asked.
    """
    fixed = [side.dim_value for side in _dimensions(model)[2:]]
    size = asked or size_in(metadata_of(model)) or DEFAULT_SIZE
    height, width = (own or side for own, side in zip(fixed, size, strict=True))
    if asked and asked != (height, width):
        raise InputError(
            f"--size {asked[1]}x{asked[0]}: the network takes pictures of {width}x{height} alone"
        )
    return height, width


def takes_any_size(model: Any) -> bool:
    """Whether the file leaves height and width open."""
    return not any(side.dim_value for side in _dimensions(model)[2:])


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
    tensor = model.graph.input[0].type.tensor_type
    sides = [
        side.dim_value or wanted for side, wanted in zip(tensor.shape.dim, (1, 3), strict=False)
    ]
    if (
        len(model.graph.input) != 1
        or tensor.elem_type != TensorProto.FLOAT
        or len(tensor.shape.dim) != 4
        or sides != [1, 3]
    ):
        raise InputError("expected a network with one float32 input (1, 3, height, width)")
    return tensor.shape.dim
