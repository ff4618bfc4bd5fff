"""`footanalytics export-model`: a network in another form, for other machines and tools."""

import argparse
from pathlib import Path

from domain.errors import ConfigurationError

FORMS = ("onnx", "openvino", "torchscript", "tensorrt")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="a .onnx or .pt file, or detector or pitch, which ship",
    )
    parser.add_argument("--format", choices=FORMS, required=True)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE",
        help="ends in .onnx, .xml (OpenVINO), .torchscript or .engine (TensorRT)",
    )  # fmt: skip
    parser.add_argument(
        "--precision", choices=("f32", "f16", "bf16", "int8"), default="f32",
        help="default f32; f16: OpenVINO and TensorRT, bf16: TensorRT, int8: ONNX and OpenVINO",
    )  # fmt: skip
    parser.add_argument(
        "--size", metavar="WxH",
        help="of pictures, where the format or a .pt file needs one, and of those that int8 is "
        "measured on (default: what the model names, else 1280x736)",
    )  # fmt: skip
    parser.add_argument(
        "--calibration-images", type=Path, metavar="DIR",
        help="for int8 alone: 20 to 60 typical frames",
    )  # fmt: skip
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from infrastructure.conversion import convert
    from infrastructure.planning import network_file

    written = convert(
        network_file(options.model) or Path(options.model),
        options.format,
        options.out,
        options.precision,
        _size(options.size),
        options.calibration_images,
    )
    print(f"exported: {written}")
    return 0


def _size(text: str | None) -> tuple[int, int] | None:
    """Height and width from `1280x736`."""
    if text is None:
        return None
    sides = text.split("x")
    if len(sides) != 2 or not all(s.isdecimal() and int(s) and int(s) % 32 == 0 for s in sides):
        raise ConfigurationError(f"--size {text}: expected WxH, both multiples of 32")
    return int(sides[1]), int(sides[0])
