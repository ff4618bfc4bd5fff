"""Makes an identified network ready to run."""

import os
from pathlib import Path

from application.stage import Model, ModelIdentity
from domain.errors import InputError
from infrastructure.inference.export import exported
from infrastructure.inference.fitting import FittingModel
from infrastructure.inference.selection import CUDA, sha256_of


def load(
    path: Path,
    identity: ModelIdentity,
    input_size: tuple[int, int],
    threads: int | None = None,
    cache: Path | None = None,
) -> Model:
    """The network in `path`, run as `identity` says, for images of `input_size` (height, width).

    `threads` images run at a time, each on one thread (by default as many as the process may use
    cores), so that the result does not depend on the count. A `.pt` that another backend than torch
    runs is exported to ONNX once and kept in `cache`, under the hash of its bytes. On CUDA it takes
    GPU_MEMORY_FRACTION of the memory at most, and fewer images at once where they do not fit.

    Raises:
        InputError: the file is broken, has changed since it was identified, or takes other images.
        DeviceMemoryError, DeviceLostError: the CUDA device is full, or failed.
    """
    if sha256_of(path) != identity.sha256:
        raise InputError(f"model file {path}: changed since the match was planned; submit it again")
    threads = threads or threads_per_process(1)
    backend = identity.backend.removesuffix(CUDA)
    cuda = identity.backend.endswith(CUDA)
    if backend == "torch":
        from infrastructure.inference.torch_backend import TorchModel

        on_torch = TorchModel(path, input_size, threads, cuda=cuda)
        return FittingModel(on_torch) if cuda else on_torch
    if backend == "tensorrt":
        from infrastructure.inference.tensorrt_backend import TensorRTModel

        return FittingModel(TensorRTModel(path, input_size))
    if path.suffix.lower() == ".pt":
        path = exported(path, identity.sha256, input_size, cache or cache_folder())
    if backend == "onnxruntime":
        from infrastructure.inference.onnxruntime_backend import OnnxRuntimeModel

        on_onnxruntime = OnnxRuntimeModel(path, input_size, threads, cuda=cuda)
        return FittingModel(on_onnxruntime) if cuda else on_onnxruntime
    from infrastructure.inference.openvino_backend import OpenVINOModel

    return OpenVINOModel(path, input_size, threads, identity.precision)


def threads_per_process(processes: int) -> int:
    """The share of the usable cores that each of `processes` gets: threads times processes fit."""
    return max(len(os.sched_getaffinity(0)) // processes, 1)


def cache_folder() -> Path:
    """Where exported networks are kept: MODEL_CACHE_DIR, else ~/.cache/footanalytics."""
    return Path(os.environ.get("MODEL_CACHE_DIR") or Path.home() / ".cache" / "footanalytics")
