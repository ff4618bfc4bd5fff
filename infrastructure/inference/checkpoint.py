"""Ultralytics' `.pt` files: the only module that imports Ultralytics."""

import os
from pathlib import Path
from typing import Any

from domain.errors import InputError, ResourceError

# Ultralytics asks the network for updates, installs packages and downloads weights unless told not
# to; it reads these once, at its first import.
os.environ.update(YOLO_OFFLINE="true", YOLO_AUTOINSTALL="false", ULTRALYTICS_SAFE_LOAD="true")

import torch
from ultralytics.nn import tasks


def load_checkpoint(path: Path) -> tuple[Any, tuple[str, ...]]:
    """The network of an Ultralytics checkpoint, ready to answer, and its class names.

    Nothing in the file is run: torch's restricted unpickler (`weights_only`) rebuilds the layers
    that Ultralytics knows, and refuses all else.

    Raises:
        InputError: the file is broken, or not such a checkpoint.
    """
    if not hasattr(torch.serialization, "get_unsafe_globals_in_checkpoint"):
        raise ResourceError("a .pt model needs torch 2.6 or later to be loaded safely")
    try:
        checkpoint, _ = tasks.torch_safe_load(str(path), safe_only=True)
        network = checkpoint.get("ema") or checkpoint["model"]
        network = network.float().fuse(verbose=False).eval()
    except Exception as error:  # a hostile or broken pickle raises anything
        raise InputError(
            f"model file {path}: not an Ultralytics checkpoint that can be loaded safely; "
            f"export it to .onnx where it was trained"
        ) from error
    head = network.model[-1]
    head.export, head.format = True, "onnx"  # answer with the decoded output alone
    names = network.names
    return network, tuple(names[index] for index in sorted(names))
