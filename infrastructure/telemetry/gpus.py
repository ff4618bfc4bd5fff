"""Memory and use of NVIDIA devices, by the driver's own library: no CUDA context is made."""

import ctypes
from collections.abc import Iterator
from ctypes import byref, c_uint, c_ulonglong, c_void_p
from functools import lru_cache
from typing import NamedTuple


class Gpu(NamedTuple):
    """One device; `busy` is the share of the last moment in which it computed."""

    number: int
    memory_used: int
    memory_total: int
    busy: float


class _Memory(ctypes.Structure):
    _fields_ = (("total", c_ulonglong), ("free", c_ulonglong), ("used", c_ulonglong))


class _Use(ctypes.Structure):
    _fields_ = (("gpu", c_uint), ("memory", c_uint))


def gpus() -> Iterator[Gpu]:
    """The devices of this machine; none where there is no driver."""
    library = _library()
    if library is None:
        return
    count = c_uint()
    if library.nvmlDeviceGetCount_v2(byref(count)):
        return
    for number in range(count.value):
        device, memory, use = c_void_p(), _Memory(), _Use()
        if library.nvmlDeviceGetHandleByIndex_v2(number, byref(device)):
            continue
        if library.nvmlDeviceGetMemoryInfo(device, byref(memory)):
            continue
        known = not library.nvmlDeviceGetUtilizationRates(device, byref(use))
        busy = use.gpu / 100 if known else float("nan")
        yield Gpu(number, memory.used, memory.total, busy)


@lru_cache(1)
def _library() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return None
    return None if library.nvmlInit_v2() else library
