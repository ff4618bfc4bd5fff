"""A CUDA device's troubles as errors of ours, and how much of its memory this process may take."""

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from domain.errors import (
    ConfigurationError,
    DeviceLostError,
    DeviceMemoryError,
    FootAnalyticsError,
)

_FULL = (
    "out of memory",
    "Failed to allocate memory",
    "smaller than requested bytes",
    "_STATUS_ALLOC_FAILED",
)
_FAILED = (
    "CUDA error",
    "CUDA failure",
    "CUDA driver",
    "CUDA_ERROR",
    "No CUDA GPUs",
    "cuDNN error",
    "CUDNN failure",
    "CUDNN_STATUS",
    "CUBLAS failure",
    "CUBLAS_STATUS",
)
_SHOWN = 120
_broken = threading.Event()


@contextmanager
def device_errors() -> Iterator[None]:
    """Raise what goes wrong on the device in the block as errors of ours.

    torch and ONNX Runtime tell full memory, a failed device and a faulty network apart in their
    messages alone: the classes are shared, or differ between versions.

    Raises:
        DeviceMemoryError: the device's memory is full.
        DeviceLostError: the device failed. CUDA refuses all further work of such a process.
    """
    try:
        yield
    except FootAnalyticsError:
        raise
    except Exception as error:  # ONNX Runtime's have no common base but Exception
        if said := _excerpt(error, _FULL):
            raise DeviceMemoryError(
                f"the GPU's memory is full ({said}): stop what else runs on it, lower image_size, "
                "or raise GPU_MEMORY_FRACTION"
            ) from error
        if said := _excerpt(error, _FAILED):
            _broken.set()
            raise DeviceLostError(
                f"the GPU failed ({said}): look at nvidia-smi and the kernel's log"
            ) from error
        raise


def device_broken() -> bool:
    """Whether the device failed in this process, which must then end: another can go on."""
    return _broken.is_set()


def memory_fraction() -> float:
    """The share of the device's memory that this process may take: GPU_MEMORY_FRACTION.

    Raises:
        ConfigurationError: it is no share.
    """
    text = os.environ.get("GPU_MEMORY_FRACTION") or "0.9"
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise ConfigurationError(f"GPU_MEMORY_FRACTION={text}: must be a number above 0 up to 1")
    return share


def _excerpt(error: Exception, words: Sequence[str]) -> str:
    """What the message says from the first of `words` on, in one line; empty without them."""
    text = str(error)
    starts = [text.find(each) for each in words if each in text]
    return " ".join(text[min(starts) :].partition("\n")[0].split())[:_SHOWN] if starts else ""
