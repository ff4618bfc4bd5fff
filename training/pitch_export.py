"""From trained weights to the pitch model that ships: one ONNX file with its decoding inside."""

from pathlib import Path

import torch

from training.detector_export import (
    ATTRIBUTION,
    LICENCE,
    averaged_weights,
    write_onnx,
)
from training.detector_network import untrained
from training.pitch_network import (
    INPUT_HEIGHT,
    INPUT_WIDTH,
    POINT_COUNT,
    ExportedPitchNetwork,
    PitchNetwork,
)

LINE_NAMES = (
    "far_touchline", "near_touchline", "left_goal_line", "right_goal_line", "halfway_line",
    "left_penalty_area", "right_penalty_area", "left_goal_area", "right_goal_area",
    "centre_circle", "left_penalty_arc", "right_penalty_arc",
)  # fmt: skip


def load_network(checkpoint: Path) -> PitchNetwork:
    """The network with a run's averaged weights, in evaluation mode."""
    network = PitchNetwork(list(untrained().model))
    network.load_state_dict(averaged_weights(checkpoint)[0])
    network.eval()
    return network


def export(checkpoint: Path, path: Path) -> Path:
    """Write the pitch model as ONNX, `images` (n, 3, 384, 640) RGB in 0..1 to two outputs.

    `points` (n, 32, 3): x, y in input pixels and confidence; `lines` (n, 12, 96, 160):
    probability of each kind of line in each cell of 4 by 4 pixels.
    """
    metadata = {
        "points": str(POINT_COUNT),
        "lines": ",".join(LINE_NAMES),
        "input_size": f"{INPUT_HEIGHT}x{INPUT_WIDTH}",
        "recipe_sha256": averaged_weights(checkpoint)[1],
        "license": LICENCE,
        "attribution": ATTRIBUTION.format(
            sets="football-field-detection and soccer-field-localization",
            more=" and World Cup 2022 broadcasts",
        ),
    }
    model = ExportedPitchNetwork(load_network(checkpoint))
    example = torch.zeros(1, 3, INPUT_HEIGHT, INPUT_WIDTH)
    axes = {name: {0: "batch"} for name in ("images", "points", "lines")}
    return write_onnx(model, example, path, ["points", "lines"], axes, metadata)
