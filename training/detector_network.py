"""The detector's network: YOLOv8n from folded COCO weights, with four roles in its head.

YOLOv8 is by Jocher, Chaurasia and Qiu (Ultralytics, 2023, AGPL-3.0); the class branch keeps its
80 channels, so that every role starts from what the network already knows of people and balls.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from ultralytics.cfg import get_cfg
from ultralytics.nn.tasks import DetectionModel

from domain.errors import InputError
from training.detector_data import ROLES

COCO_ROW_OF_ROLE = (0, 0, 0, 32)
"""The COCO class (0 person, 32 sports ball) that each role's output row starts from."""


def coco_weights(data: Path) -> Path:
    """Where the material keeps YOLOv8n's COCO weights."""
    return data / "weights" / "yolov8n_coco_fused.npz"


def load_coco(weights: Path) -> DetectionModel:
    """YOLOv8n with 80 classes that computes what the folded weights in the `.npz` file do.

    Raises:
        InputError: there is no such file, or it is another.
    """
    if not weights.is_file():
        raise InputError(f"{weights}: not there; give it, or --start an exported network")
    model = untrained()
    try:
        with np.load(weights) as folded:
            fill(model, folded, weights)
    except (OSError, ValueError, TypeError, BadZipFile) as error:
        raise InputError(f"{weights}: no weights that can be read: {error}") from error
    return model


def untrained() -> DetectionModel:
    """YOLOv8n with 80 classes and weights that mean nothing, to be filled."""
    return DetectionModel("yolov8n.yaml", nc=80, verbose=False)


def fill(model: nn.Module, folded: Mapping[str, npt.NDArray[np.float32]], source: Path) -> None:
    """Give `model` weights whose norms are folded in; its norms then add their bias alone.

    Raises:
        InputError: the weights, which were read from `source`, are of another network.
    """
    state, filled = model.state_dict(), set()
    for name, values in folded.items():
        target = name.replace(".conv.bias", ".bn.bias")
        if target not in state or state[target].shape != values.shape:
            expected = tuple(state[target].shape) if target in state else "none such"
            raise InputError(
                f"{source}: another network than the one to train: "
                f"{name} is {values.shape}, expected {expected}"
            )
        state[target].copy_(torch.from_numpy(np.ascontiguousarray(values)))
        filled.add(target)
    learnt = {name for name, value in model.named_parameters() if value.requires_grad}
    missing = sorted(n for n in learnt - filled if not n.endswith(".bn.weight"))
    if missing:
        raise InputError(f"{source}: another network than the one to train: it has no {missing[0]}")
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            neutralise(module)


def neutralise(norm: nn.BatchNorm2d) -> None:
    """Make a norm in evaluation mode add its bias and change nothing else."""
    nn.init.ones_(norm.weight)
    norm.running_mean.zero_()
    norm.running_var.fill_(1 - norm.eps)


def give_roles(model: DetectionModel) -> DetectionModel:
    """Replace the 80 class outputs by the four roles, each started from its COCO row."""
    head: Any = model.model[-1]
    rows = torch.tensor(COCO_ROW_OF_ROLE)
    for branch in head.cv3:
        old = branch[-1]
        new = nn.Conv2d(old.in_channels, len(ROLES), 1)
        new.weight.data.copy_(old.weight.data[rows])
        new.bias.data.copy_(old.bias.data[rows])
        branch[-1] = new
    head.nc, head.no = len(ROLES), len(ROLES) + 4 * head.reg_max
    model.nc = len(ROLES)
    model.names = dict(enumerate(ROLES))
    model.args = get_cfg()
    return model


def settle_norms(model: nn.Module, images: torch.Tensor) -> None:
    """Give folded norms the statistics of `images` (n, 3, h, w) without changing any output.

    A folded norm has mean 0 and variance 1, which are not those of its input: in training mode it
    would rescale every channel. Here each norm gets the true mean m and variance v, weight
    sqrt(v + eps) and bias + m: the same function in evaluation mode, nearly so in training mode.
    """
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    seen: dict[nn.Module, tuple[torch.Tensor, torch.Tensor]] = {}

    def look(norm: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        seen[norm] = (inputs[0].mean((0, 2, 3)), inputs[0].var((0, 2, 3)))

    hooks = [norm.register_forward_pre_hook(look) for norm in norms]
    with torch.no_grad():
        model.eval()(images)
    for hook in hooks:
        hook.remove()
    for norm in norms:
        mean, variance = seen[norm]
        norm.weight.data.copy_((variance + norm.eps).sqrt())
        norm.bias.data.add_(mean)
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
