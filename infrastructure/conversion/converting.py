"""One network in, one file out: which forms there are, and in which precisions."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx

from domain.errors import ConfigurationError, InputError, ResourceError
from infrastructure.conversion.source import (
    metadata_of,
    read_source,
    settled,
    size_of,
    takes_any_size,
)
from infrastructure.inference.network_file import onnx_names

PRECISIONS_OF_FORM: dict[str, tuple[str, ...]] = {
    "onnx": ("f32", "int8"),
    "openvino": ("f32", "f16", "int8"),
    "torchscript": ("f32",),
    "tensorrt": ("f32", "f16", "bf16"),
}
SUFFIXES = {"onnx": ".onnx", "openvino": ".xml", "torchscript": ".torchscript"}
SUFFIXES |= {"tensorrt": ".engine"}
OF_ONE_SIZE = ("torchscript", "tensorrt")


def convert(
    source: Path,
    form: str,
    target: Path,
    precision: str = "f32",
    size: tuple[int, int] | None = None,
    images: Path | None = None,
) -> Path:
    """Write the network in `source` (`.onnx`, or Ultralytics' `.pt`) as `form` to `target`.

    Args:
        size: height and width, multiples of 32: TorchScript and TensorRT take images of this size
            and smaller ones, a `.pt` is exported for it, ranges for int8 are measured at it. By
            default what the source names, else 736 by 1280.
        images: a folder of pictures, for int8: the range of each value is measured on them.

    Raises:
        ConfigurationError: an argument does not go with the others.
        InputError: the source is not such a network, or there are no images.
        ResourceError: TensorRT is not there, or the target cannot be written.
    """
    _refuse(form, target, precision, images)
    model = read_source(source, size)
    if size and form not in OF_ONE_SIZE and precision != "int8" and takes_any_size(model):
        raise ConfigurationError(
            f"--size: the {form} file takes pictures of any size, as {source.name} does"
        )
    names, size = onnx_names(model, source), size_of(model, size)
    if precision == "int8":
        from infrastructure.conversion.quantising import quantised

        assert images
        model = quantised(model, images, size)
    return _beside(target, lambda path: _write(model, names, form, precision, size, path))


def _refuse(form: str, target: Path, precision: str, images: Path | None) -> None:
    if precision not in PRECISIONS_OF_FORM[form]:
        hint = "; bf16 is chosen when it runs: --set player_detection.precision=bf16"
        raise ConfigurationError(
            f"--precision: {form} is written in {', '.join(PRECISIONS_OF_FORM[form])}, "
            f"not {precision}{hint if precision == 'bf16' and form != 'torchscript' else ''}"
        )
    if target.suffix.lower() != SUFFIXES[form]:
        raise ConfigurationError(f"--out {target}: {form} files end in {SUFFIXES[form]}")
    for path in _files(form, target):
        if path.is_dir():
            raise ConfigurationError(f"--out {target}: {path} is a folder")
    if precision == "int8" and images is None:
        raise ConfigurationError("--precision int8 measures ranges: give --calibration-images DIR")
    if precision != "int8" and images is not None:
        raise ConfigurationError("--calibration-images is for --precision int8 alone")


def _files(form: str, target: Path) -> list[Path]:
    return [target, target.with_suffix(".bin")] if form == "openvino" else [target]


def _beside(target: Path, write: Callable[[Path], None]) -> Path:
    """Write in a folder beside the target, then move: a reader never sees half a file."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            write(Path(folder) / target.name)
            for made in sorted(Path(folder).iterdir()):  # OpenVINO's weights before its network
                shutil.move(made, target.parent / made.name)
    except OSError as error:
        raise ResourceError(f"{target}: {error.strerror or error}") from error
    return target


def _write(
    model: Any,
    names: tuple[str, ...],
    form: str,
    precision: str,
    size: tuple[int, int],
    path: Path,
) -> None:
    if form == "onnx":
        _check(model)
        onnx.save(model, str(path))
    elif form == "openvino":
        _write_openvino(model, names, path, halved=precision == "f16")
    elif form == "torchscript":
        from infrastructure.conversion.torchscript import write_torchscript

        write_torchscript(settled(model, size), _facts(model, names, size), path)
    else:
        from infrastructure.conversion.tensorrt import write_engine

        write_engine(settled(model, size), _facts(model, names, size), precision, path)


def _check(model: Any) -> None:
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        said = str(error).strip().partition("\n")[0]
        raise InputError(f"not a valid ONNX network: {said}") from error


def _facts(model: Any, names: tuple[str, ...], size: tuple[int, int]) -> dict[str, Any]:
    """What TorchScript and engines say of themselves, with Ultralytics' keys for names and size."""
    numbered = {str(index): name for index, name in enumerate(names)}
    said = {key: value for key, value in metadata_of(model).items() if key != "input_size"}
    return {**said, "names": numbered, "imgsz": list(size)}


def _write_openvino(model: Any, names: tuple[str, ...], path: Path, *, halved: bool) -> None:
    from infrastructure.inference.openvino_backend import write_openvino

    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "network.onnx"
        onnx.save(model, str(plain))
        try:
            write_openvino(plain, names, metadata_of(model), path, halved=halved)
        except InputError as error:  # it names a file that is gone
            raise InputError("OpenVINO cannot read this network") from error
