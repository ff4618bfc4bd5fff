"""Speed of the whole beside its ceilings, in one run: decoding alone, inference alone, all of it.

On CPU decoding and inference share the cores, so that the whole cannot reach the lower of the two;
`shared_ceiling_fps` is what they would give one after the other on the same cores.
"""

import multiprocessing
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from application.ports import Observer, Silent
from application.stage import GPUStage
from domain.configuration import ProcessingConfiguration
from infrastructure import inference
from infrastructure.catalogue import chosen, options_of
from infrastructure.frame_source import VideoFrameSource
from infrastructure.local_run import RunReport
from infrastructure.planning import build_stage

WARM_UP_IMAGES = 5


Analyze = Callable[[ProcessingConfiguration, Path, Observer, int | None], RunReport]


def measure(
    analyze: Analyze, values: Mapping[str, Any], processes: int | None, seconds: float
) -> dict[str, Any]:
    """Rates in frames a second for the configured input; `seconds` is spent on each network."""
    configuration = ProcessingConfiguration.parse(values)
    whole = _run(analyze, configuration, processes)
    used = int(whole["processes"])
    decoding = configuration.model_copy(update={"stages": ("video_decoding",)})
    decode_fps = float(_run(analyze, decoding, used)["frames_per_s"])
    networks = _networks(configuration, used, seconds)
    every = configuration.stage_configs.pitch_observation.every
    share = {"pitch_observation": 1 / every}  # of the frames that the network sees at least
    inference_fps = 1 / sum(share.get(name, 1) / rate for name, rate in networks.items())
    ceiling = min(decode_fps, inference_fps)
    shared = 1 / (1 / decode_fps + 1 / inference_fps)
    fps = float(whole["frames_per_s"])
    return {
        "frames": whole["frames"],
        "processes": used,
        "decode_fps": round(decode_fps, 2),
        "network_fps": {name: round(rate, 2) for name, rate in networks.items()},
        "inference_fps": round(inference_fps, 2),
        "pipeline_fps": round(fps, 2),
        "share_of_ceiling": round(fps / ceiling, 3),
        "shared_ceiling_fps": round(shared, 2),
        "share_of_shared_ceiling": round(fps / shared, 3),
        "stage_seconds": whole["stage_seconds"],
        "peak_memory_mib": whole["peak_memory_mib"],
    }


def _run(
    analyze: Analyze, configuration: ProcessingConfiguration, processes: int | None
) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        report = analyze(configuration, Path(folder) / "run", Silent(), processes)
        return report.as_json()


def _networks(
    configuration: ProcessingConfiguration, processes: int, seconds: float
) -> dict[str, float]:
    """Images a second of each network alone, all processes together."""
    names = [name for name, kind in chosen(configuration).items() if issubclass(kind, GPUStage)]
    rates = {}
    context = multiprocessing.get_context("spawn")
    for name in names:
        with ProcessPoolExecutor(processes, mp_context=context) as pool:
            json = configuration.model_dump_json()
            threads = inference.threads_per_process(processes)
            pieces = [pool.submit(_rate, json, name, threads, seconds) for _ in range(processes)]
            rates[name] = sum(piece.result() for piece in pieces)
    return rates


def _rate(json: str, name: str, threads: int, seconds: float) -> float:
    configuration = ProcessingConfiguration.model_validate_json(json)
    facts = VideoFrameSource.open(configuration).facts
    stage = build_stage(name, configuration, facts, threads)
    assert isinstance(stage, GPUStage)
    options = options_of(type(stage), configuration)
    height, width = stage.input_size(options, facts)
    image = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
    stage.model.infer([image] * WARM_UP_IMAGES)
    count, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        stage.model.infer([image] * configuration.batch_size)
        count += configuration.batch_size
    return count / (time.perf_counter() - started)
