"""The recipe that made the shipped detector: four roles, started from COCO, on a CPU.

One straight loop: crops from labelled frames, the YOLOv8 loss (task-aligned assignment, Feng et
al., TOOD, 2021; distribution focal loss, Li et al., 2020), AdamW with warm-up and half a cosine,
a moving average of the weights. Autocast to bfloat16 and channels-last halve the time of a step.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import torch
from torch import nn
from ultralytics.utils.loss import v8DetectionLoss

from domain.errors import InputError
from training import own_labels
from training.checkpoint import recipe_of
from training.detector_data import (
    BALL,
    CropSource,
    LabelledFrame,
    Pool,
    load_frame,
    load_training_frames,
)
from training.detector_network import (
    coco_weights,
    fill,
    give_roles,
    load_coco,
    settle_norms,
    untrained,
)
from training.detector_score import score
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
from training.simulated import images_in, render


@dataclass(frozen=True)
class DetectorOptions:
    """One training run. `data` is the folder with `players/`, `ball_dfl_640/` and `weights/`.

    `start` is an exported detector to go on from; without it the roles start from COCO. Frames of
    `simulated_matches` are rendered into `out`/simulated.
    """

    data: Path
    out: Path
    start: Path | None = None
    steps: int = 6000
    minutes: float | None = None
    seed: int = 0
    resume: bool = True
    batch: int = 8
    peak_rate: float = 8e-4
    weight_decay: float = 5e-4
    warmup: int = 100
    ball_share: float = 0.13
    ball_weight: float = 2.0
    simulated_matches: int = 260
    simulated_share: float = 0.25
    own_labels_share: float = 0.14
    checkpoint_every: int = 100
    score_every: int = 600
    threads: int = 2

    def plan(self) -> Plan:
        """How the loop proceeds."""
        return Plan(
            "detector", recipe_of(asdict(self), self.start), self.out,
            Budget(self.steps, self.minutes), self.seed, self.resume,
            self.peak_rate, self.weight_decay, self.warmup, self.checkpoint_every,
            self.score_every, clip_norm=10.0,
        )  # fmt: skip


def train_detector(options: DetectorOptions, report: Report = print) -> Path:
    """Train until the budget is spent, resuming where a killed run stopped; return the weights.

    `out` receives the checkpoint and, at the end, `detector.pt`: the averaged weights.

    Raises:
        InputError: frames, weights or checkpoint cannot be used; known before frames are rendered.
        ResourceError: `out` cannot be written.
    """
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(1)
    torch.manual_seed(options.seed)
    plan, labelled = options.plan(), _labelled(options)
    validation = _validation(options)
    model = read_network(options)
    plan.prepare()
    source = _source(options, labelled, report)
    settle(model, source, options.seed)
    criterion = v8DetectionLoss(model)

    def losses_of(batch: Batch) -> Losses:
        return training_losses(model, criterion, batch, options.ball_weight)

    def figures_of(averaged: nn.Module) -> str:
        if not validation:
            return f"none, --data has no frame of {VALIDATION_MATCH}, the match kept aside for it"
        figures = score(averaged, validation)
        return "AP50 " + " ".join(f"{role} {value:.3f}" for role, value in figures.items())

    return train(model, plan, source.draw, losses_of, figures_of, report)


@dataclass(frozen=True)
class _Labelled:
    """The frames of `data`: of people and ball, of the ball alone, and with labels of our own."""

    players: list[LabelledFrame]
    balls: list[LabelledFrame]
    own: list[LabelledFrame]


def _labelled(options: DetectorOptions) -> _Labelled:
    """Every labelled frame there is.

    Raises:
        InputError: there is none in `players/`, or one cannot be read.
    """
    players, balls = options.data / "players", options.data / "ball_dfl_640"
    images = training_images(players)
    if not images:
        raise InputError(
            f"{players}: no frame to train on; expected pictures in images/ there, "
            "and for each a text file in labels/"
        )
    return _Labelled(
        load_training_frames(images),
        load_training_frames(training_images(balls), known=("ball",)),
        own_labels.load_training_frames(options.data),
    )


def _validation(options: DetectorOptions) -> list[LabelledFrame]:
    """The whole frames of the validation match."""
    images = images_of(options.data / "players", lambda match: match == VALIDATION_MATCH)
    return [load_frame(image) for image in images]


def _source(options: DetectorOptions, labelled: _Labelled, report: Report) -> CropSource:
    """Training crops of the labelled frames and of simulated ones, which are rendered first."""
    rendered = options.out / "simulated"
    render(rendered, options.simulated_matches, options.threads, report)
    simulated = refuse_held_out(images_in(rendered / "players", options.simulated_matches))
    shares = options.simulated_share, options.ball_share, options.own_labels_share
    report(
        f"frames: {len(labelled.players)} of players/, {len(simulated)} simulated, "
        f"{len(labelled.balls)} of the ball alone, {len(labelled.own)} with labels of our own"
    )
    pools = (
        Pool(1 - sum(shares), labelled.players),
        Pool(options.simulated_share, simulated),
        Pool(options.ball_share, labelled.balls),
        Pool(options.own_labels_share, labelled.own),
    )
    return CropSource(pools, options.batch)


def read_network(options: DetectorOptions) -> nn.Module:
    """COCO weights with the roles' rows, or those of `start`.

    Raises:
        InputError: they are not there, or of another network.
    """
    if options.start is None:
        return give_roles(load_coco(coco_weights(options.data)))
    model = give_roles(untrained())
    fill(model, read_folded(options.start), options.start)
    return model


def settle(model: nn.Module, source: CropSource, seed: int) -> None:
    """Settle the norms on crops of the run's seed; the fast layout of memory from then on."""
    crops = next(draws(source.draw, seed + 1, first=0))
    settle_norms(model, crops.images)
    model.to(memory_format=torch.channels_last)


def training_losses(
    model: nn.Module, criterion: v8DetectionLoss, batch: Batch, ball_weight: float = 1.0
) -> Losses:
    """Loss of one batch; a crop teaches nothing of the roles that are not labelled in it."""
    images = batch.images.contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        outputs = model(images)
    outputs = {
        key: [v.float() for v in value] if isinstance(value, list) else value.float()
        for key, value in outputs.items()
    }
    weights = batch.targets["known"].float()[:, None, :]
    weights[:, :, BALL] *= ball_weight
    criterion.class_weights = weights
    loss, parts = criterion(outputs, batch.targets)
    return loss.sum() / len(images), {name: float(value) for name, value in parts.items()}
