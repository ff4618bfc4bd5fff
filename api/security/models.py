"""Networks that clients may name: the operator's folder, and what is shipped. Nothing else."""

import os
from pathlib import Path

from domain.errors import InputError


def allowed_model(name: str, folder: Path | None) -> str:
    """What a worker opens for `name`: a file of `folder`, or the name of a shipped network.

    Raises:
        InputError: it is neither.
    """
    from infrastructure.planning import models_folder

    shown = name[:200] if name.isprintable() else ascii(name[:200])
    if Path(name).name != name or "\0" in name:
        raise InputError(f"{shown}: give the bare name of a model that the service has")
    if folder and (own := _inside(folder, name)):
        return str(own)
    shipped = sorted(path.name for path in models_folder().glob("*.onnx"))
    for known in (name, f"{name}.onnx"):
        if known in shipped:
            return known
    raise InputError(
        f"{shown}: the service has no such model: put it into the folder ML_PIPELINE_MODEL_DIR, or "
        f"name a shipped one: {', '.join(shipped)}"
    )


def _inside(folder: Path, name: str) -> Path | None:
    """The file, if no link leads out of the folder."""
    real, path = Path(os.path.realpath(folder)), Path(os.path.realpath(folder / name))
    return path if path.is_relative_to(real) and path.is_file() else None
