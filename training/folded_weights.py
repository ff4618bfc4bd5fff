"""The weights inside an exported network, by the names that they have in the training's network.

Exporting folds each batch norm into its convolution and renames both; the graph's nodes still say
which module they come from.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import numpy_helper

from domain.errors import InputError

WRAPPERS = ("model.", "network.")
"""How names begin in the module that is exported, in which the network is one part."""


def read_folded(path: Path) -> dict[str, npt.NDArray[np.float32]]:
    """Weights and biases of an ONNX file that `footanalytics train` wrote, by module, norms folded.

    Raises:
        InputError: the file is not an ONNX network.
    """
    try:
        graph = onnx.load(str(path)).graph
    except (OSError, DecodeError) as error:
        raise InputError(f"{path}: not an ONNX network") from error
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in graph.node:  # weights stored as float16 are cast before use
        if node.op_type == "Cast" and node.input[0] in held:
            held[node.output[0]] = held[node.input[0]]
    found = {
        name.partition(".")[2]: values
        for name, values in held.items()
        if name.startswith(WRAPPERS) and not name.endswith("_half")
    }
    found |= {name: values for node in graph.node for name, values in _of_node(node, held)}
    return {name: values.astype(np.float32) for name, values in found.items()}


def _of_node(
    node: onnx.NodeProto, held: dict[str, npt.NDArray[np.generic]]
) -> Iterator[tuple[str, npt.NDArray[np.generic]]]:
    """Weight and bias of one convolution, or the weight of one linear layer."""
    if node.op_type not in ("Conv", "MatMul", "Gemm") or node.input[1] not in held:
        return
    module = _module(node.name)
    weight = held[node.input[1]]
    # a linear layer without its bias is a product with the transposed weight; Gemm transposes it
    yield f"{module}.weight", weight.T if node.op_type == "MatMul" else weight
    if node.op_type == "Conv" and len(node.input) > 2:
        yield f"{module}.bias", held[node.input[2]]


def _module(node: str) -> str:
    """The module of a node: `/model/model.22/cv2.0/cv2.0.0/conv/Conv` is `model.22.cv2.0.0.conv`.

    A sequence's name stands again before its number, and the first part is the wrapper's.
    """
    parts = node.strip("/").split("/")[1:-1]
    after = [*parts[1:], ""]
    return ".".join(p for p, n in zip(parts, after, strict=True) if not n.startswith(f"{p}."))
