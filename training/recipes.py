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
    start: Path | None = None,
    simulated_matches: int | None = None,
    threads: int | None = None,
) -> Path:
    """Train `model` ("detector" or "pitch") on `data` into `out`; returns the ONNX file.

    What is None is left to the recipe; `start` is an exported network of the same kind to go on
    from.
    """
    given: dict[str, Any] = {"minutes": minutes, "seed": seed, "resume": resume, "start": start}
    left = {"steps": steps, "simulated_matches": simulated_matches, "threads": threads}
    given |= {name: value for name, value in left.items() if value is not None}
    if model == "detector":
        from training import detector, detector_export

        weights = detector.train_detector(detector.DetectorOptions(data, out, **given))
        return detector_export.export(weights, out / "detector.onnx")
    from training import pitch, pitch_export

    weights = pitch.train_pitch(pitch.PitchOptions(data, out, **given))
    return pitch_export.export(weights, out / "pitch.onnx")
