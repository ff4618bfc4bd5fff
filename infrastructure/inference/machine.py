"""What a machine runs networks on, as far as it decides results."""

import ctypes
import importlib.util
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

_PREFIX = "runs"
_ALWAYS = ("openvino:f32", "openvino:int8", "onnxruntime:f32", "onnxruntime:int8", "torch:f32")
CUDA_PRECISION = {"torch": "f32", "onnxruntime": "f32", "tensorrt": "as_built"}
"""The backends that may reach a CUDA device, and what they compute in there."""


@dataclass(frozen=True)
class Machine:
    """Whether the CPU multiplies bf16, and which backends reach a CUDA device."""

    bf16: bool = False
    cuda: frozenset[str] = frozenset()

    @classmethod
    @cache
    def here(cls) -> "Machine":
        """The machine that this process runs on."""
        return cls(_cpu_has_bf16(), _cuda_backends())

    @classmethod
    def of(cls, able: Collection[Collection[str]]) -> "Machine":
        """What at least half of the workers have, by what each says that it is able to do."""
        counts = Counter(text for worker in able for text in set(worker))
        shared = {text for text, count in counts.items() if 2 * count >= len(able)}
        cuda = [name for name, has in CUDA_PRECISION.items() if runs(f"{name}:cuda", has) in shared]
        return cls(runs("openvino", "bf16") in shared, frozenset(cuda))

    @property
    def able(self) -> tuple[str, ...]:
        """The backends and precisions that it runs, as words to compare with what a plan needs."""
        found = [text for text in _ALWAYS if _is_installed(text.partition(":")[0])]
        found += [f"{name}:cuda:{CUDA_PRECISION[name]}" for name in sorted(self.cuda)]
        if self.bf16:
            found.append("openvino:bf16")
        return tuple(f"{_PREFIX}:{text}" for text in found)


def runs(backend: str, precision: str) -> str:
    """The word for a backend and a precision."""
    return f"{_PREFIX}:{backend}:{precision}"


@cache
def _cpu_has_bf16() -> bool:
    """Whether the CPU multiplies bfloat16 natively.

    OpenVINO's own list of capabilities names BF16 wherever AVX-512 can emulate it, which is slower
    than f32, so the processor is asked. Where there is no /proc/cpuinfo the answer is no.
    """
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    flags = next((line for line in text.splitlines() if line.startswith("flags")), "").split()
    return "avx512_bf16" in flags or "amx_bf16" in flags


def _cuda_backends() -> frozenset[str]:
    """The backends that can use a CUDA device here."""
    if not cuda_devices():
        return frozenset()
    able = {"torch": _is_installed("torch"), "onnxruntime": _onnxruntime_has_cuda()}
    able["tensorrt"] = able["torch"] and _is_installed("tensorrt")
    return frozenset(name for name, is_able in able.items() if is_able)


class CudaDevice(NamedTuple):
    """A device as the driver names it; `memory` in bytes, all of it."""

    name: str
    memory: int


@cache
def cuda_devices() -> tuple[CudaDevice, ...]:
    """The devices that the driver lets this process see, without loading torch."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return ()
    count = ctypes.c_int()
    failed = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
    return () if failed else tuple(_cuda_device(driver, number) for number in range(count.value))


def _cuda_device(driver: ctypes.CDLL, number: int) -> CudaDevice:
    device, memory, name = ctypes.c_int(), ctypes.c_size_t(), ctypes.create_string_buffer(256)
    driver.cuDeviceGet(ctypes.byref(device), number)
    driver.cuDeviceGetName(name, len(name), device)
    driver.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
    return CudaDevice(name.value.decode(errors="replace"), memory.value)


def _is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _onnxruntime_has_cuda() -> bool:
    if not _is_installed("onnxruntime"):
        return False
    import onnxruntime

    return "CUDAExecutionProvider" in onnxruntime.get_available_providers()
