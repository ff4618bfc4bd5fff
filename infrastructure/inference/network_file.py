"""What a network's file says of itself, read without running it."""

import json
import re
import zipfile
import zlib
from pathlib import Path
from typing import Any

from domain.errors import InputError
from infrastructure.inference.metadata import names_in, size_in

_QUANTISED_OPERATIONS = {"QuantizeLinear", "DequantizeLinear", "QLinearConv", "ConvInteger"}
_XML_SHAPE = re.compile(rb'type="Parameter".*?\bshape="([^"]*)"', re.DOTALL)
"""The shape of an OpenVINO network's input, as `?,3,384,640`: a side left open is no number."""


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


def onnx_names(model: Any, path: Path) -> tuple[str, ...]:
    """The class names in the metadata of the ONNX model from `path`; empty without them.

    Raises:
        InputError: there is something else under their key.
    """
    try:
        return names_in({entry.key: entry.value for entry in model.metadata_props})
    except InputError as error:
        raise InputError(f"model file {path}: {error}") from error


def is_of_one_size(path: Path) -> bool:
    """Whether the network in `path` takes images of one size alone.

    A `.pt` takes any; a `.torchscript` was recorded, an `.engine` built, for one.

    Raises:
        InputError: the file is broken.
    """
    suffix = path.suffix.lower()
    if suffix == ".onnx":
        sides = read_onnx(path).graph.input[0].type.tensor_type.shape.dim[2:4]
        return any(side.dim_value > 0 for side in sides)
    if suffix == ".xml":
        found = _XML_SHAPE.search(path.read_bytes())
        return found is None or any(side.strip().isdigit() for side in found[1].split(b",")[2:4])
    return suffix != ".pt"


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
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError) as error:
        # RuntimeError: encrypted, packed in an unknown way, or JSON nested too deep
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
    """Class names, and the height and width that are fixed, of a TorchScript or engine file.

    Raises:
        InputError: the file is broken, or says something odd under these keys.
    """
    facts = facts_of(path)
    try:
        return names_in(facts), size_in(facts) or (None, None)
    except InputError as error:
        raise InputError(f"model file {path}: {error}") from error


def is_quantised(path: Path) -> bool:
    """Whether the network in `path` was quantised to 8-bit integers before."""
    if path.suffix.lower() == ".onnx":
        return computes_in_integers(read_onnx(path))
    return path.suffix.lower() == ".xml" and b'type="FakeQuantize"' in path.read_bytes()


def computes_in_integers(model: Any) -> bool:
    """Whether an ONNX model was quantised before."""
    return any(node.op_type in _QUANTISED_OPERATIONS for node in model.graph.node)
