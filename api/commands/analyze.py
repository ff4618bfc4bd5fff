"""`footanalytics analyze`: one match on this machine, without servers."""

import argparse
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from domain.errors import ConfigurationError, InputError


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="video files in order, a folder of images, or tracking data",
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="where the results go (default: NAME-analysis)"
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration, YAML or JSON")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="STAGE.OPTION=VALUE",
        dest="settings",
        help="one option, as docs/options.md lists them; may be repeated",
    )
    parser.add_argument("--video", action="store_true", help="also write annotated.mp4")
    add_run_options(parser)
    parser.set_defaults(run=run)


def add_run_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--processes", type=int, metavar="N", help="processes for the frames (default: one a core)"
    )
    parser.add_argument("--json", action="store_true", help="print the run's report as JSON")


def run(options: argparse.Namespace) -> int:
    values = configuration_values(options.inputs, options.config, options.settings)
    if options.video:
        set_option(values, "export.annotated_video=true")
    out = options.out or Path(f"{Path(options.inputs[0]).stem}-analysis")
    return analyze(values, out, processes=options.processes, as_json=options.json)


def analyze(
    values: dict[str, Any], out: Path, *, processes: int | None = None, as_json: bool = False
) -> int:
    """Analyse the match that `values` configure into the folder `out`, with progress on stderr."""
    from api.progress import observer
    from domain.configuration import ProcessingConfiguration
    from infrastructure.bootstrap.local import analyze_locally

    if processes is not None and processes < 1:
        raise InputError(f"--processes {processes}: legal are 1 and more")
    configuration = ProcessingConfiguration.parse(values)
    with observer() as watching:
        report = analyze_locally(configuration, out, watching, processes)
    if as_json:
        print(json.dumps(report.as_json(), indent=2))
    else:
        print(report.as_text())
    return 0


def configuration_values(
    inputs: Sequence[str], file: Path | None, settings: Sequence[str]
) -> dict[str, Any]:
    """The configuration's plain values from a file, the inputs and the single settings."""
    values = _read(file) if file else {}
    values["video_path"] = list(inputs)
    for setting in settings:
        set_option(values, setting)
    return values


def set_option(values: dict[str, Any], setting: str) -> None:
    """Set `stage.option=value`, or `option=value` for one of the whole run; the value is YAML."""
    import yaml

    match = re.fullmatch(r"([a-z_]+)(?:\.([a-z_0-9]+))?=(.*)", setting, re.DOTALL)
    if not match:
        raise ConfigurationError(f"--set {setting}: expected STAGE.OPTION=VALUE")
    first, second, text = match.groups()
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"--set {setting}: the value is not YAML") from error
    if second is None:
        values[first] = value
        return
    place = values if first == "pitch" else _within(values, "stage_configs")
    _within(place, first)[second] = value


def _within(values: dict[str, Any], name: str) -> dict[str, Any]:
    """The mapping `values[name]`, made where it is missing or empty."""
    inner = values.get(name)
    if inner is None:
        inner = values[name] = {}
    if not isinstance(inner, dict):
        raise ConfigurationError(f"{name}: expected a mapping of options (actual value {inner!r})")
    return inner


def _read(file: Path) -> dict[str, Any]:
    import yaml

    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{file}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        place = getattr(error, "problem_mark", None)
        line = f" line {place.line + 1}" if place else ""
        raise ConfigurationError(f"{file}{line}: not YAML or JSON") from error
    if not isinstance(values, dict):
        raise ConfigurationError(f"{file}: expected a mapping of options")
    return values
