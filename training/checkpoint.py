"""What a training run changes, and how it is kept so that a killed run goes on."""

import copy
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import nn

from domain.errors import InputError, ResourceError

_NOT_THE_WEIGHTS = {"data", "out", "start", "resume", "threads", "checkpoint_every", "score_every"}
_UNREADABLE = "no checkpoint that can be read: give another --out, or --afresh to begin anew"

Recipe = Mapping[str, int | float | str | None]
"""The options of a run that change its weights, by name."""


def recipe_of(options: Mapping[str, Any], start: Path | None) -> Recipe:
    """What changes the weights: the options and the bytes of `start`, never a path.

    Steps and minutes are among them, because the learning rate follows the budget.
    """
    kept = {key: value for key, value in options.items() if key not in _NOT_THE_WEIGHTS}
    if start is not None:
        kept["start"] = hashlib.sha256(start.read_bytes()).hexdigest()
    return kept


def fingerprint(recipe: Recipe) -> str:
    """SHA-256 of a recipe."""
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()


class MovingAverage:
    """Exponential moving average of a model's weights and buffers; its decay rises from zero."""

    def __init__(self, model: nn.Module, decay: float = 0.998, ramp: float = 200.0) -> None:
        self.model = copy.deepcopy(model).eval()
        self.decay = decay
        self.ramp = ramp
        for parameter in self.model.parameters():
            parameter.requires_grad_(False)

    def update(self, model: nn.Module, step: int) -> None:
        """Move every floating-point weight and buffer towards those of `model`."""
        decay = self.decay * (1 - math.exp(-(step + 1) / self.ramp))
        source = model.state_dict()
        for name, value in self.model.state_dict().items():
            if value.dtype.is_floating_point:
                value.mul_(decay).add_(source[name], alpha=1 - decay)
            else:
                value.copy_(source[name])


@dataclass
class Progress:
    """How far a training run has come; stored in its checkpoint."""

    step: int = 0
    seconds: float = 0.0


@dataclass
class Run:
    """What a training run changes: all of it is in its checkpoint, with the recipe it is of."""

    model: nn.Module
    average: MovingAverage
    optimizer: torch.optim.Optimizer
    progress: Progress
    recipe: Recipe

    def save(self, path: Path) -> None:
        """Write a checkpoint.

        Raises:
            ResourceError: it cannot be written.
        """
        state = {
            "model": self.model.state_dict(),
            "average": self.average.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.progress.step,
            "seconds": self.progress.seconds,
            "recipe": fingerprint(self.recipe),
            "options": dict(self.recipe),
        }
        write_whole(state, path)

    def restore(self, path: Path) -> None:
        """Restore all that `save` wrote; only tensors and plain values are read.

        Raises:
            InputError: as `read_checkpoint`, or it lacks a part or is of another network.
        """
        state = read_checkpoint(path, self.recipe)
        try:
            self.model.load_state_dict(state["model"])
            self.average.model.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.progress = Progress(step=int(state["step"]), seconds=float(state["seconds"]))
        except (LookupError, RuntimeError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"{path}: {_UNREADABLE}") from error


def write_whole(state: Mapping[str, object], path: Path) -> None:
    """Write a PyTorch file beside `path`, then rename: a kill never leaves half a file.

    Raises:
        ResourceError: it cannot be written.
    """
    temporary = path.with_suffix(".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(dict(state), temporary)
        temporary.replace(path)
    except (OSError, RuntimeError) as error:  # torch tells a full disk as a RuntimeError
        raise ResourceError(f"{path}: cannot be written: {error}") from error


def read_checkpoint(path: Path, recipe: Recipe) -> dict[str, Any]:
    """The state in the checkpoint of a run with this recipe.

    Raises:
        InputError: it is of a run with another recipe, or no checkpoint.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        of = state["recipe"]
    except (OSError, RuntimeError, EOFError, UnpicklingError, LookupError, TypeError) as error:
        raise InputError(f"{path}: {_UNREADABLE}") from error
    if of != fingerprint(recipe):
        differing = _differences(state.get("options"), recipe)
        raise InputError(
            f"{path} is of a run with other options{differing}: "
            "give those again, another --out, or --afresh to begin anew"
        )
    return dict(state)


def _differences(before: Recipe | None, now: Recipe) -> str:
    """Which options differ, as ` (steps 2 then, 3 now)`; nothing where it is not known."""
    if before is None:
        return ""
    names = [name for name in sorted({*before, *now}) if before.get(name) != now.get(name)]
    told = [f"{n} {_short(before.get(n))} then, {_short(now.get(n))} now" for n in names]
    return f" ({'; '.join(told)})"


def _short(value: object) -> str:
    return "none" if value is None else str(value)[:8]
