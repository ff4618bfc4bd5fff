"""ONNX to TorchScript: the graph is carried out once, node by node, in torch, and recorded.

Operators: https://onnx.ai/onnx/operators/. The graph must be settled (`source.settled`): for one
size, with everything that follows from it already worked out.
"""

import json
import warnings
from collections.abc import Callable, Collection, Sequence
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

LEAST_OPSET = 13
"""Softmax, Split, Squeeze and others meant something else before."""

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
        version = next((entry.version for entry in model.opset_import if not entry.domain), 0)
        if version < LEAST_OPSET:
            raise InputError(f"TorchScript: opset {version} is not translated, {LEAST_OPSET} is")
        self._steps = [_Step(node, version) for node in graph.node]
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
    def __init__(self, node: Any, version: int) -> None:
        self._type = node.op_type
        if node.op_type not in OPERATORS or node.domain:
            raise InputError(f"TorchScript: the operator {node.op_type} is not translated")
        self._operator, _ = OPERATORS[node.op_type]
        self._inputs, self._outputs = list(node.input), list(node.output)
        if node.op_type != "Split" and len(self._outputs) > 1:
            raise InputError(f"TorchScript: {node.op_type} with two outputs is not translated")
        self._attributes = {"num_outputs": len(self._outputs), **_attributes(node, version)}

    def run(self, values: dict[str, Tensor]) -> None:
        inputs = [values[name] if name else None for name in self._inputs]
        try:
            made = self._operator(self._attributes, *inputs)
            parts = made if isinstance(made, tuple) else (made,)
            values.update(zip(self._outputs, parts, strict=True))
        except (RuntimeError, TypeError, ValueError, IndexError) as error:
            said = str(error).strip().partition("\n")[0]
            raise InputError(f"TorchScript: {self._type} is not translated here: {said}") from error


def _attributes(node: Any, version: int) -> _Attributes:
    """What the node says, over ONNX's defaults; an attribute that is not looked at is refused."""
    value = onnx.helper.get_attribute_value
    try:
        defined = onnx.defs.get_schema(node.op_type, version).attributes
    except onnx.defs.SchemaError as error:
        raise InputError(f"TorchScript: opset {version} has no {node.op_type}") from error
    usual = {n: value(a.default_value) for n, a in defined.items() if a.default_value.name}
    given = {attribute.name: value(attribute) for attribute in node.attribute}
    _, known = OPERATORS[node.op_type]
    for name, said in given.items():
        if name not in known and said != usual.get(name):
            raise InputError(f"TorchScript: {node.op_type} with {name}={said} is not translated")
    return {**usual, **given}


