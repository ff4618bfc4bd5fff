"""The recipe that made the shipped detector: four roles, started from COCO, on a CPU.

One straight loop: crops from labelled frames, the YOLOv8 loss (task-aligned assignment, Feng et
al., TOOD, 2021; distribution focal loss, Li et al., 2020), AdamW with warm-up and half a cosine,
a moving average of the weights. Autocast to bfloat16 and channels-last halve the time of a step.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import torch
from torch import nn
from ultralytics.utils.loss import v8DetectionLoss

from training.detector_data import (
    BALL,
    ROLES,
    CropOptions,
    CropSource,
    LabelledFrame,
    load_frame,
    load_training_frames,
)
from training.detector_network import give_roles, load_coco, settle_norms
from training.detector_score import score
from training.loop import (
    VALIDATION_MATCH,
    Batch,
    Budget,
    Losses,
    Plan,
    Report,
    draws,
    images_of,
    train,
    training_images,
)


@dataclass(frozen=True)
class DetectorOptions:
    """One training run. `data` is the folder with `players/`, `ball_dfl_640/` and `weights/`."""

    data: Path
    out: Path
    steps: int = 1700
    minutes: float | None = None
    seed: int = 0
    resume: bool = True
    batch: int = 8
    peak_rate: float = 1e-3
    weight_decay: float = 5e-4
    warmup: int = 100
    ball_share: float = 0.2
    ball_weight: float = 2.0
    checkpoint_every: int = 100
    score_every: int = 500
    threads: int = 2

    def fingerprint(self) -> str:
        """SHA-256 of the options that change the weights; paths and counts of threads do not."""
        out_of_it = {"data", "out", "resume", "threads", "checkpoint_every", "score_every"}
        kept = {k: v for k, v in asdict(self).items() if k not in out_of_it}
        return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()

    def plan(self) -> Plan:
        """How the loop proceeds."""
        return Plan(
            "detector", self.fingerprint(), self.out,
            Budget(self.steps, self.minutes), self.seed, self.resume,
            self.peak_rate, self.weight_decay, self.warmup, self.checkpoint_every,
            self.score_every, clip_norm=10.0,
        )  # fmt: skip


def train_detector(options: DetectorOptions, report: Report = print) -> Path:
    """Train until the budget is spent, resuming where a killed run stopped; return the weights.

    `out` receives the checkpoint and, at the end, `detector.pt`: the averaged weights.
    """
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(1)
    torch.manual_seed(options.seed)
    source, validation = _sources(options)
    report(f"{len(source.frames)} frames, {len(source.ball_frames)} with the ball alone")
    model = starting_model(options, source)
    criterion = v8DetectionLoss(model)

    def losses_of(batch: Batch) -> Losses:
        return training_losses(model, criterion, batch, options.ball_weight)

    def figures_of(averaged: nn.Module) -> str:
        if not validation:
            return f"no frame of {VALIDATION_MATCH} to watch"
        figures = score(averaged, validation)
        return "AP50 " + " ".join(f"{role} {value:.3f}" for role, value in figures.items())

    return train(model, options.plan(), source.draw, losses_of, figures_of, report)


def _sources(options: DetectorOptions) -> tuple[CropSource, list[LabelledFrame]]:
    """Training crops, and the whole frames of the validation match."""
    players, balls = options.data / "players", options.data / "ball_dfl_640"
    frames = load_training_frames(training_images(players))
    ball_frames = (
        load_training_frames(training_images(balls), only_ball=True) if balls.exists() else []
    )
    validation = images_of(players, lambda match: match == VALIDATION_MATCH)
    source = CropSource(frames, ball_frames, options.batch, options.ball_share, CropOptions())
    return source, [load_frame(image) for image in validation]


def starting_model(options: DetectorOptions, source: CropSource) -> nn.Module:
    """COCO weights with the roles' rows, norms settled on crops drawn with the run's seed."""
    model = give_roles(load_coco(options.data / "weights" / "yolov8n_coco_fused.npz"))
    crops = next(draws(source.draw, options.seed + 1, first=0))
    settle_norms(model, crops.images)
    return model.to(memory_format=torch.channels_last)


def training_losses(
    model: nn.Module, criterion: v8DetectionLoss, batch: Batch, ball_weight: float = 1.0
) -> Losses:
    """Loss of one batch; crops where only the ball is labelled teach nothing about people."""
    images = batch.images.contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        outputs = model(images)
    outputs = {
        key: [v.float() for v in value] if isinstance(value, list) else value.float()
        for key, value in outputs.items()
    }
    weights = torch.ones(len(images), 1, len(ROLES))
    weights[batch.targets["only_ball"], :, :BALL] = 0
    weights[:, :, BALL] = ball_weight
    criterion.class_weights = weights
    loss, parts = criterion(outputs, batch.targets)
    return loss.sum() / len(images), {name: float(value) for name, value in parts.items()}
