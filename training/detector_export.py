"""From trained weights to the ONNX file that ships: half-size storage, metadata inside.

Weights are stored as float16 with a cast to float32 before use, which runtimes fold when they
load the file: half the size, computed in float32 (or what the runtime is asked for).
"""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from training.detector_data import ROLES
from training.detector_network import give_roles, untrained
from training.detector_score import INPUT_HEIGHT, INPUT_WIDTH

LICENCE = "AGPL-3.0"
ATTRIBUTION = (
    "Started from YOLOv8n COCO weights by Ultralytics (AGPL-3.0). Trained on {sets} "
    "(Roboflow Universe, CC BY 4.0; pixels from the DFL Bundesliga Data Shootout{more})."
)


def averaged_weights(checkpoint: Path) -> tuple[dict[str, torch.Tensor], str]:
    """Averaged weights and recipe, from a checkpoint or from the file that a run ends with."""
    state: dict[str, Any] = torch.load(checkpoint, map_location="cpu", weights_only=True)
    return state["average"], state.get("recipe", "")


def load_detector(checkpoint: Path) -> nn.Module:
    """The detector with a run's averaged weights, in evaluation mode."""
    model = give_roles(untrained())
    model.load_state_dict(averaged_weights(checkpoint)[0])
    return model.eval()


class RawDetector(nn.Module):  # type: ignore[misc]
    """A detector that returns its decoded boxes alone, (n, 4 + roles, anchors)."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model.eval()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Boxes as centre x, centre y, width, height in input pixels, then a score a role."""
        return self.model(images)[0]


def export(checkpoint: Path, path: Path) -> Path:
    """Write the detector as ONNX: `images` (n, 3, h, w) to `output` (n, 8, anchors).

    Height and width are multiples of 32.
    """
    model = load_detector(checkpoint)
    model.model[-1].dynamic = True
    metadata = {
        "roles": ",".join(ROLES),
        "input_size": f"{INPUT_HEIGHT}x{INPUT_WIDTH}",
        "recipe_sha256": averaged_weights(checkpoint)[1],
        "license": LICENCE,
        "attribution": ATTRIBUTION.format(
            sets="football-players-detection, football-ball-detection and, with boxes of our own, "
            "football-field-detection and soccer-field-localization",
            more=" and World Cup 2022 broadcasts",
        ),
    }
    example = torch.zeros(1, 3, INPUT_HEIGHT, INPUT_WIDTH)
    axes = {"images": {0: "batch", 2: "height", 3: "width"}, "output": {0: "batch", 2: "anchors"}}
    return write_onnx(RawDetector(model), example, path, ["output"], axes, metadata)


def write_onnx(
    model: nn.Module,
    example: torch.Tensor,
    path: Path,
    outputs: Sequence[str],
    axes: Mapping[str, Mapping[int, str]],
    metadata: Mapping[str, str],
) -> Path:
    """Trace `model` on `example`, halve its weights, add the metadata, and write it to `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model, (example,), str(temporary), input_names=["images"], output_names=list(outputs),
            dynamic_axes=dict(axes), opset_version=17, dynamo=False,
        )  # fmt: skip
    graph = onnx.load(str(temporary))
    halve_weights(graph)
    for key, value in metadata.items():
        graph.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(graph)
    onnx.save(graph, str(temporary))
    return temporary.replace(path)


def halve_weights(model: onnx.ModelProto, least: int = 1024) -> None:
    """Store each float32 weight of `least` values or more as float16, cast back before use."""
    graph = model.graph
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < least:
            continue
        name = tensor.name
        half = numpy_helper.to_array(tensor).astype(np.float16)
        tensor.CopyFrom(numpy_helper.from_array(half, f"{name}_half"))
        casts.append(helper.make_node("Cast", [f"{name}_half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
