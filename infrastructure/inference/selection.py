"""Which backend and precision run a network: a fixed order, settled once and without loading it."""

import hashlib
from pathlib import Path

from application.stage import ModelIdentity
from domain.configuration import Backend, Precision
from domain.errors import ConfigurationError, InputError
from infrastructure.inference.machine import Machine
from infrastructure.inference.network_file import is_quantised

BACKENDS_OF_SUFFIX: dict[str, tuple[Backend, ...]] = {
    ".onnx": ("openvino", "onnxruntime"),
    ".xml": ("openvino",),
    ".pt": ("openvino", "onnxruntime", "torch"),
    ".torchscript": ("torch",),
    ".engine": ("tensorrt",),
}
PRECISIONS_OF_BACKEND: dict[str, tuple[str, ...]] = {
    "openvino": ("f32", "bf16", "int8"),
    "onnxruntime": ("f32", "int8"),
    "torch": ("f32",),
    "tensorrt": ("as_built",),
}
CUDA = ":cuda"
_CUDA_BACKEND = {".pt": "torch", ".torchscript": "torch", ".onnx": "onnxruntime"}
_CUDA_BACKEND |= {".engine": "tensorrt"}
_WITHOUT_CUDA = Machine()


def identify(
    path: Path,
    backend: Backend = "auto",
    precision: Precision = "auto",
    gpu_enabled: bool = False,
    machine: Machine | None = None,
) -> ModelIdentity:
    """What decides the result of the network in `path`: its bytes, the backend and the precision.

    The order for `auto`: with `gpu_enabled` and a CUDA device, torch for `.pt` and `.torchscript`
    and ONNX Runtime for `.onnx`; else OpenVINO, or torch for `.torchscript`. An `.engine` runs on
    TensorRT alone, in the precision that it was built in. OpenVINO computes in bf16 where the CPU
    multiplies it natively, else in f32; the others compute in f32. On CUDA the backend's name ends
    in `:cuda`. The `machine` is the one that will run the network, by default this one.

    Raises:
        InputError: no such file, or not a network's.
        ConfigurationError: the file does not run on this backend or in this precision.
    """
    machine = machine or Machine.here()
    suffix = _suffix(path)
    chosen = _backend(suffix, backend, machine if gpu_enabled else _WITHOUT_CUDA)
    name = chosen.removesuffix(CUDA)
    if name not in BACKENDS_OF_SUFFIX[suffix]:
        raise ConfigurationError(
            f"backend: {path.name} runs on {_choices(BACKENDS_OF_SUFFIX[suffix])}, "
            f"not on {backend!r}"
        )
    return ModelIdentity(sha256_of(path), chosen, _precision(path, name, precision, machine.bf16))


def notices(
    identity: ModelIdentity, gpu_enabled: bool, machine: Machine | None = None
) -> list[str]:
    """What the user should be told, once, about how this network will run."""
    if not gpu_enabled or identity.backend.endswith(CUDA):
        return []
    if not (machine or Machine.here()).cuda:
        return [f"gpu_enabled: no CUDA device found; running on the CPU by {identity.backend}"]
    return [
        f"gpu_enabled: {identity.backend} has no CUDA support here; running on the CPU "
        f"(a .pt model runs on CUDA by torch, a .onnx model by the onnxruntime-gpu package)"
    ]


def sha256_of(path: Path) -> str:
    """The hash that names a network, weights that lie in a file of their own included."""
    digest = hashlib.sha256()
    beside = path.with_name(path.name + ".data")  # where newer ONNX exporters put them
    parts = [path, beside] if beside.is_file() else [path]
    if path.suffix.lower() == ".xml":
        parts = [path, path.with_suffix(".bin")]
    try:
        for part in parts:
            digest.update(part.read_bytes())
    except OSError as error:
        raise InputError(f"model file {error.filename}: {error.strerror}") from error
    return digest.hexdigest()


def _suffix(path: Path) -> str:
    if not path.is_file():
        raise InputError(f"model file {path}: not found")
    suffix = path.suffix.lower()
    if suffix not in BACKENDS_OF_SUFFIX:
        raise InputError(f"model file {path}: expected one of {_choices(BACKENDS_OF_SUFFIX)}")
    return suffix


def _backend(suffix: str, backend: Backend, machine: Machine) -> str:
    on_cuda = _CUDA_BACKEND.get(suffix)
    if on_cuda in machine.cuda and backend in ("auto", on_cuda):
        return f"{on_cuda}{CUDA}"
    if on_cuda == "tensorrt":
        raise ConfigurationError(
            "backend: a .engine file needs gpu_enabled, a CUDA device and the package tensorrt"
        )
    return BACKENDS_OF_SUFFIX[suffix][0] if backend == "auto" else backend


def _precision(path: Path, backend: str, precision: Precision, bf16: bool) -> str:
    legal = PRECISIONS_OF_BACKEND[backend]
    if precision == "auto":
        return "bf16" if "bf16" in legal and bf16 else legal[0]
    if precision not in legal:
        raise ConfigurationError(
            f"precision: {backend} computes in {_choices(legal)} (actual value {precision!r})"
        )
    if precision == "bf16" and not bf16:
        raise ConfigurationError("precision: this CPU has no bf16 arithmetic; use 'f32' or 'auto'")
    if precision == "int8" and not is_quantised(path):
        raise ConfigurationError(
            f"precision: {path.name} is not quantised; 'int8' takes a network that is "
            f"(QDQ .onnx, or .xml with FakeQuantize); use 'f32', 'bf16' or 'auto'"
        )
    return precision


def _choices(values: object) -> str:
    return ", ".join(str(value) for value in values)  # type: ignore[attr-defined]
