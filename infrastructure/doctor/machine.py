"""What a run on this machine needs: packages, ffmpeg, networks, cores, disk."""

import contextlib
import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from application.stage import GPUStage, MatchFacts
from domain.configuration import ProcessingConfiguration
from infrastructure.catalogue import known, load
from infrastructure.doctor.findings import Note, failed, good, warning
from infrastructure.inference import cache_folder, identify
from infrastructure.inference.machine import CudaDevice, Machine, cuda_devices
from infrastructure.inference.network_file import onnx_names, read_onnx
from infrastructure.planning import build_stage, model_path

_LITTLE_DISK = 5 << 30
_LITTLE_MEMORY = 2 << 30
_FOR_CHECKPOINTS = {"torch", "torchvision", "ultralytics"}
_IN_PLACE_OF = {"onnxruntime": "onnxruntime-gpu"}
_HD = MatchFacts(1920, 1080, 25.0)


def python() -> Iterator[Note]:
    """Python, and whether every package that footanalytics needs is installed."""
    try:
        wanted = importlib.metadata.requires("footanalytics") or []
        version = importlib.metadata.version("footanalytics")
    except importlib.metadata.PackageNotFoundError:
        yield warning("footanalytics is not installed, only on the path: pip install -e .")
        return
    missing = {name for name in _always(wanted) if not _is_installed(name)}
    if needed := sorted(missing - _FOR_CHECKPOINTS):
        yield failed(f"not installed: {', '.join(needed)}: pip install {' '.join(needed)}")
        return
    without = ", without torch: .pt networks and training do not run here" if missing else ""
    yield good(f"footanalytics {version}, Python {platform.python_version()}{without}")


def _always(requirements: Sequence[str]) -> Iterator[str]:
    """The names of those that belong to no extra."""
    for each in requirements:
        if "extra ==" not in each and (name := re.match(r"[\w.-]+", each)):
            yield name.group()


def _is_installed(name: str) -> bool:
    for each in filter(None, (name, _IN_PLACE_OF.get(name))):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            importlib.metadata.version(each)
            return True
    return False


def ffmpeg() -> Iterator[Note]:
    """The command that cuts out sound and writes the annotated video; decoding does without."""
    path = shutil.which("ffmpeg")
    if path is None:
        yield failed("the ffmpeg command is missing: sudo apt-get install -y ffmpeg")
        return
    done = subprocess.run([path, "-version"], capture_output=True, text=True, timeout=30)
    if done.returncode:
        yield failed(f"{path} does not run ({done.stderr.strip()[-200:]}): install ffmpeg again")
        return
    words = done.stdout.split()
    yield good(f"{' '.join(words[:3])} at {path}")


def cpu() -> Iterator[Note]:
    bf16 = "bf16" if Machine.here().bf16 else "no bf16, networks run in f32"
    yield good(f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores usable, {bf16}")
    available, total = _memory()
    said = f"{_gb(available)} of {_gb(total)} of memory available"
    little = warning(f"{said}: a worker process takes 1 to 2 GB; close other programs")
    yield little if available < _LITTLE_MEMORY else good(said)


def _memory() -> tuple[int, int]:
    lines = Path("/proc/meminfo").read_text().splitlines()
    kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    return kilobytes["MemAvailable"] << 10, kilobytes["MemTotal"] << 10


def gpu() -> Iterator[Note]:
    """The CUDA devices, and whether a backend reaches them."""
    devices = cuda_devices()
    if not devices:
        yield good("no CUDA device: networks run on the CPU")
        return
    for number, device in enumerate(devices):
        yield good(f"CUDA device {number}: {_described(number, device)}")
    if "onnxruntime" not in Machine.here().cuda:
        yield warning(
            "ONNX Runtime has no CUDA support here, so .onnx models run on the CPU: "
            "pip install onnxruntime-gpu in the place of onnxruntime"
        )
    if not _is_installed("torch"):
        yield warning("torch is not installed, so .pt models do not run: pip install torch")


def _described(number: int, device: CudaDevice) -> str:
    program = shutil.which("nvidia-smi")
    if program is None:
        return f"{device.name}, {_gb(device.memory)}"
    query = [f"--id={number}", "--query-gpu=driver_version,memory.free", "--format=csv,noheader"]
    done = subprocess.run([program, *query], capture_output=True, text=True, timeout=30)
    driver, _, free = done.stdout.strip().partition(", ")
    seen = f", {free} free, driver {driver}" if done.returncode == 0 and free else ""
    return f"{device.name}, {_gb(device.memory)}{seen}"


def models(deep: bool) -> Iterator[Note]:
    """The networks that a match uses unless its options name others."""
    values = {"video_path": "none", "gpu_enabled": bool(cuda_devices())}
    configuration = ProcessingConfiguration.parse(values)
    for name in known():
        kind = load(name)
        if issubclass(kind, GPUStage):
            yield _model(name, kind, configuration, deep)


def _model(
    name: str, kind: type[GPUStage], configuration: ProcessingConfiguration, deep: bool
) -> Note:
    path = model_path(kind, configuration)
    identity = identify(path, gpu_enabled=configuration.gpu_enabled)
    names = onnx_names(read_onnx(path), path) if path.suffix.lower() == ".onnx" else ()
    said = f"{name}: {path}, sha256 {identity.sha256}, {identity.backend} {identity.precision}"
    classes = f", classes {' '.join(names)}" if names else ""
    return good(f"{said}{classes}{_ran(name, kind, configuration) if deep else ''}")


def _ran(name: str, kind: type[GPUStage], configuration: ProcessingConfiguration) -> str:
    """Load the network and give it one grey picture of a 1080p video."""
    stage = build_stage(name, configuration, _HD, threads=1)
    assert isinstance(stage, GPUStage)
    size = kind.input_size(stage.options, _HD)
    started = time.monotonic()
    stage.model.infer([np.full((*size, 3), 114, np.uint8)])
    loaded = time.monotonic()
    stage.model.infer([np.full((*size, 3), 114, np.uint8)])
    once = time.monotonic() - loaded
    return f"; loaded in {loaded - started:.1f} s, one image in {1000 * once:.0f} ms on one thread"


def disk() -> Iterator[Note]:
    """Room for results, and for networks that are exported once."""
    for name, folder in (("here", Path.cwd()), ("MODEL_CACHE_DIR", cache_folder())):
        yield room_in(folder, name)


def room_in(folder: Path, name: str) -> Note:
    """Whether the folder, or the one that it would be made in, can be written and has room."""
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        return failed(f"{name}: {folder} cannot be written: choose another folder")
    free = shutil.disk_usage(there).free
    said = f"{name}: {folder} has {_gb(free)} free"
    return warning(f"{said}: free some space") if free < _LITTLE_DISK else good(said)


def _gb(count: int) -> str:
    return f"{count / 2**30:.1f} GB"
