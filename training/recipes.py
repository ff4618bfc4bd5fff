"""Runs a training recipe and exports its weights: what `footanalytics train` calls."""

from pathlib import Path
from typing import Any


def train(
    model: str,
    data: Path,
    out: Path,
    *,
    steps: int | None,
    minutes: float | None,
    seed: int,
    resume: bool,
) -> Path:
    """Train `model` ("detector" or "pitch") on `data` into `out`; returns the ONNX file."""
    given: dict[str, Any] = {"minutes": minutes, "seed": seed, "resume": resume}
    if steps:
        given["steps"] = steps
    coco = data / "weights" / "yolov8n_coco_fused.npz"
    if model == "detector":
        from training import detector, detector_export

        weights = detector.train_detector(detector.DetectorOptions(data, out, **given))
        return detector_export.export(weights, out / "detector.onnx", coco)
    from training import pitch, pitch_export

    weights = pitch.train_pitch(pitch.PitchOptions(data, out, **given))
    return pitch_export.export(weights, out / "pitch.onnx", coco)
