"""To 8-bit integers: convolutions alone, with ranges measured on pictures.

Weights are rounded for each output channel, activations for each tensor (Jacob et al., 2018,
https://arxiv.org/abs/1712.05877), as QuantizeLinear and DequantizeLinear, which ONNX Runtime and
OpenVINO both compute in integers.
"""

import logging
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray

from domain.errors import FootAnalyticsError, InputError
from infrastructure.inference.network_file import computes_in_integers
from stages.images import letterbox

MOST_PICTURES = 64
LEAST_OPSET = 13
"""From here on a weight is rounded for each output channel."""
FIRST_IN_FLOAT = 3
"""Convolutions at the picture that stay in float: with them the scores err half as much, at an
eighth more time (docs/notes/inference.md)."""
_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp"}


def quantised(model: Any, images: Path, size: tuple[int, int]) -> Any:
    """`model` with its convolutions in integers, but the first and the last ones.

    Args:
        images: a folder; its first 64 pictures by name are looked at.
        size: height and width at which they are, which the network must take.

    Raises:
        InputError: the folder holds no picture, or the network cannot be quantised.
    """
    pictures = _pictures(images)
    _refuse(model)
    name_nodes(model)
    kept = kept_in_float(model)
    if not any(node.op_type == "Conv" and node.name not in kept for node in model.graph.node):
        raise InputError(
            "nothing to quantise: the first three convolutions and the last ones stay in float"
        )
    with tempfile.TemporaryDirectory() as folder, _without_advice():
        plain, made = Path(folder) / "plain.onnx", Path(folder) / "made.onnx"
        onnx.save(model, str(plain))
        _measure_and_round(plain, made, _Reader(model.graph.input[0].name, pictures, size), kept)
        result = onnx.load(str(made))
    if not computes_in_integers(result):
        raise InputError("ONNX Runtime quantised nothing of this network")
    onnx.helper.set_model_props(result, {e.key: e.value for e in model.metadata_props})
    return result


def _refuse(model: Any) -> None:
    if computes_in_integers(model):
        raise InputError("the network is quantised already")
    version = next((entry.version for entry in model.opset_import if not entry.domain), 0)
    if version < LEAST_OPSET:
        raise InputError(f"int8 takes networks of opset {LEAST_OPSET} and later, not {version}")


def _measure_and_round(plain: Path, made: Path, reader: "_Reader", kept: list[str]) -> None:
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    try:
        quantize_static(
            str(plain),
            str(made),
            reader,
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=kept,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
    except FootAnalyticsError:
        raise
    except Exception as error:  # ONNX Runtime's have no common base but Exception
        said = str(error).strip().partition("\n")[0]
        raise InputError(f"ONNX Runtime cannot quantise this network: {said}") from error


def name_nodes(model: Any) -> None:
    """Give each node a name of its own: what stays in float is told by name."""
    taken = Counter(node.name for node in model.graph.node)
    for index, node in enumerate(model.graph.node):
        if not node.name or taken[node.name] > 1:
            node.name = f"{node.op_type}#{index}"


def kept_in_float(model: Any) -> list[str]:
    """Names of the first three convolutions, and of those that give places and scores."""
    convolutions = [node.name for node in model.graph.node if node.op_type == "Conv"]
    return sorted({*convolutions[:FIRST_IN_FLOAT], *last_convolutions(model)})


def last_convolutions(model: Any) -> list[str]:
    """The convolutions from which an output is reached without another: places and scores."""
    makers = {name: node for node in model.graph.node for name in node.output}
    waiting, seen, found = [output.name for output in model.graph.output], set[str](), []
    while waiting:
        name = waiting.pop()
        if name in seen or name not in makers:
            continue
        seen.add(name)
        node = makers[name]
        if node.op_type == "Conv":
            found.append(node.name)
        else:
            waiting.extend(node.input)
    return sorted(set(found))


@contextmanager
def _without_advice() -> Iterator[None]:
    """ONNX Runtime advises folding norms first, on the root logger; ours are folded."""
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(before)


class _Reader:
    """Hands the pictures to ONNX Runtime, one at a time."""

    def __init__(self, name: str, pictures: list[Path], size: tuple[int, int]) -> None:
        self._blobs = _blobs(pictures, size)
        self._name = name

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """The next input, or None after the last."""
        blob = next(self._blobs, None)
        return None if blob is None else {self._name: blob}


def _pictures(folder: Path) -> list[Path]:
    found = sorted(p for p in folder.glob("*") if p.suffix.lower() in _SUFFIXES)
    if not found:
        raise InputError(f"--calibration-images {folder}: no .jpg, .png or .bmp pictures in it")
    return found[:MOST_PICTURES]


def _blobs(pictures: list[Path], size: tuple[int, int]) -> Iterator[NDArray[np.float32]]:
    for path in pictures:
        image = cv2.imread(str(path))
        if image is None:
            raise InputError(f"{path}: not a picture")
        canvas = letterbox(np.asarray(image, np.uint8), *size)[0]
        yield np.asarray(cv2.dnn.blobFromImage(canvas, 1 / 255, swapRB=True), np.float32)
