"""What both training recipes share: the split by match, the schedule, the straight loop.

Frames of one match look alike, so the split is by match and never by frame. The matches in
`HELD_OUT_MATCHES` take part in no training and no choice of any setting: published figures are
theirs. `training_matches` and `refuse_held_out` enforce that.
"""

import math
import re
import threading
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from queue import Full, Queue

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from domain.errors import InputError, ResourceError
from simulation.options import CAMERAS, VALIDATION_SEEDS_FROM, seed_use
from training.checkpoint import (
    MovingAverage,
    Progress,
    Recipe,
    Run,
    fingerprint,
    read_checkpoint,
    write_whole,
)

HELD_OUT_MATCHES = frozenset({"08fd33", "c01561", "cd987c"})
VALIDATION_MATCH = "a9f16c"
PICTURES = (".jpg", ".jpeg", ".png")
BORDER_SLACK = 0.05
"""How far, in fractions of the picture, a box drawn by hand may reach over its border."""

SIMULATED = re.compile(rf"(?P<seed>\d+)_({'|'.join(CAMERAS)})_\d{{5}}")

Report = Callable[[str], None]


class HeldOutMatchError(InputError):
    """A frame of a held-out match, or of footage for evaluation only, was offered for training."""


def read_picture(image: Path) -> npt.NDArray[np.uint8]:
    """The BGR pixels (height, width, 3) of a picture's file.

    Raises:
        InputError: it is none.
    """
    pixels = cv2.imread(str(image))
    if pixels is None:
        raise InputError(f"{image}: not a picture that can be read")
    return np.asarray(pixels, np.uint8)


