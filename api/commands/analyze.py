"""`footanalytics analyze`: a match, or a batch of them, on this machine, without servers."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from api.configuration_file import ConfigurationFile, read
from domain.errors import ConfigurationError, InputError

if TYPE_CHECKING:
    from infrastructure.local_run import RunReport


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "inputs",
        nargs="*",
        metavar="INPUT",
        help="video files in order, a folder of images, or tracking data",
    )
    parser.add_argument(
        "--batch",
        type=Path,
        metavar="FOLDER_OR_LIST",
        help="many matches: a folder of them, or a file that lists one a line (docs/match.md)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="where the results go (default: NAME-analysis); of a batch, a folder a match in it",
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
    settings = [*options.settings, *(["export.annotated_video=true"] if options.video else ())]
    given = configured(options.config, settings)
    if options.processes is not None and options.processes < 1:
        raise InputError(f"--processes {options.processes}: legal are 1 and more")
    if options.batch is not None:
        from api.commands.batch import run_batch

        if options.inputs:
            raise InputError("--batch: give a folder or a list file, and no INPUT beside it")
        return run_batch(options.batch, settings, options)
    if not options.inputs:
        raise InputError("no INPUT: give video files of a match in order, or --batch")
    of_inputs(given, options.inputs)
    out = options.out or Path(f"{Path(options.inputs[0]).stem}-analysis")
    report = analyze(given, out, processes=options.processes)
    print(json.dumps(report.as_json(), indent=2) if options.json else report.as_text())
    return 0


def analyze(given: ConfigurationFile, out: Path, *, processes: int | None = None) -> RunReport:
    """Analyse the match that is configured into the folder `out`, with progress on stderr."""
    from api.progress import observer
    from domain.configuration import ProcessingConfiguration
    from infrastructure.bootstrap.local import analyze_locally

    with given.named_in_errors():
        configuration = ProcessingConfiguration.parse(given.values)
        with observer() as watching:
            return analyze_locally(configuration, out, watching, processes)


def configured(file: Path | None, settings: Sequence[str]) -> ConfigurationFile:
    """The configuration of a file and the single settings, still without inputs."""
    given = read(file) if file else ConfigurationFile({})
    for setting in settings:
        set_option(given, setting)
    return given


def of_inputs(given: ConfigurationFile, inputs: Sequence[str]) -> None:
    """Say which files the match is, whatever the file says."""
    given.values["video_path"] = list(inputs)
    given.replaced(("video_path",))


def set_option(given: ConfigurationFile, setting: str) -> None:
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
        given.values[first] = value
        given.replaced((first,))
        return
    inside = () if first in ("pitch", "match") else ("stage_configs",)
    values = given.values
    for name in (*inside, first):
        values = _within(values, name)
    values[second] = value
    given.replaced((*inside, first, second))


def _within(values: dict[str, Any], name: str) -> dict[str, Any]:
    """The mapping `values[name]`, made where it is missing or empty."""
    inner = values.get(name)
    if inner is None:
        inner = values[name] = {}
    if not isinstance(inner, dict):
        raise ConfigurationError(f"{name}: expected a mapping of options (actual value {inner!r})")
    return inner
