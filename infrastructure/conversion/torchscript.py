"""ONNX to TorchScript: the graph is carried out once, node by node, in torch, and recorded.

Operators: https://onnx.ai/onnx/operators/. The graph must be settled (`source.settled`): for one
size, with everything that follows from it already worked out.
"""

import json
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import onnx
import torch
import torch.nn.functional as functional
from onnx import numpy_helper
from torch import Tensor, nn

from domain.errors import InputError

METADATA_FILE = "config.txt"
"""Where Ultralytics keeps its metadata in such a file too."""

_Attributes = dict[str, Any]


def write_torchscript(model: Any, metadata: dict[str, Any], path: Path) -> None:
    """Write the settled ONNX `model` as TorchScript, `metadata` as JSON inside.

    Raises:
        InputError: the network has an operator, or a form of one, that is not translated.
    """
    graph = Graph(model).eval()
    shape = [side.dim_value for side in model.graph.input[0].type.tensor_type.shape.dim]
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # tracing is deprecated and warns of recorded constants
        traced = torch.jit.freeze(torch.jit.trace(graph, torch.zeros(shape), check_trace=False))
        torch.jit.save(traced, str(path), _extra_files={METADATA_FILE: json.dumps(metadata)})


class Graph(nn.Module):  # type: ignore[misc]
    """Carries out an ONNX graph in torch."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        graph = model.graph
        self._steps = [_Step(node) for node in graph.node]
        self._names = (graph.input[0].name, [output.name for output in graph.output])
        self._fixed = {
            tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).copy())
            for tensor in graph.initializer
        }

    def forward(self, images: Tensor) -> Any:
        """The network's output, or a tuple of them, for `images` (1, 3, h, w) in 0..1."""
        values = {**self._fixed, self._names[0]: images}
        for step in self._steps:
            step.run(values)
        outputs = tuple(values[name] for name in self._names[1])
        return outputs[0] if len(outputs) == 1 else outputs


class _Step:
    def __init__(self, node: Any) -> None:
        if node.op_type not in _OPERATORS or node.domain:
            raise InputError(f"TorchScript: the operator {node.op_type} is not translated")
        self._operator = _OPERATORS[node.op_type]
        self._inputs, self._outputs = list(node.input), list(node.output)
        self._attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}

    def run(self, values: dict[str, Tensor]) -> None:
        inputs = [values[name] if name else None for name in self._inputs]
        made = self._operator(self._attributes, *inputs)
        parts = made if isinstance(made, tuple) else (made,)
        values.update(zip(self._outputs, parts, strict=True))


