"""Turns a `.pt` checkpoint into ONNX, once, in a process of its own.

So the pipeline's own processes never load torch, and what a hostile file could reach is small.
`python -m infrastructure.inference.export IN.pt OUT.onnx HEIGHT WIDTH` is that process.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from domain.errors import FootAnalyticsError, InputError, ResourceError
from infrastructure.inference.network_file import read_onnx

EXPORT_LIMIT_S = 600
_OPSET = 17


def exported(path: Path, sha256: str, input_size: tuple[int, int], cache: Path) -> Path:
    """The ONNX form of the checkpoint `path` for images of `input_size`, made where it is missing.

    Raises:
        InputError: the checkpoint cannot be loaded or exported.
        ResourceError: the cache folder cannot be written.
    """
    height, width = input_size
    kept = cache / f"{sha256}-{height}x{width}.onnx"
    if not _whole(kept):
        _export_into(path, kept, input_size)
    return kept


def _whole(kept: Path) -> bool:
    try:
        return kept.is_file() and bool(read_onnx(kept))
    except InputError:
        return False  # cut short by a full disk or a crash: made again


def _export_into(path: Path, kept: Path, input_size: tuple[int, int]) -> None:
    """Write beside the final place, then rename: a reader never sees half a file."""
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
            made = Path(folder) / kept.name
            _run_export(path, made, input_size)
            read_onnx(made)
            made.replace(kept)
    except OSError as error:
        raise ResourceError(
            f"model cache {kept.parent}: {error.strerror}; set MODEL_CACHE_DIR to a writable folder"
        ) from error


def _run_export(path: Path, made: Path, input_size: tuple[int, int]) -> None:
    command = [sys.executable, "-W", "ignore", "-m", __spec__.name]
    command += [str(path.resolve()), str(made), *(str(side) for side in input_size)]
    root = str(Path(__file__).resolve().parents[2])
    search = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    try:
        run = subprocess.run(
            command,
            env={**os.environ, "PYTHONPATH": search},
            capture_output=True,
            text=True,
            timeout=EXPORT_LIMIT_S,
        )
    except subprocess.TimeoutExpired as error:
        raise InputError(f"model file {path}: no export within {EXPORT_LIMIT_S} s") from error
    if run.returncode:
        lines = run.stderr.strip().splitlines() or [f"exit code {run.returncode}"]
        raise InputError(lines[-1] if run.returncode == 2 else f"model file {path}: {lines[-1]}")


def main(arguments: list[str]) -> int:
    """Export; 2 and one line on stderr where the checkpoint cannot be."""
    source, target, height, width = arguments
    try:
        _export(Path(source), Path(target), int(height), int(width))
    except FootAnalyticsError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


def _export(source: Path, target: Path, height: int, width: int) -> None:
    import onnx
    import torch

    from infrastructure.inference.checkpoint import load_checkpoint

    network, names = load_checkpoint(source)
    image = torch.zeros(1, 3, height, width)
    with torch.inference_mode():
        network(image)  # the head builds its grid in the first run
        torch.onnx.export(
            network,
            (image,),
            str(target),
            opset_version=_OPSET,
            input_names=["images"],
            output_names=["output0"],
            dynamo=False,
        )
    model = onnx.load(str(target))
    onnx.helper.set_model_props(model, {"names": str(dict(enumerate(names)))})
    onnx.save(model, str(target))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
