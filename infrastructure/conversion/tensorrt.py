"""ONNX to a TensorRT engine, which runs on the kind of device and version that built it alone.

The file is Ultralytics' form: four bytes of length, so much JSON, then the engine.
"""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from domain.errors import InputError, ResourceError
from infrastructure.inference.machine import cuda_devices

WORKSPACE_BYTES = 2 << 30
_FLAGS = {"f16": "FP16", "bf16": "BF16"}


def write_engine(model: Any, metadata: dict[str, Any], precision: str, path: Path) -> None:
    """Build an engine from the settled ONNX `model` and write it with its `metadata`.

    Raises:
        ResourceError: TensorRT or a CUDA device is not there, or the build fails.
        InputError: TensorRT cannot read the network.
    """
    trt = _tensorrt()
    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(0)
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(model.SerializeToString()):
        raise InputError(f"TensorRT cannot read this network: {parser.get_error(0)}")
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, WORKSPACE_BYTES)
    if precision in _FLAGS:
        config.set_flag(getattr(trt.BuilderFlag, _FLAGS[precision]))
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise ResourceError("TensorRT built no engine: is the GPU's memory free?")
    path.write_bytes(framed(metadata, bytes(engine)))


def framed(metadata: dict[str, Any], engine: bytes) -> bytes:
    """The file's bytes."""
    head = json.dumps(metadata).encode()
    return len(head).to_bytes(4, "little") + head + engine


def _tensorrt() -> Any:
    if find_spec("tensorrt") is None:
        raise ResourceError("TensorRT is not installed here: pip install tensorrt, version 10")
    if not cuda_devices():
        raise ResourceError("TensorRT builds on the device that will run it; none was found here")
    import tensorrt

    return tensorrt
