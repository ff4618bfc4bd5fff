"""The shipped detector in every form for CPUs, what each costs and loses.

`python benchmarks/exported_networks.py --calibration-images DIR --out DIR [--images DIR --labels
DIR --match A,B]` writes the forms with `footanalytics export-model`'s own code and prints one JSON
object: for each form its bytes, the CPU time of one picture on one thread (least of the rounds, all
forms in turn in each round), and its AP50 by role on labelled frames.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

import cv2
import numpy as np

from api.commands.evaluate.product import detections, option_values
from evaluation.detection import score_detection
from infrastructure.conversion import convert
from infrastructure.inference import identify, load
from infrastructure.planning import models_folder
from infrastructure.single_frame import SingleFrameAnalysis
from stages.images import letterbox

SIZE = (736, 1280)


class Form(NamedTuple):
    """A file's format and precision, and the backend and precision that run it."""

    format: str
    stored: str
    suffix: str
    backend: Any
    precision: Any


FORMS = (
    Form("onnx", "f32", ".onnx", "onnxruntime", "f32"),
    Form("openvino", "f32", ".xml", "openvino", "f32"),
    Form("openvino", "f32", ".xml", "openvino", "bf16"),
    Form("openvino", "f16", ".xml", "openvino", "f32"),
    Form("openvino", "int8", ".xml", "openvino", "int8"),
    Form("onnx", "int8", ".onnx", "onnxruntime", "int8"),
    Form("torchscript", "f32", ".torchscript", "torch", "f32"),
)


def written(form: Form, folder: Path, images: Path) -> Path:
    """The file of `form`, made where it is missing."""
    path = folder / f"detector-{form.stored}{form.suffix}"
    if not path.is_file():
        shipped = models_folder() / "detector.onnx"
        given = images if form.stored == "int8" else None
        convert(shipped, form.format, path, form.stored, images=given)
    return path


def cpu_ms(paths: dict[Form, Path], picture: np.ndarray, rounds: int) -> dict[Form, float]:
    """CPU time of one picture on one thread: the least of `rounds`, the forms in turn."""
    models = {
        form: load(path, identify(path, form.backend, form.precision), SIZE, threads=1)
        for form, path in paths.items()
    }
    least = dict.fromkeys(paths, np.inf)
    for _ in range(rounds):
        for form, model in models.items():
            start = time.process_time()
            model.infer([picture])
            least[form] = min(least[form], 1000 * (time.process_time() - start))
    return least


def average_precision(form: Form, path: Path, options: argparse.Namespace) -> dict[str, float]:
    """AP50 by role of the product with this network."""
    given = {"model_name": path, "backend": form.backend, "precision": form.precision}
    settings = [f"player_detection.{key}={value}" for key, value in given.items()]
    analysis = SingleFrameAnalysis(option_values(settings))
    scores = score_detection(
        options.images,
        options.labels,
        lambda image: detections(analysis, image),
        matches=tuple(options.match.split(",")),
    )
    return dict(scores["ap50"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calibration-images", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--match", default="")
    parser.add_argument("--rounds", type=int, default=6)
    options = parser.parse_args()
    paths = {form: written(form, options.out, options.calibration_images) for form in FORMS}
    first = sorted(options.calibration_images.glob("*.*"))[0]
    picture = letterbox(np.asarray(cv2.imread(str(first)), np.uint8), *SIZE)[0]
    times = cpu_ms(paths, picture, options.rounds)
    for form, path in paths.items():
        told = {**form._asdict(), "bytes": sum(p.stat().st_size for p in _files(path))}
        told |= {"cpu_ms": round(times[form], 1), "ratio": round(times[form] / times[FORMS[1]], 2)}
        if options.images:
            told["ap50"] = average_precision(form, path, options)
        print(json.dumps(told), flush=True)


def _files(path: Path) -> list[Path]:
    return [path, path.with_suffix(".bin")] if path.suffix == ".xml" else [path]


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
