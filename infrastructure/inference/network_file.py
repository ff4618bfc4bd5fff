"""What a network's file says of itself, read without running it."""

import ast
import json
import zipfile
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


def facts_of(path: Path) -> dict[str, Any]:
    """The JSON inside a TorchScript file or before a TensorRT engine; empty without it.

    The form is Ultralytics' for both; ours have the same keys.

    Raises:
        InputError: the file is broken.
    """
    try:
        text = (
            _script_text(path) if path.suffix.lower() == ".torchscript" else engine_parts(path)[0]
        )
        found = json.loads(text) if text else {}
    except (zipfile.BadZipFile, ValueError) as error:
        raise InputError(f"model file {path}: not such a network, or cut short") from error
    return found if isinstance(found, dict) else {}


def engine_parts(path: Path) -> tuple[bytes, bytes]:
    """The JSON and the engine in a `.engine` file: four bytes of length stand before the JSON."""
    content = path.read_bytes()
    end = 4 + int.from_bytes(content[:4], "little")
    if len(content) <= end or content[4:5] != b"{":
        return b"", content  # an engine alone
    return content[4:end], content[end:]


def _script_text(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        found = [name for name in archive.namelist() if name.endswith("extra/config.txt")]
        return archive.read(found[0]) if found else b""


def names_and_size(path: Path) -> tuple[tuple[str, ...], tuple[int | None, int | None]]:
    """Class names, and the height and width that are fixed, of a TorchScript or engine file."""
    facts = facts_of(path)
    names, size = facts.get("names", {}), facts.get("imgsz")
    ordered = [names[key] for key in sorted(names, key=int)] if isinstance(names, dict) else names
    fixed = (int(size[0]), int(size[1])) if isinstance(size, list) and len(size) == 2 else None
    return tuple(str(name) for name in ordered), fixed or (None, None)


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