def _convolve(given: _Attributes, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return functional.conv2d(
        x, weight, bias, _pair(given, "strides"), _padding(given), _pair(given, "dilations"),
        given["group"],
    )  # fmt: skip


def _pair(given: _Attributes, name: str) -> list[int]:
    """One number for rows and one for columns, which ONNX takes as 1 where it is left out."""
    return list(given.get(name) or (1, 1))


def _window(given: _Attributes) -> list[int]:
    """A pool's height and width."""
    window = list(given["kernel_shape"])
    if len(window) != 2:
        raise InputError(f"TorchScript: pools are translated for pictures alone, not {window}")
    return window


def _padding(given: _Attributes) -> list[int]:
    """Rows and columns added on each side, which must be as many before as after."""
    if given["auto_pad"] == b"VALID":
        return [0, 0]
    if given["auto_pad"] != b"NOTSET":
        raise InputError(f"TorchScript: auto_pad={given['auto_pad'].decode()} is not translated")
    pads = list(given.get("pads") or (0, 0, 0, 0))
    if pads[:2] != pads[2:]:
        raise InputError(f"TorchScript: uneven padding {pads} is not translated")
    return pads[:2]


def _max_pool(given: _Attributes, x: Tensor) -> Tensor:
    return functional.max_pool2d(
        x, _window(given), _pair(given, "strides"), _padding(given),
        _pair(given, "dilations"), bool(given["ceil_mode"]),
    )  # fmt: skip


def _average_pool(given: _Attributes, x: Tensor) -> Tensor:
    counted = bool(given["count_include_pad"])
    if _pair(given, "dilations") != [1, 1]:
        raise InputError("TorchScript: AveragePool with dilations is not translated")
    return functional.avg_pool2d(
        x, _window(given), _pair(given, "strides"), _padding(given),
        count_include_pad=counted,
    )  # fmt: skip


def _slice(
    _: _Attributes,
    x: Tensor,
    start: Tensor,
    end: Tensor,
    axes: Tensor | None = None,
    steps: Tensor | None = None,
) -> Tensor:
    places = [slice(None)] * x.dim()
    along = list(range(len(start))) if axes is None else axes.tolist()
    jumps = [1] * len(along) if steps is None else steps.tolist()
    for axis, low, high, jump in zip(along, start.tolist(), end.tolist(), jumps, strict=True):
        places[axis] = slice(low, high, jump)
    return x[tuple(places)]


def _reshape(given: _Attributes, x: Tensor, shape: Tensor) -> Tensor:
    if given.get("allowzero"):
        return x.reshape(shape.tolist())
    # a zero keeps the input's side
    return x.reshape([side or x.shape[at] for at, side in enumerate(shape.tolist())])


def _resize(
    given: _Attributes, x: Tensor, _: Any, scales: Tensor | None = None, sizes: Tensor | None = None
) -> Tensor:
    nearest = (b"nearest", b"asymmetric", b"floor")
    keys = ("mode", "coordinate_transformation_mode", "nearest_mode")
    if tuple(given[key] for key in keys) != nearest:
        raise InputError("TorchScript: Resize is translated for the nearest pixel alone")
    shape = torch.tensor(x.shape)
    if sizes is not None:
        scales = sizes / shape
    else:
        assert scales is not None
        sizes = (shape * scales).long()
    if x.dim() != 4 or scales[:2].tolist() != [1, 1]:
        raise InputError("TorchScript: Resize is translated for height and width alone")
    # not `interpolate`: it multiplies by the inverse, and so takes a neighbour here and there
    for axis in (3, 2):
        places = (torch.arange(int(sizes[axis])) / scales[axis]).long()
        x = x.index_select(axis, places.clamp(max=x.shape[axis] - 1))
    return x


def _gemm(given: _Attributes, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    left = x.t() if given["transA"] else x
    right = weight.t() if given["transB"] else weight
    product = given["alpha"] * (left @ right)
    return product if bias is None else product + given["beta"] * bias


def _normalise(given: _Attributes, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    shape = x.shape[given["axis"] :]
    shift = None if bias is None else bias.expand(shape)
    return functional.layer_norm(x, shape, weight.expand(shape), shift, given["epsilon"])


def _squeeze(_: _Attributes, x: Tensor, axes: Tensor | None = None) -> Tensor:
    return x.squeeze() if axes is None else x.squeeze(axes.tolist())


def _unsqueeze(_: _Attributes, x: Tensor, axes: Tensor) -> Tensor:
    sides = x.dim() + len(axes)  # a negative axis counts from the end of the result
    for axis in sorted(axis % sides for axis in axes.tolist()):
        x = x.unsqueeze(axis)
    return x


def _split(given: _Attributes, x: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, ...]:
    axis = given["axis"]
    if lengths is not None:
        return tuple(x.split(lengths.tolist(), axis))
    return tuple(x.split(-(-x.shape[axis] // given["num_outputs"]), axis))  # the last is smaller


def _mean(given: _Attributes, x: Tensor, axes: Tensor | None = None) -> Tensor:
    """`axes` is an attribute before opset 18, an input from then on; without it, all are meant."""
    along = given.get("axes") if axes is None else axes.tolist()
    return x.mean(along or list(range(x.dim())), bool(given["keepdims"]))


def _argmax(given: _Attributes, x: Tensor) -> Tensor:
    return x.argmax(given["axis"], bool(given["keepdims"]))


def _concat(given: _Attributes, *parts: Tensor) -> Tensor:
    return torch.cat(parts, given["axis"])


def _plain(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """An operator without attributes."""
    return lambda _, *inputs: function(*inputs)


def _divide(_: _Attributes, x: Tensor, y: Tensor) -> Tensor:
    return torch.div(x, y, rounding_mode=None if x.is_floating_point() else "trunc")


def _clip(_: _Attributes, x: Tensor, low: Tensor | None = None, high: Any = None) -> Tensor:
    return x if low is None and high is None else x.clamp(low, high)


def _softmax(given: _Attributes, x: Tensor) -> Tensor:
    return torch.softmax(x, given["axis"])


def _gather_elements(given: _Attributes, x: Tensor, index: Tensor) -> Tensor:
    axis = given["axis"]
    # a negative place counts from the end
    return x.gather(axis, torch.where(index < 0, index + x.shape[axis], index))


def _transpose(given: _Attributes, x: Tensor) -> Tensor:
    order: Sequence[int] = given.get("perm") or range(x.dim())[::-1]
    return x.permute(*order)


_POOLED = {"auto_pad", "dilations", "kernel_shape", "pads", "strides"}
_OF_OTHER_MODES = {"cubic_coeff_a", "exclude_outside", "extrapolation_value"}
OPERATORS: dict[str, tuple[Callable[..., Any], Collection[str]]] = {
    "Add": (_plain(torch.add), ()),
    "ArgMax": (_argmax, {"axis", "keepdims"}),
    "AveragePool": (_average_pool, _POOLED | {"count_include_pad"}),
    "Clip": (_clip, ()),
    "Concat": (_concat, {"axis"}),
    "Conv": (_convolve, _POOLED | {"group"}),
    "Div": (_divide, ()),
    "Erf": (_plain(torch.erf), ()),
    "GatherElements": (_gather_elements, {"axis"}),
    "Gemm": (_gemm, {"alpha", "beta", "transA", "transB"}),
    "LayerNormalization": (_normalise, {"axis", "epsilon"}),
    "MatMul": (_plain(torch.matmul), ()),
    "MaxPool": (_max_pool, _POOLED | {"ceil_mode"}),
    "Mul": (_plain(torch.mul), ()),
    "ReduceMean": (_mean, {"axes", "keepdims"}),
    "Relu": (_plain(torch.relu), ()),
    "Reshape": (_reshape, {"allowzero"}),
    "Resize": (
        _resize,
        {"coordinate_transformation_mode", "mode", "nearest_mode"} | _OF_OTHER_MODES,
    ),
    "Sigmoid": (_plain(torch.sigmoid), ()),
    "Slice": (_slice, ()),
    "Softmax": (_softmax, {"axis"}),
    "Split": (_split, {"axis", "num_outputs"}),
    "Squeeze": (_squeeze, ()),
    "Sub": (_plain(torch.sub), ()),
    "Transpose": (_transpose, {"perm"}),
    "Unsqueeze": (_unsqueeze, ()),
}
"""Each operator and the attributes that it looks at."""