def _convolve(given: _Attributes, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return functional.conv2d(
        x, weight, bias, given["strides"], _padding(given), given["dilations"], given["group"]
    )


def _padding(given: _Attributes) -> list[int]:
    """Rows and columns added on each side, which must be as many before as after."""
    pads = list(given.get("pads", (0, 0, 0, 0)))
    if pads[:2] != pads[2:] or given.get("auto_pad", b"NOTSET") != b"NOTSET":
        raise InputError(f"TorchScript: uneven padding {pads} is not translated")
    return pads[:2]


def _max_pool(given: _Attributes, x: Tensor) -> Tensor:
    return functional.max_pool2d(x, given["kernel_shape"], given["strides"], _padding(given))


def _average_pool(given: _Attributes, x: Tensor) -> Tensor:
    counted = bool(given.get("count_include_pad", 0))
    return functional.avg_pool2d(
        x, given["kernel_shape"], given["strides"], _padding(given), count_include_pad=counted
    )


def _slice(
    _: _Attributes, x: Tensor, start: Tensor, end: Tensor, axes: Tensor, steps: Tensor | None = None
) -> Tensor:
    places = [slice(None)] * x.dim()
    jumps = [1] * len(axes) if steps is None else steps.tolist()
    for axis, low, high, jump in zip(
        axes.tolist(), start.tolist(), end.tolist(), jumps, strict=True
    ):
        places[axis] = slice(low, high, jump)
    return x[tuple(places)]


def _reshape(_: _Attributes, x: Tensor, shape: Tensor) -> Tensor:
    # a zero keeps the input's side
    return x.reshape([side or x.shape[at] for at, side in enumerate(shape.tolist())])


def _resize(
    given: _Attributes, x: Tensor, _: Any, scales: Tensor | None = None, sizes: Tensor | None = None
) -> Tensor:
    nearest = (b"nearest", b"asymmetric", b"floor")
    keys = ("mode", "coordinate_transformation_mode", "nearest_mode")
    if tuple(given.get(key) for key in keys) != nearest:
        raise InputError("TorchScript: Resize is translated for the nearest pixel alone")
    if sizes is not None:
        return functional.interpolate(x, size=sizes.tolist()[2:], mode="nearest")
    assert scales is not None
    return functional.interpolate(x, scale_factor=scales.tolist()[2:], mode="nearest")


def _gemm(given: _Attributes, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    left = x.t() if given.get("transA") else x
    right = weight.t() if given.get("transB") else weight
    return given["alpha"] * (left @ right) + given["beta"] * bias


def _normalise(given: _Attributes, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return functional.layer_norm(x, weight.shape, weight, bias, given["epsilon"])


def _squeeze(_: _Attributes, x: Tensor, axes: Tensor) -> Tensor:
    return x.squeeze(axes.tolist())


def _unsqueeze(_: _Attributes, x: Tensor, axes: Tensor) -> Tensor:
    for axis in sorted(axes.tolist()):
        x = x.unsqueeze(axis)
    return x


def _split(given: _Attributes, x: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
    return tuple(x.split(lengths.tolist(), given.get("axis", 0)))


def _mean(given: _Attributes, x: Tensor) -> Tensor:
    return x.mean(given["axes"], bool(given.get("keepdims", 1)))


def _argmax(given: _Attributes, x: Tensor) -> Tensor:
    return x.argmax(given["axis"], bool(given.get("keepdims", 1)))


def _concat(given: _Attributes, *parts: Tensor) -> Tensor:
    return torch.cat(parts, given["axis"])


def _plain(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """An operator without attributes."""
    return lambda _, *inputs: function(*inputs)


def _clip(_: _Attributes, x: Tensor, *limits: Tensor) -> Tensor:
    return x.clamp(*limits)


def _axis(function: Callable[[Tensor, int], Tensor], usual: int) -> Callable[..., Tensor]:
    """An operator along one axis."""
    return lambda given, x: function(x, given.get("axis", usual))


def _gather_elements(given: _Attributes, x: Tensor, index: Tensor) -> Tensor:
    return x.gather(given.get("axis", 0), index)


def _transpose(given: _Attributes, x: Tensor) -> Tensor:
    order: Sequence[int] = given["perm"]
    return x.permute(*order)


_OPERATORS: dict[str, Callable[..., Any]] = {
    "Add": _plain(torch.add),
    "ArgMax": _argmax,
    "AveragePool": _average_pool,
    "Clip": _clip,
    "Concat": _concat,
    "Conv": _convolve,
    "Div": _plain(torch.div),
    "Erf": _plain(torch.erf),
    "GatherElements": _gather_elements,
    "Gemm": _gemm,
    "LayerNormalization": _normalise,
    "MatMul": _plain(torch.matmul),
    "MaxPool": _max_pool,
    "Mul": _plain(torch.mul),
    "ReduceMean": _mean,
    "Relu": _plain(torch.relu),
    "Reshape": _reshape,
    "Resize": _resize,
    "Sigmoid": _plain(torch.sigmoid),
    "Slice": _slice,
    "Softmax": _axis(torch.softmax, -1),
    "Split": _split,
    "Squeeze": _squeeze,
    "Sub": _plain(torch.sub),
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
