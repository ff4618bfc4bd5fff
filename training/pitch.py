"""The recipe that made the shipped pitch network, on a CPU: one straight loop.

The loss of a point is the cross-entropy between a small Gaussian around its true place (or "not
in view") and the predicted probability over cells; lines are an auxiliary task with binary
cross-entropy, which teaches the trunk where the painted pitch is from few labelled frames.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import torch
import torch.nn.functional as functional
from torch import nn

from domain.errors import InputError
from training.checkpoint import recipe_of
from training.detector_network import coco_weights, fill, load_coco, settle_norms, untrained
from training.folded_weights import read_folded
from training.loop import (
    VALIDATION_MATCH,
    Batch,
    Budget,
    Losses,
    Plan,
    Report,
    draws,
    images_of,
    refuse_held_out,
    train,
    training_images,
)
from training.pitch_data import (
    PitchFrame,
    load_frame,
    load_training_frames,
)
from training.pitch_network import GRID_HEIGHT, GRID_WIDTH, STRIDE, PitchNetwork
from training.pitch_score import score
from training.pitch_views import PitchSource
from training.simulated import images_in, render


@dataclass(frozen=True)
class PitchOptions:
    """One training run. `data` is the folder with `pitch/`, `pitch_wc2022/` and `weights/`.

    `start` is an exported pitch network to go on from; without it the trunk starts from COCO.
    Frames of `simulated_matches` are rendered into `out`/simulated.
    """

    data: Path
    out: Path
    start: Path | None = None
    steps: int = 5000
    minutes: float | None = None
    seed: int = 0
    resume: bool = True
    batch: int = 8
    peak_rate: float = 8e-4
    weight_decay: float = 1e-3
    warmup: int = 100
    line_weight: float = 1.0
    spread_cells: float = 0.8
    drawn_share: float = 0.12
    simulated_matches: int = 260
    simulated_share: float = 0.4
    checkpoint_every: int = 200
    score_every: int = 500
    threads: int = 2

    def plan(self) -> Plan:
        """How the loop proceeds."""
        return Plan(
            "pitch", recipe_of(asdict(self), self.start), self.out,
            Budget(self.steps, self.minutes), self.seed, self.resume,
            self.peak_rate, self.weight_decay, self.warmup, self.checkpoint_every,
            self.score_every, clip_norm=5.0,
        )  # fmt: skip


def train_pitch(options: PitchOptions, report: Report = print) -> Path:
    """Train until the budget is spent, resuming where a killed run stopped; return the weights.

    `out` receives the checkpoint and, at the end, `pitch.pt`: the averaged weights.

    Raises:
        InputError: frames, weights or checkpoint cannot be used; known before frames are rendered.
        ResourceError: `out` cannot be written.
    """
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(1)
    torch.manual_seed(options.seed)
    plan, frames = options.plan(), _labelled(options)
    validation = _validation(options)
    network, to_settle = read_network(options)
    plan.prepare()
    source = _source(options, frames, report)
    settle_norms(to_settle, next(draws(source.draw, options.seed + 1, first=0)).images)
    network.to(memory_format=torch.channels_last)

    def losses_of(batch: Batch) -> Losses:
        return training_losses(network, batch, options.line_weight, options.spread_cells)

    def figures_of(averaged: nn.Module) -> str:
        if not validation:
            return f"none, --data has no frame of {VALIDATION_MATCH}, the match kept aside for it"
        return str(score(averaged, validation))

    return train(network, plan, source.draw, losses_of, figures_of, report)


def _labelled(options: PitchOptions) -> list[PitchFrame]:
    """Every labelled frame there is.

    Raises:
        InputError: there is none, or one cannot be read.
    """
    folders = [options.data / "pitch", options.data / "pitch_wc2022"]
    images = [image for folder in folders for image in training_images(folder)]
    if not images:
        raise InputError(
            f"{folders[0]}: no frame to train on; expected pictures in images/ there, "
            "and for each a text file in labels/"
        )
    return load_training_frames(images)


def _validation(options: PitchOptions) -> list[PitchFrame]:
    """The whole frames of the validation match."""
    images = images_of(options.data / "pitch", lambda match: match == VALIDATION_MATCH)
    return [load_frame(image) for image in images]


def _source(options: PitchOptions, frames: list[PitchFrame], report: Report) -> PitchSource:
    """Training pictures of the labelled frames and of simulated ones, which are rendered first."""
    rendered = options.out / "simulated"
    render(rendered, options.simulated_matches, options.threads, report)
    simulated = refuse_held_out(images_in(rendered / "pitch", options.simulated_matches))
    fitted = sum(frame.to_pixel is not None for frame in frames)
    report(f"{len(frames)} frames, {fitted} with a homography, and {len(simulated)} simulated ones")
    return PitchSource(
        frames, options.batch, drawn_share=options.drawn_share,
        simulated=simulated, simulated_share=options.simulated_share,
    )  # fmt: skip


def read_network(options: PitchOptions) -> tuple[PitchNetwork, nn.Module]:
    """The trunk from COCO, or all of `start`; and the part whose norms were folded.

    Raises:
        InputError: the weights are not there, or of another network.
    """
    if options.start is None:
        coco = load_coco(coco_weights(options.data))
        return PitchNetwork(list(coco.model)), coco
    network = PitchNetwork(list(untrained().model))
    fill(network, read_folded(options.start), options.start)
    return network, network


def point_targets(points: torch.Tensor, spread: float) -> torch.Tensor:
    """Probabilities (n, 32, cells + 1) for points (n, 32, 2) in pixels; the last is "not in view".

    A Gaussian of `spread` cells around the true place, scaled to sum to one on the grid.
    """
    there = torch.isfinite(points[..., 0])
    place = torch.nan_to_num(points) / STRIDE - 0.5
    x = torch.arange(GRID_WIDTH) - place[..., 0, None]
    y = torch.arange(GRID_HEIGHT) - place[..., 1, None]
    across, down = (torch.softmax(-(v**2) / (2 * spread**2), dim=-1) for v in (x, y))
    cells = (down[..., :, None] * across[..., None, :]).flatten(2)
    absent = (~there).float()[..., None]
    return torch.cat([cells * (1 - absent), absent], dim=2)


def training_losses(
    network: nn.Module, batch: Batch, line_weight: float = 1.0, spread: float = 0.8
) -> Losses:
    """Loss of one batch and its parts; what is not known for certain is left out."""
    with torch.autocast("cpu", torch.bfloat16):
        cells, absent, lines = network(batch.images.contiguous(memory_format=torch.channels_last))
    truth = batch.targets
    logits = torch.cat([cells.float().flatten(2), absent.float()[..., None]], dim=2)
    targets = point_targets(truth["points"], spread)
    entropy = -(targets * logits.log_softmax(2)).sum(2)
    known = truth["known"].float()
    points = (entropy * known).sum() / known.sum().clamp(min=1)
    marks = functional.binary_cross_entropy_with_logits(
        lines.float(), truth["lines"].float(), reduction="none", pos_weight=torch.tensor(3.0)
    )
    line = (marks.mean((1, 2, 3)) * truth["lines_known"]).mean() * 20
    parts = {"points": float(points.detach()), "lines": float(line.detach())}
    return points + line_weight * line, parts