def read_rows(path: Path, columns: int) -> npt.NDArray[np.float64]:
    """The numbers (n, columns) of a label file, a class and a box first; an empty one has no row.

    Raises:
        InputError: no such file, its lines are not of so many numbers, or no box in fractions.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        rows = {n: [float(word) for word in line.split()] for n, line in enumerate(lines, 1)}
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{path}: no labels that can be read: {reason}") from error
    rows = {number: row for number, row in rows.items() if row}
    for number, row in rows.items():
        if len(row) != columns:
            raise InputError(f"{path}: line {number}: expected {columns} numbers, got {len(row)}")
        if not all(-BORDER_SLACK <= value <= 1 + BORDER_SLACK for value in row[1:5]):
            raise InputError(f"{path}: line {number}: expected a box in fractions of the picture")
    return np.array(list(rows.values())).reshape(-1, columns)


def match_of(image: Path) -> str:
    """The match a frame is of: the text before the first underscore of its file name."""
    return image.stem.split("_")[0]


def refuse_held_out(images: Iterable[Path]) -> list[Path]:
    """Return the images unchanged; raise `HeldOutMatchError` when one must not be trained on."""
    checked = list(images)
    for image in checked:
        if match_of(image)[:6] in HELD_OUT_MATCHES:
            raise HeldOutMatchError(f"{image.name} is of a held-out match: not for training")
        if "other" in image.resolve().parent.parts:
            raise HeldOutMatchError(f"{image} is footage for evaluation only: not for training")
        drawn = SIMULATED.fullmatch(image.stem)
        if drawn and seed_use(int(drawn["seed"])) != "training":
            raise HeldOutMatchError(
                f"{image.name} is of a simulated match for {seed_use(int(drawn['seed']))}: "
                f"seeds below {VALIDATION_SEEDS_FROM} are for training"
            )
    return checked


def images_of(folder: Path, keep: Callable[[str], bool]) -> list[Path]:
    """Sorted paths of the pictures in `folder`/images whose match satisfies `keep`."""
    images = (p for p in (folder / "images").glob("*") if p.suffix.lower() in PICTURES)
    return sorted(image for image in images if keep(match_of(image)))


def training_images(folder: Path, validation: str = VALIDATION_MATCH) -> list[Path]:
    """The frames of `folder` that may be trained on: neither held out nor for validation.

    Raises:
        HeldOutMatchError: as `refuse_held_out`.
        InputError: there are labels without a picture.
    """
    _refuse_lone_labels(folder)
    keep = images_of(folder, lambda match: match not in HELD_OUT_MATCHES | {validation})
    return refuse_held_out(keep)


def _refuse_lone_labels(folder: Path) -> None:
    pictured = {image.stem for image in images_of(folder, lambda _: True)}
    labels = (folder / "labels").glob("*.txt")
    for label in sorted(path for path in labels if path.name != "classes.txt"):  # of label editors
        if label.stem not in pictured:
            raise InputError(
                f"{label}: no picture of that name in {folder / 'images'}, {', '.join(PICTURES)}"
            )


@dataclass(frozen=True)
class Budget:
    """How long to train: a number of steps, or of minutes spent training, whichever ends first."""

    steps: int
    minutes: float | None = None

    def spent(self, step: int, seconds: float) -> float:
        """The share of the budget used after `step` steps and `seconds` of training, in 0..1."""
        by_time = 0.0 if self.minutes is None else seconds / (60 * self.minutes)
        return min(1.0, max(step / self.steps, by_time))


def learning_rate(peak: float, spent: float, step: int, warmup: int, floor: float = 0.01) -> float:
    """Linear warm-up over `warmup` steps, then half a cosine from `peak` to `floor` * `peak`."""
    cosine = floor + (1 - floor) * (1 + math.cos(math.pi * spent)) / 2
    return peak * cosine * min(1.0, (step + 1) / warmup)


@dataclass(frozen=True)
class Plan:
    """How a run proceeds; `folder`/`name`_checkpoint.pt holds its state.

    A checkpoint is resumed under the `recipe` that it was made with and no other. Steps and minutes
    belong to it: the rate falls with the share of the budget that is spent, so a run that is made
    longer halfway would be neither the short nor the long one. Who wants more trains on from the
    result, in another folder. Minutes count across kills; on a faster machine they hold more steps.
    Paths and threads may change, and so may the frames themselves: a label put right is no reason
    to begin anew.
    """

    name: str
    recipe: Recipe
    folder: Path
    budget: Budget
    seed: int
    resume: bool
    peak_rate: float
    weight_decay: float
    warmup: int
    checkpoint_every: int
    score_every: int
    clip_norm: float

    @property
    def checkpoint(self) -> Path:
        """Where the run keeps its state."""
        return self.folder / f"{self.name}_checkpoint.pt"

    @property
    def resumes(self) -> bool:
        """Whether there is something to go on from."""
        return self.resume and self.checkpoint.exists()

    def prepare(self) -> None:
        """Make the folder; what cannot be kept or resumed is known before anything is rendered.

        Raises:
            InputError: `folder` is none, or holds a run with another recipe.
            ResourceError: it cannot be made or entered.
        """
        try:
            if self.folder.exists() and not self.folder.is_dir():
                raise InputError(f"--out {self.folder}: not a folder")
            if self.resumes:
                read_checkpoint(self.checkpoint, self.recipe)
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ResourceError(f"--out {self.folder}: cannot be used: {error.strerror}") from error


Losses = tuple[torch.Tensor, dict[str, float]]
"""What is minimised, and its parts by name."""


def train(
    model: nn.Module,
    plan: Plan,
    draw: Callable[[np.random.Generator], "Batch"],
    losses_of: Callable[["Batch"], Losses],
    figures_of: Callable[[nn.Module], str],
    report: Report,
) -> Path:
    """Train `model` until the budget is spent; return the file of averaged weights.

    A run that was killed goes on from its last checkpoint. `figures_of` scores the averaged
    model on the validation match; nothing is chosen by it while the run lasts.

    Raises:
        InputError: the checkpoint is of a run with another recipe.
        ResourceError: the checkpoint or the weights cannot be written.
    """
    optimizer = torch.optim.AdamW(parameter_groups(model, plan.weight_decay))
    run = Run(model, MovingAverage(model), optimizer, Progress(), plan.recipe)
    if plan.resumes:
        run.restore(plan.checkpoint)
        report(f"resumed at step {run.progress.step}")
    model.train()
    with closing(draws(draw, plan.seed, run.progress.step)) as batches:
        for batch in batches:
            spent = plan.budget.spent(run.progress.step, run.progress.seconds)
            if spent >= 1:
                break
            _step(run, plan, spent, batch, losses_of, report)
            step = run.progress.step
            if step % plan.checkpoint_every == 0:
                run.save(plan.checkpoint)
            if step % plan.score_every == 0:
                report(f"step {step} validation: {figures_of(run.average.model)}")
    run.save(plan.checkpoint)
    report(f"step {run.progress.step} validation: {figures_of(run.average.model)}")
    weights = plan.folder / f"{plan.name}.pt"
    averaged = run.average.model.state_dict()
    write_whole({"average": averaged, "recipe": fingerprint(plan.recipe)}, weights)
    return weights


def _step(
    run: Run,
    plan: Plan,
    spent: float,
    batch: "Batch",
    losses_of: Callable[["Batch"], Losses],
    report: Report,
) -> None:
    """One step of the optimiser, timed; every twentieth is reported."""
    started = time.monotonic()
    rate = learning_rate(plan.peak_rate, spent, run.progress.step, plan.warmup)
    for group in run.optimizer.param_groups:
        group["lr"] = rate
    loss, parts = losses_of(batch)
    run.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(run.model.parameters(), plan.clip_norm)
    run.optimizer.step()
    run.average.update(run.model, run.progress.step)
    took = time.monotonic() - started
    run.progress.step += 1
    run.progress.seconds += took
    if run.progress.step % 20 == 0:
        text = " ".join(f"{name} {value:.3f}" for name, value in parts.items())
        report(f"step {run.progress.step} {spent:.1%} rate {rate:.2e} {text} {took:.2f} s/step")


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Decay only matrices and kernels, never biases or norms."""
    trained = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]


def draws(
    draw: Callable[[np.random.Generator], "Batch"], seed: int, first: int, ahead: int = 3
) -> Generator["Batch", None, None]:
    """Yield draw(generator of step) for first, first + 1, ...; drawn ahead in one thread.

    The generator is seeded by (seed, step), so a resumed run sees the batches that an
    uninterrupted one would have seen.
    """
    queue: Queue[Batch | Exception] = Queue(maxsize=ahead)
    stopped = threading.Event()

    def offer(item: "Batch | Exception") -> None:
        offered = False
        while not (offered or stopped.is_set()):
            with suppress(Full):
                queue.put(item, timeout=0.2)
                offered = True

    def produce() -> None:
        try:
            for step in count(first):
                if stopped.is_set():
                    break
                offer(draw(np.random.default_rng([seed, step])))
        except Exception as error:  # handed to the consumer, which raises it
            offer(error)

    drawing = threading.Thread(target=produce, daemon=True, name="training-draws")
    drawing.start()
    try:
        while True:
            item = queue.get()
            if isinstance(item, Exception):
                raise item
            yield item
    finally:
        stopped.set()
        drawing.join()  # a thread within torch when the interpreter ends aborts it


@dataclass(frozen=True)
class Batch:
    """Pictures (n, 3, height, width) float32 in 0..1, RGB, and named target tensors."""

    images: torch.Tensor
    targets: dict[str, torch.Tensor]
