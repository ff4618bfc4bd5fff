"""What a network's file says of itself, read without running it."""

import ast
from pathlib import Path
from typing import Any

from domain.errors import InputError

_QUANTISED_OPERATIONS = {"QuantizeLinear", "DequantizeLinear", "QLinearConv", "ConvInteger"}


def read_onnx(path: Path) -> Any:
    """The parsed ONNX model.

    Raises:
        InputError: the file does not hold one.
    """
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        model = onnx.load(str(path), load_external_data=False)
    except DecodeError as error:
        raise InputError(f"model file {path}: not an ONNX network, or cut short") from error
    if not model.graph.input or not model.graph.output:
        raise InputError(f"model file {path}: an ONNX network without input or output")
    return model


def onnx_names(model: Any) -> tuple[str, ...]:
    """The class names in the metadata: our exports' `roles`, or Ultralytics' `names`."""
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    if "roles" in metadata:
        return tuple(metadata["roles"].split(","))
    return _literal(metadata.get("names", ""))


def _literal(text: str) -> tuple[str, ...]:
    """`{0: 'player', 1: 'ball'}` or `['player', 'ball']` as a tuple; empty where it is neither."""
    try:
        names = ast.literal_eval(text) if text else ()
    except (ValueError, SyntaxError):
        return ()
    if isinstance(names, dict):
        names = [names[index] for index in sorted(names)]
    return tuple(str(name) for name in names) if isinstance(names, list | tuple) else ()


def is_quantised(path: Path) -> bool:
    """Whether the network in `path` was quantised to 8-bit integers before."""
    if path.suffix.lower() == ".onnx":
        return any(node.op_type in _QUANTISED_OPERATIONS for node in read_onnx(path).graph.node)
    return path.suffix.lower() == ".xml" and b'type="FakeQuantize"' in path.read_bytes()
