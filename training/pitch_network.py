"""The pitch network: where the 32 pitch points and the 12 kinds of line are in a frame.

The trunk is YOLOv8n's backbone and top-down neck (Ultralytics, 2023, AGPL-3.0), started from its
COCO weights; one block of self-attention over the coarsest features lets a penalty area know
which end of the pitch it is. The head predicts, per point, a probability over the cells of a
stride-4 grid and over "not in view", so a confidence is a probability: two ends that look alike
share it between them.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as functional
from torch import nn
from ultralytics.nn.modules import Conv

INPUT_HEIGHT, INPUT_WIDTH = 384, 640
STRIDE = 4
GRID_HEIGHT, GRID_WIDTH = INPUT_HEIGHT // STRIDE, INPUT_WIDTH // STRIDE
POINT_COUNT = 32
LINE_COUNT = 12
WINDOW = 7
"""Cells on a side of the window whose probability is a point's confidence."""


class ContextBlock(nn.Module):  # type: ignore[misc]
    """Residual self-attention over coarse cells (Vaswani et al., 2017); starts as the identity."""

    def __init__(self, channels: int, rows: int, columns: int, width: int = 128) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.zeros(1, width, rows, columns))
        self.reduce = nn.Conv2d(channels, width, 1)
        self.norm = nn.LayerNorm(width)
        self.to_qkv = nn.Linear(width, 3 * width)
        self.mix = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)
        )
        self.expand = nn.Conv2d(width, channels, 1)
        self.heads = 4
        nn.init.normal_(self.place, std=0.02)
        nn.init.zeros_(self.expand.weight)
        nn.init.zeros_(self.expand.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map features (n, channels, rows, columns) to the same shape."""
        low = self.reduce(x) + self.place
        n, width, rows, columns = low.shape
        tokens = low.flatten(2).transpose(1, 2)
        split = self.to_qkv(self.norm(tokens)).view(n, rows * columns, 3, self.heads, -1)
        query, key, value = split.permute(2, 0, 3, 1, 4).unbind(0)
        scores = (query @ key.transpose(2, 3)) * (width // self.heads) ** -0.5
        seen = (scores.softmax(-1) @ value).transpose(1, 2).reshape(n, rows * columns, width)
        tokens = tokens + seen
        tokens = tokens + self.mix(tokens)
        return x + self.expand(tokens.transpose(1, 2).reshape(n, width, rows, columns))


class PitchNetwork(nn.Module):  # type: ignore[misc]
    """Logits of points and lines on the stride-4 grid; built from a YOLOv8n's first 16 layers."""

    def __init__(self, trunk: Sequence[nn.Module], width: int = 48) -> None:
        super().__init__()
        self.trunk = nn.ModuleList(trunk[:16])
        self.context = ContextBlock(256, INPUT_HEIGHT // 32, INPUT_WIDTH // 32)
        self.fine = Conv(32, 32, 1)
        self.coarse = nn.Sequential(Conv(64, 64, 3), Conv(64, width, 1))
        self.head = Conv(32 + width, width, 3)
        self.points = nn.Conv2d(width, POINT_COUNT, 1)
        self.lines = nn.Conv2d(width, LINE_COUNT, 1)
        self.absent = nn.Linear(256, POINT_COUNT)
        nn.init.constant_(self.lines.bias, -3.0)
        nn.init.constant_(self.absent.bias, 7.0)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Logits of cells (n, 32, 96, 160), of "not in view" (n, 32), of lines (n, 12, 96, 160)."""
        layer = self.trunk
        two = layer[2](layer[1](layer[0](x)))
        four = layer[4](layer[3](two))
        six = layer[6](layer[5](four))
        nine = self.context(layer[9](layer[8](layer[7](six))))
        twelve = layer[12](torch.cat([layer[10](nine), six], 1))
        fifteen = layer[15](torch.cat([layer[13](twelve), four], 1))
        coarse = functional.interpolate(self.coarse(fifteen), scale_factor=2.0, mode="nearest")
        features = self.head(torch.cat([coarse, self.fine(two)], 1))
        return self.points(features), self.absent(nine.mean((2, 3))), self.lines(features)


def decode(cells: torch.Tensor, absent: torch.Tensor) -> torch.Tensor:
    """Points (n, 32, 3) as x, y in input pixels and confidence in 0..1.

    The answer is the window of cells that holds most probability; its share is the confidence and
    its centre of mass the place, which is finer than the grid. Cell i covers pixels 4i to 4i + 4.
    """
    n, count, rows, columns = cells.shape
    logits = torch.cat([cells.flatten(2), absent[:, :, None]], dim=2).float()
    chance = logits.softmax(2)[:, :, :-1].reshape(n, count, rows, columns)
    column = torch.arange(columns, dtype=torch.float32) + 0.5
    row = torch.arange(rows, dtype=torch.float32)[:, None] + 0.5
    mass = _window_sum(chance).flatten(2)
    best = mass.argmax(2, keepdim=True)
    total = mass.gather(2, best)
    x = _window_sum(chance * column).flatten(2).gather(2, best) / (total + 1e-9)
    y = _window_sum(chance * row).flatten(2).gather(2, best) / (total + 1e-9)
    return torch.cat([x * STRIDE, y * STRIDE, total.clamp(0.0, 1.0)], dim=2)


def _window_sum(cells: torch.Tensor) -> torch.Tensor:
    """Sum over the window around each cell; zero beyond the grid."""
    return functional.avg_pool2d(cells, WINDOW, 1, WINDOW // 2) * WINDOW**2


class ExportedPitchNetwork(nn.Module):  # type: ignore[misc]
    """The network as shipped: points decoded within the graph, lines as probabilities."""

    def __init__(self, network: PitchNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Points (n, 32, 3) and lines (n, 12, 96, 160) of pictures (n, 3, 384, 640) in 0..1."""
        cells, absent, lines = self.network(x)
        return decode(cells, absent), lines.sigmoid()
